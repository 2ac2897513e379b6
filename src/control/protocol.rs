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

mod answer;
mod call;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::answer::{
    CheckResult, Checked, Done, Events, Notified, NotifiedReceiver, Operated, OperatedServer,
    Replicas, ServerLoad, TableStatus, Uploaded,
};
pub use self::call::{Call, Operation, Scope, Servers};
use super::Record;

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
        assert_eq!(call(r#"{"status":{}}"#), Call::Status(Scope::default()));
        assert_eq!(call(r#"{"events":{}}"#), Call::Events { after: 0, follow: false });
        assert_eq!(call(r#""reload""#), Call::Reload);
    }
}
