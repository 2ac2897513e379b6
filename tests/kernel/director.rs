//! The daemons in front of the kernel's IPVS: pulse and lvs in the namespace `director`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Files, LVS, PULSE, find_lvs, lvs_of, signal};
use crate::lab::{Lab, address, lab, results, sh, wait_for};
use crate::net::{Net, ask_tcp, ask_udp, inside, is_served, open, serve_tcp, serve_udp};

pub(crate) const VIP: &str = "10.1.0.100:80";

/// A director without a partner; `extra` goes to the top, `web` into the block of the service.
pub(crate) fn configuration(extra: &str, weight: u32, web: &str) -> String {
    let server = |name: &str, address: &str, weight: u32| {
        format!(
            "    server {name} {{\n        address = {address}\n        port = 8080\n        \
             weight = {weight}\n        active = 1\n    }}\n"
        )
    };
    format!(
        "role = primary\nprimary = 10.1.0.1\nheartbeat_port = 5390\nkeepalive = 100ms\n\
         deadtime = 300ms\nnetwork = nat\ntcp_timeout = 901\ntcpfin_timeout = 121\n\
         udp_timeout = 301\n{extra}\nvirtual web {{\n    active = 1\n    \
         address = 10.1.0.100 c0:1\n    scheduler = rr\n    port = 80\n    check = connect\n    \
         timeout = 5s\n    rise = 1\n{web}{}{}}}\n",
        server("one", "10.2.1.2", weight),
        server("two", "10.2.2.2", 1)
    )
}

pub(crate) struct Setting {
    _net: Net,
    pub(crate) files: Files,
    _lab: Lab,
}

impl Setting {
    /// Clients, director and servers; the VIP is nowhere yet.
    pub(crate) fn new() -> Self {
        let lab = lab();
        let net = Net::routed();
        sh("ip -n director addr del 10.1.0.100/32 dev c0
            ip -n director addr del fd01::100/128 dev c0
            rm -rf /run/piranha");
        serve_tcp("one", address("10.2.1.2:8080"));
        serve_tcp("two", address("10.2.2.2:8080"));
        Self { _net: net, files: Files::new(), _lab: lab }
    }

    fn write(&self, text: &str) -> PathBuf {
        self.files.write("lvs.cf", text)
    }

    pub(crate) fn pulse(&self, text: &str) -> Daemon {
        let config = self.write(text);
        in_director(&[PULSE, "-v", "-n", "--drain", "1", "-c", config.to_str().unwrap()])
    }
}

pub(crate) fn in_director(command: &[&str]) -> Daemon {
    Daemon::start("ip", &[&["netns", "exec", "director"], command].concat())
}

pub(crate) fn table() -> String {
    sh("ip netns exec director ipvsadm -Sn")
}

fn alternates() {
    let mut answers: Vec<_> = (0..4).map(|_| ask_tcp(address(VIP))).collect();
    answers.sort_unstable();
    assert_eq!(answers, ["one", "one", "two", "two"]);
}

/// A server in `name` that gives back what it gets.
fn serve_echo(name: &str, address: SocketAddr) {
    let listener = inside(name, || TcpListener::bind(address).unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(&buffer[..length]);
                }
            });
        }
    });
}

fn echoes(stream: &mut TcpStream, word: &[u8]) {
    stream.write_all(word).unwrap();
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, word);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn pulse_and_lvs_balance_through_the_kernel_and_leave_the_table_at_the_end() {
    let setting = Setting::new();
    let mut pulse = setting.pulse(&configuration("", 1, ""));
    let line = pulse.expect("data plane: kernel");
    assert!(line.contains("the kernel's IPVS is usable"), "{line}");
    pulse.expect("active, was acquiring");
    wait_for("both servers", || table().matches("-w 1").count() == 2);
    alternates();
    assert!(
        sh("ip -n director -4 addr show c0").contains("10.1.0.100/32 scope global dynamic c0:1")
    );
    let timeouts = sh("ip netns exec director ipvsadm -l --timeout");
    assert!(timeouts.contains("901 121 301"), "{timeouts}");
    let sysctl = "ip netns exec director sysctl -n net.ipv4.vs.expire_nodest_conn";
    assert_eq!(sh(sysctl).trim(), "1");
    pulse.signal("TERM");
    let (status, log) = pulse.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(table().contains("-t 10.1.0.100:80"), "the table is for the next start");
    assert!(!sh("ip -n director addr show c0").contains("10.1.0.100"));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_killed_lvs_costs_no_connection_and_no_takeover() {
    let setting = Setting::new();
    serve_echo("one", address("10.2.1.2:7"));
    let echo = "virtual echo {\n    active = 1\n    address = 10.1.0.100 c0:1\n    port = 7\n    \
                check = connect\n    timeout = 5s\n    rise = 1\n    server one {\n        \
                address = 10.2.1.2\n        port = 7\n        active = 1\n    }\n}\n";
    let mut pulse = setting.pulse(&(configuration("dataplane = kernel", 1, "") + echo));
    pulse.expect("active, was acquiring");
    wait_for("all servers", || table().matches("-w 1").count() == 3);
    let mut stream = open(address("10.1.0.100:7"));
    echoes(&mut stream, b"before");
    let lvs = lvs_of(pulse.pid());
    signal(lvs, "KILL");
    pulse.expect("the kernel goes on balancing");
    echoes(&mut stream, b"without");
    alternates();
    wait_for("another lvs", || find_lvs(pulse.pid()).is_some_and(|other| other != lvs));
    pulse.expect("data plane: kernel");
    echoes(&mut stream, b"after");
    wait_for("all servers again", || table().matches("-w 1").count() == 3);
    echoes(&mut stream, b"and with all servers");
    pulse.signal("TERM");
    let (_, log) = pulse.end();
    assert!(!log.contains("deactivating lvs, was active (data plane"), "{log}");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_reload_of_one_weight_is_one_write() {
    let setting = Setting::new();
    let mut pulse = setting.pulse(&configuration("dataplane = kernel", 1, ""));
    pulse.expect("active, was acquiring");
    wait_for("both servers", || table().matches("-w 1").count() == 2);
    setting.write(&configuration("dataplane = kernel", 7, ""));
    pulse.signal("HUP");
    pulse.expect("configuration reloaded, 1 changes");
    wait_for("the weight", || table().contains("-r 10.2.1.2:8080 -m -w 7"));
    pulse.signal("TERM");
    let (_, log) = pulse.end();
    let (_, after) = log.split_once("configuration reloaded").unwrap();
    let writes: Vec<_> =
        after.lines().filter(|line| line.contains("writing to the table")).collect();
    assert!(matches!(writes[..], [one] if one.ends_with("operations=1")), "{writes:?}");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_director_that_is_to_release_leaves_only_what_others_made() {
    let setting = Setting::new();
    sh("ip netns exec director ipvsadm -A -t 10.1.0.100:81 -s sh");
    let config = setting.write(&configuration(
        "dataplane = kernel\nsyncdaemon = 1\nsyncd_iface = s1",
        1,
        "",
    ));
    let config = config.to_str().unwrap();
    let mut pulse = in_director(&[PULSE, "-n", "--drain", "1", "--release", "-c", config]);
    pulse.expect("active, was acquiring");
    wait_for("both servers", || table().matches("-w 1").count() == 2);
    let daemons = "ip netns exec director ipvsadm -l --daemon";
    wait_for("the sync daemons", || sh(daemons).contains("master sync daemon"));
    pulse.signal("TERM");
    let (status, log) = pulse.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(table(), "-A -t 10.1.0.100:81 -s sh\n", "{log}");
    assert_eq!(sh(daemons), "", "{log}");
}

/// So many services of the same ten servers, which are checked once while a test lasts.
fn many(services: usize) -> String {
    let server = |n: usize| {
        format!("server s{n} {{\n address = 10.2.1.2\n port = {}\n active = 1\n}}\n", 2000 + n)
    };
    let servers: String = (0..10).map(server).collect();
    let service = |n: usize| {
        format!(
            "virtual v{n} {{\n active = 1\n address = 10.1.0.100 c0:1\n port = {}\n \
             check = connect\n timeout = 1d\n initial_state = up\n{servers}}}\n",
            10_000 + n
        )
    };
    let services: String = (0..services).map(service).collect();
    format!(
        "role = primary\nprimary = 10.1.0.1\nheartbeat_port = 5390\nkeepalive = 1\n\
         deadtime = 10\nnetwork = nat\ndataplane = kernel\n{services}"
    )
}

/// A line for `tests/kernel/run` to print at the end.
fn figure(line: &str) {
    let mut figures = std::fs::OpenOptions::new();
    let figures = figures.append(true).create(true).open(results().join("figures"));
    writeln!(figures.unwrap(), "{line}").unwrap();
}

/// The time a process has had on a processor.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_reload_of_many_services_without_a_change_writes_nothing_and_one_weight_is_one_write() {
    let services = 200;
    let setting = Setting::new();
    (0..10).for_each(|n| serve_tcp("one", address(&format!("10.2.1.2:{}", 2000 + n))));
    let text = many(services);
    let mut pulse = setting.pulse(&text);
    pulse.expect("active, was acquiring");
    wait_for("the whole table", || table().matches("\n-a ").count() == 10 * services);
    let lvs = lvs_of(pulse.pid());
    for _ in 0..2 {
        pulse.signal("HUP");
        pulse.expect("configuration reloaded, 0 changes");
    }
    let (begun, busy) = (Instant::now(), processor_time(lvs));
    pulse.signal("HUP");
    pulse.expect("configuration reloaded, 0 changes");
    let (took, busy) = (begun.elapsed(), processor_time(lvs) - busy);
    setting.write(&text.replacen("port = 2003\n", "port = 2003\n weight = 7\n", 1));
    let begun = Instant::now();
    pulse.signal("HUP");
    pulse.expect("configuration reloaded, 1 changes");
    let changed = begun.elapsed();
    // It is told when the file is in force; the weight follows with the next verdicts.
    wait_for("the weight", || table().contains("10.2.1.2:2003 -m -w 7"));
    pulse.signal("TERM");
    let (_, log) = pulse.end();
    let reloads: Vec<_> = log.split("configuration reloaded").collect();
    let writes = |part: &str| part.matches("writing to the table").count();
    assert_eq!(reloads[2..=3].iter().map(|part| writes(part)).sum::<usize>(), 0, "{log}");
    assert_eq!(writes(reloads[4]), 1, "{log}");
    assert!(reloads[4].contains("operations=1"), "{log}");
    figure(&format!(
        "reload of {services} services of 10 servers: no change {took:.0?} ({busy:.0?} on the \
         processor), one weight {changed:.0?}"
    ));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_server_that_leaves_is_without_weight_until_its_last_connection_has_ended() {
    let setting = Setting::new();
    serve_echo("one", address("10.2.1.2:7"));
    let text = configuration("dataplane = kernel", 1, "");
    let echo = "    server echo {\n        address = 10.2.1.2\n        port = 7\n        \
                weight = 1\n        active = 1\n    }\n";
    let alone = text.split_once("    server one").unwrap().0.to_owned() + echo + "}\n";
    let mut pulse = setting.pulse(&alone);
    pulse.expect("active, was acquiring");
    wait_for("the server", || table().contains("10.2.1.2:7 -m -w 1"));
    let mut stream = open(address(VIP));
    echoes(&mut stream, b"before");
    setting.write(&text);
    pulse.signal("HUP");
    pulse.expect("configuration reloaded");
    assert!(table().contains("10.2.1.2:7 -m -w 0"), "{}", table());
    wait_for("both others", || table().matches("-w 1").count() == 2);
    alternates();
    echoes(&mut stream, b"after");
    // A reset: what ends in order is counted by the kernel for two minutes more.
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    pulse.expect("10.2.1.2:7 has left: no connection left");
    wait_for("it is gone", || !table().contains("10.2.1.2:7 "));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn what_others_change_is_put_right_and_what_is_theirs_stays() {
    let setting = Setting::new();
    let mut pulse = setting.pulse(&configuration("dataplane = kernel", 1, ""));
    pulse.expect("active, was acquiring");
    wait_for("both servers", || table().matches("-w 1").count() == 2);
    let before = table();
    sh("ip netns exec director ipvsadm -A -t 10.1.0.100:81 -s sh
        ip netns exec director ipvsadm -d -t 10.1.0.100:80 -r 10.2.1.2:8080
        ip netns exec director ipvsadm -e -t 10.1.0.100:80 -r 10.2.2.2:8080 -m -w 9");
    let theirs = "-A -t 10.1.0.100:81 -s sh\n";
    wait_for("the table is right again", || {
        let now = table();
        let mut ours: Vec<_> = now.lines().filter(|line| !line.contains(":81")).collect();
        let mut wanted: Vec<_> = before.lines().collect();
        ours.sort_unstable();
        wanted.sort_unstable();
        now.contains(theirs) && ours == wanted
    });
    drop(pulse);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_service_that_left_the_file_while_lvs_was_down_is_removed_at_the_next_start() {
    let setting = Setting::new();
    sh("ip netns exec director ipvsadm -A -t 10.1.0.100:81 -s sh");
    let text = configuration("dataplane = kernel", 1, "");
    let config = setting.write(&text);
    let arguments = ["netns", "exec", "director", LVS, "-c", config.to_str().unwrap()];
    let lvs = Daemon::start("ip", &arguments);
    wait_for("the service", || table().contains("-t 10.1.0.100:80 "));
    lvs.signal("KILL");
    let _ = lvs.end();
    assert!(table().contains("-t 10.1.0.100:80 "), "it outlives lvs");
    setting.write(&text.replace("port = 80\n", "port = 8000\n"));
    let lvs = Daemon::start("ip", &arguments);
    wait_for("the other service", || table().contains("-t 10.1.0.100:8000 "));
    wait_for("only that", || !table().contains("-t 10.1.0.100:80 "));
    assert!(table().contains("-t 10.1.0.100:81"), "nobody's but theirs");
    lvs.signal("TERM");
    let _ = lvs.end();
    setting.write(&configuration("dataplane = relay", 1, ""));
    let mut lvs = Daemon::start("ip", &arguments);
    lvs.expect("addresses up");
    assert_eq!(table(), "-A -t 10.1.0.100:81 -s sh\n", "nothing is left before the relay");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn the_sorry_server_serves_while_no_other_does() {
    let setting = Setting::new();
    serve_tcp("one", address("10.2.1.2:9"));
    let web = "    sorry_server = 10.2.1.2:9\n    quiesce_server = 1\n";
    let text = configuration("dataplane = kernel", 1, web).replace("port = 8080", "port = 8081");
    let mut pulse = setting.pulse(&text);
    pulse.expect("No real servers; activate sorry_server 10.2.1.2:9");
    wait_for("the sorry server", || table().contains("-r 10.2.1.2:9 -m -w 1"));
    pulse.expect("active, was acquiring");
    assert_eq!(ask_tcp(address(VIP)), "one");
    serve_tcp("two", address("10.2.2.2:8081"));
    pulse.expect("sorry_server 10.2.1.2:9 relieved");
    wait_for("the real server alone", || !table().contains("10.2.1.2:9"));
    assert_eq!(ask_tcp(address(VIP)), "two");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn both_families_and_udp_come_up_with_their_addresses() {
    let setting = Setting::new();
    serve_udp("one", address("10.2.1.2:5353"));
    serve_tcp("one", address("[fd02:1::2]:8080"));
    let more = "virtual dns {\n    active = 1\n    address = 10.1.0.100 c0:1\n    port = 53\n    \
                protocol = udp\n    send = who?\n    expect = one\n    timeout = 5s\n    \
                rise = 1\n    server one {\n        address = 10.2.1.2\n        port = 5353\n        \
                active = 1\n    }\n}\nvirtual six {\n    active = 1\n    \
                address = fd01::100 c0\n    port = 80\n    check = connect\n    \
                timeout = 5s\n    rise = 1\n    server one {\n        address = fd02:1::2\n        \
                port = 8080\n        active = 1\n    }\n}\n";
    let mut pulse = setting.pulse(&(configuration("dataplane = kernel", 1, "") + more));
    pulse.expect("active, was acquiring");
    wait_for("all servers", || table().matches("-w 1").count() == 4);
    assert_eq!(ask_udp(address("10.1.0.100:53")), "one");
    assert_eq!(ask_tcp(address("[fd01::100]:80")), "one");
    alternates();
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn what_the_kernel_cannot_carry_is_refused_with_its_line_before_anything_changes() {
    let setting = Setting::new();
    let text = configuration("dataplane = kernel", 1, "").replace("scheduler = rr", "helper = ftp");
    let (status, log) = setting.pulse(&text).end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("lvs.cf:"), "{log}");
    assert_eq!(table(), "");
}

/// What a director of the pair runs: NAT, with the gateway of the servers as a floating address.
fn pair_configuration(role: &str) -> String {
    let server = |name: &str, host: u8| {
        format!(
            "    server {name} {{\n        address = 10.4.0.{host}\n        port = 8080\n        \
             active = 1\n    }}\n"
        )
    };
    format!(
        "role = {role}\nprimary = 10.3.0.1\nbackup = 10.3.0.3\nbackup_active = 1\n\
         heartbeat_port = 5390\nkeepalive = 200ms\ndeadtime = 1s\nnetwork = nat\n\
         nat_router = 10.4.0.254 e1:1\nnat_nmask = 255.255.255.0\ndataplane = kernel\n\
         virtual web {{\n    active = 1\n    address = 10.3.0.100 e0:1\n    scheduler = rr\n    \
         port = 80\n    check = connect\n    timeout = 5s\n    rise = 1\n{}{}}}\n",
        server("one", 11),
        server("two", 12)
    )
}

fn has(namespace: &str, address: &str) -> bool {
    sh(&format!("ip -n {namespace} -o -4 addr show")).contains(&format!(" {address}/"))
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn the_vip_and_the_gateway_of_a_killed_director_move_to_its_warm_partner() {
    let _lab = lab();
    let _net = Net::pair();
    sh("rm -rf /run/piranha");
    serve_tcp("one", address("10.4.0.11:8080"));
    serve_tcp("two", address("10.4.0.12:8080"));
    let files = Files::new();
    let start = |namespace: &str, role: &str| {
        let config = files.write(role, &pair_configuration(role));
        let config = config.to_str().unwrap();
        Daemon::start("ip", &["netns", "exec", namespace, PULSE, "-n", "-c", config])
    };
    let (mut primary, mut backup) = (start("director", "primary"), start("partner", "backup"));
    primary.expect("active, was acquiring");
    backup.expect("standby, was starting");
    let vip = address("10.3.0.100:80");
    wait_for("the service", || is_served(vip));
    wait_for("the partner's table", || {
        sh("ip netns exec partner ipvsadm -Sn").matches("-m -w 1").count() == 2
    });
    assert!(has("director", "10.3.0.100") && has("director", "10.4.0.254"));
    assert!(!has("partner", "10.3.0.100") && !has("partner", "10.4.0.254"));
    primary.signal("KILL");
    backup.expect("active, was acquiring");
    assert!(has("partner", "10.3.0.100") && has("partner", "10.4.0.254"));
    assert!(!has("director", "10.3.0.100") && !has("director", "10.4.0.254"));
    wait_for("the service again", || is_served(vip));
}
