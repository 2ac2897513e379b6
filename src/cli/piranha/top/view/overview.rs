//! The verdict and what speaks against it, services, and the last events.

use super::canvas::{Canvas, plain};
use super::{events, services, unknown};
use crate::cli::piranha::show::tone;
use crate::cli::piranha::table::Tone;
use crate::cli::piranha::top::model::Model;
use crate::control::status::{Grade, Reading, Reason, Status};

pub(super) fn draw(model: &Model, status: &Status, canvas: &mut Canvas<'_>) {
    let quarter = canvas.room() / 4;
    reasons(&status.verdict.reasons, quarter, canvas);
    let for_services = canvas.room().saturating_sub(quarter + 2);
    match &status.lvs {
        Reading::Known(lvs) => services::table(model, lvs, for_services, canvas),
        Reading::Unknown { reason } => unknown(reason, canvas),
    }
    canvas.skip();
    canvas.title("LAST EVENTS");
    events::last(model, canvas.room(), canvas);
}

/// The worst reasons, a line each.
fn reasons(reasons: &[Reason], most: usize, canvas: &mut Canvas<'_>) {
    let shown = if reasons.len() > most { most - 1 } else { reasons.len() };
    for reason in &reasons[..shown] {
        let shape = canvas.looks().grade(reason.grade);
        let stops = if reason.stops_failover { " (stops a failover)" } else { "" };
        let tone = if reason.grade == Grade::Ok { Tone::Plain } else { tone(reason.grade) };
        let shape = if reason.grade == Grade::Ok { '-' } else { shape };
        canvas.line(&[(format!("{shape} {}{stops}", reason.message), tone)]);
    }
    if shown < reasons.len() {
        let more = reasons.len() - shown;
        canvas.line(&[plain(format!("  and {more} more, with what would mend them: 4"))]);
    }
    if !reasons.is_empty() {
        canvas.skip();
    }
}
