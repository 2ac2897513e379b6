//! The control sockets of both daemons, and their client.
//!
//! Each daemon serves its socket on a thread of its own. `pulse` leaves a
//! [snapshot](crate::runtime::heartbeat::Snapshot) for that thread to read, so that clients never
//! delay a heartbeat; `lvs` answers in passing. The protocol is
//! [`control::protocol`](crate::control::protocol).
//!
//! ```no_run
//! use piranha::control::{Client, protocol::Daemon};
//! use std::path::Path;
//!
//! # async fn example() -> Result<(), piranha::control::ClientError> {
//! let mut pulse = Client::connect(Path::new("/run/piranha"), Daemon::Pulse).await?;
//! pulse.hand_over(Some("new kernel")).await?;
//! # Ok(())
//! # }
//! ```

mod accounts;
mod client;
mod director;
mod feed;
mod node;
mod place;
mod server;
mod session;
mod upload;

pub use client::{Client, ClientError, Heard, scene, status, status_of};
pub use director::serve_director;
pub use feed::{Feed, feed, now};
pub use node::{Traffic, serve_node};
pub use place::{directory, history_directory, partner_directory, socket, state_file};
#[cfg(any(feature = "peer", feature = "web"))]
pub(in crate::runtime) use server::Door;
pub use server::{Options, Served};
#[cfg(feature = "peer")]
pub(in crate::runtime) use {
    feed::Chronicle,
    node::wrong_daemon,
    server::{Caller, MAX_CLIENTS, Serve, open, start},
    session::{busy, text, turn_away},
};

/// The name of this node, without its domain.
#[must_use]
pub fn node_name() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}
