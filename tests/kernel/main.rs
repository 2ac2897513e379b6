//! The library against a real kernel's IPVS. `tests/kernel/run` boots a user-mode Linux for it.
//!
//! Everywhere else these tests are ignored: they change the machine's table.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "tests drive the system")]

mod bare;
#[cfg(feature = "cli")]
mod book;
mod capture;
mod checks;
#[cfg(all(feature = "cli", feature = "web"))]
#[path = "../web/client.rs"]
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
mod client;
mod clients;
#[cfg(all(feature = "cli", feature = "web"))]
mod connections;
#[cfg(feature = "cli")]
#[allow(dead_code, reason = "shared with the command line's tests, which need more of it")]
#[path = "../cli/daemon.rs"]
mod daemon;
#[cfg(feature = "cli")]
mod director;
mod errors;
mod ftp;
mod import;
mod ipvsadm;
mod lab;
mod links;
mod namespaces;
mod net;
mod packets;
mod reconcile;
mod rootless;
mod samples;
mod scale;
mod schedulers;
#[cfg(feature = "cli")]
mod sync;
mod traffic;
mod tunnels;
