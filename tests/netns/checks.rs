//! The way a check takes: from an address of its own, and with a firewall mark that routing rules
//! look at. Every kind of check over TCP and UDP reaches its server in one of these ways.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use piranha::health::{CheckPath, CheckSpec, Expect, Failure};
use piranha::net::{FirewallMark, Protocol};
use piranha::runtime::checks::{Dialer, build_with};

use crate::wire::{Station, Wire};

const PORT: u16 = 7007;
const MARK: u32 = 7;
/// Addresses of station 2 that station 1 has a route to in table 77 only.
const AWAY: [&str; 2] = ["198.51.100.2", "2001:db8:77::2"];
const PATIENCE: Duration = Duration::from_secs(10);

/// Tells everybody their address, over TCP and UDP.
fn tell_addresses(station: &Station, address: IpAddr) {
    let place = SocketAddr::new(address, PORT);
    let (listener, socket) = station.inside(|| {
        let listener = TcpListener::bind(place).expect("a free port");
        (listener, UdpSocket::bind(place).expect("a free port"))
    });
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok(peer) = stream.peer_addr() else { continue };
            let _ = stream.write_all(peer.ip().to_string().as_bytes());
        }
    });
    std::thread::spawn(move || {
        while let Ok((_, peer)) = socket.recv_from(&mut [0; 64]) {
            let _ = socket.send_to(peer.ip().to_string().as_bytes(), peer);
        }
    });
}

fn probe(
    station: &Station,
    spec: &CheckSpec,
    path: CheckPath,
    server: SocketAddr,
) -> Result<(), Failure> {
    let check = build_with(spec, Protocol::Tcp, &Dialer::new(path)).expect("it makes sense");
    station.inside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(check.probe(server, PATIENCE))
    })
}

/// What an answer with this address passes.
fn seen_as(address: &str) -> [CheckSpec; 2] {
    let (send, expect) = (b"who am I".to_vec(), Expect::Prefix(address.as_bytes().to_vec()));
    [
        CheckSpec::SendExpect { send: Vec::new(), expect: expect.clone() },
        CheckSpec::Datagram { send, expect },
    ]
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn checks_come_from_the_address_they_are_told_to() {
    let wire = Wire::new();
    let (director, server) = (wire.station(1), wire.station(2));
    director.ip("addr add 10.77.0.101/24 dev eth0");
    director.ip("addr add fd77::101/64 dev eth0 nodad");
    let cases = [("10.77.0.2", "10.77.0.101"), ("fd77::2", "fd77::101")];
    for (address, source) in cases {
        let address: IpAddr = address.parse().expect("an address");
        tell_addresses(&server, address);
        let path = CheckPath::default().with_source(source.parse().ok()).with_port(Some(PORT));
        for spec in seen_as(source) {
            let place = SocketAddr::new(address, 1);
            assert_eq!(probe(&director, &spec, path, place), Ok(()), "{spec:?}");
        }
        assert_eq!(probe(&director, &CheckSpec::Ping, path, (address, 0).into()), Ok(()));
        let strange = path.with_source("192.0.2.77".parse().ok().filter(|_| address.is_ipv4()));
        if strange.source.is_some() {
            let verdict = probe(&director, &CheckSpec::Connect, strange, (address, 1).into());
            assert!(matches!(verdict, Err(Failure::Inconclusive(_))), "{verdict:?}");
        }
    }
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_mark_takes_checks_along_the_route_of_its_rule() {
    let wire = Wire::new();
    let (director, server) = (wire.station(1), wire.station(2));
    for (family, via, away) in [("-4", "10.77.0.2", AWAY[0]), ("-6", "fd77::2", AWAY[1])] {
        let length = if family == "-4" { 32 } else { 128 };
        server.ip(&format!("addr add {away}/{length} dev lo"));
        director.ip(&format!("{family} rule add fwmark {MARK} lookup 77"));
        director.ip(&format!("{family} route add {away} via {via} dev eth0 table 77"));
    }
    // The answers come from where no unmarked packet would go.
    director.inside(|| {
        for link in ["all", "eth0"] {
            let path = format!("/proc/sys/net/ipv4/conf/{link}/rp_filter");
            std::fs::write(path, "0").expect("root may");
        }
    });
    for (away, ours) in AWAY.iter().zip(["10.77.0.1", "fd77::1"]) {
        let address: IpAddr = away.parse().expect("an address");
        tell_addresses(&server, address);
        let [tcp, udp] = seen_as(ours);
        for spec in [CheckSpec::Connect, tcp, udp, CheckSpec::Ping] {
            let place = SocketAddr::new(address, PORT);
            let marked = CheckPath::default().with_mark(FirewallMark::new(MARK));
            assert_eq!(probe(&director, &spec, marked, place), Ok(()), "{spec:?}");
            let other = CheckPath::default().with_mark(FirewallMark::new(MARK + 1));
            for path in [CheckPath::default(), other] {
                assert!(probe(&director, &spec, path, place).is_err(), "{spec:?}");
            }
        }
    }
}
