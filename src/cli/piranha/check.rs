//! `piranha check`

use clap::Subcommand;

use super::place::{Place, refused};
use super::{print, print_json};
use crate::cli::{Failure, on_one_thread, read_config};
use crate::control::protocol::{CheckResult, Checked, Daemon};
use crate::runtime::director::Trial;

/// The commands about health checks.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check a server once, now, by the settings of its service, and say what came of it.
    ///
    /// `lvs` runs the check, as it runs its own; nothing follows from the result. Exit codes: 0 it
    /// passed, 1 it failed or could not be run.
    Run {
        #[command(flatten)]
        place: Place,
        /// SERVICE/SERVER, or SERVER in all its services; by name, address, or address and port.
        target: String,
        /// What was sent and received too.
        #[arg(short, long)]
        verbose: bool,
        /// From this process and the file, without lvs.
        #[arg(short, long)]
        local: bool,
    },
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let Self::Run { place, target, verbose, local } = self;
        on_one_thread(async move {
            let checks = if local {
                from_here(&place, &target).await?
            } else {
                let mut lvs = place.connect(Daemon::Lvs).await?;
                lvs.check(&target).await.map_err(refused)?.checks
            };
            let failed = checks.iter().any(|check| check.failure.is_some());
            if place.json {
                print_json(&serde_json::to_value(Checked::new(checks))?)?;
            } else {
                print(checks.iter().map(|check| told(check, verbose)).collect::<String>())?;
            }
            Ok(u8::from(failed))
        })
    }
}

async fn from_here(place: &Place, target: &str) -> Result<Vec<CheckResult>, Failure> {
    let config = read_config(place.file())?;
    let mut checks = Vec::new();
    for trial in Trial::of(&config, target)? {
        checks.push(trial.run().await);
    }
    Ok(checks)
}

fn told(check: &CheckResult, verbose: bool) -> String {
    let CheckResult { service, server, address, kind, .. } = check;
    let transcript = check.transcript.iter().filter(|_| verbose);
    let mut text: String = transcript.map(|line| format!("{line}\n")).collect();
    let (whole, tenths) = (check.took_us / 1000, check.took_us / 100 % 10);
    let outcome = match &check.failure {
        None => "passed".to_owned(),
        Some(why) => format!("FAILED: {why}"),
    };
    text += &format!("{service}/{server} ({address}, {kind}): {outcome} ({whole}.{tenths} ms)\n");
    text
}
