//! What a VRRP machine is told before it starts.

use std::net::IpAddr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::failover::{Role, VirtualAddress};
use crate::net::Family;
use crate::wire::vrrp::{GROUP_V4, GROUP_V6, OWNER, Password, RESIGNED, Version};

/// One way to the other routers: of one address family, from one own address.
#[allow(clippy::exhaustive_structs, reason = "a path has two ends")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Path {
    /// The own address that advertisements come from; the greater one wins among equals.
    pub local: IpAddr,
    /// The one router there is, or `None` for all on the link, by multicast.
    pub peer: Option<IpAddr>,
}

impl Path {
    /// To all routers on the link of `local`.
    #[must_use]
    pub const fn multicast(local: IpAddr) -> Self {
        Self { local, peer: None }
    }

    /// From `local` to `peer` alone, which must be of the same family.
    #[must_use]
    pub const fn unicast(local: IpAddr, peer: IpAddr) -> Self {
        Self { local, peer: Some(peer) }
    }

    /// Where advertisements go.
    #[must_use]
    pub const fn destination(&self) -> IpAddr {
        match (self.peer, self.family()) {
            (Some(peer), _) => peer,
            (None, Family::Ipv4) => IpAddr::V4(GROUP_V4),
            (None, Family::Ipv6) => IpAddr::V6(GROUP_V6),
        }
    }

    /// The family of both ends.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.local)
    }
}

/// The configuration of a [`Vrrp`](super::Vrrp) machine, valid by construction.
///
/// ```
/// use piranha::failover::{Role, vrrp::{Config, Path, Version}};
/// use std::time::Duration;
///
/// let config = Config::builder(Role::Backup, Version::V3, 51)
///     .interval(Duration::from_millis(100))
///     .path(Path::multicast("192.0.2.2".parse()?))
///     .build()?;
/// assert_eq!(config.priority(), 100);
/// // Three intervals, and (256 - 100) / 256 of one.
/// assert_eq!(config.down_interval(), Duration::from_nanos(360_937_500));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(remote = "Self")]
pub struct Config {
    pub(super) role: Role,
    pub(super) version: Version,
    pub(super) router: u8,
    pub(super) priority: u8,
    pub(super) interval: Duration,
    pub(super) preempt: bool,
    pub(super) force_active: bool,
    pub(super) routers_between: u8,
    #[serde(skip)]
    pub(super) password: Option<Password>,
    pub(super) paths: Vec<Path>,
    pub(super) addresses: Vec<VirtualAddress>,
}

impl Config {
    /// The most paths a machine has.
    pub const PATHS_MAX: usize = 8;

    /// The priority of a director whose lvs.cf names none: RFC 9568's default for a backup, and
    /// so much more for the primary that it waits clearly less long than a peer with the default.
    #[must_use]
    pub const fn default_priority(role: Role) -> u8 {
        match role {
            Role::Primary => 150,
            Role::Backup => 100,
        }
    }

    /// Starts from the defaults for the virtual router `router`: the priority of the role, one
    /// advertisement a second, no preemption, no path, no addresses.
    pub const fn builder(role: Role, version: Version, router: u8) -> Builder {
        Builder(Self {
            role,
            version,
            router,
            priority: Self::default_priority(role),
            interval: Duration::from_secs(1),
            preempt: false,
            force_active: false,
            routers_between: 0,
            password: None,
            paths: Vec::new(),
            addresses: Vec::new(),
        })
    }

    /// A builder that starts from this configuration, for one that differs a little.
    #[must_use = "a builder does nothing until it builds"]
    pub fn to_builder(&self) -> Builder {
        Builder(self.clone())
    }

    /// The priority advertised.
    #[must_use]
    pub const fn priority(&self) -> u8 {
        self.priority
    }

    /// The configured role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// How often this router advertises while it is active.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// The ways to the other routers, by [`PathId`](crate::failover::PathId).
    #[must_use]
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// The floating addresses of the service.
    #[must_use]
    pub fn addresses(&self) -> &[VirtualAddress] {
        &self.addresses
    }

    /// The password, in version 2.
    pub(in crate::failover) const fn password_mut(&mut self) -> &mut Option<Password> {
        &mut self.password
    }

    /// Silence after which this router takes over from one that advertises as often as itself:
    /// `Active_Down_Interval` of RFC 9568 section 6.1.
    #[must_use]
    pub fn down_interval(&self) -> Duration {
        self.down_interval_of(self.interval)
    }

    /// The same for an active router that advertises every `interval`.
    pub(super) fn down_interval_of(&self, interval: Duration) -> Duration {
        interval * 3 + self.skew(interval)
    }

    /// How much longer than the best this router waits, so that one takes over first: the share
    /// of the interval (version 2: of a second, RFC 3768 section 6.1) that its priority lacks to
    /// 256. Exact to the nanosecond.
    pub(super) fn skew(&self, interval: Duration) -> Duration {
        let whole = match self.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => interval,
        };
        whole * (256 - u32::from(self.priority)) / 256
    }

    /// Whether the addresses are its own (priority 255): it does not wait for anybody.
    pub(super) const fn is_owner(&self) -> bool {
        self.priority == OWNER
    }
}

/// Without its password, which is nobody's business.
impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Only what a [`Builder`] would build.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Builder(Self::deserialize(deserializer)?).build().map_err(D::Error::custom)
    }
}

/// Collects a [`Config`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder(Config);

impl Builder {
    /// 1 to 254, or 255 for the owner of the addresses, which is active whenever it runs.
    /// Default: 150 for the primary, 100 for the backup.
    pub const fn priority(mut self, priority: u8) -> Self {
        self.0.priority = priority;
        self
    }

    /// How often to advertise: whole centiseconds up to 40.95 s in version 3, whole seconds up to
    /// 255 in version 2, where all routers must have the same. Default: 1 s.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.0.interval = interval;
        self
    }

    /// Whether to take over from an active router of lower priority. Default: no.
    pub const fn preempt(mut self, preempt: bool) -> Self {
        self.0.preempt = preempt;
        self
    }

    /// Whether to take the service at once instead of listening first (`--forceactive`). It still
    /// yields to a higher priority. Default: no.
    pub const fn force_active(mut self, force_active: bool) -> Self {
        self.0.force_active = force_active;
        self
    }

    /// How many routers an advertisement may have come through; those on the link itself are
    /// known by their hop limit of 255. Default: 0.
    pub const fn routers_between(mut self, routers: u8) -> Self {
        self.0.routers_between = routers;
        self
    }

    /// The password of version 2. Default: none.
    pub const fn password(mut self, password: Password) -> Self {
        self.0.password = Some(password);
        self
    }

    /// Adds a path. Default: none.
    pub fn path(mut self, path: Path) -> Self {
        self.0.paths.push(path);
        self
    }

    /// The floating addresses of the service. Default: none.
    pub fn addresses(mut self, addresses: Vec<VirtualAddress>) -> Self {
        self.0.addresses = addresses;
        self
    }

    /// Checks what was collected.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing found wrong.
    pub fn build(self) -> Result<Config, ConfigError> {
        let config = self.0;
        if config.router == 0 {
            return Err(ConfigError::Router);
        }
        if config.priority == RESIGNED {
            return Err(ConfigError::Priority);
        }
        if !config.version.has_interval(config.interval) {
            return Err(match config.version {
                Version::V2 => ConfigError::IntervalV2(config.interval),
                Version::V3 => ConfigError::IntervalV3(config.interval),
            });
        }
        if config.paths.is_empty() || config.paths.len() > Config::PATHS_MAX {
            return Err(ConfigError::Paths(config.paths.len()));
        }
        if config.paths.iter().any(|path| Family::of(path.destination()) != path.family()) {
            return Err(ConfigError::MixedPath);
        }
        let has_ipv6 = config.paths.iter().any(|path| path.family() == Family::Ipv6);
        match config.version {
            Version::V2 if has_ipv6 => Err(ConfigError::NeedsV3),
            Version::V3 if config.password.is_some() => Err(ConfigError::NeedsV2),
            Version::V2 | Version::V3 => Ok(config),
        }
    }
}

/// Why a configuration was refused. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Virtual router 0 does not exist.
    #[error("a virtual router has a number from 1 to 255")]
    Router,
    /// Priority 0 is a farewell.
    #[error("a VRRP priority is 1 to 255")]
    Priority,
    /// Version 2 cannot say this interval.
    #[error("VRRP version 2 advertises every 1 to 255 whole seconds, not every {0:?}")]
    IntervalV2(Duration),
    /// Version 3 cannot say this interval.
    #[error("VRRP version 3 advertises every 10 ms to 40.95 s in steps of 10 ms, not every {0:?}")]
    IntervalV3(Duration),
    /// None, or more than a machine serves.
    #[error("{0} VRRP paths, 1 to {max} are possible", max = Config::PATHS_MAX)]
    Paths(usize),
    /// The ends of a path are not of one address family.
    #[error("both ends of a VRRP path must be of one address family")]
    MixedPath,
    /// Version 2 has no IPv6.
    #[error("VRRP version 2 knows IPv4 only: use version 3")]
    NeedsV3,
    /// Version 3 has no password.
    #[error("VRRP version 3 has no password")]
    NeedsV2,
    /// A reload asked for something that only a restart can change.
    #[error("the {0} cannot change while the director runs; restart it")]
    NeedsRestart(&'static str),
}
