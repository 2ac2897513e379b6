use askama::Template;

use super::frame::{Frame, sentence};
use super::glyph::Glyph;
use super::service::ServiceRow;
use crate::control::status::{Grade, Reading, Reason, Status};
use crate::web::chronicle::Told;

/// The state of the pair at a glance.
#[derive(Debug, Template)]
#[template(path = "overview.html")]
pub(crate) struct Overview<'a> {
    frame: Frame,
    sentence: String,
    verdict: Glyph,
    reasons: Vec<Remark<'a>>,
    pair: Pair,
    rows: Vec<ServiceRow>,
    events: Vec<Told>,
}

impl<'a> Overview<'a> {
    pub(crate) fn new(
        frame: Frame,
        status: &'a Status,
        rows: Vec<ServiceRow>,
        events: Vec<Told>,
    ) -> Self {
        let verdict = Glyph::from(status.verdict.health);
        let (sentence, pair) = (sentence(status), Pair::new(status));
        Self { frame, sentence, verdict, reasons: remarks(status), pair, rows, events }
    }
}

/// The same for a screen on the wall: large, and without anything to press.
#[derive(Debug, Template)]
#[template(path = "kiosk.html")]
pub(crate) struct Kiosk<'a> {
    frame: Frame,
    sentence: String,
    verdict: Glyph,
    reasons: Vec<Remark<'a>>,
    pair: Pair,
    rows: Vec<ServiceRow>,
    events: Vec<Told>,
}

impl<'a> From<Overview<'a>> for Kiosk<'a> {
    /// Problems come first: a screen has an end.
    fn from(overview: Overview<'a>) -> Self {
        let Overview { frame, sentence, verdict, reasons, pair, mut rows, events } = overview;
        rows.sort_by_key(|row| !row.is_problem);
        Self { frame, sentence, verdict, reasons, pair, rows, events }
    }
}

/// Whether the pair is healthy and could fail over, and what can be done about it.
#[derive(Debug, Template)]
#[template(path = "cluster.html")]
pub(crate) struct Cluster<'a> {
    frame: Frame,
    sentence: String,
    verdict: Glyph,
    reasons: Vec<Remark<'a>>,
    pair: Pair,
    would_succeed: bool,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(frame: Frame, status: &'a Status) -> Self {
        let would_succeed =
            status.verdict.failover == crate::control::status::Failover::WouldSucceed;
        let verdict = Glyph::from(status.verdict.health);
        let (sentence, pair) = (sentence(status), Pair::new(status));
        Self { frame, sentence, verdict, reasons: remarks(status), pair, would_succeed }
    }
}

/// Something that speaks against it, with its mark.
#[derive(Debug)]
pub(crate) struct Remark<'a> {
    pub(crate) glyph: Glyph,
    pub(crate) reason: &'a Reason,
}

fn remarks(status: &Status) -> Vec<Remark<'_>> {
    status.verdict.reasons.iter().map(remark).collect()
}

fn remark(reason: &Reason) -> Remark<'_> {
    let glyph = match reason.grade {
        Grade::Ok => Glyph { shape: "note", word: "NOTE" },
        grade => Glyph::from(grade),
    };
    Remark { glyph, reason }
}

/// This node and its partner, as far as is known.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    /// Why nothing is known, if nothing is.
    pub(crate) unknown: Option<String>,
    pub(crate) since: String,
    pub(crate) cause: String,
    pub(crate) declined: String,
    pub(crate) maintenance: bool,
    pub(crate) is_active: bool,
    pub(crate) authenticated: bool,
    pub(crate) version: String,
    pub(crate) uptime: String,
    pub(crate) revision: String,
    pub(crate) faults: Vec<String>,
    pub(crate) addresses: Vec<String>,
    pub(crate) paths: Vec<Path>,
    pub(crate) partner: Option<Partner>,
    pub(crate) plane: String,
    pub(crate) file: String,
}

/// A way to the partner.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) glyph: Glyph,
    pub(crate) ends: String,
    pub(crate) heard: String,
}

/// What the partner said.
#[derive(Debug)]
pub(crate) struct Partner {
    pub(crate) glyph: Glyph,
    pub(crate) heard: String,
    pub(crate) configuration: &'static str,
    pub(crate) unfit: bool,
}

impl Pair {
    fn new(status: &Status) -> Self {
        let mut pair = match &status.pulse {
            Reading::Unknown { reason } => {
                Self { unknown: Some(reason.clone()), ..Self::default() }
            }
            Reading::Known(pulse) => Self::known(pulse),
        };
        if let Some(lvs) = status.lvs.known() {
            pair.plane.clone_from(&lvs.data_plane.name);
            pair.file = lvs.configuration.path.display().to_string();
        }
        pair
    }

    fn known(pulse: &crate::control::status::Heartbeats) -> Self {
        let path = |path: &crate::control::status::HeartbeatPath| {
            let young = path.age.is_some_and(|age| age <= pulse.dead_time);
            let glyph = if young { Glyph { shape: "up", word: "HEARD" } } else { super::UNKNOWN };
            let heard = path.age.map_or("never heard".to_owned(), |age| format!("heard {age} ago"));
            Path { glyph, ends: format!("{} – {}", path.local, path.partner), heard }
        };
        let partner = pulse.partner.as_ref().map(|partner| Partner {
            glyph: if pulse.hears_partner() { partner.state.into() } else { super::UNKNOWN },
            heard: format!("heard {} ago", partner.age),
            configuration: match partner.same_configuration {
                Some(true) => "same configuration",
                Some(false) => "ANOTHER configuration",
                None => "configuration not compared",
            },
            unfit: partner.unfit,
        });
        Self {
            unknown: None,
            since: pulse.since.to_string(),
            cause: pulse.cause.as_ref().map(ToString::to_string).unwrap_or_default(),
            declined: pulse.declined.as_ref().map(declined).unwrap_or_default(),
            maintenance: pulse.maintenance,
            is_active: pulse.state == crate::failover::State::Active,
            authenticated: pulse.authenticated,
            version: pulse.process.version.clone(),
            uptime: pulse.process.uptime.to_string(),
            revision: pulse.digest.chars().take(8).collect(),
            faults: pulse
                .faults
                .iter()
                .map(|fault| format!("{}: {}", fault.guard, fault.reason))
                .collect(),
            addresses: pulse.addresses.iter().map(ToString::to_string).collect(),
            paths: pulse.paths.iter().map(path).collect(),
            partner,
            ..Self::default()
        }
    }
}

fn declined(declined: &crate::control::status::Declined) -> String {
    format!("{} ({} ago)", declined.reason, declined.age)
}
