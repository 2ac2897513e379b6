//! States as shapes and words: never by colour alone.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::control::status::{Grade, ServerState, ServiceState};
use crate::failover::State;

/// What a state looks like: its shape in the sprite, and the word beside it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Glyph {
    /// The name of the shape, which is the class that colours it too.
    pub(crate) shape: &'static str,
    pub(crate) word: &'static str,
}

impl fmt::Display for Glyph {
    /// As HTML; there is nothing in it that anybody else wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shape, word } = self;
        write!(
            f,
            "<span class=\"state\" data-state=\"{shape}\"><svg class=\"glyph\" aria-hidden=\"true\">\
             <use href=\"#g-{shape}\"></use></svg><b>{word}</b></span>"
        )
    }
}

const fn glyph(shape: &'static str, word: &'static str) -> Glyph {
    Glyph { shape, word }
}

impl HtmlSafe for Glyph {}

/// Of what nothing is known.
pub(crate) const UNKNOWN: Glyph = glyph("unknown", "UNKNOWN");

impl From<ServerState> for Glyph {
    fn from(state: ServerState) -> Self {
        match state {
            ServerState::Up => glyph("up", "UP"),
            ServerState::Falling => glyph("falling", "FALLING"),
            ServerState::Rising => glyph("rising", "RISING"),
            ServerState::Down => glyph("down", "DOWN"),
            ServerState::Draining => glyph("drain", "DRAIN"),
            ServerState::Disabled => glyph("off", "OFF"),
            ServerState::Waiting => glyph("waiting", "WAITING"),
            ServerState::Unknown => UNKNOWN,
        }
    }
}

impl From<ServiceState> for Glyph {
    fn from(state: ServiceState) -> Self {
        match state {
            ServiceState::Up => glyph("up", "UP"),
            ServiceState::Starting => glyph("rising", "STARTING"),
            ServiceState::Degraded => glyph("degraded", "DEGRADED"),
            ServiceState::Sorry => glyph("sorry", "SORRY"),
            ServiceState::Down => glyph("down", "DOWN"),
            ServiceState::Elsewhere => glyph("waiting", "ELSEWHERE"),
        }
    }
}

impl From<State> for Glyph {
    fn from(state: State) -> Self {
        match state {
            State::Active => glyph("up", "ACTIVE"),
            State::Standby => glyph("waiting", "STANDBY"),
            State::Starting => glyph("rising", "STARTING"),
            State::Acquiring => glyph("rising", "ACQUIRING"),
            State::Releasing => glyph("falling", "RELEASING"),
            State::Failed => glyph("down", "FAILED"),
            State::Stopped => glyph("off", "STOPPED"),
        }
    }
}

impl From<Grade> for Glyph {
    fn from(grade: Grade) -> Self {
        match grade {
            Grade::Ok => glyph("up", "OK"),
            Grade::Warning => glyph("degraded", "WARNING"),
            Grade::Unknown => UNKNOWN,
            Grade::Critical => glyph("down", "CRITICAL"),
        }
    }
}
