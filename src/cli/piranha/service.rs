//! `piranha service`

use clap::Subcommand;

use super::place::Place;
use super::server::service_called;
use super::table::Screen;
use super::{print, print_json, show};
use crate::cli::{Failure, on_one_thread};
use crate::control::protocol::Servers;

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
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            match self {
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
