//! What clients ask of daemons.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::{
    CheckResult, Checked, Done, Events, Message, Operated, Replicas, TableStatus, Uploaded,
};
use crate::control::peer::PeerCall;
use crate::control::revisions::{Application, Draft};
#[cfg(doc)]
use crate::control::status::{Balancing, Heartbeats, Totals};
use crate::control::{Override, Timestamp, Word};

/// What can be asked of a daemon. Each says who serves it and what the answer is.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// What there is to know, as far as the scope goes: of `pulse` a [`Heartbeats`], of `lvs` a
    /// [`Balancing`].
    Status(Scope),
    /// What the data plane was told, with the connections it has: an [`TableStatus`]. Served by `lvs`.
    Table,
    /// What was counted since the daemon began, as [`Counters`](crate::control::Counters); served by both.
    Counters,
    /// The events that are remembered, as [`Events`]; served by both.
    Events {
        /// Only those after this number.
        #[serde(default)]
        after: u64,
        /// Whether those that are still to happen follow as [`Message::Event`].
        #[serde(default)]
        follow: bool,
    },
    /// Read the configuration again; answered with [`Done`] once that has been decided. Served by
    /// `lvs`.
    Reload,
    /// Pass the service to the partner; answered with [`Done`] once the partner has said that it
    /// takes it and the addresses are down here. Served by `pulse`.
    HandOver {
        /// Why, for the log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Begin maintenance of this node or end it: it passes the service on if it has it, and does
    /// not take over. Answered with [`Done`] once that is decided. Served by `pulse`.
    Maintenance {
        /// Whether it begins.
        on: bool,
        /// Why, for the log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Say something of servers; answered with [`Operated`]. Served by `lvs`.
    Operate(Operation),
    /// Check servers once, now, by the daemon's own settings; answered with [`Checked`]. Nothing
    /// follows from the result. Served by `lvs`.
    Check {
        /// Which, as in [`Operation::target`].
        target: String,
    },
    /// Tell everybody whom the configuration in force names that this is a test, as events are told;
    /// answered with [`Notified`](super::Notified). Served by `lvs`.
    TestNotify {
        /// Only those of this directive, such as `notify_mail`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<String>,
    },
    /// Take back what was said of servers; answered with [`Operated`]. Served by `lvs`.
    ClearOverrides {
        /// Of which, as in [`Operation::target`]; of all without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// What operators say of servers with the ends of it, as [`Replicas`]; served by `lvs`.
    Replicas {
        /// Without the words if they have this digest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unless: Option<String>,
    },
    /// Take over what operators said on the other node where it is later than what is known
    /// here; answered with [`Replicas`] without the words. Served by `lvs`.
    Replicate {
        /// What they said there, or some of it.
        words: Vec<Override>,
    },
    /// The partner has what operators said here, up to this digest; or why it does not. Answered
    /// with [`Done`]. Served by `lvs`, for the program that brings it there.
    Replicated {
        /// Of which words.
        digest: String,
        /// Why not all of it is there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// Something about the partner and the connection to it, answered as [`PeerCall`] says.
    /// Served by the program that has it.
    Peer(PeerCall),
    /// What somebody on the partner asks; answered as `call` is, where the partner may ask it.
    /// Served by all, for the one that has the connection to the partner.
    FromPartner {
        /// In whose name: `user@node`.
        author: String,
        /// What.
        call: Box<Self>,
    },
    /// A piece of a draft that does not fit on one line, for [`Draft::Upload`] of this connection;
    /// answered with [`Uploaded`]. Served by `lvs`.
    Upload {
        /// How many bytes of it came before; 0 begins a new one.
        at: usize,
        /// The piece.
        text: String,
    },
    /// Look at a draft of lvs.cf; changes nothing. Answered with a
    /// [`Review`](crate::control::revisions::Review). Served by `lvs`.
    ReviewConfig {
        /// The draft.
        draft: Draft,
    },
    /// Put a draft in force; answered with [`Applied`](crate::control::revisions::Applied). Served by `lvs`.
    ApplyConfig(Application),
    /// Keep a change that waits to be confirmed; answered with [`Done`]. Served by `lvs`.
    ConfirmConfig {
        /// As [`Application::on_behalf_of`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_behalf_of: Option<String>,
    },
    /// Take the change back that waits to be confirmed, or else the last one; answered with
    /// [`Applied`](crate::control::revisions::Applied). Served by `lvs`.
    UndoConfig {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// As [`Application::on_behalf_of`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_behalf_of: Option<String>,
    },
    /// The revisions that are kept; answered with
    /// [`Revisions`](crate::control::revisions::Revisions). Served by `lvs`.
    ConfigHistory,
    /// What a revision says; answered with
    /// [`RevisionText`](crate::control::revisions::RevisionText). Served by `lvs`.
    ConfigText {
        /// Its number, or how its hash begins.
        revision: String,
    },
}

impl Call {
    /// Whether the partner may ask it: a fixed list. What it does not know of a later version it
    /// does not pass on.
    #[must_use]
    pub const fn is_open_to_partner(&self) -> bool {
        match self {
            Self::Status(_)
            | Self::Table
            | Self::Counters
            | Self::Events { .. }
            | Self::Reload
            | Self::HandOver { .. }
            | Self::Maintenance { .. }
            | Self::Operate(_)
            | Self::Check { .. }
            | Self::ClearOverrides { .. }
            | Self::Replicas { .. }
            | Self::Replicate { .. }
            | Self::Upload { .. }
            | Self::ReviewConfig { .. }
            | Self::ApplyConfig(_)
            | Self::ConfirmConfig { .. }
            | Self::UndoConfig { .. }
            | Self::ConfigHistory
            | Self::ConfigText { .. } => true,
            Self::Peer(call) => call.is_open_to_partner(),
            Self::TestNotify { .. } | Self::Replicated { .. } | Self::FromPartner { .. } => false,
        }
    }
}

/// How much a status tells; without more, all services and none of their servers.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Scope {
    /// Which servers are told.
    #[serde(default)]
    pub servers: Servers,
    /// Only the service of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Of each service only what it is and does: neither its servers nor what goes through it, nor
    /// the measured load of servers. The answer has the [`Totals`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overview: bool,
    /// So many services at most: those with something to notice first, the worst before the others.
    /// The answer has the [`Totals`] and says how many were left out. A daemon that does not know
    /// of this tells all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<usize>,
}

impl Scope {
    /// All services, with these of their servers.
    #[must_use]
    pub const fn of(servers: Servers) -> Self {
        Self { servers, service: None, overview: false, at_most: None }
    }

    /// What each service is and does, and no more.
    #[must_use]
    pub const fn overview() -> Self {
        Self { servers: Servers::None, service: None, overview: true, at_most: None }
    }

    /// The same, only of the service of this name.
    #[must_use]
    pub fn only(self, service: impl Into<String>) -> Self {
        Self { service: Some(service.into()), ..self }
    }

    /// The same, of so many services at most.
    #[must_use]
    pub fn at_most(self, services: usize) -> Self {
        Self { at_most: Some(services), ..self }
    }

    /// Whether a service of this name is meant.
    #[must_use]
    pub fn covers(&self, service: &str) -> bool {
        self.service.as_ref().is_none_or(|name| name == service)
    }
}

/// Which servers a status tells.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Servers {
    /// None; services count theirs.
    #[default]
    None,
    /// Those that are not simply up, or of which an operator says something: what a person looks
    /// for, and little where there are many servers.
    Notable,
    /// All.
    All,
}

/// What an operator wants of servers.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Operation {
    /// Which: `SERVICE/SERVER`, or `SERVER` for one in all its services, see
    /// [`find_servers`](crate::control::find_servers).
    pub target: String,
    /// Further ones, each as `target`: done to all of them, or to none. Where there are any,
    /// `SERVICE/*` means each server of the service, not the service as one; [`Word::Ready`] then
    /// ends what is said of that too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<String>,
    /// What.
    pub word: Word,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it ends by itself. Not together with `save`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether it is written into lvs.cf instead: [`Word::Weight`] as `weight`, [`Word::Disable`]
    /// as `active = 0`.
    #[serde(default)]
    pub save: bool,
    /// Whether it may leave a service without a server.
    #[serde(default)]
    pub force: bool,
}

impl Operation {
    /// `word` on `target`, until somebody says otherwise, for no reason given.
    pub fn new(target: impl Into<String>, word: Word) -> Self {
        let target = target.into();
        let further = Vec::new();
        Self { target, further, word, reason: None, until: None, save: false, force: false }
    }
}
