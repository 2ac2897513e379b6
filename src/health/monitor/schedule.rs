use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::health::MonitorConfig;
use crate::time::Instant;

/// When the checks of a [`Monitor`](super::Monitor) start. Two monitors with one beat and the same
/// interval ask at the same moments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Beat(pub(super) Schedule);

/// When the checks of one server start: on a beat that neither drifts nor bursts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Schedule {
    first: Instant,
    /// The beat of the latest check.
    latest: Option<Instant>,
    begun: u64,
}

impl Schedule {
    /// The first check is due at `first`.
    pub(super) const fn new(first: Instant) -> Self {
        Self { first, latest: None, begun: 0 }
    }

    /// The same numbers from here on, but the next check is due at `first`.
    pub(super) const fn restarted(self, first: Instant) -> Self {
        Self { first, latest: None, begun: self.begun }
    }

    /// When the next check starts.
    pub(super) fn next(&self, config: &MonitorConfig, in_doubt: bool) -> Instant {
        let period = self.period(config, in_doubt);
        let delay =
            self.latest.map_or(Duration::ZERO, |_| config.jitter().delay(self.begun, period));
        self.due(period) + delay
    }

    /// A check starts now; the beats that were missed are left out.
    pub(super) fn start(&mut self, now: Instant, config: &MonitorConfig, in_doubt: bool) {
        let period = self.period(config, in_doubt);
        let due = self.due(period);
        let missed = (now - due).as_nanos() / period.as_nanos();
        let behind = u64::try_from(missed * period.as_nanos()).unwrap_or(0);
        self.latest = Some(due + Duration::from_nanos(behind));
        self.begun += 1;
    }

    fn due(&self, period: Duration) -> Instant {
        self.latest.map_or(self.first, |latest| latest + period)
    }

    fn period(&self, config: &MonitorConfig, in_doubt: bool) -> Duration {
        let fast = config.fast_interval().filter(|_| in_doubt).unwrap_or(Duration::MAX);
        let joining = self.begun == 1 && !config.phase().is_zero();
        let phase = if joining { config.phase() } else { Duration::MAX };
        config.interval().min(fast).min(phase)
    }
}
