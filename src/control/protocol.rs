//! What clients and daemons say to each other over the control socket.
//!
//! One JSON value a line, in both directions; docs/control-protocol.md is the reference. A daemon
//! greets with [`Message::Hello`]. A client sends [`Request`]s, each of which is answered by
//! exactly one [`Message::Answer`] or [`Message::Refusal`] with its id, in the order in which they
//! came; in between there may be [`Message::Event`]s once they were subscribed to.
//!
//! Fields may be added to any value: who reads ignores what it does not know. A new [`Call`] that
//! a daemon does not know is refused with [`ProblemCode::UnknownCall`]. Anything else that changes
//! is a new [`VERSION`].

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::peer::PeerCall;
use super::revisions::{Application, Draft};
use super::{Age, Override, Overrides, Record, Timestamp, Word};
use crate::ipvs::{Load, ServiceKey, Table};

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// The longest line a daemon accepts, in bytes.
pub const MAX_REQUEST: usize = 64 << 10;

/// The largest draft of a configuration that can be sent, in bytes: as large as lvs.cf may be.
pub const MAX_DRAFT: usize = 16 << 20;

/// The longest line a client accepts, in bytes: the status of some hundred thousand servers.
pub const MAX_MESSAGE: usize = 256 << 20;

/// Who is at the other end.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Daemon {
    /// Heartbeats and floating addresses.
    Pulse,
    /// Checks and the data plane.
    Lvs,
    /// The connection to the partner, see [`peer`](super::peer).
    Peer,
}

impl Daemon {
    /// Its name, which is that of its socket without `.sock` too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pulse => "pulse",
            Self::Lvs => "lvs",
            Self::Peer => "peer",
        }
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing a client wants.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Request {
    /// To be named in the answer; the client's choice.
    pub id: u64,
    /// What it wants.
    pub call: Call,
}

/// What can be asked of a daemon. Each says who serves it and what the answer is.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// What there is to know: of `pulse` a [`Heartbeats`](super::status::Heartbeats), of `lvs` a
    /// [`Balancing`](super::status::Balancing).
    Status {
        /// Which servers are told.
        #[serde(default)]
        servers: Servers,
        /// Only the service of this name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
    /// What the data plane was told, with the connections it has: an [`TableStatus`]. Served by `lvs`.
    Table,
    /// What was counted since the daemon began, as [`Counters`](super::Counters); served by both.
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
    /// [`Review`](super::revisions::Review). Served by `lvs`.
    ReviewConfig {
        /// The draft.
        draft: Draft,
    },
    /// Put a draft in force; answered with [`Applied`](super::revisions::Applied). Served by `lvs`.
    ApplyConfig(Application),
    /// Keep a change that waits to be confirmed; answered with [`Done`]. Served by `lvs`.
    ConfirmConfig {
        /// As [`Application::on_behalf_of`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_behalf_of: Option<String>,
    },
    /// Take the change back that waits to be confirmed, or else the last one; answered with
    /// [`Applied`](super::revisions::Applied). Served by `lvs`.
    UndoConfig {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// As [`Application::on_behalf_of`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_behalf_of: Option<String>,
    },
    /// The revisions that are kept; answered with
    /// [`Revisions`](super::revisions::Revisions). Served by `lvs`.
    ConfigHistory,
    /// What a revision says; answered with
    /// [`RevisionText`](super::revisions::RevisionText). Served by `lvs`.
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
            Self::Status { .. }
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
            Self::Replicated { .. } | Self::FromPartner { .. } => false,
        }
    }
}

/// How much of a draft has come.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Uploaded {
    /// Bytes.
    pub bytes: usize,
}

impl Uploaded {
    /// So many bytes.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        Self { bytes }
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
    /// [`find_servers`](super::find_servers).
    pub target: String,
    /// Further ones, each as `target`: done to all of them, or to none.
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

/// What became of an [`Operation`].
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Operated {
    /// The servers it concerned.
    pub servers: Vec<OperatedServer>,
    /// Whether the partner knows of it. If not, the status of `lvs` says why.
    pub replicated: bool,
}

impl Operated {
    /// An operation that concerned `servers`, on this node.
    #[must_use]
    pub const fn new(servers: Vec<OperatedServer>) -> Self {
        Self { servers, replicated: false }
    }
}

/// What the data plane was told, and what it says of it.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct TableStatus {
    /// Services and servers, sorry servers and those that leave included.
    pub table: Table,
    /// The connections of servers, as far as they are known.
    pub loads: Vec<ServerLoad>,
    /// How old the connections are; `None` if they are not known.
    #[serde(rename = "traffic_age_ms")]
    pub traffic_age: Option<Age>,
}

impl TableStatus {
    /// A table of whose connections nothing is known.
    #[must_use]
    pub const fn new(table: Table) -> Self {
        Self { table, loads: Vec::new(), traffic_age: None }
    }
}

/// The connections of one server of one service.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct ServerLoad {
    /// The service.
    pub service: ServiceKey,
    /// The server's address and port.
    pub server: SocketAddr,
    /// Its connections.
    pub load: Load,
}

impl ServerLoad {
    /// So many of `server` in `service`.
    #[must_use]
    pub const fn new(service: ServiceKey, server: SocketAddr, load: Load) -> Self {
        Self { service, server, load }
    }
}

/// What operators say of servers, for the other node of the pair.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Replicas {
    /// A digest of all of it, in hexadecimal.
    pub digest: String,
    /// All of it, ends included, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Overrides>,
}

impl Replicas {
    /// With this digest.
    #[must_use]
    pub const fn new(digest: String, words: Option<Overrides>) -> Self {
        Self { digest, words }
    }
}

/// A server that something was said of.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct OperatedServer {
    /// The virtual service's name in lvs.cf.
    pub service: String,
    /// The real server's name in lvs.cf.
    pub server: String,
    /// The connections it has.
    pub connections: Option<u32>,
}

impl OperatedServer {
    /// The server of this name in the service of this name.
    #[must_use]
    pub const fn new(service: String, server: String, connections: Option<u32>) -> Self {
        Self { service, server, connections }
    }
}

/// What became of a [`Call::Check`].
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Checked {
    /// One for each server that was meant.
    pub checks: Vec<CheckResult>,
}

impl Checked {
    /// These checks.
    #[must_use]
    pub const fn new(checks: Vec<CheckResult>) -> Self {
        Self { checks }
    }
}

/// One check of one server.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckResult {
    /// The virtual service's name in lvs.cf.
    pub service: String,
    /// The real server's name in lvs.cf.
    pub server: String,
    /// Its address and port.
    pub address: SocketAddr,
    /// What kind of check it was.
    pub kind: String,
    /// Why it failed; `None` if it passed.
    pub failure: Option<String>,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What it sent and got, a line each, without secrets.
    pub transcript: Vec<String>,
}

impl CheckResult {
    /// A check of the server of this name in the service of this name, of which nothing is known.
    #[must_use]
    pub const fn new(service: String, server: String, address: SocketAddr) -> Self {
        Self {
            service,
            server,
            address,
            kind: String::new(),
            failure: None,
            took_us: 0,
            transcript: Vec::new(),
        }
    }
}

/// What a daemon says.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged, try_from = "Line<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub enum Message<T> {
    /// The first line.
    Hello {
        /// Who is there.
        hello: Hello,
    },
    /// What a request was answered.
    Answer {
        /// The request's.
        id: u64,
        /// As its [`Call`] says.
        result: T,
    },
    /// Why a request was not done. Nothing was changed.
    Refusal {
        /// The request's; none where the line was no request.
        id: Option<u64>,
        /// Why.
        error: Problem,
    },
    /// Something happened.
    Event {
        /// What.
        event: Record,
    },
    /// Events happened that this client was too slow to take.
    Lost {
        /// How many.
        lost: u64,
    },
}

/// A line before its kind is known. Read at once, a large result is not held twice.
#[derive(Deserialize)]
struct Line<T> {
    hello: Option<Hello>,
    id: Option<u64>,
    result: Option<T>,
    error: Option<Problem>,
    event: Option<Record>,
    lost: Option<u64>,
}

impl<T> TryFrom<Line<T>> for Message<T> {
    type Error = &'static str;

    fn try_from(line: Line<T>) -> Result<Self, Self::Error> {
        match line {
            Line { hello: Some(hello), .. } => Ok(Self::Hello { hello }),
            Line { id: Some(id), result: Some(result), .. } => Ok(Self::Answer { id, result }),
            Line { id, error: Some(error), .. } => Ok(Self::Refusal { id, error }),
            Line { event: Some(event), .. } => Ok(Self::Event { event }),
            Line { lost: Some(lost), .. } => Ok(Self::Lost { lost }),
            _ => Err("neither a greeting nor an answer nor an event"),
        }
    }
}

/// How a daemon greets.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hello {
    /// [`VERSION`].
    pub protocol: u32,
    /// Which daemon this is.
    pub daemon: Daemon,
    /// The name of the node.
    pub node: String,
    /// The version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Whom it takes the client for: the user's name, or `uid` and a number.
    pub you: String,
}

impl Hello {
    /// The greeting of `daemon`, process `pid`, on `node`, to a client whose user is `you`.
    #[must_use]
    pub fn new(daemon: Daemon, node: String, pid: u32, you: String) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { protocol: VERSION, daemon, node, version, pid, you }
    }
}

/// The events that are remembered.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Events {
    /// The oldest first.
    pub events: Vec<Record>,
    /// How many of those asked for have been forgotten.
    pub forgotten: u64,
    /// The number of the last event.
    pub last: u64,
}

impl Events {
    /// These events, before which `forgotten` are lost; the last there was has number `last`.
    #[must_use]
    pub const fn new(events: Vec<Record>, forgotten: u64, last: u64) -> Self {
        Self { events, forgotten, last }
    }
}

/// What was done.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Done {
    /// In words, for a person.
    pub done: String,
}

impl Done {
    /// `done`, in words.
    pub fn new(done: impl Into<String>) -> Self {
        Self { done: done.into() }
    }
}

/// Why something was not done, and what would mend it.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// For programs.
    pub code: ProblemCode,
    /// For people: what is wrong.
    pub message: String,
    /// For people: what to do about it.
    pub mend: String,
}

impl Problem {
    /// A problem with what would mend it.
    pub fn new(code: ProblemCode, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { code, message: message.into(), mend: mend.into() }
    }
}

/// What kind of [`Problem`] it is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The line is no request: too long, no JSON, no id.
    BadRequest,
    /// The daemon does not know the call, or not with these fields.
    UnknownCall,
    /// The other daemon serves this call.
    WrongDaemon,
    /// The user may not.
    NotAllowed,
    /// There are too many clients.
    Busy,
    /// There is no such service or server, or the name could mean several.
    NoSuchObject,
    /// It would leave a service without a server.
    LastServer,
    /// The configuration was refused.
    Configuration,
    /// What it was made from has been changed by somebody else since.
    Stale,
    /// What this node or its partner is doing does not allow it.
    State,
    /// The operating system failed.
    System,
    /// The daemon did not answer in time.
    TimedOut,
    /// A kind this version does not know.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Event, History, Timestamp};

    fn said(line: &str) -> Message<Done> {
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn every_kind_of_message_is_told_by_its_line() {
        let mut history = History::new(1);
        let event = history.add(Timestamp(1), Event::Warning { text: "x".to_owned() }).clone();
        let problem = Problem::new(ProblemCode::Busy, "full", "wait");
        let hello = Hello::new(Daemon::Lvs, "lb1".to_owned(), 7, "root".to_owned());
        let messages = [
            Message::Hello { hello },
            Message::Answer { id: 3, result: Done::new("all of it") },
            Message::Refusal { id: None, error: problem.clone() },
            Message::Refusal { id: Some(3), error: problem },
            Message::Event { event },
            Message::Lost { lost: 9 },
        ];
        for message in messages {
            let line = serde_json::to_string(&message).unwrap();
            assert_eq!(said(&line), message, "{line}");
        }
    }

    #[test]
    fn what_a_later_version_adds_is_ignored() {
        let line = r#"{"id":1,"result":{"done":"yes","more":[1]},"took":5}"#;
        assert_eq!(said(line), Message::Answer { id: 1, result: Done::new("yes") });
        let line = r#"{"id":1,"error":{"code":"tired","message":"m","mend":"sleep"}}"#;
        let Message::Refusal { error, .. } = said(line) else { panic!("a refusal") };
        assert_eq!(error.code, ProblemCode::Other);
    }

    #[test]
    fn a_call_needs_only_the_fields_that_matter() {
        let call = |text| serde_json::from_str::<Call>(text).unwrap();
        assert_eq!(
            call(r#"{"status":{}}"#),
            Call::Status { servers: Servers::None, service: None }
        );
        assert_eq!(call(r#"{"events":{}}"#), Call::Events { after: 0, follow: false });
        assert_eq!(call(r#""reload""#), Call::Reload);
    }
}
