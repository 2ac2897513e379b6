//! Guards: what has to be in order on this node for it to hold the service.
//!
//! A link that must run, a file, a process, a command, a reference address that must answer. The
//! runtime looks at them and hands what it saw to [`Guards`], which says which of them fail; that
//! goes to [`Heartbeat::handle_guards`](super::Heartbeat::handle_guards). A guard fails at once
//! and is in order again only when it was so for a while ([`Spec::hold`]): a director whose link
//! returns must hear its partner before it counts as fit.

mod links;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Instant;

pub use links::{LinkFault, Links};

/// Something that is watched.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// A network device that must be up and have a carrier.
    Link(String),
    /// The device that has this own address.
    LinkOf(IpAddr),
    /// A file that must not hold a number other than 0.
    File(PathBuf),
    /// A program that must run, by its name.
    Process(String),
    /// A command that must end with status 0.
    Command(Vec<String>),
    /// The addresses of which enough must answer.
    References,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => write!(f, "link {name}"),
            Self::LinkOf(address) => write!(f, "link of {address}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Process(name) => write!(f, "process {name}"),
            Self::Command(arguments) => write!(f, "command {}", arguments.join(" ")),
            Self::References => f.write_str("references"),
        }
    }
}

/// A guard that fails, and why.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fault {
    /// Which one.
    pub guard: Guard,
    /// What is wrong, in words.
    pub reason: String,
}

impl Fault {
    /// `guard` fails for `reason`.
    pub fn new(guard: Guard, reason: impl Into<String>) -> Self {
        Self { guard, reason: reason.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.guard, self.reason)
    }
}

/// What is to be watched.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Spec {
    /// Devices that must run.
    pub links: Vec<String>,
    /// Whether the devices of the own heartbeat addresses must run too.
    pub heartbeat_links: bool,
    /// Files that must not hold a number other than 0.
    pub files: Vec<PathBuf>,
    /// Programs that must run.
    pub processes: Vec<String>,
    /// Commands that must succeed, each as its arguments.
    pub commands: Vec<Vec<String>>,
    /// The user they run as; this process's own without one.
    pub command_user: Option<String>,
    /// How often files, processes and commands are looked at.
    pub interval: Duration,
    /// Addresses outside that answer echo requests.
    pub references: Vec<IpAddr>,
    /// How many of them must answer.
    pub quorum: usize,
    /// How often a heartbeat comes from the partner.
    pub keepalive: Duration,
    /// The partner's silence after which this node would take over.
    pub dead_time: Duration,
}

impl Spec {
    /// How long a guard must have been in order before it counts as such again: the dead time,
    /// within which a living partner is heard.
    #[must_use]
    pub const fn hold(&self) -> Duration {
        self.dead_time
    }

    /// How long a reference may be silent. Whoever is cut off finds this out before the dead time
    /// of the partner is over: the last heartbeat may be a keepalive older than the last answer.
    #[must_use]
    pub fn reference_patience(&self) -> Duration {
        let left = self.dead_time.saturating_sub(self.keepalive);
        (left / 2).max(REFERENCE_PATIENCE_MIN)
    }

    /// How often each reference is asked: three lost packets in a row are a silence.
    #[must_use]
    pub fn reference_interval(&self) -> Duration {
        self.reference_patience() / 3
    }

    /// Whether `guard` is among what is to be watched.
    #[must_use]
    pub fn names(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Link(name) => self.links.contains(name),
            Guard::LinkOf(_) => self.heartbeat_links,
            Guard::File(path) => self.files.contains(path),
            Guard::Process(name) => self.processes.contains(name),
            Guard::Command(arguments) => self.commands.contains(arguments),
            Guard::References => !self.references.is_empty(),
        }
    }

    /// Whether there is nothing to watch.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.links.is_empty()
            && !self.heartbeat_links
            && self.files.is_empty()
            && self.processes.is_empty()
            && self.commands.is_empty()
            && self.references.is_empty()
    }
}

/// A round trip in a busy local network, three times over.
const REFERENCE_PATIENCE_MIN: Duration = Duration::from_millis(15);

/// Which guards fail, from what was seen of each.
#[derive(Debug, Default)]
pub struct Guards {
    quorum: usize,
    hold: Duration,
    seen: BTreeMap<Guard, Seen>,
    references: BTreeMap<IpAddr, bool>,
}

/// A guard that failed.
#[derive(Debug)]
struct Seen {
    reason: String,
    /// Since when it is in order again.
    mended: Option<Instant>,
}

impl Guards {
    /// Nothing was seen of what `spec` names; that counts as in order.
    #[must_use]
    pub fn new(spec: &Spec) -> Self {
        Self {
            quorum: spec.quorum.min(spec.references.len()),
            hold: spec.hold(),
            seen: BTreeMap::new(),
            references: spec.references.iter().map(|address| (*address, true)).collect(),
        }
    }

    /// Goes on with `spec`: what it still names keeps its verdict.
    pub fn set(&mut self, spec: &Spec) {
        self.quorum = spec.quorum.min(spec.references.len());
        self.hold = spec.hold();
        self.seen.retain(|guard, _| spec.names(guard));
        let known = |address: &IpAddr| self.references.get(address).copied().unwrap_or(true);
        self.references =
            spec.references.iter().map(|address| (*address, known(address))).collect();
    }

    /// `guard` was looked at; the error says what is wrong with it.
    pub fn handle_observation(
        &mut self,
        now: Instant,
        guard: &Guard,
        observation: Result<(), String>,
    ) {
        match (observation, self.seen.get_mut(guard)) {
            (Ok(()), Some(seen)) => _ = seen.mended.get_or_insert(now),
            (Ok(()), None) => {}
            (Err(reason), _) => {
                self.seen.insert(guard.clone(), Seen { reason, mended: None });
            }
        }
        self.handle_timeout(now);
    }

    /// A reference answered, or did not for too long.
    pub fn handle_reference(&mut self, now: Instant, address: IpAddr, answers: bool) {
        if let Some(known) = self.references.get_mut(&address) {
            *known = answers;
        }
        let answering = self.references.values().filter(|answers| **answers).count();
        let observation = if answering >= self.quorum {
            Ok(())
        } else {
            let (all, quorum) = (self.references.len(), self.quorum);
            Err(format!("{answering} of {all} answer, {quorum} must"))
        };
        self.handle_observation(now, &Guard::References, observation);
    }

    /// The deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let hold = self.hold;
        self.seen.retain(|_, seen| seen.mended.is_none_or(|since| now < since + hold));
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.seen.values().filter_map(|seen| seen.mended).min().map(|since| since + self.hold)
    }

    /// The guards that fail, links first.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let fault = |(guard, seen): (&Guard, &Seen)| Fault::new(guard.clone(), seen.reason.clone());
        self.seen.iter().map(fault).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn spec(references: &[&str], quorum: usize) -> Spec {
        Spec {
            references: references.iter().map(|address| address.parse().unwrap()).collect(),
            quorum,
            keepalive: Duration::from_millis(100),
            dead_time: Duration::from_millis(300),
            ..Spec::default()
        }
    }

    fn names(guards: &Guards) -> Vec<String> {
        guards.faults().iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_guard_fails_at_once_and_is_in_order_again_after_the_dead_time() {
        let mut guards = Guards::new(&spec(&[], 1));
        let link = Guard::Link("eth0".to_owned());
        guards.handle_observation(at(0), &link, Err("no carrier".to_owned()));
        assert_eq!(names(&guards), ["link eth0: no carrier"]);
        assert_eq!(guards.poll_timeout(), None, "it may last for ever");
        guards.handle_observation(at(50), &link, Ok(()));
        guards.handle_observation(at(100), &link, Ok(()));
        assert_eq!(guards.poll_timeout(), Some(at(350)));
        guards.handle_timeout(at(349));
        assert_eq!(names(&guards).len(), 1);
        guards.handle_timeout(at(350));
        assert_eq!((names(&guards).len(), guards.poll_timeout()), (0, None));
    }

    #[test]
    fn a_guard_that_flaps_stays_a_fault() {
        let mut guards = Guards::new(&spec(&[], 1));
        let file = Guard::File("/run/drain".into());
        for tick in 0..20 {
            let observation = if tick % 2 == 0 { Err(format!("holds {tick}")) } else { Ok(()) };
            guards.handle_observation(at(tick * 200), &file, observation);
            assert_eq!(guards.faults().len(), 1, "{tick}");
        }
    }

    #[test]
    fn references_fail_when_fewer_answer_than_must() {
        let mut guards = Guards::new(&spec(&["192.0.2.1", "2001:db8::1"], 1));
        assert!(guards.faults().is_empty(), "what was not asked yet is no fault");
        guards.handle_reference(at(0), "192.0.2.1".parse().unwrap(), false);
        assert!(guards.faults().is_empty());
        guards.handle_reference(at(0), "2001:db8::1".parse().unwrap(), false);
        assert_eq!(names(&guards), ["references: 0 of 2 answer, 1 must"]);
        guards.handle_reference(at(10), "192.0.2.1".parse().unwrap(), true);
        guards.handle_timeout(at(310));
        assert!(guards.faults().is_empty());
    }

    #[test]
    fn a_reload_keeps_the_verdict_of_what_is_still_watched() {
        let (stays, goes) = (Guard::Link("eth0".to_owned()), Guard::Link("eth1".to_owned()));
        let with = |links: &[&str]| Spec {
            links: links.iter().map(|link| (*link).to_owned()).collect(),
            ..spec(&[], 1)
        };
        let mut guards = Guards::new(&with(&["eth0", "eth1"]));
        for guard in [&stays, &goes] {
            guards.handle_observation(at(0), guard, Err("no carrier".to_owned()));
        }
        guards.set(&with(&["eth0"]));
        assert_eq!(names(&guards), ["link eth0: no carrier"]);
    }

    #[test]
    fn a_quorum_of_more_than_there_are_means_all() {
        let mut guards = Guards::new(&spec(&["192.0.2.1"], 3));
        guards.handle_reference(at(0), "192.0.2.1".parse().unwrap(), true);
        assert!(guards.faults().is_empty());
    }

    #[test]
    fn a_silent_reference_is_noticed_before_the_partner_counts_as_dead() {
        for (keepalive, dead_time) in [(100, 350), (2000, 5000), (50, 500)] {
            let spec = Spec {
                keepalive: Duration::from_millis(keepalive),
                dead_time: Duration::from_millis(dead_time),
                ..spec(&["192.0.2.1"], 1)
            };
            let known = spec.keepalive + spec.reference_patience();
            assert!(known < spec.dead_time, "{known:?} of {dead_time} ms");
        }
    }
}
