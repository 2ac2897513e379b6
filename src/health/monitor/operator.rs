use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Instant;

/// What an administrator wants regardless of the checks, which go on meanwhile.
///
/// Prints as `ready`, `drain`, `disabled`, `forced down` and `forced up`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Override {
    /// Nothing, the server is ready: the checks decide (nanny's SIGHUP).
    #[default]
    #[serde(alias = "ready")]
    None,
    /// No new connections: in the table with weight 0, whatever `quiesce` says, so that those it
    /// has go on. A server that is down is out as its checks have it. When it ends, a healthy
    /// server comes back with a slow start.
    Drain,
    /// Out of the table, whatever `quiesce` says: its connections go as the data plane has it.
    /// When it ends, a healthy server comes back with a slow start.
    Disabled,
    /// Out, removed or quiesced as configured (SIGUSR1). When it ends, a healthy server comes
    /// back with a slow start.
    ForceDown,
    /// In, with the full weight at once (SIGUSR2).
    ForceUp,
}

impl Override {
    /// Whether it keeps connections from a server that could take some.
    #[must_use]
    pub const fn keeps_out(self) -> bool {
        matches!(self, Self::Drain | Self::Disabled | Self::ForceDown)
    }

    /// When the slow start began, if one is under way, once this is said in place of `ended`.
    pub(super) fn ramp(self, ended: Self, ramp: Option<Instant>, now: Instant) -> Option<Instant> {
        match self {
            Self::None if ended.keeps_out() => Some(now),
            Self::ForceUp => None,
            _ => ramp,
        }
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "ready",
            Self::Drain => "drain",
            Self::Disabled => "disabled",
            Self::ForceDown => "forced down",
            Self::ForceUp => "forced up",
        })
    }
}
