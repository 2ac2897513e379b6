//! Checks that take the way of clients.
//!
//! Whether a server behind direct routing or a tunnel serves cannot be seen at its own address: it
//! must accept packets to the VIP. So a check connects to the VIP, with a firewall mark on its
//! packets; a service of the kernel's table by that mark has this one server, reached as clients'
//! packets reach it. That works on the active director and on the standby alike.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::watch::ServerKey;
use crate::config::{Config, RealServer, Virtual};
use crate::health::{Check, Failure};
use crate::ipvs::{Destination, Entry, Forwarding, Service, ServiceKey, Table};
use crate::net::{Family, FirewallMark};
use crate::runtime::checks::Way;

/// The marks that ways get: what documentation calls ours.
const MARKS: std::ops::RangeInclusive<u32> = 0x7060_0000..=0x706f_ffff;

/// The ways to servers that are checked through the data plane. One keeps its mark as long as its
/// server is configured.
#[derive(Debug, Default)]
pub(super) struct Ways {
    ways: BTreeMap<ServerKey, (Way, Forwarding)>,
}

impl Ways {
    /// Has a way to each server of `config` that is to be checked so, and to no other.
    pub(super) fn configure(&mut self, config: &Config) {
        let before = std::mem::take(&mut self.ways);
        let mut taken: BTreeSet<_> = before.values().map(|(way, _)| way.mark).collect();
        taken.extend(config.active_virtuals().filter_map(|service| service.fwmark));
        let mut free = MARKS.filter_map(FirewallMark::new).filter(|mark| !taken.contains(mark));
        for (service, server) in config.active_virtuals().flat_map(through) {
            let key = ServerKey { service: service.key(), address: server.address };
            let known = before.get(&key).map(|(way, _)| way.mark);
            // More servers than marks: the rest are checked directly.
            let Some(mark) = known.or_else(|| free.next()) else { return };
            let vip = SocketAddr::new(service.address, service.port);
            self.ways.insert(key, (Way::new(vip, mark), server.forwarding));
        }
    }

    /// The way to a server, if it is to be checked so.
    pub(super) fn to(&self, server: ServerKey) -> Option<Way> {
        self.ways.get(&server).map(|(way, _)| *way)
    }

    /// The services that make the ways.
    pub(super) fn keys(&self) -> impl Iterator<Item = ServiceKey> {
        self.ways.values().map(|(way, _)| key(way))
    }

    /// `table` with the ways in it.
    pub(super) fn add_to(&self, mut table: Table) -> Table {
        for (server, (way, forwarding)) in &self.ways {
            let mut entry = Entry::new(Service::new(key(way)));
            // By a mark the port of a packet stays as it is.
            let destination = Destination::new(SocketAddr::new(server.address.ip(), 0));
            entry.insert(destination.with_forwarding(*forwarding));
            table.replace(entry);
        }
        table
    }
}

/// The servers of a service that are checked through the data plane.
fn through(service: &Virtual) -> impl Iterator<Item = (&Virtual, &RealServer)> {
    let checked =
        |server: &&RealServer| service.check_through && server.forwarding != Forwarding::Nat;
    service.active_servers().filter(checked).map(move |server| (service, server))
}

const fn key(way: &Way) -> ServiceKey {
    ServiceKey::mark(way.mark, Family::of(way.vip.ip()))
}

/// What is kept of the time for a probe, a tenth of it at most: whoever waits for it gives up when that is over, and then nothing
/// is said of the way.
const SPARE: Duration = Duration::from_millis(50);

/// A check along a way, which says so when nothing comes back.
pub(super) struct Along {
    check: Arc<dyn Check>,
    vip: SocketAddr,
}

impl Along {
    pub(super) fn new(check: Arc<dyn Check>, way: Way) -> Self {
        Self { check, vip: way.vip }
    }
}

#[async_trait]
impl Check for Along {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let spare = SPARE.min(limit / 10);
        let failure = match self.check.probe(target, limit.saturating_sub(spare)).await {
            Err(
                failure @ (Failure::TimedOut { .. }
                | Failure::Refused
                | Failure::Unreachable
                | Failure::Reset),
            ) => failure,
            other => return other,
        };
        Err(Failure::Other(format!(
            "{failure} on the way of clients to {}: is the VIP on this server (on lo, without \
             answering for it)?",
            self.vip
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn config(servers: &str) -> Config {
        let text = format!(
            "primary = 192.0.2.1\nnetwork = direct\nvirtual v {{\nactive = 1\nport = 80\n\
             address = 192.0.2.80 eth0:1\ncheck_through = 1\n{servers}}}\n"
        );
        load(text.as_bytes()).config.unwrap()
    }

    fn server(host: u8, more: &str) -> String {
        format!("server s{host} {{\nactive = 1\naddress = 10.0.0.{host}\n{more}}}\n")
    }

    fn marks(ways: &Ways) -> Vec<(String, u32)> {
        let marks = ways.ways.iter();
        marks.map(|(key, (way, _))| (key.address.to_string(), way.mark.get())).collect()
    }

    #[test]
    fn a_server_keeps_its_mark_while_others_come_and_go() {
        let mut ways = Ways::default();
        ways.configure(&config(&(server(1, "") + &server(2, ""))));
        let before = marks(&ways);
        ways.configure(&config(&(server(3, "") + &server(2, ""))));
        let after = marks(&ways);
        assert_eq!(before[1], after[0]);
        // One that has just gone may still be asked: its mark is free with the next change.
        assert!(before.iter().all(|(_, mark)| *mark != after[1].1), "{before:?} {after:?}");
        ways.configure(&config(&server(2, "")));
        assert_eq!(marks(&ways), [before[1].clone()]);
    }

    #[test]
    fn each_way_leads_to_its_server_alone_and_as_clients_go() {
        let mut ways = Ways::default();
        ways.configure(&config(&(server(1, "") + &server(2, "network = tunnel\n"))));
        let table = ways.add_to(Table::new());
        for (key, method) in ways.keys().zip([Forwarding::Direct, Forwarding::TUNNEL]) {
            let found: Vec<_> = table.get(&key).unwrap().destinations().collect();
            assert!(matches!(found[..], [one] if one.forwarding() == method), "{found:?}");
        }
    }

    #[test]
    fn servers_behind_nat_are_checked_directly() {
        let mut ways = Ways::default();
        ways.configure(&config(&(server(1, "network = nat\n") + &server(2, ""))));
        assert_eq!(ways.keys().count(), 1);
    }
}
