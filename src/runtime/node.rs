//! A node of a pair: from lvs.cf to a running heartbeat.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::configuration;
use super::heartbeat::{Control, Link, Observer, Path, Pulse};
use crate::config::{Config, HeartbeatVersion};
use crate::control::Event;
use crate::failover::pulse::{self, Key, Machine};
use crate::failover::{Role, VirtualAddress};

/// Requests to a node that may wait: a slow consumer holds the administrator up, not the node.
const CONTROL_QUEUE: usize = 16;

/// Why a node could not start. Nothing was left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A heartbeat address cannot be bound.
    #[error("cannot listen for heartbeats on {address}: {source}{}", hint(source))]
    Bind {
        /// The own address and heartbeat port.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A backup without a partner has nothing to back up.
    #[error("this node is the backup and `backup_active` is 0: set it to 1, or start the primary")]
    NoPartner,
    /// The key file cannot be used.
    #[error("heartbeat_key {}: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The heartbeat machine refused its configuration.
    #[error(transparent)]
    Machine(#[from] pulse::ConfigError),
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(io::Error),
}

/// One director of a pair, ready to run.
pub struct Node {
    pulse: Pulse<Machine>,
    control: mpsc::Sender<Control>,
}

impl Node {
    /// Binds the heartbeat addresses of `config` and puts the machine on `link`.
    ///
    /// `force_active` takes the service at once, as `pulse --forceactive` does. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// [`NodeError`]; nothing was left behind.
    pub fn new(
        config: &Config,
        addresses: Vec<VirtualAddress>,
        link: Link,
        force_active: bool,
        observer: Observer,
    ) -> Result<Self, NodeError> {
        let role = role(config);
        let paths = paths(config, role)?;
        let machine = machine(config, role, addresses, &paths, force_active)?;
        observer(Event::Started { role, authenticated: config.heartbeat_key.is_some() });
        let paths = paths.into_iter().map(bind).collect::<Result<_, _>>()?;
        let (control, receiver) = mpsc::channel(CONTROL_QUEUE);
        let pulse = Pulse::new(machine, paths, link, receiver, observer);
        Ok(Self { pulse, control })
    }

    /// Where to send commands while it runs.
    #[must_use]
    pub fn control(&self) -> mpsc::Sender<Control> {
        self.control.clone()
    }

    /// Runs until it was told to stop and the service is given up.
    pub async fn run(self) -> Link {
        self.pulse.run().await
    }
}

/// The configured role, or what the own addresses say, as in 0.8.6: primary if this node has the
/// address `primary`, otherwise backup.
#[must_use]
pub fn role(config: &Config) -> Role {
    config.role.unwrap_or_else(|| {
        let ours = UdpSocket::bind(SocketAddr::new(config.primary, 0)).is_ok();
        if ours { Role::Primary } else { Role::Backup }
    })
}

/// The own and the partner's end of each heartbeat path, the public one first. None without a
/// partner.
fn paths(config: &Config, role: Role) -> Result<Vec<(SocketAddr, SocketAddr)>, NodeError> {
    let Some(backup) = config.backup.filter(|_| config.backup_active) else {
        return if role == Role::Primary { Ok(Vec::new()) } else { Err(NodeError::NoPartner) };
    };
    let private = config.primary_private.zip(config.backup_private);
    let pairs = [Some((config.primary, backup)), private];
    let endpoint = |address: IpAddr| SocketAddr::new(address, config.heartbeat_port);
    let both_ends = |(primary, backup)| match role {
        Role::Primary => (endpoint(primary), endpoint(backup)),
        Role::Backup => (endpoint(backup), endpoint(primary)),
    };
    Ok(pairs.into_iter().flatten().map(both_ends).collect())
}

fn bind((local, peer): (SocketAddr, SocketAddr)) -> Result<Path, NodeError> {
    Path::bind(local, peer).map_err(|source| NodeError::Bind { address: local, source })
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (is another pulse running?)",
        io::ErrorKind::AddrNotAvailable => " (no interface of this node has the address)",
        io::ErrorKind::PermissionDenied => " (a port below 1024 needs privilege: set heartbeat_port)",
        _ => "",
    }
}
