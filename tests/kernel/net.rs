//! Clients, a director and real servers in network namespaces.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use piranha::runtime::kernel::Namespace;

use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::address;

/// The director's namespace.
pub(crate) const DIRECTOR: &str = "/run/netns/director";

const PATIENCE: Duration = Duration::from_secs(10);

const NAMESPACES: [&str; 4] = ["client", "director", "one", "two"];

/// Namespaces `client`, `director`, `one` and `two`, gone when this is dropped.
///
/// A process takes long in the lab, so `ip` does as much as it can in each.
pub(crate) struct Net;

impl Net {
    /// The director routes between the client (10.1.0.2, fd01::2) and the servers (10.2.N.2,
    /// fd02:N::2), whose way back is through it. VIPs: 10.1.0.100 and fd01::100.
    pub(crate) fn routed() -> Self {
        let net = Self::namespaces(
            "link add c0 netns director type veth peer name d0 netns client
            link add s1 netns director type veth peer name d0 netns one
            link add s2 netns director type veth peer name d0 netns two",
        );
        let address = |v4: &str, v6: &str, link: &str| {
            format!(
                "addr add {v4}/24 dev {link}\naddr add {v6}/64 dev {link} nodad\nlink set {link} up\n"
            )
        };
        let director = address("10.1.0.1", "fd01::1", "c0")
            + &address("10.2.1.1", "fd02:1::1", "s1")
            + &address("10.2.2.1", "fd02:2::1", "s2")
            + "addr add 10.1.0.100/32 dev c0\naddr add fd01::100/128 dev c0 nodad\n";
        ip_in("director", &director);
        ip_in("client", &address("10.1.0.2", "fd01::2", "d0"));
        for (n, name) in [(1, "one"), (2, "two")] {
            let own = address(&format!("10.2.{n}.2"), &format!("fd02:{n}::2"), "d0");
            let back =
                format!("route add default via 10.2.{n}.1\nroute add default via fd02:{n}::1");
            ip_in(name, &(own + &back));
        }
        set("director", &["ipv4/ip_forward", "ipv6/conf/all/forwarding"], "1");
        net
    }

    /// All on one wire: client 10.3.0.2, director 10.3.0.1 with the VIP 10.3.0.100, servers
    /// 10.3.0.11 and .12, which have the VIP too and keep silent about it; the same with fd03::.
    pub(crate) fn bridged() -> Self {
        let ports = NAMESPACES.map(|name| {
            format!(
                "link add v{name} type veth peer name e0 netns {name}
                link set v{name} master wire up\n"
            )
        });
        let net = Self::namespaces(&format!(
            "link add wire type bridge\nlink set wire up\n{}",
            ports.concat()
        ));
        for (name, end) in NAMESPACES.into_iter().zip([2, 1, 11, 12]) {
            ip_in(
                name,
                &format!(
                    "addr add 10.3.0.{end}/24 dev e0
                    addr add fd03::{end}/64 dev e0 nodad
                    link set e0 up
                    {}",
                    match name {
                        "client" => "",
                        // Not preferred: else the director sends its tunnels' packets from the
                        // VIP, which the servers have too.
                        "director" =>
                            "addr add 10.3.0.100/32 dev e0
                            addr add fd03::100/128 dev e0 nodad preferred_lft 0",
                        // Nobody answers for an IPv6 address of another interface.
                        _ =>
                            "addr add 10.3.0.100/32 dev lo
                            addr add fd03::100/128 dev lo nodad",
                    }
                ),
            );
        }
        for server in ["one", "two"] {
            set(server, &["ipv4/conf/all/arp_ignore"], "1");
            set(server, &["ipv4/conf/all/arp_announce"], "2");
            // Of an interface to come, too.
            set(server, &["ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"], "0");
        }
        net
    }

    /// Two directors between two wires: `director` (10.3.0.1, 10.4.0.1) and `partner` (10.3.0.3,
    /// 10.4.0.3), both forwarding, the client 10.3.0.2 on the one side, the servers 10.4.0.11 and
    /// .12 on the other. Their gateway is 10.4.0.254, which nobody has yet. The same with fd03::
    /// and fd04::, the gateway being fd04::254.
    pub(crate) fn pair() -> Self {
        let net = Self::namespaces(
            "link add wire type bridge\nlink set wire up
            link add inner type bridge\nlink set inner up\nnetns add partner",
        );
        ip_in("partner", "link set lo up");
        for (name, wire, link, address) in [
            ("client", "wire", "e0", "3 2"),
            ("director", "wire", "e0", "3 1"),
            ("director", "inner", "e1", "4 1"),
            ("partner", "wire", "e0", "3 3"),
            ("partner", "inner", "e1", "4 3"),
            ("one", "inner", "e0", "4 11"),
            ("two", "inner", "e0", "4 12"),
        ] {
            let (net, host) = address.split_once(' ').unwrap();
            ip(
                &[],
                &format!(
                    "link add {name}{wire} type veth peer name {link} netns {name}
                    link set {name}{wire} master {wire} up"
                ),
            );
            ip_in(
                name,
                &format!(
                    "addr add 10.{net}.0.{host}/24 dev {link}
                    addr add fd0{net}::{host}/64 dev {link} nodad
                    link set {link} up"
                ),
            );
        }
        for name in ["one", "two"] {
            ip_in(name, "route add default via 10.4.0.254\nroute add default via fd04::254");
        }
        for name in ["director", "partner"] {
            set(name, &["ipv4/ip_forward", "ipv6/conf/all/forwarding"], "1");
        }
        net
    }

    /// As [`pair`](Self::pair), with one more network on the first wire for direct routing: the
    /// client has 10.6.0.2, the servers 10.6.0.11 and .12 and, silently, the VIP 10.6.0.100, the
    /// directors 10.6.0.1 and .3; the same with fd06::.
    pub(crate) fn pair_on_one_wire() -> Self {
        let net = Self::pair();
        for (name, host) in [("one", 11), ("two", 12)] {
            ip(
                &[],
                &format!(
                    "link add {name}wire type veth peer name e1 netns {name}
                    link set {name}wire master wire up"
                ),
            );
            set(name, &["ipv4/conf/all/arp_ignore"], "1");
            set(name, &["ipv4/conf/all/arp_announce"], "2");
            ip_in(
                name,
                &format!(
                    "addr add 10.6.0.{host}/24 dev e1
                    addr add fd06::{host}/64 dev e1 nodad
                    link set e1 up
                    addr add 10.6.0.100/32 dev lo
                    addr add fd06::100/128 dev lo nodad"
                ),
            );
        }
        for (name, host) in [("client", 2), ("director", 1), ("partner", 3)] {
            let addresses =
                format!("addr add 10.6.0.{host}/24 dev e0\naddr add fd06::{host}/64 dev e0 nodad");
            ip_in(name, &addresses);
        }
        net
    }

    fn namespaces(links: &str) -> Self {
        let add = NAMESPACES.map(|name| format!("netns add {name}\n")).concat();
        ip(&[], &format!("{add}{links}"));
        for name in NAMESPACES {
            ip_in(name, "link set lo up");
        }
        Self
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // A namespace lives on while a socket is left in it, so its links are taken out first.
        let routed = ["c0", "s1", "s2"].map(|link| format!("link del {link}\n")).concat();
        let _ = run_ip(&["-n", "director"], &routed);
        let bridged = NAMESPACES.map(|name| format!("link del v{name}\n")).concat();
        let gone = NAMESPACES.map(|name| format!("netns del {name}\n")).concat();
        let paired = ["clientwire", "directorwire", "directorinner", "partnerwire"]
            .into_iter()
            .chain(["partnerinner", "oneinner", "twoinner", "onewire", "twowire"])
            .chain(["wire", "inner"])
            .map(|link| format!("link del {link}\n"))
            .collect::<String>();
        let _ = run_ip(&[], &format!("{bridged}{paired}{gone}netns del partner\n"));
    }
}

/// Runs commands of `ip`, one in each line, in the namespace `name`. All must succeed.
pub(crate) fn ip_in(name: &str, commands: &str) {
    ip(&["-n", name], commands);
}

fn ip(options: &[&str], commands: &str) {
    let output = run_ip(options, commands);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{options:?}: {commands}: {errors}");
}

fn run_ip(options: &[&str], commands: &str) -> Output {
    let mut command = Command::new("ip");
    command.args(options).args(["-force", "-batch", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Sets sysctls below `net` of a namespace.
pub(crate) fn set(name: &str, sysctls: &[&str], value: &str) {
    inside(name, || {
        for sysctl in sysctls {
            fs::write(format!("/proc/sys/net/{sysctl}"), value).unwrap();
        }
    });
}

pub(crate) fn inside<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    Namespace::open(format!("/run/netns/{name}")).unwrap().run(work).unwrap()
}

/// A server in the namespace `name` that tells each TCP client its name and waits for its end.
pub(crate) fn serve_tcp(name: &'static str, address: SocketAddr) {
    answer_with(name, inside(name, || TcpListener::bind(address).unwrap()));
}

/// Tells each client of `listener` the name and waits for its end.
pub(crate) fn answer_with(name: &'static str, listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let _ = stream.write_all(name.as_bytes());
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
}

/// A server that answers each datagram with its name.
pub(crate) fn serve_udp(name: &'static str, address: SocketAddr) {
    let socket = inside(name, || UdpSocket::bind(address).unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(name.as_bytes(), from);
        }
    });
}

/// A connection of the client; it stays as long as the stream.
pub(crate) fn open(vip: SocketAddr) -> TcpStream {
    inside("client", || open_here(vip))
}

fn open_here(vip: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&vip, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The name of the server a new connection reaches.
pub(crate) fn ask_tcp(vip: SocketAddr) -> String {
    name_from(open(vip))
}

/// The same from where the test runs.
pub(crate) fn ask_here(vip: SocketAddr) -> String {
    name_from(open_here(vip))
}

fn name_from(mut stream: TcpStream) -> String {
    let mut name = String::new();
    stream.read_to_string(&mut name).unwrap();
    name
}

/// The name of the server a new connection from `source` reaches.
pub(crate) fn ask_tcp_from(source: IpAddr, vip: SocketAddr) -> String {
    ask_by(|| Socket::new(Domain::for_address(vip), Type::STREAM, None), source, vip)
}

/// The name of the server a new association reaches.
pub(crate) fn ask_sctp(vip: SocketAddr) -> String {
    // The client announces all its addresses unless it is bound to one.
    let source = IpAddr::from([10, 1, 0, 2]);
    ask_by(|| sctp(vip), source, vip)
}

fn ask_by(
    open: impl FnOnce() -> io::Result<Socket> + Send,
    source: IpAddr,
    vip: SocketAddr,
) -> String {
    inside("client", || {
        let socket = open().unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect_timeout(&vip.into(), PATIENCE).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        name_from(socket.into())
    })
}

/// A server that tells each client of SCTP its name.
pub(crate) fn serve_sctp(name: &'static str, address: SocketAddr) {
    let listener = inside(name, || {
        let socket = sctp(address).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(16).unwrap();
        socket
    });
    answer_with(name, listener.into());
}

pub(crate) fn sctp(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::SCTP))
}

/// Whether a new connection reaches a server soon.
pub(crate) fn is_served(vip: SocketAddr) -> bool {
    let soon = Duration::from_secs(2);
    let Ok(mut stream) = inside("client", || TcpStream::connect_timeout(&vip, soon)) else {
        return false;
    };
    let mut name = String::new();
    stream.set_read_timeout(Some(soon)).is_ok() && stream.read_to_string(&mut name).is_ok()
}

/// The name of the server a datagram from a new port reaches.
pub(crate) fn ask_udp(vip: SocketAddr) -> String {
    Flow::new(vip).ask()
}

/// Datagrams from one port of the client.
pub(crate) struct Flow(UdpSocket, SocketAddr);

impl Flow {
    pub(crate) fn new(vip: SocketAddr) -> Self {
        let any = if vip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = inside("client", || UdpSocket::bind(any).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket, vip)
    }

    /// The name of the server the next datagram reaches.
    pub(crate) fn ask(&self) -> String {
        // The first datagram over a fresh wire may be lost to address resolution.
        (0..3).find_map(|_| self.try_ask()).expect("an answer")
    }

    fn try_ask(&self) -> Option<String> {
        let answer = self.exchange(b"who?")?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }

    /// What comes back for a datagram.
    pub(crate) fn exchange(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = [0; 512];
        self.0.send_to(datagram, self.1).ok()?;
        let (length, _) = self.0.recv_from(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }
}

/// Asks six times; round robin gives three to each.
pub(crate) fn is_shared(ask: impl Fn(SocketAddr) -> String, vip: &str) {
    let mut answers: Vec<_> = (0..6).map(|_| ask(address(vip))).collect();
    answers.sort_unstable();
    assert_eq!(answers, ["one", "one", "one", "two", "two", "two"]);
}
