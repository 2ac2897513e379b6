//! What is known of the peer, and what follows from it.

use std::cmp::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failover::{Cause, Role, State};
use crate::time::Instant;
use crate::wire::pulse::Step;

use super::Pulse;
use super::config::Version;
use super::link::Heard;
use super::rules::{Event, Facts, Phase, View};

/// What is known of the peer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Peer {
    pub(super) heard: Heard,
    pub(super) at: Instant,
    /// When waiting for an idle peer to act is over.
    pub(super) patience: Instant,
}

impl Pulse {
    pub(super) fn facts(&self, now: Instant) -> Facts<'_> {
        Facts {
            wins: self.wins(),
            alone: self.config.is_alone(),
            usable: self.usable,
            negotiates: self.config.version == Version::V2,
            peer_unable: self.peer_unable(now),
            unfit: self.unfit(),
            maintenance: self.maintenance,
            may_offer: now >= self.next_offer,
        }
    }

    /// Whether this node has precedence: a fit node over an unfit one, where the protocol tells;
    /// else the primary, and between two of one role the higher priority, then the higher boot id.
    pub(super) fn wins(&self) -> bool {
        let fit = self.unfit().is_none();
        let told = self.config.version == Version::V2;
        if self.peer.is_some_and(|peer| told && peer.heard.unfit == fit) {
            return fit;
        }
        let ours = (self.config.priority, self.config.boot);
        let peer = self.peer.map(|peer| peer.heard);
        match peer.filter(|peer| peer.role == self.config.role) {
            Some(peer) => ours.cmp(&(peer.priority, peer.boot)) == Ordering::Greater,
            None => self.config.role == Role::Primary,
        }
    }

    pub(super) fn peer_unable(&self, now: Instant) -> Option<Cause> {
        if self.config.is_alone() {
            return Some(Cause::Alone);
        }
        match self.view(now) {
            None | Some(View::Silent) => Some(Cause::PeerDead),
            Some(View::Claims | View::Releases) => Some(Cause::PeerActive),
            Some(View::Failed) => Some(Cause::PeerFailed),
            Some(View::Stopped) => Some(Cause::PeerStopped),
            Some(View::Idle | View::Lingers) => {
                self.peer.filter(|peer| peer.heard.unfit).map(|_| Cause::PeerUnfit)
            }
        }
    }

    /// What the peer is to this node now; `None` while it was neither heard nor silent for long.
    pub(super) fn view(&self, now: Instant) -> Option<View> {
        if now >= self.silence_ends() {
            return Some(View::Silent);
        }
        let peer = self.peer?;
        let unsure = now < self.certain_from();
        Some(match peer.heard.state {
            State::Acquiring | State::Active => View::Claims,
            _ if unsure => return None,
            State::Releasing => View::Releases,
            State::Starting | State::Standby if now >= peer.patience => View::Lingers,
            State::Starting | State::Standby => View::Idle,
            State::Failed => View::Failed,
            State::Stopped => View::Stopped,
        })
    }

    /// When the peer counts as dead unless it is heard.
    pub(super) fn silence_ends(&self) -> Instant {
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
    pub(super) fn patience_with_peer(&self) -> Duration {
        let interval = self.peer.map_or(Duration::ZERO, |peer| peer.heard.interval);
        self.config.dead_time.max(interval.saturating_mul(2))
    }

    /// When the peer's silence or idleness will matter.
    pub(super) fn view_changes(&self) -> Option<Instant> {
        let waits =
            matches!(self.phase, Phase::Starting | Phase::Standby { .. } | Phase::Handing(_));
        if !waits {
            return None;
        }
        let patience = self
            .peer
            .filter(|peer| {
                matches!(self.phase, Phase::Standby { .. })
                    && matches!(peer.heard.state, State::Starting | State::Standby)
            })
            .map(|peer| peer.patience.max(self.certain_from()));
        // What is withheld stays so until something else happens.
        let due = |at: &Instant| self.withheld.is_none() || *at > self.last_now;
        [patience, Some(self.silence_ends())].into_iter().flatten().filter(due).min()
    }

    /// Gives an idle peer a whole dead time from now to act.
    pub(super) fn restart_patience(&mut self, now: Instant) {
        let dead_time = self.config.dead_time;
        if let Some(peer) = &mut self.peer {
            peer.patience = now + dead_time;
        }
    }

    pub(super) fn patience_after(
        &self,
        now: Instant,
        before: Option<State>,
        state: State,
    ) -> Instant {
        let idle = |state| matches!(state, State::Starting | State::Standby);
        let gave_up = self.config.version == Version::V1 && before == Some(State::Active);
        match self.peer {
            Some(peer) if before.is_some_and(idle) => peer.patience,
            // "Stopped" after "running" is version 1's way to say: take it.
            _ if gave_up && idle(state) => now,
            Some(_) | None => now + self.config.dead_time,
        }
    }

    /// Takes in what the peer said.
    pub(super) fn hear(&mut self, now: Instant, heard: Heard) {
        let before = self.peer.map(|peer| peer.heard.state);
        let patience = self.patience_after(now, before, heard.state);
        self.peer = Some(Peer { heard, at: now, patience });
        self.defend(now, before, heard.state);
        self.forget_withdrawn(&heard);
        // Only a node that knows what it is can answer a step.
        if self.phase == Phase::Starting {
            self.settle(now);
        }
        if let Some(event) = self.step_event(&heard) {
            self.apply(now, &event);
        }
    }

    /// An active node that stays so tells the network again where the addresses are, at most once
    /// per keepalive while the peer claims them too, and once more when it no longer does.
    pub(super) fn defend(&mut self, now: Instant, before: Option<State>, state: State) {
        let active = matches!(self.phase, Phase::Active | Phase::Offering(_));
        let holds = |state| matches!(state, State::Active | State::Releasing);
        let rival = holds(state) && now >= self.next_announcement;
        let rival_gone = before.is_some_and(holds) && !holds(state);
        if active && self.wins() && (rival || rival_gone) {
            self.announce(now, self.held.confirmed());
        }
    }

    /// An active peer that does not repeat its offer has withdrawn it: nothing is agreed any more.
    fn forget_withdrawn(&mut self, heard: &Heard) {
        if let Phase::Standby { accepted: accepted @ Some(_) } = &mut self.phase
            && heard.state == State::Active
            && accepted.map(Step::Offer) != Some(heard.step)
        {
            *accepted = None;
        }
    }

    /// What the peer's hand-over step means here.
    pub(super) fn step_event(&self, heard: &Heard) -> Option<Event> {
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

    /// From when on what the peer says can be acted on: version 1 does not tell whether a
    /// "stopped" lay in the socket while this node slept.
    const fn certain_from(&self) -> Instant {
        match self.config.version {
            Version::V1 => self.grace,
            Version::V2 => Instant::ZERO,
        }
    }
}
