//! Lists as JSON. Every number is exact, every address numeric, and what a service does not have
//! is `null`.

use serde_json::{Value, json};

use crate::ipvs::kernel::{Connection, Daemon, DestinationStatus, Info, Timeouts};
use crate::ipvs::{Counters, Forwarding, Persistence, Rates, ServiceKey, Tunnel, TunnelChecksum};
use crate::net::Family;
use crate::runtime::kernel::Listed;

/// The table, with the kernel's version where the whole of it was asked for.
#[must_use]
pub fn services(info: Option<Info>, services: &[Listed]) -> Value {
    let version = info.map(|info| info.version_parts().map(|part| part.to_string()).join("."));
    json!({
        "version": version,
        "size": info.map(|info| info.table_size),
        "services": Vec::from_iter(services.iter().map(service)),
    })
}

fn service(listed: &Listed) -> Value {
    let status = &listed.service;
    let key = status.service.key();
    let (protocol, address, mark) = match key {
        ServiceKey::Address { protocol, address } => {
            (Some(protocol), Some(address.to_string()), None)
        }
        ServiceKey::Mark { mark, .. } => (None, None, Some(mark.get())),
    };
    let persistence = status.service.persistence();
    json!({
        "protocol": protocol,
        "address": address,
        "fwmark": mark,
        "family": key.family(),
        "scheduler": status.service.scheduler().as_str(),
        "scheduler_flags": status.service.scheduler_flags().bits(),
        "persistence": persistence.map(|persistence| self::persistence(persistence, key.family())),
        "one_packet": status.service.one_packet(),
        "stats": counters(&status.counters),
        "rates": rates(&status.rates),
        "servers": Vec::from_iter(listed.destinations.iter().map(server)),
    })
}

fn persistence(persistence: Persistence, family: Family) -> Value {
    json!({
        "timeout": persistence.timeout().as_secs(),
        "prefix": persistence.prefix(family),
        "engine": persistence.engine().map(|engine| engine.to_string()),
    })
}

fn server(status: &DestinationStatus) -> Value {
    let destination = &status.destination;
    let thresholds = destination.thresholds();
    json!({
        "address": destination.address().to_string(),
        "forwarding": destination.forwarding().to_string(),
        "tunnel": tunnel(destination.forwarding()),
        "weight": destination.weight().get(),
        "upper_threshold": thresholds.upper(),
        "lower_threshold": thresholds.lower(),
        "active": status.load.active,
        "inactive": status.load.inactive,
        "persistent": status.load.persistent,
        "stats": counters(&status.counters),
        "rates": rates(&status.rates),
    })
}

fn tunnel(forwarding: Forwarding) -> Value {
    let checksum = |checksum| match checksum {
        TunnelChecksum::None => "none",
        TunnelChecksum::Plain => "plain",
        TunnelChecksum::Remote => "remote",
    };
    match forwarding {
        Forwarding::Tunnel(Tunnel::Ipip) => json!({ "type": "ipip" }),
        Forwarding::Tunnel(Tunnel::Gue { port, checksum: sum }) => {
            json!({ "type": "gue", "port": port, "checksum": checksum(sum) })
        }
        Forwarding::Tunnel(Tunnel::Gre { checksum: sum }) => {
            json!({ "type": "gre", "checksum": checksum(sum) })
        }
        Forwarding::Direct | Forwarding::Local | Forwarding::Nat => Value::Null,
    }
}

fn counters(counters: &Counters) -> Value {
    json!({
        "connections": counters.connections,
        "packets_in": counters.packets_in,
        "packets_out": counters.packets_out,
        "bytes_in": counters.bytes_in,
        "bytes_out": counters.bytes_out,
    })
}

fn rates(rates: &Rates) -> Value {
    json!({
        "connections": rates.connections,
        "packets_in": rates.packets_in,
        "packets_out": rates.packets_out,
        "bytes_in": rates.bytes_in,
        "bytes_out": rates.bytes_out,
    })
}

/// The connections. The template of a firewall mark has that mark and no virtual address.
#[must_use]
pub fn connections(connections: &[Connection]) -> Value {
    let one = |connection: &Connection| {
        let mark = connection.mark();
        let engine = connection.engine.as_ref();
        json!({
            "protocol": connection.protocol.to_string(),
            "client": connection.client.to_string(),
            "virtual": mark.is_none().then(|| connection.vip.to_string()),
            "fwmark": mark,
            "server": connection.destination.to_string(),
            "state": connection.state,
            "expires": connection.expires.as_secs(),
            "engine": engine.map(|(name, data)| json!({ "name": name, "data": data })),
        })
    };
    json!({ "connections": Vec::from_iter(connections.iter().map(one)) })
}

/// The timeouts, in seconds.
#[must_use]
pub fn timeouts(timeouts: Timeouts) -> Value {
    json!({
        "tcp": timeouts.tcp.as_secs(),
        "tcp_fin": timeouts.tcp_fin.as_secs(),
        "udp": timeouts.udp.as_secs(),
    })
}

/// The daemons that run.
#[must_use]
pub fn daemons(daemons: &[Daemon]) -> Value {
    let one = |daemon: &Daemon| {
        json!({
            "role": daemon.role().to_string(),
            "interface": daemon.interface(),
            "sync_id": daemon.sync_id(),
            "max_length": daemon.max_length(),
            "group": daemon.group(),
            "port": daemon.port(),
            "ttl": daemon.ttl(),
        })
    };
    json!({ "daemons": Vec::from_iter(daemons.iter().map(one)) })
}
