//! The deterministic simulator of whole clusters.
//!
//! Two directors run in virtual time against a network and a kernel that lose, delay, duplicate,
//! reorder, corrupt, replay, stall, hang and fail as one seed tells them to. Their clocks differ,
//! drift and jump; their guards flap; their configuration and keys change while they run, first
//! on one and then on the other. [`Scenario::from_seed`]
//! draws the faults, [`run`] plays them, and the checkers of [`Cluster`] look at every step:
//!
//! - Never two holders for longer than [`Scenario::overlap_bound`] once the directors hear each
//!   other, and no new overlap at all when nothing has disturbed them for a while.
//! - Nobody takes the service from a director that it hears. What a director must have heard is
//!   told by the network, not by the director.
//! - A change of configuration, or of keys in the right order, changes no state, causes no
//!   takeover and no overlap.
//! - A director that is cold does not ask for the service; one that is warm and fails back has it
//!   in the end.
//! - What somebody removes is back after one acquisition, unless it was to go; nobody takes over for it.
//! - Nothing is announced before it is known to be up; what is up is what the state says.
//! - No output without an input, and no deadline that is already over.
//! - A forged or replayed datagram changes nothing but a counter.
//! - Once the faults stop, exactly one director is active within [`Scenario::settle_bound`], and
//!   stays so; after a common start it is the primary.
//!
//! The same seed plays the same run, to the nanosecond.
//!
//! ```
//! // What `tests/run sim` does with thousands of seeds.
//! piranha::sim::run(42).expect("every promise holds");
//! ```

mod actions;
mod checks;
mod cluster;
mod faults;
mod inputs;
mod kernel;
mod machines;
mod network;
mod node;
mod original;
mod random;
mod recording;
mod scenario;
mod settings;
mod trace;

pub use cluster::{Cluster, NodeId, Violation, run};
pub use original::Original;
pub use random::Random;
pub use recording::Recording;
pub use scenario::{Pair, Scenario, Span};
