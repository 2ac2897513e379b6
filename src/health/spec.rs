mod application;
mod dns;
mod grpc;
mod http;
mod json;
mod path;
mod pattern;
mod program;
mod radius;
mod tls;

use serde::{Deserialize, Serialize};

pub use application::{Application, ApplicationSpec, Security};
pub use dns::DnsSpec;
pub use grpc::GrpcSpec;
pub use http::{BodyExpect, Header, HttpSpec, HttpVersion, StatusSet};
pub use json::JsonExpect;
pub use path::CheckPath;
pub use pattern::BytePattern;
pub use program::ProgramSpec;
pub use radius::RadiusSpec;
pub use tls::{Identity, Pin, TlsSpec};

/// How to probe a real server, as data: what lvs.cf or a program asks for.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckSpec {
    /// A TCP connection can be made.
    Connect,
    /// Text sent after connecting gets the expected answer. Over UDP an answer is required in any
    /// case.
    SendExpect {
        /// What is sent, escapes already decoded; empty sends nothing.
        send: Vec<u8>,
        /// What must come back.
        expect: Expect,
    },
    /// An HTTP request gets an accepted answer, over TLS where [`HttpSpec::tls`] says so.
    Http(HttpSpec),
    /// A TLS handshake succeeds. Nothing is sent inside.
    Tls(TlsSpec),
    /// A datagram gets the expected answer, whatever the protocol of the service.
    Datagram {
        /// What is sent.
        send: Vec<u8>,
        /// What must come back.
        expect: Expect,
    },
    /// The host answers an ICMP or ICMPv6 echo request.
    Ping,
    /// A name server answers a question.
    Dns(DnsSpec),
    /// A gRPC server says that it is serving.
    Grpc(GrpcSpec),
    /// A RADIUS server answers, over UDP whatever the protocol of the service.
    Radius(RadiusSpec),
    /// An application answers in its protocol.
    Application(ApplicationSpec),
    /// An external program says so.
    Program(ProgramSpec),
}

impl CheckSpec {
    /// What `check = ...` calls it in lvs.cf.
    #[must_use]
    pub const fn keyword(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::SendExpect { .. } => "send",
            Self::Http(HttpSpec { tls: None, .. }) => "http",
            Self::Http(_) => "https",
            Self::Tls(_) => "tls",
            Self::Datagram { .. } => "udp",
            Self::Ping => "icmp",
            Self::Dns(_) => "dns",
            Self::Grpc(_) => "grpc",
            Self::Radius(_) => "radius",
            Self::Application(spec) => spec.application.name(),
            Self::Program(_) => "program",
        }
    }

    /// What kind of check it is, in a word or two.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::SendExpect { .. } => "send/expect",
            Self::Http(HttpSpec { tls: None, .. }) => "HTTP",
            Self::Http(_) => "HTTPS",
            Self::Tls(_) => "TLS",
            Self::Datagram { .. } => "UDP send/expect",
            Self::Ping => "ICMP echo",
            Self::Dns(_) => "DNS",
            Self::Grpc(_) => "gRPC",
            Self::Radius(_) => "RADIUS",
            Self::Application(spec) => spec.application.name(),
            Self::Program(_) => "program",
        }
    }
}

/// What must come back for a send/expect check to pass.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Nothing is read.
    Nothing,
    /// The answer begins with these bytes, escapes already decoded.
    Prefix(Vec<u8>),
    /// At least one byte, whatever it is: `expect = "*"`.
    Anything,
    /// The answer is these bytes and no others; over TCP the server has to close then.
    Exactly(Vec<u8>),
    /// The answer begins with these bytes, some of which may be any.
    Pattern(BytePattern),
    /// The first bytes of the answer match this extended regular expression somewhere.
    Regex(String),
}

/// Decodes the escapes of `send` and `expect` as nanny does: `\\`, `\r`, `\n`, `\t`, `\'` and
/// `\"`. Any other backslash stays.
///
/// ```
/// # use piranha::health::decode_escapes;
/// assert_eq!(decode_escapes(br"GET / HTTP/1.0\r\n\r\n"), b"GET / HTTP/1.0\r\n\r\n");
/// assert_eq!(decode_escapes(br"a\\b\d"), br"a\b\d");
/// ```
#[must_use]
pub fn decode_escapes(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.iter().copied().peekable();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let escape = match bytes.peek() {
            Some(&next) if byte == b'\\' => unescape(next),
            _ => None,
        };
        decoded.push(escape.unwrap_or(byte));
        if escape.is_some() {
            bytes.next();
        }
    }
    decoded
}

const fn unescape(letter: u8) -> Option<u8> {
    match letter {
        b'r' => Some(b'\r'),
        b'n' => Some(b'\n'),
        b't' => Some(b'\t'),
        b'\\' | b'\'' | b'"' => Some(letter),
        _ => None,
    }
}
