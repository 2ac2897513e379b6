//! The relay's pure part: which server a client gets, and for how long.
//!
//! The relay is the data plane that needs nothing: it accepts connections in this process and
//! relays them, so every server is reached by [NAT](super::Forwarding::Nat). Its sockets and
//! threads are in `runtime::relay`; what they decide is decided here:
//!
//! - [`VirtualService`]: one service with its servers, persistence templates and counters. Each
//!   connection holds a [`Ticket`] from admission to end.
//! - [`FlowTable`]: which UDP client belongs to which flow.
//! - [`ftp`]: what an FTP control connection says about data connections, and how to say it with
//!   other addresses.
//!
//! ```
//! use piranha::ipvs::relay::VirtualService;
//! use piranha::ipvs::{Destination, Service, ServiceKey};
//! use piranha::scheduler::{self, Flow};
//! use piranha::time::Instant;
//!
//! let web = Service::new(ServiceKey::tcp("192.0.2.80:80".parse().unwrap()));
//! let mut service = VirtualService::new(web, scheduler::by_name("rr").unwrap());
//! service.add(Destination::new("10.0.0.1:80".parse().unwrap())).unwrap();
//!
//! let ticket = service.admit(Instant::ZERO, &Flow::default(), &[]).unwrap();
//! assert_eq!(ticket.address(), "10.0.0.1:80".parse().unwrap());
//! service.close(ticket);
//! ```

mod aging;
mod flow;
pub mod ftp;
mod losses;
mod options;
mod service;
mod status;

pub use flow::FlowTable;
pub use losses::{DatagramLosses, LossReason};
pub use options::RelayOptions;
pub use service::{Conflict, Ticket, VirtualService};
pub use status::{ConnectionLimit, DestinationStatus, ServiceStatus};
