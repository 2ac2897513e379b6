//! The connection between the two nodes of a pair, beside heartbeats.
//!
//! [`serve`] listens for the partner over TLS 1.3, each end known to the other by its key, and
//! leads what it may ask to the control sockets of this node (`passage`). The other way round
//! there is a socket below `partner/` for each daemon of the other node (`gate`), which
//! [`control::Client`](crate::control::Client) uses like one of its own:
//!
//! ```text
//! piranha --node partner ── partner/lvs.sock ── peer ══ TLS ══ peer ── lvs.sock ── lvs
//!                                               lb1            lb2
//! ```
//!
//! What is asked of the program itself, pairing first of all, comes over `peer.sock`.
//! docs/synchronising.md is the reference.

mod audit;
mod dial;
mod gate;
mod greet;
mod identity;
mod pairing;
mod passage;
mod replicate;
mod service;
mod state;
mod store;
mod sync;
mod tls;
mod trust;

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use self::state::Peer;
use super::configuration::hash;
pub use super::control::partner_directory;
use super::control::{Options, Served, feed, start};
use super::heartbeat::Observer;
use super::node;
use crate::config::Config;
use crate::control::peer::PORT;
use crate::control::protocol::Daemon;
use crate::failover::Role;

/// Where services keep what outlives a boot, unless the supervisor says otherwise.
const STATE: &str = "/var/lib/piranha";

/// Where a node keeps its key and what it knows of its partner: `chosen` if there is one, else
/// `STATE_DIRECTORY` (systemd gives it) or `/var/lib/piranha`, and in there a directory for the
/// director that runs the configuration at `config`, unless that is the file `usual`.
#[must_use]
pub fn state_directory(chosen: Option<&Path>, config: &Path, usual: &Path) -> PathBuf {
    if let Some(chosen) = chosen {
        return chosen.to_owned();
    }
    let base = env::var_os("STATE_DIRECTORY").map_or_else(|| STATE.into(), PathBuf::from);
    let config = fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
    let usual = fs::canonicalize(usual).unwrap_or_else(|_| usual.to_owned());
    if config == usual {
        return base.join("peer");
    }
    base.join(format!("peer-{:016x}", hash(config.as_os_str().as_bytes())))
}

/// Where the node of `config` listens unless it is told otherwise: on its address of the second
/// heartbeat path, which is the pair's own, or else on its public one.
#[must_use]
pub fn usual_address(config: &Config) -> Option<SocketAddr> {
    let own = match node::role(config) {
        Role::Primary => config.primary_private.or(Some(config.primary)),
        Role::Backup => config.backup_private.or(config.backup),
    };
    own.map(|address| SocketAddr::new(address, PORT))
}

/// What [`serve`] needs to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The lvs.cf of this node.
    pub config: PathBuf,
    /// Where the control sockets of this node are, and who may use them.
    pub control: Options,
    /// The directory of the key of this node and of what it knows of its partner. Made if it is
    /// not there; readable to its owner alone.
    pub state: PathBuf,
    /// Where to listen for the partner.
    pub listen: Vec<SocketAddr>,
}

impl Settings {
    /// For the node of the lvs.cf at `config`.
    #[must_use]
    pub const fn new(
        config: PathBuf,
        control: Options,
        state: PathBuf,
        listen: Vec<SocketAddr>,
    ) -> Self {
        Self { config, control, state, listen }
    }
}

/// Why there is no connection to the partner. Nothing was left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The key or what is known of the partner cannot be used.
    #[error("{}: {source}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// An address cannot be listened on.
    #[error("cannot listen for the partner on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A control socket cannot be made.
    #[error("no control socket in {}: {source}", directory.display())]
    Control {
        /// Where.
        directory: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// A connection that is served. Dropping it ends it and takes its sockets away.
#[derive(Debug)]
pub struct Serving {
    addresses: Vec<SocketAddr>,
    tasks: Vec<AbortHandle>,
    sockets: Vec<Served>,
}

impl Serving {
    /// Where it listens for the partner.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Listens for the partner and serves the sockets, until what it returns is dropped.
///
/// Events that it meets with are told to `observer` and to who follows them on `peer.sock`. Must
/// be called within a tokio runtime.
///
/// # Errors
/// [`PeerError`].
pub async fn serve(settings: Settings, observer: Observer) -> Result<Serving, PeerError> {
    let mut listeners = Vec::new();
    for &address in &settings.listen {
        let bound = TcpListener::bind(address).await;
        listeners.push(bound.map_err(|source| PeerError::Listen { address, source })?);
    }
    let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let (observer, feed) = feed(observer);
    let control = settings.control.clone();
    let peer = Arc::new(Peer::load(settings, addresses, observer)?);
    let no_socket = |source| PeerError::Control { directory: control.directory.clone(), source };
    let mut serving = Serving {
        addresses: peer.addresses.clone(),
        tasks: Vec::new(),
        sockets: vec![start(&control, feed, service::of(&peer)).map_err(no_socket)?],
    };
    for daemon in [Daemon::Pulse, Daemon::Lvs, Daemon::Peer] {
        let (task, socket) = gate::open(&peer, &control, daemon).map_err(no_socket)?;
        serving.tasks.push(task);
        serving.sockets.push(socket);
    }
    serving.tasks.push(tokio::spawn(replicate::keep(Arc::clone(&peer))).abort_handle());
    serving.tasks.push(tokio::spawn(sync::remember(Arc::clone(&peer))).abort_handle());
    for listener in listeners {
        let task = tokio::spawn(greet::accept(Arc::clone(&peer), listener));
        serving.tasks.push(task.abort_handle());
    }
    Ok(serving)
}
