//! Log lines of the daemons.

mod events;
mod lines;
mod repeats;
mod sink;

use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;

pub(super) use self::events::observer;
use self::lines::Lines;
use self::sink::Sink;
use crate::cli::diagnostic::Colors;

/// Log lines that may wait for whoever takes them; further ones are lost.
const WAITING_LINES: usize = 4096;

/// How a daemon logs.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct LogArguments {
    /// Log details.
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// How log lines are written [default: what standard error is connected to].
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(super) log_format: Option<Format>,
}

impl LogArguments {
    /// What makes another daemon log in the same way.
    pub(super) fn options(self) -> Vec<String> {
        let format = self.log_format.and_then(|format| format.to_possible_value());
        let format = format.map(|format| format!("--log-format={}", format.get_name()));
        format.into_iter().chain(self.verbose.then(|| "--verbose".to_owned())).collect()
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// To standard error, with the time.
    Text,
    /// To standard error, one JSON object each.
    Json,
    /// To the journal of systemd, with fields.
    Journal,
    /// To standard error, without the time and with the priority in front, as systemd reads it.
    Priority,
    /// To the system's log daemon.
    Syslog,
}

impl Format {
    /// What suits the standard error there is: the journal if that is at its other end.
    fn suitable() -> Self {
        match (sink::is_journal(), sink::has_journal_socket()) {
            (true, true) => Self::Journal,
            (true, false) => Self::Priority,
            (false, _) => Self::Text,
        }
    }
}

/// Has `program` write log lines as `arguments` say.
///
/// A thread of its own writes them: a terminal, a disk or a log daemon that takes no more holds
/// nobody up. What is returned has the last ones written when it is dropped.
pub(super) fn init(program: &'static str, arguments: LogArguments) -> WorkerGuard {
    let level = if arguments.verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let format = arguments.log_format.unwrap_or_else(Format::suitable);
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(Sink::new(format));
    tracing_subscriber::fmt()
        .with_writer(writer)
        .with_ansi(colors() == Colors::On)
        .with_max_level(level)
        .event_format(Lines::new(program, format))
        .init();
    guard
}

/// Colours if standard error is a terminal whose user did not ask for none (`NO_COLOR`).
pub(super) fn colors() -> Colors {
    let objection = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stderr().is_terminal() && !objection { Colors::On } else { Colors::Off }
}
