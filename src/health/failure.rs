use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::StatusSet;

/// Why one check did not pass. Prints as a phrase fit for a log line: `connection refused`.
///
/// Texts that came from a server are kept as an [`Excerpt`], so no answer, however long or
/// strange, can flood or forge a log.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nobody listens: a TCP reset, or an ICMP port unreachable for UDP.
    #[error("connection refused")]
    Refused,
    /// There is no way to the server's address.
    #[error("host unreachable")]
    Unreachable,
    /// The server broke the connection off with a reset.
    #[error("connection reset")]
    Reset,
    /// The time allowed for the check ran out.
    #[error("{stage} timed out after {after:?}")]
    TimedOut {
        /// What the check was waiting for.
        stage: Stage,
        /// The time it had.
        after: Duration,
    },
    /// The server closed the connection before the answer was complete.
    #[error("connection closed after {received} bytes of the answer")]
    Closed {
        /// How much of the answer had come.
        received: usize,
    },
    /// The answer does not begin as it should.
    #[error("expected an answer beginning with {wanted}, got {got}")]
    WrongPrefix {
        /// The configured text.
        wanted: Excerpt,
        /// What came.
        got: Excerpt,
    },
    /// The answer does not match the regular expression.
    #[error("expected an answer matching /{pattern}/, got {got}")]
    NoMatch {
        /// The configured expression.
        pattern: String,
        /// What came.
        got: Excerpt,
    },
    /// The answer was empty where at least one byte is wanted.
    #[error("expected an answer, got an empty one")]
    Empty,
    /// The answer is not HTTP.
    #[error("expected an HTTP answer, got {got}")]
    NotHttp {
        /// What came.
        got: Excerpt,
    },
    /// The status line and headers go beyond what a check reads.
    #[error("the HTTP headers exceed {limit} bytes or 128 fields")]
    HeadersTooLarge {
        /// The most a check reads, in bytes.
        limit: usize,
    },
    /// The HTTP status is not one of the accepted ones.
    #[error("expected HTTP status {wanted}, got {got}")]
    WrongStatus {
        /// The accepted statuses.
        wanted: StatusSet,
        /// The status of the answer.
        got: u16,
    },
    /// The body of the HTTP answer has not in it what it should, as far as it was read.
    #[error("expected {wanted} in the {searched} bytes read of the body")]
    NotInBody {
        /// The configured text or expression.
        wanted: Excerpt,
        /// How much was read.
        searched: usize,
    },
    /// The TLS handshake failed, or the certificate is not accepted.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server does not keep to HTTP/2, or breaks it off.
    #[error("HTTP/2: {0}")]
    Http2(String),
    /// One step of a dialogue was not answered as it should.
    #[error("expected {wanted} {step}, got {got}")]
    Unexpected {
        /// Which step: `after EHLO`.
        step: String,
        /// What belongs there.
        wanted: String,
        /// What came.
        got: Excerpt,
    },
    /// The answer is not the one wanted, byte for byte.
    #[error("expected the answer {wanted}, got {got}")]
    Differs {
        /// What is wanted.
        wanted: Excerpt,
        /// What came.
        got: Excerpt,
    },
    /// The check's program ended otherwise than with status 0.
    #[error("the program failed ({status}): {said}")]
    Program {
        /// Its status, or the signal that ended it.
        status: String,
        /// What it wrote to standard error, or else to standard output.
        said: Excerpt,
    },
    /// The answer goes beyond what a check reads.
    #[error("the answer exceeds {limit} bytes")]
    AnswerTooLarge {
        /// The most a check reads, in bytes.
        limit: usize,
    },
    /// Any other error of the network, in the operating system's words.
    #[error("{0}")]
    Network(String),
    /// The check could not be carried out for want of a local resource: descriptors, memory.
    ///
    /// It says nothing about the server, so a [`Monitor`](super::Monitor) counts it and goes on
    /// with what it knew: a director short of descriptors must not take its servers out.
    #[error("the check could not be made: {0}")]
    Inconclusive(String),
    /// The reason of an embedder's own check, in its own words.
    #[error("{0}")]
    Other(String),
}

/// How far a check had come when its time ran out.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The connection was not made yet.
    Connect,
    /// The TLS handshake was not finished.
    Handshake,
    /// The request was not all sent.
    Send,
    /// Nothing of the answer had come.
    Answer,
    /// The answer had begun and was not complete.
    Rest,
    /// Unknown: the check did not come back.
    Check,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Handshake => "the TLS handshake",
            Self::Send => "sending",
            Self::Answer => "waiting for the answer",
            Self::Rest => "waiting for the rest of the answer",
            Self::Check => "the check",
        })
    }
}

/// The first bytes of something a server sent, made safe to print: quoted, escaped, bounded.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Excerpt(String);

impl Excerpt {
    /// The most bytes that are kept.
    pub const MAX: usize = 40;

    /// The beginning of `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let shown = &bytes[..bytes.len().min(Self::MAX)];
        let more = if bytes.len() > shown.len() { "..." } else { "" };
        Self(format!("\"{}\"{more}", shown.escape_ascii()))
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What moved a real server from one [`Health`](super::Health) to another.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A check passed.
    Passed {
        /// Checks passed in a row, this one included.
        streak: u32,
        /// Checks in a row it takes to be admitted.
        needed: u32,
    },
    /// It was never checked, and the configuration says what to take it for.
    Assumed,
    /// It is what an earlier life knew, or the checks of another service.
    Remembered,
    /// A check failed.
    Failed {
        /// Why.
        failure: Failure,
        /// Checks failed in a row, this one included.
        streak: u32,
        /// Checks in a row it takes to be taken out.
        needed: u32,
    },
}

impl fmt::Display for Reason {
    /// `passed 2 of 3 checks`, `connection refused`, `connection refused (1 of 3)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { needed: 1, .. } => f.write_str("passed a check"),
            Self::Passed { streak, needed } => write!(f, "passed {streak} of {needed} checks"),
            Self::Assumed => f.write_str("not checked yet"),
            Self::Remembered => f.write_str("remembered"),
            Self::Failed { failure, needed: 1, .. } => failure.fmt(f),
            Self::Failed { failure, streak, needed } => {
                write!(f, "{failure} ({streak} of {needed})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_print_as_phrases() {
        let phrases = [
            Failure::Refused,
            Failure::TimedOut { stage: Stage::Connect, after: Duration::from_secs(1) },
            Failure::TimedOut { stage: Stage::Check, after: Duration::from_millis(250) },
            Failure::WrongPrefix {
                wanted: Excerpt::new(b"220 "),
                got: Excerpt::new(b"500 \x1b[31m\r\n"),
            },
            Failure::WrongStatus { wanted: StatusSet::default(), got: 503 },
        ]
        .map(|failure| failure.to_string());
        insta::assert_snapshot!(phrases.join("\n"), @r#"
        connection refused
        connecting timed out after 1s
        the check timed out after 250ms
        expected an answer beginning with "220 ", got "500 \x1b[31m\r\n"
        expected HTTP status 200-499, got 503
        "#);
    }

    #[test]
    fn an_excerpt_is_bounded_and_never_breaks_a_line() {
        let text = Excerpt::new(&[b'\n'; 10_000]).to_string();
        assert!(text.len() < 100 && !text.contains('\n'), "{text}");
        assert!(text.ends_with("..."));
    }
}
