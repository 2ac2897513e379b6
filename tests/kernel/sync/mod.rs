//! Two directors that synchronise connections: downloads that go on when one of them dies.

mod daemons;
mod through;

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use piranha::ipvs::kernel::{Connection, Origin};
use piranha::runtime::kernel::Namespace;

use crate::daemon::{Daemon, Files, PULSE, find_lvs, lvs_of, signal};
use crate::lab::{Lab, lab, sh, wait_for};
use crate::net::{Net, ask_tcp_from, inside, ip_in, open, serve_tcp, set};

/// The services of the pair, by NAT and by direct routing.
const SERVICES: [(&str, &str, [&str; 2]); 4] = [
    ("nat", "10.3.0.100", ["10.4.0.11", "10.4.0.12"]),
    ("nat6", "fd03::100", ["fd04::11", "fd04::12"]),
    ("direct", "10.6.0.100", ["10.6.0.11", "10.6.0.12"]),
    ("direct6", "fd06::100", ["fd06::11", "fd06::12"]),
];

/// Where the servers of a service listen.
fn servers(service: &str) -> [SocketAddr; 2] {
    let (_, vip, servers) = SERVICES.into_iter().find(|(name, ..)| *name == service).unwrap();
    let listens = if service.starts_with("nat") { servers } else { [vip; 2] };
    listens.map(|host| SocketAddr::new(host.parse().unwrap(), 80))
}

fn vip(service: &str) -> SocketAddr {
    let (_, vip, _) = SERVICES.into_iter().find(|(name, ..)| *name == service).unwrap();
    SocketAddr::new(vip.parse().unwrap(), 80)
}

/// What both directors run; `extra` goes to the top, `each` into every service.
fn configuration(role: &str, extra: &str, each: &str) -> String {
    let mut text = format!(
        "role = {role}\nprimary = 10.3.0.1\nbackup = 10.3.0.3\nbackup_active = 1\n\
         heartbeat_port = 5390\nkeepalive = 200ms\ndeadtime = 1s\nnat_router = 10.4.0.254 e1:1\n\
         nat_nmask = 255.255.255.0\ndataplane = kernel\nsyncd_iface = e1\nsyncd_id = 7\n\
         {extra}\n"
    );
    for (name, vip, servers) in SERVICES {
        let network = name.trim_end_matches('6');
        let _ = write!(
            text,
            "virtual {name} {{\n    active = 1\n    address = {vip} e0:1\n    port = 80\n    \
             network = {network}\n    scheduler = rr\n    check = icmp\n    timeout = 2s\n    \
             rise = 1\n{each}"
        );
        for (server, host) in ["one", "two"].iter().zip(servers) {
            let _ = write!(
                text,
                "    server {server} {{\n        address = {host}\n        active = 1\n    }}\n"
            );
        }
        text += "}\n";
    }
    text
}

/// Both directors, each in a namespace of its own.
struct Pair {
    primary: Daemon,
    backup: Daemon,
    files: Files,
    _net: Net,
    _lab: Lab,
}

impl Pair {
    /// The primary active, both tables full, both sync daemons running on both.
    fn start(extra: &str, each: &str) -> Self {
        Self::prepared(extra, each, || ())
    }

    /// The same after `prepare` had its way with the namespaces.
    fn prepared(extra: &str, each: &str, prepare: impl FnOnce()) -> Self {
        let lab = lab();
        let net = Net::pair_on_one_wire();
        prepare();
        sh("rm -rf /run/piranha");
        let files = Files::new();
        // The gateway of the IPv6 servers is a floating address too: one of a service that is none.
        let gateway = "virtual gateway {\n    active = 1\n    address = fd04::254 e1\n    \
                       port = 9\n    check = icmp\n    timeout = 2s\n    rise = 1\n    server one \
                       {\n        address = fd04::11\n        active = 1\n    }\n}\n";
        for role in ["primary", "backup"] {
            files.write(role, &(configuration(role, extra, each) + gateway));
        }
        let mut primary = director(&files, "director", "primary");
        primary.expect("active, was acquiring");
        let mut backup = director(&files, "partner", "backup");
        backup.expect("standby, was starting");
        for namespace in ["director", "partner"] {
            wait_for("all servers", || serving(namespace) == 9);
        }
        Self { primary, backup, files, _net: net, _lab: lab }
    }
}

fn director(files: &Files, namespace: &str, role: &str) -> Daemon {
    let config = files.path(role);
    let config = config.to_str().unwrap();
    Daemon::start("ip", &["netns", "exec", namespace, PULSE, "-n", "--drain", "1", "-c", config])
}

fn table(namespace: &str) -> String {
    sh(&format!("ip netns exec {namespace} ipvsadm -Sn"))
}

/// How many servers take connections; the ways of checks are not among them.
fn serving(namespace: &str) -> usize {
    let table = table(namespace);
    table.lines().filter(|line| line.starts_with("-a -t") && line.ends_with("-w 1")).count()
}

fn running(namespace: &str) -> Vec<String> {
    let listed = sh(&format!("ip netns exec {namespace} ipvsadm -L --daemon"));
    let mut lines: Vec<_> = listed.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

fn daemon(role: &str) -> String {
    format!(
        "{role} sync daemon (mcast=e1, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)"
    )
}

fn both() -> Vec<String> {
    vec![daemon("backup"), daemon("master")]
}

fn connections(namespace: &str) -> Vec<Connection> {
    Namespace::open(format!("/run/netns/{namespace}")).unwrap().connections().unwrap()
}

/// Cuts a director off from everybody, as when its machine loses power.
fn unplug(namespace: &str) {
    sh(&format!("ip link set {namespace}wire down\nip link set {namespace}inner down"));
}

/// The byte at a place of every download.
fn byte(place: u64) -> u8 {
    // No period that a lost or repeated segment could hide in.
    (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Servers of downloads that last until their round is over.
struct Servers {
    round: Arc<AtomicU64>,
}

impl Servers {
    fn start() -> Self {
        let round = Arc::new(AtomicU64::new(0));
        for (service, ..) in SERVICES {
            for (namespace, address) in ["one", "two"].into_iter().zip(servers(service)) {
                let listener = inside(namespace, || TcpListener::bind(address).unwrap());
                let round = Arc::clone(&round);
                thread::spawn(move || {
                    for stream in listener.incoming().flatten() {
                        let round = Arc::clone(&round);
                        thread::spawn(move || drop(give(stream, &round)));
                    }
                });
            }
        }
        Self { round }
    }

    fn end_round(&self) {
        self.round.fetch_add(1, Ordering::Relaxed);
    }
}

/// Gives bytes until the round is over, then says how many they were.
fn give(mut stream: TcpStream, round: &AtomicU64) -> io::Result<()> {
    let ours = round.load(Ordering::Relaxed);
    let mut sent = 0;
    while round.load(Ordering::Relaxed) == ours {
        let chunk: Vec<_> = (sent..sent + 4096).map(byte).collect();
        stream.write_all(&chunk)?;
        sent += 4096;
        thread::sleep(Duration::from_millis(20));
    }
    stream.write_all(&u64::to_be_bytes(sent))
}

/// A download under way, on a thread of its own.
struct Download {
    client: SocketAddr,
    reader: JoinHandle<io::Result<Vec<u8>>>,
}

impl Download {
    fn start(vip: SocketAddr) -> Self {
        let mut stream = open(vip);
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let client = stream.local_addr().unwrap();
        let reader = thread::spawn(move || {
            let mut read = Vec::new();
            stream.read_to_end(&mut read).map(|_| read)
        });
        Self { client, reader }
    }

    /// Whether a director knows the connection by the other one.
    fn is_synced(&self, namespace: &str) -> bool {
        connections(namespace)
            .iter()
            .any(|c| c.client == self.client && c.origin == Some(Origin::Sync))
    }

    /// Waits for the end and looks at every byte. Returns how many there were.
    fn finish(self) -> io::Result<u64> {
        let read = self.reader.join().unwrap()?;
        let (body, length) = read.split_at(read.len() - 8);
        assert_eq!(body.len() as u64, u64::from_be_bytes(length.try_into().unwrap()));
        let wrong = (0..).zip(body).find(|(place, found)| byte(*place) != **found);
        assert_eq!(wrong, None);
        Ok(body.len() as u64)
    }
}

/// Starts a download through each service while `from` is active, has `change` make `to` the
/// active one, and lets the downloads end there.
fn downloads_survive(servers: &Servers, from: &str, to: &str, change: impl FnOnce()) {
    let downloads = SERVICES.map(|(service, ..)| Download::start(vip(service)));
    for download in &downloads {
        wait_for("the connection is known", || download.is_synced(to));
        assert!(!download.is_synced(from));
    }
    change();
    // Beyond every buffer on the way: what comes after went through the new director.
    thread::sleep(Duration::from_secs(3));
    servers.end_round();
    for (download, (service, ..)) in downloads.into_iter().zip(SERVICES) {
        let bytes = download.finish().unwrap();
        assert!(bytes > 100_000, "{service}: {bytes}");
    }
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn downloads_by_nat_and_direct_routing_of_both_families_outlive_their_director() {
    let mut pair = Pair::start("syncdaemon = 1", "");
    let servers = Servers::start();
    assert_eq!((running("director"), running("partner")), (both(), both()));
    downloads_survive(&servers, "director", "partner", || {
        unplug("director");
        pair.primary.signal("KILL");
        pair.backup.expect("active, was acquiring");
    });
    assert_eq!(running("partner"), both(), "nothing about them changes in a takeover");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn downloads_outlive_a_hand_over_and_the_way_back() {
    let mut pair = Pair::start("syncdaemon = 1", "");
    let servers = Servers::start();
    downloads_survive(&servers, "director", "partner", || {
        pair.primary.signal("USR1");
        pair.backup.expect("active, was acquiring");
    });
    downloads_survive(&servers, "partner", "director", || {
        pair.backup.signal("USR1");
        pair.primary.expect("active, was acquiring");
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn without_synchronisation_a_download_ends_with_its_director() {
    let mut pair = Pair::start("syncdaemon = 0", "");
    let servers = Servers::start();
    let download = Download::start(vip("direct"));
    wait_for("the connection", || {
        connections("director").iter().any(|c| c.client == download.client)
    });
    unplug("director");
    pair.primary.signal("KILL");
    pair.backup.expect("active, was acquiring");
    assert!(running("partner").is_empty());
    assert_eq!(download.finish().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    servers.end_round();
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_persistent_client_finds_its_server_again_behind_the_other_director() {
    let mut pair = Pair::start("syncdaemon = 1", "    persistent = 300\n");
    for (service, ..) in SERVICES {
        for (name, address) in ["one", "two"].into_iter().zip(servers(service)) {
            serve_tcp(name, address);
        }
    }
    let another = ["10.3.0.99/24", "fd03::99/64", "10.6.0.99/24", "fd06::99/64"];
    let add = another.map(|address| format!("addr add {address} dev e0 nodad\n"));
    ip_in("client", &add.concat());
    let clients = [
        ["10.3.0.99", "10.3.0.2"],
        ["fd03::99", "fd03::2"],
        ["10.6.0.99", "10.6.0.2"],
        ["fd06::99", "fd06::2"],
    ];
    let ask = || {
        let asked = SERVICES.into_iter().zip(clients).map(|((service, ..), clients)| {
            clients.map(|client| ask_tcp_from(client.parse().unwrap(), vip(service)))
        });
        asked.collect::<Vec<_>>()
    };
    // Round robin: each of two clients has a server of its own.
    let before = ask();
    assert!(before.iter().all(|[one, other]| one != other), "{before:?}");
    let template = |c: &Connection| c.client.port() == 0 && c.origin == Some(Origin::Sync);
    wait_for("the templates", || {
        connections("partner").into_iter().filter(template).count() == 2 * SERVICES.len()
    });
    unplug("director");
    pair.primary.signal("KILL");
    pair.backup.expect("active, was acquiring");
    assert_eq!(ask(), before);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn where_a_backup_forwards_nothing_the_daemons_follow_the_role_and_downloads_go_on() {
    let mut pair = Pair::prepared("syncdaemon = 1", "", || {
        for namespace in ["director", "partner"] {
            set(namespace, &["ipv4/vs/backup_only"], "1");
        }
    });
    let servers = Servers::start();
    let roles = |director: &str, partner: &str| {
        wait_for("the daemons of the roles", || {
            running("director") == [daemon(director)] && running("partner") == [daemon(partner)]
        });
    };
    roles("master", "backup");
    let lvs = lvs_of(pair.primary.pid());
    signal(lvs, "KILL");
    wait_for("another lvs", || find_lvs(pair.primary.pid()).is_some_and(|other| other != lvs));
    pair.primary.expect("data plane: kernel");
    roles("master", "backup");
    pair.primary.signal("USR1");
    pair.backup.expect("active, was acquiring");
    roles("backup", "master");
    downloads_survive(&servers, "partner", "director", || {
        unplug("partner");
        pair.backup.signal("KILL");
        pair.primary.expect("active, was acquiring");
    });
    assert_eq!(running("director"), [daemon("master")]);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_primary_that_returns_takes_the_service_back_when_it_knows_the_connections() {
    let mut pair = Pair::start("syncdaemon = 1\nfailback = 1", "");
    let servers = Servers::start();
    pair.primary.signal("KILL");
    pair.backup.expect("active, was acquiring");
    // Whoever boots knows no connection, and heard of none before it asks for them.
    sh("ip netns exec director ipvsadm --stop-daemon backup
        ip netns exec director ipvsadm --stop-daemon master");
    let known = |namespace: &str, ours: &Download| {
        connections(namespace).iter().any(|c| c.client == ours.client)
    };
    let downloads = SERVICES.map(|(service, ..)| Download::start(vip(service)));
    for download in &downloads {
        wait_for("the connection", || known("partner", download));
        assert!(!known("director", download));
    }
    let mut primary = director(&pair.files, "director", "primary");
    primary.expect("started the backup sync daemon");
    primary.expect("standby, was starting");
    let before = std::time::Instant::now();
    primary.expect("warm: checks and connections are known");
    for download in &downloads {
        assert!(known("director", download));
    }
    primary.expect("active, was acquiring");
    assert!(before.elapsed() > Duration::from_secs(5), "it waited");
    thread::sleep(Duration::from_secs(3));
    servers.end_round();
    for download in downloads {
        download.finish().unwrap();
    }
}
