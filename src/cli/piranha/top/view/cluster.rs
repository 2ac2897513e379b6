//! The pair: both nodes, the ways between them, addresses, and what speaks against a failover.

use super::canvas::{Canvas, plain};
use super::unknown;
use crate::cli::piranha::show::tone;
use crate::cli::piranha::table::Tone;
use crate::cli::piranha::top::model::Model;
use crate::control::status::{Grade, Heartbeats, Reading, Reason, Status};
use crate::failover::State;

/// The beats that are shown of each path.
const BEATS: usize = 30;

pub(super) fn draw(model: &Model, status: &Status, canvas: &mut Canvas<'_>) {
    match &status.pulse {
        Reading::Known(pulse) => {
            node(status, pulse, canvas);
            paths(model, pulse, canvas);
            addresses(pulse, canvas);
        }
        Reading::Unknown { reason } => unknown(reason, canvas),
    }
    if let Reading::Known(lvs) = &status.lvs {
        let revision = &lvs.configuration;
        let digest: String = revision.digest.chars().take(8).collect();
        let file = revision.path.display();
        let line = format!("File      {file}, revision {digest}, for {}", revision.since);
        canvas.line(&[plain(line)]);
        canvas.line(&[plain(format!("Plane     {}", lvs.data_plane.name))]);
    }
    canvas.skip();
    reasons(&status.verdict.reasons, canvas);
}

fn node(status: &Status, pulse: &Heartbeats, canvas: &mut Canvas<'_>) {
    let looks = canvas.looks();
    let cause = pulse.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    let state = pulse.state.to_string().to_uppercase();
    let shape = looks.node(pulse.state);
    canvas.line(&[plain(format!(
        "Node      {} {} {shape} {state} for {}{cause}",
        status.node, pulse.role, pulse.since
    ))]);
    canvas.line(&[plain(format!(
        "          version {}, up {}; heartbeats every {}, dead after {}",
        pulse.process.version, pulse.process.uptime, pulse.keepalive, pulse.dead_time
    ))]);
    if let Some(declined) = &pulse.declined {
        let line = format!("Declined  {} ({} ago)", declined.reason, declined.age);
        canvas.line(&[(line, Tone::Warning)]);
    }
    for fault in &pulse.faults {
        canvas.line(&[(format!("Guard     {fault}"), Tone::Warning)]);
    }
}

fn paths(model: &Model, pulse: &Heartbeats, canvas: &mut Canvas<'_>) {
    let looks = canvas.looks();
    if let Some(partner) = &pulse.partner {
        let heard = pulse.hears_partner();
        let state = if heard { partner.state.to_string().to_uppercase() } else { "UNKNOWN".into() };
        let shape = if heard { looks.node(partner.state) } else { '?' };
        let configuration = match partner.same_configuration {
            Some(true) => ", same configuration",
            Some(false) => ", ANOTHER configuration",
            None => "",
        };
        let unfit = if partner.unfit { ", unfit" } else { "" };
        let tone = if heard { Tone::Plain } else { Tone::Warning };
        let line =
            format!("Partner   {shape} {state}, heard {} ago{configuration}{unfit}", partner.age);
        canvas.line(&[(line, tone)]);
    }
    for (place, path) in pulse.paths.iter().enumerate() {
        let beats = model.trends.path(place).map(|trend| trend.last(BEATS));
        let beats: String = beats.into_iter().flatten().map(beat).collect();
        let heard = path.age.map_or("never heard".to_owned(), |age| format!("{age} ago"));
        let is_alive = path.age.is_some_and(|age| age <= pulse.dead_time);
        let tone = if is_alive { Tone::Plain } else { Tone::Warning };
        let line = format!("Path      {} - {}  {heard}", path.local, path.partner);
        canvas.line(&[(line, tone)]);
        canvas.line(&[(format!("          {beats}"), tone)]);
    }
}

/// A heartbeat that had come in time, one that had not, or nobody knows.
const fn beat(reading: Option<u64>) -> char {
    match reading {
        Some(0) => '_',
        Some(_) => '|',
        None => '?',
    }
}

fn addresses(pulse: &Heartbeats, canvas: &mut Canvas<'_>) {
    let held = if pulse.state == State::Active { "held here" } else { "not held here" };
    // Whoever has hundreds looks at the status.
    let most = 4;
    for address in pulse.addresses.iter().take(most) {
        canvas.line(&[plain(format!("Address   {address}, {held}"))]);
    }
    if pulse.addresses.len() > most {
        canvas.line(&[plain(format!("          and {} more", pulse.addresses.len() - most))]);
    }
}

/// Each reason with what would mend it, as many as there is room for.
fn reasons(reasons: &[Reason], canvas: &mut Canvas<'_>) {
    if reasons.is_empty() {
        canvas.line(&[("Nothing speaks against a failover.".to_owned(), Tone::Good)]);
    }
    for reason in reasons {
        let stops = if reason.stops_failover { " (stops a failover)" } else { "" };
        let is_note = reason.grade == Grade::Ok;
        let shape = if is_note { '-' } else { canvas.looks().grade(reason.grade) };
        let tone = if is_note { Tone::Plain } else { tone(reason.grade) };
        canvas.text(&format!("{shape} {}{stops}", reason.message), 0, tone, 3);
        canvas.text(&format!("mend: {}", reason.mend), 4, Tone::Plain, 2);
    }
}
