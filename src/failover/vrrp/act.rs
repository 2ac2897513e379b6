//! Carrying out what the rules decided, and what is said.

use std::net::IpAddr;

use crate::failover::held::Updated;
use crate::failover::{
    ActionError, ActionId, Cause, Output, PathId, State, Transition, VirtualAddress,
};
use crate::net::Family;
use crate::time::Instant;
use crate::wire::vrrp::{Advertisement, Ends, RESIGNED};

use super::rules::{Action, After, Phase};
use super::{ASSERTIONS, Path, Said, Vrrp};

/// How often the farewell is said: there is no next one that would make up for its loss.
const FAREWELLS: usize = 3;

impl Vrrp {
    pub(super) fn act(&mut self, now: Instant, action: Action) {
        match action {
            Action::Stay => {}
            Action::Follow => self.follow(now),
            Action::Hasten => self.down = now + self.config.skew(self.followed_interval),
            Action::Assert => self.assert(now),
            Action::Listen(cause) => {
                self.heard = None;
                self.listen(now);
                self.enter(now, Phase::Starting, cause);
            }
            Action::StandBy(cause) => {
                self.follow(now);
                self.enter(now, Phase::Standby, cause);
            }
            Action::Acquire(cause) => self.acquire(now, cause),
            Action::Confirm => self.confirm(now),
            Action::Release { cause, then, speaks } => self.release(now, cause, then, speaks),
            Action::Cede => {
                if let Phase::Releasing { speaks, .. } = &mut self.phase {
                    *speaks = false;
                }
            }
            Action::Divert(after) => {
                if let Phase::Releasing { then, .. } = &mut self.phase {
                    *then = after;
                }
            }
            Action::Yield => {
                self.yielded = true;
                self.listen(now);
                self.enter(now, Phase::Standby, Cause::Released);
            }
            Action::Fail { cause, holding } => self.fail(now, cause, holding),
            Action::RetryRelease => self.retry_release(),
            Action::End(cause) => self.enter(now, Phase::Stopped, cause),
            Action::Decline(reason) => self.decline(now, reason),
            Action::Withhold => self.withhold(now),
        }
    }

    /// Waits for the next advertisement of the router that was heard. RFC 9568 learns its
    /// interval; in version 2 it is ours.
    fn follow(&mut self, now: Instant) {
        self.followed_interval = self.heard.map_or(self.config.interval, |heard| heard.interval);
        if let Some(heard) = self.heard
            && let Some(followed) = self.followed.get_mut(usize::from(heard.path.0))
        {
            *followed = Some(heard.source);
        }
        self.down = now + self.config.down_interval_of(self.followed_interval);
    }

    /// Waits for the first advertisement of whomever.
    fn listen(&mut self, now: Instant) {
        self.followed_interval = self.config.interval;
        self.followed.fill(None);
        self.down = now + self.config.down_interval();
    }

    /// Goes to `phase`. A router that was active and is not any more says so first; the transition
    /// is reported last, so that whoever ends the process on it has sent everything.
    fn enter(&mut self, now: Instant, phase: Phase, cause: Cause) {
        let from = self.phase.state();
        if self.phase.speaks() && !phase.speaks() {
            self.say_farewell();
        }
        self.phase = phase;
        self.report(now, from, cause);
    }

    fn report(&mut self, now: Instant, from: State, cause: Cause) {
        let to = self.phase.state();
        if from != to {
            self.since = now;
            self.outputs.push_back(Output::Transition(Transition::new(from, to, cause.clone())));
        }
        self.cause = Some(cause);
    }

    pub(super) fn acquire(&mut self, now: Instant, cause: Cause) {
        let from = self.phase.state();
        let action = self.next_id();
        self.held.begin(&self.config.addresses);
        self.phase = Phase::Acquiring { action };
        self.speak(now);
        self.outputs.push_back(Output::Acquire { id: action, addresses: self.held.all().to_vec() });
        self.report(now, from, cause);
        self.end_maintenance(now);
    }

    fn confirm(&mut self, now: Instant) {
        self.yielded = false;
        self.announce(now, self.held.confirmed());
        self.enter(now, Phase::Active, Cause::Acquired);
        self.update_addresses();
    }

    fn release(&mut self, now: Instant, cause: Cause, then: After, speaks: bool) {
        let from = self.phase.state();
        let action = self.next_id();
        self.held.end();
        self.phase = Phase::Releasing { action, then, speaks };
        self.push_release(action);
        self.report(now, from, cause);
    }

    fn retry_release(&mut self) {
        let id = self.next_id();
        if let Phase::Failed { action, .. } = &mut self.phase {
            *action = Some(id);
            self.push_release(id);
        }
    }

    fn push_release(&mut self, id: ActionId) {
        self.outputs.push_back(Output::Release { id, addresses: self.held.all().to_vec() });
    }

    fn fail(&mut self, now: Instant, cause: Cause, holding: bool) {
        // Addresses that stay up on a node that does not serve them are worth a quick retry.
        let wait = if holding { self.config.interval } else { self.config.down_interval() };
        let phase = Phase::Failed { holding, action: None, retry: now + wait };
        self.enter(now, phase, cause);
    }

    /// Says who is active to one who does not know, and to the neighbours whom he may have told
    /// otherwise.
    fn assert(&mut self, now: Instant) {
        if self.assertions_left > 0 {
            let left = self.assertions_left - 1;
            self.speak(now);
            self.assertions_left = left;
        }
        if self.phase == Phase::Active && self.next_announcement <= now {
            self.announce(now, self.held.confirmed());
        }
    }

    /// Advertises on every path, and counts the interval from here. What would take it back is
    /// ready from then on.
    pub(super) fn speak(&mut self, now: Instant) {
        self.next_advertisement = now + self.config.interval;
        self.last_advertisement = now;
        self.assertions_left = ASSERTIONS;
        let priority = self.config.priority;
        let said = self.said.take().filter(|said| said.priority == priority);
        let said = said.unwrap_or_else(|| self.compose(priority));
        self.send(&said);
        self.said = Some(said);
        self.farewell = self.farewell.take().or_else(|| Some(self.compose(RESIGNED)));
    }

    fn say_farewell(&mut self) {
        let farewell = self.farewell.take().unwrap_or_else(|| self.compose(RESIGNED));
        for _ in 0..FAREWELLS {
            self.send(&farewell);
        }
        self.farewell = Some(farewell);
    }

    fn send(&mut self, said: &Said) {
        for (payload, id) in said.payloads.iter().zip(0..) {
            if let Some(payload) = payload.clone() {
                self.outputs.push_back(Output::Send { path: PathId(id), payload });
            }
        }
    }

    /// A path of whose family there is no address has no virtual router.
    fn compose(&self, priority: u8) -> Said {
        let compose = |path: &Path| {
            let ends = Ends { source: path.local, destination: path.destination() };
            let advertisement = self.advertisement(priority, path.family())?;
            Some(advertisement.encode(&ends).into())
        };
        Said { priority, payloads: self.config.paths.iter().map(compose).collect() }
    }

    /// With the link-local addresses first, as RFC 9568 section 5.2.9 wants it.
    fn advertisement(
        &self,
        priority: u8,
        family: Family,
    ) -> Option<Advertisement<impl Iterator<Item = IpAddr>>> {
        let all = || self.config.addresses.iter().map(|vip| vip.address);
        let of = move |link_local| {
            all().filter(move |a| Family::of(*a) == family && is_link_local(*a) == link_local)
        };
        let mut addresses = of(true).chain(of(false)).peekable();
        addresses.peek().is_some().then_some(Advertisement {
            version: self.config.version,
            router: self.config.router,
            priority,
            interval: self.config.interval,
            addresses,
            password: self.config.password,
        })
    }

    fn announce(&mut self, now: Instant, addresses: Vec<VirtualAddress>) {
        self.next_announcement = now + self.config.interval;
        if !addresses.is_empty() {
            self.outputs.push_back(Output::Announce { addresses });
        }
    }

    /// Brings the addresses in line with the configuration while this router is active.
    pub(super) fn update_addresses(&mut self) {
        if self.phase != Phase::Active {
            return;
        }
        let (removed, added) = self.held.change(&self.config.addresses);
        if !removed.is_empty() {
            let id = self.next_id();
            self.held.expect(id, false, removed.clone());
            self.outputs.push_back(Output::Release { id, addresses: removed });
        }
        if !added.is_empty() {
            let id = self.next_id();
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

    const fn next_id(&mut self) -> ActionId {
        self.last_id += 1;
        ActionId(self.last_id)
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
