//! The events a director tells.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;

use super::Director;
use super::watch::ServerKey;
use crate::control::{Event, QuorumState};
use crate::health::Health;
use crate::ipvs::ServiceKey;

impl Director {
    pub(super) fn tell_health(&self, server: ServerKey, from: Health, to: Health, reason: String) {
        let Some(names) = self.watch.names(server) else {
            return;
        };
        let (service, name) = (names.service.clone(), names.server.clone());
        let address = server.address;
        self.tell(Event::Health { service, server: name, address, from, to, reason });
    }

    pub(super) fn tell_agent(&self, server: ServerKey, word: Option<&str>, reason: Option<String>) {
        let Some(names) = self.watch.names(server) else {
            return;
        };
        let (service, name) = (names.service.clone(), names.server.clone());
        let (address, word) = (server.address, word.map(str::to_owned));
        self.tell(Event::Agent { service, server: name, address, word, reason });
    }

    pub(super) fn tell_most(&self, server: ServerKey, most: Option<NonZeroU32>) {
        let Some(names) = self.watch.names(server) else {
            return;
        };
        let (service, name) = (names.service.clone(), names.server.clone());
        self.tell(Event::MostConnections { service, server: name, address: server.address, most });
    }

    pub(super) fn tell_weight(&self, server: ServerKey) {
        let Some(names) = self.watch.names(server) else {
            return;
        };
        let weight = self.desired.weight(server.service, server.address);
        let (service, name) = (names.service.clone(), names.server.clone());
        self.tell(Event::Weight { service, server: name, address: server.address, weight });
    }

    pub(super) fn tell_sorry(&self, key: ServiceKey, before: &[SocketAddr]) {
        let now = self.desired.sorry_servers(key);
        if now == before {
            return;
        }
        let serving = !now.is_empty();
        for &address in if serving { now } else { before } {
            let service = self.service_name(key);
            self.tell(Event::SorryServer { service, address, serving });
        }
    }

    pub(super) fn tell_kept(&self, key: ServiceKey, before: &BTreeSet<SocketAddr>) {
        let now = self.desired.kept(key);
        for &address in now.symmetric_difference(before) {
            let kept = now.contains(&address);
            let key = ServerKey { service: key, address };
            if let Some(names) = self.watch.names(key) {
                let (service, server) = (names.service.clone(), names.server.clone());
                self.tell(Event::Kept { service, server, address, kept });
            }
        }
    }

    pub(super) fn tell_quorums(&self, before: &BTreeMap<ServiceKey, QuorumState>) {
        for (key, _) in self.desired.quorums() {
            self.tell_quorum(key, before.get(&key).copied());
        }
    }

    /// A service that was not there counts as up, as it does until verdicts say otherwise.
    pub(super) fn tell_quorum(&self, key: ServiceKey, before: Option<QuorumState>) {
        let Some(now) = self.desired.quorum(key) else {
            return;
        };
        if now.is_met != before.is_none_or(|before| before.is_met) {
            let QuorumState { is_met, weight, needed, of } = now;
            let service = self.service_name(key);
            self.tell(Event::Quorum { service, is_met, weight, needed, of });
        }
    }

    fn service_name(&self, key: ServiceKey) -> String {
        let mut virtuals = self.config.active_virtuals();
        virtuals.find(|v| v.key() == key).map_or_else(|| key.to_string(), |v| v.name.clone())
    }

    pub(super) fn tell_drained(&self, server: ServerKey) {
        let Some(names) = self.watch.names(server) else {
            return;
        };
        let (service, name) = (names.service.clone(), names.server.clone());
        self.tell(Event::Drained { service, server: name, address: server.address });
    }

    pub(super) fn tell(&self, event: Event) {
        (self.observer)(event);
    }
}
