//! What the daemons, the command line, the GUI and programs share.
//!
//! - [`Event`]: one thing that happened on a director, typed, with its reason; [`History`] keeps
//!   the last of them.
//! - [`status`]: what is known of a director and its pair, and the verdict on it.
//! - [`protocol`]: what clients and daemons say to each other over the control socket.
//! - [`Counters`]: what a daemon has counted; [`metrics`]: an exposition of it and of the status.
//! - [`notify`]: which event is told to whom, and when.
//! - [`peer`]: what the two nodes say to each other beside heartbeats.
//! - [`sync`]: files both nodes have in common, and what is to be done about them.
//! - [`doctor`]: what is wrong with a machine that is to be a director.
//! - [`redact`]: keeping secrets out of what is shown to others.
//! - [`supervision`]: what `pulse` and `lvs` say to each other.
//! - [`Overrides`]: what operators say of servers, apart from lvs.cf.
//! - [`revisions`]: changing lvs.cf safely, with a history and a way back.
//! - [`Desired`]: from the configuration and the health of the servers to the table that should
//!   be in force.
//!
//! ```
//! use piranha::control::{Event, History, Timestamp};
//!
//! // What happened, oldest first; whoever has seen number 1 asks for what came after it.
//! let mut history = History::new(2);
//! for text in ["one", "two", "three"] {
//!     history.add(Timestamp(0), Event::Warning { text: text.to_owned() });
//! }
//! let later: Vec<_> = history.after(1).map(|record| record.event.to_string()).collect();
//! assert_eq!((later.len(), history.last(), history.forgotten_after(0)), (2, 3, 1));
//! ```

mod age;
mod counters;
mod desired;
pub mod doctor;
mod event;
mod history;
pub mod metrics;
pub mod notify;
mod overrides;
pub mod peer;
pub mod protocol;
pub mod redact;
pub mod revisions;
pub mod status;
pub mod supervision;
pub mod sync;

pub use age::{Age, Timestamp};
pub use counters::{
    BOUNDS, Counters, EventCounters, Histogram, PathTraffic, ServerCounters, ServiceCounters,
    Usage, name_of,
};
pub use desired::{Desired, QuorumState, whole_table};
pub use event::Event;
pub use history::{History, Record};
pub use overrides::{Override, Overrides, Stamp, TargetError, Word, find_servers, find_service};

#[cfg(feature = "runtime")]
pub use crate::runtime::control::{Client, ClientError, Heard};
