//! What `pulse` knows: the director's part in the pair.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Process;
use crate::control::Age;
use crate::failover::guard::Fault;
use crate::failover::{Cause, Role, State, VirtualAddress};

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
