//! Whether the two nodes fit together.

use std::collections::BTreeMap;

use super::{Facts, Finding, FindingCode, Grade};
use crate::config::{Config, HeartbeatVersion};
use crate::control::protocol::VERSION;

/// What datagrams of another version are counted as.
const OTHER_VERSION: &str = "version";

pub(super) fn judge(config: &Config, facts: &Facts, findings: &mut Vec<Finding>) {
    findings.extend(versions(facts));
    findings.extend(protocol(facts));
    findings.extend(heartbeats(config, facts));
}

fn versions(facts: &Facts) -> Option<Finding> {
    let differs = |(name, theirs): (&String, &String)| {
        facts.versions.get(name).is_some_and(|ours| ours != theirs)
    };
    if !facts.partner_versions.iter().any(differs) {
        return None;
    }
    let evidence =
        format!("here {}; there {}", list(&facts.versions), list(&facts.partner_versions));
    Some(Finding::new(
        FindingCode::PartnerVersions,
        Grade::Warning,
        "the two nodes run different versions",
        evidence,
        "upgrade the node with the older one, while it is standby: piranha failover",
    ))
}

fn list(versions: &BTreeMap<String, String>) -> String {
    versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn protocol(facts: &Facts) -> Option<Finding> {
    let theirs = facts.partner_protocol.filter(|theirs| *theirs != VERSION)?;
    Some(Finding::new(
        FindingCode::PartnerVersions,
        Grade::Warning,
        "the two nodes do not understand each other's control protocol",
        format!("version {VERSION} here, {theirs} there"),
        "run the same version of piranha on both",
    ))
}

/// The partner is heard and not understood.
fn heartbeats(config: &Config, facts: &Facts) -> Option<Finding> {
    let refused = facts.refused.get(OTHER_VERSION).copied().unwrap_or_default();
    if refused == 0 || facts.hears_partner == Some(true) {
        return None;
    }
    let (message, mend) = match (&config.vrrp, config.heartbeat_version) {
        (Some(_), _) => (
            "the other routers speak another version of VRRP".to_owned(),
            "give `heartbeat_protocol` the version they have, on each of them, and restart pulse".to_owned(),
        ),
        (None, HeartbeatVersion::V1) => (
            "the partner's heartbeats are not of version 1, which `heartbeat_version = 1` wants".to_owned(),
            "take `heartbeat_version` out of lvs.cf on both nodes, unless one of them is Piranha 0.8.6; restart pulse".to_owned(),
        ),
        (None, _) => (
            "the partner's heartbeats are not of version 2".to_owned(),
            "take `heartbeat_version = 1` out of the partner's lvs.cf and restart its pulse; if the partner is \
             Piranha 0.8.6, put it into this one's".to_owned(),
        ),
    };
    Some(Finding::new(
        FindingCode::HeartbeatVersion,
        Grade::Critical,
        message,
        format!("{refused} datagrams of another version, and none that was believed lately"),
        mend,
    ))
}
