use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::config::{Config, Virtual};
use crate::ipvs::{Destination, Entry, Forwarding, Service, ServiceKey, Table, Thresholds};
use crate::net::Weight;

/// The table that should be in force: the configuration, as far as the servers' health allows it.
///
/// A server is in the table from its first verdict on and with the weight that came with it; a
/// backup with weight 0, so that it takes nothing and finishes what it has, while any other server
/// of the service takes connections. The sorry servers stand in for a service whose servers have
/// all had their verdict and none of which takes connections; at start, before the first verdicts,
/// neither they nor backups serve. What a data plane kept from an earlier life is
/// [adopted](Self::adopt) and holds until the first verdict.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    services: BTreeMap<ServiceKey, Wanted>,
}

#[derive(Clone, Debug)]
struct Wanted {
    service: Service,
    forwarding: Forwarding,
    sorry: Vec<SocketAddr>,
    /// Whether a sorry server served when the table was adopted.
    sorry_adopted: bool,
    servers: BTreeMap<SocketAddr, Standing>,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    thresholds: Thresholds,
    forwarding: Forwarding,
    backup: bool,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Pending,
    /// In the table before anything was known of it.
    Adopted(Weight),
    Out,
    In(Weight),
}

impl Desired {
    /// What `config` asks for, before any server was seen.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut desired = Self::default();
        desired.configure(config);
        desired
    }

    /// Takes a new configuration over. Servers that stay keep their verdict.
    pub fn configure(&mut self, config: &Config) {
        let before = std::mem::take(&mut self.services);
        let wanted = |v: &Virtual| (v.key(), Wanted::new(v, before.get(&v.key())));
        self.services = config.active_virtuals().map(wanted).collect();
    }

    /// Leaves the servers that `table` has where they are until their first verdict: their
    /// connections go on over a restart.
    pub fn adopt(&mut self, table: &Table) {
        for (key, wanted) in &mut self.services {
            if let Some(entry) = table.get(key) {
                wanted.adopt(entry);
            }
        }
    }

    /// Notes what the table should hold for a server: `None` to be out, 0 to be quiesced. A server
    /// that is not configured (any more) is ignored.
    pub fn set_weight(&mut self, key: ServiceKey, server: SocketAddr, weight: Option<Weight>) {
        let wanted = self.services.get_mut(&key);
        if let Some(standing) = wanted.and_then(|wanted| wanted.servers.get_mut(&server)) {
            standing.verdict = weight.map_or(Verdict::Out, Verdict::In);
        }
    }

    /// Notes that a server failed its checks. One that was never in the table has its verdict
    /// with that; for one that was, what the table should hold is said by its weight.
    pub fn set_down(&mut self, key: ServiceKey, server: SocketAddr) {
        let wanted = self.services.get_mut(&key);
        if let Some(standing) = wanted.and_then(|wanted| wanted.servers.get_mut(&server))
            && matches!(standing.verdict, Verdict::Pending | Verdict::Adopted(_))
        {
            standing.verdict = Verdict::Out;
        }
    }

    /// The service `key` as it should be, or `None` if it should not be there.
    #[must_use]
    pub fn entry(&self, key: ServiceKey) -> Option<Entry> {
        self.services.get(&key).map(Wanted::entry)
    }

    /// The whole table.
    #[must_use]
    pub fn table(&self) -> Table {
        self.services.values().map(Wanted::entry).collect::<Vec<_>>().into()
    }

    /// The sorry servers of the service `key`, while they serve.
    #[must_use]
    pub fn sorry_servers(&self, key: ServiceKey) -> &[SocketAddr] {
        self.services.get(&key).map_or(&[], Wanted::serving_sorry)
    }

    /// Whether a server is a backup that has nothing to do while others of its service are up.
    #[must_use]
    pub fn stands_by(&self, key: ServiceKey, server: SocketAddr) -> bool {
        self.services.get(&key).is_some_and(|wanted| {
            wanted.servers.get(&server).is_some_and(|s| s.backup) && wanted.takes(false)
        })
    }
}

/// The table of `config` with every server in it at its full weight: what a data plane must be
/// able to carry, and what two configurations are compared by.
#[must_use]
pub fn whole_table(config: &Config) -> Table {
    config.active_virtuals().map(whole_entry).collect::<Vec<_>>().into()
}

fn whole_entry(v: &Virtual) -> Entry {
    let mut entry = Entry::new(v.service());
    for server in v.active_servers() {
        entry.insert(server.destination());
    }
    entry
}

impl Wanted {
    fn new(v: &Virtual, before: Option<&Self>) -> Self {
        let verdict = |address| {
            before
                .and_then(|wanted| wanted.servers.get(&address))
                .map_or(Verdict::Pending, |s| s.verdict)
        };
        let servers = v.active_servers();
        Self {
            service: v.service(),
            forwarding: v.forwarding,
            sorry: v.sorry_servers.clone(),
            sorry_adopted: before.is_some_and(|wanted| wanted.sorry_adopted),
            servers: servers
                .map(|s| {
                    let standing = Standing {
                        thresholds: s.thresholds,
                        forwarding: s.forwarding,
                        backup: s.backup,
                        verdict: verdict(s.address),
                    };
                    (s.address, standing)
                })
                .collect(),
        }
    }

    fn adopt(&mut self, entry: &Entry) {
        for (&address, standing) in &mut self.servers {
            if let (Verdict::Pending, Some(present)) = (standing.verdict, entry.get(address)) {
                standing.verdict = Verdict::Adopted(present.weight());
            }
        }
        let mut sorry = self.sorry.iter().filter(|sorry| !self.servers.contains_key(sorry));
        self.sorry_adopted = sorry.any(|&sorry| entry.get(sorry).is_some());
    }

    fn entry(&self) -> Entry {
        let mut entry = Entry::new(self.service.clone());
        let others_serve = self.takes(false);
        for (&address, standing) in &self.servers {
            if let Verdict::In(weight) | Verdict::Adopted(weight) = standing.verdict {
                let waits = standing.backup && others_serve;
                let destination = Destination::new(address)
                    .with_forwarding(standing.forwarding)
                    .with_weight(if waits { Weight::ZERO } else { weight })
                    .with_thresholds(standing.thresholds);
                entry.insert(destination);
            }
        }
        for &sorry in self.serving_sorry() {
            let destination = Destination::new(sorry).with_forwarding(self.forwarding);
            entry.insert(destination.with_weight(Weight::ONE));
        }
        entry
    }

    /// Whether any of the backups, or of the others, takes connections or may yet.
    fn takes(&self, backups: bool) -> bool {
        let mut pool = self.servers.values().filter(|standing| standing.backup == backups);
        pool.any(|standing| match standing.verdict {
            Verdict::Pending => !self.sorry_adopted,
            Verdict::Out => false,
            Verdict::In(weight) | Verdict::Adopted(weight) => !weight.is_quiesced(),
        })
    }

    fn serving_sorry(&self) -> &[SocketAddr] {
        if self.takes(false) || self.takes(true) { &[] } else { &self.sorry }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn desired() -> (Desired, ServiceKey) {
        let file = b"primary = 192.0.2.1
            virtual web {
                active = 1
                address = 192.0.2.80 eth0:1
                sorry_server = 10.0.0.9
                server a {
                    address = 10.0.0.1
                    active = 1
                }
                server b {
                    address = 10.0.0.2
                    active = 1
                }
                server off {
                    address = 10.0.0.3
                    active = 0
                }
            }";
        let config = config::load(file).config.expect("a good file");
        (Desired::new(&config), config.virtuals[0].key())
    }

    fn server(n: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, n], 80))
    }

    fn in_table(desired: &Desired, key: ServiceKey) -> Vec<SocketAddr> {
        desired.entry(key).iter().flat_map(Entry::destinations).map(Destination::address).collect()
    }

    #[test]
    fn a_server_is_in_the_table_from_its_first_verdict_on() {
        let (mut desired, key) = desired();
        assert_eq!(in_table(&desired, key), []);
        desired.set_weight(key, server(1), Some(Weight::ONE));
        assert_eq!(in_table(&desired, key), [server(1)]);
        desired.set_weight(key, server(3), Some(Weight::ONE));
        assert_eq!(in_table(&desired, key), [server(1)], "an inactive server is none");
    }

    #[test]
    fn the_sorry_server_waits_for_every_verdict_and_for_the_last_server_to_go() {
        let (mut desired, key) = desired();
        desired.set_down(key, server(1));
        assert_eq!(desired.sorry_servers(key), []);
        desired.set_down(key, server(2));
        assert_eq!(in_table(&desired, key), [server(9)]);
        desired.set_weight(key, server(2), Some(Weight::ONE));
        assert_eq!(in_table(&desired, key), [server(2)]);
        desired.set_weight(key, server(2), Some(Weight::ZERO));
        assert_eq!(in_table(&desired, key), [server(2), server(9)], "a quiesced one takes nobody");
    }

    #[test]
    fn a_backup_waits_for_the_last_other_server_to_go_and_comes_before_the_sorry_servers() {
        let file = b"primary = 192.0.2.1
            virtual web {
                active = 1
                address = 192.0.2.80 eth0:1
                sorry_server = 10.0.0.8 10.0.0.9:8080
                server a {
                    address = 10.0.0.1
                    active = 1
                }
                server b {
                    address = 10.0.0.2
                    active = 1
                    backup = 1
                    network = tunnel
                }
            }";
        let config = config::load(file).config.expect("a good file");
        let (mut desired, key) = (Desired::new(&config), config.virtuals[0].key());
        let table = |desired: &Desired| -> Vec<_> {
            let entry = desired.entry(key).expect("the service is there");
            entry.destinations().map(|d| (d.address(), d.weight().get())).collect()
        };
        desired.set_weight(key, server(2), Some(Weight::ONE));
        assert_eq!(table(&desired), [(server(2), 0)], "the other may yet come up");
        assert!(desired.stands_by(key, server(2)));
        desired.set_weight(key, server(1), Some(Weight::ONE));
        assert_eq!(table(&desired), [(server(1), 1), (server(2), 0)]);
        desired.set_weight(key, server(1), None);
        assert_eq!(table(&desired), [(server(2), 1)]);
        assert!(!desired.stands_by(key, server(2)));
        desired.set_weight(key, server(2), None);
        let second = SocketAddr::from(([10, 0, 0, 9], 8080));
        assert_eq!(table(&desired), [(server(8), 1), (second, 1)]);
        desired.set_weight(key, server(1), Some(Weight::ONE));
        assert_eq!(table(&desired), [(server(1), 1)]);
        let entry = whole_entry(&config.virtuals[0]);
        let tunnelled = entry.destinations().filter(|d| d.forwarding().is_tunnel());
        assert_eq!(tunnelled.map(Destination::address).collect::<Vec<_>>(), [server(2)]);
    }

    #[test]
    fn what_an_earlier_life_left_holds_until_the_first_verdict() {
        let (earlier, key) = {
            let (mut desired, key) = desired();
            desired.set_weight(key, server(1), Some(Weight::ONE));
            desired.set_weight(key, server(2), Some(Weight::ZERO));
            (desired.table(), key)
        };
        let (mut desired, _) = desired();
        desired.adopt(&earlier);
        assert_eq!(desired.table(), earlier);
        desired.set_down(key, server(1));
        assert_eq!(in_table(&desired, key), [server(2), server(9)], "down without a weight before");
        desired.set_weight(key, server(2), Some(Weight::ONE));
        assert_eq!(in_table(&desired, key), [server(2)]);
    }

    #[test]
    fn a_sorry_server_that_served_goes_on_until_a_server_is_back() {
        let (mut earlier, key) = desired();
        earlier.set_down(key, server(1));
        earlier.set_down(key, server(2));
        let (mut desired, _) = desired();
        desired.adopt(&earlier.table());
        assert_eq!(in_table(&desired, key), [server(9)]);
        desired.set_weight(key, server(1), Some(Weight::ONE));
        assert_eq!(in_table(&desired, key), [server(1)]);
    }

    #[test]
    fn a_server_that_was_in_the_table_stays_as_its_weight_says() {
        let (mut desired, key) = desired();
        desired.set_weight(key, server(1), Some(Weight::ONE));
        desired.set_down(key, server(1));
        assert_eq!(in_table(&desired, key), [server(1)]);
    }

    #[test]
    fn a_new_configuration_keeps_the_verdicts_of_servers_that_stay() {
        let (mut desired, key) = desired();
        desired.set_weight(key, server(1), Some(Weight::ONE));
        let file = b"primary = 192.0.2.1
            virtual web {
                active = 1
                address = 192.0.2.80 eth0:1
                server a {
                    address = 10.0.0.1
                    active = 1
                }
            }";
        desired.configure(&config::load(file).config.expect("a good file"));
        assert_eq!(in_table(&desired, key), [server(1)]);
    }
}
