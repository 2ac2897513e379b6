//! Clients, a director and real servers in network namespaces.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use piranha::runtime::kernel::Namespace;

use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::{address, output, sh};

/// The director's namespace.
pub(crate) const DIRECTOR: &str = "/run/netns/director";

const PATIENCE: Duration = Duration::from_secs(10);

/// Namespaces `client`, `director`, `one` and `two`, gone when this is dropped.
pub(crate) struct Net;

impl Net {
    /// The director routes between the client (10.1.0.2, fd01::2) and the servers (10.2.N.2,
    /// fd02:N::2), whose way back is through it. VIPs: 10.1.0.100 and fd01::100.
    pub(crate) fn routed() -> Self {
        let net = Self::namespaces();
        sh(
            "link() { ip link add $2 netns $1 type veth peer name $4 netns $3
                     ip -n $1 addr add $5 dev $2; ip -n $1 addr add $6 dev $2 nodad
                     ip -n $3 addr add $7 dev $4; ip -n $3 addr add $8 dev $4 nodad
                     ip -n $1 link set $2 up; ip -n $3 link set $4 up; }
            link director c0 client d0 10.1.0.1/24 fd01::1/64 10.1.0.2/24 fd01::2/64
            link director s1 one d0 10.2.1.1/24 fd02:1::1/64 10.2.1.2/24 fd02:1::2/64
            link director s2 two d0 10.2.2.1/24 fd02:2::1/64 10.2.2.2/24 fd02:2::2/64
            ip -n one route add default via 10.2.1.1; ip -n two route add default via 10.2.2.1
            ip -n one route add default via fd02:1::1; ip -n two route add default via fd02:2::1
            ip -n director addr add 10.1.0.100/32 dev c0
            ip -n director addr add fd01::100/128 dev c0 nodad
            ip netns exec director sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
        );
        net
    }

    /// All on one wire: client 10.3.0.2, director 10.3.0.1 with the VIP 10.3.0.100, servers
    /// 10.3.0.11 and .12, which have the VIP too and keep silent about it; the same with fd03::.
    pub(crate) fn bridged() -> Self {
        let net = Self::namespaces();
        sh("ip link add wire type bridge; ip link set wire up
            join() { ip link add v$1 type veth peer name e0 netns $1
                     ip link set v$1 master wire up
                     ip -n $1 addr add 10.3.0.$2/24 dev e0
                     ip -n $1 addr add fd03::$2/64 dev e0 nodad; ip -n $1 link set e0 up; }
            join client 2; join director 1; join one 11; join two 12
            ip -n director addr add 10.3.0.100/32 dev e0
            # Else the director sends its tunnels' packets from the VIP, which the servers have too.
            ip -n director addr add fd03::100/128 dev e0 nodad preferred_lft 0
            for server in one two; do
                ip netns exec $server sysctl -qw net.ipv4.conf.all.arp_ignore=1 \\
                    net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.rp_filter=0 \\
                    net.ipv4.conf.default.rp_filter=0
                ip -n $server addr add 10.3.0.100/32 dev lo
                # Nobody answers for an IPv6 address of another interface.
                ip -n $server addr add fd03::100/128 dev lo nodad
            done");
        net
    }

    fn namespaces() -> Self {
        sh("for name in client director one two; do
                ip netns add $name; ip -n $name link set lo up
            done");
        Self
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // A namespace lives on while a socket is left in it, so its links are taken out first.
        output(
            "for name in client director one two; do
                for link in c0 d0 s1 s2 e0; do ip -n $name link del $link; done
                ip netns del $name
            done
            ip link del wire",
        );
    }
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

fn sctp(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::SCTP))
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
        let mut buffer = [0; 64];
        self.0.send_to(b"who?", self.1).ok()?;
        let (length, _) = self.0.recv_from(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

/// Asks six times; round robin gives three to each.
pub(crate) fn is_shared(ask: impl Fn(SocketAddr) -> String, vip: &str) {
    let mut answers: Vec<_> = (0..6).map(|_| ask(address(vip))).collect();
    answers.sort_unstable();
    assert_eq!(answers, ["one", "one", "one", "two", "two", "two"]);
}
