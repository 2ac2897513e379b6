//! What a status looks like in a terminal.

mod revisions;
mod servers;
mod summary;
#[cfg(test)]
mod tests;

pub(super) use revisions::{applied, remarks, revision_list};
pub(super) use servers::{override_list, server_list, service_list};
#[cfg(feature = "tui")]
pub(super) use servers::{reason, service_reason, weight};
#[cfg(feature = "tui")]
pub(super) use summary::answers;
pub(super) use summary::{brief, nagios, readiness, status};

use crate::control::status::{Grade, ServerState, ServiceState};

use super::table::Tone;

pub(super) const fn tone(grade: Grade) -> Tone {
    match grade {
        Grade::Ok => Tone::Good,
        Grade::Warning => Tone::Warning,
        _ => Tone::Bad,
    }
}

pub(super) const fn service_tone(state: ServiceState) -> Tone {
    match state {
        ServiceState::Up => Tone::Good,
        ServiceState::Down => Tone::Bad,
        ServiceState::Elsewhere => Tone::Plain,
        _ => Tone::Warning,
    }
}

pub(super) const fn server_tone(state: ServerState) -> Tone {
    match state {
        ServerState::Up => Tone::Good,
        ServerState::Down => Tone::Bad,
        ServerState::Falling | ServerState::Rising => Tone::Warning,
        _ => Tone::Plain,
    }
}
