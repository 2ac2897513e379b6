//! The daemons as processes: what they do with bad input, signals and each other's death.
#![cfg(feature = "cli")]
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests run on the operating system, and a failure is a panic"
)]

#[cfg(feature = "web")]
mod accounts;
mod apply;
mod bad_input;
#[cfg(feature = "web")]
#[path = "../web/client.rs"]
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
mod client;
mod config;
mod control;
mod daemon;
mod fos;
mod group;
mod lifecycle;
mod load;
mod metrics;
mod migration;
mod nanny;
mod notify;
mod operating;
mod pair;
mod peer;
mod services;
mod sync;
mod systemd;
mod terminal;
#[cfg(feature = "web")]
mod together;
