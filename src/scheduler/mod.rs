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

mod lc;
mod pool;
mod rr;
mod servers;
#[cfg(test)]
mod tests;
mod tournament;
mod wlc;
mod wrr;

pub use lc::LeastConnection;
pub use pool::Pool;
pub use rr::RoundRobin;
pub use servers::{Server, ServerId, Servers};
pub use wlc::WeightedLeastConnection;
pub use wrr::WeightedRoundRobin;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

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

/// A new scheduler by its kernel name, or `None` for a name not in [`names`].
#[must_use]
pub fn by_name(name: &str) -> Option<Box<dyn Scheduler>> {
    let (_, make) = REGISTRY.iter().find(|(known, _)| *known == name)?;
    Some(make())
}

/// The names [`by_name`] knows, in alphabetical order.
pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
    REGISTRY.iter().map(|(name, _)| *name)
}

type Make = fn() -> Box<dyn Scheduler>;

/// Every scheduler of this crate: a new one is a file and a line here.
const REGISTRY: &[(&str, Make)] = &[
    ("lc", || Box::<LeastConnection>::default()),
    ("rr", || Box::<RoundRobin>::default()),
    ("wlc", || Box::<WeightedLeastConnection>::default()),
    ("wrr", || Box::<WeightedRoundRobin>::default()),
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
    /// Must be a server that [`Server::is_eligible`]. Must not allocate: it runs once for each
    /// connection.
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
}
