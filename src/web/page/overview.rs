use askama::Template;

use super::frame::{Frame, sentence};
use super::glyph::Glyph;
use crate::control::status::{Reason, Status};

/// The state of the pair at a glance.
#[derive(Debug, Template)]
#[template(path = "overview.html")]
pub(crate) struct Overview<'a> {
    frame: Frame,
    sentence: String,
    verdict: Glyph,
    reasons: &'a [Reason],
}

impl<'a> Overview<'a> {
    pub(crate) fn new(frame: Frame, status: &'a Status) -> Self {
        let verdict = Glyph::from(status.verdict.health);
        Self { frame, sentence: sentence(status), verdict, reasons: &status.verdict.reasons }
    }
}
