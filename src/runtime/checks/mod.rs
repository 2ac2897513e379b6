//! The built-in health checks, and the [`Runner`] that drives a monitor with a check.
//!
//! docs/checks.md has all of them with their directives of lvs.cf.
//!
//! ```
//! use std::time::Duration;
//! use piranha::health::CheckSpec;
//! use piranha::net::Protocol;
//! use piranha::runtime::checks::build;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let check = build(&CheckSpec::Connect, Protocol::Tcp)?;
//! assert_eq!(check.probe(server.local_addr()?, Duration::from_secs(5)).await, Ok(()));
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! A new kind of check is a file here, a variant of [`CheckSpec`] and a line in [`build_with`].

pub(in crate::runtime) mod account;
mod application;
pub(crate) mod base64;
mod connect;
pub(in crate::runtime) mod conversation;
mod dialer;
#[cfg_attr(not(feature = "dns"), path = "dns_missing.rs")]
mod dns;
mod expiries;
mod grpc;
mod handshake;
pub mod http;
#[cfg_attr(not(feature = "http2"), path = "http2_missing.rs")]
mod http2;
pub(in crate::runtime) mod network;
mod ping;
mod pool;
pub(in crate::runtime) mod program;
mod radius;
pub(in crate::runtime) mod random;
mod runner;
pub(in crate::runtime) mod secret;
mod send_expect;
#[cfg_attr(not(feature = "tls"), path = "tls_missing.rs")]
pub(in crate::runtime) mod tls;
mod transcript;

use std::path::PathBuf;

pub use dialer::{Dialer, Way};
pub use expiries::Expiries;
pub(in crate::runtime) use pool::Standing;
pub use pool::{Method, Pool, Seat};
pub use runner::Runner;
pub use transcript::{Line, Transcript};

use crate::health::{Check, CheckSpec};
use crate::net::Protocol;

/// Makes the check that `spec` describes, for services of this protocol.
///
/// # Errors
/// [`CheckError`] if the description makes no sense, or a file it names cannot be used. Nothing
/// was sent anywhere.
pub fn build(spec: &CheckSpec, protocol: Protocol) -> Result<Box<dyn Check>, CheckError> {
    build_with(spec, protocol, &Dialer::default())
}

/// As [`build`], for servers that are reached by way of `dialer`.
///
/// # Errors
/// [`CheckError`], as [`build`].
pub fn build_with(
    spec: &CheckSpec,
    protocol: Protocol,
    dialer: &Dialer,
) -> Result<Box<dyn Check>, CheckError> {
    let dialer = dialer.clone();
    match (spec, protocol) {
        (CheckSpec::Connect, Protocol::Tcp) => Ok(Box::new(connect::Connect(dialer))),
        (CheckSpec::Connect, Protocol::Sctp) => Ok(Box::new(connect::Associate::new(dialer)?)),
        (CheckSpec::Connect, Protocol::Udp) => Err(CheckError::NoConnections),
        (CheckSpec::SendExpect { send, expect }, Protocol::Tcp) => {
            Ok(Box::new(send_expect::OverTcp::new(send, expect, dialer)?))
        }
        (CheckSpec::SendExpect { send, expect }, Protocol::Udp) => {
            Ok(Box::new(send_expect::OverUdp::new(send, expect, dialer)?))
        }
        (CheckSpec::Http(spec), Protocol::Tcp) => Ok(Box::new(http::Http::new(spec, dialer)?)),
        (CheckSpec::Tls(spec), Protocol::Tcp) => {
            Ok(Box::new(handshake::Handshake::new(spec, dialer)?))
        }
        (CheckSpec::Grpc(spec), Protocol::Tcp) => Ok(Box::new(grpc::Grpc::new(spec, dialer)?)),
        (CheckSpec::Http(_) | CheckSpec::Tls(_) | CheckSpec::Grpc(_), Protocol::Udp) => {
            Err(CheckError::HttpOverUdp)
        }
        (
            CheckSpec::SendExpect { .. }
            | CheckSpec::Http(_)
            | CheckSpec::Tls(_)
            | CheckSpec::Dns(_)
            | CheckSpec::Grpc(_)
            | CheckSpec::Application(_),
            Protocol::Sctp,
        ) => Err(CheckError::OverSctp),
        (CheckSpec::Datagram { send, expect }, _) => {
            Ok(Box::new(send_expect::OverUdp::new(send, expect, dialer)?))
        }
        (CheckSpec::Radius(spec), _) => Ok(Box::new(radius::Radius::new(spec, dialer)?)),
        (CheckSpec::Ping, _) => Ok(Box::new(ping::Ping(dialer))),
        (CheckSpec::Dns(spec), _) => Ok(Box::new(dns::Dns::new(spec, protocol, dialer)?)),
        (CheckSpec::Application(spec), _) => {
            Ok(Box::new(application::Application::new(spec, protocol, dialer)?))
        }
        (CheckSpec::Program(spec), _) => Ok(Box::new(program::Program::new(spec, dialer)?)),
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
    /// Checks that exchange messages speak TCP and UDP.
    #[error("no such check goes over SCTP: use connect, udp, icmp or a program")]
    OverSctp,
    /// An SCTP association cannot be opened from this machine.
    #[error("this kernel has no SCTP: load its module sctp, or use icmp, udp or a program")]
    NoSctp,
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
    /// The method is not one an HTTP check can use.
    #[error("bad HTTP method {0:?}: write a word in capitals such as HEAD, and not CONNECT")]
    Method(String),
    /// A header is not one an HTTP request can carry.
    #[error("bad HTTP header: {0}")]
    Header(String),
    /// A pointer into JSON is none.
    #[error("{0}")]
    Json(String),
    /// The name of a gRPC service is too long, or cannot be read in a line.
    #[error("bad gRPC service: its name has at most {limit} bytes and no control characters")]
    Service {
        /// The most that is allowed.
        limit: usize,
    },
    /// More of a body is to be read than a check may.
    #[error("at most {limit} bytes of a body can be read")]
    BodyLimit {
        /// The most that is allowed.
        limit: usize,
    },
    /// A file that the check needs cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The name to verify is neither a DNS name nor an address.
    #[error("bad name for TLS {0:?}: it must be a DNS name or an IP address")]
    TlsName(String),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(String),
    /// The system trusts no certificates, and the check names none.
    #[error("this system has no trusted certificates: install them, or name some with tls_ca")]
    NoTrust,
    /// There is no program to run.
    #[error("a check by a program needs a program")]
    NoProgram,
    /// The user a program is to run as does not exist.
    #[error("there is no user {0:?} in /etc/passwd")]
    User(String),
    /// The question to a name server cannot be asked.
    #[error("{0}")]
    Dns(String),
    /// The application has no command that turns TLS on.
    #[error("{0} has no STARTTLS: take TLS from the first byte on")]
    NoStartTls(&'static str),
    /// The application is not spoken over UDP, or not with TLS.
    #[error("a check of {0} needs a TCP service")]
    ApplicationOverUdp(&'static str),
    /// The check does not log in.
    #[error("a check of {0} does not log in")]
    NoLogin(&'static str),
    /// The crate was built without the feature that such a check needs.
    #[error("this build has no such check: it needs the feature `{0}`")]
    NotBuilt(&'static str),
}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/checks.md")]
struct Guide;
