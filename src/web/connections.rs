//! Who is connected to a service, from the kernel's table of connections: bounded, however long the
//! table is.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::control::Age;
use crate::ipvs::ServiceKey;
use crate::ipvs::kernel::{Connection, ConnectionProtocol, parse_connections};

/// Clients that are told, those with most connections.
const CLIENTS: usize = 50;

/// Connections that are told, the first of the table.
const ROWS: usize = 200;

/// Clients that are counted; connections of further ones still count as connections.
const COUNTED: usize = 100_000;

/// What of the table concerns one service.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Connections {
    /// How many connections were found.
    pub(crate) found: usize,
    /// How many persistence templates.
    pub(crate) templates: usize,
    /// Whether all of the table was read.
    pub(crate) whole: bool,
    /// The clients with most connections.
    pub(crate) clients: Vec<Client>,
    /// Some of the connections.
    pub(crate) rows: Vec<Row>,
}

/// A client and how many connections it has.
#[derive(Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    pub(crate) connections: usize,
}

/// A connection, or a persistence template.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    /// In the kernel's words; `PERSISTENT` for a template.
    pub(crate) state: Box<str>,
    #[serde(rename = "expires_ms")]
    pub(crate) expires: Age,
}

/// Looks through `table`, the beginning of `/proc/net/ip_vs_conn_sync`, for connections of the
/// service `key` with these servers. A service by mark is known by its servers: connections do not
/// have the mark.
pub(crate) fn gather(
    table: &str,
    whole: bool,
    key: ServiceKey,
    servers: &[SocketAddr],
) -> Connections {
    let mut told = Connections { whole, ..Connections::default() };
    let mut clients: HashMap<IpAddr, usize> = HashMap::new();
    // The kernel takes no snapshot: a line that cannot be read is one that was cut.
    let own = parse_connections(table).flatten().filter(|one| is_of(one, key, servers));
    for one in own {
        // Its state is NONE, or with newer kernels ASSURED once a connection came of it.
        let is_template = one.client.port() == 0 || one.protocol == ConnectionProtocol::Ip;
        if is_template {
            told.templates += 1;
        } else {
            told.found += 1;
            if clients.len() < COUNTED || clients.contains_key(&one.client.ip()) {
                *clients.entry(one.client.ip()).or_default() += 1;
            }
        }
        if told.rows.len() < ROWS {
            let state = if is_template { "PERSISTENT".into() } else { one.state };
            let (client, server, expires) = (one.client, one.destination, Age(one.expires));
            told.rows.push(Row { client, server, state, expires });
        }
    }
    told.clients = most(clients);
    told
}

fn is_of(one: &Connection, key: ServiceKey, servers: &[SocketAddr]) -> bool {
    match key {
        ServiceKey::Address { protocol, address } => {
            one.protocol == ConnectionProtocol::Transport(protocol) && one.vip == address
        }
        ServiceKey::Mark { mark, .. } => {
            one.mark() == Some(mark.get())
                || (one.protocol != ConnectionProtocol::Ip && servers.contains(&one.destination))
        }
    }
}

fn most(clients: HashMap<IpAddr, usize>) -> Vec<Client> {
    let client = |(address, connections)| Client { address, connections };
    let mut clients: Vec<_> = clients.into_iter().map(client).collect();
    clients.sort_by_key(|client| (std::cmp::Reverse(client.connections), client.address));
    clients.truncate(CLIENTS);
    clients
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::net::{Family, FirewallMark, Protocol};

    const HEAD: &str =
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires PEName PEData\n";

    fn tcp(address: &str) -> ServiceKey {
        ServiceKey::Address { protocol: Protocol::Tcp, address: address.parse().unwrap() }
    }

    #[test]
    fn connections_of_the_service_are_counted_by_client_and_templates_apart() {
        let table = format!(
            "{HEAD}\
TCP 0A000002 A5C8 0A000001 0050 0A000103 1F90 ESTABLISHED LOCAL     899
TCP 0A000002 A5C9 0A000001 0050 0A000104 1F90 FIN_WAIT    SYNC       90
TCP 0A000003 A5C8 0A000001 0050 0A000103 1F90 ESTABLISHED LOCAL     899
TCP 0A000002 0000 0A000001 0050 0A000103 1F90 NONE        LOCAL      59
TCP 0A000003 0000 0A000001 0050 0A000103 1F90 ASSURED     LOCAL      55
UDP 0A000002 A5C8 0A000001 0050 0A000103 1F90 UDP         LOCAL     299
TCP 0A000002 A5C8 0A000001 01BB 0A000103 1F90 ESTABLISHED LOCAL     899
TCP fd00:0000:0000:0000:0000:0000:0000:0009 C8DE fd00:0000:0000:0000:0000:0000:0000:0001 0050 fd00:0000:0000:0000:0000:0000:0000:0003 0050 ESTABLISHED LOCAL 899
TCP 0A0000"
        );
        let told = gather(&table, false, tcp("10.0.0.1:80"), &[]);
        assert_eq!((told.found, told.templates, told.whole), (3, 2, false));
        let counts: Vec<_> = told.clients.iter().map(|client| client.connections).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(told.rows.len(), 5);
        for row in &told.rows[3..] {
            assert_eq!((&*row.state, row.client.port()), ("PERSISTENT", 0));
        }
        let told = gather(&table, true, tcp("[fd00::1]:80"), &[]);
        assert_eq!((told.found, told.clients[0].address), (1, "fd00::9".parse().unwrap()));
    }

    #[test]
    fn a_service_by_mark_has_the_connections_to_its_servers() {
        let table = format!(
            "{HEAD}\
TCP 0A000002 A5C8 0A000001 0050 0A000103 1F90 ESTABLISHED LOCAL     899
IP  0A000002 0000 00000009 0000 0A000103 0000 NONE        LOCAL      59
IP  0A000002 0000 00000008 0000 0A000103 0000 NONE        LOCAL      59
"
        );
        let key = ServiceKey::Mark { mark: FirewallMark::new(9).unwrap(), family: Family::Ipv4 };
        let told = gather(&table, true, key, &["10.0.1.3:8080".parse().unwrap()]);
        assert_eq!((told.found, told.templates), (1, 1));
    }

    #[test]
    fn however_many_there_are_few_are_told() {
        let mut table = HEAD.to_owned();
        for client in 0..5_000_u32 {
            let line = "0A000001 0050 0A000103 1F90 ESTABLISHED LOCAL     899";
            writeln!(table, "TCP 0B{client:06X} A5C8 {line}").unwrap();
        }
        let told = gather(&table, true, tcp("10.0.0.1:80"), &[]);
        assert_eq!((told.found, told.rows.len(), told.clients.len()), (5_000, ROWS, CLIENTS));
    }
}
