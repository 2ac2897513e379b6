use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write};

use serde::{Deserialize, Serialize};

use super::Histogram;
use crate::control::{Event, Timestamp};
use crate::failover::{State, Transition};

/// What happened on a director, counted by kind.
///
/// Fed with every [`Event`] of one daemon. The number of series is bounded: states and causes are
/// closed sets, and nothing that comes from outside names one.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct EventCounters {
    /// Changes of this director's state, by the state after.
    pub state_changes: BTreeMap<State, u64>,
    /// When its state last changed.
    pub state_changed: Option<Timestamp>,
    /// Takeovers that ended with the addresses up, by cause: how long each took from the decision.
    pub takeovers: BTreeMap<String, Histogram>,
    /// Takeovers and hand-overs that did not happen, by cause.
    pub declined: BTreeMap<String, u64>,
    /// Guards of this node that began to fail.
    pub guard_failures: u64,
    /// Other stations that had an address of the service.
    pub address_conflicts: u64,
    /// Addresses that somebody removed and that were put back.
    pub addresses_restored: u64,
    /// Reloads that were accepted.
    pub reloads: u64,
    /// Reloads that were refused.
    pub reloads_refused: u64,
    /// When a reload was last accepted.
    pub reloaded: Option<Timestamp>,
    /// Whether the last reload was refused.
    pub reload_failed: bool,
    /// Events an operator should look at.
    pub warnings: u64,
    /// Events that came faster than they could be counted.
    pub lost: u64,
    /// The takeover that is under way: its cause, and since when.
    #[serde(skip)]
    under_way: Option<(String, Timestamp)>,
}

impl EventCounters {
    /// Counts what happened at `at`.
    pub fn count(&mut self, at: Timestamp, event: &Event) {
        self.warnings += u64::from(event.is_warning());
        match event {
            Event::Transition(transition) => self.on_transition(at, transition),
            Event::Declined { reason } => {
                *self.declined.entry(name_of(reason)).or_default() += 1;
            }
            Event::GuardFailed { .. } => self.guard_failures += 1,
            Event::AddressConflict { .. } => self.address_conflicts += 1,
            Event::AddressRestored { .. } => self.addresses_restored += 1,
            Event::Reloaded { .. } => {
                self.reloads += 1;
                (self.reloaded, self.reload_failed) = (Some(at), false);
            }
            Event::ReloadFailed { .. } => {
                self.reloads_refused += 1;
                self.reload_failed = true;
            }
            _ => {}
        }
    }

    fn on_transition(&mut self, at: Timestamp, transition: &Transition) {
        *self.state_changes.entry(transition.to).or_default() += 1;
        self.state_changed = Some(at);
        let under_way = self.under_way.take();
        match (transition.to, under_way) {
            (State::Acquiring, _) => self.under_way = Some((name_of(&transition.cause), at)),
            (State::Active, Some((cause, begun))) => {
                self.takeovers.entry(cause).or_default().observe(at.since(begun));
            }
            _ => {}
        }
    }
}

/// The name of an enum's value as it stands in JSON: `peer_dead` for `Cause::PeerDead`. What the
/// value carries is not in it.
#[must_use]
pub fn name_of(value: &impl Debug) -> String {
    let mut name = Name { text: String::new(), ended: false };
    // Ends with an error where the name does.
    let _ended = write!(name, "{value:?}");
    name.text
}

struct Name {
    text: String,
    ended: bool,
}

impl Write for Name {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for letter in part.chars() {
            self.ended |= !letter.is_ascii_alphanumeric();
            if self.ended {
                return Err(fmt::Error);
            }
            if letter.is_ascii_uppercase() && !self.text.is_empty() {
                self.text.push('_');
            }
            self.text.push(letter.to_ascii_lowercase());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failover::guard::{Fault, Guard};
    use crate::failover::{ActionError, Cause};

    fn change(from: State, to: State, cause: Cause) -> Event {
        Event::Transition(Transition::new(from, to, cause))
    }

    #[test]
    fn a_takeover_counts_under_its_cause_with_the_time_until_the_addresses_are_up() {
        let mut counters = EventCounters::default();
        counters.count(Timestamp(1000), &change(State::Standby, State::Acquiring, Cause::PeerDead));
        assert!(counters.takeovers.is_empty(), "it is not done yet");
        counters.count(Timestamp(1030), &change(State::Acquiring, State::Active, Cause::Acquired));
        assert_eq!(counters.takeovers["peer_dead"].sum(), Duration::from_millis(30));
        assert_eq!(counters.state_changes[&State::Active], 1);
        assert_eq!(counters.state_changed, Some(Timestamp(1030)));
    }

    #[test]
    fn a_takeover_that_fails_is_none() {
        let mut counters = EventCounters::default();
        counters.count(Timestamp(1), &change(State::Standby, State::Acquiring, Cause::Forced));
        let failed = Cause::ActionFailed(ActionError("no link".to_owned()));
        counters.count(Timestamp(2), &change(State::Acquiring, State::Failed, failed));
        counters.count(Timestamp(3), &change(State::Failed, State::Active, Cause::Acquired));
        assert!(counters.takeovers.is_empty());
        assert_eq!(counters.warnings, 1);
    }

    #[test]
    fn the_last_reload_says_whether_reloads_work() {
        let mut counters = EventCounters::default();
        counters.count(Timestamp(1), &Event::Reloaded { changes: 3 });
        let refused = Event::ReloadFailed { reason: "lvs.cf:1:1".to_owned() };
        counters.count(Timestamp(2), &refused);
        assert_eq!((counters.reloads, counters.reloads_refused), (1, 1));
        assert_eq!((counters.reloaded, counters.reload_failed), (Some(Timestamp(1)), true));
        counters.count(Timestamp(3), &Event::Reloaded { changes: 0 });
        assert!(!counters.reload_failed);
    }

    #[test]
    fn a_name_is_that_of_json_without_what_the_value_carries() {
        let guard = Cause::Guard(Fault::new(Guard::References, "x_Y"));
        for cause in [Cause::PeerDead, Cause::Alone, Cause::DataPlaneUsable, guard] {
            let json = serde_json::to_value(&cause).unwrap();
            let name = json.as_str().map(ToOwned::to_owned);
            let name = name.or_else(|| json.as_object()?.keys().next().cloned());
            assert_eq!(Some(name_of(&cause)), name);
        }
    }
}
