//! Which event is told to whom, and when: the pure half of notifications.
//!
//! - [`Notice`]: an event with the time it happened at, its [`topic`] and the [`Problem`] it is
//!   about.
//! - [`keepalived`]: states and verdicts in the words that scripts written for keepalived know.
//! - [`Ledger`]: the problems that last, to be told of again.
//! - [`Outlet`]: what goes together, what is tried again, and how often anything is sent at all.
//!
//! `runtime::notify` runs programs and talks to receivers.

pub mod keepalived;
mod ledger;
mod outlet;
mod time_of_day;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Event;
use crate::config::Topic;
use crate::failover::{State, Transition};
use crate::health::Health;

pub use ledger::Ledger;
pub use outlet::{Message, Outlet, Pace};
pub use time_of_day::TimeOfDay;

/// An event, and when it happened.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Notice {
    /// When, as time since 1970 by the wall clock: for people to read, nothing is decided by it.
    pub at: Duration,
    /// What.
    pub event: Event,
    /// Whether it was told before, and is still so.
    pub repeated: bool,
}

/// A notice with all that a receiver elsewhere needs, flat, for JSON.
#[non_exhaustive]
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    /// When it happened, in UTC, as RFC 3339 has it.
    pub time: String,
    /// The name of the machine.
    pub node: &'a str,
    /// `notify_name`
    pub cluster: &'a str,
    /// What it is about.
    pub topic: Topic,
    /// Whether an operator should look at it now.
    pub warning: bool,
    /// Whether it was told before, and is still so.
    pub repeated: bool,
    /// The part of the director it comes from.
    pub subsystem: &'static str,
    /// What happened, in words.
    pub text: String,
    /// Why, where that is known.
    pub reason: Option<String>,
    /// The event itself.
    pub event: &'a Event,
}

impl Notice {
    /// An event that has just happened.
    #[must_use]
    pub const fn new(at: Duration, event: Event) -> Self {
        Self { at, event, repeated: false }
    }

    /// The notice as it leaves `node` of the cluster called `cluster`.
    #[must_use]
    pub fn report<'a>(&'a self, node: &'a str, cluster: &'a str) -> Report<'a> {
        Report {
            time: TimeOfDay::of(self.at).rfc_3339(),
            node,
            cluster,
            topic: topic(&self.event),
            warning: self.event.is_warning(),
            repeated: self.repeated,
            subsystem: self.event.subsystem(),
            text: self.event.to_string(),
            reason: self.event.why(),
            event: &self.event,
        }
    }
}

/// What an event is about.
#[must_use]
pub fn topic(event: &Event) -> Topic {
    match event {
        // What is on its way is told when it has arrived.
        Event::Transition(Transition { to: State::Acquiring | State::Releasing, .. }) => {
            Topic::Info
        }
        Event::Transition(_) => Topic::Failover,
        Event::Health { from: Health::Unknown, to: Health::Up, .. } => Topic::Info,
        Event::Health { .. } | Event::SorryServer { .. } | Event::Quorum { .. } => Topic::Health,
        Event::Reloaded { .. } | Event::ReloadFailed { .. } | Event::Configuration(_) => {
            Topic::Config
        }
        event if event.is_warning() => Topic::Warning,
        _ => Topic::Info,
    }
}

/// The virtual service an event is about, by its name in lvs.cf.
#[must_use]
pub fn service(event: &Event) -> Option<&str> {
    match event {
        Event::Health { service, .. }
        | Event::Weight { service, .. }
        | Event::SorryServer { service, .. }
        | Event::Quorum { service, .. }
        | Event::Drained { service, .. }
        | Event::Left { service, .. } => Some(service),
        _ => None,
    }
}

/// Something that is wrong until an event says that it is right again.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Problem {
    /// This director cannot hold the service.
    State,
    /// The configuration on disk is refused.
    Configuration,
    /// A real server is down: names of its service and its own.
    Server(String, String),
    /// A sorry server serves for this service.
    Sorry(String),
    /// This service lacks its quorum.
    Quorum(String),
}

impl Problem {
    /// The problem an event is about, and whether there is one from now on.
    #[must_use]
    pub fn of(event: &Event) -> Option<(Self, bool)> {
        Some(match event {
            Event::Transition(Transition { to, .. }) => (Self::State, *to == State::Failed),
            Event::Reloaded { .. } => (Self::Configuration, false),
            Event::ReloadFailed { .. } => (Self::Configuration, true),
            Event::Health { service, server, to, .. } => {
                (Self::Server(service.clone(), server.clone()), *to == Health::Down)
            }
            Event::SorryServer { service, serving, .. } => (Self::Sorry(service.clone()), *serving),
            Event::Quorum { service, is_met, .. } => (Self::Quorum(service.clone()), !is_met),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::Cause;

    #[test]
    fn a_takeover_is_one_notice_and_not_one_for_each_step() {
        let step = |from, to| topic(&Event::Transition(Transition::new(from, to, Cause::PeerDead)));
        assert_eq!(step(State::Standby, State::Acquiring), Topic::Info);
        assert_eq!(step(State::Acquiring, State::Active), Topic::Failover);
    }

    #[test]
    fn a_report_says_what_the_log_says() {
        let event = Event::ReloadFailed { reason: "lvs.cf:3:1: no".to_owned() };
        let notice = Notice::new(Duration::from_millis(1_700_000_000_123), event);
        let report = serde_json::to_value(notice.report("lb1", "web")).unwrap();
        assert_eq!(report["time"], "2023-11-14T22:13:20.123Z");
        assert_eq!(report["topic"], "config");
        assert_eq!(report["warning"], true);
        assert_eq!(report["reason"], "lvs.cf:3:1: no");
        assert_eq!(report["event"]["reload_failed"]["reason"], "lvs.cf:3:1: no");
    }
}
