//! What stands around every page: which node this is, what it does, and whether all is well.

use super::glyph::{Glyph, UNKNOWN};
use crate::control::revisions::Pending;
use crate::control::status::{Failover, Grade, Heartbeats, Reading, Status, Verdict};
use crate::failover::State;
use crate::web::Role;

/// The frame of a page.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// What the page is about.
    pub(crate) title: String,
    /// The entry of the navigation it belongs to.
    pub(crate) place: &'static str,
    pub(crate) node: String,
    /// The configured role, in capitals.
    pub(crate) part: String,
    pub(crate) state: Glyph,
    /// `active`, `standby` or `other`: the colour of the band.
    pub(crate) band: &'static str,
    pub(crate) partner: Option<Chip>,
    pub(crate) verdict: Chip,
    pub(crate) user: String,
    pub(crate) role: Role,
    pub(crate) csrf: String,
    pub(crate) told: String,
    /// The change of lvs.cf that waits to be confirmed.
    pub(crate) trial: Option<Trial>,
}

/// A change of lvs.cf that goes back unless somebody confirms it.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) revision: u64,
    pub(crate) base: u64,
    pub(crate) author: String,
    /// Seconds it still has.
    pub(crate) left: u64,
}

/// A state with a few words.
#[derive(Clone, Debug)]
pub(crate) struct Chip {
    pub(crate) glyph: Glyph,
    pub(crate) text: String,
}

impl Frame {
    /// The frame of the page `title` for the user `name`, over what is known.
    pub(crate) fn new(
        (title, place): (&str, &'static str),
        status: &Status,
        (user, role): (&str, Role),
        csrf: String,
    ) -> Self {
        let known = status.pulse.known();
        let state = known.map(|pulse| pulse.state);
        Self {
            title: title.to_owned(),
            place,
            node: status.node.clone(),
            part: known.map_or("", |pulse| part(pulse)).to_owned(),
            state: state.map_or(UNKNOWN, Glyph::from),
            band: band(state),
            partner: known.and_then(partner),
            verdict: chip(&status.verdict),
            user: user.to_owned(),
            role,
            csrf,
            told: status.at.to_string(),
            trial: trial(status),
        }
    }

    /// What the tab says: node, role, state, verdict.
    pub(crate) fn tab(&self) -> String {
        let Self { node, part, state, verdict, title, .. } = self;
        format!("{node} {part} {} · {} · {title}", state.word, verdict.text)
    }

    pub(crate) fn may_operate(&self) -> bool {
        self.role >= Role::Operator
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.role >= Role::Admin
    }
}

fn trial(status: &Status) -> Option<Trial> {
    let standing = status.lvs.known()?.configuration.standing.as_ref()?;
    let Pending { revision, base, author, .. } = standing.pending.clone()?;
    let left = standing.left.map_or(0, |left| left.0.as_secs());
    Some(Trial { revision, base, author, left })
}

fn part(pulse: &Heartbeats) -> &'static str {
    match pulse.role {
        crate::failover::Role::Primary => "PRIMARY",
        crate::failover::Role::Backup => "BACKUP",
    }
}

const fn band(state: Option<State>) -> &'static str {
    match state {
        Some(State::Active) => "active",
        Some(State::Standby) => "standby",
        _ => "other",
    }
}

fn partner(pulse: &Heartbeats) -> Option<Chip> {
    if pulse.paths.is_empty() {
        return None;
    }
    let Some(partner) = &pulse.partner else {
        return Some(Chip { glyph: UNKNOWN, text: "partner never heard".to_owned() });
    };
    if !pulse.hears_partner() {
        let text = format!("partner silent for {}", partner.age);
        return Some(Chip { glyph: UNKNOWN, text });
    }
    let glyph = Glyph::from(partner.state);
    Some(Chip { glyph, text: format!("partner {}", glyph.word) })
}

/// The verdict in a few words.
pub(crate) fn chip(verdict: &Verdict) -> Chip {
    let against = verdict.against_failover().count();
    let reasons = if against == 1 { "1 reason".to_owned() } else { format!("{against} reasons") };
    let split = verdict
        .reasons
        .iter()
        .any(|reason| reason.code == crate::control::status::ReasonCode::SplitBrain);
    let text = match verdict.failover {
        _ if split => "SPLIT BRAIN".to_owned(),
        Failover::WouldSucceed => "READY".to_owned(),
        Failover::WouldFail => format!("NOT READY: {reasons}"),
        Failover::NoPartner => "NO PARTNER".to_owned(),
        Failover::Unknown => "UNKNOWN".to_owned(),
    };
    Chip { glyph: Glyph::from(verdict.health), text }
}

/// The answers to the two questions, in a sentence.
pub(crate) fn sentence(status: &Status) -> String {
    let health = match status.verdict.health {
        Grade::Ok => "Healthy.",
        Grade::Warning => "The service runs, but something that protects it does not.",
        Grade::Critical => "The service, or a part of it, does not run.",
        Grade::Unknown => "It is not known whether the service runs.",
    };
    let holder = match &status.pulse {
        Reading::Known(pulse) if pulse.state == State::Active => {
            format!(" {} has been active for {}.", status.node, pulse.since)
        }
        Reading::Known(pulse) => {
            format!(" {} has been {} for {}.", status.node, pulse.state, pulse.since)
        }
        Reading::Unknown { .. } => String::new(),
    };
    let failover = match status.verdict.failover {
        Failover::WouldSucceed => "A failover would succeed.",
        Failover::WouldFail => "A failover would fail.",
        Failover::NoPartner => "There is no partner to fail over to.",
        Failover::Unknown => "Whether a failover would succeed is not known.",
    };
    format!("{health}{holder} {failover}")
}
