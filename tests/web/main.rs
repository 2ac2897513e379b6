//! The server of the GUI and the API as a browser, a program and a stranger meet it.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test is a driver, and panics to fail"
)]

#[path = "../browser/mod.rs"]
mod browser;
mod client;
mod configuration;
mod contract;
#[path = "../cli/daemon.rs"]
#[allow(dead_code, reason = "shared with the tests of the daemons, which use all of it")]
mod daemon;
mod director;
mod pages;
mod routes;
mod security;
mod site;
