//! Rates from counters, for a data plane that tells none.

use std::collections::BTreeMap;
use std::time::Duration;

use super::plane::Measured;
use super::watch::ServerKey;
use crate::control::status::Traffic;
use crate::ipvs::{Counters, Rates, ServiceKey};
use crate::time::Instant;

/// How often rates are made anew, as in the kernel (ip_vs_est.c).
const PERIOD: Duration = Duration::from_secs(2);

/// How much of the old rate stays with each period, in quarters: the kernel's smoothing.
const OLD_PART: f64 = 3.0 / 4.0;

/// The rates of services and servers.
#[derive(Debug, Default)]
pub(super) struct Rating {
    taken: Option<Instant>,
    services: BTreeMap<ServiceKey, Estimate>,
    servers: BTreeMap<ServerKey, Estimate>,
}

/// Counters at one moment, and what passed each second until then.
#[derive(Clone, Copy, Debug, Default)]
struct Estimate {
    counters: Counters,
    rates: Option<[f64; 5]>,
}

impl Rating {
    /// Whether it is time to measure again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.taken.is_none_or(|taken| now - taken >= PERIOD)
    }

    /// Takes a measurement in. What is not in it any more is forgotten.
    pub(super) fn take(&mut self, measured: &Measured) {
        let passed = self.taken.replace(measured.taken).map(|taken| measured.taken - taken);
        self.services = next(&self.services, &measured.services, passed);
        self.servers = next(&self.servers, &measured.servers, passed);
    }

    pub(super) fn service(&self, key: ServiceKey) -> Option<Rates> {
        self.services.get(&key)?.told()
    }

    pub(super) fn server(&self, key: ServerKey) -> Option<Rates> {
        self.servers.get(&key)?.told()
    }
}

fn next<K: Copy + Ord>(
    before: &BTreeMap<K, Estimate>,
    measured: &BTreeMap<K, Traffic>,
    passed: Option<Duration>,
) -> BTreeMap<K, Estimate> {
    let estimate = |(key, traffic): (&K, &Traffic)| {
        let before = before.get(key).copied().zip(passed);
        (*key, Estimate::after(before, traffic.counters))
    };
    measured.iter().map(estimate).collect()
}

impl Estimate {
    /// The first measurement gives no rate, the second all of it.
    fn after(before: Option<(Self, Duration)>, counters: Counters) -> Self {
        let Some((before, passed)) = before.filter(|(_, passed)| !passed.is_zero()) else {
            return Self { counters, rates: None };
        };
        let (now, then) = (numbers(counters), numbers(before.counters));
        let mut rates = [0.0; 5];
        for (place, rate) in rates.iter_mut().enumerate() {
            // Counters that fell are those of a service that was made anew.
            let more = now[place].saturating_sub(then[place]);
            let current = float(more) / passed.as_secs_f64();
            let old = before.rates.map_or(current, |rates| rates[place]);
            *rate = old * OLD_PART + current * (1.0 - OLD_PART);
        }
        Self { counters, rates: Some(rates) }
    }

    fn told(self) -> Option<Rates> {
        let [connections, packets_in, packets_out, bytes_in, bytes_out] = self.rates?.map(whole);
        Some(Rates { connections, packets_in, packets_out, bytes_in, bytes_out })
    }
}

const fn numbers(counters: Counters) -> [u64; 5] {
    let Counters { connections, packets_in, packets_out, bytes_in, bytes_out } = counters;
    [connections, packets_in, packets_out, bytes_in, bytes_out]
}

/// What passes in seconds is far below what would lose digits.
#[allow(clippy::cast_precision_loss, reason = "see above")]
const fn float(number: u64) -> f64 {
    number as f64
}

/// To the nearest, as the kernel does.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are not negative, and the cast saturates"
)]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::Load;

    fn key() -> ServiceKey {
        ServiceKey::tcp(([192, 0, 2, 80], 80).into())
    }

    fn measured(seconds: u64, connections: u64, bytes_in: u64) -> Measured {
        let counters = Counters { connections, bytes_in, ..Counters::default() };
        let traffic = Traffic::new(Load::default(), counters, None);
        let taken = Instant::from_millis(seconds * 1000);
        Measured { taken, services: [(key(), traffic)].into(), servers: BTreeMap::new() }
    }

    fn told(rating: &Rating) -> Option<(u64, u64)> {
        rating.service(key()).map(|rates| (rates.connections, rates.bytes_in))
    }

    #[test]
    fn a_steady_flow_has_its_rate_from_the_second_measurement_on() {
        let mut rating = Rating::default();
        for step in 0..10 {
            assert!(rating.is_due(Instant::from_millis(step * 2000)));
            rating.take(&measured(step * 2, step * 200, step * 2_000_000));
            assert_eq!(told(&rating), (step > 0).then_some((100, 1_000_000)));
        }
        assert!(!rating.is_due(Instant::from_millis(19_000)));
    }

    #[test]
    fn a_burst_fades_and_a_service_that_was_made_anew_has_no_negative_rate() {
        let mut rating = Rating::default();
        for (second, connections) in [(0, 0), (2, 800), (4, 800), (6, 0)] {
            rating.take(&measured(second, connections, 0));
        }
        assert_eq!(told(&rating), Some((225, 0)));
        for step in 4..40 {
            rating.take(&measured(step * 2, 0, 0));
        }
        assert_eq!(told(&rating), Some((0, 0)));
        rating.take(&Measured { services: BTreeMap::new(), ..measured(100, 0, 0) });
        assert_eq!(told(&rating), None);
    }
}
