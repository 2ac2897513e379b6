//! The list of connections.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

use super::label::Labels;
use crate::net::Protocol;

/// A connection, or a template that keeps a persistent client with its server.
#[allow(clippy::exhaustive_structs, reason = "a line of the kernel's table")]
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Connection {
    /// `TCP`, `UDP`, `SCTP`, or `IP` for the template of a firewall mark.
    pub protocol: String,
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where it was meant for; the mark as an address for the template of a firewall mark.
    pub virtual_address: SocketAddr,
    /// The real server.
    pub destination: SocketAddr,
    /// Its state, in the kernel's word.
    pub state: String,
    /// Seconds until it is forgotten.
    pub expires: u32,
    /// The persistence engine it was told apart by, and the data of it.
    pub engine: Option<(String, String)>,
}

/// Reads `/proc/net/ip_vs_conn`.
///
/// # Errors
/// The first line that is no connection.
pub fn parse(text: &str) -> Result<Vec<Connection>, &str> {
    let lines = text.lines().skip(1).filter(|line| !line.trim().is_empty());
    lines.map(|line| parse_line(line).ok_or(line)).collect()
}

fn parse_line(line: &str) -> Option<Connection> {
    let mut words = line.split_whitespace();
    let protocol = words.next()?.to_owned();
    let mut endpoint = || Some(SocketAddr::new(address(words.next()?)?, port(words.next()?)?));
    let (source, virtual_address, destination) = (endpoint()?, endpoint()?, endpoint()?);
    let state = words.next()?.to_owned();
    let expires = words.next()?.parse().ok()?;
    let engine = words
        .next()
        .map(|name| (name.to_owned(), words.next().unwrap_or_default().to_owned()));
    Some(Connection {
        protocol,
        source,
        virtual_address,
        destination,
        state,
        expires,
        engine,
    })
}

fn address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let bits = u32::from_str_radix(text, 16).ok()?;
    Some(Ipv4Addr::from_bits(bits).into())
}

fn port(text: &str) -> Option<u16> {
    u16::from_str_radix(text, 16).ok()
}

/// Every address in `connections`.
pub fn addresses(connections: &[Connection]) -> impl Iterator<Item = IpAddr> {
    connections.iter().flat_map(|connection| {
        [
            connection.source.ip(),
            connection.virtual_address.ip(),
            connection.destination.ip(),
        ]
    })
}

/// Writes `connections` in their order; with `engines` also what persistence engines told them
/// apart by.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut dyn Write,
    connections: &[Connection],
    engines: bool,
    labels: &Labels<'_>,
) -> io::Result<()> {
    writeln!(out, "IPVS connection entries")?;
    write!(out, "pro expire state       source             virtual            ")?;
    if engines {
        writeln!(out, "{:<18} {:<16} pe_data", "destination", "pe name")?;
    } else {
        writeln!(out, "destination")?;
    }
    connections
        .iter()
        .try_for_each(|connection| write_line(out, connection, engines, labels))
}

fn write_line(
    out: &mut dyn Write,
    connection: &Connection,
    engines: bool,
    labels: &Labels<'_>,
) -> io::Result<()> {
    let protocol = match connection.protocol.as_str() {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    };
    let label = |address| labels.endpoint(address, protocol);
    write!(
        out,
        "{:<3} {:<6} {:<11} {:<18} {:<18} ",
        connection.protocol,
        format!("{:02}:{:02}", connection.expires / 60, connection.expires % 60),
        connection.state,
        label(connection.source),
        label(connection.virtual_address),
    )?;
    let destination = label(connection.destination);
    match &connection.engine {
        Some((name, data)) if engines => writeln!(out, "{destination:<16} {name:<18} {data}"),
        _ => writeln!(out, "{destination}"),
    }
}
