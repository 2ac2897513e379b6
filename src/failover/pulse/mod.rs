//! The pulse protocol: Piranha's heartbeat, in its original and its present version.
//!
//! [`Pulse`] is the machine of one director. Its rules, the wire format and the bounds it keeps
//! are written down in `docs/pulse-protocol.md`.
//!
//! ```
//! use piranha::failover::{Heartbeat, Output, Role, State, pulse::{Config, Pulse}};
//! use piranha::time::Instant;
//!
//! // A director without a peer takes the service as soon as its timer is looked at.
//! let config = Config::builder(Role::Primary).boot(1).build()?;
//! let mut pulse = Pulse::new(Instant::ZERO, config);
//! pulse.handle_timeout(Instant::ZERO);
//! let Some(Output::Acquire { id, .. }) = pulse.poll_output() else { unreachable!() };
//! pulse.handle_completion(Instant::ZERO, id, Ok(()));
//! assert_eq!(pulse.status(Instant::ZERO).state, State::Active);
//! # Ok::<(), piranha::failover::pulse::ConfigError>(())
//! ```

mod act;
mod config;
mod fitness;
mod link;
mod peer;
mod rules;
mod speak;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::failover::guard::Fault;
use crate::failover::held::Held;
use crate::time::Instant;

use super::{
    ActionError, ActionId, Cause, Command, Declined, Heartbeat, Output, PathCounters, PathId,
    Payload, PeerStatus, State, Status,
};

pub use config::{Builder, Config, ConfigError, Path, Version};
pub use link::Reject;

use link::{COUNT_MAX, Link, Receipt};
use peer::Peer;
use rules::{Action, Attempt, Event, Phase, decide};

/// The pulse machine of one director.
///
/// The data plane counts as usable until [`Heartbeat::handle_data_plane`] says otherwise. A
/// driver whose data plane needs time to come up should start the machine when it has, or say
/// `false` right away; a primary that does the latter lets a quicker backup have the service.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(remote = "Self")]
pub struct Pulse {
    config: Config,
    link: Link,
    phase: Phase,
    since: Instant,
    cause: Option<Cause>,
    peer: Option<Peer>,
    usable: bool,
    /// The guards that fail.
    faults: Vec<Fault>,
    maintenance: bool,
    /// What was last decided not to do.
    declined: Option<Declined>,
    /// Why this node stays as it is though there is reason to act, while that is so.
    withheld: Option<Cause>,
    /// When a hand-over because of a guard may be tried next.
    next_offer: Instant,
    /// Whether a service that the peer serves well may be taken back.
    warm: bool,
    /// Whether it was told that a failback waits for that.
    told_of_cold: bool,
    held: Held,
    /// Silence counts from here, or from when the peer was last heard.
    listening: Instant,
    /// Silence is not concluded before this moment: the node was late and may have missed some.
    grace: Instant,
    next_heartbeat: Instant,
    last_heartbeat: Instant,
    next_announcement: Instant,
    answers_left: u8,
    /// The administrator moved the service away: failback must not undo it.
    handed_by_command: bool,
    last_id: u64,
    last_now: Instant,
    #[serde(skip)]
    outputs: VecDeque<Output>,
}

/// Between two repetitions of a hand-over step, if a quarter of the keepalive is not less.
const REPEAT: Duration = Duration::from_millis(5);

/// Datagrams answered out of turn in one keepalive. A start needs two for each path; the bound
/// keeps a flood of old ones from being echoed in full.
const ANSWERS: u8 = 64;

/// Room for outputs from the start: what a change of state brings about on a few paths.
const OUTPUTS: usize = 32;

/// Transitions one input can bring about before something else has to happen; a bound against
/// rules that chase each other.
const SETTLE_MAX: usize = 8;

impl Pulse {
    /// A director that begins to listen at `now`. Its first heartbeat is due at once.
    #[must_use]
    pub fn new(now: Instant, config: Config) -> Self {
        Self {
            link: Link::new(config.paths.len()),
            config,
            phase: Phase::Starting,
            since: now,
            cause: None,
            peer: None,
            usable: true,
            faults: Vec::new(),
            maintenance: false,
            declined: None,
            withheld: None,
            next_offer: now,
            warm: true,
            told_of_cold: false,
            held: Held::default(),
            listening: now,
            grace: now,
            next_heartbeat: now,
            last_heartbeat: now,
            next_announcement: now,
            answers_left: ANSWERS,
            handed_by_command: false,
            last_id: 0,
            last_now: now,
            outputs: VecDeque::with_capacity(OUTPUTS),
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    pub(super) const fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Whether this machine and `other` are in the same condition.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        // Two machines that show the same are the same: all they are made of is shown.
        format!("{self:?}") == format!("{other:?}")
    }

    /// What brought the present state about.
    pub(super) const fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// Changes the configuration without a pause: timers, failback, priority, digest, key and
    /// addresses. An active director brings new addresses up, announces them, and takes removed
    /// ones down; the others are not touched.
    ///
    /// # Errors
    /// [`ConfigError::NeedsRestart`] if the role, version, paths, cluster or boot id differ.
    /// Nothing was changed.
    pub fn handle_config(&mut self, now: Instant, config: Config) -> Result<(), ConfigError> {
        let fixed = [
            ("role", config.role == self.config.role),
            ("protocol version", config.version == self.config.version),
            ("heartbeat paths", config.paths == self.config.paths),
            ("cluster id", config.cluster == self.config.cluster),
            ("boot id", config.boot == self.config.boot),
        ];
        if let Some((what, _)) = fixed.iter().find(|(_, same)| !same) {
            return Err(ConfigError::NeedsRestart(what));
        }
        let now = self.advance(now);
        let same_timers =
            (config.keepalive, config.dead_time) == (self.config.keepalive, self.config.dead_time);
        self.config = config;
        self.update_addresses();
        if !same_timers && self.phase != Phase::Stopped && !self.config.is_alone() {
            // The peer's patience rests on it, and so does what counts as a stall from here on.
            self.speak(now);
        }
        self.settle(now);
        Ok(())
    }

    /// Takes `now` as the present, which never runs backwards, and notices when the node did not
    /// run in between.
    fn advance(&mut self, now: Instant) -> Instant {
        let now = now.max(self.last_now);
        let late = self.poll_timeout().map_or(Duration::ZERO, |due| now - due);
        if self.phase.claims() {
            self.notice_lost_claim(now);
        } else if late > self.config.dead_time {
            self.wake(now);
        } else if late > self.config.keepalive {
            self.grace = now + self.config.keepalive;
        }
        self.last_now = now;
        now
    }

    /// Steps down if the peer, which was there, had to take this node for dead meanwhile.
    fn notice_lost_claim(&mut self, now: Instant) {
        let peer_was_there = self.peer.is_some_and(|peer| {
            peer.heard.state != State::Stopped && self.last_now < self.silence_ends()
        });
        if peer_was_there && now - self.last_heartbeat > self.config.dead_time {
            self.wake(now);
        }
    }

    /// Starts over with the peer: what was known is history, what waits in the socket too, and
    /// silence means nothing to who did not listen.
    fn wake(&mut self, now: Instant) {
        self.peer = None;
        self.listening = now;
        self.grace = now + self.config.keepalive;
        self.link.wake();
        self.apply(now, &Event::Stalled);
    }

    /// Applies `event`.
    fn apply(&mut self, now: Instant, event: &Event) {
        let action = decide(&self.phase, event, &self.facts(now));
        self.act(now, action);
    }

    /// Draws the conclusions from what is known, until there are no more.
    fn settle(&mut self, now: Instant) {
        for _ in 0..SETTLE_MAX {
            let due = self.deadline().is_some_and(|deadline| deadline <= now);
            let events = [self.view(now).map(Event::Peer), due.then_some(Event::Deadline)];
            let facts = self.facts(now);
            let action = events
                .iter()
                .flatten()
                .map(|event| decide(&self.phase, event, &facts))
                .find(|action| *action != Action::Stay);
            match action {
                None => {
                    self.withheld = None;
                    return;
                }
                Some(Action::Withhold(reason)) => return self.withhold(now, reason),
                Some(action) => self.act(now, action),
            }
        }
    }

    /// The phase's own deadline.
    const fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Handing(attempt) | Phase::Offering(attempt) => Some(attempt.deadline),
            Phase::Failed { holding: true, action: Some(_), .. } => None,
            Phase::Failed { holding, retry, .. } if *holding || self.usable => Some(*retry),
            Phase::Starting
            | Phase::Standby { .. }
            | Phase::Acquiring { .. }
            | Phase::Active
            | Phase::Releasing { .. }
            | Phase::Failed { .. }
            | Phase::Stopped => None,
        }
    }

    const fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        match &mut self.phase {
            Phase::Handing(attempt) | Phase::Offering(attempt) => Some(attempt),
            Phase::Starting
            | Phase::Standby { .. }
            | Phase::Acquiring { .. }
            | Phase::Active
            | Phase::Releasing { .. }
            | Phase::Failed { .. }
            | Phase::Stopped => None,
        }
    }

    /// When the hand-over step is to be repeated.
    const fn repeat(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Handing(attempt) | Phase::Offering(attempt) if attempt.repeats_left > 0 => {
                Some(attempt.repeat)
            }
            Phase::Handing(_)
            | Phase::Offering(_)
            | Phase::Starting
            | Phase::Standby { .. }
            | Phase::Acquiring { .. }
            | Phase::Active
            | Phase::Releasing { .. }
            | Phase::Failed { .. }
            | Phase::Stopped => None,
        }
    }

    fn repeat_interval(&self) -> Duration {
        (self.config.keepalive / 4).min(REPEAT)
    }

    /// Whether `id` is the action this phase waits for.
    fn awaits(&self, id: ActionId) -> bool {
        match &self.phase {
            Phase::Acquiring { action } | Phase::Releasing { action, .. } => *action == id,
            Phase::Failed { action, .. } => *action == Some(id),
            Phase::Starting
            | Phase::Standby { .. }
            | Phase::Handing(_)
            | Phase::Active
            | Phase::Offering(_)
            | Phase::Stopped => false,
        }
    }

    const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// For recordings ([`record`](super::record)): everything but keys, and outputs nobody asked for.
impl Serialize for Pulse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Only what a machine can have become.
impl<'de> Deserialize<'de> for Pulse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let machine = Self::deserialize(deserializer)?;
        let paths = machine.config.paths.len();
        if machine.link.is_sane(paths) && machine.last_id < COUNT_MAX {
            Ok(machine)
        } else {
            Err(D::Error::custom("a machine that cannot be"))
        }
    }
}

impl Heartbeat for Pulse {
    fn handle_datagram(&mut self, now: Instant, path: PathId, source: SocketAddr, datagram: &[u8]) {
        let now = self.advance(now);
        match self.link.receive(now, &self.config, path, source, datagram) {
            Receipt::Ignored => {}
            Receipt::Answer(echo) => self.answer(self.step(now), Some(echo)),
            Receipt::Believed { heard, first } => {
                if first {
                    self.answer(self.step(now), None);
                }
                self.hear(now, heard);
                self.settle(now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        if self.config.force_active && self.phase == Phase::Starting && self.cause.is_none() {
            self.acquire(now, Cause::Forced);
        }
        self.settle(now);
        self.tell_of_cold(now);
        let interval = self.repeat_interval();
        if self.repeat().is_some_and(|repeat| repeat <= now) {
            self.speak(now);
            if let Some(attempt) = self.attempt_mut() {
                attempt.repeat = now + interval;
                attempt.repeats_left -= 1;
            }
        }
        let stopped = self.phase == Phase::Stopped || self.config.is_alone();
        if !stopped && self.next_heartbeat <= now {
            self.speak(now);
        }
    }

    fn handle_completion(&mut self, now: Instant, id: ActionId, result: Result<(), ActionError>) {
        let now = self.advance(now);
        if self.awaits(id) {
            let event = match result {
                Ok(()) => Event::Done,
                Err(error) => Event::NotDone(error),
            };
            self.apply(now, &event);
        } else {
            self.finish_update(now, id, result);
        }
        self.settle(now);
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        let now = self.advance(now);
        match command {
            Command::HandOver => self.apply(now, &Event::HandOver),
            Command::Stop => self.apply(now, &Event::Stop),
            Command::Maintenance(begin) => self.maintain(now, begin),
        }
        self.settle(now);
    }

    fn handle_data_plane(&mut self, now: Instant, usable: bool) {
        let now = self.advance(now);
        self.usable = usable;
        let event = if usable { Event::PlaneUp } else { Event::PlaneDown };
        self.apply(now, &event);
        self.settle(now);
    }

    fn handle_guards(&mut self, now: Instant, faults: &[Fault]) {
        let now = self.advance(now);
        let was_fit = self.unfit().is_none();
        self.faults = faults.to_vec();
        self.tell_fitness(now, was_fit);
        self.settle(now);
    }

    fn handle_warmth(&mut self, now: Instant, warm: bool) {
        let now = self.advance(now);
        (self.warm, self.told_of_cold) = (warm, false);
        self.settle(now);
    }

    fn last_words(&self, path: PathId) -> Option<Payload> {
        let known = usize::from(path.0) < self.config.paths.len();
        known.then(|| self.link.last_words(&self.config, path.0)).flatten()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Stopped {
            return None;
        }
        let heartbeat = (!self.config.is_alone()).then_some(self.next_heartbeat);
        [heartbeat, self.deadline(), self.repeat(), self.view_changes()].into_iter().flatten().min()
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn state(&self) -> State {
        self.phase.state()
    }

    fn status(&self, now: Instant) -> Status {
        let mut status = Status::new(self.config.role, self.since);
        self.update_status(now, &mut status);
        status
    }

    fn update_status(&self, _now: Instant, status: &mut Status) {
        (status.role, status.state) = (self.config.role, self.state());
        status.since = self.since;
        status.authenticated = self.config.key.is_some();
        status.maintenance = self.maintenance;
        status.adopt(&self.cause, &self.faults, &self.declined);
        status.peer = self.peer.map(|Peer { heard, at, .. }| PeerStatus {
            unfit: heard.unfit,
            ..PeerStatus::new(heard.state, at, heard.same_configuration)
        });
        status.paths.clear();
        status.paths.extend(self.link.paths());
        status.count_rejected(self.link.rejected());
    }

    fn path_counters(&self, now: Instant, path: PathId) -> PathCounters {
        self.link.path_counters(now, path)
    }
}
