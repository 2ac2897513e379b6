//! Changing lvs.cf safely: what it was, who changed it, and whether a change was confirmed.
//!
//! A change that may cut its author off is tried: unless it is confirmed in time, the revision
//! before it comes back. [`Trial`] decides when, [`Archive`] knows what there was; both are values,
//! and `runtime::revisions` keeps them on disk and carries out what they say. The rest of this
//! module is what clients and daemons tell each other about it.

mod archive;
mod review;
mod trial;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::archive::{Archive, Limits, RevisionError};
pub use self::review::{Described, Remark, Review, Stretch, wants_confirmation};
pub use self::trial::{Output, Pending, Return, Trial, TrialError};
use super::{Age, Timestamp};

/// One state of lvs.cf that was in force, or in the file.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Revision {
    /// Counts the revisions of one file from 1, without end.
    pub number: u64,
    /// SHA-256 of the file, in hexadecimal. Files it includes have no part in it.
    pub hash: String,
    /// The length of the file.
    pub bytes: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who made it, as far as is known.
    pub author: String,
    /// How it came about.
    pub origin: Origin,
    /// Why, if that was said.
    pub reason: Option<String>,
}

/// How a revision came about.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It was there when the records began.
    Found,
    /// It was applied.
    Applied,
    /// Somebody edited the file by hand.
    Edited,
    /// A command saved it, such as `piranha server weight --save`.
    Saved,
    /// It is that revision again, because somebody wanted it.
    Restored(u64),
    /// It is that revision again, because a later one was undone.
    Undone(u64),
    /// It is that revision again, because a later one was not confirmed in time.
    RolledBack(u64),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found => f.write_str("found"),
            Self::Applied => f.write_str("applied"),
            Self::Edited => f.write_str("edited by hand"),
            Self::Saved => f.write_str("saved"),
            Self::Restored(number) => write!(f, "restored {number}"),
            Self::Undone(number) => write!(f, "undone to {number}"),
            Self::RolledBack(number) => write!(f, "rolled back to {number}"),
        }
    }
}

/// A text that is to become lvs.cf.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Draft {
    /// This one.
    Text(String),
    /// What was sent before on the same connection, piece by piece.
    Upload,
    /// What is in the file now, edited by hand.
    File,
    /// That of a revision: its number, or how its hash begins.
    Revision(String),
}

/// Whether a change must be confirmed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirmation {
    /// Within a minute where the change touches a floating address or the way to the partner
    /// ([`wants_confirmation`]), else not.
    #[default]
    Auto,
    /// It holds at once.
    Never,
    /// Within this time.
    Within(Age),
}

/// A draft that is to be put in force.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Application {
    /// What.
    pub draft: Draft,
    /// The hash of the file it was made from: refused if the file is another one by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Whether it must be confirmed.
    #[serde(default)]
    pub confirm: Confirmation,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For whom the client speaks, where that is not its own user: the user of a GUI, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Whether it may replace what somebody edited by hand and nobody has applied.
    #[serde(default)]
    pub force: bool,
}

impl Application {
    /// `draft`, whatever the file is now, confirmed where that is wise, for no reason given.
    #[must_use]
    pub const fn new(draft: Draft) -> Self {
        let (base, reason, on_behalf_of) = (None, None, None);
        Self { draft, base, confirm: Confirmation::Auto, reason, on_behalf_of, force: false }
    }
}

/// What became of an [`Application`], or of an undo.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Applied {
    /// The revision in force now; none where nothing is recorded.
    pub revision: Option<u64>,
    /// In how many places the table differs from the one before.
    pub changes: usize,
    /// Until when it must be confirmed, if it must.
    pub pending: Option<Pending>,
    /// What takes effect only when `pulse` is restarted, in words.
    pub restart: Vec<String>,
}

impl Applied {
    /// Revision `revision` is in force, which changed the table in `changes` places.
    #[must_use]
    pub const fn new(revision: Option<u64>, changes: usize) -> Self {
        Self { revision, changes, pending: None, restart: Vec::new() }
    }
}

/// Where the file and its records stand.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// The revision in force, if it is recorded.
    pub revision: Option<u64>,
    /// The hash of what is in force.
    pub hash: String,
    /// Whether the file was edited since, and not applied.
    pub edited: bool,
    /// What waits to be confirmed.
    pub pending: Option<Pending>,
    /// How long it still waits.
    #[serde(rename = "left_ms")]
    pub left: Option<Age>,
    /// Why nothing can be recorded, if that is so.
    pub trouble: Option<String>,
}

/// The records of one file.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Revisions {
    /// The oldest first.
    pub revisions: Vec<Revision>,
    /// The hash of what is in the file now, where it can be read: the base of a change.
    pub file: Option<String>,
    /// How things stand.
    pub standing: Standing,
}

impl Revisions {
    /// These records of a file that has the hash `file`.
    #[must_use]
    pub const fn new(revisions: Vec<Revision>, file: Option<String>, standing: Standing) -> Self {
        Self { revisions, file, standing }
    }
}

/// A revision and what it says.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RevisionText {
    /// Which.
    pub revision: Revision,
    /// The file.
    pub text: String,
}

impl RevisionText {
    /// What `revision` says.
    #[must_use]
    pub const fn new(revision: Revision, text: String) -> Self {
        Self { revision, text }
    }
}

/// What happens to lvs.cf.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// A change was put in force.
    Applied {
        /// Which.
        revision: u64,
        /// Who made it.
        author: String,
        /// Why, if that was said.
        reason: Option<String>,
        /// Until when it must be confirmed, if it must.
        until: Option<Timestamp>,
    },
    /// A change was confirmed.
    Confirmed {
        /// Which.
        revision: u64,
        /// Who confirmed it.
        author: String,
    },
    /// An earlier revision is in force again.
    Returned {
        /// The one that went.
        from: u64,
        /// The one that came back.
        to: u64,
        /// Why.
        why: Return,
    },
    /// An earlier revision should be in force again and is not; it is tried again.
    Stuck {
        /// The one that should come back.
        to: u64,
        /// Why it does not.
        reason: String,
    },
    /// The file was edited by hand. What is in force is another revision until that is applied.
    Edited,
}

impl News {
    /// What brought it about, where that is known.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Applied { reason, .. } => reason.clone(),
            Self::Returned { why, .. } => Some(why.to_string()),
            Self::Stuck { reason, .. } => Some(reason.clone()),
            Self::Confirmed { .. } | Self::Edited => None,
        }
    }

    /// Whether an operator should look at it now.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        matches!(self, Self::Stuck { .. } | Self::Returned { why: Return::Unconfirmed, .. })
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied { revision, author, until: None, .. } => {
                write!(f, "{author} applied revision {revision} of the configuration")
            }
            Self::Applied { revision, author, until: Some(until), .. } => {
                write!(f, "{author} applied revision {revision} of the configuration, ")?;
                write!(f, "to be confirmed until {until}")
            }
            Self::Confirmed { revision, author } => {
                write!(f, "{author} confirmed revision {revision} of the configuration")
            }
            Self::Returned { from, to, .. } => {
                write!(f, "configuration rolled back from revision {from} to {to}")
            }
            Self::Stuck { to, .. } => {
                write!(f, "the configuration cannot be rolled back to revision {to}")
            }
            Self::Edited => f.write_str("the configuration file was edited, and is not in force"),
        }
    }
}
