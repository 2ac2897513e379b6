//! What the kernel needs for a restore: the same messages, encoded before the clock starts.
//!
//! `benches/peers/ipvsadm/run` starts it in the lab. It empties the table.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::net::SocketAddr;
use std::time::Instant;

use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr as NetlinkAddr};
use piranha::ipvs::kernel::{Request, encode_family_lookup};
use piranha::ipvs::{Destination, Forwarding, Service, ServiceKey};
use piranha::net::Weight;

/// Where the number of the family stands in the answer to its look-up: behind the headers and the
/// name, `IPVS` with its end and padding.
const FAMILY_AT: usize = 16 + 4 + 12 + 4;
const LONGEST_ANSWER: usize = 36;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u32>().unwrap());
    let (services, servers) = (arguments.next().unwrap(), arguments.next().unwrap());
    let requests = requests(services, servers);
    // One by one as libipvs sends them; in batches; and in batches acknowledged once, as ours.
    for (name, batch, acknowledged) in [
        ("one-by-one", 1, Acknowledged::Each),
        ("batches", 50, Acknowledged::Each),
        ("batches-acknowledged-once", 50, Acknowledged::Last),
    ] {
        let micros = send(&requests, batch, acknowledged);
        println!("messages {name} {micros}");
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Acknowledged {
    Each,
    Last,
}

fn requests(services: u32, servers: u32) -> Vec<Request> {
    let rr: piranha::ipvs::SchedulerName = "rr".parse().unwrap();
    let mut requests = Vec::new();
    for n in 0..services {
        let vip: SocketAddr = format!("10.{}.{}.1:80", 1 + n / 250, n % 250).parse().unwrap();
        let key = ServiceKey::tcp(vip);
        requests.push(Request::AddService(Service::new(key).with_scheduler(rr.clone())));
        for s in 1..=servers {
            let address: SocketAddr = format!("10.200.0.{s}:80").parse().unwrap();
            let server = Destination::new(address).with_forwarding(Forwarding::Nat);
            let weighted = server.with_weight(Weight::new(s).unwrap());
            requests.push(Request::AddDestination(key, weighted));
        }
    }
    requests
}

/// Sends all, `batch` at a time, and takes the answers; how long it took, in microseconds.
fn send(requests: &[Request], batch: usize, acknowledged: Acknowledged) -> u128 {
    let socket = socket();
    let family = family(&socket);
    exchange(&socket, &encode(family, &[Request::Flush]), 1);
    let batches = requests.chunks(batch).map(|some| {
        let mut bytes = encode(family, some);
        if acknowledged == Acknowledged::Last {
            acknowledge_last(&mut bytes);
            return (bytes, 1);
        }
        (bytes, some.len())
    });
    let batches = Vec::from_iter(batches);
    let start = Instant::now();
    for (bytes, answers) in &batches {
        exchange(&socket, bytes, *answers);
    }
    let took = start.elapsed().as_micros();
    exchange(&socket, &encode(family, &[Request::Flush]), 1);
    took
}

fn socket() -> Socket {
    let mut socket = Socket::new(NETLINK_GENERIC).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&NetlinkAddr::new(0, 0)).unwrap();
    socket.set_cap_ack(true).unwrap();
    socket.set_rx_buf_sz(1024 * 1024).unwrap();
    socket
}

fn family(socket: &Socket) -> u16 {
    let mut lookup = Vec::new();
    encode_family_lookup(0, &mut lookup);
    socket.send(&lookup, 0).unwrap();
    let (answer, _) = socket.recv_from_full().unwrap();
    socket.recv_from_full().unwrap();
    u16::from_ne_bytes([answer[FAMILY_AT], answer[FAMILY_AT + 1]])
}

fn encode(family: u16, requests: &[Request]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for request in requests {
        request.encode(family, 0, &mut bytes);
    }
    bytes
}

/// Takes the flag that asks for an acknowledgement from all messages but the last.
fn acknowledge_last(bytes: &mut [u8]) {
    const FLAGS: usize = 6;
    const ACK: u8 = 4;
    let mut at = 0;
    loop {
        let length = u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        let next = at + usize::try_from(length).unwrap().next_multiple_of(4);
        if next >= bytes.len() {
            return;
        }
        bytes[at + FLAGS] &= !ACK;
        at = next;
    }
}

fn exchange(socket: &Socket, bytes: &[u8], answers: usize) {
    socket.send(bytes, 0).unwrap();
    let mut buffer = Vec::with_capacity(LONGEST_ANSWER);
    for _ in 0..answers {
        buffer.clear();
        socket.recv(&mut buffer, 0).unwrap();
        assert_eq!(buffer[16..20], [0; 4], "the kernel refused a message");
    }
}
