//! A scene, prepared for being told family by family.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use super::Scene;
use super::samples::label;
use crate::control::status::{
    Balancing, HeartbeatPath, Heartbeats, ServerStatus, ServiceStatus, Status,
};
use crate::control::{
    Age, Counters, EventCounters, PathTraffic, ServerCounters, ServiceCounters, Timestamp,
};
use crate::ipvs::ServiceKey;

/// Bytes of an exposition for each server, about; and for what else there is.
const SIZE_OF_SERVER: usize = 3200;
const SIZE_OF_SERVICE: usize = 5000;
const SIZE_OF_REST: usize = 16 << 10;

pub(super) struct View<'a> {
    pub(super) status: &'a Status,
    pub(super) pulse: Option<&'a Heartbeats>,
    pub(super) pulse_counters: Option<&'a Counters>,
    pub(super) lvs: Option<&'a Balancing>,
    pub(super) lvs_counters: Option<&'a Counters>,
    pub(super) paths: Vec<PathView<'a>>,
    pub(super) services: Vec<ServiceView<'a>>,
}

pub(super) struct PathView<'a> {
    /// `path="..."`
    pub(super) label: String,
    pub(super) path: &'a HeartbeatPath,
    pub(super) traffic: Option<&'a PathTraffic>,
}

pub(super) struct ServiceView<'a> {
    /// `svc="..."`
    pub(super) label: String,
    pub(super) status: &'a ServiceStatus,
    pub(super) counters: Option<&'a ServiceCounters>,
    pub(super) servers: Vec<ServerView<'a>>,
}

pub(super) struct ServerView<'a> {
    /// `svc="...",remote_address="...",remote_port="..."`
    pub(super) label: String,
    pub(super) status: &'a ServerStatus,
    pub(super) counters: Option<&'a ServerCounters>,
}

impl<'a> View<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        let (pulse, lvs) = (scene.status.pulse.known(), scene.status.lvs.known());
        let (pulse_counters, lvs_counters) = (scene.pulse.as_ref(), scene.lvs.as_ref());
        Self {
            status: &scene.status,
            pulse,
            pulse_counters,
            lvs,
            lvs_counters,
            paths: pulse.map_or_else(Vec::new, |pulse| paths(pulse, pulse_counters)),
            services: lvs.map_or_else(Vec::new, |lvs| services(lvs, lvs_counters)),
        }
    }

    pub(super) fn expected_size(&self) -> usize {
        let servers: usize = self.services.iter().map(|service| service.servers.len()).sum();
        SIZE_OF_REST + self.services.len() * SIZE_OF_SERVICE + servers * SIZE_OF_SERVER
    }

    /// What happened on the heartbeats' side, in numbers.
    pub(super) fn events(&self) -> Option<&'a EventCounters> {
        self.pulse_counters.map(|counters| &counters.events)
    }

    /// What happened on the services' side, in numbers.
    pub(super) fn service_events(&self) -> Option<&'a EventCounters> {
        self.lvs_counters.map(|counters| &counters.events)
    }

    /// The moment that was so long ago when the status was put together.
    pub(super) fn ago(&self, age: Age) -> Timestamp {
        Timestamp(self.status.at.0.saturating_sub(u64::from(age)))
    }
}

fn paths<'a>(pulse: &'a Heartbeats, counters: Option<&'a Counters>) -> Vec<PathView<'a>> {
    let paths = pulse.paths.iter().enumerate();
    let view = |(place, path)| PathView {
        label: label("path", &path_name(place)),
        path,
        traffic: counters.and_then(|counters| counters.paths.get(place)),
    };
    paths.map(view).collect()
}

/// As lvs.cf calls the first two; the others by their number.
fn path_name(place: usize) -> String {
    match place {
        0 => "public".to_owned(),
        1 => "private".to_owned(),
        more => (more + 1).to_string(),
    }
}

fn services<'a>(lvs: &'a Balancing, counters: Option<&'a Counters>) -> Vec<ServiceView<'a>> {
    let counters = counters.iter().flat_map(|counters| &counters.services);
    let counters: HashMap<ServiceKey, _> = counters.map(|one| (one.key, one)).collect();
    let mut names: HashMap<&str, usize> = HashMap::new();
    for service in &lvs.services {
        *names.entry(&service.name).or_default() += 1;
    }
    let view = |status: &'a ServiceStatus| {
        let shared = names.get(status.name.as_str()).is_some_and(|count| *count > 1);
        let label = label("svc", &service_name(status, shared));
        let counters = counters.get(&status.key).copied();
        let servers = servers(&label, status, counters);
        ServiceView { label, status, counters, servers }
    };
    lvs.services.iter().map(view).collect()
}

/// lvs.cf may have several services of one name, as one for TCP and one for UDP. Two series with the
/// same labels would make Prometheus refuse all.
fn service_name(status: &ServiceStatus, shared: bool) -> String {
    if shared { format!("{} {}", status.name, status.key) } else { status.name.clone() }
}

fn servers<'a>(
    service: &str,
    status: &'a ServiceStatus,
    counters: Option<&'a ServiceCounters>,
) -> Vec<ServerView<'a>> {
    let counters = counters.iter().flat_map(|counters| &counters.servers);
    let counters: HashMap<SocketAddr, _> = counters.map(|one| (one.address, one)).collect();
    let mut seen = HashSet::new();
    let servers = status.servers.iter().flatten();
    let servers = servers.filter(|server| seen.insert(server.address));
    let view = |status: &'a ServerStatus| ServerView {
        label: format!(
            "{service},remote_address=\"{}\",remote_port=\"{}\"",
            status.address.ip(),
            status.address.port()
        ),
        status,
        counters: counters.get(&status.address).copied(),
    };
    servers.map(view).collect()
}
