use crate::cli::piranha::place::{Place, refused};
use crate::cli::piranha::table::Screen;
use crate::cli::piranha::{print, print_json, show};
use crate::cli::{Failure, on_one_thread};
use crate::control::protocol::Daemon;

/// `piranha config history`
#[derive(Debug, clap::Args)]
pub(in crate::cli::piranha) struct History {
    #[command(flatten)]
    place: Place,
    /// Print what this revision says: its number, or how its hash begins.
    revision: Option<String>,
}

impl History {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let mut lvs = self.place.connect(Daemon::Lvs).await?;
            if let Some(name) = &self.revision {
                let known = lvs.config_text(name).await.map_err(refused)?;
                if self.place.json {
                    print_json(&serde_json::to_value(&known)?)?;
                } else {
                    print(&known.text)?;
                }
                return Ok(0);
            }
            let known = lvs.config_history().await.map_err(refused)?;
            if self.place.json {
                print_json(&serde_json::to_value(&known)?)?;
            } else {
                print(show::revision_list(&known, Screen::of_stdout()))?;
            }
            Ok(0)
        })
    }
}
