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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::kernel::parse_connections;

    const TABLE: &str = "\
Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires PEName PEData
TCP 0A090909 9FF2 0A090909 0050 0A090909 0050 CLOSE       LOCAL       6
TCP fd00:0009:0000:0000:0000:0000:0000:0009 C8DE fd00:0009:0000:0000:0000:0000:0000:0009 0050 0000:0000:0000:0000:0000:0000:0000:0001 0050 CLOSE       LOCAL    6006
IP  0A090909 0000 00000009 0000 7F000001 0000 NONE        LOCAL      56
UDP 0A090909 13C4 0A090908 13C4 0A010001 13C4 UDP         LOCAL     296 sip a@b
";

    fn print(engines: bool) -> String {
        let connections: Vec<_> = parse_connections(TABLE).map(Result::unwrap).collect();
        let mut out = Vec::new();
        write(&mut out, &connections, engines, &Labels::numeric()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn connections_have_the_originals_columns() {
        assert_eq!(
            print(false),
            "\
IPVS connection entries
pro expire state       source             virtual            destination
TCP 00:06  CLOSE       10.9.9.9:40946     10.9.9.9:80        10.9.9.9:80
TCP 100:06 CLOSE       [fd00:9::9]:51422  [fd00:9::9]:80     [::1]:80
IP  00:56  NONE        10.9.9.9:0         0.0.0.9:0          127.0.0.1:0
UDP 04:56  UDP         10.9.9.9:5060      10.9.9.8:5060      10.1.0.1:5060
"
        );
    }

    #[test]
    fn engines_and_their_data_follow_where_a_connection_has_them() {
        let with_engines = print(true);
        let lines: Vec<&str> = with_engines.lines().skip(1).collect();
        assert!(lines[0].ends_with("destination        pe name          pe_data"));
        assert!(lines[1].ends_with(" 10.9.9.9:80"));
        assert!(lines[4].ends_with(" 10.1.0.1:5060    sip                a@b"));
    }
}
