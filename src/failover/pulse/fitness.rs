//! Whether this node should hold the service: guards and maintenance.

use crate::failover::{Cause, Declined, Output};
use crate::time::Instant;

use super::Pulse;
use super::rules::{Action, Event, Unfit, decide};

impl Pulse {
    /// Why this node had better not hold the service.
    pub(super) fn unfit(&self) -> Option<Unfit<'_>> {
        if self.maintenance {
            return Some(Unfit::Maintenance);
        }
        self.faults.first().map(Unfit::Guard)
    }

    /// Begins maintenance, or ends it.
    pub(super) fn maintain(&mut self, now: Instant, begin: bool) {
        let was_fit = self.unfit().is_none();
        if begin {
            let action = decide(&self.phase, &Event::Maintain, &self.facts(now));
            self.maintenance = !matches!(action, Action::Decline(_));
            self.act(now, action);
        } else {
            self.maintenance = false;
        }
        self.tell_fitness(now, was_fit);
    }

    /// The service is, or stays, with this node in spite of its maintenance, which is over then.
    pub(super) fn end_maintenance(&mut self, now: Instant, reason: &Cause) {
        if std::mem::take(&mut self.maintenance) {
            self.decline(now, reason.clone());
        }
    }

    /// The peer's decisions rest on it, so they do not wait for the next heartbeat.
    pub(super) fn tell_fitness(&mut self, now: Instant, was_fit: bool) {
        if was_fit != self.unfit().is_none() && !self.config.is_alone() {
            self.speak(now);
        }
    }

    pub(super) fn decline(&mut self, now: Instant, reason: Cause) {
        self.declined = Some(Declined::new(now, reason.clone()));
        self.outputs.push_back(Output::Declined { reason });
    }

    /// Tells once why nothing is done, for as long as the reason holds.
    pub(super) fn withhold(&mut self, now: Instant, reason: Cause) {
        if self.withheld.as_ref() != Some(&reason) {
            self.decline(now, reason.clone());
            self.withheld = Some(reason);
        }
    }
}
