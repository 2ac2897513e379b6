//! The networks of the book, and who sits where in them.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::machine::Machine;
use super::page::{self, Block};
use crate::lab::{Lab, lab, modprobe, output, sh, wait_for};
use crate::net::{inside, ip_in, set};

/// A machine, and its links: a wire, a device on it, addresses of the device.
type Place = (&'static str, &'static [(&'static str, &'static str, &'static [&'static str])]);

/// The directors between the clients' network and the servers'.
pub(super) const BETWEEN: &[Place] = &[
    ("client", &[("front", "eth0", &["192.0.2.50/24"])]),
    ("lb1", &[("front", "eth0", &["192.0.2.11/24"]), ("back", "eth1", &["10.0.0.1/24"])]),
    ("lb2", &[("front", "eth0", &["192.0.2.12/24"]), ("back", "eth1", &["10.0.0.2/24"])]),
    ("web1", &[("back", "eth0", &["10.0.0.21/24", "10.0.0.31/24"])]),
    ("web2", &[("back", "eth0", &["10.0.0.22/24", "10.0.0.32/24"])]),
];

/// All on one wire.
pub(super) const ONE_WIRE: &[Place] = &[
    ("client", &[("front", "eth0", &["192.0.2.50/24", "192.0.2.51/24", "2001:db8::50/64"])]),
    ("lb1", &[("front", "eth0", &["192.0.2.11/24", "2001:db8::11/64"])]),
    ("lb2", &[("front", "eth0", &["192.0.2.12/24", "2001:db8::12/64"])]),
    ("web1", &[("front", "eth0", &["192.0.2.21/24", "192.0.2.31/24", "2001:db8::21/64"])]),
    ("web2", &[("front", "eth0", &["192.0.2.22/24", "192.0.2.32/24", "2001:db8::22/64"])]),
];

/// The second server behind a router.
pub(super) const FAR: &[Place] = &[
    ("client", &[("front", "eth0", &["192.0.2.50/24"])]),
    ("lb1", &[("front", "eth0", &["192.0.2.11/24"])]),
    ("lb2", &[("front", "eth0", &["192.0.2.12/24"])]),
    ("web1", &[("front", "eth0", &["192.0.2.21/24"])]),
    ("web2", &[("far", "eth0", &["198.51.100.22/24"])]),
    ("router", &[("front", "eth0", &["192.0.2.254/24"]), ("far", "eth1", &["198.51.100.254/24"])]),
];

/// What the chapters leave to the one on direct routing.
const DIRECTORS: &str = "primary = 192.0.2.11\nbackup = 192.0.2.12\nbackup_active = 1\n\
                         heartbeat_key = /etc/sysconfig/ha/lvs.key\n\
                         keepalive = 500ms\ndeadtime = 2\n";

const PATIENCE: Duration = Duration::from_secs(10);

/// Machines on wires; gone with the value.
pub(super) struct Scene {
    machines: Vec<Machine>,
    places: &'static [Place],
    _lab: Lab,
}

impl Scene {
    pub(super) fn new(places: &'static [Place]) -> Self {
        let lab = lab();
        modprobe("overlay");
        sh(&wires(places));
        for (name, links) in places {
            let addresses = links.iter().flat_map(|(_, device, addresses)| {
                addresses.iter().map(move |one| format!("addr add {one} dev {device}"))
            });
            let addresses: Vec<_> = addresses.map(|line| without_delay(&line)).collect();
            let up = links.iter().map(|(_, device, _)| format!("link set {device} up\n"));
            ip_in(
                name,
                &format!("link set lo up\n{}\n{}", addresses.join("\n"), up.collect::<String>()),
            );
        }
        let machines = places.iter().map(|(name, _)| Machine::new(name)).collect();
        let scene = Self { machines, places, _lab: lab };
        for server in ["web1", "web2"] {
            // As strict as distributions come.
            set(server, &["ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"], "1");
        }
        // The key and its copy, as the first chapter makes them.
        for director in scene.at("both") {
            director.sh(&format!("umask 077; echo '{KEY}' >/etc/sysconfig/ha/lvs.key"));
        }
        scene
    }

    /// The machines that a block means by this word.
    pub(super) fn at(&self, place: &str) -> impl Iterator<Item = &Machine> {
        let names = match place {
            "both" => vec!["lb1", "lb2"],
            "servers" => vec!["web1", "web2"],
            name => vec![name],
        };
        self.machines.iter().filter(move |machine| names.contains(&machine.name))
    }

    /// Sets up what a page says under the headings that `wanted` names, all without any: the
    /// configuration, the directors, the servers.
    pub(super) fn prepare(&self, page: &str, wanted: &[&str]) {
        for block in page::read(page).iter().filter(|block| is_under(block, wanted)) {
            if block.kind == ["lvs.cf"] {
                self.at("both").for_each(|director| configure(director, &block.text));
            } else if block.kind.len() == 2 && block.is_for(&["both", "servers"]) {
                self.does(block);
            }
        }
    }

    /// Starts the pair as the first chapter does, and waits until it is one.
    pub(super) fn start(&self) {
        let blocks = page::read("first-pair.md");
        let start = blocks.iter().filter(|block| is_under(block, &["Start"]));
        assert!(start.map(|block| drop(self.does(block))).count() >= 3, "the chapter starts it");
    }

    /// Ends the pair, so that another configuration can take its place.
    pub(super) fn stop(&self) {
        for director in self.at("both") {
            director.sh("service pulse stop; rm /etc/sysconfig/ha/lvs.cf");
        }
    }

    /// Does what is left of a page: what is tried and looked at while the pair runs. Gives what it
    /// printed.
    pub(super) fn try_out(&self, page: &str, wanted: &[&str]) -> String {
        let blocks = page::read(page);
        let blocks = blocks.iter().filter(|block| is_under(block, wanted));
        let tried = blocks.filter(|b| b.kind.len() == 3 || b.is_for(&["client"]));
        tried.map(|block| self.does(block)).collect()
    }

    fn does(&self, block: &Block) -> String {
        let how = block.kind.get(2).map(String::as_str);
        let machines = self.at(&block.kind[1]);
        machines.map(|machine| self.on(machine, &block.text, how)).collect()
    }

    /// `until`: it succeeds within a minute. `look`: it has seen nothing that is critical.
    fn on(&self, machine: &Machine, script: &str, how: Option<&str>) -> String {
        let told = |output: &std::process::Output| {
            String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
        };
        let mut last = machine.run(script);
        let fine = |output: &std::process::Output| match how {
            Some("look") => output.status.code().is_some_and(|code| code < 2),
            _ => output.status.success(),
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while how == Some("until") && !fine(&last) && std::time::Instant::now() < deadline {
            thread::sleep(Duration::from_millis(200));
            last = machine.run(script);
        }
        assert!(fine(&last), "{}: {script}\n{}\n{}", machine.name, told(&last), self.logs());
        told(&last)
    }

    /// What the directors have said last.
    fn logs(&self) -> String {
        let tails = self.at("both").map(|one| {
            let said = one.run("tail -n 15 /var/log/piranha/pulse.log; ipvsadm -Sn");
            format!("{}:\n{}", one.name, String::from_utf8_lossy(&said.stdout))
        });
        tails.collect()
    }

    /// Both servers get to answer what `ask` asks.
    pub(super) fn reaches_both(&self, mut ask: impl FnMut() -> Option<String>) {
        let mut seen = std::collections::BTreeSet::new();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while seen.len() < 2 {
            assert!(std::time::Instant::now() < deadline, "{seen:?}\n{}", self.logs());
            seen.extend(ask());
        }
        assert!(seen.iter().eq(["web1", "web2"]), "{seen:?}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.machines.clear();
        let mut commands = String::new();
        for (name, links) in self.places {
            for (at, _) in links.iter().enumerate() {
                let _ = writeln!(commands, "ip link del {name}{at}");
            }
            let _ = writeln!(commands, "ip netns del {name}");
        }
        let _ = output(&format!("{commands}ip link del front; ip link del back; ip link del far"));
    }
}

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn wires(places: &[Place]) -> String {
    let mut commands = String::new();
    for wire in ["front", "back", "far"] {
        let _ = writeln!(commands, "ip link add {wire} type bridge; ip link set {wire} up");
    }
    for (name, links) in places {
        let _ = writeln!(commands, "ip netns add {name}");
        for (at, (wire, device, _)) in links.iter().enumerate() {
            let _ = writeln!(
                commands,
                "ip link add {name}{at} type veth peer name {device} netns {name}\n\
                 ip link set {name}{at} master {wire} up"
            );
        }
    }
    commands
}

/// An IPv6 address is used at once.
fn without_delay(command: &str) -> String {
    if command.contains(':') { format!("{command} nodad") } else { command.to_owned() }
}

fn is_under(block: &Block, wanted: &[&str]) -> bool {
    wanted.is_empty() || wanted.contains(&block.heading.as_str())
}

/// A block belongs behind what there is; the first needs directors.
fn configure(director: &Machine, block: &str) {
    let file = "/etc/sysconfig/ha/lvs.cf";
    let begun = director.run(&format!("test -s {file}")).status.success();
    let before = if begun || block.starts_with("primary ") { "" } else { DIRECTORS };
    director.sh(&format!("cat >>{file} <<'END'\n{before}{block}END\n"));
}

/// A web server on every address of a machine, which answers with the machine's name.
pub(super) fn serve_http(name: &'static str, port: u16) {
    serve(name, port, move |mut stream| answer(&mut stream, name));
}

/// The same over TLS.
pub(super) fn serve_https(name: &'static str, port: u16, tls: &Arc<ServerConfig>) {
    let tls = Arc::clone(tls);
    serve(name, port, move |stream| {
        let Ok(session) = ServerConnection::new(Arc::clone(&tls)) else { return };
        answer(&mut StreamOwned::new(session, stream), name);
    });
}

fn serve(name: &str, port: u16, with: impl Fn(TcpStream) + Clone + Send + 'static) {
    let any = SocketAddr::from(([0; 16], port));
    let listener = inside(name, || TcpListener::bind(any).unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let with = with.clone();
            thread::spawn(move || with(stream));
        }
    });
}

fn answer(stream: &mut (impl Read + Write), name: &str) {
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(length @ 1..) => request.extend_from_slice(&piece[..length]),
            _ => return,
        }
    }
    let length = name.len();
    let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
    let _ = stream.write_all(answer.as_bytes());
    let _ = stream.flush();
}

/// A name server that knows the name of its machine.
pub(super) fn serve_dns(name: &'static str, address: SocketAddr) {
    let socket = inside(name, || UdpSocket::bind(address).unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&resolved(&buffer[..length]), from);
        }
    });
}

/// The answer to a question: itself, and one address (RFC 1035, 4.1).
fn resolved(question: &[u8]) -> Vec<u8> {
    let end = question.len().min(12 + question[12..].iter().position(|b| *b == 0).unwrap() + 5);
    let mut answer = question[..end].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 53]);
    answer
}

/// What the client gets for a page from `service`.
pub(super) fn ask_http(service: SocketAddr) -> Option<String> {
    let mut stream = connect(service)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, name)| name.to_owned())
}

pub(super) fn connect(service: SocketAddr) -> Option<TcpStream> {
    let stream = inside("client", || TcpStream::connect_timeout(&service, PATIENCE)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// Waits for something on a machine that a command tells by its success.
pub(super) fn comes_true(machine: &Machine, command: &str) {
    wait_for(command, || machine.run(command).status.success());
}
