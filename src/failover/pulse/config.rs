//! What a pulse machine is told before it starts.

use std::net::SocketAddr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::failover::{Role, VirtualAddress};
use crate::wire::pulse::{DecodeError, Heartbeat, INTERVAL_MAX, Key, Sealed};

/// The longest dead time that is read from a recording.
const DEAD_TIME_READ_MAX: Duration = Duration::from_secs(24 * 3600);

/// Which protocol is spoken with the peer.
#[allow(clippy::exhaustive_enums, reason = "a version more changes the machine")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Version {
    /// Piranha 0.8.6's four bytes, for a mixed pair during migration. Neither authenticated nor
    /// safe against replay, and it cannot tell a starting peer from a failed one.
    V1,
    /// The present protocol.
    V2,
}

/// One way to the peer.
#[allow(clippy::exhaustive_structs, reason = "a path is its far end")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Path {
    /// Where datagrams go, and the only source they are accepted from (version 1 checks the
    /// address but not the port, as 0.8.6 did).
    pub peer: SocketAddr,
}

/// The configuration of a [`Pulse`](super::Pulse) machine, valid by construction.
///
/// ```
/// use piranha::failover::{Role, pulse::Config};
/// use std::time::Duration;
///
/// let config = Config::builder(Role::Primary)
///     .keepalive(Duration::from_millis(100))
///     .dead_time(Duration::from_millis(300))
///     .path("192.0.2.2:539".parse()?)
///     .boot(0x5eed)
///     .build()?;
/// assert!(!config.is_alone());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(remote = "Self")]
pub struct Config {
    pub(super) role: Role,
    pub(super) version: Version,
    pub(super) keepalive: Duration,
    pub(super) dead_time: Duration,
    pub(super) failback: bool,
    pub(super) force_active: bool,
    pub(super) priority: u8,
    pub(super) paths: Vec<Path>,
    pub(super) addresses: Vec<VirtualAddress>,
    pub(super) cluster: u64,
    pub(super) boot: u64,
    pub(super) digest: [u8; 8],
    #[serde(skip)]
    pub(super) key: Option<Key>,
    #[serde(skip)]
    pub(super) accepted: Option<Key>,
}

impl Config {
    /// The most heartbeat paths a pair can have. Piranha has two; the bound keeps one round of
    /// heartbeats small.
    pub const PATHS_MAX: usize = 8;

    /// Starts from the defaults: version 2, keepalive 2 s, dead time 5 s (both 0.8.6's), no peer,
    /// no addresses, no failback.
    pub const fn builder(role: Role) -> Builder {
        Builder(Self {
            role,
            version: Version::V2,
            keepalive: Duration::from_secs(2),
            dead_time: Duration::from_secs(5),
            failback: false,
            force_active: false,
            priority: 100,
            paths: Vec::new(),
            addresses: Vec::new(),
            cluster: 0,
            boot: 0,
            digest: [0; 8],
            key: None,
            accepted: None,
        })
    }

    /// A builder that starts from this configuration, for one that differs a little.
    #[must_use = "a builder does nothing until it builds"]
    pub fn to_builder(&self) -> Builder {
        Builder(self.clone())
    }

    /// Opens a datagram with the key, or with the one that is accepted besides.
    pub(super) fn open(&self, sealed: &Sealed<'_>) -> Result<Heartbeat, DecodeError> {
        match (sealed.open(self.key.as_ref()), &self.accepted) {
            (Err(DecodeError::BadTag), Some(accepted)) => sealed.open(Some(accepted)),
            (opened, _) => opened,
        }
    }

    /// Takes the keys out: the one that seals, then the one accepted besides.
    pub(in crate::failover) fn take_keys(&mut self) -> Vec<Key> {
        self.key.take().into_iter().chain(self.accepted.take()).collect()
    }

    /// Puts keys in, in the same order.
    pub(in crate::failover) fn set_keys(&mut self, keys: Vec<Key>) {
        let mut keys = keys.into_iter();
        (self.key, self.accepted) = (keys.next(), keys.next());
    }

    /// Whether heartbeats are authenticated.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        self.key.is_some()
    }

    /// Whether there is no peer (`backup_active = 0`).
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.paths.is_empty()
    }

    /// The ways to the peer, by [`PathId`](crate::failover::PathId).
    #[must_use]
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// The configured role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The protocol spoken with the peer.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The floating addresses of the service.
    #[must_use]
    pub fn addresses(&self) -> &[VirtualAddress] {
        &self.addresses
    }

    /// How often a heartbeat is sent on each path.
    #[must_use]
    pub const fn keepalive(&self) -> Duration {
        self.keepalive
    }

    /// Silence after which the peer counts as dead.
    #[must_use]
    pub const fn dead_time(&self) -> Duration {
        self.dead_time
    }
}

/// Without its keys, which are nobody's business.
impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Only what a [`Builder`] would build, with timers of at most a day.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let config = Self::deserialize(deserializer)?;
        if config.dead_time > DEAD_TIME_READ_MAX {
            return Err(D::Error::custom("a dead time of more than a day"));
        }
        Builder(config).build().map_err(D::Error::custom)
    }
}

/// Collects a [`Config`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder(Config);

impl Builder {
    /// The protocol to speak. Default: [`Version::V2`].
    pub const fn version(mut self, version: Version) -> Self {
        self.0.version = version;
        self
    }

    /// How often to send a heartbeat on each path, 1 ms to an hour. Default: 2 s.
    pub const fn keepalive(mut self, keepalive: Duration) -> Self {
        self.0.keepalive = keepalive;
        self
    }

    /// Silence after which the peer counts as dead; more than the keepalive, and better a
    /// multiple of it, since every lost datagram costs one. Default: 5 s.
    pub const fn dead_time(mut self, dead_time: Duration) -> Self {
        self.0.dead_time = dead_time;
        self
    }

    /// Whether a primary that finds the backup active asks for the service back, one dead time
    /// after it became able to hold it. A hand-over by command is not undone. Default: no.
    pub const fn failback(mut self, failback: bool) -> Self {
        self.0.failback = failback;
        self
    }

    /// Whether to take the service at once instead of listening first (`--forceactive`). A backup
    /// still yields when it hears that the primary is active. Default: no.
    pub const fn force_active(mut self, force_active: bool) -> Self {
        self.0.force_active = force_active;
        self
    }

    /// Decides, before the boot id, between two directors that were both given the same role by
    /// mistake; the higher wins. Default: 100.
    pub const fn priority(mut self, priority: u8) -> Self {
        self.0.priority = priority;
        self
    }

    /// Adds a heartbeat path; the first is the public one. Default: none, which means there is
    /// no peer and this director is active as soon as it can be.
    pub fn path(mut self, peer: SocketAddr) -> Self {
        self.0.paths.push(Path { peer });
        self
    }

    /// The floating addresses of the service. Default: none.
    pub fn addresses(mut self, addresses: Vec<VirtualAddress>) -> Self {
        self.0.addresses = addresses;
        self
    }

    /// Names the cluster, so that a neighbour's datagrams are told apart: the same number on both
    /// directors, for example a hash of its name or of both addresses. Default: 0.
    pub const fn cluster(mut self, cluster: u64) -> Self {
        self.0.cluster = cluster;
        self
    }

    /// A random number for this run of the process, never 0 and never used before: it is what
    /// makes datagrams of an earlier run worthless. Required for version 2.
    pub const fn boot(mut self, boot: u64) -> Self {
        self.0.boot = boot;
        self
    }

    /// A digest of what both directors should have configured alike; only compared and shown.
    /// Default: zeros.
    pub const fn digest(mut self, digest: [u8; 8]) -> Self {
        self.0.digest = digest;
        self
    }

    /// The key of the cluster. Default: none; heartbeats are then not authenticated.
    pub fn key(mut self, key: Key) -> Self {
        self.0.key = Some(key);
        self
    }

    /// A second key that datagrams of the peer may be sealed with, while keys are changed; of no
    /// use without [`key`](Self::key), which alone seals. Default: none.
    pub fn accepted_key(mut self, key: Option<Key>) -> Self {
        self.0.accepted = key;
        self
    }

    /// Checks what was collected.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing found wrong.
    pub fn build(self) -> Result<Config, ConfigError> {
        let config = self.0;
        if config.keepalive < Duration::from_millis(1) || config.keepalive > INTERVAL_MAX {
            return Err(ConfigError::Keepalive(config.keepalive));
        }
        if config.dead_time <= config.keepalive {
            return Err(ConfigError::DeadTime {
                dead_time: config.dead_time,
                keepalive: config.keepalive,
            });
        }
        if config.paths.len() > Config::PATHS_MAX {
            return Err(ConfigError::TooManyPaths(config.paths.len()));
        }
        match config.version {
            Version::V1 if config.key.is_some() => Err(ConfigError::NeedsV2("a key")),
            Version::V1 if config.failback => Err(ConfigError::NeedsV2("failback")),
            Version::V2 if config.boot == 0 => Err(ConfigError::BootId),
            Version::V1 | Version::V2 => Ok(config),
        }
    }
}

/// Why a configuration was refused. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The keepalive is out of range.
    #[error("keepalive of {0:?} is out of range: allowed is 1 ms to 1 h")]
    Keepalive(Duration),
    /// The dead time would pass between two heartbeats.
    #[error(
        "dead time of {dead_time:?} is not longer than the keepalive of {keepalive:?}; \
         three times the keepalive is usual"
    )]
    DeadTime {
        /// As configured.
        dead_time: Duration,
        /// As configured.
        keepalive: Duration,
    },
    /// More heartbeat paths than a machine serves.
    #[error("{0} heartbeat paths, at most {max} are possible", max = Config::PATHS_MAX)]
    TooManyPaths(usize),
    /// Version 1 has no room for this.
    #[error("{0} needs version 2 of the pulse protocol")]
    NeedsV2(&'static str),
    /// No boot id was given.
    #[error("version 2 of the pulse protocol needs a random boot id")]
    BootId,
    /// A reload asked for something that only a restart can change.
    #[error("the {0} cannot change while the director runs; restart it")]
    NeedsRestart(&'static str),
}
