//! What became of a change on the partner, and the way back here where nothing did.
//!
//! A partner that agreed may refuse all the same, because its disk is full for example, or be gone
//! before it answers. Both nodes end with the same lvs.cf: here the change is taken back if it is
//! known that the partner does not have it, and is kept, and owed to the partner, if nobody knows.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Agreement, Brought, later};
use crate::control::protocol::{Daemon, Problem, ProblemCode};
use crate::control::revisions::{Applied, Revisions};
use crate::runtime::configuration::fingerprint;
use crate::runtime::control::{Client, ClientError, partner_directory};

/// How long a partner that did not answer is asked what it has: `lvs` is started again, and reads
/// its file, in less.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is asked meanwhile.
const PAUSE: Duration = Duration::from_millis(200);

/// A change that is in force here, and may be taken back.
pub(super) struct Here<'a> {
    pub(super) control: &'a Path,
    pub(super) applied: &'a Applied,
    pub(super) on_behalf_of: Option<&'a str>,
}

impl Agreement {
    /// What is to be said, and done here, of a partner that did not do as it had agreed.
    pub(super) async fn failed(&self, here: &Here<'_>, error: ClientError) -> Brought {
        match error {
            ClientError::Refused(problem) if problem.code != ProblemCode::TimedOut => {
                self.take_back(here, &told(&problem)).await
            }
            unknown => self.find_out(here, &unknown).await,
        }
    }

    /// Asks the partner for its file: `lvs` answers that only when it has done with the change.
    async fn find_out(&self, here: &Here<'_>, error: &ClientError) -> Brought {
        let Some(there) = history(&partner_directory(here.control)).await else {
            return later(here.control, error).await;
        };
        match there.file {
            Some(hash) if hash == fingerprint(self.text.as_bytes()) => {
                Brought { done: true, pending: there.standing.pending, ..Brought::default() }
            }
            Some(hash) if hash == self.base => self.take_back(here, &error.to_string()).await,
            _ => Brought::failed(format!("{error}; it has another lvs.cf by now")),
        }
    }

    /// Takes the change back here that the partner does not have.
    async fn take_back(&self, here: &Here<'_>, why: &str) -> Brought {
        let mut brought = Brought::failed(why);
        match self.go_back(here, why).await {
            Ok(taken_back) => brought.taken_back = taken_back,
            Err(error) => {
                brought.why = Some(format!("{why}; it could not be taken back here: {error}"));
            }
        }
        brought
    }

    /// Whether there was a change here to take back: a draft that said what was there made none,
    /// and what was changed again since is somebody else's.
    async fn go_back(&self, here: &Here<'_>, why: &str) -> Result<bool, ClientError> {
        let mut lvs = Client::connect(here.control, Daemon::Lvs).await?;
        let revision = here.applied.revision;
        let in_force = lvs.config_history().await?.standing.revision;
        if revision.is_none() || revision == self.before || in_force != revision {
            return Ok(false);
        }
        let reason = format!("{} could not put it in force: {why}", self.node);
        lvs.undo_config(Some(&reason), here.on_behalf_of).await?;
        Ok(true)
    }
}

fn told(problem: &Problem) -> String {
    format!("{} ({})", problem.message, problem.mend)
}

/// What is known of the file of the node that `control` leads to, as soon as it answers.
async fn history(control: &Path) -> Option<Revisions> {
    let end = Instant::now() + PATIENCE;
    loop {
        let asked = async { Client::connect(control, Daemon::Lvs).await?.config_history().await };
        match asked.await {
            Ok(known) => return Some(known),
            Err(_) if Instant::now() < end => sleep(PAUSE).await,
            Err(_) => return None,
        }
    }
}
