//! The relay over real sockets on loopback.
#![cfg(feature = "runtime")]
#![allow(
    clippy::disallowed_methods,
    reason = "sockets, threads and clocks are what is tested here"
)]
#![allow(
    clippy::unwrap_used,
    reason = "the lint's exception for tests does not reach their helpers"
)]

mod bounds;
mod ftp;
mod proxy;
mod support;
mod table;
mod tcp;
mod transparent;
mod udp;
