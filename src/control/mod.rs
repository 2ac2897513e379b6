//! What the daemons, the command line, the GUI and programs share.
//!
//! - [`Event`]: one thing that happened on a director, typed, with its reason.
//! - [`supervision`]: what `pulse` and `lvs` say to each other.
//! - [`Desired`]: from the configuration and the health of the servers to the table that should
//!   be in force.

mod desired;
mod event;
pub mod supervision;

pub use desired::{Desired, QuorumState, whole_table};
pub use event::Event;
