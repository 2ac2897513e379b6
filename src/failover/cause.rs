//! Why a director changed its state, or did not.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::guard::Fault;

/// Why a director changed its state, or did not.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// There is no peer (`backup_active = 0`) and nothing was heard for the dead time.
    Alone,
    /// The peer was silent for the dead time.
    PeerDead,
    /// The peer is active.
    PeerActive,
    /// Both are active and the peer is the primary.
    PeerWins,
    /// Another router is active whose VRRP priority is higher, or equal with a greater address.
    PeerHigher,
    /// The active router has a lower VRRP priority, and this node may take over from it.
    PeerLower,
    /// The peer runs and does not hold the service.
    PeerStandby,
    /// The peer said it cannot hold the service.
    PeerFailed,
    /// The peer hands the service over.
    PeerHandsOver,
    /// The peer said farewell.
    PeerStopped,
    /// A guard of the peer fails, or it is in maintenance.
    PeerUnfit,
    /// A guard of this node fails.
    Guard(Fault),
    /// This node is in maintenance.
    Maintenance,
    /// The addresses of this node are coming up or cannot be taken down just now.
    Busy,
    /// The service stays with the peer until this node knows its servers and connections.
    Cold,
    /// This node was told to start as the active one.
    Forced,
    /// The administrator asked for a hand-over.
    Requested,
    /// The peer did not agree to a hand-over in time, or could not take it.
    PeerRefused,
    /// The guard that a hand-over was offered for holds again; the service stays.
    Mended,
    /// A hand-over was asked of a director that does not hold the service.
    NotActive,
    /// The process was told to stop.
    Stopping,
    /// The data plane on this node broke down.
    DataPlaneFailed,
    /// The data plane on this node works again.
    DataPlaneUsable,
    /// The last try failed a dead time ago; ready for another.
    Retrying,
    /// The addresses are up.
    Acquired,
    /// The addresses are down.
    Released,
    /// The addresses could not be brought up or down.
    ActionFailed(ActionError),
    /// The clock jumped further than the dead time: the node was suspended or stalled.
    Suspended,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alone => "there is no peer",
            Self::PeerDead => "partner dead",
            Self::PeerActive => "partner active",
            Self::PeerWins => "partner active and primary",
            Self::PeerHigher => "partner active with a higher priority",
            Self::PeerLower => "partner active with a lower priority",
            Self::PeerStandby => "partner inactive",
            Self::PeerFailed => "partner cannot hold the service",
            Self::PeerHandsOver => "partner hands over",
            Self::PeerStopped => "partner said farewell",
            Self::PeerUnfit => "partner's guards fail, or it is in maintenance",
            Self::Guard(fault) => return fault.fmt(f),
            Self::Maintenance => "this node is in maintenance",
            Self::Busy => "this node is about to change its state; try again",
            Self::Cold => "not taken back yet: checks and connections are not known here",
            Self::Forced => "told to start active",
            Self::Requested => "hand-over requested",
            Self::PeerRefused => "partner did not take the service",
            Self::Mended => "what was wrong with this node is mended",
            Self::NotActive => "this node does not hold the service",
            Self::Stopping => "stopping",
            Self::DataPlaneFailed => "data plane failed",
            Self::DataPlaneUsable => "data plane usable",
            Self::Retrying => "ready to try again",
            Self::Acquired => "addresses up",
            Self::Released => "addresses down",
            Self::ActionFailed(error) => return error.fmt(f),
            Self::Suspended => "this node was suspended or stalled beyond the dead time",
        })
    }
}

/// Why an action failed, in words for the operator.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(transparent)]
#[error("{0}")]
pub struct ActionError(pub String);
