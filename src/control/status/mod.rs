//! The status model: what command, terminal view, GUI and metrics all show.
//!
//! Each daemon tells its half: `pulse` the [`Heartbeats`], `lvs` the [`Balancing`]. A [`Status`]
//! puts them together with a [`Verdict`] on the two questions that matter: is this pair healthy,
//! and would a failover succeed now. Every value has its age, counted when it was told; a half
//! that is too old, or did not come, is [`Reading::Unknown`] and never passes for good.

mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::verdict::{Failover, Grade, Reason, ReasonCode, Verdict};
use super::revisions::Standing;
use super::{Age, Override, Timestamp};
use crate::config::QuorumOf;
use crate::failover::guard::Fault;
use crate::failover::{Cause, Role, State, VirtualAddress};
use crate::health::{self, Health};
use crate::ipvs::{Counters, Load, Rates, ServiceKey};
use crate::net::Weight;

/// A half of the status older than this says nothing of the present. `pulse` renews its at least
/// every second.
pub const STALE: Duration = Duration::from_secs(3);

/// What is known of a director and its pair.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// The name of the node.
    pub node: String,
    /// When this was put together.
    pub at: Timestamp,
    /// What follows from the rest.
    pub verdict: Verdict,
    /// What `pulse` says.
    pub pulse: Reading<Heartbeats>,
    /// What `lvs` says.
    pub lvs: Reading<Balancing>,
}

impl Status {
    /// Puts both halves together at `at`. What is too old counts as unknown.
    #[must_use]
    pub fn new(
        node: String,
        at: Timestamp,
        pulse: Reading<Heartbeats>,
        lvs: Reading<Balancing>,
    ) -> Self {
        let pulse = pulse.unless(|half| half.age.0 > STALE, "pulse does not answer for itself");
        let verdict = Verdict::of(&pulse, &lvs);
        Self { node, at, verdict, pulse, lvs }
    }
}

impl Status {
    /// What this director does, in one line: `ACTIVE, partner seen 0.1s ago, 12/12 servers up`.
    #[must_use]
    pub fn line(&self) -> String {
        let mut parts = Vec::new();
        match &self.pulse {
            Reading::Known(pulse) => {
                parts.push(pulse.state.to_string().to_uppercase());
                parts.push(match &pulse.partner {
                    _ if pulse.paths.is_empty() => "no partner".to_owned(),
                    Some(partner) => format!("partner seen {} ago", partner.age),
                    None => "partner never seen".to_owned(),
                });
            }
            Reading::Unknown { .. } => parts.push("state unknown".to_owned()),
        }
        match &self.lvs {
            Reading::Known(lvs) => {
                let counts = lvs.services.iter().map(|service| service.counts);
                let (up, total) =
                    counts.fold((0, 0), |(up, total), one| (up + one.up, total + one.total));
                parts.push(format!("{up}/{total} servers up"));
            }
            Reading::Unknown { .. } => parts.push("servers unknown".to_owned()),
        }
        parts.join(", ")
    }
}

/// Something that was asked for.
#[allow(clippy::exhaustive_enums, reason = "it is known or it is not")]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// It came, and is young enough.
    Known(T),
    /// It did not come, or is too old.
    Unknown {
        /// Why, in words.
        reason: String,
    },
}

impl<T> Reading<T> {
    /// The value, if it is known.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown { .. } => None,
        }
    }

    fn unless(self, stale: impl FnOnce(&T) -> bool, reason: &str) -> Self {
        match self {
            Self::Known(value) if stale(&value) => Self::Unknown { reason: reason.to_owned() },
            reading => reading,
        }
    }
}

/// The program that tells.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Process {
    /// The version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// How long it has been running.
    #[serde(rename = "uptime_ms")]
    pub uptime: Age,
}

impl Process {
    /// This version of the program, as process `pid`, running for `uptime`.
    #[must_use]
    pub fn new(pid: u32, uptime: Duration) -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), pid, uptime: Age(uptime) }
    }
}

/// What `pulse` knows: this director's part in the pair, and the partner.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Heartbeats {
    /// The program.
    pub process: Process,
    /// How old this half was when it was told.
    #[serde(rename = "age_ms")]
    pub age: Age,
    /// The configured role.
    pub role: Role,
    /// What this director is doing about the service.
    pub state: State,
    /// For how long.
    #[serde(rename = "for_ms")]
    pub since: Age,
    /// What brought that about.
    pub cause: Option<Cause>,
    /// Whether heartbeats are authenticated.
    pub authenticated: bool,
    /// The guards of this node that fail.
    pub faults: Vec<Fault>,
    /// Whether this node is in maintenance.
    pub maintenance: bool,
    /// What this node last decided not to do, and why.
    pub declined: Option<Declined>,
    /// How often a heartbeat is sent.
    #[serde(rename = "keepalive_ms")]
    pub keepalive: Age,
    /// Silence after which the partner is dead.
    #[serde(rename = "dead_time_ms")]
    pub dead_time: Age,
    /// The digest of the configuration in force, in hexadecimal: the revision here.
    pub digest: String,
    /// The addresses of the service, which the active director holds.
    pub addresses: Vec<VirtualAddress>,
    /// The partner, once it was heard.
    pub partner: Option<Partner>,
    /// The ways to the partner, the public one first; none without a partner.
    pub paths: Vec<HeartbeatPath>,
    /// Datagrams that were not accepted, by reason.
    pub rejected: BTreeMap<String, u64>,
}

impl Heartbeats {
    /// What is known of a director that is in `state`, as `role`, and of nobody else.
    #[must_use]
    pub fn new(process: Process, role: Role, state: State) -> Self {
        Self {
            process,
            age: Age::default(),
            role,
            state,
            since: Age::default(),
            cause: None,
            authenticated: false,
            faults: Vec::new(),
            maintenance: false,
            declined: None,
            keepalive: Age::default(),
            dead_time: Age::default(),
            digest: String::new(),
            addresses: Vec::new(),
            partner: None,
            paths: Vec::new(),
            rejected: BTreeMap::new(),
        }
    }

    /// Whether the partner was heard within the dead time.
    #[must_use]
    pub fn hears_partner(&self) -> bool {
        self.partner.as_ref().is_some_and(|partner| partner.age <= self.dead_time)
    }
}

/// A decision not to act.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Declined {
    /// How long ago it was taken.
    #[serde(rename = "age_ms")]
    pub age: Age,
    /// Why.
    pub reason: Cause,
}

impl Declined {
    /// A decision taken `age` ago because of `reason`.
    #[must_use]
    pub const fn new(age: Age, reason: Cause) -> Self {
        Self { age, reason }
    }
}

/// What the partner last said.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Partner {
    /// Its state.
    pub state: State,
    /// How long ago it said so.
    #[serde(rename = "age_ms")]
    pub age: Age,
    /// Whether it has the same configuration in force, where the protocol tells.
    pub same_configuration: Option<bool>,
    /// Whether it had better not hold the service: a guard of it fails, or it is in maintenance.
    pub unfit: bool,
}

impl Partner {
    /// A partner that said `age` ago that it was in `state`, and fit.
    #[must_use]
    pub const fn new(state: State, age: Age, same_configuration: Option<bool>) -> Self {
        Self { state, age, same_configuration, unfit: false }
    }
}

/// One way to the partner.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HeartbeatPath {
    /// The own end.
    pub local: SocketAddr,
    /// The partner's end.
    pub partner: SocketAddr,
    /// How long ago a heartbeat came this way; `None` for never.
    #[serde(rename = "age_ms")]
    pub age: Option<Age>,
}

impl HeartbeatPath {
    /// The way from `local` to `partner`, on which a heartbeat came `age` ago.
    #[must_use]
    pub const fn new(local: SocketAddr, partner: SocketAddr, age: Option<Age>) -> Self {
        Self { local, partner, age }
    }
}

/// What `lvs` knows: services, servers and the data plane.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Balancing {
    /// The program.
    pub process: Process,
    /// What carries the traffic.
    pub data_plane: DataPlane,
    /// What is in force.
    pub configuration: Revision,
    /// How old the connections, counters and rates are; `None` if they are not known.
    #[serde(rename = "traffic_age_ms")]
    pub traffic_age: Option<Age>,
    /// The services that are offered, in the order of lvs.cf.
    pub services: Vec<ServiceStatus>,
    /// What operators say of servers.
    pub overrides: Vec<Override>,
    /// Whether the partner has that too; `None` where nothing brings it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
    /// The load of servers that is measured, as it was last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<LoadReading>,
}

impl Balancing {
    /// A director that offers nothing yet.
    #[must_use]
    pub const fn new(process: Process, data_plane: DataPlane, configuration: Revision) -> Self {
        Self {
            process,
            data_plane,
            configuration,
            traffic_age: None,
            services: Vec::new(),
            overrides: Vec::new(),
            replication: None,
            loads: Vec::new(),
        }
    }
}

/// The load of a real server, all its services together.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct LoadReading {
    /// Which.
    pub server: IpAddr,
    /// What measures it: `load_monitor`, as lvs.cf has it.
    pub monitor: String,
    /// What was measured last.
    pub load: health::Load,
    /// How long ago.
    #[serde(rename = "age_ms")]
    pub age: Age,
}

impl LoadReading {
    /// What `monitor` measured on `server` so long ago.
    #[must_use]
    pub const fn new(server: IpAddr, monitor: String, load: health::Load, age: Age) -> Self {
        Self { server, monitor, load, age }
    }
}

/// Whether what operators say of servers is on the partner too.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Replication {
    /// Whether all of it is.
    pub in_step: bool,
    /// How long ago that was found out.
    #[serde(rename = "age_ms")]
    pub age: Age,
    /// Why not.
    pub problem: Option<String>,
}

impl Replication {
    /// As it was `age` ago.
    #[must_use]
    pub const fn new(in_step: bool, age: Age, problem: Option<String>) -> Self {
        Self { in_step, age, problem }
    }
}

/// What carries the traffic.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DataPlane {
    /// `kernel` or `relay`; `fos` for failover services, which run on the node itself.
    pub name: String,
    /// Why the last change to its table failed, if it did.
    pub failure: Option<String>,
}

impl DataPlane {
    /// The data plane of this name, in which the last change to its table ended with `failure`.
    pub fn new(name: impl Into<String>, failure: Option<String>) -> Self {
        Self { name: name.into(), failure }
    }
}

/// Which configuration is in force.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Revision {
    /// The file.
    pub path: PathBuf,
    /// The digest of what both directors must have in common, in hexadecimal.
    pub digest: String,
    /// For how long it has been in force.
    #[serde(rename = "for_ms")]
    pub since: Age,
    /// Why what is in the file now was refused, if it was.
    pub refused: Option<String>,
    /// How the file and its history stand, where that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
}

impl Revision {
    /// The configuration of the file at `path` with this digest, in force for `since`.
    #[must_use]
    pub const fn new(path: PathBuf, digest: String, since: Age) -> Self {
        Self { path, digest, since, refused: None, standing: None }
    }
}

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
