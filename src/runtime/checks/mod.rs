//! The built-in health checks, and the [`Runner`] that drives a monitor with a check.
//!
//! A new kind of check is a file here, a variant of [`CheckSpec`] and a line in [`build`].

mod connect;
pub mod http;
mod network;
mod runner;
mod send_expect;

pub use runner::Runner;

use crate::health::{Check, CheckSpec};
use crate::net::Protocol;
use crate::wire::proxy::ProxyProtocol;

/// Makes the check that `spec` describes, for services of this protocol.
///
/// # Errors
/// [`CheckError`] if the description makes no sense. Nothing was sent anywhere.
pub fn build(spec: &CheckSpec, protocol: Protocol) -> Result<Box<dyn Check>, CheckError> {
    build_with_proxy(spec, protocol, None)
}

/// As [`build`], for servers that expect the PROXY protocol: what a check sends over TCP comes
/// behind a header with the check's own addresses. A check that only connects sends none.
///
/// # Errors
/// [`CheckError`], as [`build`].
pub fn build_with_proxy(
    spec: &CheckSpec,
    protocol: Protocol,
    proxy: Option<ProxyProtocol>,
) -> Result<Box<dyn Check>, CheckError> {
    match (spec, protocol) {
        (CheckSpec::Connect, Protocol::Tcp) => Ok(Box::new(connect::Connect)),
        (CheckSpec::SendExpect { send, expect }, Protocol::Tcp) => {
            Ok(Box::new(send_expect::OverTcp::new(send, expect, proxy)?))
        }
        (CheckSpec::SendExpect { send, expect }, Protocol::Udp) => {
            Ok(Box::new(send_expect::OverUdp::new(send, expect)?))
        }
        (CheckSpec::Http(spec), Protocol::Tcp) => {
            Ok(Box::new(http::Http::new(spec)?.with_proxy_protocol(proxy)))
        }
        (CheckSpec::Connect, Protocol::Udp) => Err(CheckError::NoConnections),
        (CheckSpec::Http(_), Protocol::Udp) => Err(CheckError::HttpOverUdp),
        (_, Protocol::Sctp) => Err(CheckError::OverSctp),
    }
}

/// Why no check can be made of a [`CheckSpec`].
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckError {
    /// UDP has no connections whose making could be checked.
    #[error("a UDP service has no connections to check: use send and expect")]
    NoConnections,
    /// HTTP checks are for TCP.
    #[error("an HTTP check needs a TCP service: use send and expect")]
    HttpOverUdp,
    /// Checks speak TCP and UDP.
    #[error("there is no check for SCTP: check another port of the server over TCP or UDP")]
    OverSctp,
    /// The regular expression cannot be compiled, or would grow beyond 1 MiB.
    #[error("bad regular expression: {0}")]
    Regex(String),
    /// The prefix is longer than what a check reads of an answer.
    #[error("the expected text has {length} bytes, {limit} are allowed")]
    ExpectTooLong {
        /// Its length.
        length: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// What is sent does not fit into a datagram.
    #[error("the text to send has {length} bytes, {limit} fit into a datagram")]
    SendTooLong {
        /// Its length.
        length: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// The path is not one an HTTP request can carry.
    #[error("bad HTTP path {0:?}: it must begin with / and have no blanks or control characters")]
    Path(String),
    /// The host is not one an HTTP request can carry.
    #[error("bad HTTP host {0:?}: it must have no blanks or control characters")]
    Host(String),
    /// The accepted statuses are none, or none that exist.
    #[error("bad HTTP status range {from}-{to}: it must lie between 100 and 599")]
    Status {
        /// The first accepted one.
        from: u16,
        /// The last accepted one.
        to: u16,
    },
}
