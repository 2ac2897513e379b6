//! The whole of a status: verdict, pair, services.

use std::fmt::Write as _;

use super::super::table::{Screen, Tone, wrap};
use super::{servers, tone};
use crate::control::status::{
    Balancing, Failover, Grade, Heartbeats, Partner, Reading, Reason, Status, Totals, Verdict,
};
use crate::failover::State;

/// The node, its role and state, and the answers to the two questions.
fn first_line(status: &Status) -> String {
    let node = match &status.pulse {
        Reading::Known(pulse) => {
            let state = pulse.state.to_string().to_uppercase();
            format!("{} {} {state}", status.node, pulse.role)
        }
        Reading::Unknown { .. } => format!("{} UNKNOWN", status.node),
    };
    format!("{node}: {}; {}", health(&status.verdict), failover(&status.verdict))
}

/// Verdict, pair, and services with the servers that are not as they should be; with `all`, every
/// server and its traffic.
pub(in crate::cli::piranha) fn status(status: &Status, screen: Screen, all: bool) -> String {
    let mut text = headline(status, screen);
    text += &reasons(&status.verdict, screen);
    if let Reading::Known(pulse) = &status.pulse {
        text += &pair(pulse, screen);
    }
    if let Reading::Known(lvs) = &status.lvs {
        text += &plane(lvs, screen);
        text.push('\n');
        text += &servers::services(lvs, screen, all);
        text += &left_out(lvs, screen);
    }
    text
}

/// How many services are not shown.
fn left_out(lvs: &Balancing, screen: Screen) -> String {
    if lvs.left_out == 0 {
        return String::new();
    }
    let told: Totals = lvs.services.iter().collect();
    let bad = lvs.totals().services.concerning().saturating_sub(told.services.concerning());
    let bad =
        if bad > 0 { format!(", {bad} of them not as they should be") } else { String::new() };
    let noun = if lvs.left_out == 1 { "service" } else { "services" };
    let line = format!("{} more {noun}{bad}: `piranha status --wide` shows all", lvs.left_out);
    wrap(&line, 2, screen.width)
}

/// One line for the pair and one for each service.
pub(in crate::cli::piranha) fn brief(status: &Status, screen: Screen) -> String {
    let mut text = headline(status, screen);
    for service in status.lvs.known().iter().flat_map(|lvs| &lvs.services) {
        let counts = service.counts;
        let line = format!("{} {} {}/{} up", service.name, service.state, counts.up, counts.total);
        text += &(screen.cut(&line) + "\n");
    }
    text
}

/// One line as a monitoring plugin prints it, with its exit code (Nagios plugin guidelines).
pub(in crate::cli::piranha) fn nagios(status: &Status) -> (String, u8) {
    let verdict = &status.verdict;
    let (word, code) = match verdict.health {
        Grade::Ok => ("OK", 0),
        Grade::Warning => ("WARNING", 1),
        Grade::Critical => ("CRITICAL", 2),
        _ => ("UNKNOWN", 3),
    };
    let mut line = format!("PIRANHA {word} - {}", first_line(status));
    if let Some(worst) = verdict.reasons.iter().find(|reason| reason.grade > Grade::Ok) {
        let _ = write!(line, ": {}", worst.message);
    }
    if let Some(lvs) = status.lvs.known() {
        let Totals { services, servers, .. } = lvs.totals();
        let (up, total, services) = (servers.up, servers.total, services.total);
        let _ = write!(line, " | servers_up={up};;;0;{total} services={services}");
    }
    // A bar begins the performance data, and a line is one line.
    (line.replace('\n', " ") + "\n", code)
}

/// Whether a failover would succeed, and what speaks against it.
pub(in crate::cli::piranha) fn readiness(status: &Status, screen: Screen) -> String {
    headline(status, screen) + &reasons(&status.verdict, screen)
}

fn headline(status: &Status, screen: Screen) -> String {
    let line = screen.cut(&first_line(status));
    screen.paint(tone(status.verdict.health), &line) + "\n"
}

/// Is this pair healthy, and would a failover succeed now: the answers in words.
#[cfg(feature = "tui")]
pub(in crate::cli::piranha) const fn answers(verdict: &Verdict) -> (&'static str, &'static str) {
    (health(verdict), failover(verdict))
}

const fn health(verdict: &Verdict) -> &'static str {
    match verdict.health {
        Grade::Ok => "healthy",
        Grade::Warning => "WARNING",
        Grade::Critical => "CRITICAL",
        _ => "UNKNOWN",
    }
}

const fn failover(verdict: &Verdict) -> &'static str {
    match verdict.failover {
        Failover::WouldSucceed => "a failover would succeed",
        Failover::WouldFail => "a failover would FAIL",
        Failover::NoPartner => "no partner to fail over to",
        _ => "whether a failover would succeed is unknown",
    }
}

fn reasons(verdict: &Verdict, screen: Screen) -> String {
    verdict.reasons.iter().map(|reason| told(reason, screen)).collect()
}

/// A reason, and what to do about it.
fn told(reason: &Reason, screen: Screen) -> String {
    let mark = match reason.grade {
        Grade::Ok => "note",
        Grade::Warning => "warning",
        Grade::Critical => "critical",
        _ => "unknown",
    };
    let tone = if reason.grade == Grade::Ok { Tone::Plain } else { tone(reason.grade) };
    let stops = if reason.stops_failover { " (stops a failover)" } else { "" };
    let message = wrap(&format!("{mark}: {}{stops}", reason.message), 2, screen.width);
    screen.paint(tone, &message) + &wrap(&format!("mend: {}", reason.mend), 6, screen.width)
}

fn pair(pulse: &Heartbeats, screen: Screen) -> String {
    let mut text = String::new();
    let mut line = |name: &str, what: &str| {
        text += &(screen.cut(&format!("{name:<10}{what}")) + "\n");
    };
    let cause = pulse.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    line("Node", &format!("{} for {}{cause}", pulse.state, pulse.since));
    if let Some(declined) = &pulse.declined {
        line("Declined", &format!("{} ({} ago)", declined.reason, declined.age));
    }
    if !pulse.paths.is_empty() {
        line("Partner", &pulse.partner.as_ref().map_or("never heard".to_owned(), partner));
    }
    for path in &pulse.paths {
        let age = path.age.map_or("nothing heard".to_owned(), |age| format!("heard {age} ago"));
        line("Path", &format!("{} - {}: {age}", path.local, path.partner));
    }
    let held = if pulse.state == State::Active { "held here" } else { "not held here" };
    for address in &pulse.addresses {
        line("Address", &format!("{address}, {held}"));
    }
    text
}

fn partner(partner: &Partner) -> String {
    let configuration = match partner.same_configuration {
        Some(true) => ", same configuration",
        Some(false) => ", ANOTHER configuration",
        None => "",
    };
    let unfit = if partner.unfit { ", unfit" } else { "" };
    format!("{}, heard {} ago{configuration}{unfit}", partner.state, partner.age)
}

fn plane(lvs: &Balancing, screen: Screen) -> String {
    let revision = &lvs.configuration;
    let file = format!(
        "{}, revision {}, in force for {}",
        revision.path.display(),
        &revision.digest[..revision.digest.len().min(8)],
        revision.since
    );
    let lines =
        [format!("{:<10}{}", "Plane", lvs.data_plane.name), format!("{:<10}{file}", "File")];
    lines.iter().map(|line| screen.cut(line) + "\n").collect()
}
