use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::config::{Config, Virtual};
use crate::ipvs::{Destination, Entry, Forwarding, Service, ServiceKey, Table, Thresholds};
use crate::net::Weight;

/// The table that should be in force: the configuration, as far as the servers' health allows it.
///
/// A server is in the table from its first verdict on and with the weight that came with it. The
/// sorry server stands in for a service whose servers have all had their verdict and none of
/// which takes connections; at start, before the first verdicts, it does not serve.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    services: BTreeMap<ServiceKey, Wanted>,
}

#[derive(Clone, Debug)]
struct Wanted {
    service: Service,
    forwarding: Forwarding,
    sorry: Option<SocketAddr>,
    servers: BTreeMap<SocketAddr, Standing>,
}

#[derive(Clone, Copy, Debug)]
struct Standing {
    thresholds: Thresholds,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Pending,
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

    /// Notes what the table should hold for a server: `None` to be out, 0 to be quiesced. A server
    /// that is not configured (any more) is ignored.
    pub fn set_weight(&mut self, key: ServiceKey, server: SocketAddr, weight: Option<Weight>) {
        let wanted = self.services.get_mut(&key);
        if let Some(standing) = wanted.and_then(|wanted| wanted.servers.get_mut(&server)) {
            standing.verdict = weight.map_or(Verdict::Out, Verdict::In);
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

    /// The sorry server of the service `key`, while it serves.
    #[must_use]
    pub fn sorry_server(&self, key: ServiceKey) -> Option<SocketAddr> {
        self.services.get(&key).and_then(Wanted::serving_sorry)
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
        entry.insert(server.destination(v.forwarding));
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
            sorry: v.sorry_server,
            servers: servers
                .map(|s| {
                    let standing =
                        Standing { thresholds: s.thresholds, verdict: verdict(s.address) };
                    (s.address, standing)
                })
                .collect(),
        }
    }

    fn entry(&self) -> Entry {
        let mut entry = Entry::new(self.service.clone());
        for (&address, standing) in &self.servers {
            if let Verdict::In(weight) = standing.verdict {
                entry
                    .insert(self.destination(address, weight).with_thresholds(standing.thresholds));
            }
        }
        if let Some(sorry) = self.serving_sorry() {
            entry.insert(self.destination(sorry, Weight::ONE));
        }
        entry
    }

    fn destination(&self, address: SocketAddr, weight: Weight) -> Destination {
        Destination::new(address).with_forwarding(self.forwarding).with_weight(weight)
    }

    fn serving_sorry(&self) -> Option<SocketAddr> {
        let takes_connections = |standing: &Standing| match standing.verdict {
            Verdict::Pending => true,
            Verdict::Out => false,
            Verdict::In(weight) => !weight.is_quiesced(),
        };
        self.sorry.filter(|_| !self.servers.values().any(takes_connections))
    }
}
