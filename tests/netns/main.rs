//! Two directors and a client in network namespaces of their own, on one wire.
//!
//! Needs root; `tests/run netns` runs it. Each test makes its namespaces and removes them.
#![cfg(feature = "cli")]
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests run on the operating system, and a failure is a panic"
)]

mod addresses;
mod book;
mod chaos;
mod checks;
#[allow(dead_code, reason = "shared with the command line's tests, which need more of it")]
#[path = "../cli/daemon.rs"]
mod daemon;
mod disk;
mod doctor;
mod guards;
mod hostile;
mod pair;
mod privileges;
mod virtual_mac;
mod vrrp;
mod wire;
