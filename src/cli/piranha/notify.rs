//! `piranha notify`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{print, print_json};
use crate::cli::{CONFIG_FILE, Failure, on_one_thread, read_config};
use crate::runtime::notify::{self, Trial};

/// The receivers that can be tried, by their directives.
const SINKS: [&str; 5] =
    ["notify_command", "notify_event_command", "notify_fifo", "notify_mail", "notify_webhook"];

/// The commands of `piranha notify`.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell everybody whom lvs.cf names that this is a test: 0 if all took it, 1 if not. A program
    /// that acts on the state of the node is not run.
    Test {
        /// Only those of this directive.
        #[arg(value_parser = SINKS, value_name = "DIRECTIVE")]
        only: Option<String>,
        /// The configuration file.
        #[arg(long, short, value_name = "FILE", default_value = CONFIG_FILE)]
        configfile: PathBuf,
        /// Print JSON.
        #[arg(short, long)]
        json: bool,
    },
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let Self::Test { only, configfile, json } = self;
        let config = read_config(&configfile)?;
        let mut trials = Vec::new();
        on_one_thread(async {
            trials = notify::test(&config, only.as_deref()).await;
            Ok(())
        })?;
        if trials.is_empty() {
            let file = configfile.display();
            return Err(Failure::new(format!("{file}: nobody is to be told of events")));
        }
        if json {
            print_json(&json!({ "told": trials.iter().map(value).collect::<Vec<_>>() }))?;
        } else {
            print(trials.iter().map(line).collect::<String>())?;
        }
        Ok(u8::from(trials.iter().any(|trial| trial.result.is_err())))
    }
}

fn value(trial: &Trial) -> Value {
    let Trial { directive, receiver, result, .. } = trial;
    let (done, failure) = (result.as_ref().ok(), result.as_ref().err());
    json!({ "directive": directive, "receiver": receiver, "done": done, "failure": failure })
}

fn line(trial: &Trial) -> String {
    let Trial { directive, receiver, result, .. } = trial;
    match result {
        Ok(done) => format!("{directive} {receiver}: {done}\n"),
        Err(reason) => format!("{directive} {receiver}: failed: {reason}\n"),
    }
}
