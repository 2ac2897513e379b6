//! The drivers: the only place with clocks, sockets, tasks and processes.
//!
//! A whole director takes three of them, as on the [first page](crate): [`configuration`],
//! [`director`] and [`node`]. Each is of use alone too; so a check is made and run once:
//!
//! ```
//! use piranha::health::{CheckSpec, Failure};
//! use piranha::net::Protocol;
//! use piranha::runtime::checks::build;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! // Nobody listens on port 1 of this machine.
//! let check = build(&CheckSpec::Connect, Protocol::Tcp)?;
//! let nobody = "127.0.0.1:1".parse()?;
//! let verdict = runtime.block_on(check.probe(nobody, std::time::Duration::from_secs(5)));
//! assert_eq!(verdict, Err(Failure::Refused));
//! # Ok(())
//! # }
//! ```
#![allow(
    clippy::disallowed_methods,
    reason = "this is the layer the ban of the pure core points to"
)]

pub mod accord;
#[cfg(feature = "kernel")]
pub mod addresses;
pub mod agent;
pub mod announced;
pub mod beat;
pub mod checks;
pub mod clock;
pub mod configuration;
pub mod control;
pub mod director;
#[cfg(feature = "kernel")]
pub mod doctor;
pub mod fos;
pub mod guards;
pub mod heartbeat;
pub mod herald;
pub mod isolation;
#[cfg(feature = "kernel")]
pub mod kernel;
pub mod key;
mod last_words;
pub mod metrics;
pub mod nanny;
pub mod node;
pub mod notify;
mod off_thread;
#[cfg(feature = "peer")]
pub mod peer;
pub mod privileges;
pub mod recording;
pub mod relay;
pub mod revisions;
pub mod supervisor;
mod sys;
pub mod systemd;
mod usage;
mod vrrp;
#[cfg(feature = "web")]
pub mod web;
