//! What follows for each service from what its servers do, remembered until something of it
//! changes.
//!
//! Of thousands of servers few change between one question and the next, so that an answer costs
//! what is told in it, not what there is. Ages and traffic are not remembered.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::Director;
use super::watch::ServerKey;
use crate::config::{Config, RealServer, Virtual};
use crate::control::Overrides;
use crate::control::status::{
    Concern, Counts, QuorumStatus, ServerState, ServiceState, ServiceStatus, Totals,
};
use crate::health::{self, Health, Steer};
use crate::ipvs::ServiceKey;
use crate::net::Weight;
use crate::runtime::checks::Standing;

/// All active services, in the order of lvs.cf.
#[derive(Debug, Default)]
pub(super) struct Survey {
    services: Vec<Surveyed>,
    places: BTreeMap<ServiceKey, usize>,
    /// Of these something has changed.
    changed: BTreeSet<ServiceKey>,
    /// Whether `services` are those of the configuration in force.
    is_current: bool,
    /// What operators said when it was made.
    overrides: Overrides,
}

/// One service.
#[derive(Debug)]
pub(super) struct Surveyed {
    key: ServiceKey,
    /// Its place among the virtual services of the configuration.
    place: usize,
    state: ServiceState,
    counts: Counts,
    quorum: Option<QuorumStatus>,
    sorry: Vec<SocketAddr>,
    /// The places of servers that a person who looks for trouble wants to see.
    notable: Vec<usize>,
    /// Whether servers are leaving it.
    has_leavers: bool,
}

impl Survey {
    /// Something of this service has changed.
    pub(super) fn renew(&mut self, service: ServiceKey) {
        self.changed.insert(service);
    }

    /// So much may have changed that it is not worth while to say what.
    pub(super) fn renew_all(&mut self) {
        self.is_current = false;
    }

    /// What is true of `director` at this moment, as if all of it were looked at anew.
    fn bring_up_to_date(&mut self, director: &Director) {
        if !self.is_current {
            self.begin_anew(director);
            return;
        }
        if self.overrides != director.overrides {
            self.renew_where_others_are_meant(director);
        }
        for key in std::mem::take(&mut self.changed) {
            let one = self.places.get(&key).and_then(|place| self.services.get_mut(*place));
            let Some(one) = one else { continue };
            if let Some(v) = director.config.virtuals.get(one.place) {
                *one = Surveyed::new(director, one.place, v);
            }
        }
    }

    fn begin_anew(&mut self, director: &Director) {
        let all = director.config.virtuals.iter().enumerate().filter(|(_, v)| v.active);
        self.services = all.map(|(place, v)| Surveyed::new(director, place, v)).collect();
        let places = self.services.iter().enumerate().map(|(place, one)| (one.key, place));
        self.places = places.collect();
        self.overrides = director.overrides.clone();
        self.changed.clear();
        self.is_current = true;
    }

    fn renew_where_others_are_meant(&mut self, director: &Director) {
        let (before, now) = (&self.overrides, &director.overrides);
        let [ended, begun] = [(before, now), (now, before)].map(|(one, other)| {
            let differs =
                one.iter().filter(|said| other.get(&said.service, &said.server) != Some(said));
            differs.map(|said| said.service.as_str()).collect::<BTreeSet<_>>()
        });
        let virtuals = director.config.virtuals.iter();
        let meant =
            virtuals.filter(|v| [&ended, &begun].iter().any(|set| set.contains(v.name.as_str())));
        self.changed.extend(meant.map(Virtual::key));
        self.overrides = director.overrides.clone();
    }

    /// All of it, in the order of lvs.cf.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Surveyed> {
        self.services.iter()
    }
}

impl Director {
    /// The survey as it is now; to be given back.
    pub(super) fn take_survey(&mut self) -> Survey {
        let mut survey = std::mem::take(&mut self.survey);
        survey.changed.append(&mut self.table.take_changed());
        survey.changed.extend(self.watch.take_changed());
        survey.bring_up_to_date(self);
        survey
    }

    /// A survey from nothing.
    pub(super) fn fresh_survey(&self) -> Survey {
        let mut survey = Survey::default();
        survey.bring_up_to_date(self);
        survey
    }

    /// What a server does, everything considered.
    pub(super) fn server_state(&self, key: ServerKey, standing: Option<Standing>) -> ServerState {
        let health = standing.map_or(Health::Unknown, |(health, _)| health);
        let said = standing.map(|(_, forced)| forced);
        if said == Some(health::Override::Disabled) {
            ServerState::Disabled
        } else if health.is_in() && said == Some(health::Override::Drain) {
            ServerState::Draining
        } else if health.is_in() && self.loads.steer(key) == Some(Steer::Out) {
            self.out_by_agent(key)
        } else if health.is_in() && self.desired.stands_by(key.service, key.address) {
            ServerState::Waiting
        } else if health.is_in() && self.weight_in_force(key).is_some_and(Weight::is_quiesced) {
            ServerState::Draining
        } else {
            health.into()
        }
    }

    /// What a server is that its checks find well and its agent keeps out.
    fn out_by_agent(&self, key: ServerKey) -> ServerState {
        match self.loads.hindrance(key) {
            Some(("maint", _)) => ServerState::Disabled,
            _ => ServerState::Down,
        }
    }

    pub(super) fn weight_in_force(&self, key: ServerKey) -> Option<Weight> {
        let entry = self.table.in_force().get(&key.service)?;
        entry.get(key.address).map(|destination| destination.weight())
    }
}

/// How soon a service is told where not all are.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Rank {
    /// There is something to notice of it as a whole.
    Concerns(Concern),
    /// There is of servers of it.
    HasNotable,
    Fine,
}

impl Surveyed {
    pub(super) const fn key(&self) -> ServiceKey {
        self.key
    }

    /// The service; `config` is the one in force.
    pub(super) fn virtual_in<'a>(&self, config: &'a Config) -> Option<&'a Virtual> {
        config.virtuals.get(self.place)
    }

    /// The servers of `v`, which it is about, that a person who looks for trouble wants to see.
    pub(super) fn notable<'a>(&self, v: &'a Virtual) -> impl Iterator<Item = &'a RealServer> {
        self.notable.iter().filter_map(|place| v.servers.get(*place))
    }

    pub(super) fn rank(&self) -> Rank {
        match self.concern() {
            Some(concern) => Rank::Concerns(concern),
            None if !self.notable.is_empty() || self.has_leavers => Rank::HasNotable,
            None => Rank::Fine,
        }
    }

    pub(super) fn add_to(&self, totals: &mut Totals) {
        totals.add(self.concern(), self.counts);
    }

    pub(super) fn status(&self, v: &Virtual) -> ServiceStatus {
        let mut status = ServiceStatus::new(&v.name, self.key, v.scheduler.to_string());
        status.state = self.state;
        status.counts = self.counts;
        status.quorum = self.quorum;
        status.sorry_servers.clone_from(&self.sorry);
        status
    }

    fn concern(&self) -> Option<Concern> {
        Concern::of(self.state, self.quorum.is_some_and(|quorum| !quorum.is_met))
    }

    fn new(director: &Director, place: usize, v: &Virtual) -> Self {
        let key = v.key();
        let (mut counts, mut notable) = (Counts::default(), Vec::new());
        let servers = v.servers.iter().enumerate().filter(|(_, server)| server.active);
        for (place, server) in servers {
            let key = ServerKey { service: key, address: server.address };
            let standing = director.watch.standing(key);
            let state = director.server_state(key, standing);
            counts.add(state);
            let said = || director.overrides.holding(&v.name, &server.name).is_some();
            // Of one that is not watched there is nothing to tell.
            if (state.is_notable() || said()) && standing.is_some() {
                notable.push(place);
            }
        }
        let quorum = director.desired.quorum(key);
        let quorum = quorum.map(|q| QuorumStatus::new(q.is_met, q.weight, q.needed).counting(q.of));
        let sorry = director.desired.sorry_servers(key).to_vec();
        let state = state_of(counts, !sorry.is_empty());
        let has_leavers = director.leaving.of(key).next().is_some();
        Self { key, place, state, counts, quorum, sorry, notable, has_leavers }
    }
}

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
