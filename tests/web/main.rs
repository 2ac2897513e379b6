//! The server of the GUI and the API as a browser, a program and a stranger meet it.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test is a driver, and panics to fail"
)]

mod client;
mod routes;
mod security;
mod site;
