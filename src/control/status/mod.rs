//! The status model: what command, terminal view, GUI and metrics all show.
//!
//! Each daemon tells its half: `pulse` the [`Heartbeats`], `lvs` the [`Balancing`]. A [`Status`]
//! puts them together with a [`Verdict`] on the two questions that matter: is this pair healthy,
//! and would a failover succeed now. Every value has its age, counted when it was told; a half
//! that is too old, or did not come, is [`Reading::Unknown`] and never passes for good.

mod balancing;
mod pair;
mod service;
mod totals;
mod verdict;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::balancing::{
    Balancing, ConnectionSync, DataPlane, LoadReading, Replication, Revision,
};
pub use self::pair::{Declined, HeartbeatPath, Heartbeats, Partner};
pub use self::service::{
    Counts, QuorumStatus, ServerState, ServerStatus, ServiceState, ServiceStatus, Traffic,
};
pub use self::totals::{Concern, ServiceCounts, Totals};
pub use self::verdict::{Failover, Grade, Reason, ReasonCode, Verdict};
use super::{Age, Timestamp};

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
                let servers = lvs.totals().servers;
                parts.push(format!("{}/{} servers up", servers.up, servers.total));
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
