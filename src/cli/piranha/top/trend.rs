//! How things went: what curves are drawn from.

use std::collections::{BTreeMap, VecDeque};

use crate::control::status::{ServiceStatus, Status};

/// Readings that are kept of each thing.
const READINGS: usize = 120;

/// Readings of one thing, the oldest first; `None` where it was not known.
#[derive(Clone, Debug, Default)]
pub(super) struct Trend(VecDeque<Option<u64>>);

impl Trend {
    pub(super) fn add(&mut self, reading: Option<u64>) {
        if self.0.len() == READINGS {
            self.0.pop_front();
        }
        self.0.push_back(reading);
    }

    /// The last `count` readings.
    pub(super) fn last(&self, count: usize) -> impl Iterator<Item = Option<u64>> {
        self.0.iter().skip(self.0.len().saturating_sub(count)).copied()
    }
}

/// The trends that are looked at.
#[derive(Debug, Default)]
pub(super) struct Trends {
    /// Connections a second, of each service.
    services: BTreeMap<String, Trend>,
    /// Whether a heartbeat had come in time, on each path.
    paths: Vec<Trend>,
    /// The counters of the reading before, for data planes that tell no rates.
    counters: BTreeMap<String, (u64, u64)>,
}

impl Trends {
    pub(super) fn service(&self, name: &str) -> Option<&Trend> {
        self.services.get(name)
    }

    pub(super) fn path(&self, place: usize) -> Option<&Trend> {
        self.paths.get(place)
    }

    pub(super) fn note(&mut self, status: &Status) {
        let services = status.lvs.known().map_or(&[][..], |lvs| &lvs.services);
        self.services.retain(|name, _| {
            services.is_empty() || services.iter().any(|service| service.name == *name)
        });
        for service in services {
            let rate = self.rate(service, status.at.0);
            self.services.entry(service.name.clone()).or_default().add(rate);
        }
        if services.is_empty() {
            self.services.values_mut().for_each(|trend| trend.add(None));
        }
        self.note_paths(status);
    }

    /// The connections a second as the data plane tells them, else by its counters.
    fn rate(&mut self, service: &ServiceStatus, at: u64) -> Option<u64> {
        let traffic = service.traffic?;
        let (counted, name) = (traffic.counters.connections, service.name.clone());
        let before = self.counters.insert(name, (at, counted));
        if let Some(rates) = traffic.rates {
            return Some(rates.connections);
        }
        let (then, before) = before?;
        let grown = counted.checked_sub(before)?;
        (grown * 1000).checked_div(at.saturating_sub(then))
    }

    fn note_paths(&mut self, status: &Status) {
        let Some(pulse) = status.pulse.known() else {
            self.paths.iter_mut().for_each(|trend| trend.add(None));
            return;
        };
        self.paths.resize(pulse.paths.len(), Trend::default());
        for (trend, path) in self.paths.iter_mut().zip(&pulse.paths) {
            let in_time = path.age.is_some_and(|age| age <= pulse.dead_time);
            trend.add(Some(u64::from(in_time)));
        }
    }
}
