//! A draft looked at: what is wrong with it, what it changes, and how risky that is.

use serde::{Deserialize, Serialize};

use crate::config::{Change, Diagnostic, Directive, Document, Position, Severity, Span, What};

/// What there is to say about a draft before it is applied.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Review {
    /// The hash of the file now: the base that an application of the draft should name.
    pub base: Option<String>,
    /// The hash of what is in force; the file is another one where it was edited by hand.
    pub in_force: String,
    /// The hash of the draft.
    pub hash: String,
    /// Whether it could be put in force here.
    pub usable: bool,
    /// Errors and warnings, with their places.
    pub remarks: Vec<Remark>,
    /// Why this node cannot run it although it has no errors, if that is so.
    pub refusal: Option<String>,
    /// What it changes of what is in force.
    pub changes: Vec<Described>,
    /// Whether such a change is to be confirmed unless its author says otherwise.
    pub confirm: bool,
}

/// A change, and the same in words.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Described {
    /// For programs.
    pub change: Change,
    /// For people.
    pub text: String,
}

impl From<Change> for Described {
    fn from(change: Change) -> Self {
        let text = change.to_string();
        Self { change, text }
    }
}

/// A diagnostic, with places as editors count.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Remark {
    /// The file: lvs.cf or one it includes.
    pub file: String,
    /// The code, such as `E0102`.
    pub code: String,
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The mend, where one is known.
    pub help: Option<String>,
    /// Where.
    pub span: Stretch,
}

/// A stretch of a file.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stretch {
    /// Its first character.
    pub start: Position,
    /// The character behind its last one.
    pub end: Position,
}

impl Remark {
    /// What `diagnostic` says about `document`, the file called `file`.
    #[must_use]
    pub fn new(file: &str, document: &Document, diagnostic: &Diagnostic) -> Self {
        let Span { start, end } = diagnostic.span;
        Self {
            file: file.to_owned(),
            code: diagnostic.code.to_string(),
            severity: diagnostic.severity,
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
            span: Stretch { start: document.position(start), end: document.position(end) },
        }
    }
}

/// Whether a change may cut its author off or part the directors: it touches a floating address,
/// its device, or what the directors speak to each other over.
#[must_use]
pub fn wants_confirmation(changes: &[Change]) -> bool {
    changes.iter().any(|change| match &change.what {
        What::Set { directive, .. } => touches_a_path(*directive, change.server.is_some()),
        What::Added { .. } | What::Removed { .. } => change.server.is_none(),
        _ => false,
    })
}

fn touches_a_path(directive: Directive, of_server: bool) -> bool {
    use Directive as D;
    match directive {
        D::Address | D::Active | D::VipNmask | D::NatRouter | D::NatNmask => !of_server,
        D::VirtualMac => true,
        D::Backup => !of_server,
        D::Role | D::Primary | D::PrimaryPrivate | D::BackupActive | D::BackupPrivate => true,
        D::HeartbeatPort | D::HeartbeatVersion | D::HeartbeatKey | D::HeartbeatPath => true,
        D::HeartbeatKeyAccepted | D::HeartbeatProtocol | D::Keepalive | D::Deadtime => true,
        D::VrrpId | D::VrrpPriority | D::VrrpInterface | D::VrrpUnicast | D::VrrpHops => true,
        D::VrrpAuth | D::VrrpAccept | D::Failback | D::Dataplane | D::Service => true,
        D::MonitorLinks | D::TrackInterface | D::Reference | D::ReferenceQuorum => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{difference, effective, load};

    const FILE: &str = "primary = 192.0.2.11
virtual web {
    active = 1
    address = 192.0.2.80 eth0:1
    server s1 {
        address = 10.0.0.1
        active = 1
        weight = 10
    }
}
";

    fn wants(from: &str, to: &str) -> bool {
        let settings = |text: &str| {
            let loaded = load(text.as_bytes());
            effective(&loaded).unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
        };
        assert!(FILE.contains(from), "{from}");
        let changes = difference(&settings(FILE), &settings(&FILE.replace(from, to)));
        assert!(!changes.is_empty());
        wants_confirmation(&changes)
    }

    #[test]
    fn what_touches_a_floating_address_or_the_partner_is_to_be_confirmed() {
        assert!(wants("192.0.2.80 eth0:1", "192.0.2.81 eth0:1"));
        assert!(wants("192.0.2.80 eth0:1", "192.0.2.80 eth1:1"));
        assert!(wants("primary = 192.0.2.11", "primary = 192.0.2.12"));
        assert!(wants("virtual", "keepalive = 1\nvirtual"));
        assert!(wants("virtual", "backup = 192.0.2.12\nbackup_active = 1\nvirtual"));
        let other = "virtual dns {\n active = 1\n address = 192.0.2.81 eth0:2\n server s {\n \
                     address = 10.0.0.9\n active = 1\n }\n}\nvirtual web";
        assert!(wants("virtual web", other), "a new address");
    }

    #[test]
    fn what_concerns_servers_and_checks_alone_is_not() {
        assert!(!wants("weight = 10", "weight = 20"));
        assert!(!wants("10.0.0.1", "10.0.0.2"));
        assert!(!wants("    server", "    timeout = 9\n    server"));
        assert!(!wants("    server s1", "    scheduler = rr\n    server s1"));
    }
}
