//! Virtual services and their real servers.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::QuorumOf;
use crate::control::{Age, Override, Timestamp};
use crate::health::Health;
use crate::ipvs::{Counters, Load, Rates, ServiceKey};
use crate::net::Weight;

/// A virtual service.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServiceStatus {
    /// Its name in lvs.cf.
    pub name: String,
    /// What identifies it to the data plane.
    pub key: ServiceKey,
    /// The name of its scheduler.
    pub scheduler: String,
    /// Whether it answers, and who.
    pub state: ServiceState,
    /// Its servers by what they do.
    pub counts: Counts,
    /// The weight that takes connections and the weight where that changes whether the service
    /// counts as up, where it has a quorum.
    pub quorum: Option<QuorumStatus>,
    /// The sorry servers that answer now.
    pub sorry_servers: Vec<SocketAddr>,
    /// What goes through it, all servers together.
    pub traffic: Option<Traffic>,
    /// Its servers, in the order of lvs.cf, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<Vec<ServerStatus>>,
}

impl ServiceStatus {
    /// A service of which nothing else is known.
    pub fn new(name: impl Into<String>, key: ServiceKey, scheduler: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            key,
            scheduler: scheduler.into(),
            state: ServiceState::Down,
            counts: Counts::default(),
            quorum: None,
            sorry_servers: Vec::new(),
            traffic: None,
            servers: None,
        }
    }
}

/// Whether a service answers, and who.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// Every server that should take connections does.
    Up,
    /// No server had its first verdict yet.
    Starting,
    /// Servers take connections, and some fail their checks.
    Degraded,
    /// The sorry servers answer.
    Sorry,
    /// Nobody answers.
    Down,
    /// It runs on the node that holds the addresses, and this is the other one (failover services).
    Elsewhere,
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Starting => "starting",
            Self::Degraded => "degraded",
            Self::Sorry => "sorry",
            Self::Down => "down",
            Self::Elsewhere => "elsewhere",
        })
    }
}

/// Servers by what they do.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// All of them.
    pub total: u32,
    /// Those that take connections.
    pub up: u32,
    /// Those that fail their checks.
    pub down: u32,
    /// Those that were drained.
    pub draining: u32,
    /// Those that were disabled.
    pub disabled: u32,
    /// Those that had no verdict yet.
    pub unknown: u32,
    /// Those that wait for others to fail.
    pub waiting: u32,
}

impl Counts {
    /// Counts a server in `state`.
    pub const fn add(&mut self, state: ServerState) {
        self.total += 1;
        let slot = match state {
            ServerState::Up | ServerState::Falling => &mut self.up,
            ServerState::Down | ServerState::Rising => &mut self.down,
            ServerState::Draining => &mut self.draining,
            ServerState::Disabled => &mut self.disabled,
            ServerState::Unknown => &mut self.unknown,
            ServerState::Waiting => &mut self.waiting,
        };
        *slot += 1;
    }

    /// Adds the servers of another service.
    pub const fn add_all(&mut self, others: Self) {
        self.total = self.total.saturating_add(others.total);
        self.up = self.up.saturating_add(others.up);
        self.down = self.down.saturating_add(others.down);
        self.draining = self.draining.saturating_add(others.draining);
        self.disabled = self.disabled.saturating_add(others.disabled);
        self.unknown = self.unknown.saturating_add(others.unknown);
        self.waiting = self.waiting.saturating_add(others.waiting);
    }
}

/// How a service stands to its quorum.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct QuorumStatus {
    /// Whether it has it.
    pub is_met: bool,
    /// The weight, or number, of servers that take connections, or may before their first verdict.
    pub weight: u64,
    /// Below this an up service goes down; from this on a down one is up.
    pub needed: u64,
    /// What both count.
    #[serde(default, skip_serializing_if = "QuorumOf::is_weight")]
    pub of: QuorumOf,
}

impl QuorumStatus {
    /// A service with `weight`, for which the next change is at `needed`.
    #[must_use]
    pub const fn new(is_met: bool, weight: u64, needed: u64) -> Self {
        Self { is_met, weight, needed, of: QuorumOf::Weight }
    }

    /// The same, of servers or of weight.
    #[must_use]
    pub const fn counting(mut self, of: QuorumOf) -> Self {
        self.of = of;
        self
    }
}

/// A real server of a service.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServerStatus {
    /// Its name in lvs.cf.
    pub name: String,
    /// Its address and port.
    pub address: SocketAddr,
    /// What it does, everything considered.
    pub state: ServerState,
    /// What its checks say.
    pub health: Health,
    /// For how long they have been saying so.
    #[serde(rename = "for_ms")]
    pub since: Age,
    /// What its agent says that keeps it from serving, and why its last check failed, if it did;
    /// only while that matters.
    pub reason: Option<String>,
    /// How long ago a check last ended; `None` for never.
    #[serde(rename = "checked_ms")]
    pub checked: Option<Age>,
    /// Its weight in the data plane; `None` if it is not in there.
    pub weight: Option<Weight>,
    /// Its weight in lvs.cf.
    pub configured_weight: Weight,
    /// Whether it waits until no other server of its service is up.
    pub backup: bool,
    /// When its certificate ends, where its checks saw one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<Timestamp>,
    /// What an operator says of it.
    pub operator: Option<Override>,
    /// What goes through it.
    pub traffic: Option<Traffic>,
}

impl ServerStatus {
    /// A server of which nothing else is known.
    pub fn new(name: impl Into<String>, address: SocketAddr) -> Self {
        Self {
            name: name.into(),
            address,
            state: ServerState::Unknown,
            health: Health::Unknown,
            since: Age::default(),
            reason: None,
            checked: None,
            weight: None,
            configured_weight: Weight::ONE,
            backup: false,
            certificate_expires: None,
            operator: None,
            traffic: None,
        }
    }
}

impl ServerState {
    /// Whether a person who looks for trouble wants to see it.
    #[must_use]
    pub const fn is_notable(self) -> bool {
        !matches!(self, Self::Up | Self::Waiting)
    }
}

/// What a server does, everything considered.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerState {
    /// Takes connections.
    Up,
    /// Takes connections, and fails checks.
    Falling,
    /// Takes none, and passes checks.
    Rising,
    /// Fails its checks, or its agent says so.
    Down,
    /// Takes no new connections because an operator or its agent said so.
    Draining,
    /// Is out of the table because an operator said so, or its agent (`maint`).
    Disabled,
    /// Could take connections and waits for others to fail.
    Waiting,
    /// No check has ended yet.
    Unknown,
}

impl From<Health> for ServerState {
    fn from(health: Health) -> Self {
        match health {
            Health::Unknown => Self::Unknown,
            Health::Rising => Self::Rising,
            Health::Up => Self::Up,
            Health::Falling => Self::Falling,
            Health::Down => Self::Down,
        }
    }
}

impl fmt::Display for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Falling => "falling",
            Self::Rising => "rising",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
            Self::Waiting => "waiting",
            Self::Unknown => "unknown",
        })
    }
}

/// What goes through a service or a server.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Traffic {
    /// Its connections now.
    pub load: Load,
    /// What has passed since it was added.
    pub counters: Counters,
    /// What passes each second, where the data plane tells.
    pub rates: Option<Rates>,
}

impl Traffic {
    /// This much.
    #[must_use]
    pub const fn new(load: Load, counters: Counters, rates: Option<Rates>) -> Self {
        Self { load, counters, rates }
    }
}
