use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Destination, Service, ServiceKey};

/// A whole table: virtual services and their real servers, each kept once, in key order.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Vec<Entry>", into = "Vec<Entry>")]
pub struct Table {
    entries: BTreeMap<ServiceKey, Entry>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `service`, or changes the one with its key, which keeps its servers.
    pub fn insert(&mut self, service: Service) -> &mut Entry {
        let entry =
            self.entries.entry(service.key()).or_insert_with(|| Entry::new(service.clone()));
        entry.service = service;
        entry
    }

    /// Puts `entry` in, in place of the one with its key. Returns what was replaced.
    pub fn replace(&mut self, entry: Entry) -> Option<Entry> {
        self.entries.insert(entry.service.key(), entry)
    }

    /// Takes the service `key` out, with its servers.
    pub fn remove(&mut self, key: &ServiceKey) -> Option<Entry> {
        self.entries.remove(key)
    }

    /// The service `key`.
    #[must_use]
    pub fn get(&self, key: &ServiceKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The service `key`, to be changed.
    pub fn get_mut(&mut self, key: &ServiceKey) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    /// All services, in key order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many services there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no service.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl From<Vec<Entry>> for Table {
    fn from(entries: Vec<Entry>) -> Self {
        Self { entries: entries.into_iter().map(|entry| (entry.service.key(), entry)).collect() }
    }
}

impl From<Table> for Vec<Entry> {
    fn from(table: Table) -> Self {
        table.entries.into_values().collect()
    }
}

/// A virtual service and its real servers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "RawEntry", into = "RawEntry")]
pub struct Entry {
    service: Service,
    destinations: BTreeMap<SocketAddr, Destination>,
}

impl Entry {
    /// `service` without a server.
    #[must_use]
    pub const fn new(service: Service) -> Self {
        Self { service, destinations: BTreeMap::new() }
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// Adds `destination`, or replaces the one with its address. Returns what was replaced.
    pub fn insert(&mut self, destination: Destination) -> Option<Destination> {
        self.destinations.insert(destination.address(), destination)
    }

    /// Takes the server at `address` out.
    pub fn remove(&mut self, address: SocketAddr) -> Option<Destination> {
        self.destinations.remove(&address)
    }

    /// The server at `address`.
    #[must_use]
    pub fn get(&self, address: SocketAddr) -> Option<&Destination> {
        self.destinations.get(&address)
    }

    /// All servers, in address order.
    pub fn destinations(&self) -> impl ExactSizeIterator<Item = &Destination> {
        self.destinations.values()
    }
}

#[derive(Deserialize, Serialize)]
struct RawEntry {
    service: Service,
    destinations: Vec<Destination>,
}

impl From<RawEntry> for Entry {
    fn from(raw: RawEntry) -> Self {
        let destinations = raw.destinations.into_iter().map(|d| (d.address(), d)).collect();
        Self { service: raw.service, destinations }
    }
}

impl From<Entry> for RawEntry {
    fn from(entry: Entry) -> Self {
        Self { service: entry.service, destinations: entry.destinations.into_values().collect() }
    }
}
