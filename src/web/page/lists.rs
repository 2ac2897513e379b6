//! Pages that are lists: events, audit trail, accounts; and the help.

use askama::Template;

use super::frame::Frame;
use super::glyph::Glyph;
use super::heard::Heard;
use crate::control::status::{ServerState, ServiceState};
use crate::web::Role;
use crate::web::audit::Entry;
use crate::web::chronicle::Told;
use crate::web::form::Form;

/// What has happened.
#[derive(Debug, Template)]
#[template(path = "events.html")]
pub(crate) struct Events {
    frame: Frame,
    events: Vec<Told>,
    /// How old what is known of the partner is, where there is one.
    heard: Option<Heard>,
    query: String,
    warnings: bool,
}

impl Events {
    /// Those of `events` that `asked` lets through (`q`, `warnings`), and when the partner was last
    /// heard from.
    pub(crate) fn new(
        frame: Frame,
        (mut events, heard): (Vec<Told>, Option<Heard>),
        asked: &Form,
    ) -> Self {
        let (query, warnings) =
            (asked.text("q").trim().to_lowercase(), asked.text("warnings") == "1");
        events.retain(|told| {
            let texts = [told.text.as_str(), told.subsystem, told.why.as_deref().unwrap_or("")];
            (told.warning || !warnings)
                && texts.iter().any(|text| text.to_lowercase().contains(&query))
        });
        Self { frame, events, heard, query, warnings }
    }

    /// How old what is known of the node of this event is, where that is the partner.
    fn heard_of(&self, told: &Told) -> Option<&Heard> {
        self.heard.as_ref().filter(|_| !told.is_own)
    }
}

/// Who did what.
#[derive(Debug, Template)]
#[template(path = "audit.html")]
pub(crate) struct Audit {
    pub(crate) frame: Frame,
    pub(crate) entries: Vec<Entry>,
}

/// A session as a row.
#[derive(Debug)]
pub(crate) struct SessionRow {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) address: String,
    pub(crate) agent: String,
    pub(crate) since: String,
    pub(crate) own: bool,
}

/// A user as a row.
#[derive(Debug)]
pub(crate) struct UserRow {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) changed: String,
}

/// A token as a row.
#[derive(Debug)]
pub(crate) struct TokenRow {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) author: String,
    pub(crate) expires: String,
}

/// Sessions; for an admin users and tokens too.
#[derive(Debug, Template)]
#[template(path = "accounts.html")]
pub(crate) struct Accounts {
    pub(crate) frame: Frame,
    pub(crate) sessions: Vec<SessionRow>,
    pub(crate) users: Vec<UserRow>,
    pub(crate) tokens: Vec<TokenRow>,
}

/// Keys, states and words.
#[derive(Debug, Template)]
#[template(path = "help.html")]
pub(crate) struct Help {
    pub(crate) frame: Frame,
}

impl Help {
    /// Every state there is, with what it means.
    fn states() -> Vec<(Glyph, &'static str)> {
        vec![
            (ServerState::Up.into(), "Takes connections."),
            (ServerState::Falling.into(), "Takes connections, and its checks fail; soon down."),
            (ServerState::Rising.into(), "Takes none yet, and its checks pass; soon up."),
            (ServerState::Down.into(), "Fails its checks, or nobody answers for the service."),
            (ServerState::Draining.into(), "No new connections; those it has go on."),
            (ServerState::Disabled.into(), "Taken out by an operator."),
            (ServerState::Waiting.into(), "Could take connections, and waits for others to fail."),
            (ServiceState::Degraded.into(), "Answers, and some of its servers fail."),
            (ServiceState::Sorry.into(), "The sorry server answers for it."),
            (ServiceState::Elsewhere.into(), "The partner holds it."),
            (super::UNKNOWN, "Nothing is known, or what is known is too old."),
        ]
    }
}
