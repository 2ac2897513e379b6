//! Health, and how results of checks move it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether a real server is fit, as its checks say. What an administrator forces is apart from
/// it, see [`Override`](crate::health::Override).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// No check has ended yet.
    Unknown,
    /// Out, and passing checks, but not enough in a row yet.
    Rising,
    /// In.
    Up,
    /// In, and failing checks, but not enough in a row yet.
    Falling,
    /// Out.
    Down,
}

impl Health {
    /// Whether such a server takes connections.
    #[must_use]
    pub const fn is_in(self) -> bool {
        matches!(self, Self::Up | Self::Falling)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Rising => "rising",
            Self::Up => "up",
            Self::Falling => "falling",
            Self::Down => "down",
        })
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Passed,
    Failed,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Unknown,
    In {
        failures: u32,
    },
    /// `returning` once it had been in: one that never was has nothing to re-enter, so its first
    /// success admits it.
    Out {
        successes: u32,
        returning: bool,
    },
}

impl State {
    pub(super) const fn health(self) -> Health {
        match self {
            Self::Unknown => Health::Unknown,
            Self::In { failures: 0 } => Health::Up,
            Self::In { .. } => Health::Falling,
            Self::Out { successes: 0, .. } => Health::Down,
            Self::Out { .. } => Health::Rising,
        }
    }

    /// Whether a server in this state may have connections that are worth keeping.
    pub(super) const fn may_hold_connections(self) -> bool {
        matches!(self, Self::Unknown | Self::In { .. })
    }

    pub(super) const fn after(self, verdict: Verdict, rise: u32, fall: u32) -> Self {
        let streak = self.streak(verdict);
        let enough = streak >= self.needed(verdict, rise, fall);
        match (self, verdict) {
            (Self::Unknown | Self::In { .. }, Verdict::Passed) => Self::In { failures: 0 },
            (Self::Unknown, Verdict::Failed) => Self::Out { successes: 0, returning: false },
            (Self::In { .. }, Verdict::Failed) if enough => {
                Self::Out { successes: 0, returning: true }
            }
            (Self::In { .. }, Verdict::Failed) => Self::In { failures: streak },
            (Self::Out { .. }, Verdict::Passed) if enough => Self::In { failures: 0 },
            (Self::Out { returning, .. }, Verdict::Passed) => {
                Self::Out { successes: streak, returning }
            }
            (Self::Out { returning, .. }, Verdict::Failed) => Self::Out { successes: 0, returning },
        }
    }

    /// How many checks in a row with this verdict it takes to get in or out.
    pub(super) const fn needed(self, verdict: Verdict, rise: u32, fall: u32) -> u32 {
        match (self, verdict) {
            (Self::In { .. }, Verdict::Failed) => fall,
            (Self::Out { returning: true, .. }, Verdict::Passed) => rise,
            (Self::Unknown | Self::In { .. } | Self::Out { .. }, _) => 1,
        }
    }

    /// How many checks in a row had this verdict, with the one that came just now.
    pub(super) const fn streak(self, verdict: Verdict) -> u32 {
        match (self, verdict) {
            (Self::In { failures }, Verdict::Failed) => failures.saturating_add(1),
            (Self::Out { successes, .. }, Verdict::Passed) => successes.saturating_add(1),
            (Self::Unknown, _)
            | (Self::In { .. }, Verdict::Passed)
            | (Self::Out { .. }, Verdict::Failed) => 1,
        }
    }
}
