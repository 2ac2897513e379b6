//! What is said to the peer, and when nothing is.

use crate::failover::{Cause, Output, PathId, Role, State};
use crate::time::Instant;
use crate::wire::pulse::{Echo, Step};

use super::config::Version;
use super::link::Word;
use super::rules::{After, Phase};
use super::{ANSWERS, Pulse};

impl Pulse {
    /// Sends a heartbeat on every path, and counts the keepalive from here.
    pub(super) fn speak(&mut self, now: Instant) {
        self.next_heartbeat = now + self.config.keepalive;
        self.last_heartbeat = now;
        self.answers_left = ANSWERS;
        if !self.is_mute() {
            self.send(self.step(now), None);
        }
    }

    /// Says something out of turn, within a bound.
    pub(super) fn answer(&mut self, step: Step, echo: Option<Echo>) {
        if self.answers_left > 0 && !self.is_mute() && self.config.version == Version::V2 {
            self.answers_left -= 1;
            self.send(step, echo);
        }
    }

    pub(super) fn send(&mut self, step: Step, answer: Option<Echo>) {
        let unfit = self.unfit().is_some();
        let word = Word { state: self.phase.state(), step, unfit, answer };
        for path in (0..=u8::MAX).take(self.config.paths.len()) {
            let payload = self.link.encode(&self.config, path, word);
            self.outputs.push_back(Output::Send { path: PathId(path), payload });
        }
    }

    /// Version 1 has words only for "running" and "stopped". A primary that does not know yet
    /// says neither: "stopped" would make a starting 0.8.6 backup active. Nor does a node that
    /// found out it was suspended: "running" would make the peer that took over yield.
    pub(super) fn is_mute(&self) -> bool {
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
    pub(super) fn step(&self, now: Instant) -> Step {
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

    pub(super) fn wants_failback(&self, now: Instant) -> bool {
        self.warm && self.would_fail_back(now)
    }

    /// Tells once that only warmth is missing.
    pub(super) fn tell_of_cold(&mut self, now: Instant) {
        if !self.warm && !self.told_of_cold && self.would_fail_back(now) {
            self.told_of_cold = true;
            self.decline(now, Cause::Cold);
        }
    }

    fn would_fail_back(&self, now: Instant) -> bool {
        let settled = now - self.since >= self.config.dead_time;
        self.config.failback
            && !self.handed_by_command
            && settled
            && matches!(self.phase, Phase::Standby { .. })
            && self.wins()
            && self.unfit().is_none()
            && self.peer.is_some_and(|peer| peer.heard.state == State::Active)
    }
}
