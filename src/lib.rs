//! Highly available load balancers from Linux Virtual Server.

#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod control;
pub mod failover;
pub mod health;
pub mod ipvs;
pub mod net;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod scheduler;
#[cfg(feature = "sim")]
pub mod sim;
pub mod time;
pub mod wire;
