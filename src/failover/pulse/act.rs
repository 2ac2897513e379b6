//! Carrying out what the rules decided.

use std::time::Duration;

use crate::failover::held::Updated;
use crate::failover::{ActionError, ActionId, Cause, Output, State, Transition, VirtualAddress};
use crate::time::Instant;
use crate::wire::pulse::Step;

use super::Pulse;
use super::config::Version;
use super::rules::{Action, After, Attempt, Phase, Purpose};

/// Repetitions before the regular heartbeats have to do: they cover the loss of packets, not of
/// the peer.
pub(super) const REPEATS: u8 = 20;

/// The longest wait for the peer's next step in a hand-over, if the dead time is not less.
const PATIENCE_MAX: Duration = Duration::from_secs(1);

/// Dead times until a service that was given up because of a guard, and had to be taken back, is
/// given up again: each try interrupts it.
const TAKEN_BACK: u32 = 10;

/// How often the last word is said: there is no next heartbeat that would make up for its loss.
const FAREWELLS: usize = 3;

impl Pulse {
    pub(super) fn act(&mut self, now: Instant, action: Action) {
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
                self.next_offer = now + self.config.dead_time;
                self.maintenance = false;
                self.decline(now, reason);
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
            Action::Decline(reason) => self.decline(now, reason),
            Action::Withhold(reason) => self.withhold(now, reason),
        }
    }

    /// Goes to `phase` and lets the peer know at once. The transition is reported last, so that
    /// whoever ends the process on it has sent everything.
    pub(super) fn enter(&mut self, now: Instant, phase: Phase, cause: Cause) {
        let from = self.phase.state();
        let to = phase.state();
        self.phase = phase;
        self.speak(now);
        self.report(now, from, to, cause);
    }

    pub(super) fn report(&mut self, now: Instant, from: State, to: State, cause: Cause) {
        if from != to {
            self.since = now;
            self.outputs.push_back(Output::Transition(Transition::new(from, to, cause.clone())));
        }
        self.cause = Some(cause);
    }

    pub(super) fn acquire(&mut self, now: Instant, cause: Cause) {
        if matches!(self.phase, Phase::Handing(_)) {
            self.next_offer = now + self.config.dead_time * TAKEN_BACK;
        }
        self.end_maintenance(now, &cause);
        let from = self.phase.state();
        let action = ActionId(self.next_id());
        self.held.begin(&self.config.addresses);
        self.phase = Phase::Acquiring { action };
        self.speak(now);
        self.outputs.push_back(Output::Acquire { id: action, addresses: self.held.all().to_vec() });
        self.report(now, from, State::Acquiring, cause);
    }

    pub(super) fn confirm(&mut self, now: Instant) {
        self.handed_by_command = false;
        self.announce(now, self.held.confirmed());
        self.enter(now, Phase::Active, Cause::Acquired);
        self.update_addresses();
    }

    pub(super) fn release(&mut self, now: Instant, cause: Cause, then: After) {
        if cause == Cause::Requested {
            self.handed_by_command = true;
        }
        let from = self.phase.state();
        let action = ActionId(self.next_id());
        self.held.end();
        self.phase = Phase::Releasing { action, then };
        self.speak(now);
        self.push_release(action);
        self.report(now, from, State::Releasing, cause);
    }

    pub(super) fn retry_release(&mut self) {
        let id = ActionId(self.next_id());
        if let Phase::Failed { action, .. } = &mut self.phase {
            *action = Some(id);
            self.push_release(id);
        }
    }

    pub(super) fn push_release(&mut self, id: ActionId) {
        self.outputs.push_back(Output::Release { id, addresses: self.held.all().to_vec() });
    }

    pub(super) fn fail(&mut self, now: Instant, cause: Cause, holding: bool) {
        // Addresses that stay up on a node that does not serve them are worth a quick retry.
        let wait = if holding { self.config.keepalive } else { self.config.dead_time };
        let phase = Phase::Failed { holding, action: None, retry: now + wait };
        if matches!(self.phase, Phase::Failed { .. }) {
            self.phase = phase;
        } else {
            self.enter(now, phase, cause);
        }
    }

    pub(super) fn end(&mut self, now: Instant, cause: Cause) {
        let from = self.phase.state();
        self.phase = Phase::Stopped;
        for _ in 0..FAREWELLS {
            self.speak(now);
        }
        self.report(now, from, State::Stopped, cause);
    }

    pub(super) fn attempt(&self, now: Instant, id: u64, purpose: Purpose) -> Attempt {
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

    /// Brings the addresses in line with the configuration while this node is active.
    pub(super) fn update_addresses(&mut self) {
        if !matches!(self.phase, Phase::Active | Phase::Offering(_)) {
            return;
        }
        let (removed, added) = self.held.change(&self.config.addresses);
        if !removed.is_empty() {
            let id = ActionId(self.next_id());
            self.held.expect(id, false, removed.clone());
            self.outputs.push_back(Output::Release { id, addresses: removed });
        }
        if !added.is_empty() {
            let id = ActionId(self.next_id());
            self.held.expect(id, true, added.clone());
            self.outputs.push_back(Output::Acquire { id, addresses: added });
        }
    }

    /// Announces what a reload brought up, or says why it is not there.
    pub(super) fn finish_update(
        &mut self,
        now: Instant,
        id: ActionId,
        result: Result<(), ActionError>,
    ) {
        match self.held.finish(id, result) {
            Updated::Nothing => {}
            Updated::Up(addresses) => self.announce(now, addresses),
            Updated::Failed(error) => self.decline(now, Cause::ActionFailed(error)),
        }
    }

    pub(super) fn announce(&mut self, now: Instant, addresses: Vec<VirtualAddress>) {
        self.next_announcement = now + self.config.keepalive;
        if !addresses.is_empty() {
            self.outputs.push_back(Output::Announce { addresses });
        }
    }
}
