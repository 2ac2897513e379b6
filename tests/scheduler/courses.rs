//! Courses of events that bring each scheduler into its corners: weights that change in the middle
//! of a cycle, servers that come, go and come back, quiesced and overloaded ones, none left.
//!
//! A course is made from its number alone, so a line of choices (`vectors/`) needs no more than the
//! name of its case. Who changes this file has the vectors to make again, in the kernel lab.

#![allow(clippy::expect_used, reason = "a case that cannot be made is a mistake in the case")]

use std::net::{IpAddr, SocketAddr};

use piranha::ipvs::Thresholds;
use piranha::net::Protocol;
use piranha::scheduler::{self, Flow, Options};

use super::replay::{Case, Event};

/// After each of so many rounds some connections end.
const ROUNDS: u64 = 8;
const SERVERS: u8 = 12;
const WEIGHTS: [u32; 9] = [1, 2, 2, 3, 4, 4, 6, 8, 0];

/// A name for each case, and the case.
pub(crate) fn cases() -> Vec<(String, Case)> {
    let protocols = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
    let mut cases = Vec::new();
    for (scheduler, options) in schedulers() {
        for (word, protocol) in protocols {
            let number = u8::try_from(cases.len()).expect("few cases");
            let fallback = if options.fallback { " fallback" } else { "" };
            let port = if options.port { " port" } else { "" };
            let events = Course::new(scheduler, protocol, number).run();
            let case = Case { scheduler, options, protocol, events };
            cases.push((format!("{scheduler}{fallback}{port} {word}"), case));
        }
    }
    cases
}

/// Every scheduler whose choices can be foretold (so all but `twos`), with each of its flags.
fn schedulers() -> impl Iterator<Item = (&'static str, Options)> {
    let flags = [(false, false), (true, false), (false, true), (true, true)];
    let foretold = scheduler::names().filter(|&name| name != "twos");
    foretold.flat_map(move |name| {
        let known = if ["sh", "mh"].contains(&name) { flags.len() } else { 1 };
        let options = |(fallback, port)| Options { fallback, port, ..Options::default() };
        flags.into_iter().take(known).map(move |flags| (name, options(flags)))
    })
}

pub(crate) fn server(index: u8) -> SocketAddr {
    SocketAddr::from(([10, 2, 0, index + 1], 80))
}

/// A letter for each connection, `a` for the first server, whose address ends in 1; a dash where it
/// is refused.
pub(crate) fn letters(choices: &[Option<SocketAddr>]) -> String {
    let last = |server: &SocketAddr| match server.ip() {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(v6) => v6.octets()[15],
    };
    let letter = |choice: &Option<SocketAddr>| {
        choice.as_ref().map_or('-', |server| char::from(b'a' - 1 + last(server)))
    };
    choices.iter().map(letter).collect()
}

/// SplitMix64: the same numbers everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound).expect("small");
        usize::try_from((mixed ^ (mixed >> 31)) % bound).expect("small")
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

struct Course {
    numbers: Numbers,
    /// Sets the addresses of this case apart from those of others.
    number: u8,
    /// Whether the scheduler remembers servers that are gone; see the page's differences.
    remembers: bool,
    is_tcp: bool,
    /// Servers in the service, and those that may be added.
    listed: Vec<u8>,
    spare: Vec<u8>,
    connections: usize,
    active: Vec<usize>,
    inactive: Vec<usize>,
    events: Vec<Event>,
}

impl Course {
    fn new(scheduler: &str, protocol: Protocol, number: u8) -> Self {
        Self {
            numbers: Numbers(number.into()),
            number,
            remembers: scheduler.starts_with("lblc"),
            is_tcp: protocol == Protocol::Tcp,
            listed: Vec::new(),
            spare: (0..SERVERS).collect(),
            connections: 0,
            active: Vec::new(),
            inactive: Vec::new(),
            events: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<Event> {
        for weight in [4, 2, 8, 1] {
            self.add(weight);
        }
        self.connect(30);
        for round in 0..ROUNDS {
            if round == ROUNDS / 2 {
                self.quiesce_all();
            }
            (0..40).for_each(|_| self.step());
            self.close_some();
        }
        self.connect(10);
        self.events
    }

    fn step(&mut self) {
        match self.numbers.below(24) {
            0 | 1 => self.edit(),
            2 if self.listed.len() < 6 => {
                let weight = self.weight();
                self.add(weight);
            }
            3 if self.listed.len() > 2 => self.remove(),
            4 | 5 if self.is_tcp => self.finish(),
            _ => self.connect(1),
        }
    }

    fn connect(&mut self, count: usize) {
        for _ in 0..count {
            let host = u8::try_from(self.connections % 200).expect("a byte");
            let flow = Flow {
                source: SocketAddr::from((
                    [198, 18, self.number, host],
                    1024 + u16::try_from(self.numbers.below(50_000)).expect("a port"),
                )),
                destination: SocketAddr::from((
                    [10, 8, self.number, u8::try_from(self.numbers.below(12)).expect("small")],
                    80,
                )),
            };
            self.active.push(self.connections);
            self.connections += 1;
            self.events.push(Event::Connect(flow));
        }
    }

    fn weight(&mut self) -> u32 {
        self.numbers.of(&WEIGHTS)
    }

    fn add(&mut self, weight: u32) {
        if self.spare.is_empty() {
            return;
        }
        let at = self.numbers.below(self.spare.len());
        let index = self.spare.remove(at);
        self.listed.push(index);
        self.events.push(Event::Add(server(index), weight, thresholds(index)));
    }

    fn edit(&mut self) {
        let index = self.numbers.of(&self.listed);
        let weight = self.weight();
        self.events.push(Event::Edit(server(index), weight, thresholds(index)));
    }

    fn remove(&mut self) {
        let at = self.numbers.below(self.listed.len());
        let index = self.listed.remove(at);
        if !self.remembers {
            self.spare.push(index);
        }
        self.events.push(Event::Remove(server(index)));
    }

    fn finish(&mut self) {
        if !self.active.is_empty() {
            let at = self.numbers.below(self.active.len());
            let which = self.active.swap_remove(at);
            self.inactive.push(which);
            self.events.push(Event::Finish(which));
        }
    }

    fn close_some(&mut self) {
        for _ in 0..12 {
            let from_active = self.inactive.is_empty() || self.numbers.below(3) > 0;
            let connections = if from_active { &mut self.active } else { &mut self.inactive };
            if !connections.is_empty() {
                let at = self.numbers.below(connections.len());
                self.events.push(Event::Close(connections.swap_remove(at)));
            }
        }
    }

    /// Nobody may take a connection; then all may.
    fn quiesce_all(&mut self) {
        for weight in [0, 3] {
            let edit = |&index: &u8| Event::Edit(server(index), weight, thresholds(index));
            let edits: Vec<_> = self.listed.iter().map(edit).collect();
            self.events.extend(edits);
            self.connect(4);
        }
    }
}

/// None for half of the servers. They never change: what an edited threshold does to the flag is
/// not the same in all kernels.
fn thresholds(index: u8) -> Thresholds {
    let pairs = [(0, 0), (6, 0), (0, 0), (9, 4), (0, 0), (12, 0), (0, 0), (20, 20)];
    let (upper, lower) = pairs[usize::from(index) % pairs.len()];
    Thresholds::new(upper, lower).expect("in order")
}
