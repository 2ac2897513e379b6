//! `piranha service`

use std::time::Duration;

use clap::{Args, Subcommand};

use super::place::Place;
use super::server::{Lasting, operate, service_called, wait};
use super::table::Screen;
use super::{print, print_json, show, span};
use crate::cli::{Failure, on_one_thread};
use crate::control::Word;
use crate::control::protocol::{Operated, Operation, Servers};
use crate::runtime::control::now;

/// The commands about virtual services.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the services that are offered.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Show one service with its servers.
    Show {
        #[command(flatten)]
        place: Place,
        /// Its name, which may be shortened as long as it means one.
        service: String,
    },
    /// Take back what was said of a service as a whole; what was said of single servers holds.
    Enable(Change),
    /// Send no new connections to any server of a service; those there are go on.
    ///
    /// With --wait: 0 when the last connection has ended, 5 when some are left after that time.
    Drain {
        #[command(flatten)]
        change: Change,
        /// Disable it after this time, whatever connections are left.
        #[arg(long, value_name = "TIME", value_parser = span::parse)]
        deadline: Option<Duration>,
        /// Wait until its last connection has ended, at most for TIME.
        #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true,
              default_missing_value = "1h", value_parser = span::parse)]
        wait: Option<Duration>,
    },
    /// Take all servers of a service out of the table: its sorry server answers, or nobody.
    Disable(Change),
}

/// What changes of a service have in common.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    place: Place,
    /// Its name, which may be shortened as long as it means one.
    service: String,
    /// Why, for the log and for who looks at it later.
    #[arg(short, long)]
    reason: Option<String>,
    #[command(flatten)]
    lasting: Lasting,
}

impl Change {
    async fn make(&self, word: Word) -> Result<Operated, Failure> {
        let mut operation = Operation::new(format!("{}/*", self.service), word);
        operation.reason.clone_from(&self.reason);
        operation.until = self.lasting.until();
        operate(&self.place, operation).await
    }
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            match self {
                Self::Enable(change) => drop(change.make(Word::Ready).await?),
                Self::Disable(change) => drop(change.make(Word::Disable).await?),
                Self::Drain { change, deadline, wait: limit } => {
                    let deadline = deadline.map(|after| now().after(after));
                    let servers = change.make(Word::Drain { deadline }).await?.servers;
                    if let Some(limit) = limit {
                        return wait(&change.place, &servers, limit).await;
                    }
                }
                Self::List { place } => {
                    let lvs = place.balancing(Servers::None).await?;
                    if place.json {
                        print_json(&serde_json::to_value(&lvs.services)?)?;
                    } else {
                        print(show::service_list(&lvs, Screen::of_stdout()))?;
                    }
                }
                Self::Show { place, service } => {
                    let mut lvs = place.balancing(Servers::All).await?;
                    let name = service_called(&lvs, &service)?;
                    lvs.services.retain(|service| service.name == name);
                    if place.json {
                        print_json(&serde_json::to_value(&lvs.services)?)?;
                    } else {
                        let screen = Screen::of_stdout();
                        let servers = show::server_list(&lvs, screen);
                        print(show::service_list(&lvs, screen) + "\n" + &servers)?;
                    }
                }
            }
            Ok(0)
        })
    }
}
