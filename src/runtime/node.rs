//! A node of a pair: from lvs.cf to a running heartbeat.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::{mpsc, watch};

use super::beat::Beat;
use super::clock;
use super::configuration;
use super::guards;
use super::heartbeat::{Control, Driver, Link, Meters, Observer, Path, Reconfigure, Snapshot};
use super::key::{self, KeyFileError};
use super::systemd::Watchdog;
use super::vrrp;
use crate::config::{Config, HeartbeatVersion};
use crate::control::Event;
use crate::control::supervision::Terms;
use crate::failover::pulse::{self, Pulse, Version};
use crate::failover::record::{Recorder, Sink};
use crate::failover::{self, Heartbeat, Role};
use crate::net::Family;
use crate::time::Instant;
use crate::wire::pulse::Key;

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
    #[error("heartbeat_key {0}")]
    Key(#[from] KeyFileError),
    /// The file with the password of VRRP cannot be used.
    #[error("vrrp_auth {0}")]
    Password(KeyFileError),
    /// VRRP cannot be spoken.
    #[error("cannot speak VRRP over {family:?} on {interface}: {source}{}", vrrp_hint(source))]
    Vrrp {
        /// The network device.
        interface: String,
        /// The address family.
        family: Family,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The heartbeat machine refused its configuration.
    #[error(transparent)]
    Machine(#[from] pulse::ConfigError),
    /// There is no thread to watch guards on.
    #[error("cannot watch guards: {0}")]
    Guards(io::Error),
    /// The VRRP machine refused its configuration.
    #[error(transparent)]
    Router(#[from] failover::vrrp::ConfigError),
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(io::Error),
}

/// One director of a pair, ready to run.
pub struct Node {
    driver: Driver<Box<dyn Reconfigure>>,
    control: mpsc::Sender<Control>,
    /// The silence after which the partner takes over, with a partner.
    watched_for: Option<Duration>,
}

/// A machine, and the sockets of its paths in the same order.
type Protocol = (Box<dyn Reconfigure>, Vec<Path>);

impl Node {
    /// Binds the heartbeat addresses of `config` and puts the machine on `link`, whose first
    /// report brought `terms`.
    ///
    /// `force_active` takes the service at once, as `pulse --forceactive` does. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// [`NodeError`]; nothing was left behind.
    pub fn new(
        config: &Config,
        terms: Terms,
        link: Link,
        force_active: bool,
        observer: Observer,
    ) -> Result<Self, NodeError> {
        Self::build(config, terms, link, force_active, observer, None)
    }

    /// The same, and everything the machine is told and decides goes to `sink`.
    ///
    /// # Errors
    /// [`NodeError`]; nothing was left behind.
    pub fn recorded(
        config: &Config,
        terms: Terms,
        link: Link,
        force_active: bool,
        observer: Observer,
        sink: Box<dyn Sink>,
    ) -> Result<Self, NodeError> {
        Self::build(config, terms, link, force_active, observer, Some(sink))
    }

    fn build(
        config: &Config,
        terms: Terms,
        link: Link,
        force_active: bool,
        observer: Observer,
        sink: Option<Box<dyn Sink>>,
    ) -> Result<Self, NodeError> {
        let role = role(config);
        let ends = ends(config, role)?;
        let own = ends.iter().map(|(own, _)| own.ip()).collect();
        let mut watch = guards::watch((*terms.guards).clone(), own, Arc::clone(&observer))
            .map_err(NodeError::Guards)?;
        // Without a partner there is nobody to speak to, in whichever protocol.
        let routers = config.vrrp.as_ref().filter(|_| !ends.is_empty());
        let silence = if routers.is_some() { terms.keepalive * 3 } else { terms.dead_time };
        let watched_for = (!ends.is_empty()).then_some(silence);
        let authenticated =
            routers.is_none() && (config.heartbeat_key.is_some() || ends.is_empty());
        let (mut machine, paths) = match routers {
            Some(routers) => vrrp::open(config, routers, role, terms.clone(), force_active, sink)?,
            None => open(config, role, &ends, terms.clone(), force_active, sink)?,
        };
        observer(Event::Started { role, authenticated });
        machine.handle_guards(clock::now(), &watch.faults());
        let (control, receiver) = mpsc::channel(CONTROL_QUEUE);
        let driver = Driver::new(machine, paths, link, receiver, observer)
            .with_guards(watch)
            .with_terms(terms);
        Ok(Self { driver, control, watched_for })
    }

    /// Has it show that it lives, for whoever holds the addresses ([`beat`](super::beat)). Without
    /// a partner nobody would take over from a node that stands still, and it does not.
    #[must_use]
    pub fn with_beat(mut self, beat: Beat) -> Self {
        if let Some(dead_time) = self.watched_for {
            self.driver = self.driver.with_beat(beat, dead_time);
        }
        self
    }

    /// Has the thread of the heartbeats show the service manager that it lives.
    #[must_use]
    pub fn with_watchdog(self, watchdog: Watchdog) -> Self {
        Self { driver: self.driver.with_watchdog(watchdog), ..self }
    }

    /// Where to send commands while it runs.
    #[must_use]
    pub fn control(&self) -> mpsc::Sender<Control> {
        self.control.clone()
    }

    /// Where to read what it does, also while it runs.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.driver.snapshots()
    }

    /// What goes over its heartbeat paths, also while it runs.
    #[must_use]
    pub fn meters(&self) -> Arc<Meters> {
        self.driver.meters()
    }

    /// Runs until it was told to stop and the service is given up.
    pub async fn run(self) -> Link {
        self.driver.run().await
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
fn ends(config: &Config, role: Role) -> Result<Vec<(SocketAddr, SocketAddr)>, NodeError> {
    if !config.backup_active || config.backup.is_none() {
        return if role == Role::Primary { Ok(Vec::new()) } else { Err(NodeError::NoPartner) };
    }
    let endpoint = |address: IpAddr| SocketAddr::new(address, config.heartbeat_port);
    let both_ends = |(primary, backup)| match role {
        Role::Primary => (endpoint(primary), endpoint(backup)),
        Role::Backup => (endpoint(backup), endpoint(primary)),
    };
    Ok(config.heartbeat_pairs().map(both_ends).collect())
}

/// The pulse machine of `config`, and the sockets of its paths.
fn open(
    config: &Config,
    role: Role,
    ends: &[(SocketAddr, SocketAddr)],
    terms: Terms,
    force_active: bool,
    sink: Option<Box<dyn Sink>>,
) -> Result<Protocol, NodeError> {
    let version = match config.heartbeat_version {
        HeartbeatVersion::V1 => Version::V1,
        HeartbeatVersion::V2 => Version::V2,
    };
    let builder = pulse::Config::builder(role)
        .version(version)
        .force_active(force_active)
        .cluster(cluster_id(config))
        .boot(boot_id()?);
    let builder = seal(builder, key::read_all(&terms.keys)?);
    let peers = ends.iter().map(|(_, peer)| *peer);
    let builder = peers.fold(builder, pulse::Builder::path);
    let machine = Pulse::new(clock::now(), agree(builder, terms).build()?);
    let machine: Box<dyn Reconfigure> = match sink {
        Some(sink) => Box::new(Recorder::recording(machine, sink)),
        None => Box::new(machine),
    };
    Ok((machine, ends.iter().map(|ends| bind(*ends)).collect::<Result<_, _>>()?))
}

/// With the key that seals, and the one that is accepted besides.
fn seal(builder: pulse::Builder, keys: Vec<Key>) -> pulse::Builder {
    let mut keys = keys.into_iter();
    match keys.next() {
        Some(key) => builder.key(key).accepted_key(keys.next()),
        None => builder,
    }
}

fn agree(builder: pulse::Builder, terms: Terms) -> pulse::Builder {
    builder
        .keepalive(terms.keepalive)
        .dead_time(terms.dead_time)
        .failback(terms.failback)
        .digest(terms.digest.to_be_bytes())
        .addresses(terms.addresses)
}

impl Reconfigure for Pulse {
    fn reconfigure(&mut self, now: Instant, terms: Terms) -> Result<(), String> {
        let config = agree(self.config().to_builder(), terms).build();
        let changed = config.and_then(|config| self.handle_config(now, config));
        changed.map_err(|error| error.to_string())
    }

    fn rekey(&mut self, now: Instant, keys: Vec<Key>) -> Result<(), String> {
        let config = rekeyed(self, keys)?;
        self.handle_config(now, config).map_err(|error| error.to_string())
    }
}

impl Reconfigure for Recorder {
    fn reconfigure(&mut self, now: Instant, terms: Terms) -> Result<(), String> {
        let config = agree(self.machine().config().to_builder(), terms).build();
        let changed = config.and_then(|config| self.handle_config(now, config));
        changed.map_err(|error| error.to_string())
    }

    fn rekey(&mut self, now: Instant, keys: Vec<Key>) -> Result<(), String> {
        let config = rekeyed(self.machine(), keys)?;
        self.handle_config(now, config).map_err(|error| error.to_string())
    }
}

/// The configuration of `machine` with other keys.
fn rekeyed(machine: &Pulse, keys: Vec<Key>) -> Result<pulse::Config, String> {
    if machine.config().is_authenticated() == keys.is_empty() {
        return Err("authentication of heartbeats begins and ends with a restart".to_owned());
    }
    let builder = seal(machine.config().to_builder(), keys);
    builder.build().map_err(|error| error.to_string())
}

/// Both directors of a pair, and no other, come to the same number.
fn cluster_id(config: &Config) -> u64 {
    let pair = format!("{} {:?} {}", config.primary, config.backup, config.heartbeat_port);
    configuration::hash(pair.as_bytes())
}

/// A number this process alone has: heartbeats of an earlier one are worth nothing.
fn boot_id() -> Result<u64, NodeError> {
    let mut bytes = [0; 8];
    let filled = getrandom(&mut bytes, GetRandomFlags::empty());
    filled.map_err(|error| NodeError::Random(error.into()))?;
    Ok(u64::from_ne_bytes(bytes).max(1))
}

fn bind((local, peer): (SocketAddr, SocketAddr)) -> Result<Path, NodeError> {
    Path::bind(local, peer).map_err(|source| NodeError::Bind { address: local, source })
}

fn vrrp_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => " (raw sockets need root, or CAP_NET_RAW)",
        io::ErrorKind::AddrNotAvailable => " (no address of this family to speak from)",
        _ => "",
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (is another pulse running?)",
        io::ErrorKind::AddrNotAvailable => " (no interface of this node has the address)",
        io::ErrorKind::PermissionDenied => {
            " (a port below 1024 needs privilege: set heartbeat_port)"
        }
        _ => "",
    }
}
