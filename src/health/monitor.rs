mod operator;
mod schedule;
mod snapshot;
mod state;

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::operator::Override;
pub use self::schedule::Beat;
use self::schedule::Schedule;
pub use self::snapshot::Snapshot;
pub use self::state::Health;
use self::state::{State, Verdict};
use super::flaps::Flaps;
use super::{Failure, InitialState, MonitorConfig, Reason, Stage};
use crate::net::Weight;
use crate::time::Instant;

/// Decides, from the results of checks, whether one real server of one service takes connections
/// and with which weight. Pure: it follows the contract of ARCHITECTURE.md.
///
/// The rules are those of Piranha's nanny 0.8.6, with `rise` and `fall` added:
///
/// - A server is not in the table until it passes its first check, which admits it at once.
/// - `fall` failures in a row (1 by default) take it out. In between it is [`Health::Falling`]
///   and stays in.
/// - Having been taken out, it needs `rise` successes in a row to come back.
/// - Out means removed, or with `quiesce` weight 0 for one that was in.
/// - A server that comes back starts slowly, see [`SlowStart`](super::SlowStart).
///
/// Where the configuration says so, checks come faster while the server is rising or falling, a
/// server is taken for up or down before its first check, checks stray from their beat a little,
/// and a server that flaps needs more successes than `rise` ([`FlapLimit`](super::FlapLimit)).
///
/// What an administrator wants is an [`Override`], and what the monitor knows outlives it in a
/// [`Snapshot`].
///
/// Deliberate differences from 0.8.6:
///
/// - A server whose very first check passes gets its full weight at once. There is nothing to
///   protect when a director starts, and easing in every server at the same time only distorts
///   the weights.
/// - A check has its own timeout, enforced here: one that never returns counts as failed.
/// - Checks keep their beat: the time a check takes does not delay the next one, and a stall is
///   not followed by a burst.
/// - A failure that is learnt of more than [`Monitor::STALL`] (or the check's timeout, if that is
///   longer) after the deadline is void: then it was the director that stood still, suspended or
///   starved, and the next check decides.
#[derive(Clone, Debug)]
pub struct Monitor {
    config: MonitorConfig,
    state: State,
    since: Instant,
    forced: Override,
    /// When the slow start began; `None` once the weight is full.
    ramp: Option<Instant>,
    /// What the table holds.
    held: Option<Weight>,
    /// When the slow start takes its next step.
    weight_due: Option<Instant>,
    schedule: Schedule,
    flaps: Flaps,
    probe: Option<InFlight>,
    next_id: u64,
    outputs: VecDeque<Output>,
    counters: Counters,
    last_checked: Option<Instant>,
    last_failure: Option<Failure>,
}

/// Ties a result to the [`Output::Probe`] that asked for it. Never used twice by one monitor.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ProbeId(pub u64);

/// Something a [`Monitor`] wants done or known, in this order.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Check the server, then report with [`Monitor::handle_result`]. Never asked for while
    /// another is under way.
    Probe {
        /// To be named in the result.
        id: ProbeId,
        /// When it will count as failed.
        deadline: Instant,
    },
    /// The result of this check is no longer wanted.
    Cancel {
        /// The check.
        id: ProbeId,
    },
    /// The health changed.
    Changed {
        /// What it was.
        from: Health,
        /// What it is now.
        to: Health,
        /// What brought it about.
        reason: Reason,
    },
    /// An administrator said another word; what follows from it for the table comes behind.
    Override(Override),
    /// What the table holds for this server from now on: `None` nothing, 0 quiesced, else in.
    /// The table is taken to hold nothing at first.
    Weight(Option<Weight>),
}

/// How many checks ended how, since the monitor was made.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counters {
    /// Checks asked for.
    pub started: u64,
    /// Checks passed.
    pub passed: u64,
    /// Checks failed, the timed out ones included.
    pub failed: u64,
    /// Checks that had not come back at their deadline.
    pub timed_out: u64,
    /// Results dropped because their check was no longer under way, or never had been.
    pub late: u64,
    /// Failures dropped because the director had stood still.
    pub void: u64,
    /// Checks that could not be made, see [`Failure::Inconclusive`].
    pub inconclusive: u64,
}

/// All there is to say about a monitored server.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Status {
    /// What the checks say.
    pub health: Health,
    /// Since when.
    pub since: Instant,
    /// What the administrator says.
    pub forced: Override,
    /// Whether it takes connections, everything considered (its weight may still be 0).
    pub available: bool,
    /// What the table holds.
    pub weight: Option<Weight>,
    /// When a check last passed or failed.
    pub last_checked: Option<Instant>,
    /// Why a check last failed or could not be made; kept after later successes.
    pub last_failure: Option<Failure>,
    /// The counts.
    pub counters: Counters,
}

impl Monitor {
    /// How late the news of a failure may be before it counts against the director instead of
    /// the server, at least.
    pub const STALL: Duration = Duration::from_secs(1);

    /// A monitor of a server that was never checked: nothing is known of it, unless the
    /// configuration has an [`InitialState`] for it, which the first outputs tell then. Its first
    /// check is due at `now` plus the initial offset.
    #[must_use]
    pub fn new(now: Instant, config: MonitorConfig) -> Self {
        let mut monitor = Self::blank(now, config);
        monitor.state = match config.initial_state() {
            InitialState::Probe | InitialState::Remembered => State::Unknown,
            InitialState::Up => State::In { failures: 0 },
            InitialState::Down => State::Out { successes: 0, returning: true },
        };
        monitor.introduce(now, Reason::Assumed);
        monitor
    }

    /// The check `id` ended.
    ///
    /// A result of a check that is not under way is counted and changes nothing.
    pub fn handle_result(&mut self, now: Instant, id: ProbeId, result: Result<(), Failure>) {
        match self.probe.take_if(|probe| probe.id == id) {
            Some(probe) => self.conclude(now, probe, result),
            None => self.counters.late += 1,
        }
        self.settle_weight(now);
    }

    /// A deadline passed. Being early, late or called twice does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(probe) = self.probe.take_if(|probe| probe.deadline <= now) {
            self.outputs.push_back(Output::Cancel { id: probe.id });
            self.counters.timed_out += 1;
            let failure = Failure::TimedOut { stage: Stage::Check, after: probe.timeout };
            self.conclude(now, probe, Err(failure));
        }
        if self.probe.is_none() && self.next_start() <= now {
            self.start_probe(now);
        }
        self.settle_weight(now);
    }

    /// The configuration changed. State, streaks, a slow start and a check that is under way live
    /// on; a new weight takes effect at once, a new interval counts from the start of the latest
    /// check, new `rise` and `fall` count from the next result.
    pub fn handle_config(&mut self, now: Instant, config: MonitorConfig) {
        self.config = config;
        self.settle_weight(now);
    }

    /// An administrator takes a decision, or takes it back. One that keeps the server out is
    /// followed by an [`Output::Weight`] in any case: the table may hold more than this monitor
    /// put there.
    pub fn handle_override(&mut self, now: Instant, forced: Override) {
        let ended = std::mem::replace(&mut self.forced, forced);
        if ended != forced {
            self.outputs.push_back(Output::Override(forced));
        }
        self.ramp = forced.ramp(ended, self.ramp, now);
        let told = self.settle_weight(now);
        if !told && self.forced.keeps_out() && self.held.is_none() {
            self.outputs.push_back(Output::Weight(None));
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let check = self.probe.as_ref().map_or_else(|| self.next_start(), |probe| probe.deadline);
        Some(check.min(self.weight_due.unwrap_or(Instant::MAX)))
    }

    /// The next thing to do. The order is meaningful; drain it to `None` after each input.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What the checks say.
    #[must_use]
    pub const fn health(&self) -> Health {
        self.state.health()
    }

    /// Whether the server takes connections, everything considered.
    #[must_use]
    pub const fn is_available(&self) -> bool {
        match self.forced {
            Override::None => self.state.health().is_in(),
            Override::Drain | Override::Disabled | Override::ForceDown => false,
            Override::ForceUp => true,
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &MonitorConfig {
        &self.config
    }

    /// What the table holds, as its outputs said; `None` for out of it.
    #[must_use]
    pub const fn weight(&self) -> Option<Weight> {
        self.held
    }

    /// What it says of the server, and what an administrator wants of that: a part of
    /// [`status`](Self::status) that costs nothing.
    #[must_use]
    pub const fn standing(&self) -> (Health, Override) {
        (self.health(), self.forced)
    }

    /// All there is to say about the server.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            health: self.health(),
            since: self.since,
            forced: self.forced,
            available: self.is_available(),
            weight: self.held,
            last_checked: self.last_checked,
            last_failure: self.last_failure.clone(),
            counters: self.counters,
        }
    }

    fn blank(now: Instant, config: MonitorConfig) -> Self {
        let (schedule, flaps) = (Schedule::new(now + config.initial_offset()), Flaps::default());
        Self {
            config,
            state: State::Unknown,
            since: now,
            forced: Override::None,
            ramp: None,
            held: None,
            weight_due: None,
            schedule,
            flaps,
            probe: None,
            next_id: 0,
            outputs: VecDeque::new(),
            counters: Counters::default(),
            last_checked: None,
            last_failure: None,
        }
    }

    fn start_probe(&mut self, now: Instant) {
        let id = ProbeId(self.next_id);
        self.next_id += 1;
        self.schedule.start(now, &self.config, self.is_in_doubt());
        let deadline = now + self.config.timeout();
        self.counters.started += 1;
        self.probe = Some(InFlight { id, deadline, timeout: self.config.timeout() });
        self.outputs.push_back(Output::Probe { id, deadline });
    }

    fn conclude(&mut self, now: Instant, probe: InFlight, result: Result<(), Failure>) {
        match result {
            Err(_) if now - probe.deadline > probe.timeout.max(Self::STALL) => {
                self.counters.void += 1;
            }
            Err(failure @ Failure::Inconclusive(_)) => {
                self.counters.inconclusive += 1;
                self.last_failure = Some(failure);
            }
            Err(failure) => {
                self.counters.failed += 1;
                self.last_failure = Some(failure.clone());
                self.advance(now, Verdict::Failed, |streak, needed| Reason::Failed {
                    failure,
                    streak,
                    needed,
                });
            }
            Ok(()) => {
                self.counters.passed += 1;
                self.advance(now, Verdict::Passed, |streak, needed| Reason::Passed {
                    streak,
                    needed,
                });
            }
        }
    }

    fn advance(&mut self, now: Instant, verdict: Verdict, reason: impl FnOnce(u32, u32) -> Reason) {
        let (before, config) = (self.state, self.config);
        let rise = self.rise(now);
        self.state = before.after(verdict, rise, config.fall());
        self.last_checked = Some(now);
        let (from, to) = (before.health(), self.state.health());
        if from == to {
            return;
        }
        self.since = now;
        if !from.is_in() && to.is_in() {
            let eased = from != Health::Unknown && self.forced != Override::ForceUp;
            self.ramp = eased.then_some(now);
        }
        if let Some(limit) = config.flap_limit().filter(|_| from.is_in() && !to.is_in()) {
            self.flaps.count(now, limit);
        }
        let needed = before.needed(verdict, rise, config.fall());
        let reason = reason(before.streak(verdict), needed);
        self.outputs.push_back(Output::Changed { from, to, reason });
    }

    /// How many successes in a row the server needs to come back.
    fn rise(&self, now: Instant) -> u32 {
        let factor = self.config.flap_limit().map_or(1, |limit| self.flaps.factor(now, limit));
        self.config.rise().saturating_mul(factor)
    }

    const fn is_in_doubt(&self) -> bool {
        matches!(self.state.health(), Health::Unknown | Health::Rising | Health::Falling)
    }

    /// Returns whether there was something to say.
    fn settle_weight(&mut self, now: Instant) -> bool {
        let wanted = if self.is_available() {
            Some(self.eased_weight(now))
        } else {
            self.weight_due = None;
            self.weight_out()
        };
        let changed = wanted != self.held;
        if changed {
            self.held = wanted;
            self.outputs.push_back(Output::Weight(wanted));
        }
        changed
    }

    /// What the table holds for a server that takes no connections.
    fn weight_out(&self) -> Option<Weight> {
        let stays = match self.forced {
            Override::Disabled => false,
            Override::Drain if self.state.may_hold_connections() => true,
            _ => self.config.quiesce() && self.held.is_some(),
        };
        stays.then_some(Weight::ZERO)
    }

    /// The weight the slow start has come to; arranges for its next step or ends it.
    fn eased_weight(&mut self, now: Instant) -> Weight {
        let (slow_start, full) = (self.config.slow_start(), self.config.weight());
        let next = |begun| Some(begun + slow_start.next_change(full, now - begun)?);
        self.weight_due = self.ramp.and_then(next);
        self.ramp.take_if(|_| self.weight_due.is_none());
        self.ramp.map_or(full, |begun| slow_start.weight_at(full, now - begun))
    }

    fn next_start(&self) -> Instant {
        self.schedule.next(&self.config, self.is_in_doubt())
    }
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: ProbeId,
    deadline: Instant,
    timeout: Duration,
}

#[cfg(test)]
mod tests;
