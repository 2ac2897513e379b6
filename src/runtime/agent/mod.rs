//! Measuring the load of real servers, from both ends: what a director asks, and the agent that
//! answers on a real server.
//!
//! docs/agent.md has it as a whole.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let said = piranha::runtime::agent::ask("10.0.0.21:7777".parse()?, Duration::from_secs(1)).await?;
//! println!("{said:?}");
//! # Ok(())
//! # }
//! ```

mod access;
mod gauge;
mod host;
mod server;

pub use access::{AccessList, BadPrefix, Prefix};
pub use gauge::{Gauge, Reading, ask, measure};
pub use host::{Meter, Sampler};
pub use server::{Event, Settings, sample, serve};

#[cfg(doctest)]
#[doc = include_str!("../../../docs/agent.md")]
struct Guide;
