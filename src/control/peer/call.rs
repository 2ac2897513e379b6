//! What is asked of the program that has the connection to the partner.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Code;
use crate::control::sync::{Action, Direction, Standing, Version};
use crate::control::{Age, Timestamp};
use crate::health::Pin;

/// What can be asked of [`Daemon::Peer`](crate::control::protocol::Daemon::Peer), as
/// [`Call::Peer`](crate::control::protocol::Call::Peer).
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerCall {
    /// Offer a code with which another node can be paired with this one; answered with
    /// [`Offer`]. An earlier offer ends.
    PairNew,
    /// Pair with the node at `address` that offers `code`; answered with [`PairStatus`]. An
    /// earlier partner is forgotten.
    PairJoin {
        /// Where it listens.
        address: SocketAddr,
        /// Its code, as it was printed.
        code: String,
        /// The fingerprint it printed, where that is to be compared too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Pin>,
    },
    /// Who is paired with this node; answered with [`PairStatus`].
    PairStatus,
    /// Forget the partner, and have it forget this node if it can be reached; answered with
    /// [`Done`](crate::control::protocol::Done).
    PairRemove,
    /// Make a new key and have the partner know it by that; answered with
    /// [`Done`](crate::control::protocol::Done).
    PairRotate,
    /// The node that asks goes over to the key of this fingerprint, and is known by either from
    /// now on; answered with [`Done`](crate::control::protocol::Done). The partner's.
    NextKey {
        /// The hash of the key.
        key: Pin,
    },
    /// The node that asks is no longer the partner; answered with
    /// [`Done`](crate::control::protocol::Done). The partner's.
    Farewell,
    /// Keep these entries of the audit trail of the node that asks; answered with
    /// [`Done`](crate::control::protocol::Done) when they are on the disk. The partner's.
    KeepAudit {
        /// A JSON object each, the oldest first.
        entries: Vec<String>,
    },
    /// The last entries of the partner's audit trail that are kept here, the oldest first; answered
    /// with a list of JSON objects, as text.
    PartnerAudit {
        /// How many at most.
        most: usize,
    },
    /// The files of this node that both are to have in common; answered with a list of
    /// [`FileState`].
    Files {
        /// Others that are told too: those that the partner's lvs.cf names.
        #[serde(default)]
        also: Vec<String>,
    },
    /// One of these files; answered with [`FileText`].
    File {
        /// Its name, as in [`Files`](Self::Files).
        name: String,
    },
    /// Fetch these files from the partner and put them in the place of those here; answered with
    /// [`Done`](crate::control::protocol::Done). All of them, or none.
    Take {
        /// Which, and what they are on either side.
        files: Vec<Wanted>,
    },
    /// How the files stand; answered with a list of [`SyncFile`].
    SyncStatus,
    /// Bring files from where they are newer to the other node; answered with a list of
    /// [`SyncStep`].
    SyncRun {
        /// Which way.
        #[serde(default)]
        direction: Direction,
        /// Whether only to say what would be done.
        #[serde(default)]
        dry_run: bool,
    },
    /// Bring what is newer here to the partner as soon as it can be reached: a change was made
    /// without it. Answered with [`Done`](crate::control::protocol::Done).
    SyncLater,
    /// Make the file of this name the same on both nodes, whichever was changed; answered with a
    /// list of [`SyncStep`].
    SyncResolve {
        /// Its name.
        name: String,
        /// Whether what is here wins, or what the partner has.
        mine: bool,
    },
}

/// A file of a node that both are to have in common.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FileState {
    /// What both nodes call it: relative to the directory of lvs.cf, or a whole path.
    pub name: String,
    /// What it is; `None` if it is not there.
    pub version: Option<Version>,
    /// Its length in bytes.
    pub size: u64,
    /// Why it is not synchronised, if it is not.
    pub excluded: Option<String>,
    /// Whether it waits to be confirmed, and may go back by itself: of lvs.cf alone.
    #[serde(default)]
    pub on_trial: bool,
}

impl FileState {
    /// A file of this name that is not there.
    #[must_use]
    pub const fn new(name: String) -> Self {
        Self { name, version: None, size: 0, excluded: None, on_trial: false }
    }
}

/// What is in a file.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FileText {
    /// What it is.
    pub version: Version,
    /// Who may do what with it.
    pub mode: u32,
    /// Its bytes in base 64.
    pub base64: String,
}

impl FileText {
    /// These bytes, in base 64, with this mode.
    #[must_use]
    pub const fn new(version: Version, mode: u32, base64: String) -> Self {
        Self { version, mode, base64 }
    }
}

/// A file that is to be fetched.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// What it is on the node that fetches. If it is not that any more, nothing is done.
    pub here: Option<Version>,
    /// What it is on the other one; `None` has it removed. The same holds of it.
    pub there: Option<Version>,
}

impl Wanted {
    /// A file that is this here and that there.
    #[must_use]
    pub const fn new(name: String, here: Option<Version>, there: Option<Version>) -> Self {
        Self { name, here, there }
    }
}

/// How a file stands on both nodes.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SyncFile {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// What it is here.
    pub here: Option<Version>,
    /// What it is there.
    pub there: Option<Version>,
    /// Why it is not synchronised, if it is not.
    pub excluded: Option<String>,
}

impl SyncFile {
    /// A file that stands so.
    #[must_use]
    pub const fn new(
        name: String,
        standing: Standing,
        here: Option<Version>,
        there: Option<Version>,
    ) -> Self {
        Self { name, standing, here, there, excluded: None }
    }
}

/// What was done about a file.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SyncStep {
    /// Its name.
    pub name: String,
    /// How it stood.
    pub standing: Standing,
    /// What was to be done.
    pub action: Action,
    /// Why it was not done, if it was not.
    pub problem: Option<String>,
}

impl SyncStep {
    /// An action on a file that stood so.
    #[must_use]
    pub const fn new(name: String, standing: Standing, action: Action) -> Self {
        Self { name, standing, action, problem: None }
    }
}

impl PeerCall {
    /// Whether the partner may ask it.
    #[must_use]
    pub const fn is_open_to_partner(&self) -> bool {
        match self {
            Self::PairStatus
            | Self::NextKey { .. }
            | Self::Farewell
            | Self::KeepAudit { .. }
            | Self::Files { .. }
            | Self::File { .. }
            | Self::Take { .. } => true,
            Self::PairNew
            | Self::PairJoin { .. }
            | Self::PairRemove
            | Self::PairRotate
            | Self::PartnerAudit { .. }
            | Self::SyncStatus
            | Self::SyncRun { .. }
            | Self::SyncLater
            | Self::SyncResolve { .. } => false,
        }
    }

    /// Whether only the partner may: it is about the node that asks.
    #[must_use]
    pub const fn is_for_partner_only(&self) -> bool {
        matches!(self, Self::NextKey { .. } | Self::Farewell | Self::KeepAudit { .. })
    }
}

/// A code that is offered.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Offer {
    /// The code, for the administrator alone.
    pub code: String,
    /// When it ends.
    pub until: Timestamp,
    /// The key of this node.
    pub fingerprint: Pin,
    /// Where this node listens.
    pub addresses: Vec<SocketAddr>,
}

impl Offer {
    /// An offer of `code` by the node with the key `fingerprint`, until then.
    #[must_use]
    pub fn new(
        code: &Code,
        until: Timestamp,
        fingerprint: Pin,
        addresses: Vec<SocketAddr>,
    ) -> Self {
        Self { code: code.to_string(), until, fingerprint, addresses }
    }
}

/// Who is paired with a node.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PairStatus {
    /// The name of the node.
    pub node: String,
    /// Its key.
    pub fingerprint: Pin,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// The partner, if there is one.
    pub partner: Option<PartnerStatus>,
    /// When the code that is offered ends, if one is.
    pub offered_until: Option<Timestamp>,
    /// Since when the partner is owed a change that was made here without it, if it is.
    #[serde(default)]
    pub owed_since: Option<Timestamp>,
    /// Connections that were turned away, by reason.
    pub refused: BTreeMap<String, u64>,
}

impl PairStatus {
    /// A node that is paired with nobody.
    #[must_use]
    pub const fn new(node: String, fingerprint: Pin, addresses: Vec<SocketAddr>) -> Self {
        Self {
            node,
            fingerprint,
            addresses,
            partner: None,
            offered_until: None,
            owed_since: None,
            refused: BTreeMap::new(),
        }
    }
}

/// The node on the other end.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PartnerStatus {
    /// Its name.
    pub node: String,
    /// Its key.
    pub fingerprint: Pin,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Since when it has been the partner.
    pub since: Timestamp,
    /// How long ago it was last spoken with; `None` for never since this program started.
    #[serde(rename = "heard_ms")]
    pub heard: Option<Age>,
    /// Why it could not be reached the last time, if it could not.
    pub problem: Option<String>,
}

impl PartnerStatus {
    /// The node of this name and key, at `address`, partner since `since`, not spoken with yet.
    #[must_use]
    pub const fn new(
        node: String,
        fingerprint: Pin,
        address: SocketAddr,
        since: Timestamp,
    ) -> Self {
        Self { node, fingerprint, address, since, heard: None, problem: None }
    }
}
