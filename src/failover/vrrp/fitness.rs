//! Whether this router should hold the service: guards and maintenance.

use crate::failover::guard::Fault;
use crate::failover::{Cause, Declined, Output};
use crate::time::Instant;

use super::Vrrp;
use super::rules::Event;

/// What an unfit router advertises: any other one wins against it, and it still has the service
/// when there is no other.
const UNFIT: u8 = 1;

impl Vrrp {
    /// A router that turns unfit while it is active passes the service on once. Whether anybody
    /// is there to take it shows when nobody does.
    pub(super) fn judge_fitness(&mut self, now: Instant, faults: &[Fault]) {
        let was_fit = self.faults.is_empty();
        faults.clone_into(&mut self.faults);
        self.adjust_priority();
        match faults.first() {
            Some(fault) if was_fit => self.apply(now, &Event::Unfit(Cause::Guard(fault.clone()))),
            None if !was_fit && self.phase.speaks() => self.speak(now),
            _ => {}
        }
    }

    /// Begins maintenance, or ends it.
    pub(super) fn maintain(&mut self, now: Instant, begin: bool) {
        if begin && !self.maintenance {
            self.maintenance = true;
            self.apply(now, &Event::Unfit(Cause::Maintenance));
        } else if !begin {
            self.maintenance = false;
        }
    }

    /// Whether the service is left to others even if there are none. What was passed on to nobody
    /// comes back: that is how a refusal looks in VRRP.
    pub(super) fn withholds(&self) -> bool {
        let unclaimed = self.yielded && self.followed.iter().all(Option::is_none);
        self.maintenance && !unclaimed
    }

    /// The service is with this router in spite of its maintenance, which is over then.
    pub(super) fn end_maintenance(&mut self, now: Instant) {
        if std::mem::take(&mut self.maintenance) {
            self.decline(now, Cause::PeerRefused);
        }
    }

    pub(super) fn adjust_priority(&mut self) {
        let fit = self.faults.is_empty();
        self.config.priority = if fit { self.fit_priority } else { self.fit_priority.min(UNFIT) };
    }

    pub(super) fn decline(&mut self, now: Instant, reason: Cause) {
        self.declined = Some(Declined::new(now, reason.clone()));
        self.outputs.push_back(Output::Declined { reason });
    }

    /// Says once why the service is not taken, and goes on listening.
    pub(super) fn withhold(&mut self, now: Instant) {
        let told = self.declined.as_ref().is_some_and(|declined| {
            declined.reason == Cause::Maintenance && declined.at >= self.since
        });
        if !told {
            self.decline(now, Cause::Maintenance);
        }
        self.down = now + self.config.down_interval();
    }
}
