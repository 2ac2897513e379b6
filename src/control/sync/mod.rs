//! Files both nodes of a pair have in common: which they are, how they stand, and what is to be
//! done about it.
//!
//! Nothing is decided by clocks. Each node remembers of each file the [`Version`] that both last
//! had in common; which side has changed since then follows from that, as in a three-way merge.
//! Where both have, it is a conflict, which only an administrator resolves.

mod listed;
mod role;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use listed::{CONFIG, Listed, Why, listed};
pub use role::{with_role_of, without_role};

/// What a file holds and who may do what with it, as a digest; for lvs.cf without its `role`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Version(pub String);

/// How a file stands on two nodes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Both have the same, or neither has it.
    Same,
    /// It was changed, made or removed here since both had the same.
    LocalNewer,
    /// It was changed, made or removed on the partner since both had the same.
    PeerNewer,
    /// Only the partner has it, and both never had it.
    MissingHere,
    /// Only this node has it, and both never had it.
    MissingThere,
    /// Both changed it since both had the same, or nobody knows what that was.
    Conflict,
    /// It is not synchronised.
    Excluded,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Same => "same",
            Self::LocalNewer => "newer here",
            Self::PeerNewer => "newer there",
            Self::MissingHere => "missing here",
            Self::MissingThere => "missing there",
            Self::Conflict => "conflict",
            Self::Excluded => "excluded",
        })
    }
}

/// How a file stands that was last the same on both as `base`, and is this now; `None` is a file
/// that is not there.
#[must_use]
pub fn judge(base: Option<&Version>, here: Option<&Version>, there: Option<&Version>) -> Standing {
    match (base, here, there) {
        _ if here == there => Standing::Same,
        (Some(_), _, _) if base == there => Standing::LocalNewer,
        (Some(_), _, _) if base == here => Standing::PeerNewer,
        (None, None, _) => Standing::MissingHere,
        (None, _, None) => Standing::MissingThere,
        _ => Standing::Conflict,
    }
}

/// Which way files may go.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Each from where it is newer.
    #[default]
    Both,
    /// Only from here to the partner.
    Push,
    /// Only from the partner to here.
    Pull,
}

/// What is done about a file.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing: there is nothing to do.
    Nothing,
    /// The partner gets what is here; where nothing is, its file goes.
    Push,
    /// This node gets what the partner has; where nothing is, its file goes.
    Pull,
    /// Nothing: an administrator has to say.
    Leave,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "nothing to do",
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Leave => "left as it is",
        })
    }
}

/// What is to be done about a file that stands so. A conflict is never resolved here.
#[must_use]
pub const fn decide(standing: Standing, direction: Direction) -> Action {
    match (standing, direction) {
        (Standing::Same | Standing::Excluded, _) => Action::Nothing,
        (Standing::LocalNewer | Standing::MissingThere, Direction::Both | Direction::Push) => {
            Action::Push
        }
        (Standing::PeerNewer | Standing::MissingHere, Direction::Both | Direction::Pull) => {
            Action::Pull
        }
        _ => Action::Leave,
    }
}
