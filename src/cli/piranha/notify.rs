//! `piranha notify`

use clap::Subcommand;

use super::place::{Place, refused};
use super::{print, print_json};
use crate::cli::{Failure, on_one_thread, read_config};
use crate::control::ClientError;
use crate::control::protocol::{Daemon, Notified, NotifiedReceiver};
use crate::runtime::notify;

/// The receivers that can be tried, by their directives.
const SINKS: [&str; 5] =
    ["notify_command", "notify_event_command", "notify_fifo", "notify_mail", "notify_webhook"];

/// The commands of `piranha notify`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Have `lvs` tell everybody whom lvs.cf names that this is a test: 0 if all took it, 1 if not.
    /// Where it does not run, this command does. A program that acts on the state of the node is not
    /// run.
    Test {
        /// Only those of this directive.
        #[arg(value_parser = SINKS, value_name = "DIRECTIVE")]
        only: Option<String>,
        #[command(flatten)]
        place: Place,
    },
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let Self::Test { only, place } = self;
        on_one_thread(async move {
            let Notified { told, .. } = test(&place, only.as_deref()).await?;
            if told.is_empty() {
                let file = place.file().display();
                return Err(Failure::new(format!("{file}: nobody is to be told of events")));
            }
            let failed = told.iter().any(|one| one.failure.is_some());
            if place.json {
                print_json(&serde_json::to_value(Notified::new(told))?)?;
            } else {
                print(told.iter().map(line).collect::<String>())?;
            }
            Ok(u8::from(failed))
        })
    }
}

/// Through `lvs`, which tells of what happens too; without it from here, which is said.
async fn test(place: &Place, only: Option<&str>) -> Result<Notified, Failure> {
    match place.client(Daemon::Lvs).await {
        Ok(mut lvs) => lvs.test_notify(only).await.map_err(refused),
        Err(ClientError::Unreachable { .. }) if place.is_own() => {
            eprintln!("lvs does not run: told by this command, by what the file says");
            let config = read_config(place.file())?;
            let told = notify::test(&config, only).await;
            Ok(Notified::new(told.into_iter().map(Into::into).collect()))
        }
        Err(error) => Err(refused(error)),
    }
}

fn line(one: &NotifiedReceiver) -> String {
    let NotifiedReceiver { directive, receiver, done, failure, .. } = one;
    match (done, failure) {
        (_, Some(reason)) => format!("{directive} {receiver}: failed: {reason}\n"),
        (done, None) => {
            format!("{directive} {receiver}: {}\n", done.as_deref().unwrap_or("told"))
        }
    }
}
