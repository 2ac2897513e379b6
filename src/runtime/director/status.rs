//! What a director tells of itself.

use std::sync::Arc;

use super::Director;
use super::leaving::Departure;
use super::plane::Measured;
use super::survey::{Survey, Surveyed};
use super::watch::ServerKey;
use crate::config::{RealServer, Virtual};
use crate::control::Age;
use crate::control::protocol::{Scope, ServerLoad, Servers, TableStatus};
use crate::control::status::{
    Balancing, DataPlane, Process, Revision, ServerState, ServerStatus, ServiceStatus, Totals,
    Traffic,
};
use crate::health::Health;
use crate::net::Weight;
use crate::runtime::clock;
use crate::runtime::control::node_name;
use crate::time::Instant;

/// One moment, at which everything is looked at.
struct Moment<'a> {
    director: &'a Director,
    measured: Option<Arc<Measured>>,
    now: Instant,
    servers: Servers,
}

impl Director {
    /// What it knows, of the service of this name or of all, with these servers of each.
    #[must_use]
    pub fn status(&self, servers: Servers, service: Option<&str>) -> Balancing {
        let service = service.map(ToOwned::to_owned);
        self.told(&self.fresh_survey(), &Scope { service, ..Scope::of(servers) })
    }

    /// The same as far as `scope` goes, by what is remembered of what has not changed.
    pub(super) fn tell_status(&mut self, scope: &Scope) -> Balancing {
        let survey = self.take_survey();
        let told = self.told(&survey, scope);
        self.survey = survey;
        told
    }

    fn told(&self, survey: &Survey, scope: &Scope) -> Balancing {
        let now = clock::now();
        let plane = self.table.backend();
        let process = Process::new(std::process::id(), now - self.started);
        let data_plane = DataPlane::new(plane.name(), self.failure.clone());
        let mut half = Balancing::new(process, data_plane, self.revision(now));
        let (wanted, totals) = self.wanted_services(survey, scope);
        if scope.overview || scope.at_most.is_some() {
            let told = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
            half.left_out = totals.services.total.saturating_sub(told);
            half.totals = Some(totals);
        }
        let measured = if scope.overview {
            None
        } else if scope.at_most.is_some() || scope.service.is_some() {
            plane.traffic_of(&wanted.iter().map(|one| one.key()).collect::<Vec<_>>())
        } else {
            plane.traffic()
        };
        half.traffic_age = measured.as_ref().map(|measured| Age(now - measured.taken));
        let servers = if scope.overview { Servers::None } else { scope.servers };
        let moment = Moment { director: self, measured, now, servers };
        half.services = wanted.into_iter().filter_map(|one| moment.service(one)).collect();
        let node = node_name();
        half.overrides = self.overrides.iter().map(|said| said.told_on(&node)).collect();
        half.connection_sync = plane.connection_sync();
        if !scope.overview {
            half.loads = self.loads.readings(now);
        }
        half.replication = self.replication.status(self.overrides_digest().as_str(), now);
        half
    }

    /// The services that are told one by one, and all that are meant together.
    fn wanted_services<'a>(
        &self,
        survey: &'a Survey,
        scope: &Scope,
    ) -> (Vec<&'a Surveyed>, Totals) {
        let is_meant =
            |one: &&Surveyed| one.virtual_in(&self.config).is_some_and(|v| scope.covers(&v.name));
        let mut meant: Vec<_> = survey.iter().filter(is_meant).collect();
        let mut totals = Totals::default();
        meant.iter().for_each(|one| one.add_to(&mut totals));
        if let Some(most) = scope.at_most {
            // Stable: what is alike stays in the order of lvs.cf.
            meant.sort_by_key(|one| one.rank());
            meant.truncate(most);
        }
        (meant, totals)
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
    fn service(&self, surveyed: &Surveyed) -> Option<ServiceStatus> {
        let (director, key) = (self.director, surveyed.key());
        let v = surveyed.virtual_in(&director.config)?;
        let mut service = surveyed.status(v);
        let servers: Option<Vec<_>> = match self.servers {
            Servers::None => None,
            Servers::Notable => {
                Some(surveyed.notable(v).filter_map(|server| self.server(v, server)).collect())
            }
            Servers::All => {
                Some(v.active_servers().filter_map(|server| self.server(v, server)).collect())
            }
        };
        service.servers = servers.map(|mut servers| {
            let leaving = director.leaving.of(key);
            servers.extend(leaving.map(|(key, departure)| self.leaving(*key, departure)));
            servers
        });
        service.traffic = self.measured.as_ref().and_then(|m| m.services.get(&key).copied());
        let rates = || director.rating.service(key);
        service.traffic.iter_mut().for_each(|traffic| traffic.rates = traffic.rates.or_else(rates));
        Some(service)
    }

    /// What the agent of a server says that keeps it from serving.
    fn agent(&self, key: ServerKey) -> Option<String> {
        let (word, reason) = self.director.loads.hindrance(key)?;
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        Some(format!("the agent says {word}{reason}"))
    }

    /// A server, unless it is not watched.
    fn server(&self, v: &Virtual, server: &RealServer) -> Option<ServerStatus> {
        let key = ServerKey { service: v.key(), address: server.address };
        let known = self.director.watch.status(key)?;
        let mut status = ServerStatus::new(&server.name, server.address);
        status.state = self.director.server_state(key, Some((known.health, known.forced)));
        status.health = known.health;
        status.since = Age(self.now - known.since);
        let failing = !matches!(known.health, Health::Up | Health::Unknown);
        let failure = known.last_failure.filter(|_| failing).map(|failure| failure.to_string());
        let reasons: Vec<_> = self.agent(key).into_iter().chain(failure).collect();
        status.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        status.checked = known.last_checked.map(|at| Age(self.now - at));
        status.weight = self.director.weight_in_force(key);
        status.configured_weight = server.weight;
        status.backup = server.backup;
        status.certificate_expires = self.director.watch.certificate_expires(key);
        status.operator = self.director.overrides.holding(&v.name, &server.name).cloned();
        status.traffic = self.measured.as_ref().and_then(|m| m.servers.get(&key).copied());
        Some(status)
    }

    /// A server that lvs.cf does not have any more.
    fn leaving(&self, key: ServerKey, departure: &Departure) -> ServerStatus {
        let mut status = ServerStatus::new(&departure.server, key.address);
        status.state = ServerState::Draining;
        status.weight = self.director.weight_in_force(key);
        status.configured_weight = Weight::ZERO;
        status.since = Age(self.now - departure.since);
        let left = Age(departure.until - self.now);
        status.reason = Some(format!("left lvs.cf, goes with its last connection or in {left}"));
        status.traffic = self.measured.as_ref().and_then(|m| m.servers.get(&key).copied());
        let rates = || self.director.rating.server(key);
        status.traffic.iter_mut().for_each(|traffic| traffic.rates = traffic.rates.or_else(rates));
        status
    }
}
