//! Servers that lvs.cf does not have any more, and that still have connections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::Director;
use super::watch::ServerKey;
use crate::config::Config;
use crate::control::Event;
use crate::ipvs::{Destination, Entry, ServiceKey, Table};
use crate::net::Weight;
use crate::runtime::clock;
use crate::time::Instant;

/// How long connections of a server that left lvs.cf may go on.
const LINGER: Duration = Duration::from_secs(300);

/// Servers on their way out: in the table without weight, until their last connection has ended or
/// their time is over.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    servers: BTreeMap<ServerKey, Departure>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Departure {
    /// The service's name in lvs.cf.
    pub(super) service: String,
    /// The name it had.
    pub(super) server: String,
    /// Since when it has been leaving.
    pub(super) since: Instant,
    /// When it goes at the latest.
    pub(super) until: Instant,
    destination: Destination,
}

impl Leaving {
    /// Takes down who leaves between two configurations: who is in force, and whose service stays.
    /// Who is back stays.
    pub(super) fn configure(
        &mut self,
        now: Instant,
        before: &Config,
        after: &Config,
        in_force: &Table,
    ) {
        let staying = servers(after);
        self.servers.retain(|key, _| {
            staying.get(&key.service).is_some_and(|servers| !servers.contains(&key.address))
        });
        for v in before.active_virtuals() {
            let service = v.key();
            let (Some(staying), Some(entry)) = (staying.get(&service), in_force.get(&service))
            else {
                continue;
            };
            for server in v.active_servers().filter(|one| !staying.contains(&one.address)) {
                let Some(destination) = entry.get(server.address) else { continue };
                let departure = Departure {
                    service: v.name.clone(),
                    server: server.name.clone(),
                    since: now,
                    until: now + LINGER,
                    destination: (*destination).with_weight(Weight::ZERO),
                };
                let key = ServerKey { service, address: server.address };
                self.servers.entry(key).or_insert(departure);
            }
        }
    }

    /// An entry of the table, with those who leave the service.
    pub(super) fn add_to_entry(&self, mut entry: Entry) -> Entry {
        let service = entry.service().key();
        for (key, departure) in self.of(service) {
            if entry.get(key.address).is_none() {
                entry.insert(departure.destination);
            }
        }
        entry
    }

    /// The table, with those who leave.
    pub(super) fn add_to(&self, mut table: Table) -> Table {
        let services: BTreeSet<_> = self.servers.keys().map(|key| key.service).collect();
        for service in services {
            if let Some(entry) = table.get(&service).cloned() {
                table.replace(self.add_to_entry(entry));
            }
        }
        table
    }

    /// Those who leave a service.
    pub(super) fn of(&self, service: ServiceKey) -> impl Iterator<Item = (&ServerKey, &Departure)> {
        self.servers.iter().filter(move |(key, _)| key.service == service)
    }
}

/// The servers of each service.
fn servers(config: &Config) -> BTreeMap<ServiceKey, BTreeSet<SocketAddr>> {
    let all = config.active_virtuals();
    all.map(|v| (v.key(), v.active_servers().map(|server| server.address).collect())).collect()
}

impl Director {
    /// The entry of one service as it should be.
    pub(super) fn wanted_entry(&self, service: ServiceKey) -> Option<Entry> {
        self.desired.entry(service).map(|entry| self.leaving.add_to_entry(entry))
    }

    /// Removes who has no connection left, and who has had time enough.
    pub(super) async fn let_go(&mut self) {
        if self.leaving.servers.is_empty() {
            return;
        }
        let leaving: Vec<_> = self.leaving.servers.keys().copied().collect();
        let drained: BTreeSet<_> =
            self.table.backend_mut().drained(&leaving).await.into_iter().collect();
        let now = clock::now();
        for key in leaving {
            let cut = !drained.contains(&key);
            let overdue = self.leaving.servers.get(&key).is_some_and(|one| one.until <= now);
            if cut && !overdue {
                continue;
            }
            let Some(departure) = self.leaving.servers.remove(&key) else { continue };
            self.survey.renew(key.service);
            let entry = self.wanted_entry(key.service);
            let removed = self.table.service(key.service, entry).await;
            self.warn_of(removed);
            let Departure { service, server, .. } = departure;
            self.tell(Event::Left { service, server, address: key.address, cut });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::control::whole_table;

    const SERVERS: [&str; 3] = ["s1", "s2", "s3"];

    /// A service with these of three servers.
    fn config(servers: &[&str]) -> Config {
        let block = |(place, name): (usize, &&str)| {
            let place = place + 1;
            format!("server {name} {{\n address = 10.0.0.{place}\n active = 1\n}}\n")
        };
        let all = SERVERS.iter().enumerate().filter(|(_, name)| servers.contains(name));
        let blocks: String = all.map(block).collect();
        let text = format!(
            "primary = 192.0.2.11\nvirtual web {{\n active = 1\n address = 192.0.2.80 lo\n\
             {blocks}}}\n"
        );
        let loaded = load(text.as_bytes());
        loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
    }

    fn key(place: u8) -> ServerKey {
        let service = ServiceKey::tcp(([192, 0, 2, 80], 80).into());
        ServerKey { service, address: ([10, 0, 0, place], 80).into() }
    }

    #[test]
    fn who_leaves_stays_in_the_table_without_weight_and_who_comes_back_is_no_longer_leaving() {
        let (all, two) = (config(&SERVERS), config(&["s1", "s3"]));
        let mut leaving = Leaving::default();
        let in_force = whole_table(&all);
        leaving.configure(Instant::ZERO, &all, &two, &in_force);
        let wanted = leaving.add_to(whole_table(&two));
        let entry = wanted.get(&key(2).service).unwrap();
        assert_eq!(entry.get(key(2).address).map(|one| one.weight()), Some(Weight::ZERO));
        assert_eq!(entry.destinations().count(), 3);
        leaving.configure(Instant::ZERO, &two, &all, &wanted);
        assert_eq!(leaving.add_to(whole_table(&all)), whole_table(&all));
    }

    #[test]
    fn who_was_out_already_or_leaves_with_its_service_leaves_at_once() {
        let (all, two) = (config(&SERVERS), config(&["s1", "s3"]));
        let mut leaving = Leaving::default();
        leaving.configure(Instant::ZERO, &all, &two, &whole_table(&two));
        assert_eq!(leaving.of(key(2).service).count(), 0);
        leaving.configure(Instant::ZERO, &all, &two, &whole_table(&all));
        assert_eq!(leaving.of(key(2).service).count(), 1);
        let mut none = two.clone();
        none.virtuals.clear();
        leaving.configure(Instant::ZERO, &two, &none, &whole_table(&all));
        assert_eq!(leaving.of(key(2).service).count(), 0);
    }
}
