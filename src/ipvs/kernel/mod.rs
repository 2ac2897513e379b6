//! The kernel's IPVS, over generic netlink: every request and answer as bytes and as types.
//!
//! Pure: nothing here opens a socket. [`Exchange`] turns [`Request`]s into datagrams and datagrams
//! into [`Outcome`]s; the clients of `runtime::kernel` are thin loops around it.
//!
//! [`OptionCall`] is the same for the older interface of socket options, which carries less and is
//! granted to more.
//!
//! The netlink interface is that of Linux 2.6.28 and later (`linux/ip_vs.h`). What a kernel lacks it leaves
//! out of its answers: 64-bit counters came with 4.1, tunnel types with 5.2. Unknown attributes are
//! kept, so a newer kernel's answers lose nothing.
//!
//! ```
//! use piranha::ipvs::kernel::{Exchange, Request};
//!
//! let mut exchange = Exchange::new();
//! exchange.submit(Request::ListServices);
//! let mut datagram = Vec::new();
//! exchange.poll_transmit(&mut datagram); // first the number of the family is asked for
//! assert_eq!(datagram.len(), 32);
//! assert!(!exchange.is_idle());
//! ```

mod abi;
mod attribute;
mod connection;
mod destination;
mod error;
mod exchange;
mod message;
mod reply;
mod request;
mod service;
mod settings;
mod socket_option;
mod stats;
pub mod sysctl;

pub use attribute::{Attribute, Attributes};
pub use connection::{Connection, ConnectionProtocol, Origin, Unreadable, parse_connections};
pub use destination::DestinationStatus;
pub use error::{KernelError, Reason};
pub use exchange::{
    Exchange, ExchangeCounters, MAX_BATCH, MAX_BATCH_BYTES, Outcome, RECEIVE_BUFFER, Ticket,
};
pub use reply::{Inexpressible, Malformed, Reply, Undecodable, UnknownAttribute};
pub use request::{Request, encode_family_lookup};
pub use service::ServiceStatus;
pub use settings::{Daemon, DaemonRole, Info, Timeouts};
pub use socket_option::{OptionCall, OptionOutcome};
