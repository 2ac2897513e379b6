//! The connection table as `/proc/net/ip_vs_conn` and `ip_vs_conn_sync` show it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::net::Protocol;

/// One connection, or a persistence template, of the kernel's table.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection {
    /// Its protocol; a template of a service by mark has none.
    pub protocol: ConnectionProtocol,
    /// The client. A template's is the client's network with port 0.
    pub client: SocketAddr,
    /// The VIP. For a template of a service by mark the mark stands in the first four bytes.
    pub vip: SocketAddr,
    /// The real server.
    pub destination: SocketAddr,
    /// Its state in the kernel's words, `ESTABLISHED` for example; `NONE` for a template.
    pub state: Box<str>,
    /// How long until it is forgotten unless a packet comes.
    pub expires: Duration,
    /// The persistence engine and its data, of a template that has one.
    pub engine: Option<(Box<str>, Box<str>)>,
    /// Whether this director saw the connection begin; only `ip_vs_conn_sync` says.
    pub origin: Option<Origin>,
}

impl Connection {
    /// The firewall mark, of a template that is kept by mark.
    #[must_use]
    pub fn mark(&self) -> Option<u32> {
        if self.protocol != ConnectionProtocol::Ip {
            return None;
        }
        match self.vip.ip() {
            IpAddr::V4(mark) => Some(mark.to_bits()),
            IpAddr::V6(mark) => mark.octets().first_chunk().map(|m| u32::from_be_bytes(*m)),
        }
    }
}

/// The protocol of a connection.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConnectionProtocol {
    /// One that services have.
    Transport(Protocol),
    /// None: a persistence template of a service by mark.
    Ip,
    /// Another one, in the kernel's words: `AH`, `ESP`.
    Other(Box<str>),
}

impl fmt::Display for ConnectionProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(protocol) => protocol.fmt(f),
            Self::Ip => f.write_str("IP"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// Where a connection came from.
#[allow(clippy::exhaustive_enums, reason = "there are two")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Scheduled here.
    Local,
    /// Learnt from another director.
    Sync,
}

/// A line that is not a connection.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line} of the connection table cannot be read: {text:?}")]
pub struct Unreadable {
    line: usize,
    text: Box<str>,
}

/// The connections in the text of `/proc/net/ip_vs_conn` or `ip_vs_conn_sync`.
///
/// The kernel takes no snapshot: while the table changes an entry may be missing or come twice.
pub fn parse_connections(text: &str) -> impl Iterator<Item = Result<Connection, Unreadable>> {
    let synced = text.lines().next().is_some_and(|head| head.contains("Origin"));
    text.lines().enumerate().skip(1).map(move |(index, line)| {
        parse(line, synced)
            .ok_or_else(|| Unreadable { line: index + 1, text: line.chars().take(200).collect() })
    })
}

fn parse(line: &str, synced: bool) -> Option<Connection> {
    let mut words = line.split_ascii_whitespace();
    let protocol = match words.next()? {
        "TCP" => ConnectionProtocol::Transport(Protocol::Tcp),
        "UDP" => ConnectionProtocol::Transport(Protocol::Udp),
        "SCTP" => ConnectionProtocol::Transport(Protocol::Sctp),
        "IP" => ConnectionProtocol::Ip,
        other => ConnectionProtocol::Other(other.into()),
    };
    let client = socket(words.next()?, words.next()?)?;
    let vip = socket(words.next()?, words.next()?)?;
    let destination = socket(words.next()?, words.next()?)?;
    let state = words.next()?.into();
    let origin = match synced.then(|| words.next()) {
        None => None,
        Some(Some("LOCAL")) => Some(Origin::Local),
        Some(Some("SYNC")) => Some(Origin::Sync),
        Some(_) => return None,
    };
    let expires = Duration::from_secs(words.next()?.parse().ok()?);
    let engine = words.next().map(|name| (name.into(), words.next().unwrap_or_default().into()));
    Some(Connection { protocol, client, vip, destination, state, expires, engine, origin })
}

/// IPv4 in eight hexadecimal digits, IPv6 written out; the port in hexadecimal.
fn socket(address: &str, port: &str) -> Option<SocketAddr> {
    let ip = if address.contains(':') {
        address.trim_matches(['[', ']']).parse().ok()?
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(u32::from_str_radix(address, 16).ok()?))
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_templates_of_both_families_are_read() {
        let text = "\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A000002 A5C8 0A000001 0050 0A000103 1F90 ESTABLISHED     899
IP  0A000000 0000 00000009 0000 0A000103 0000 NONE             59
UDP 2001:0db8:0000:0000:0000:0000:0000:0002 A5C8 2001:0db8:0000:0000:0000:0000:0000:0001 13C4 2001:0db8:0000:0001:0000:0000:0000:0003 13C4 UDP             299 sip 7c11@host
";
        let read: Vec<_> = parse_connections(text).map(Result::unwrap).collect();
        assert_eq!(read[0].client, "10.0.0.2:42440".parse().unwrap());
        assert_eq!(read[0].destination, "10.0.1.3:8080".parse().unwrap());
        assert_eq!((&*read[0].state, read[0].expires.as_secs()), ("ESTABLISHED", 899));
        assert_eq!((read[1].mark(), read[0].mark()), (Some(9), None));
        assert_eq!(read[2].vip, "[2001:db8::1]:5060".parse().unwrap());
        assert_eq!(read[2].engine, Some(("sip".into(), "7c11@host".into())));
    }

    #[test]
    fn the_sync_table_says_where_a_connection_came_from() {
        let text = "\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires
TCP 0A000002 A5C8 0A000001 0050 0A000103 1F90 ESTABLISHED LOCAL      899
TCP 0A000002 A5C9 0A000001 0050 0A000103 1F90 ESTABLISHED SYNC       180
";
        let origins: Vec<_> = parse_connections(text).map(|c| c.unwrap().origin).collect();
        assert_eq!(origins, [Some(Origin::Local), Some(Origin::Sync)]);
    }

    #[test]
    fn a_line_that_is_no_connection_is_named() {
        let text = "head\nTCP 0A000002\n";
        let refused = parse_connections(text).next().unwrap().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "line 2 of the connection table cannot be read: \"TCP 0A000002\""
        );
    }
}
