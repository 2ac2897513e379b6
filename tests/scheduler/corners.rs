//! Corners where kernels differ from each other, or ours from all of them on purpose. What differs
//! is told in `docs/schedulers.md`.

#![allow(clippy::expect_used, reason = "a case that cannot be made is a mistake in the case")]

use std::net::SocketAddr;

use piranha::ipvs::Thresholds;
use piranha::net::Protocol;
use piranha::scheduler::{Flow, Options};

use super::courses::server;
use super::replay::{Case, Event};

/// A case with what ours chooses in it and what one kernel or another does.
pub(crate) struct Corner {
    pub(crate) name: &'static str,
    pub(crate) case: Case,
    ours: &'static str,
    kernels: &'static [&'static str],
}

impl Corner {
    pub(crate) fn is_ours(&self, letters: &str) -> bool {
        as_expected(letters, self.ours)
    }

    pub(crate) fn is_of_a_kernel(&self, letters: &str) -> bool {
        self.kernels.iter().any(|kernel| as_expected(letters, kernel))
    }
}

/// Each for a network of its own, 10.8.`n`.0/24.
pub(crate) fn corners() -> Vec<Corner> {
    vec![near_tie(0), lowered(1), raised(2), returning(3)]
}

/// One active connection against 256 inactive ones: 257 to 256 in current kernels, equal in older
/// ones, where the newest then wins. Of 257 connections only the last two are of interest.
fn near_tie(number: u8) -> Corner {
    let mut events = vec![Event::Add(server(0), 1, Thresholds::NONE)];
    for n in 0..256 {
        events.extend([connect(number, n, 1), Event::Finish(n.into())]);
    }
    events.extend([
        Event::Edit(server(0), 0, Thresholds::NONE),
        Event::Add(server(1), 1, Thresholds::NONE),
        connect(number, 256, 1),
        Event::Edit(server(0), 1, Thresholds::NONE),
        connect(number, 257, 1),
    ]);
    let case = case("lc", Protocol::Tcp, events);
    Corner { name: "near tie", case, ours: "ba", kernels: &["ba", "bb"] }
}

/// An upper threshold set below the connections there are: at once in current kernels, with the
/// next connection in older ones.
fn lowered(number: u8) -> Corner {
    let mut events = two(Thresholds::NONE);
    events.extend((0..6).map(|n| connect(number, n, 1)));
    events.push(Event::Edit(server(0), 1, limits(2, 0)));
    events.extend((6..10).map(|n| connect(number, n, 1)));
    let case = case("rr", Protocol::Tcp, events);
    Corner { name: "lowered", case, ours: "bababa bbbb", kernels: &["bababa bbbb", "bababa babb"] }
}

/// A raised upper threshold with a lower one below the connections there are: still overloaded in
/// current kernels, not in older ones.
fn raised(number: u8) -> Corner {
    let mut events = two(limits(2, 0));
    events.extend((0..5).map(|n| connect(number, n, 1)));
    events.push(Event::Edit(server(0), 1, limits(8, 1)));
    events.extend((5..8).map(|n| connect(number, n, 1)));
    let case = case("rr", Protocol::Tcp, events);
    Corner { name: "raised", case, ours: "baba- ---", kernels: &["baba- ---", "baba- aaa"] }
}

/// A server removed without connections that comes back: to lblc another one for us, the same one
/// for the kernel while an address is remembered for it.
fn returning(number: u8) -> Corner {
    let mut events = two(Thresholds::NONE);
    events.extend([
        connect(number, 0, 1),
        Event::Close(0),
        Event::Remove(server(1)),
        Event::Add(server(1), 4, Thresholds::NONE),
        connect(number, 1, 2),
        connect(number, 2, 1),
    ]);
    let case = case("lblc", Protocol::Udp, events);
    Corner { name: "returning", case, ours: "b ba", kernels: &["b bb"] }
}

fn two(thresholds: Thresholds) -> Vec<Event> {
    vec![Event::Add(server(0), 1, thresholds), Event::Add(server(1), 1, thresholds)]
}

fn limits(upper: u32, lower: u32) -> Thresholds {
    Thresholds::new(upper, lower).expect("in order")
}

fn case(scheduler: &'static str, protocol: Protocol, events: Vec<Event>) -> Case {
    Case { scheduler, options: Options::default(), protocol, events }
}

fn connect(number: u8, client: u16, destination: u8) -> Event {
    Event::Connect(Flow {
        source: SocketAddr::from(([198, 18, number, 1], 20_000 + client)),
        destination: SocketAddr::from(([10, 8, number, destination], 80)),
    })
}

/// The choices an expectation speaks of: the last ones, and blanks are for the eye.
fn as_expected(letters: &str, expected: &str) -> bool {
    let expected: String = expected.split_whitespace().collect();
    letters.ends_with(&expected)
}
