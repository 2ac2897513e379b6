//! Clients, a director and real servers in network namespaces.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use piranha::runtime::kernel::Namespace;

use crate::lab::{output, sh};

const PATIENCE: Duration = Duration::from_secs(10);

/// Namespaces `client`, `director`, `partner`, `one` and `two`, gone when this is dropped.
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
    /// 10.3.0.11 and .12, which have the VIP too and keep silent about it.
    pub(crate) fn bridged() -> Self {
        let net = Self::namespaces();
        sh("ip link add wire type bridge; ip link set wire up
            join() { ip link add v$1 type veth peer name e0 netns $1
                     ip link set v$1 master wire up
                     ip -n $1 addr add $2/24 dev e0; ip -n $1 link set e0 up; }
            join client 10.3.0.2; join director 10.3.0.1; join one 10.3.0.11; join two 10.3.0.12
            ip -n director addr add 10.3.0.100/32 dev e0
            for server in one two; do
                ip netns exec $server sysctl -qw net.ipv4.conf.all.arp_ignore=1 \\
                    net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.rp_filter=0 \\
                    net.ipv4.conf.default.rp_filter=0
                ip -n $server addr add 10.3.0.100/32 dev lo
            done");
        net
    }

    /// Two directors between two wires: `director` (10.3.0.1, 10.4.0.1) and `partner` (10.3.0.3,
    /// 10.4.0.3), both forwarding, the client 10.3.0.2 on the one side, the servers 10.4.0.11 and
    /// .12 on the other. Their gateway is 10.4.0.254, which nobody has yet.
    pub(crate) fn pair() -> Self {
        let net = Self::namespaces();
        sh("for wire in wire inner; do ip link add $wire type bridge; ip link set $wire up; done
            join() { ip link add v$1$2 type veth peer name $3 netns $1
                     ip link set v$1$2 master $2 up
                     ip -n $1 addr add $4/24 dev $3; ip -n $1 link set $3 up; }
            join client wire e0 10.3.0.2
            join director wire e0 10.3.0.1; join director inner e1 10.4.0.1
            join partner wire e0 10.3.0.3; join partner inner e1 10.4.0.3
            join one inner e0 10.4.0.11; join two inner e0 10.4.0.12
            for name in one two; do ip -n $name route add default via 10.4.0.254; done
            for name in director partner; do
                ip netns exec $name sysctl -qw net.ipv4.ip_forward=1
            done");
        net
    }

    fn namespaces() -> Self {
        sh("for name in client director partner one two; do
                ip netns add $name; ip -n $name link set lo up
            done");
        Self
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // A namespace lives on while a socket is left in it, so its links are taken out first.
        output(
            "for name in client director partner one two; do
                for link in c0 d0 s1 s2 e0 e1; do ip -n $name link del $link; done
                ip netns del $name
            done
            ip link del wire; ip link del inner",
        );
    }
}

pub(crate) fn inside<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    Namespace::open(format!("/run/netns/{name}")).unwrap().run(work).unwrap()
}

/// A server in the namespace `name` that tells each TCP client its name and waits for its end.
pub(crate) fn serve_tcp(name: &'static str, address: SocketAddr) {
    let listener = inside(name, || TcpListener::bind(address).unwrap());
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
    let stream = inside("client", || TcpStream::connect_timeout(&vip, PATIENCE).unwrap());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The name of the server a new connection reaches.
pub(crate) fn ask_tcp(vip: SocketAddr) -> String {
    let mut name = String::new();
    open(vip).read_to_string(&mut name).unwrap();
    name
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
    let any = if vip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = inside("client", || UdpSocket::bind(any).unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 64];
    // The first datagram over a fresh wire may be lost to address resolution.
    let mut ask = || {
        socket.send_to(b"who?", vip).ok()?;
        let (length, _) = socket.recv_from(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    (0..3).find_map(|_| ask()).expect("an answer")
}
