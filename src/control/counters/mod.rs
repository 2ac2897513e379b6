//! What a daemon has counted since it began, beside what it knows now.
//!
//! Gauges come from the [status](super::status), counters from here: `pulse` and `lvs` each tell
//! their [`Counters`], and [`metrics`](super::metrics) makes one exposition of both halves.

mod histogram;
mod tally;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

pub use self::histogram::{BOUNDS, Histogram};
pub use self::tally::{EventCounters, name_of};
use super::{Age, Timestamp};
use crate::failover::PathCounters;
use crate::ipvs::ServiceKey;

/// What one daemon has counted since its start.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Counters {
    /// When it began to count.
    pub since: Timestamp,
    /// What its process takes, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What happened, by kind.
    pub events: EventCounters,
    /// Each way to the partner, as in [`Heartbeats::paths`](super::status::Heartbeats::paths). Only
    /// `pulse` has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathTraffic>,
    /// Announcements to the neighbours, gratuitous ARP and unsolicited neighbour advertisements, by
    /// address. Only `pulse` has any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub announcements: BTreeMap<IpAddr, u64>,
    /// The services. Only `lvs` has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceCounters>,
}

impl Counters {
    /// What happened since `since`, and nothing else.
    #[must_use]
    pub fn new(since: Timestamp, events: EventCounters) -> Self {
        Self { since, events, ..Self::default() }
    }
}

/// What a process takes of its machine.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Usage {
    /// Processor time, its own and the kernel's for it, of all threads since the start.
    #[serde(rename = "cpu_ms")]
    pub cpu: Age,
    /// Memory that it has, in bytes.
    pub resident: u64,
    /// Addresses that it has set aside, in bytes.
    pub reserved: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// How many it may open; `None` without a limit.
    pub max_files: Option<u64>,
}

/// What went over one heartbeat path.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct PathTraffic {
    /// Heartbeats that left.
    pub sent: u64,
    /// Heartbeats that the system would not take: a link that is down, a full queue.
    pub unsent: u64,
    /// What became of those that came.
    #[serde(flatten)]
    pub heard: PathCounters,
}

impl PathTraffic {
    /// This much.
    #[must_use]
    pub const fn new(sent: u64, unsent: u64, heard: PathCounters) -> Self {
        Self { sent, unsent, heard }
    }
}

/// What was counted of a virtual service since it was first offered.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServiceCounters {
    /// Which.
    pub key: ServiceKey,
    /// How long its checks took, those that ran into their timeout included.
    pub check_durations: Histogram,
    /// Its servers.
    pub servers: Vec<ServerCounters>,
}

impl ServiceCounters {
    /// A service of which nothing was counted.
    #[must_use]
    pub fn new(key: ServiceKey) -> Self {
        Self { key, check_durations: Histogram::default(), servers: Vec::new() }
    }
}

/// What was counted of a real server in one service since its checks began.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerCounters {
    /// Its address and port.
    pub address: SocketAddr,
    /// Checks passed.
    pub passed: u64,
    /// Checks failed with an answer, or because nobody listened.
    pub failed: u64,
    /// Checks without an answer in time.
    pub timed_out: u64,
    /// Checks that could not be made: they say nothing of the server.
    pub inconclusive: u64,
    /// How often it was found up after it was not.
    pub ups: u64,
    /// How often it was found down after it was not.
    pub downs: u64,
    /// How long it was down altogether, until now.
    #[serde(rename = "downtime_ms")]
    pub downtime: Age,
}

impl ServerCounters {
    /// A server of which nothing was counted.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            passed: 0,
            failed: 0,
            timed_out: 0,
            inconclusive: 0,
            ups: 0,
            downs: 0,
            downtime: Age(std::time::Duration::ZERO),
        }
    }
}
