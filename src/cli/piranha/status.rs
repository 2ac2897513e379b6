//! `piranha status` and `piranha readiness`

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::place::Place;
use super::table::Screen;
use super::{print, print_json, show, span};
use crate::cli::{Failure, on_one_thread};
use crate::control::protocol::{Scope, Servers};
use crate::control::status;
use crate::control::status::{Failover, Reading};

/// So many services are shown where not all of them were asked for: more is read by nobody.
pub(super) const SERVICES: usize = 100;

/// The exit code where nobody answers, for LSB and for Nagios.
const NOTHING_RUNS: u8 = 3;

/// Say whether the pair is healthy and would fail over, and what it does.
///
/// Of many services those are shown that there is something to notice of, a hundred at most.
///
/// Exit codes: 0 the director runs, 3 it does not (or cannot be asked). With --nagios: 0 ok,
/// 1 warning, 2 critical, 3 unknown.
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    place: Place,
    /// How much is told, and how: the same as --wide, --brief and --json.
    #[arg(short, long, value_name = "FORM", value_enum, conflicts_with_all = ["wide", "brief", "json"])]
    output: Option<Form>,
    /// Every service, every server, and traffic.
    #[arg(short, long)]
    wide: bool,
    /// One line for the pair and one for each service.
    #[arg(short, long, conflicts_with = "wide")]
    brief: bool,
    /// One line for a monitoring plugin, and its exit code.
    #[arg(long, conflicts_with_all = ["output", "wide", "brief", "json", "watch"])]
    nagios: bool,
    /// Again and again, every SECONDS; with --json one line each.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
          default_missing_value = "2", value_parser = span::parse)]
    watch: Option<Duration>,
}

/// How a status is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Form {
    /// Every service, every server, and traffic.
    Wide,
    /// One line for the pair and one for each service.
    Brief,
    /// As JSON.
    Json,
}

impl Status {
    pub(super) fn run(mut self) -> Result<u8, Failure> {
        self.wide |= self.output == Some(Form::Wide);
        self.brief |= self.output == Some(Form::Brief);
        self.place.json |= self.output == Some(Form::Json);
        on_one_thread(async move {
            loop {
                let status = self.place.status(self.scope()).await;
                let code = self.show(&status)?;
                match self.watch {
                    Some(pause) => tokio::time::sleep(pause.max(Duration::from_millis(100))).await,
                    None => return Ok(code),
                }
            }
        })
    }

    fn scope(&self) -> Scope {
        if self.place.json || self.wide {
            Scope::of(Servers::All)
        } else if self.brief {
            Scope::overview()
        } else if self.nagios {
            // The line names the worst, and counts the others.
            Scope::overview().at_most(1)
        } else {
            Scope::of(Servers::Notable).at_most(SERVICES)
        }
    }

    fn show(&self, status: &status::Status) -> Result<u8, Failure> {
        let screen = Screen::of_stdout();
        let code = match status.pulse {
            Reading::Known(_) => 0,
            Reading::Unknown { .. } => NOTHING_RUNS,
        };
        if self.nagios {
            let (line, code) = show::nagios(status);
            return print(line).map(|()| code);
        }
        if self.place.json && self.watch.is_some() {
            print(serde_json::to_string(status)? + "\n")?;
        } else if self.place.json {
            print_json(&serde_json::to_value(status)?)?;
        } else {
            let text = if self.brief {
                show::brief(status, screen)
            } else {
                show::status(status, screen, self.wide)
            };
            // From the top of the screen, so that it stands still where nothing changes.
            let begin = if self.watch.is_some() && screen.colored { "\x1b[H\x1b[2J" } else { "" };
            print(begin.to_owned() + &text)?;
        }
        Ok(code)
    }
}

/// Say whether a failover would succeed now, and if not why.
///
/// Exit codes: 0 it would, 1 it would not or there is no partner, 3 nobody can tell.
#[derive(Debug, Args)]
pub(super) struct Readiness {
    #[command(flatten)]
    place: Place,
}

impl Readiness {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let status = self.place.status(Scope::overview().at_most(SERVICES)).await;
            if self.place.json {
                print_json(&serde_json::to_value(&status.verdict)?)?;
            } else {
                print(show::readiness(&status, Screen::of_stdout()))?;
            }
            Ok(code(status.verdict.failover))
        })
    }
}

/// The exit code of an answer.
pub(super) const fn code(failover: Failover) -> u8 {
    match failover {
        Failover::WouldSucceed => 0,
        Failover::WouldFail | Failover::NoPartner => 1,
        _ => NOTHING_RUNS,
    }
}
