//! What is noted of every change, and of every attempt at one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::control::Timestamp;

/// One line of the audit trail. No secret is ever in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) node: String,
    /// A user, `token:NAME`, or who the kernel says is at the other end of the socket.
    pub(crate) actor: String,
    /// The address it came from, or `socket`.
    pub(crate) source: String,
    /// What was wanted, such as `server.drain`.
    pub(crate) action: String,
    /// Of what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    /// Why, in the actor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What was asked for in detail.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) change: Value,
    /// `done`, or why not.
    pub(crate) result: String,
    /// The number of the request, as in the answer's `x-request-id`.
    pub(crate) request: u64,
}

/// The longest text of a client that is noted, in characters.
pub(crate) const LONGEST: usize = 500;

/// `text` cut to what is noted.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
