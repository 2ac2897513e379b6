//! Two configurations compared by what they mean, with what a change does to connections.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Directive, Origin, Scope, Section, Setting};

/// One difference between two configurations.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Change {
    /// The service it is about; none for what concerns the whole cluster.
    pub service: Option<String>,
    /// The real server of that service it is about.
    pub server: Option<String>,
    /// What changes.
    pub what: What,
    /// What a reload does to connections.
    pub effect: Effect,
}

/// What differs.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum What {
    /// A service or server that was not there.
    Added {
        /// What the data plane knows it by.
        identity: String,
    },
    /// A service or server that is not there any more.
    Removed {
        /// What the data plane knew it by.
        identity: String,
    },
    /// The same service or server has another name.
    Renamed {
        /// The new name.
        to: String,
    },
    /// A directive comes to another value.
    Set {
        /// Which.
        directive: Directive,
        /// The value before, as it is written; none where it was not set.
        from: Option<String>,
        /// The value after.
        to: Option<String>,
    },
}

/// What a change does to connections when the new configuration is put in force.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing acts on it: a label, a directive without effect, or a block that is off.
    None,
    /// Connections go on; new ones follow the new value.
    Kept,
    /// Connections go on, and no new ones are made.
    Drained,
    /// Takes connections once its checks pass; those of others go on.
    Joins,
    /// Connections go on; checks begin anew, and the last verdict holds until they have one.
    Rechecked,
    /// Connections go on for a while, five minutes at most, and no new ones are made.
    Leaves,
    /// The data plane gives it up. The relay lets connections run to their end; the kernel drops
    /// their packets.
    Cut,
    /// Connections go on; `pulse` must be restarted for it.
    Restart,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no effect",
            Self::Kept => "connections kept",
            Self::Drained => "connections kept, no new ones",
            Self::Joins => "connections kept, new ones once its checks pass",
            Self::Leaves => "its connections go on for 5 minutes at most, no new ones",
            Self::Rechecked => "connections kept, checks begin anew",
            Self::Cut => {
                "its connections are lost with the kernel and go on to their end with the relay"
            }
            Self::Restart => "connections kept, needs a restart of pulse on both nodes",
        })
    }
}

impl fmt::Display for Change {
    /// `service web: weight of s2 10 to 20; connections kept`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = match (&self.service, &self.server) {
            (None, _) => String::new(),
            (Some(service), None) => format!("service {service}"),
            (Some(service), Some(server)) => format!("service {service}: server {server}"),
        };
        match &self.what {
            What::Added { identity } => write!(f, "{label} is new ({identity})")?,
            What::Removed { identity } => write!(f, "{label} is gone ({identity})")?,
            What::Renamed { to } => write!(f, "{label} is now called {to}")?,
            What::Set { directive, from, to } => {
                if let Some(service) = &self.service {
                    write!(f, "service {service}: ")?;
                }
                write!(f, "{directive}")?;
                if let Some(server) = &self.server {
                    write!(f, " of {server}")?;
                }
                let value =
                    |value: &Option<String>| value.clone().unwrap_or_else(|| "unset".to_owned());
                write!(f, " {} to {}", value(from), value(to))?;
            }
        }
        write!(f, "; {}", self.effect)
    }
}

/// What changes from `before` to `after`, both of [`effective`](super::effective()).
///
/// Services and servers are the same if the data plane knows them by the same address or mark, or
/// else if they have the same name. The order of blocks, comments and the way values are written
/// are no differences. Takes a time that grows with the size of both and not with its square.
#[must_use]
pub fn difference(before: &Section, after: &Section) -> Vec<Change> {
    let mut changes = Vec::new();
    let root = Place { service: None, server: None };
    settings(&root, before, after, &mut changes);
    blocks(&root, &before.sections, &after.sections, &mut changes);
    changes
}

/// Where in the configuration the comparison is.
#[derive(Clone, Copy)]
struct Place<'a> {
    service: Option<&'a str>,
    server: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn inside(self, section: &'a Section) -> Self {
        match self.service {
            None => Self { service: Some(&section.name), server: None },
            Some(_) => Self { server: Some(&section.name), ..self },
        }
    }

    fn change(self, what: What, effect: Effect) -> Change {
        let owned = |name: Option<&str>| name.map(str::to_owned);
        Change { service: owned(self.service), server: owned(self.server), what, effect }
    }
}

fn blocks(place: &Place<'_>, before: &[Section], after: &[Section], changes: &mut Vec<Change>) {
    let (pairs, gone, new) = pair(before, after);
    for section in gone {
        let effect = if is_active(section) { given_up(section) } else { Effect::None };
        let identity = section.identity.clone();
        changes.push(place.inside(section).change(What::Removed { identity }, effect));
    }
    for (old, new) in pairs {
        let inner = place.inside(old);
        if old.name != new.name {
            changes.push(inner.change(What::Renamed { to: new.name.clone() }, Effect::None));
        }
        settings(&place.inside(new), old, new, changes);
        blocks(&place.inside(new), &old.sections, &new.sections, changes);
    }
    for section in new {
        let effect = if is_active(section) { Effect::Joins } else { Effect::None };
        let identity = section.identity.clone();
        changes.push(place.inside(section).change(What::Added { identity }, effect));
    }
}

type Pairs<'a> = (Vec<(&'a Section, &'a Section)>, Vec<&'a Section>, Vec<&'a Section>);

/// The blocks that are the same ones, those that are gone, and those that are new.
fn pair<'a>(before: &'a [Section], after: &'a [Section]) -> Pairs<'a> {
    let mut partners: Vec<Option<usize>> = vec![None; after.len()];
    let mut left: Vec<bool> = vec![true; before.len()];
    let by_all = |s: &'a Section| (s.identity.as_str(), s.name.as_str());
    let by_identity = |s: &'a Section| (s.identity.as_str(), "");
    let by_name = |s: &'a Section| ("", s.name.as_str());
    match_by(by_all, before, after, &mut left, &mut partners);
    match_by(by_identity, before, after, &mut left, &mut partners);
    match_by(by_name, before, after, &mut left, &mut partners);
    let matched = after.iter().zip(&partners);
    let pairs = matched.clone().filter_map(|(new, old)| Some((&before[(*old)?], new))).collect();
    let new = matched.filter(|(_, old)| old.is_none()).map(|(new, _)| new).collect();
    let gone = before.iter().zip(left).filter(|(_, left)| *left).map(|(old, _)| old).collect();
    (pairs, gone, new)
}

/// Gives every block without a partner the first one with the same key.
fn match_by<'a>(
    key: impl Fn(&'a Section) -> (&'a str, &'a str),
    before: &'a [Section],
    after: &'a [Section],
    left: &mut [bool],
    partners: &mut [Option<usize>],
) {
    let mut candidates: BTreeMap<_, VecDeque<usize>> = BTreeMap::new();
    for (index, section) in before.iter().enumerate().filter(|(index, _)| left[*index]) {
        candidates.entry(key(section)).or_default().push_back(index);
    }
    for (section, partner) in after.iter().zip(partners).filter(|(_, p)| p.is_none()) {
        *partner = candidates.get_mut(&key(section)).and_then(VecDeque::pop_front);
        if let Some(index) = *partner {
            left[index] = false;
        }
    }
}

fn settings(place: &Place<'_>, before: &Section, after: &Section, changes: &mut Vec<Change>) {
    let olds = before.settings.iter().map(|old| old.directive);
    let news = after.settings.iter().map(|new| new.directive);
    let mut directives: Vec<_> = olds.chain(news).collect();
    directives.sort_unstable();
    directives.dedup();
    for directive in directives {
        let (old, new) = (Values::of(before, directive), Values::of(after, directive));
        if old.is_same(&new) {
            continue;
        }
        let what = What::Set { directive, from: old.written(), to: new.written() };
        changes.push(place.change(what, effect(directive, before, after)));
    }
}

/// The settings of one directive; of most there is one at most.
struct Values<'a>(Vec<&'a Setting>);

impl<'a> Values<'a> {
    fn of(section: &'a Section, directive: Directive) -> Self {
        Self(section.settings.iter().filter(|s| s.directive == directive).collect())
    }

    /// Whether both come to the same, or follow from something that is reported itself.
    fn is_same(&self, other: &Self) -> bool {
        let canonical =
            |values: &Self| Vec::from_iter(values.0.iter().map(|s| s.canonical.clone()));
        canonical(self) == canonical(other) || (self.follows() && other.follows())
    }

    fn follows(&self) -> bool {
        !self.0.iter().any(|setting| matches!(setting.origin, Origin::Written(_)))
    }

    fn written(&self) -> Option<String> {
        let values: Vec<_> = self.0.iter().map(|setting| setting.value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

fn is_active(section: &Section) -> bool {
    section.scope == Scope::Global || !section.get(Directive::Active).is_some_and(Setting::is_zero)
}

/// What becomes of connections of what is not there any more.
const fn given_up(section: &Section) -> Effect {
    match section.scope {
        Scope::Server => Effect::Leaves,
        _ => Effect::Cut,
    }
}

/// What becomes of connections when `directive` changes.
fn effect(directive: Directive, before: &Section, after: &Section) -> Effect {
    match (is_active(before), is_active(after)) {
        (false, false) => return Effect::None,
        (true, false) => return given_up(before),
        (false, true) => return Effect::Joins,
        (true, true) => {}
    }
    use Directive as D;
    match directive {
        D::Role | D::Primary | D::PrimaryPrivate | D::Backup | D::BackupActive => Effect::Restart,
        D::BackupPrivate | D::HeartbeatPort | D::HeartbeatVersion => Effect::Restart,
        D::Dataplane | D::HeartbeatProtocol => Effect::Restart,
        D::VrrpId | D::VrrpInterface | D::VrrpUnicast => Effect::Restart,
        D::VrrpHops | D::VrrpAuth => Effect::Restart,
        D::Service => Effect::Restart,
        D::SerialNo | D::PrimaryShared | D::BackupShared => Effect::None,
        D::ReservationConflictAction | D::Heartbeat | D::Sync | D::DebugLevel => Effect::None,
        D::Ipvsadm | D::HardShutdown | D::Master | D::Dirs => Effect::None,
        D::ClientMonitor | D::SyncFile => Effect::None,
        D::Check | D::Send | D::Expect | D::UseRegex | D::SendProgram => Effect::Rechecked,
        D::HttpPath | D::HttpHost | D::HttpStatus | D::Timeout => Effect::Rechecked,
        D::CheckTimeout | D::CheckThrough => Effect::Rechecked,
        D::Address | D::Port | D::Protocol | D::Fwmark => {
            if before.identity == after.identity {
                Effect::Kept
            } else {
                given_up(before)
            }
        }
        D::Weight => {
            let drained = after.get(D::Weight).is_some_and(Setting::is_zero);
            if drained { Effect::Drained } else { Effect::Kept }
        }
        _ => Effect::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{effective, load};

    const FILE: &str = "primary = 192.0.2.11
keepalive = 1
virtual web {
    active = 1
    address = 192.0.2.80 eth0:1
    timeout = 6
    pmask = 255.255.255.0
    persistent = 60
    server s1 {
        address = 10.0.0.1
        active = 1
    }
    server s2 {
        address = 10.0.0.2
        active = 1
        weight = 10
    }
}
virtual off {
    active = 0
    address = 192.0.2.81 eth0:2
}
";

    /// What changes where each first text of `edits` becomes the second one.
    fn changes(edits: &[(&str, &str)]) -> Vec<String> {
        let read = |text: &str| {
            let loaded = load(text.as_bytes());
            effective(&loaded).unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
        };
        let edited = edits.iter().fold(FILE.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let found = difference(&read(FILE), &read(&edited));
        found.iter().map(Change::to_string).collect()
    }

    #[test]
    fn a_weight_changes_and_connections_are_kept() {
        let kept = changes(&[("weight = 10", "weight = 20")]);
        assert_eq!(kept, ["service web: weight of s2 10 to 20; connections kept"]);
        let drained = changes(&[("weight = 10", "weight = 0")]);
        let expected = "service web: weight of s2 10 to 0; connections kept, no new ones";
        assert_eq!(drained, [expected]);
    }

    #[test]
    fn another_way_to_write_the_same_is_no_change() {
        let same = [
            ("keepalive = 1\n", "# a comment\nkeepalive = 1000ms\ndeadtime = 5\n"),
            ("timeout = 6", "timeout = 0x6"),
            ("pmask = 255.255.255.0", "pmask = /24"),
            ("weight = 10", "weight = 10\n        port = http"),
        ];
        assert_eq!(changes(&same), [""; 0]);
    }

    #[test]
    fn servers_come_and_go_by_their_address() {
        let found = changes(&[("server s2", "server s9"), ("10.0.0.1", "10.0.0.3")]);
        let expected = [
            "service web: address of s1 10.0.0.1 to 10.0.0.3; its connections go on for 5 minutes \
             at most, no new ones",
            "service web: server s2 is now called s9; no effect",
        ];
        assert_eq!(found, expected);
        let found = changes(&[("server s1", "server x"), ("10.0.0.1", "10.0.0.3")]);
        assert!(found[0].starts_with("service web: server s1 is gone (10.0.0.1:80); its"));
        assert!(found[1].starts_with("service web: server x is new (10.0.0.3:80); connections"));
    }

    #[test]
    fn a_service_that_is_off_takes_no_connection_with_it() {
        assert_eq!(
            changes(&[("192.0.2.81 eth0:2", "192.0.2.81 eth0:2\n    port = 81")]),
            ["service off: port 80 to 81; no effect"]
        );
        let off = changes(&[
            ("    active = 1\n    address", "    active = 0\n    address"),
            ("active = 0\n    address = 192.0.2.81", "active = 1\n    address = 192.0.2.81"),
        ]);
        assert!(
            off[0].starts_with("service web: active 1 to 0; its connections are lost"),
            "{off:?}"
        );
    }

    #[test]
    fn what_follows_from_a_change_is_not_said_again() {
        assert_eq!(
            changes(&[("keepalive = 1\n", "network = direct\n")]),
            ["keepalive 1 to 2; connections kept", "network nat to direct; connections kept"]
        );
        let service = changes(&[("timeout = 6", "timeout = 7")]);
        assert_eq!(service, ["service web: timeout 6 to 7; connections kept, checks begin anew"]);
    }

    #[test]
    fn the_order_of_many_services_is_no_difference_and_takes_no_square() {
        let block = |n: u32| {
            let vip = std::net::Ipv4Addr::from_bits(0xc000_0200 + n);
            format!("virtual v{n} {{\nactive = 1\naddress = {vip} lo\n}}\n")
        };
        let read = |order: &mut dyn Iterator<Item = u32>| {
            let text = "primary = 192.0.2.1\n".to_owned() + &order.map(block).collect::<String>();
            effective(&load(text.as_bytes())).expect("a good file")
        };
        let (before, after) = (read(&mut (0..3000)), read(&mut (0..3000).rev()));
        assert_eq!(difference(&before, &after), []);
    }
}
