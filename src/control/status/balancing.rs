//! What `lvs` knows, but for its services one by one.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Process, ServiceStatus, Totals};
use crate::control::revisions::Standing;
use crate::control::{Age, Override};
use crate::health;

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
    /// The services that are offered, in the order of lvs.cf; where only so many were asked for,
    /// those with something to notice come first, the worst before the others.
    pub services: Vec<ServiceStatus>,
    /// How many services were left out, where only so many were asked for.
    #[serde(default, skip_serializing_if = "is_none")]
    pub left_out: u32,
    /// All services together, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// What operators say of servers.
    pub overrides: Vec<Override>,
    /// Whether the partner has that too; `None` where nothing brings it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
    /// How connections are synchronised, where lvs.cf has the kernel do that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_sync: Option<ConnectionSync>,
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
            left_out: 0,
            totals: None,
            overrides: Vec::new(),
            replication: None,
            connection_sync: None,
            loads: Vec::new(),
        }
    }

    /// All services together, those that were left out too. What an older daemon tells has them
    /// one by one.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals.unwrap_or_else(|| self.services.iter().collect())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
const fn is_none(left_out: &u32) -> bool {
    *left_out == 0
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

/// The threads of the kernel that keep the partner's table of connections in step with this one.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ConnectionSync {
    /// Whether the one runs that sends.
    pub master: bool,
    /// Whether the one runs that listens.
    pub backup: bool,
    /// Why one that should run does not, as far as it is known.
    pub failure: Option<String>,
}

impl ConnectionSync {
    /// These threads run, and what failed last.
    #[must_use]
    pub const fn new(master: bool, backup: bool, failure: Option<String>) -> Self {
        Self { master, backup, failure }
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
