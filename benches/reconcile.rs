//! What it costs to find out that nothing has to change: the kernel's answers about 10,000 services
//! with 10 servers each are decoded into a table and planned against an equal one.
//!
//! The messages are those of `tests/kernel/fixtures/linux-6.1` with other addresses, in datagrams
//! of the kernel's size. The kernel's own work and the system calls are not in it.
//!
//!     cargo bench --no-default-features --features runtime --bench reconcile
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench")]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]

use std::time::Duration;

use piranha::ipvs::kernel::{Exchange, Reply, Request};
use piranha::ipvs::{Capabilities, ServiceKey, Table, plan};
use rustix::time::{ClockId, clock_gettime};

const SERVICES: usize = 10_000;
const SERVERS: u8 = 10;
const ROUNDS: usize = 11;

/// The kernel fills so much of a datagram, as recorded.
const DATAGRAM: usize = 32_320;
const FAMILY: u16 = 0x25;

fn main() {
    let kernel = Kernel::recorded();
    let desired = observe(&kernel);
    assert_eq!(desired.len(), SERVICES);
    let servers: usize = desired.iter().map(|entry| entry.destinations().len()).sum();
    assert_eq!(servers, SERVICES * usize::from(SERVERS));

    let capabilities = Capabilities::everything();
    let rounds = (0..ROUNDS).map(|_| {
        let start = cpu();
        let observed = observe(&kernel);
        let decoded = cpu();
        let ops = plan(&desired, &observed, &capabilities).unwrap();
        let planned = cpu();
        assert_eq!(ops, []);
        (decoded - start, planned - decoded)
    });
    let (mut decode, mut planning): (Vec<_>, Vec<_>) = rounds.unzip();
    let (decode, planning) = (median(&mut decode), median(&mut planning));
    println!("{SERVICES} services x {SERVERS} servers, CPU, median of {ROUNDS}:");
    println!("answers to table  {:6.1} ms", millis(decode));
    println!("plan, no change   {:6.1} ms", millis(planning));
    println!("both              {:6.1} ms", millis(decode + planning));
}

/// What a data plane does to see its table, over a kernel of recordings.
fn observe(kernel: &Kernel) -> Table {
    let mut exchange = Exchange::new();
    let mut table = Table::new();
    let services = kernel.ask(&mut exchange, [Request::ListServices]);
    let keys: Vec<ServiceKey> = services
        .into_iter()
        .flatten()
        .map(|reply| match reply {
            Reply::Service(status) => table.insert(status.service).service().key(),
            other => panic!("{other:?}"),
        })
        .collect();
    let requests = keys.iter().map(|key| Request::ListDestinations(*key));
    for (key, servers) in keys.iter().zip(kernel.ask(&mut exchange, requests)) {
        let entry = table.get_mut(key).unwrap();
        for reply in servers {
            let Reply::Destination(status) = reply else { panic!("{reply:?}") };
            entry.insert(status.destination);
        }
    }
    table
}

/// Answers as a kernel with that table gives them.
struct Kernel {
    service: Vec<u8>,
    destination: Vec<u8>,
}

impl Kernel {
    /// With the messages about `TCP 192.0.2.1:80` and its server `10.0.0.1:8080`.
    fn recorded() -> Self {
        let recording = include_str!("../tests/kernel/fixtures/linux-6.1");
        let answers: Vec<u8> =
            recording.lines().filter_map(|line| line.strip_prefix("< ")).flat_map(unhex).collect();
        let find = |marks: &[&[u8]]| {
            let mut messages = messages(&answers).filter(|m| m[..2] != [36, 0]);
            messages.find(|m| marks.iter().all(|mark| at(m, mark).is_some())).unwrap().to_vec()
        };
        Self {
            service: find(&[VIP, VIP_PORT, &[6, 0, 2, 0, 6, 0]]),
            destination: find(&[SERVER, &[6, 0, 2, 0, 0x1f, 0x90]]),
        }
    }

    fn ask(
        &self,
        exchange: &mut Exchange,
        requests: impl IntoIterator<Item = Request>,
    ) -> Vec<Vec<Reply>> {
        for request in requests {
            exchange.submit(request);
        }
        let (mut sent, mut answers) = (Vec::new(), Vec::new());
        while !exchange.is_idle() {
            sent.clear();
            exchange.poll_transmit(&mut sent);
            for request in messages(&sent) {
                self.answer(request, exchange);
            }
            while let Some(outcome) = exchange.poll_outcome() {
                answers.push(outcome.result.unwrap());
            }
        }
        answers
    }

    fn answer(&self, request: &[u8], exchange: &mut Exchange) {
        let sequence = &request[8..12];
        if request[4..6] == [0x10, 0] {
            return exchange.handle_datagram(&family(sequence));
        }
        let mut datagram = Vec::with_capacity(DATAGRAM);
        let mut put = |message: &[u8], value: (&[u8], [u8; 4]), exchange: &mut Exchange| {
            if datagram.len() + message.len() > DATAGRAM {
                exchange.handle_datagram(&datagram);
                datagram.clear();
            }
            let start = datagram.len();
            datagram.extend_from_slice(message);
            datagram[start + 4..start + 6].copy_from_slice(&FAMILY.to_ne_bytes());
            datagram[start + 8..start + 12].copy_from_slice(sequence);
            let address = start + at(message, value.0).unwrap() + 4;
            datagram[address..address + 4].copy_from_slice(&value.1);
        };
        if at(request, VIP_HEAD).is_some() {
            for n in 1..=SERVERS {
                put(&self.destination, (SERVER, [10, 0, 0, n]), exchange);
            }
        } else {
            for n in 0..SERVICES {
                let [.., high, low] = n.to_be_bytes();
                put(&self.service, (VIP, [10, 1, high, low]), exchange);
            }
        }
        datagram.extend(message(3, sequence, &[0; 4]));
        exchange.handle_datagram(&datagram);
    }
}

/// Headers of attributes that hold an address, and what the recording has there.
const VIP_HEAD: &[u8] = &[20, 0, 3, 0];
const VIP: &[u8] = &[20, 0, 3, 0, 192, 0, 2, 1];
const VIP_PORT: &[u8] = &[6, 0, 4, 0, 0, 80];
const SERVER: &[u8] = &[20, 0, 1, 0, 10, 0, 0, 1];

fn family(sequence: &[u8]) -> Vec<u8> {
    let [low, high] = FAMILY.to_ne_bytes();
    let found = message(0x10, sequence, &[1, 2, 0, 0, 6, 0, 1, 0, low, high, 0, 0]);
    [found, message(2, sequence, &[0; 20])].concat()
}

fn message(kind: u16, sequence: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap().to_ne_bytes();
    [&length, &kind.to_ne_bytes()[..], &[2, 0], sequence, &[0; 4], payload].concat()
}

fn messages(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*bytes.first_chunk::<4>()?);
        let (message, rest) = bytes.split_at(usize::try_from(length).unwrap());
        bytes = &rest[message.len().next_multiple_of(4) - message.len()..];
        Some(message)
    })
}

fn at(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
