//! Packets with any source, written by hand, so that thousands of clients fit into one namespace
//! and a connection's state is what its segments make it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use piranha::net::Protocol;
use piranha::scheduler::Flow;
use socket2::{Domain, Socket, Type};

use crate::lab::{output, sh};
use crate::net::inside;

/// Namespaces `client` and `director`. Whatever is sent to 10.8.0.0/16 or fd08::/64 reaches the
/// director, which has those addresses; whatever it sends on to servers in 10.2.0.0/16 or fd02::/64
/// vanishes, so that only the client's packets change the state of a connection.
pub(crate) struct Void {
    v4: Socket,
    v6: Socket,
    markers: [Marker; 2],
}

/// Packets of one family that are waited for.
struct Marker {
    near: UdpSocket,
    far: UdpSocket,
}

impl Void {
    pub(crate) fn new() -> Self {
        sh("ip netns add client; ip netns add director
            ip link add c0 netns director type veth peer name d0 netns client
            for name in client director; do ip -n $name link set lo up; done
            ip -n director addr add 10.1.0.1/24 dev c0
            ip -n director addr add fd01::1/64 dev c0 nodad
            ip -n client addr add 10.1.0.2/24 dev d0; ip -n client addr add fd01::2/64 dev d0 nodad
            ip netns exec director sysctl -qw net.ipv4.conf.all.rp_filter=0 \\
                net.ipv4.conf.c0.rp_filter=0
            ip -n director link set c0 up; ip -n client link set d0 up
            ip -n director link add dummy0 type dummy; ip -n director link set dummy0 up
            ip -n director addr add 10.2.255.254/16 dev dummy0
            ip -n director addr add fd02::ffff/64 dev dummy0 nodad
            ip -n director route add local 10.8.0.0/16 dev lo
            ip -n director -6 route add local fd08::/64 dev lo
            ip -n director route add default via 10.1.0.2
            ip -n director -6 route add default via fd01::2
            ip -n client route add 10.8.0.0/16 via 10.1.0.1
            ip -n client -6 route add fd08::/64 via fd01::1");
        // IPPROTO_RAW: the header is ours.
        let raw = |domain| Socket::new(domain, Type::RAW, Some(255.into())).unwrap();
        let udp = |name, address| inside(name, || UdpSocket::bind::<SocketAddr>(address).unwrap());
        let ends = [("10.1.0.2:9", "10.1.0.1:9"), ("[fd01::2]:9", "[fd01::1]:9")];
        let markers = ends.map(|(near, far)| {
            let far = udp("director", far.parse().unwrap());
            far.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let near = udp("client", near.parse().unwrap());
            near.connect(far.local_addr().unwrap()).unwrap();
            Marker { near, far }
        });
        let (v4, v6) = inside("client", || (raw(Domain::IPV4), raw(Domain::IPV6)));
        let void = Self { v4, v6, markers };
        void.settle();
        void
    }

    pub(crate) fn send(&self, packet: Packet) {
        let to = SocketAddr::new(packet.flow.destination.ip(), 0);
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        socket.send_to(&packet.bytes(), &to.into()).unwrap();
    }

    /// Returns once the director has seen everything sent so far: a wire keeps the order, and so
    /// does what waits for an answer of the neighbour, of each family by itself.
    pub(crate) fn settle(&self) {
        for Marker { near, far } in &self.markers {
            near.send(b"seen?").unwrap();
            far.recv_from(&mut [0; 16]).unwrap();
        }
    }
}

impl Drop for Void {
    fn drop(&mut self) {
        output("ip -n director link del c0; ip netns del client; ip netns del director");
    }
}

/// One packet of a client.
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) flow: Flow,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Syn,
    Ack,
    Fin,
    Datagram,
}

impl Packet {
    /// Without checksums, which nobody on the way asks for; the kernel writes that of IPv4.
    fn bytes(&self) -> Vec<u8> {
        let segment = self.segment();
        let mut bytes = match (self.flow.source.ip(), self.flow.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = u16::try_from(20 + segment.len()).unwrap().to_be_bytes();
                let [high, low] = length;
                let mut header = vec![0x45, 0, high, low, 0, 0, 0, 0, 64, self.protocol(), 0, 0];
                header.extend(source.octets().into_iter().chain(destination.octets()));
                header
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let [high, low] = u16::try_from(segment.len()).unwrap().to_be_bytes();
                let mut header = vec![0x60, 0, 0, 0, high, low, self.protocol(), 64];
                header.extend(source.octets().into_iter().chain(destination.octets()));
                header
            }
            _ => panic!("a flow of one family"),
        };
        bytes.extend(segment);
        bytes
    }

    fn protocol(&self) -> u8 {
        let protocol = match self.kind {
            Kind::Datagram => Protocol::Udp,
            Kind::Syn | Kind::Ack | Kind::Fin => Protocol::Tcp,
        };
        protocol.number()
    }

    fn segment(&self) -> Vec<u8> {
        let ports = [self.flow.source.port(), self.flow.destination.port()];
        let mut segment: Vec<_> = ports.into_iter().flat_map(u16::to_be_bytes).collect();
        let flags = match self.kind {
            Kind::Datagram => {
                segment.extend([0, 8, 0, 0]);
                return segment;
            }
            Kind::Syn => 0x02,
            Kind::Ack => 0x10,
            Kind::Fin => 0x11,
        };
        segment.extend([0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment
    }
}
