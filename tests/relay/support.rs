//! Servers, clients and waiting.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use piranha::ipvs::relay::ServiceStatus;
use piranha::ipvs::{Backend, Destination, Op, Service, ServiceKey};
use piranha::net::Weight;
use piranha::runtime::relay::{Relay, RelayConfig};
use piranha::scheduler::{Flow, Scheduler, Server, Servers};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// How long a condition may take to come true; far more than it should.
const PATIENCE: Duration = Duration::from_secs(20);

/// Servers in turn, so that the tests know who is next.
struct Turn(usize);

impl Scheduler for Turn {
    fn name(&self) -> &'static str {
        "turn"
    }

    fn pick(&mut self, _: &Flow, servers: &Servers) -> Option<usize> {
        let count = servers.len();
        let next = (0..count)
            .map(|step| (self.0 + step) % count)
            .find(|&position| servers.at(position).is_some_and(Server::is_eligible))?;
        self.0 = next + 1;
        Some(next)
    }

    fn start(&mut self, _: &Servers) {}
}

pub(crate) fn config() -> RelayConfig {
    let mut config = RelayConfig::default();
    config.workers = std::num::NonZeroUsize::new(2);
    config.scheduler = |name, _options| match name {
        "wlc" | "turn" => Some(Box::new(Turn(0))),
        _ => None,
    };
    config
}

pub(crate) fn relay() -> Relay {
    Relay::new(config()).unwrap()
}

pub(crate) async fn apply(relay: &Relay, op: Op) {
    let applied = relay.clone().apply(&[op]).await.unwrap();
    for result in applied {
        result.unwrap();
    }
}

/// Adds `service` with `servers` and acquires its address.
pub(crate) async fn serve(relay: &Relay, service: Service, servers: &[SocketAddr]) {
    let key = service.key();
    apply(relay, Op::AddService(service)).await;
    for server in servers {
        apply(relay, Op::AddDestination(key, Destination::new(*server))).await;
    }
    relay.acquire(key.vip().unwrap()).await.unwrap();
}

pub(crate) async fn set_weight(relay: &Relay, key: ServiceKey, server: SocketAddr, weight: u32) {
    let destination = Destination::new(server).with_weight(Weight::new(weight).unwrap());
    apply(relay, Op::EditDestination(key, destination)).await;
}

/// A loopback address no other test uses, with a port free on it.
pub(crate) fn vip() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let host = NEXT.fetch_add(1, Ordering::Relaxed);
    let [low, high, ..] = std::process::id().to_le_bytes();
    let address = Ipv4Addr::new(127, 1 + (high & 0x3f), low, host);
    free_port(address.into())
}

/// A port free on the IPv6 loopback address.
pub(crate) fn vip6() -> SocketAddr {
    free_port(Ipv6Addr::LOCALHOST.into())
}

fn free_port(address: IpAddr) -> SocketAddr {
    let probe = TcpListener::bind((address, 0)).unwrap();
    probe.local_addr().unwrap()
}

/// A loopback address like `vip`'s, of the same family.
pub(crate) fn localhost(vip: SocketAddr) -> IpAddr {
    match vip {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// An address where nothing listens.
pub(crate) fn dead() -> SocketAddr {
    free_port(Ipv4Addr::LOCALHOST.into())
}

/// Runs `serve` in a thread for each connection to the address returned.
pub(crate) fn server(
    address: IpAddr,
    serve: impl Fn(TcpStream) + Clone + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (serve, stream) = (serve.clone(), stream.unwrap());
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Sends back what it gets, until the end.
pub(crate) fn echo_server(address: IpAddr) -> SocketAddr {
    server(address, |stream| {
        let _ = std::io::copy(&mut &stream, &mut &stream);
    })
}

/// Says its own port in two bytes and then echoes.
pub(crate) fn named_server() -> SocketAddr {
    server(Ipv4Addr::LOCALHOST.into(), |stream| {
        let port = stream.local_addr().unwrap().port();
        let _ = (&stream).write_all(&port.to_be_bytes());
        let _ = std::io::copy(&mut &stream, &mut &stream);
    })
}

/// Sends back datagrams, its own port first. Counts how many it got.
pub(crate) fn udp_server(address: IpAddr) -> (SocketAddr, Arc<AtomicU64>) {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer[2..]) {
            seen.fetch_add(1, Ordering::SeqCst);
            buffer[..2].copy_from_slice(&address.port().to_be_bytes());
            let _ = socket.send_to(&buffer[..length + 2], from);
        }
    });
    (address, count)
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(crate) fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

/// Which server of [`named_server`] is at the other end.
pub(crate) fn who(stream: &TcpStream) -> u16 {
    let mut port = [0; 2];
    { stream }.read_exact(&mut port).unwrap();
    u16::from_be_bytes(port)
}

pub(crate) fn echoes(stream: &TcpStream) -> bool {
    let mut answer = [0; 4];
    { stream }.write_all(b"ping").is_ok()
        && { stream }.read_exact(&mut answer).is_ok()
        && &answer == b"ping"
}

/// Whether the connection ends with a reset rather than in order.
pub(crate) fn is_reset(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest);
    end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Waits for a condition.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn status(relay: &Relay, key: ServiceKey) -> ServiceStatus {
    relay.status().into_iter().find(|s| s.key == key).unwrap()
}

/// Everything has ended and is counted so.
pub(crate) fn balances(relay: &Relay) {
    eventually("no connection is left", || relay.connections() == 0);
    for service in relay.status() {
        for destination in service.destinations {
            assert_eq!(destination.load.total(), 0, "{destination:?}");
        }
    }
}

/// Reproducible bytes that do not repeat, and their checksum.
pub(crate) struct Noise {
    state: u64,
    pub(crate) sum: u64,
}

impl Noise {
    pub(crate) fn new() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, sum: 0 }
    }

    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        for word in buffer.chunks_exact_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            word.copy_from_slice(&self.state.to_le_bytes());
        }
        self.sum = checksum(self.sum, buffer);
    }
}

/// Depends on every byte and on their order, not on how they are cut up.
pub(crate) fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(sum, step)
}

/// Writes `total` bytes of noise, ends the stream, and returns the checksum.
pub(crate) fn send_noise(stream: &TcpStream, total: usize) -> u64 {
    let mut noise = Noise::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut left = total;
    while left > 0 {
        let size = left.min(buffer.len());
        noise.fill(&mut buffer[..size]);
        { stream }.write_all(&buffer[..size]).unwrap();
        left -= size;
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    noise.sum
}

/// Reads to the end; returns how much there was and its checksum.
pub(crate) fn receive(stream: &TcpStream) -> (usize, u64) {
    let mut buffer = vec![0; 128 * 1024];
    let (mut total, mut sum) = (0, 0);
    loop {
        match { stream }.read(&mut buffer).unwrap() {
            0 => return (total, sum),
            count => {
                total += count;
                sum = checksum(sum, &buffer[..count]);
            }
        }
    }
}
