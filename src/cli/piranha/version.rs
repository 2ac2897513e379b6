//! `piranha version`

use clap::Args;
use serde_json::json;

use super::place::Place;
use super::{print, print_json};
use crate::cli::{Failure, on_one_thread};
use crate::control::protocol::{Daemon, VERSION};

/// Say which versions of this command and of the daemons run.
#[derive(Debug, Args)]
pub(super) struct Version {
    #[command(flatten)]
    place: Place,
}

impl Version {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let pulse = self.of(Daemon::Pulse).await;
            let lvs = self.of(Daemon::Lvs).await;
            let own = env!("CARGO_PKG_VERSION");
            if self.place.json {
                print_json(&json!({
                    "piranha": own, "pulse": pulse, "lvs": lvs, "control_protocol": VERSION,
                }))?;
            } else {
                let told =
                    |version: Option<String>| version.unwrap_or("does not answer".to_owned());
                print(format!("piranha {own}\npulse {}\nlvs {}\n", told(pulse), told(lvs)))?;
            }
            Ok(0)
        })
    }

    async fn of(&self, daemon: Daemon) -> Option<String> {
        Some(self.place.client(daemon).await.ok()?.hello().version.clone())
    }
}
