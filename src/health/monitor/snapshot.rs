use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use super::state::{Health, State};
use super::{Counters, Monitor, Output, Override};
use crate::health::flaps::Flaps;
use crate::health::{Failure, MonitorConfig, Reason};
use crate::net::Weight;
use crate::time::Instant;

/// What a [`Monitor`] knows, to go on with later: serde data.
///
/// Moments in it belong to the clock of the monitor, so it is of use as long as that clock goes on:
/// `CLOCK_BOOTTIME`, which the drivers read, does until the machine is booted again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Snapshot {
    taken: Instant,
    state: State,
    since: Instant,
    forced: Override,
    ramp: Option<Instant>,
    held: Option<Weight>,
    schedule: Schedule,
    flaps: Flaps,
    counters: Counters,
    last_checked: Option<Instant>,
    last_failure: Option<Failure>,
}

impl Snapshot {
    /// When it was taken. How old one may be to be trusted is for its reader to say.
    #[must_use]
    pub const fn taken(&self) -> Instant {
        self.taken
    }

    /// What the checks said.
    #[must_use]
    pub const fn health(&self) -> Health {
        self.state.health()
    }

    /// What the administrator said.
    #[must_use]
    pub const fn forced(&self) -> Override {
        self.forced
    }
}

impl Monitor {
    /// What is known now, to go on with by [`restore`](Self::restore). A check that is under way
    /// is not in it.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let schedule = match self.probe {
            Some(_) => self.schedule.restarted(now),
            None => self.schedule,
        };
        Snapshot {
            taken: now,
            state: self.state,
            since: self.since,
            forced: self.forced,
            ramp: self.ramp,
            held: self.held,
            schedule,
            flaps: self.flaps,
            counters: self.counters,
            last_checked: self.last_checked,
            last_failure: self.last_failure.clone(),
        }
    }

    /// A monitor that goes on where the one went out of whose `snapshot` it is made.
    ///
    /// Its first outputs say what is known: the health, unless that is unknown, and what the table
    /// is to hold. The checks keep their beat; where a beat has passed meanwhile, the next check is
    /// due at `now` plus the initial offset. A snapshot from the future counts as taken now.
    #[must_use]
    pub fn restore(now: Instant, config: MonitorConfig, snapshot: Snapshot) -> Self {
        let mut monitor = Self::blank(now, config);
        let past = |moment: Option<Instant>| moment.map(|moment| moment.min(now));
        monitor.state = snapshot.state;
        monitor.since = snapshot.since.min(now);
        monitor.forced = snapshot.forced;
        monitor.ramp = past(snapshot.ramp);
        monitor.held = snapshot.held;
        monitor.flaps = snapshot.flaps.not_after(now);
        monitor.counters = snapshot.counters;
        monitor.last_checked = past(snapshot.last_checked);
        monitor.last_failure = snapshot.last_failure;
        monitor.resume(now, snapshot.schedule);
        monitor.introduce(now, Reason::Remembered);
        monitor
    }

    /// Goes on with the beats of `schedule`, unless its next one is past or too far away to be
    /// true.
    fn resume(&mut self, now: Instant, schedule: Schedule) {
        let next = schedule.next(&self.config, self.is_in_doubt());
        let longest = self.config.interval() * 2;
        self.schedule = if (now..=now + longest).contains(&next) {
            schedule
        } else {
            schedule.restarted(now + self.config.initial_offset())
        };
    }

    /// Says what is taken for known without a check.
    pub(super) fn introduce(&mut self, now: Instant, reason: Reason) {
        let (from, to) = (Health::Unknown, self.health());
        if from != to {
            self.outputs.push_back(Output::Changed { from, to, reason });
        }
        let told = self.settle_weight(now);
        if !told && (self.held.is_some() || self.forced.keeps_out()) {
            self.outputs.push_back(Output::Weight(self.held));
        }
    }
}
