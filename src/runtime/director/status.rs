//! What a director tells of itself.

use super::Director;
use super::leaving::Departure;
use super::plane::Measured;
use super::watch::ServerKey;
use crate::config::{RealServer, Virtual};
use crate::control::Age;
use crate::control::protocol::{ServerLoad, Servers, TableStatus};
use crate::control::status::{
    Balancing, Counts, DataPlane, Process, QuorumStatus, Revision, ServerState, ServerStatus,
    ServiceState, ServiceStatus, Traffic,
};
use crate::health::{self, Health, Steer};
use crate::net::Weight;
use crate::runtime::clock;
use crate::runtime::control::node_name;
use crate::time::Instant;

/// One moment, at which everything is looked at.
struct Moment<'a> {
    director: &'a Director,
    measured: Option<&'a Measured>,
    now: Instant,
    servers: Servers,
}

impl Director {
    /// What it knows, of the service of this name or of all, with these servers of each.
    #[must_use]
    pub fn status(&self, servers: Servers, service: Option<&str>) -> Balancing {
        let now = clock::now();
        let plane = self.table.backend();
        let measured = plane.traffic();
        let process = Process::new(std::process::id(), now - self.started);
        let data_plane = DataPlane::new(plane.name(), self.failure.clone());
        let mut half = Balancing::new(process, data_plane, self.revision(now));
        half.traffic_age = measured.as_ref().map(|measured| Age(now - measured.taken));
        let moment = Moment { director: self, measured: measured.as_deref(), now, servers };
        let wanted = self.config.active_virtuals();
        let wanted = wanted.filter(|v| service.is_none_or(|name| v.name == name));
        half.services = wanted.map(|v| moment.service(v)).collect();
        let node = node_name();
        half.overrides = self.overrides.iter().map(|said| said.told_on(&node)).collect();
        half.loads = self.loads.readings(now);
        half.replication = self.replication.status(self.overrides_digest().as_str(), now);
        half
    }

    /// What the data plane was told, with the connections of each server as last measured.
    pub(super) fn table_status(&self) -> TableStatus {
        let mut told = TableStatus::new(self.table.in_force().clone());
        if let Some(measured) = self.table.backend().traffic() {
            told.traffic_age = Some(Age(clock::now() - measured.taken));
            let load = |(key, traffic): (&ServerKey, &Traffic)| {
                ServerLoad::new(key.service, key.address, traffic.load)
            };
            told.loads = measured.servers.iter().map(load).collect();
        }
        told
    }

    fn revision(&self, now: Instant) -> Revision {
        let digest = format!("{:016x}", self.digest);
        let mut revision = Revision::new(self.path.clone(), digest, Age(now - self.loaded));
        revision.refused.clone_from(&self.refused);
        revision
    }
}

impl Moment<'_> {
    fn service(&self, v: &Virtual) -> ServiceStatus {
        let (director, key) = (self.director, v.key());
        let mut service = ServiceStatus::new(&v.name, key, v.scheduler.to_string());
        let mut servers = (self.servers != Servers::None).then(Vec::new);
        for server in v.active_servers() {
            let (state, health) = self.state(v, server);
            service.counts.add(state);
            if let (Some(servers), Some(health)) = (&mut servers, health)
                && (self.servers == Servers::All || self.is_notable(v, server, state))
            {
                servers.push(self.server(v, server, state, health));
            }
        }
        if let Some(servers) = &mut servers {
            let leaving = director.leaving.of(key);
            servers.extend(leaving.map(|(key, departure)| self.leaving(*key, departure)));
        }
        service.servers = servers;
        service.sorry_servers = director.desired.sorry_servers(key).to_vec();
        service.quorum = director
            .desired
            .quorum(key)
            .map(|q| QuorumStatus::new(q.is_met, q.weight, q.needed).counting(q.of));
        service.state = state_of(service.counts, !service.sorry_servers.is_empty());
        service.traffic = self.measured.and_then(|m| m.services.get(&key).copied());
        let rates = || director.rating.service(key);
        service.traffic.iter_mut().for_each(|traffic| traffic.rates = traffic.rates.or_else(rates));
        service
    }

    fn is_notable(&self, v: &Virtual, server: &RealServer, state: ServerState) -> bool {
        state.is_notable() || self.director.overrides.holding(&v.name, &server.name).is_some()
    }

    fn state(&self, v: &Virtual, server: &RealServer) -> (ServerState, Option<HealthStatus>) {
        let key = ServerKey { service: v.key(), address: server.address };
        let status = self.director.watch.status(key);
        let health = status.as_ref().map_or(Health::Unknown, |status| status.health);
        let said = status.as_ref().map(|status| status.forced);
        let state = if said == Some(health::Override::Disabled) {
            ServerState::Disabled
        } else if health.is_in() && said == Some(health::Override::Drain) {
            ServerState::Draining
        } else if health.is_in() && self.director.loads.steer(key) == Some(Steer::Out) {
            self.out_by_agent(key)
        } else if health.is_in() && self.director.desired.stands_by(key.service, key.address) {
            ServerState::Waiting
        } else if health.is_in() && self.weight(key).is_some_and(Weight::is_quiesced) {
            ServerState::Draining
        } else {
            health.into()
        };
        (state, status)
    }

    /// What a server is that its checks find well and its agent keeps out.
    fn out_by_agent(&self, key: ServerKey) -> ServerState {
        match self.director.loads.hindrance(key) {
            Some(("maint", _)) => ServerState::Disabled,
            _ => ServerState::Down,
        }
    }

    /// What the agent of a server says that keeps it from serving.
    fn agent(&self, key: ServerKey) -> Option<String> {
        let (word, reason) = self.director.loads.hindrance(key)?;
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        Some(format!("the agent says {word}{reason}"))
    }

    fn server(
        &self,
        v: &Virtual,
        server: &RealServer,
        state: ServerState,
        known: HealthStatus,
    ) -> ServerStatus {
        let key = ServerKey { service: v.key(), address: server.address };
        let mut status = ServerStatus::new(&server.name, server.address);
        status.state = state;
        status.health = known.health;
        status.since = Age(self.now - known.since);
        let failing = !matches!(known.health, Health::Up | Health::Unknown);
        let failure = known.last_failure.filter(|_| failing).map(|failure| failure.to_string());
        let reasons: Vec<_> = self.agent(key).into_iter().chain(failure).collect();
        status.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        status.checked = known.last_checked.map(|at| Age(self.now - at));
        status.weight = self.weight(key);
        status.configured_weight = server.weight;
        status.backup = server.backup;
        status.certificate_expires = self.director.watch.certificate_expires(key);
        status.operator = self.director.overrides.holding(&v.name, &server.name).cloned();
        status.traffic = self.measured.and_then(|m| m.servers.get(&key).copied());
        status
    }

    /// A server that lvs.cf does not have any more.
    fn leaving(&self, key: ServerKey, departure: &Departure) -> ServerStatus {
        let mut status = ServerStatus::new(&departure.server, key.address);
        status.state = ServerState::Draining;
        status.weight = self.weight(key);
        status.configured_weight = Weight::ZERO;
        status.since = Age(self.now - departure.since);
        let left = Age(departure.until - self.now);
        status.reason = Some(format!("left lvs.cf, goes with its last connection or in {left}"));
        status.traffic = self.measured.and_then(|m| m.servers.get(&key).copied());
        let rates = || self.director.rating.server(key);
        status.traffic.iter_mut().for_each(|traffic| traffic.rates = traffic.rates.or_else(rates));
        status
    }

    fn weight(&self, key: ServerKey) -> Option<Weight> {
        let entry = self.director.table.in_force().get(&key.service)?;
        entry.get(key.address).map(|destination| destination.weight())
    }
}

type HealthStatus = health::Status;

fn state_of(counts: Counts, sorry: bool) -> ServiceState {
    if sorry {
        ServiceState::Sorry
    } else if counts.up > 0 && counts.down > 0 {
        ServiceState::Degraded
    } else if counts.up > 0 {
        ServiceState::Up
    } else if counts.unknown > 0 {
        ServiceState::Starting
    } else {
        ServiceState::Down
    }
}
