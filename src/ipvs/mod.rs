//! The model of Linux Virtual Server: what is balanced, onto what, and how a data plane is told.
//!
//! A [`Service`] is a virtual service: an address and port of one protocol, or a firewall mark. It
//! spreads new connections over its [`Destination`]s (real servers) with a [`SchedulerName`].
//! A [`Table`] is a whole set of them.
//!
//! Whoever wants a table in force describes it and lets [`plan()`] find the way there:
//!
//! ```
//! use piranha::ipvs::{plan, Capabilities, Destination, Service, ServiceKey, Table};
//! use piranha::net::Weight;
//!
//! let web = ServiceKey::tcp("192.0.2.80:80".parse().unwrap());
//! let mut desired = Table::new();
//! let service = desired.insert(Service::new(web));
//! service.insert(Destination::new("10.0.0.1:80".parse().unwrap()).with_weight(Weight::new(3).unwrap()));
//!
//! let ops = plan(&desired, &Table::new(), &Capabilities::everything()).unwrap();
//! assert_eq!(ops.len(), 2); // the service, then its destination
//! ```
//!
//! [`plan()`] is pure; a [`Backend`] carries the operations out. Two backends live here: [`memory`]
//! for dry runs and tests, and [`relay`], which relays connections in this process and needs
//! neither privilege nor kernel module.

#[cfg(feature = "runtime")]
mod backend;
mod destination;
pub mod kernel;
pub mod memory;
mod plan;
pub mod relay;
mod service;
mod stats;
mod table;

#[cfg(feature = "runtime")]
pub use backend::{Applied, Backend, BackendError};
pub use destination::{Destination, Forwarding, Method, Thresholds, Tunnel, TunnelChecksum};
pub use plan::{Capabilities, Op, Unsupported, plan};
pub use service::{
    EngineName, Helper, Persistence, SchedulerFlags, SchedulerName, Service, ServiceKey,
};
pub use stats::{Counters, Load, Rates};
pub use table::{Entry, Table};
