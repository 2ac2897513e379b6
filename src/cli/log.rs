//! Log lines of the daemons.

use std::io::IsTerminal;
use std::sync::Arc;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;

use super::diagnostic::Colors;
use crate::control::Event;
use crate::runtime::heartbeat::Observer;

/// Log lines that may wait for whoever reads standard error; further ones are lost.
const WAITING_LINES: usize = 4096;

/// Writes log lines to standard error; `verbose` includes details of single packets and probes.
///
/// A thread of its own writes them: a terminal or a disk that takes no more holds nobody up. What
/// is returned has the last ones written when it is dropped.
pub(super) fn init(verbose: bool) -> WorkerGuard {
    let level = if verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(std::io::stderr());
    tracing_subscriber::fmt()
        .with_writer(writer)
        .with_ansi(colors() == Colors::On)
        .with_target(false)
        .with_max_level(level)
        .init();
    guard
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
