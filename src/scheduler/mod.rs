//! Schedulers: which real server takes a new connection.
//!
//! The names and the exact selection rules are the kernel's, corner cases included: weight 0,
//! overload, servers that come and go in the middle of a round. They serve the relay and any
//! program that links the crate; [`Pool`] is all such a program needs:
//!
//! ```
//! use piranha::ipvs::Thresholds;
//! use piranha::net::Weight;
//! use piranha::scheduler::{self, Flow, Pool};
//!
//! let mut pool = Pool::new(scheduler::by_name("wrr").unwrap());
//! let big = pool.add("10.0.0.1:80".parse().unwrap(), Weight::new(2).unwrap(), Thresholds::NONE);
//! let small = pool.add("10.0.0.2:80".parse().unwrap(), Weight::ONE, Thresholds::NONE);
//!
//! let flow = Flow::default();
//! let picks: Vec<_> = (0..3).map(|_| pool.pick(&flow).unwrap()).collect();
//! assert_eq!(picks.iter().filter(|&&server| server == big).count(), 2);
//! assert_eq!(picks.iter().filter(|&&server| server == small).count(), 1);
//! ```
//!
//! A scheduler of one's own implements [`Scheduler`]; `examples/custom_scheduler.rs` shows one.
//! `docs/schedulers.md` says which one to use when, and where they differ from the kernel's.

mod dh;
mod fo;
mod hashing;
mod lblc;
mod lblcr;
mod lc;
mod locality;
mod mh;
mod nq;
mod ovf;
mod pool;
mod rr;
mod sed;
mod servers;
mod sh;
#[cfg(test)]
mod tests;
mod tournament;
mod twos;
mod wlc;
mod wrr;

pub use dh::DestinationHashing;
pub use fo::WeightedFailover;
pub use lblc::LocalityLeastConnection;
pub use lblcr::ReplicatedLocalityLeastConnection;
pub use lc::LeastConnection;
pub use mh::MaglevHashing;
pub use nq::NeverQueue;
pub use ovf::WeightedOverflow;
pub use pool::Pool;
pub use rr::RoundRobin;
pub use sed::ShortestExpectedDelay;
pub use servers::{Server, ServerId, Servers};
pub use sh::SourceHashing;
pub use twos::PowerOfTwoChoices;
pub use wlc::WeightedLeastConnection;
pub use wrr::WeightedRoundRobin;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::ipvs::SchedulerFlags;
use crate::time::Instant;

/// What a scheduler may know about the connection it places.
#[allow(clippy::exhaustive_structs, reason = "callers on the hot path build it with a literal")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Flow {
    /// The client.
    pub source: SocketAddr,
    /// The address the client asked for: the VIP, or any address for a firewall mark.
    pub destination: SocketAddr,
}

impl Default for Flow {
    /// A flow between unspecified addresses, for schedulers that do not look at it.
    fn default() -> Self {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self { source: nowhere, destination: nowhere }
    }
}

/// What a scheduler is told besides its name. Each looks at what concerns it and passes over the
/// rest; the default is the kernel's.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Options {
    /// `sh-fallback`, `mh-fallback` (flag 1): where the client's server may not take a connection,
    /// search for another instead of refusing.
    pub fallback: bool,
    /// `sh-port`, `mh-port` (flag 2): the client's port belongs to what is hashed.
    pub port: bool,
    /// Where the draws of `twos` begin. Equal seeds and histories have equal picks, so a program
    /// with many pools may want to give each another.
    pub seed: u64,
}

impl From<SchedulerFlags> for Options {
    /// What the flags of a [service](crate::ipvs::Service) mean to sh and mh.
    fn from(flags: SchedulerFlags) -> Self {
        Self {
            fallback: flags.contains(SchedulerFlags::FLAG_1),
            port: flags.contains(SchedulerFlags::FLAG_2),
            ..Self::default()
        }
    }
}

/// A new scheduler by its kernel name with the default [`Options`], or `None` for a name not in
/// [`names`].
#[must_use]
pub fn by_name(name: &str) -> Option<Box<dyn Scheduler>> {
    build(name, Options::default())
}

/// A new scheduler by its kernel name, or `None` for a name not in [`names`].
#[must_use]
pub fn build(name: &str, options: Options) -> Option<Box<dyn Scheduler>> {
    let (_, make) = REGISTRY.iter().find(|(known, _)| *known == name)?;
    Some(make(options))
}

/// The names [`by_name`] and [`build`] know, in alphabetical order.
pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
    REGISTRY.iter().map(|(name, _)| *name)
}

/// The page's examples, to be compiled and run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/schedulers.md")]
struct Page;

type Make = fn(Options) -> Box<dyn Scheduler>;

/// Every scheduler of this crate: a new one is a file and a line here.
const REGISTRY: &[(&str, Make)] = &[
    ("dh", |_| Box::new(DestinationHashing)),
    ("fo", |_| Box::<WeightedFailover>::default()),
    ("lblc", |_| Box::<LocalityLeastConnection>::default()),
    ("lblcr", |_| Box::<ReplicatedLocalityLeastConnection>::default()),
    ("lc", |_| Box::<LeastConnection>::default()),
    ("mh", |options| Box::new(MaglevHashing::with_flags(options.fallback, options.port))),
    ("nq", |_| Box::<NeverQueue>::default()),
    ("ovf", |_| Box::<WeightedOverflow>::default()),
    ("rr", |_| Box::<RoundRobin>::default()),
    ("sed", |_| Box::<ShortestExpectedDelay>::default()),
    ("sh", |options| Box::new(SourceHashing::with_flags(options.fallback, options.port))),
    ("twos", |options| Box::new(PowerOfTwoChoices::with_seed(options.seed))),
    ("wlc", |_| Box::<WeightedLeastConnection>::default()),
    ("wrr", |_| Box::<WeightedRoundRobin>::default()),
];

/// An algorithm that picks a real server.
///
/// One value serves one virtual service. [`Pool`] owns it together with the [`Servers`] it picks
/// from, and calls a hook after each change, before the next pick, so that an algorithm may keep
/// a structure of its own and [`pick`](Self::pick) need not scan.
///
/// Positions are those of [`Servers`]: 0 is the server added last, as in the kernel.
///
/// Only [`start`](Self::start) must be written besides the pick itself: the hooks for changes of
/// the set start afresh unless they are written to do less.
pub trait Scheduler: Send {
    /// The kernel's name for it, such as `wlc`.
    fn name(&self) -> &'static str;

    /// The position of the server that takes the connection `flow`, or `None` if none may.
    ///
    /// Must be a server that is not quiesced, and should be one that [`Server::is_eligible`]: of
    /// this crate's only [lblc](LocalityLeastConnection) does otherwise, because the kernel's does.
    /// Runs once for each connection, so it must not allocate, or only what is bounded and rare.
    fn pick(&mut self, flow: &Flow, servers: &Servers) -> Option<usize>;

    /// Begins to pick from `servers`, which may have connections already, and forgets whatever it
    /// knew of others.
    fn start(&mut self, servers: &Servers);

    /// A server was added; it is at position 0 and every other moved up by one. It may have
    /// connections already if it [came back](Pool::add).
    fn on_added(&mut self, servers: &Servers) {
        self.start(servers);
    }

    /// The server that was at `position` is gone and those behind it moved down by one.
    fn on_removed(&mut self, position: usize, servers: &Servers) {
        let _ = position;
        self.start(servers);
    }

    /// The weight or the thresholds of the server at `position` were set, perhaps to what they
    /// were, and its overload flag may have changed with them.
    fn on_edited(&mut self, position: usize, servers: &Servers) {
        let _ = position;
        self.start(servers);
    }

    /// The connection counts or the overload flag of the server at `position` changed.
    ///
    /// Runs for each connection that opens, closes or changes state: keep it short.
    fn on_load(&mut self, position: usize, servers: &Servers) {
        let _ = (position, servers);
    }

    /// It is `now`, and never earlier than it was. Only for algorithms that forget with time; the
    /// others need no clock.
    fn handle_time(&mut self, now: Instant) {
        let _ = now;
    }

    /// How many servers it can pick from. Further ones may be added, but it is free to pass over
    /// some of them.
    fn capacity(&self) -> usize {
        usize::MAX
    }
}
