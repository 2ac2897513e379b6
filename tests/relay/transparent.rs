//! Servers that see the client's address, in network namespaces of the test's own.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use piranha::ipvs::relay::RelayOptions;
use piranha::ipvs::{Service, ServiceKey};
use piranha::runtime::relay::{OptionsError, Relay};
use rustix::thread::{CapabilitySet, LinkNameSpaceType, move_into_link_name_space};

use crate::support::*;

fn transparent() -> RelayOptions {
    let mut options = RelayOptions::default();
    options.transparent = true;
    options
}

/// Client, relay and server, each in a namespace, in a row. Removed when dropped.
struct Lab {
    name: String,
}

const LINKS: [&str; 12] = [
    "link add {n}c type veth peer name {n}rc",
    "link set {n}c netns {n}c",
    "link set {n}rc netns {n}r",
    "link add {n}s type veth peer name {n}rs",
    "link set {n}s netns {n}s",
    "link set {n}rs netns {n}r",
    "-n {n}c link set lo up",
    "-n {n}r link set lo up",
    "-n {n}s link set lo up",
    // What the server sends back is for addresses that are not the relay's: it is led in all the
    // same. These four are what an operator has to set up.
    "-n {n}r rule add iif {n}rs lookup 100",
    "-n {n}r route add local default dev lo table 100",
    "-n {n}r -6 rule add iif {n}rs lookup 100",
];

const ADDRESSES: [&str; 15] = [
    "-n {n}r -6 route add local default dev lo table 100",
    "-n {n}c address add 10.77.1.2/24 dev {n}c",
    "-n {n}r address add 10.77.1.1/24 dev {n}rc",
    "-n {n}r address add 10.77.2.1/24 dev {n}rs",
    "-n {n}s address add 10.77.2.2/24 dev {n}s",
    "-n {n}c address add fd77:1::2/64 dev {n}c nodad",
    "-n {n}r address add fd77:1::1/64 dev {n}rc nodad",
    "-n {n}r address add fd77:2::1/64 dev {n}rs nodad",
    "-n {n}s address add fd77:2::2/64 dev {n}s nodad",
    "-n {n}c link set {n}c up",
    "-n {n}r link set {n}rc up",
    "-n {n}r link set {n}rs up",
    "-n {n}s link set {n}s up",
    "-n {n}s route add default via 10.77.2.1",
    "-n {n}s -6 route add default via fd77:2::1",
];

impl Lab {
    /// `None`, said aloud, where namespaces cannot be made.
    fn new() -> Option<Self> {
        let lab = Self { name: format!("prt{}", std::process::id() % 100_000) };
        let mut namespaces = ["netns add {n}c", "netns add {n}r", "netns add {n}s"].iter();
        if !namespaces.all(|words| lab.ip(words)) {
            // Not through the macro: the test's output is shown only when it fails.
            let _ =
                writeln!(std::io::stderr(), "NOT TESTED: transparent addresses need root and ip");
            return None;
        }
        for words in LINKS.iter().chain(&ADDRESSES) {
            assert!(lab.ip(words), "ip {words}");
        }
        Some(lab)
    }

    fn ip(&self, words: &str) -> bool {
        let words = words.replace("{n}", &self.name);
        let run = Command::new("ip").args(words.split(' ')).output();
        run.is_ok_and(|output| output.status.success())
    }

    /// Runs `work` in a thread of the namespace; sockets made there stay there.
    fn within<T: Send + 'static>(&self, who: char, work: impl FnOnce() -> T + Send + 'static) -> T {
        let file = File::open(format!("/run/netns/{}{who}", self.name)).unwrap();
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        });
        thread.join().unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for who in ["c", "r", "s"] {
            self.ip(&format!("netns delete {{n}}{who}"));
        }
    }
}

/// A relay of the namespace with `service` on one server.
fn relay_within(lab: &Lab, key: ServiceKey, server: SocketAddr) -> Relay {
    lab.within('r', move || {
        let relay = relay();
        relay.set_options([(key, transparent())].into()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(serve(&relay, Service::new(key), &[server]));
        relay
    })
}

const FAMILIES: [(&str, &str, &str); 2] =
    [("10.77.1.2", "10.77.1.1", "10.77.2.2"), ("fd77:1::2", "fd77:1::1", "fd77:2::2")];

/// Says who each client is and then echoes.
fn telling_server(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            writeln!(stream, "{}", stream.peer_addr().unwrap().ip()).unwrap();
            let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
        }
    });
}

fn telling_udp_server(socket: UdpSocket) {
    std::thread::spawn(move || {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 100]) {
            let _ = socket.send_to(from.ip().to_string().as_bytes(), from);
        }
    });
}

#[test]
fn servers_see_the_client_as_the_source() {
    let Some(lab) = Lab::new() else {
        return;
    };
    for (client, vip, server) in FAMILIES {
        let [client, vip, server] = [client, vip, server].map(|ip| ip.parse::<IpAddr>().unwrap());
        let vip = SocketAddr::new(vip, 8080);
        tcp_client_is_seen(&lab, client, vip, server);
        udp_client_is_seen(&lab, client, vip, server);
    }
}

fn tcp_client_is_seen(lab: &Lab, client: IpAddr, vip: SocketAddr, server: IpAddr) {
    let listener = lab.within('s', move || TcpListener::bind((server, 0)).unwrap());
    let relay = relay_within(lab, ServiceKey::tcp(vip), listener.local_addr().unwrap());
    telling_server(listener);
    let seen = lab.within('c', move || {
        let stream = TcpStream::connect(vip).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        send_noise(&stream, 1 << 20);
        let mut text = Vec::new();
        { &stream }.read_to_end(&mut text).unwrap();
        text
    });
    let line = format!("{client}\n");
    assert!(seen.starts_with(line.as_bytes()), "{:?}", String::from_utf8_lossy(&seen[..20]));
    assert_eq!(seen.len(), line.len() + (1 << 20), "a large stream passes whole");
    balances(&relay);
}

fn udp_client_is_seen(lab: &Lab, client: IpAddr, vip: SocketAddr, server: IpAddr) {
    let socket = lab.within('s', move || UdpSocket::bind((server, 0)).unwrap());
    let relay = relay_within(lab, ServiceKey::udp(vip), socket.local_addr().unwrap());
    telling_udp_server(socket);
    let seen = lab.within('c', move || {
        let socket = UdpSocket::bind((client, 0)).unwrap();
        socket.connect(vip).unwrap();
        ask_until_answered(&socket)
    });
    assert_eq!(seen, client.to_string());
    assert_eq!(relay.connections(), 1);
}

/// A first datagram may be lost while the neighbours are looked for.
fn ask_until_answered(socket: &UdpSocket) -> String {
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut buffer = [0; 100];
    loop {
        socket.send(b"who am I").unwrap();
        if let Ok(length) = socket.recv(&mut buffer) {
            return String::from_utf8_lossy(&buffer[..length]).into_owned();
        }
        assert!(Instant::now() < deadline, "no answer");
    }
}

#[test]
fn without_the_privilege_the_options_are_refused_and_nothing_changes() {
    let relay = relay();
    let key = ServiceKey::tcp(dead());
    let kept = relay.clone();
    // Privilege is the thread's: another one keeps what the process has.
    let refused = std::thread::spawn(move || {
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective -= CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW;
        rustix::thread::set_capabilities(None, sets).unwrap();
        let mut options = transparent();
        options.max_connections = std::num::NonZeroU32::new(1);
        kept.set_options([(key, options)].into()).unwrap_err()
    });
    let refused = refused.join().unwrap();
    assert!(matches!(refused, OptionsError::Transparent { service, .. } if service == key));
    assert!(refused.to_string().contains("CAP_NET_ADMIN is missing"), "{refused}");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(serve(&relay, Service::new(key), &[]));
    assert_eq!(status(&relay, key).limit.most, None);
}
