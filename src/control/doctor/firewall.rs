//! Packet filters: what they are, and whether heartbeats pass.

use serde::{Deserialize, Serialize};

use super::kernel::{is_zero, uses_kernel};
use super::{Facts, Finding, FindingCode, Grade};
use crate::config::Config;
use crate::ipvs::Forwarding;

/// A chain of rules that packets to this machine, or through it, come by.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Chain {
    /// Its name with that of its table.
    pub name: String,
    /// `input` or `forward`.
    pub hook: String,
    /// Whether what no rule decides is dropped.
    pub drops: bool,
    /// Its rules, as the program that lists them writes them.
    pub rules: Vec<String>,
}

/// The chains in what `nft list ruleset` prints.
#[must_use]
pub fn parse_nft(text: &str) -> Vec<Chain> {
    let (mut chains, mut table, mut chain) = (Vec::new(), "", Chain::default());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("table ") {
            table = name.trim_end_matches(['{', ' ']);
        } else if let Some(name) = line.strip_prefix("chain ") {
            chain = Chain {
                name: format!("{table} {}", name.trim_end_matches(['{', ' '])),
                ..Chain::default()
            };
        } else if line == "}" {
            chains.push(std::mem::take(&mut chain));
        } else if let Some((_, hook)) =
            line.split_once(" hook ").filter(|_| line.starts_with("type "))
        {
            hook.split(' ').next().unwrap_or_default().clone_into(&mut chain.hook);
            chain.drops = line.contains("policy drop");
        } else if !line.is_empty() {
            chain.rules.push(line.to_owned());
        }
    }
    chains.retain(|chain| matches!(chain.hook.as_str(), "input" | "forward"));
    chains
}

/// The chains in what `iptables-save` prints of its table `filter`.
#[must_use]
pub fn parse_iptables(text: &str) -> Vec<Chain> {
    let filter = text.split_once("*filter").map_or("", |(_, rest)| rest);
    let filter = filter.split_once("COMMIT").map_or(filter, |(table, _)| table);
    let chain = |name: &str, hook: &str| {
        let rules = filter.lines().filter_map(|line| line.strip_prefix(&format!("-A {name} ")));
        Chain {
            name: format!("iptables {name}"),
            hook: hook.to_owned(),
            drops: filter.contains(&format!(":{name} DROP")),
            rules: rules.map(str::to_owned).collect(),
        }
    };
    [chain("INPUT", "input"), chain("FORWARD", "forward")]
        .into_iter()
        .filter(|chain| chain.drops || !chain.rules.is_empty())
        .collect()
}

pub(super) fn judge(config: &Config, facts: &Facts, findings: &mut Vec<Finding>) {
    if config.backup.is_some() {
        let input = facts.chains.iter().filter(|chain| chain.hook == "input");
        findings.extend(input.filter_map(|chain| heartbeats(config, facts, chain)));
    }
    findings.extend(conntrack(config, facts));
}

/// A rule names heartbeats by port, protocol or partner. Heartbeats that are heard prove more than
/// any rule.
fn heartbeats(config: &Config, facts: &Facts, chain: &Chain) -> Option<Finding> {
    let partner = config.backup.map(|backup| backup.to_string()).unwrap_or_default();
    let marks = match &config.vrrp {
        Some(_) => vec!["vrrp".to_owned(), "112".to_owned(), config.primary.to_string(), partner],
        None => vec![config.heartbeat_port.to_string(), config.primary.to_string(), partner],
    };
    let concerns = |rule: &&String| words(rule).any(|word| marks.iter().any(|mark| mark == word));
    let dropped = chain.rules.iter().filter(concerns).find(|rule| !is_accept(rule));
    let evidence = match dropped {
        Some(rule) => rule.clone(),
        None if facts.hears_partner == Some(true) => return None,
        None if !ends_in_drop(chain) => return None,
        None if chain.rules.iter().filter(|rule| is_accept(rule)).any(|rule| concerns(&rule)) => {
            return None;
        }
        None => "what no rule accepts is dropped, and none names heartbeats".to_owned(),
    };
    let rule = match &config.vrrp {
        Some(_) => "ip protocol vrrp accept".to_owned(),
        None => format!("udp dport {} accept", config.heartbeat_port),
    };
    Some(Finding::new(
        FindingCode::HeartbeatFiltered,
        Grade::Warning,
        format!("the filter {} seems to keep heartbeats out", chain.name),
        evidence,
        format!("nft insert rule {} {rule}", chain.name),
    ))
}

/// NAT by IPVS is not seen by connection tracking unless it is told.
fn conntrack(config: &Config, facts: &Facts) -> Option<Finding> {
    let nat = config.active_virtuals().any(|v| v.forwarding == Forwarding::Nat);
    if !nat || !uses_kernel(config, facts) || !is_zero(facts, "net.ipv4.vs.conntrack") {
        return None;
    }
    let by_state = |rule: &&String| rule.contains("ct state") || rule.contains("--ctstate");
    let chain = facts.chains.iter().find(|chain| {
        ends_in_drop(chain)
            && chain.hook == "forward"
            && chain.rules.iter().any(|rule| by_state(&rule))
    })?;
    Some(Finding::new(
        FindingCode::Conntrack,
        Grade::Warning,
        format!(
            "{} decides by connection state, which knows nothing of what IPVS rewrites",
            chain.name
        ),
        "net.ipv4.vs.conntrack = 0",
        "sysctl -w net.ipv4.vs.conntrack=1",
    ))
}

fn ends_in_drop(chain: &Chain) -> bool {
    let last = chain.rules.last().map(String::as_str).unwrap_or_default();
    chain.drops || matches!(last, "drop" | "reject" | "-j DROP") || last.starts_with("-j REJECT")
}

fn is_accept(rule: &str) -> bool {
    !words(rule).any(|word| matches!(word.to_lowercase().as_str(), "drop" | "reject"))
}

fn words(rule: &str) -> impl Iterator<Item = &str> {
    rule.split([' ', ',', '{', '}', '/', '"']).filter(|word| !word.is_empty())
}
