//! What daemons answer.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::{Call, Operation};
use crate::control::{Age, Overrides, Record};
use crate::ipvs::{Load, ServiceKey, Table};

/// How much of a draft has come.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Uploaded {
    /// Bytes.
    pub bytes: usize,
}

impl Uploaded {
    /// So many bytes.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        Self { bytes }
    }
}

/// What became of an [`Operation`].
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Operated {
    /// The servers it concerned.
    pub servers: Vec<OperatedServer>,
    /// Whether the partner knows of it. If not, the status of `lvs` says why.
    pub replicated: bool,
}

impl Operated {
    /// An operation that concerned `servers`, on this node.
    #[must_use]
    pub const fn new(servers: Vec<OperatedServer>) -> Self {
        Self { servers, replicated: false }
    }
}

/// What the data plane was told, and what it says of it.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct TableStatus {
    /// Services and servers, sorry servers and those that leave included.
    pub table: Table,
    /// The connections of servers, as far as they are known.
    pub loads: Vec<ServerLoad>,
    /// How old the connections are; `None` if they are not known.
    #[serde(rename = "traffic_age_ms")]
    pub traffic_age: Option<Age>,
}

impl TableStatus {
    /// A table of whose connections nothing is known.
    #[must_use]
    pub const fn new(table: Table) -> Self {
        Self { table, loads: Vec::new(), traffic_age: None }
    }
}

/// The connections of one server of one service.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServerLoad {
    /// The service.
    pub service: ServiceKey,
    /// The server's address and port.
    pub server: SocketAddr,
    /// Its connections.
    pub load: Load,
}

impl ServerLoad {
    /// So many of `server` in `service`.
    #[must_use]
    pub const fn new(service: ServiceKey, server: SocketAddr, load: Load) -> Self {
        Self { service, server, load }
    }
}

/// What operators say of servers, for the other node of the pair.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Replicas {
    /// A digest of all of it, in hexadecimal.
    pub digest: String,
    /// All of it, ends included, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Overrides>,
}

impl Replicas {
    /// With this digest.
    #[must_use]
    pub const fn new(digest: String, words: Option<Overrides>) -> Self {
        Self { digest, words }
    }
}

/// A server that something was said of.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OperatedServer {
    /// The virtual service's name in lvs.cf.
    pub service: String,
    /// The real server's name in lvs.cf.
    pub server: String,
    /// The connections it has.
    pub connections: Option<u32>,
}

impl OperatedServer {
    /// The server of this name in the service of this name.
    #[must_use]
    pub const fn new(service: String, server: String, connections: Option<u32>) -> Self {
        Self { service, server, connections }
    }
}

/// What became of a [`Call::TestNotify`].
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notified {
    /// One for each receiver; none where nobody is to be told of events.
    pub told: Vec<NotifiedReceiver>,
}

impl Notified {
    /// These receivers.
    #[must_use]
    pub const fn new(told: Vec<NotifiedReceiver>) -> Self {
        Self { told }
    }
}

/// What came of telling one receiver of events.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NotifiedReceiver {
    /// The directive that names it.
    pub directive: String,
    /// A command, a path, a host, addresses.
    pub receiver: String,
    /// What was done, in words; `None` if it failed.
    pub done: Option<String>,
    /// Why it failed; `None` if it did not.
    pub failure: Option<String>,
}

impl NotifiedReceiver {
    /// The receiver that `directive` names, and what came of telling it.
    #[must_use]
    pub fn new(directive: String, receiver: String, result: Result<String, String>) -> Self {
        let (done, failure) = match result {
            Ok(done) => (Some(done), None),
            Err(failure) => (None, Some(failure)),
        };
        Self { directive, receiver, done, failure }
    }
}

/// What became of a [`Call::Check`].
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Checked {
    /// One for each server that was meant.
    pub checks: Vec<CheckResult>,
}

impl Checked {
    /// These checks.
    #[must_use]
    pub const fn new(checks: Vec<CheckResult>) -> Self {
        Self { checks }
    }
}

/// One check of one server.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckResult {
    /// The virtual service's name in lvs.cf.
    pub service: String,
    /// The real server's name in lvs.cf.
    pub server: String,
    /// Its address and port.
    pub address: SocketAddr,
    /// What kind of check it was.
    pub kind: String,
    /// Why it failed; `None` if it passed.
    pub failure: Option<String>,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What it sent and got, a line each, without secrets.
    pub transcript: Vec<String>,
}

impl CheckResult {
    /// A check of the server of this name in the service of this name, of which nothing is known.
    #[must_use]
    pub const fn new(service: String, server: String, address: SocketAddr) -> Self {
        Self {
            service,
            server,
            address,
            kind: String::new(),
            failure: None,
            took_us: 0,
            transcript: Vec::new(),
        }
    }
}

/// The events that are remembered.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Events {
    /// The oldest first.
    pub events: Vec<Record>,
    /// How many of those asked for have been forgotten.
    pub forgotten: u64,
    /// The number of the last event.
    pub last: u64,
}

impl Events {
    /// These events, before which `forgotten` are lost; the last there was has number `last`.
    #[must_use]
    pub const fn new(events: Vec<Record>, forgotten: u64, last: u64) -> Self {
        Self { events, forgotten, last }
    }
}

/// What was done.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Done {
    /// In words, for a person.
    pub done: String,
}

impl Done {
    /// `done`, in words.
    pub fn new(done: impl Into<String>) -> Self {
        Self { done: done.into() }
    }
}
