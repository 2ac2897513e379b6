//! Log lines of the daemons.

use std::io::IsTerminal;
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;

use super::diagnostic::Colors;
use crate::control::Event;
use crate::runtime::heartbeat::Observer;

/// Writes log lines to standard error; `verbose` includes details of single packets and probes.
pub(super) fn init(verbose: bool) {
    let level = if verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(colors() == Colors::On)
        .with_target(false)
        .with_max_level(level)
        .init();
}

/// Logs each event as one line.
pub(super) fn observer() -> Observer {
    Arc::new(|event: Event| log(&event))
}

/// Colours if standard error is a terminal whose user did not ask for none (`NO_COLOR`).
pub(super) fn colors() -> Colors {
    let objection = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if std::io::stderr().is_terminal() && !objection { Colors::On } else { Colors::Off }
}

fn log(event: &Event) {
    let subsystem = event.subsystem();
    let reason = event.why().map(|why| format!(" ({why})")).unwrap_or_default();
    if event.is_warning() {
        tracing::warn!("{subsystem}: {event}{reason}");
    } else {
        tracing::info!("{subsystem}: {event}{reason}");
    }
}
