//! The table of the data plane in the words of `ipvsadm -Ln`.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};

use crate::control::protocol::TableStatus;
use crate::ipvs::{
    Destination, Entry, Forwarding, Load, Persistence, SchedulerFlags, Service, ServiceKey,
};
use crate::net::Family;

/// The columns in which ipvsadm cuts names of IPv4.
const SERVICE: usize = 33;
const SERVER: usize = 28;

/// What `ipvsadm -Ln` prints of this table, but for its first line.
pub(crate) fn listing(told: &TableStatus) -> String {
    let mut entries: Vec<_> = told.table.iter().collect();
    entries.sort_by_key(|entry| order(entry.service().key()));
    let load =
        |load: &crate::control::protocol::ServerLoad| ((load.service, load.server), load.load);
    let loads: HashMap<_, _> = told.loads.iter().map(load).collect();
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, &entries, &loads);
    out
}

type Loads = HashMap<(ServiceKey, SocketAddr), Load>;

fn order(key: ServiceKey) -> (u32, Family, u8, Option<SocketAddr>) {
    match key {
        ServiceKey::Address { protocol, address } => {
            (0, Family::of(address.ip()), protocol.number(), Some(address))
        }
        ServiceKey::Mark { mark, family } => (mark.get(), family, 0, None),
    }
}

fn write(out: &mut String, entries: &[&Entry], loads: &Loads) -> fmt::Result {
    writeln!(out, "Prot LocalAddress:Port Scheduler Flags")?;
    let server = "  -> RemoteAddress:Port";
    writeln!(out, "{server:<33} Forward Weight ActiveConn InActConn")?;
    for entry in entries {
        let service = entry.service();
        write_service(out, service)?;
        for destination in entry.destinations() {
            let load = loads.get(&(service.key(), destination.address()));
            write_server(out, destination, load.copied().unwrap_or_default())?;
        }
    }
    Ok(())
}

fn write_service(out: &mut String, service: &Service) -> fmt::Result {
    write!(out, "{} {}", name(service.key()), service.scheduler())?;
    if !service.scheduler_flags().is_empty() {
        write!(out, " ({})", flags(service))?;
    }
    if let Some(persistence) = service.persistence() {
        write_persistence(out, persistence, service.key().family())?;
    }
    writeln!(out, "{}", if service.one_packet() { " ops" } else { "" })
}

fn name(key: ServiceKey) -> String {
    match key {
        ServiceKey::Address { protocol, address } => {
            cut(format!("{:<4} {address}", protocol.to_string()), SERVICE, key.family())
        }
        ServiceKey::Mark { mark, family: Family::Ipv4 } => format!("FWM  {mark}"),
        ServiceKey::Mark { mark, family: Family::Ipv6 } => format!("FWM  {mark} IPv6"),
    }
}

fn flags(service: &Service) -> String {
    let all = match service.scheduler().as_str() {
        "sh" => ["sh-fallback", "sh-port", "flag-3"],
        "mh" => ["mh-fallback", "mh-port", "flag-3"],
        _ => ["flag-1", "flag-2", "flag-3"],
    };
    let bits = [SchedulerFlags::FLAG_1, SchedulerFlags::FLAG_2, SchedulerFlags::FLAG_3];
    let set = bits.into_iter().zip(all).filter(|(bit, _)| service.scheduler_flags().contains(*bit));
    set.map(|(_, name)| name).collect::<Vec<_>>().join(",")
}

fn write_persistence(out: &mut String, persistence: Persistence, family: Family) -> fmt::Result {
    write!(out, " persistent {}", persistence.timeout().as_secs())?;
    let prefix = persistence.prefix(family);
    if prefix != family.bits() {
        match family {
            Family::Ipv4 => write!(out, " mask {}", mask(prefix))?,
            Family::Ipv6 => write!(out, " mask {prefix}")?,
        }
    }
    match persistence.engine() {
        Some(engine) => write!(out, " pe {engine}"),
        None => Ok(()),
    }
}

fn mask(prefix: u8) -> Ipv4Addr {
    let bits = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    Ipv4Addr::from_bits(bits)
}

fn write_server(out: &mut String, destination: &Destination, load: Load) -> fmt::Result {
    let name = cut(destination.address().to_string(), SERVER, destination.family());
    let method = match destination.forwarding() {
        Forwarding::Nat => "Masq",
        Forwarding::Direct => "Route",
        Forwarding::Tunnel(_) => "Tunnel",
        Forwarding::Local => "Local",
    };
    let weight = destination.weight().get();
    let Load { active, inactive, .. } = load;
    writeln!(out, "  -> {name:<28} {method:<7} {weight:<6} {active:<10} {inactive:<10}")
}

fn cut(mut name: String, columns: usize, family: Family) -> String {
    if family == Family::Ipv4 {
        name.truncate(columns);
    }
    name
}

#[cfg(feature = "cli")]
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::ipvsadm::list::{TablePrinter, sort};
    use crate::cli::ipvsadm::{Columns, Labels};
    use crate::control::protocol::ServerLoad;
    use crate::ipvs::kernel::{DestinationStatus, ServiceStatus};
    use crate::ipvs::{Counters, Rates, Table, Tunnel};
    use crate::net::{FirewallMark, Protocol, Weight};
    use crate::runtime::kernel::Listed;

    fn tcp(address: &str) -> Service {
        let address = address.parse().unwrap();
        Service::new(ServiceKey::Address { protocol: Protocol::Tcp, address })
    }

    fn marked(mark: u32, family: Family) -> Service {
        Service::new(ServiceKey::Mark { mark: FirewallMark::new(mark).unwrap(), family })
    }

    fn table() -> Table {
        let mut table = Table::new();
        let hour = Persistence::new(Duration::from_secs(3600)).unwrap();
        let by_network = hour.with_prefix(24).unwrap();
        let flags = SchedulerFlags::FLAG_1;
        let services = [
            tcp("192.0.2.80:80").with_persistence(hour),
            tcp("10.0.0.1:443").with_persistence(by_network),
            tcp("[2001:db8::80]:80").with_persistence(hour.with_prefix(64).unwrap()),
            tcp("255.255.255.255:65535")
                .with_scheduler("sh".parse().unwrap())
                .with_scheduler_flags(flags),
            marked(9, Family::Ipv6),
            marked(7, Family::Ipv4).with_one_packet(true),
        ];
        for (place, service) in services.into_iter().enumerate() {
            let weight = Weight::try_from(u32::try_from(place * 100).unwrap()).unwrap();
            let entry = table.insert(service);
            for address in ["10.1.2.3:8080", "10.1.2.4:80", "[2001:db8::1:2:3:4]:8080"] {
                let server = Destination::new(address.parse().unwrap()).with_weight(weight);
                let ways = [Forwarding::Nat, Forwarding::Direct, Forwarding::Tunnel(Tunnel::Ipip)];
                entry.insert(server.with_forwarding(ways[place % ways.len()]));
            }
        }
        table
    }

    #[test]
    fn it_is_what_ipvsadm_prints() {
        let mut told = TableStatus::new(table());
        let load = Load { active: 12, inactive: 345_678, persistent: 9 };
        let keys: Vec<_> = told.table.iter().map(|entry| entry.service().key()).collect();
        let address = "10.1.2.4:80".parse().unwrap();
        told.loads = keys.into_iter().map(|key| ServerLoad::new(key, address, load)).collect();
        let server = |destination: &Destination| DestinationStatus {
            destination: *destination,
            load: if destination.address() == address { load } else { Load::default() },
            counters: Counters::default(),
            rates: Rates::default(),
            exact: true,
            unknown: Vec::new(),
        };
        let listed = |entry: &Entry| Listed {
            service: ServiceStatus {
                service: entry.service().clone(),
                counters: Counters::default(),
                rates: Rates::default(),
                exact: true,
                unknown: Vec::new(),
            },
            destinations: entry.destinations().map(server).collect(),
        };
        let mut services: Vec<_> = told.table.iter().map(listed).collect();
        sort(&mut services);
        let (mut printed, labels) = (Vec::new(), Labels::numeric());
        TablePrinter::new(Columns::Load, false, &labels).write(&mut printed, &services).unwrap();
        assert_eq!(listing(&told), String::from_utf8(printed).unwrap());
    }
}
