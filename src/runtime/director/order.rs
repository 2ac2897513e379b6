//! What can be asked of a running director, from other tasks and threads.

use tokio::sync::oneshot;

use super::Trial;
use crate::control::protocol::{Operated, Operation, Problem, Replicas, Scope, TableStatus};
use crate::control::status::Balancing;
use crate::control::{Override, ServiceCounters, TargetError};
use crate::runtime::configuration::Accepted;
use crate::runtime::notify;

/// Something a [`Director`](super::Director) is asked. Whoever does not wait for the answer may
/// drop its receiver.
#[non_exhaustive]
#[derive(Debug)]
pub enum Order {
    /// What it knows.
    Status {
        /// How much of it is told.
        scope: Scope,
        /// Where to.
        answer: oneshot::Sender<Balancing>,
    },
    /// What the data plane was told.
    Table {
        /// Where to.
        answer: oneshot::Sender<TableStatus>,
    },
    /// What it has counted.
    Counters {
        /// Where to.
        answer: oneshot::Sender<Vec<ServiceCounters>>,
    },
    /// Say something of servers.
    Operate {
        /// Who says so.
        author: String,
        /// What.
        operation: Operation,
        /// Where to.
        answer: oneshot::Sender<Result<Operated, Problem>>,
    },
    /// Take back what was said of servers.
    Clear {
        /// Who does so.
        author: String,
        /// Of which; of all without.
        target: Option<String>,
        /// Where to.
        answer: oneshot::Sender<Result<Operated, Problem>>,
    },
    /// What operators say of servers, for the other node.
    Replicas {
        /// Without the words if they have this digest.
        unless: Option<String>,
        /// Where to.
        answer: oneshot::Sender<Replicas>,
    },
    /// Take over what operators said on the other node.
    Replicate {
        /// What.
        words: Vec<Override>,
        /// Where to.
        answer: oneshot::Sender<Result<Replicas, Problem>>,
    },
    /// The other node has what operators said up to this digest, or why not.
    Replicated {
        /// Of which words.
        digest: String,
        /// Why not.
        problem: Option<String>,
        /// Where to.
        answer: oneshot::Sender<()>,
    },
    /// Wait until the other node has what operators said; answered with `false` where nothing
    /// brings it there.
    Settled {
        /// Where to.
        answer: oneshot::Sender<bool>,
    },
    /// The checks of servers, to be run once by who asks.
    Trials {
        /// Which servers.
        target: String,
        /// Where to.
        answer: oneshot::Sender<Result<Vec<Trial>, TargetError>>,
    },
    /// Tell everybody whom the configuration names that this is a test. Dropped where nobody could
    /// take it.
    TestNotify {
        /// Only those of this directive.
        only: Option<String>,
        /// Where to.
        answer: oneshot::Sender<Vec<notify::Trial>>,
    },
    /// Read the configuration again. The answer is in how many places the table differs.
    Reload {
        /// What the file says, where that is known already.
        accepted: Option<Box<Accepted>>,
        /// Where to.
        answer: oneshot::Sender<Result<usize, Problem>>,
    },
    /// Say whether a configuration could be put in force by a reload; changes nothing, and gives it
    /// back.
    Check {
        /// Which.
        accepted: Box<Accepted>,
        /// Where to.
        answer: oneshot::Sender<Result<Box<Accepted>, Problem>>,
    },
}

/// What a director runs by.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InForce {
    /// The [`fingerprint`](crate::runtime::configuration::fingerprint) of its file.
    pub hash: String,
    /// Who had it saved, and why, where a command did that.
    pub saved_by: Option<(String, Option<String>)>,
}

impl InForce {
    /// The file with this fingerprint.
    #[must_use]
    pub const fn new(hash: String) -> Self {
        Self { hash, saved_by: None }
    }
}
