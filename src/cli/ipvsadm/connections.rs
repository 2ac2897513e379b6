//! The list of connections.

use std::io::{self, Write};
use std::net::IpAddr;

use super::label::Labels;
use crate::ipvs::kernel::{Connection, ConnectionProtocol};

/// Every address in `connections`.
pub fn addresses(connections: &[Connection]) -> impl Iterator<Item = IpAddr> {
    connections.iter().flat_map(|connection| {
        [connection.client.ip(), connection.vip.ip(), connection.destination.ip()]
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
    connections.iter().try_for_each(|connection| write_line(out, connection, engines, labels))
}

fn write_line(
    out: &mut dyn Write,
    connection: &Connection,
    engines: bool,
    labels: &Labels<'_>,
) -> io::Result<()> {
    let protocol = match connection.protocol {
        ConnectionProtocol::Transport(protocol) => Some(protocol),
        ConnectionProtocol::Ip | ConnectionProtocol::Other(_) => None,
    };
    let expires = connection.expires.as_secs();
    let label = |address| labels.endpoint(address, protocol);
    write!(
        out,
        "{:<3} {:<6} {:<11} {:<18} {:<18} ",
        connection.protocol.to_string(),
        format!("{:02}:{:02}", expires / 60, expires % 60),
        connection.state,
        label(connection.client),
        label(connection.vip),
    )?;
    let destination = label(connection.destination);
    match &connection.engine {
        Some((name, data)) if engines => writeln!(out, "{destination:<16} {name:<18} {data}"),
        _ => writeln!(out, "{destination}"),
    }
}
