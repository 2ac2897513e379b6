use std::sync::atomic::{AtomicU64, Ordering};

use crate::control::PathTraffic;
use crate::failover::PathCounters;

/// What goes over the paths of a [`Driver`](super::Driver), for others to read while it runs:
/// counting costs the driver no more than adding.
#[derive(Debug)]
pub struct Meters {
    paths: Box<[Meter]>,
}

#[derive(Debug, Default)]
struct Meter {
    sent: AtomicU64,
    unsent: AtomicU64,
    received: AtomicU64,
    refused: AtomicU64,
    missed: AtomicU64,
}

impl Meters {
    pub(super) fn new(paths: usize) -> Self {
        Self { paths: (0..paths).map(|_| Meter::default()).collect() }
    }

    /// What went over each path until now.
    #[must_use]
    pub fn read(&self) -> Vec<PathTraffic> {
        self.paths.iter().map(Meter::read).collect()
    }

    /// A heartbeat left on `path`, or could not.
    pub(super) fn send(&self, path: usize, left: bool) {
        if let Some(meter) = self.paths.get(path) {
            let counter = if left { &meter.sent } else { &meter.unsent };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What the machine has counted on `path`.
    pub(super) fn set(&self, path: usize, counters: PathCounters) {
        if let Some(meter) = self.paths.get(path) {
            meter.received.store(counters.received, Ordering::Relaxed);
            meter.refused.store(counters.refused, Ordering::Relaxed);
            meter.missed.store(counters.missed, Ordering::Relaxed);
        }
    }
}

impl Meter {
    fn read(&self) -> PathTraffic {
        let [sent, unsent, received, refused, missed] =
            [&self.sent, &self.unsent, &self.received, &self.refused, &self.missed]
                .map(|counter| counter.load(Ordering::Relaxed));
        PathTraffic::new(sent, unsent, PathCounters { received, refused, missed })
    }
}
