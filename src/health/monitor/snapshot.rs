use serde::{Deserialize, Serialize};

use super::schedule::{Beat, Schedule};
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
    next_id: u64,
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

    /// The same server under another word of the administrator, said at `now`: words may have been
    /// said, taken back or have ended while nobody watched it.
    #[must_use]
    pub fn under(mut self, now: Instant, forced: Override) -> Self {
        let ended = std::mem::replace(&mut self.forced, forced);
        self.ramp = forced.ramp(ended, self.ramp, now);
        self
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
            next_id: self.next_id,
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
        monitor.next_id = snapshot.next_id;
        monitor.flaps = snapshot.flaps.not_after(now);
        monitor.counters = snapshot.counters;
        monitor.last_checked = past(snapshot.last_checked);
        monitor.last_failure = snapshot.last_failure;
        monitor.resume(now, snapshot.schedule);
        monitor.introduce(now, Reason::Remembered);
        monitor
    }

    /// A monitor of the same server for another service that checks the same: it knows from the
    /// start what this one knows of the server's health, and keeps the same beat, so that one
    /// probe can serve both. A server that is up has its full weight at once. What an
    /// administrator said is not taken over.
    #[must_use]
    pub fn beside(&self, now: Instant, config: MonitorConfig) -> Self {
        if self.health() == Health::Unknown {
            let mut monitor = Self::new(now, config);
            monitor.keep(self.beat());
            return monitor;
        }
        let mut monitor = Self::blank(now, config);
        monitor.state = self.state;
        monitor.since = self.since;
        monitor.flaps = self.flaps;
        monitor.last_checked = self.last_checked;
        monitor.last_failure.clone_from(&self.last_failure);
        monitor.keep(self.beat());
        monitor.introduce(now, Reason::Remembered);
        monitor
    }

    /// When its checks start, to be kept by another monitor.
    #[must_use]
    pub const fn beat(&self) -> Beat {
        Beat(self.schedule)
    }

    /// Starts its checks when the monitor does that `beat` is of, as far as the two are configured
    /// alike.
    pub const fn keep(&mut self, beat: Beat) {
        self.schedule = beat.0;
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
        if self.forced != Override::None {
            self.outputs.push_back(Output::Override(self.forced));
        }
        let told = self.settle_weight(now);
        if !told && (self.held.is_some() || self.forced.keeps_out()) {
            self.outputs.push_back(Output::Weight(self.held));
        }
    }
}
