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

mod config;
mod link;
mod rules;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::time::Instant;
use crate::wire::pulse::{Echo, Step};

use super::{
    ActionError, ActionId, Cause, Command, Heartbeat, Output, PathId, PeerStatus, Role, State,
    Status, Transition, VirtualAddress,
};

pub use config::{Builder, Config, ConfigError, Path, Version};
pub use link::Reject;

use link::{Heard, Link, Receipt};
use rules::{Action, After, Attempt, Event, Facts, Phase, Purpose, View, decide};

/// The pulse machine of one director.
///
/// The data plane counts as usable until [`Heartbeat::handle_data_plane`] says otherwise. A
/// driver whose data plane needs time to come up should start the machine when it has, or say
/// `false` right away; a primary that does the latter lets a quicker backup have the service.
#[derive(Debug)]
pub struct Pulse {
    config: Config,
    link: Link,
    phase: Phase,
    since: Instant,
    cause: Option<Cause>,
    peer: Option<Peer>,
    usable: bool,
    /// The addresses asked to be up, or that may still be: what a release has to cover.
    held: Vec<VirtualAddress>,
    /// Addresses that a reload added while active, by the action that brings them up.
    updates: Vec<(ActionId, Vec<VirtualAddress>)>,
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
    outputs: VecDeque<Output>,
}

/// What is known of the peer.
#[derive(Clone, Copy, Debug)]
struct Peer {
    heard: Heard,
    at: Instant,
    /// When waiting for an idle peer to act is over.
    patience: Instant,
}

/// Between two repetitions of a hand-over step, if a quarter of the keepalive is not less.
const REPEAT: Duration = Duration::from_millis(5);

/// Repetitions before the regular heartbeats have to do: they cover the loss of packets, not of
/// the peer.
const REPEATS: u8 = 20;

/// The longest wait for the peer's next step in a hand-over, if the dead time is not less.
const PATIENCE_MAX: Duration = Duration::from_secs(1);

/// Datagrams answered out of turn in one keepalive. A start needs two for each path; the bound
/// keeps a flood of old ones from being echoed in full.
const ANSWERS: u8 = 64;

/// How often the last word is said: there is no next heartbeat that would make up for its loss.
const FAREWELLS: usize = 3;

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
            held: Vec::new(),
            updates: Vec::new(),
            listening: now,
            grace: now,
            next_heartbeat: now,
            last_heartbeat: now,
            next_announcement: now,
            answers_left: ANSWERS,
            handed_by_command: false,
            last_id: 0,
            last_now: now,
            outputs: VecDeque::new(),
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Changes the configuration without a pause: timers, failback, priority, digest, key and
    /// addresses. An active director brings new addresses up, announces them, and takes removed
    /// ones down; the others are not touched.
    ///
    /// # Errors
    /// [`ConfigError::NeedsRestart`] if the role, version, paths, cluster or boot id differ.
    /// Nothing was changed.
    pub fn handle_config(&mut self, now: Instant, config: Config) -> Result<(), ConfigError> {
        let now = self.advance(now);
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
        self.config = config;
        self.next_heartbeat = self.next_heartbeat.min(now + self.config.keepalive);
        self.update_addresses();
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
            // What was known is history, and silence means nothing to who did not listen.
            self.peer = None;
            self.listening = now;
            self.apply(now, &Event::Stalled);
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
            self.peer = None;
            self.listening = now;
            self.apply(now, &Event::Stalled);
        }
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
            let events = [
                self.view(now).map(Event::Peer),
                due.then_some(Event::Deadline),
            ];
            let facts = self.facts(now);
            let action = events
                .iter()
                .flatten()
                .map(|event| decide(&self.phase, event, &facts))
                .find(|action| *action != Action::Stay);
            let Some(action) = action else { return };
            self.act(now, action);
        }
    }

    fn facts(&self, now: Instant) -> Facts {
        Facts {
            wins: self.wins(),
            alone: self.config.is_alone(),
            usable: self.usable,
            negotiates: self.config.version == Version::V2,
            peer_unable: self.peer_unable(now),
        }
    }

    /// Whether this node has precedence: the primary has, and between two of one role the higher
    /// priority, then the higher boot id.
    fn wins(&self) -> bool {
        let ours = (self.config.priority, self.config.boot);
        let peer = self.peer.map(|peer| peer.heard);
        match peer.filter(|peer| peer.role == self.config.role) {
            Some(peer) => ours.cmp(&(peer.priority, peer.boot)) == Ordering::Greater,
            None => self.config.role == Role::Primary,
        }
    }

    fn peer_unable(&self, now: Instant) -> Option<Cause> {
        if self.config.is_alone() {
            return Some(Cause::Alone);
        }
        match self.view(now) {
            None | Some(View::Silent) => Some(Cause::PeerDead),
            Some(View::Claims | View::Releases) => Some(Cause::PeerActive),
            Some(View::Failed) => Some(Cause::PeerFailed),
            Some(View::Stopped) => Some(Cause::PeerStopped),
            Some(View::Idle | View::Lingers) => None,
        }
    }

    /// What the peer is to this node now; `None` while it was neither heard nor silent for long.
    fn view(&self, now: Instant) -> Option<View> {
        if now >= self.silence_ends() {
            return Some(View::Silent);
        }
        let peer = self.peer?;
        Some(match peer.heard.state {
            State::Acquiring | State::Active => View::Claims,
            State::Releasing => View::Releases,
            State::Starting | State::Standby if now >= peer.patience => View::Lingers,
            State::Starting | State::Standby => View::Idle,
            State::Failed => View::Failed,
            State::Stopped => View::Stopped,
        })
    }

    /// When the peer counts as dead unless it is heard.
    fn silence_ends(&self) -> Instant {
        if self.config.is_alone() {
            return self.listening;
        }
        let heard = self.peer.map_or(Instant::ZERO, |peer| peer.at);
        // A primary that starts at the same moment goes first even if nothing gets through.
        let head_start = if self.phase == Phase::Starting && self.config.role == Role::Backup {
            self.config.keepalive
        } else {
            Duration::ZERO
        };
        let silent = heard.max(self.listening) + self.patience_with_peer() + head_start;
        silent.max(self.grace)
    }

    /// The dead time, stretched for a peer that speaks less often than this node expects.
    fn patience_with_peer(&self) -> Duration {
        let interval = self.peer.map_or(Duration::ZERO, |peer| peer.heard.interval);
        self.config.dead_time.max(interval.saturating_mul(2))
    }

    /// The phase's own deadline.
    const fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Handing(attempt) | Phase::Offering(attempt) => Some(attempt.deadline),
            Phase::Failed {
                holding: true,
                action: Some(_),
                ..
            } => None,
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

    /// When the peer's silence or idleness will matter.
    fn view_changes(&self) -> Option<Instant> {
        let waits = matches!(
            self.phase,
            Phase::Starting | Phase::Standby { .. } | Phase::Handing(_)
        );
        if !waits {
            return None;
        }
        let patience = self
            .peer
            .filter(|peer| {
                matches!(self.phase, Phase::Standby { .. })
                    && matches!(peer.heard.state, State::Starting | State::Standby)
            })
            .map(|peer| peer.patience);
        Some(patience.map_or_else(|| self.silence_ends(), |at| at.min(self.silence_ends())))
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

    fn act(&mut self, now: Instant, action: Action) {
        match action {
            Action::Stay => {}
            Action::Listen(cause) => self.enter(now, Phase::Starting, cause),
            Action::StandBy(cause) => {
                self.restart_patience(now);
                self.enter(now, Phase::Standby { accepted: None }, cause);
            }
            Action::Acquire(cause) => self.acquire(now, cause),
            Action::Confirm => self.confirm(now),
            Action::Release(cause, then) => self.release(now, cause, then),
            Action::Divert(after) => {
                if let Phase::Releasing { then, .. } = &mut self.phase {
                    *then = after;
                }
            }
            Action::Offer(purpose) => {
                let id = self.next_id();
                self.phase = Phase::Offering(self.attempt(now, id, purpose));
                self.speak(now);
            }
            Action::StopAfter => {
                if let Some(attempt) = self.attempt_mut() {
                    attempt.purpose = Purpose::Stop;
                }
            }
            Action::Keep(reason) => {
                self.phase = Phase::Active;
                self.outputs.push_back(Output::Declined { reason });
                self.speak(now);
            }
            Action::Hand { id, purpose } => {
                let attempt = self.attempt(now, id, purpose);
                self.enter(now, Phase::Handing(attempt), Cause::Released);
            }
            Action::Fail { cause, holding } => self.fail(now, cause, holding),
            Action::RetryRelease => self.retry_release(),
            Action::End(cause) => self.end(now, cause),
            Action::Accept(id) => {
                self.phase = Phase::Standby { accepted: Some(id) };
                self.answer(Step::Accept(id), None);
            }
            Action::Refuse(id) => self.answer(Step::Refuse(id), None),
            Action::Decline(reason) => self.outputs.push_back(Output::Declined { reason }),
        }
    }

    /// Goes to `phase` and lets the peer know at once. The transition is reported last, so that
    /// whoever ends the process on it has sent everything.
    fn enter(&mut self, now: Instant, phase: Phase, cause: Cause) {
        let from = self.phase.state();
        let to = phase.state();
        self.phase = phase;
        self.speak(now);
        self.report(now, from, to, cause);
    }

    fn report(&mut self, now: Instant, from: State, to: State, cause: Cause) {
        if from != to {
            self.since = now;
            self.outputs
                .push_back(Output::Transition(Transition::new(from, to, cause.clone())));
        }
        self.cause = Some(cause);
    }

    fn acquire(&mut self, now: Instant, cause: Cause) {
        let from = self.phase.state();
        let action = ActionId(self.next_id());
        self.held.clone_from(&self.config.addresses);
        self.phase = Phase::Acquiring { action };
        self.speak(now);
        self.outputs.push_back(Output::Acquire {
            id: action,
            addresses: self.held.clone(),
        });
        self.report(now, from, State::Acquiring, cause);
    }

    fn confirm(&mut self, now: Instant) {
        self.handed_by_command = false;
        self.announce(now, self.held.clone());
        self.enter(now, Phase::Active, Cause::Acquired);
        self.update_addresses();
    }

    fn release(&mut self, now: Instant, cause: Cause, then: After) {
        if cause == Cause::Requested {
            self.handed_by_command = true;
        }
        let from = self.phase.state();
        let action = ActionId(self.next_id());
        self.updates.clear();
        self.phase = Phase::Releasing { action, then };
        self.speak(now);
        self.push_release(action);
        self.report(now, from, State::Releasing, cause);
    }

    fn retry_release(&mut self) {
        let id = ActionId(self.next_id());
        if let Phase::Failed { action, .. } = &mut self.phase {
            *action = Some(id);
            self.push_release(id);
        }
    }

    fn push_release(&mut self, id: ActionId) {
        self.outputs.push_back(Output::Release {
            id,
            addresses: self.held.clone(),
        });
    }

    fn fail(&mut self, now: Instant, cause: Cause, holding: bool) {
        // Addresses that stay up on a node that does not serve them are worth a quick retry.
        let wait = if holding {
            self.config.keepalive
        } else {
            self.config.dead_time
        };
        let phase = Phase::Failed {
            holding,
            action: None,
            retry: now + wait,
        };
        if matches!(self.phase, Phase::Failed { .. }) {
            self.phase = phase;
        } else {
            self.enter(now, phase, cause);
        }
    }

    fn end(&mut self, now: Instant, cause: Cause) {
        let from = self.phase.state();
        self.phase = Phase::Stopped;
        for _ in 0..FAREWELLS {
            self.speak(now);
        }
        self.report(now, from, State::Stopped, cause);
    }

    fn attempt(&self, now: Instant, id: u64, purpose: Purpose) -> Attempt {
        let patience = match self.config.version {
            // The original acts on its own, by its own clock.
            Version::V1 => self.config.dead_time,
            Version::V2 => self.config.dead_time.min(PATIENCE_MAX),
        };
        Attempt {
            id,
            purpose,
            deadline: now + patience,
            repeat: now + self.repeat_interval(),
            repeats_left: match self.config.version {
                Version::V1 => 0,
                Version::V2 => REPEATS,
            },
        }
    }

    fn repeat_interval(&self) -> Duration {
        (self.config.keepalive / 4).min(REPEAT)
    }

    /// Gives an idle peer a whole dead time from now to act.
    fn restart_patience(&mut self, now: Instant) {
        let dead_time = self.config.dead_time;
        if let Some(peer) = &mut self.peer {
            peer.patience = now + dead_time;
        }
    }

    /// Brings the addresses in line with the configuration while this node is active.
    fn update_addresses(&mut self) {
        if !matches!(self.phase, Phase::Active | Phase::Offering(_)) {
            return;
        }
        let wanted = self.config.addresses.clone();
        let removed = difference(&self.held, &wanted);
        let added = difference(&wanted, &self.held);
        self.held = wanted;
        if !removed.is_empty() {
            let id = ActionId(self.next_id());
            self.outputs.push_back(Output::Release {
                id,
                addresses: removed,
            });
        }
        if !added.is_empty() {
            let id = ActionId(self.next_id());
            self.updates.push((id, added.clone()));
            self.outputs.push_back(Output::Acquire {
                id,
                addresses: added,
            });
        }
    }

    /// Announces what a reload brought up, or says why it is not there.
    fn finish_update(&mut self, now: Instant, id: ActionId, result: Result<(), ActionError>) {
        let Some(index) = self.updates.iter().position(|(known, _)| *known == id) else {
            return;
        };
        let (_, addresses) = self.updates.swap_remove(index);
        match result {
            Ok(()) => self.announce(now, addresses),
            Err(error) => {
                let reason = Cause::ActionFailed(error);
                self.outputs.push_back(Output::Declined { reason });
            }
        }
    }

    fn announce(&mut self, now: Instant, addresses: Vec<VirtualAddress>) {
        self.next_announcement = now + self.config.keepalive;
        self.outputs.push_back(Output::Announce { addresses });
    }

    /// Sends a heartbeat on every path, and counts the keepalive from here.
    fn speak(&mut self, now: Instant) {
        self.next_heartbeat = now + self.config.keepalive;
        self.last_heartbeat = now;
        self.answers_left = ANSWERS;
        if !self.is_mute() {
            self.send(self.step(now), None);
        }
    }

    /// Says something out of turn, within a bound.
    fn answer(&mut self, step: Step, echo: Option<Echo>) {
        if self.answers_left > 0 && !self.is_mute() && self.config.version == Version::V2 {
            self.answers_left -= 1;
            self.send(step, echo);
        }
    }

    fn send(&mut self, step: Step, echo: Option<Echo>) {
        for path in (0..=u8::MAX).take(self.config.paths.len()) {
            let state = self.phase.state();
            let payload = self.link.encode(&self.config, path, state, step, echo);
            self.outputs.push_back(Output::Send {
                path: PathId(path),
                payload,
            });
        }
    }

    /// Version 1 has words only for "running" and "stopped". A primary that does not know yet
    /// says neither: "stopped" would make a starting 0.8.6 backup active. Nor does a node that
    /// found out it was suspended: "running" would make the peer that took over yield.
    fn is_mute(&self) -> bool {
        self.config.version == Version::V1
            && match &self.phase {
                Phase::Starting => self.config.role == Role::Primary,
                Phase::Releasing { then, .. } => *then == After::Listen,
                Phase::Standby { .. }
                | Phase::Handing(_)
                | Phase::Acquiring { .. }
                | Phase::Active
                | Phase::Offering(_)
                | Phase::Failed { .. }
                | Phase::Stopped => false,
            }
    }

    /// The hand-over step that belongs to the phase.
    fn step(&self, now: Instant) -> Step {
        match &self.phase {
            Phase::Offering(attempt) => Step::Offer(attempt.id),
            Phase::Handing(attempt) => Step::Released(attempt.id),
            Phase::Standby { accepted: Some(id) } => Step::Accept(*id),
            Phase::Standby { accepted: None } if self.wants_failback(now) => Step::Request,
            Phase::Standby { .. }
            | Phase::Starting
            | Phase::Acquiring { .. }
            | Phase::Active
            | Phase::Releasing { .. }
            | Phase::Failed { .. }
            | Phase::Stopped => Step::None,
        }
    }

    fn wants_failback(&self, now: Instant) -> bool {
        let settled = now - self.since >= self.config.dead_time;
        self.config.failback
            && !self.handed_by_command
            && settled
            && self.wins()
            && self
                .peer
                .is_some_and(|peer| peer.heard.state == State::Active)
    }

    /// Takes in what the peer said.
    fn hear(&mut self, now: Instant, heard: Heard) {
        let before = self.peer.map(|peer| peer.heard.state);
        let patience = self.patience_after(now, before, heard.state);
        self.peer = Some(Peer {
            heard,
            at: now,
            patience,
        });
        self.defend(now, before, heard.state);
        // Only a node that knows what it is can answer a step.
        if self.phase == Phase::Starting {
            self.settle(now);
        }
        if let Some(event) = self.step_event(&heard) {
            self.apply(now, &event);
        }
    }

    fn patience_after(&self, now: Instant, before: Option<State>, state: State) -> Instant {
        let idle = |state| matches!(state, State::Starting | State::Standby);
        let gave_up = self.config.version == Version::V1 && before == Some(State::Active);
        match self.peer {
            Some(peer) if before.is_some_and(idle) => peer.patience,
            // "Stopped" after "running" is version 1's way to say: take it.
            _ if gave_up && idle(state) => now,
            Some(_) | None => now + self.config.dead_time,
        }
    }

    /// An active node that stays so tells the network again where the addresses are, at most once
    /// per keepalive while the peer claims them too, and once more when it no longer does.
    fn defend(&mut self, now: Instant, before: Option<State>, state: State) {
        let active = matches!(self.phase, Phase::Active | Phase::Offering(_));
        let holds = |state| matches!(state, State::Active | State::Releasing);
        let rival = holds(state) && now >= self.next_announcement;
        let rival_gone = before.is_some_and(holds) && !holds(state);
        if active && self.wins() && (rival || rival_gone) {
            self.announce(now, self.held.clone());
        }
    }

    /// What the peer's hand-over step means here.
    fn step_event(&self, heard: &Heard) -> Option<Event> {
        let ours = match &self.phase {
            Phase::Offering(attempt) => Some(attempt.id),
            Phase::Starting
            | Phase::Standby { .. }
            | Phase::Handing(_)
            | Phase::Acquiring { .. }
            | Phase::Active
            | Phase::Releasing { .. }
            | Phase::Failed { .. }
            | Phase::Stopped => None,
        };
        match heard.step {
            Step::Offer(id) => Some(Event::Offered(id)),
            Step::Accept(id) if ours == Some(id) && heard.state == State::Standby => {
                Some(Event::Accepted)
            }
            Step::Refuse(id) if ours == Some(id) => Some(Event::Refused),
            Step::Released(id) if self.phase == (Phase::Standby { accepted: Some(id) }) => {
                Some(Event::Yours)
            }
            Step::Request if !self.wins() => Some(Event::Asked),
            Step::None | Step::Accept(_) | Step::Refuse(_) | Step::Released(_) | Step::Request => {
                None
            }
        }
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
        let event = match command {
            Command::HandOver => Event::HandOver,
            Command::Stop => Event::Stop,
        };
        self.apply(now, &event);
        self.settle(now);
    }

    fn handle_data_plane(&mut self, now: Instant, usable: bool) {
        let now = self.advance(now);
        self.usable = usable;
        let event = if usable {
            Event::PlaneUp
        } else {
            Event::PlaneDown
        };
        self.apply(now, &event);
        self.settle(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Stopped {
            return None;
        }
        let heartbeat = (!self.config.is_alone()).then_some(self.next_heartbeat);
        [
            heartbeat,
            self.deadline(),
            self.repeat(),
            self.view_changes(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn status(&self, _now: Instant) -> Status {
        Status {
            role: self.config.role,
            state: self.phase.state(),
            since: self.since,
            cause: self.cause.clone(),
            authenticated: self.config.key.is_some(),
            peer: self.peer.map(|peer| {
                PeerStatus::new(peer.heard.state, peer.at, peer.heard.same_configuration)
            }),
            paths: self.link.paths(),
            rejected: self.link.rejected(),
        }
    }
}

fn difference(left: &[VirtualAddress], right: &[VirtualAddress]) -> Vec<VirtualAddress> {
    left.iter()
        .filter(|address| !right.contains(address))
        .cloned()
        .collect()
}
