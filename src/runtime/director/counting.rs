//! What a director counts of its servers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Director;
use super::watch::ServerKey;
use crate::control::{Age, ServerCounters, ServiceCounters};
use crate::health::Health;
use crate::runtime::clock;
use crate::time::Instant;

/// How often each server went down and came up, and for how long.
#[derive(Debug, Default)]
pub(super) struct Falls(BTreeMap<ServerKey, Fall>);

#[derive(Clone, Copy, Debug, Default)]
struct Fall {
    ups: u64,
    downs: u64,
    downtime: Duration,
    down_since: Option<Instant>,
}

impl Falls {
    /// The health of a server changed.
    pub(super) fn on_health(&mut self, now: Instant, server: ServerKey, to: Health) {
        match to {
            Health::Down => self.0.entry(server).or_default().begin(now),
            Health::Up => self.0.entry(server).or_default().end(now),
            Health::Unknown | Health::Rising | Health::Falling => {}
        }
    }

    /// Forgets the servers that `stays` does not know.
    pub(super) fn retain(&mut self, stays: impl Fn(ServerKey) -> bool) {
        self.0.retain(|server, _| stays(*server));
    }

    fn tell(&self, now: Instant, server: ServerKey, counters: &mut ServerCounters) {
        let fall = self.0.get(&server).copied().unwrap_or_default();
        (counters.ups, counters.downs) = (fall.ups, fall.downs);
        counters.downtime =
            Age(fall.downtime + fall.down_since.map_or(Duration::ZERO, |at| now - at));
    }
}

impl Fall {
    fn begin(&mut self, now: Instant) {
        if self.down_since.is_none() {
            self.downs += 1;
            self.down_since = Some(now);
        }
    }

    fn end(&mut self, now: Instant) {
        self.ups += 1;
        self.downtime += self.down_since.take().map_or(Duration::ZERO, |since| now - since);
    }
}

impl Director {
    /// What was counted of its services, in the order of lvs.cf.
    #[must_use]
    pub fn counters(&self) -> Vec<ServiceCounters> {
        let now = clock::now();
        let services = self.config.active_virtuals().map(|service| {
            let mut counters = ServiceCounters::new(service.key());
            for server in service.active_servers() {
                let key = ServerKey { service: service.key(), address: server.address };
                if let Some(durations) = self.watch.durations(key) {
                    counters.check_durations.merge(&durations);
                }
                counters.servers.push(self.server_counters(now, key));
            }
            counters
        });
        services.collect()
    }

    fn server_counters(&self, now: Instant, server: ServerKey) -> ServerCounters {
        let mut counters = ServerCounters::new(server.address);
        if let Some(checks) = self.watch.status(server).map(|status| status.counters) {
            counters.passed = checks.passed;
            counters.failed = checks.failed.saturating_sub(checks.timed_out);
            counters.timed_out = checks.timed_out;
            counters.inconclusive = checks.inconclusive.saturating_add(checks.void);
        }
        self.falls.tell(now, server, &mut counters);
        counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::ServiceKey;

    fn server() -> ServerKey {
        let address = ([10, 0, 0, 1], 80).into();
        ServerKey { service: ServiceKey::tcp(([192, 0, 2, 80], 80).into()), address }
    }

    fn told(falls: &Falls, seconds: u64) -> ServerCounters {
        let mut counters = ServerCounters::new(server().address);
        falls.tell(Instant::from_millis(seconds * 1000), server(), &mut counters);
        counters
    }

    #[test]
    fn downtime_counts_while_it_lasts_and_stays_afterwards() {
        let mut falls = Falls::default();
        let mut change =
            |seconds: u64, to| falls.on_health(Instant::from_millis(seconds * 1000), server(), to);
        change(1, Health::Up);
        change(10, Health::Down);
        change(12, Health::Rising);
        change(13, Health::Down);
        let during = told(&falls, 15);
        assert_eq!((during.ups, during.downs), (1, 1), "rising and back is one fall");
        assert_eq!(during.downtime, Age(Duration::from_secs(5)));
        falls.on_health(Instant::from_millis(20 * 1000), server(), Health::Up);
        let after = told(&falls, 100);
        assert_eq!((after.ups, after.downs), (2, 1));
        assert_eq!(after.downtime, Age(Duration::from_secs(10)));
    }

    #[test]
    fn a_server_that_left_begins_anew_when_it_returns() {
        let mut falls = Falls::default();
        falls.on_health(Instant::from_millis(1000), server(), Health::Down);
        falls.retain(|_| false);
        assert_eq!(told(&falls, 9), ServerCounters::new(server().address));
    }
}
