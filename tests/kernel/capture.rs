//! A conversation with a real kernel, recorded in the lab and replayed anywhere.
//!
//! The recording is `target/.../kernel-lab*/out/capture` after a run of the lab; the one kept in
//! `fixtures/` was made on Linux 6.1, little-endian.

use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroU16;
use std::time::Duration;

use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};
use piranha::ipvs::kernel::{
    Daemon, DaemonRole, Exchange, KernelError, RECEIVE_BUFFER, Reply, Request, Timeouts,
};
use piranha::ipvs::{Service, ServiceKey};

use crate::lab::{address, lab, results, server, tcp};
use crate::samples;

type Answers = Vec<Result<Vec<Reply>, KernelError>>;

/// Every request there is, on an empty table.
fn script() -> Vec<Request> {
    let web = tcp("192.0.2.1:80");
    let mut requests = Vec::new();
    for entry in samples::everything().iter() {
        requests.push(Request::AddService(entry.service().clone()));
        let key = entry.service().key();
        requests.extend(entry.destinations().map(|d| Request::AddDestination(key, *d)));
    }
    let secs = Duration::from_secs;
    let backup = Daemon::new(DaemonRole::Backup, "lo").unwrap().with_sync_id(7);
    let backup = backup.with_port(NonZeroU16::new(8849).unwrap());
    requests.extend([
        Request::ListServices,
        Request::ListDestinations(web),
        Request::ListDestinations(tcp("[2001:db8::1]:80")),
        Request::GetService(ServiceKey::udp(address("192.0.2.1:53"))),
        Request::AddService(Service::new(web)),
        Request::GetService(tcp("192.0.2.9:80")),
        Request::EditDestination(web, server("10.9.9.9:80")),
        Request::AddDestination(web, server("0.0.0.0:80")),
        Request::SetTimeouts(Timeouts::new(secs(900), secs(120), secs(300))),
        Request::GetTimeouts,
        Request::GetInfo,
        Request::Zero(Some(web)),
        Request::Zero(None),
        Request::EditService(Service::new(web).with_scheduler("rr".parse().unwrap())),
        Request::RemoveDestination(web, address("10.0.0.1:8080")),
        Request::RemoveService(web),
        Request::Flush,
        // Not before: no daemon starts while destinations of mixed families exist.
        Request::StartDaemon(backup),
        Request::ListDaemons,
        Request::StopDaemon(DaemonRole::Backup),
    ]);
    requests
}

/// What the kernel must have answered.
fn judge(answers: &Answers) {
    let mut answers = answers.iter();
    let table = samples::everything();
    let additions = table.iter().map(|entry| 1 + entry.destinations().len()).sum();
    assert!(answers.by_ref().take(additions).all(|answer| *answer == Ok(vec![])));

    let mut next = || answers.next().unwrap().clone();
    let mut services: Vec<_> = next().unwrap().into_iter().map(service).collect();
    services.sort_by_key(Service::key);
    assert!(services.iter().eq(table.iter().map(|entry| entry.service())));
    for key in [tcp("192.0.2.1:80"), tcp("[2001:db8::1]:80")] {
        let listed: Vec<_> = next().unwrap().into_iter().map(destination).collect();
        // The newest comes first.
        let expected = table.get(&key).unwrap().destinations();
        assert!(listed.iter().rev().eq(expected), "{listed:?}");
    }
    let one = next().unwrap().remove(0);
    assert!(service(one).one_packet());
    for words in [
        "service TCP 192.0.2.1:80: already exists",
        "service TCP 192.0.2.9:80: there is no such service",
        "destination 10.9.9.9:80 of TCP 192.0.2.1:80: there is no such destination",
    ] {
        assert_eq!(next().unwrap_err().to_string(), words);
    }
    assert_eq!(next().unwrap_err().errno(), Some(22));
    assert_eq!(next(), Ok(vec![]));
    assert!(matches!(&next().unwrap()[..], [Reply::Timeouts(t)] if t.tcp_fin.as_secs() == 120));
    assert!(matches!(&next().unwrap()[..], [Reply::Info(i)] if i.version_parts() == [1, 2, 1]));
    for _ in 0..7 {
        assert_eq!(next(), Ok(vec![]));
    }
    let daemons = next().unwrap();
    let [Reply::Daemon(daemon)] = &daemons[..] else { panic!("{daemons:?}") };
    let port = daemon.port().map(NonZeroU16::get);
    assert_eq!((daemon.role(), daemon.sync_id(), port), (DaemonRole::Backup, 7, Some(8849)));
    assert_eq!(next(), Ok(vec![]));
    assert!(answers.next().is_none());
}

fn service(reply: Reply) -> Service {
    let Reply::Service(status) = reply else { panic!("{reply:?}") };
    assert!(status.exact && status.unknown.is_empty());
    status.service
}

fn destination(reply: Reply) -> piranha::ipvs::Destination {
    let Reply::Destination(status) = reply else { panic!("{reply:?}") };
    assert!(status.exact && status.unknown.is_empty());
    status.destination
}

fn drain(exchange: &mut Exchange) -> Answers {
    let mut outcomes: Vec<_> = std::iter::from_fn(|| exchange.poll_outcome()).collect();
    outcomes.sort_by_key(|outcome| outcome.ticket);
    outcomes.into_iter().map(|outcome| outcome.result).collect()
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_conversation_with_the_kernel_is_recorded() {
    let _lab = lab();
    let mut socket = Socket::new(NETLINK_GENERIC).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&SocketAddr::new(0, 0)).unwrap();
    let mut exchange = Exchange::new();
    for request in script() {
        exchange.submit(request);
    }
    let (mut capture, mut bytes) = (String::new(), Vec::with_capacity(RECEIVE_BUFFER));
    while !exchange.is_idle() {
        bytes.clear();
        exchange.poll_transmit(&mut bytes);
        if !bytes.is_empty() {
            socket.send(&bytes, 0).unwrap();
            writeln!(capture, "> {}", hex(&bytes)).unwrap();
        }
        bytes.clear();
        socket.recv(&mut bytes, 0).unwrap();
        writeln!(capture, "< {}", hex(&bytes)).unwrap();
        exchange.handle_datagram(&bytes);
    }
    judge(&drain(&mut exchange));
    fs::write(results().join("capture"), capture).unwrap();
}

#[cfg(target_endian = "little")]
#[test]
fn the_recorded_conversation_runs_the_same_without_the_kernel() {
    let mut exchange = Exchange::new();
    for request in script() {
        exchange.submit(request);
    }
    for line in include_str!("fixtures/linux-6.1").lines() {
        let (direction, bytes) = line.split_once(' ').unwrap();
        if direction == ">" {
            let mut sent = Vec::new();
            exchange.poll_transmit(&mut sent);
            assert_eq!(hex(&sent), bytes);
        } else {
            exchange.handle_datagram(&unhex(bytes));
        }
    }
    assert!(exchange.is_idle());
    judge(&drain(&mut exchange));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}
