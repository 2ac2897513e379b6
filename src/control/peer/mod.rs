//! What the two nodes of a pair say to each other beside heartbeats: over TLS, once they are
//! paired.
//!
//! - [`Code`] and, with the feature `auth`, [`pairing`]: how two nodes that have never met come to
//!   know each other's keys.
//! - [`Opening`]: what the first line of a connection asks for.
//! - [`PeerCall`]: what is asked of the program that has the connection, [`Daemon::Peer`], by its
//!   own administrators and by the partner.
//!
//! docs/synchronising.md is the reference.
//!
//! [`Daemon::Peer`]: super::protocol::Daemon::Peer

mod call;
mod code;
mod opening;
#[cfg(feature = "auth")]
pub mod pairing;

pub use call::{
    FileState, FileText, Offer, PairStatus, PartnerStatus, PeerCall, SyncFile, SyncStep, Wanted,
};
pub use code::{Code, CodeError};
pub use opening::{MAX_OPENING, Opening, Refused, Target};

/// The version of what the nodes say to each other.
pub const VERSION: u32 = 1;

/// The TCP port of the connection between the nodes, unless another one is given.
pub const PORT: u16 = 3638;
