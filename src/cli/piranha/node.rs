//! `piranha node` and `piranha failover`

use std::time::Duration;

use clap::{Args, Subcommand};

use super::place::{Place, refused};
use super::table::Screen;
use super::{print, print_json, show, status};
use crate::cli::{Failure, on_one_thread};
use crate::control::protocol::{Daemon, Done, Scope};
use crate::failover::State;
use crate::time::Instant;

/// The commands about this node.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Pass the service on if this node has it, and do not take over until it is ready again.
    Maintenance(Change),
    /// End maintenance.
    Ready(Change),
}

/// What both have in common.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    place: Place,
    /// Why, for the log.
    #[arg(short, long)]
    reason: Option<String>,
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let (on, change) = match self {
                Self::Maintenance(change) => (true, change),
                Self::Ready(change) => (false, change),
            };
            let mut pulse = change.place.connect(Daemon::Pulse).await?;
            let done = pulse.maintenance(on, change.reason.as_deref()).await.map_err(refused)?;
            tell(&change.place, &done, None)
        })
    }
}

/// Pass the service to the partner, once it has said that it takes it.
///
/// Exit codes: 0 done, or with --dry-run it would be; 1 not, with the reason; 3 nobody can tell.
#[derive(Debug, Args)]
pub(super) struct Failover {
    #[command(flatten)]
    place: Place,
    /// Only say whether it would succeed, and if not why.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Why, for the log.
    #[arg(short, long)]
    reason: Option<String>,
}

impl Failover {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            if self.dry_run {
                return self.rehearse().await;
            }
            let mut pulse = self.place.connect(Daemon::Pulse).await?;
            let begun = now();
            let done = pulse.hand_over(self.reason.as_deref()).await.map_err(refused)?;
            tell(&self.place, &done, Some(now() - begun))
        })
    }

    async fn rehearse(&self) -> Result<u8, Failure> {
        let known = self.place.status(Scope::overview().at_most(status::SERVICES)).await;
        if self.place.json {
            print_json(&serde_json::to_value(&known.verdict)?)?;
        } else {
            print(show::readiness(&known, Screen::of_stdout()))?;
        }
        let holds = known.pulse.known().is_none_or(|pulse| pulse.state == State::Active);
        if !holds {
            let line = "this node does not hold the service: ask the one that does";
            return Err(Failure::new(line));
        }
        Ok(status::code(known.verdict.failover))
    }
}

fn now() -> Instant {
    crate::runtime::clock::now()
}

fn tell(place: &Place, done: &Done, took: Option<Duration>) -> Result<u8, Failure> {
    if place.json {
        let mut value = serde_json::to_value(done)?;
        value["took_ms"] = took.map(|took| took.as_secs_f64() * 1000.0).into();
        print_json(&value)?;
    } else {
        let took = took.map(|took| format!(" ({:.1} ms)", took.as_secs_f64() * 1000.0));
        print(format!("{}{}\n", done.done, took.unwrap_or_default()))?;
    }
    Ok(0)
}
