//! Programs that are told of the state or of events.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::config::Notify;
use crate::runtime::checks::account::{self, Account};
use crate::runtime::checks::program::{self, describe};

/// The event, in the environment of every program.
const EVENT: &str = "PIRANHA_EVENT";

/// Others may write: whoever does so would be this process's user.
const WORLD_WRITABLE: u32 = 0o002;

/// How much of what a program says goes into the log.
const SHOWN: usize = 400;

/// How programs are run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Manner {
    user: Option<String>,
    limit: Duration,
}

impl Manner {
    pub(super) fn new(notify: &Notify) -> Self {
        Self { user: notify.user.clone(), limit: notify.timeout }
    }

    /// Runs `command`, split at blanks, with `more` arguments and `event` in its environment.
    /// Says how it ended and what it said.
    ///
    /// # Errors
    /// Why it did not run to a good end, in words.
    pub(super) async fn run(
        &self,
        command: &str,
        more: &[String],
        event: &str,
    ) -> Result<String, String> {
        let account = self.user.as_deref().map(account::find).transpose();
        let account = account.map_err(|error| error.to_string())?;
        let arguments = command.split_ascii_whitespace().map(str::to_owned);
        let arguments: Vec<_> = arguments.chain(more.iter().cloned()).collect();
        let program = arguments.first().map_or("", String::as_str);
        refuse_others_programs(program, account)?;
        let environment = (EVENT, event);
        let ended = program::trusted(arguments.into_iter(), account, environment, self.limit).await;
        let ended = ended.map_err(|failure| failure.to_string())?;
        let (status, said) = (describe(ended.status), said(&ended.output, &ended.errors));
        match ended.status.success() {
            _ if ended.timed_out => Err(format!("killed after {:?}{said}", self.limit)),
            true => Ok(format!("{status}{said}")),
            false => Err(format!("{status}{said}")),
        }
    }
}

/// A program that anybody can change must not run as root.
fn refuse_others_programs(program: &str, account: Option<Account>) -> Result<(), String> {
    let as_root = account.map_or_else(|| rustix::process::geteuid().is_root(), |a| a.user == 0);
    if !as_root || !program.contains('/') {
        return Ok(());
    }
    let metadata = std::fs::metadata(program);
    if metadata.is_ok_and(|metadata| metadata.mode() & WORLD_WRITABLE != 0) {
        return Err(format!("{program} does not run as root: anybody may write to it (chmod o-w)"));
    }
    Ok(())
}

/// What a program said, fit for one line.
fn said(output: &[u8], errors: &[u8]) -> String {
    let text = [errors, output].into_iter().map(<[u8]>::trim_ascii).find(|text| !text.is_empty());
    let Some(text) = text else {
        return String::new();
    };
    let text = String::from_utf8_lossy(text);
    let shown = text.chars().take(SHOWN).flat_map(|letter| {
        let plain = !letter.is_control();
        letter.escape_default().filter(move |_| !plain).chain(plain.then_some(letter))
    });
    format!(": {}", shown.collect::<String>())
}
