//! What a director knows about itself, its peer and the ways between them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::guard::Fault;
use super::{Cause, Role, State};
use crate::time::Instant;

/// What a director knows about itself and its peer.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// Configured role.
    pub role: Role,
    /// Current state.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// What brought the state about.
    pub cause: Option<Cause>,
    /// Whether heartbeats are authenticated.
    pub authenticated: bool,
    /// The guards of this node that fail.
    pub faults: Vec<Fault>,
    /// Whether it is in maintenance.
    pub maintenance: bool,
    /// What it last decided not to do, and why.
    pub declined: Option<Declined>,
    /// The peer, once it was heard.
    pub peer: Option<PeerStatus>,
    /// When each heartbeat path last carried an accepted datagram, by [`PathId`](super::PathId).
    pub paths: Vec<Option<Instant>>,
    /// Datagrams that were not accepted, by reason.
    pub rejected: Vec<(String, u64)>,
}

impl Status {
    /// Nothing is known yet: the director has been starting `since` then. A machine of one's own
    /// begins with this and fills in what it knows.
    #[must_use]
    pub const fn new(role: Role, since: Instant) -> Self {
        Self {
            role,
            state: State::Starting,
            since,
            cause: None,
            authenticated: false,
            faults: Vec::new(),
            maintenance: false,
            declined: None,
            peer: None,
            paths: Vec::new(),
            rejected: Vec::new(),
        }
    }

    /// Takes over the texts and lists that differ: most never do.
    pub(super) fn adopt(
        &mut self,
        cause: &Option<Cause>,
        faults: &[Fault],
        declined: &Option<Declined>,
    ) {
        if self.cause != *cause {
            self.cause.clone_from(cause);
        }
        if self.faults != faults {
            faults.clone_into(&mut self.faults);
        }
        if self.declined != *declined {
            self.declined.clone_from(declined);
        }
    }

    /// Takes over how often each reason occurred; those that never did are left out.
    pub(super) fn count_rejected(
        &mut self,
        counts: impl Iterator<Item = (&'static str, u64)> + Clone,
    ) {
        let counts = counts.filter(|(_, count)| *count > 0);
        let known = self.rejected.iter().map(|(reason, _)| reason.as_str());
        if !known.eq(counts.clone().map(|(reason, _)| reason)) {
            self.rejected = counts.clone().map(|(reason, _)| (reason.to_owned(), 0)).collect();
        }
        for ((_, told), (_, count)) in self.rejected.iter_mut().zip(counts) {
            *told = count;
        }
    }
}

/// A decision not to act.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Declined {
    /// When it was taken.
    pub at: Instant,
    /// Why.
    pub reason: Cause,
}

impl Declined {
    /// A decision of the moment `at`, for `reason`.
    #[must_use]
    pub const fn new(at: Instant, reason: Cause) -> Self {
        Self { at, reason }
    }
}

/// What the peer last said.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PeerStatus {
    /// Its state.
    pub state: State,
    /// When it said so.
    pub heard: Instant,
    /// Whether its configuration is the same as ours, where the protocol tells.
    pub same_configuration: Option<bool>,
    /// Whether it had better not hold the service: a guard of it fails, or it is in maintenance.
    pub unfit: bool,
}

impl PeerStatus {
    /// A fit peer that was in `state` at `heard`.
    #[must_use]
    pub const fn new(state: State, heard: Instant, same_configuration: Option<bool>) -> Self {
        Self { state, heard, same_configuration, unfit: false }
    }
}

/// What became of the datagrams that came in on one path.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct PathCounters {
    /// Accepted.
    pub received: u64,
    /// Not accepted; [`Status::rejected`] has the reasons, of all paths together.
    pub refused: u64,
    /// Those that should have come since the first one, and did not: silences of more than one and
    /// a half intervals of the peer, in intervals. None with VRRP, where a standby says nothing.
    pub missed: u64,
}

impl PathCounters {
    /// A datagram was accepted `silence` after the one before it; `interval` is the peer's.
    pub(crate) fn accept(&mut self, silence: Option<Duration>, interval: Duration) {
        self.received = self.received.saturating_add(1);
        let missing = silence.map_or(0, |silence| missed(silence, interval));
        self.missed = self.missed.saturating_add(missing);
    }

    /// The same while the path has been silent for `silence` by now.
    #[must_use]
    pub(crate) fn during(self, silence: Option<Duration>, interval: Duration) -> Self {
        let missing = silence.map_or(0, |silence| missed(silence, interval));
        Self { missed: self.missed.saturating_add(missing), ..self }
    }
}

/// How many of those sent every `interval` are missing after `silence`. What is late by less than
/// half an interval is not.
fn missed(silence: Duration, interval: Duration) -> u64 {
    let intervals = (silence + interval / 2).as_nanos().checked_div(interval.as_nanos());
    u64::try_from(intervals.unwrap_or_default()).unwrap_or(u64::MAX).saturating_sub(1)
}
