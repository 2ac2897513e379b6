//! Loading what was edited by hand without being asked.

use std::path::Path;

use super::custodian::{Custodian, Text};
use super::eye::Eye;
use super::look::{Glance, Looked, not_accepted};
use crate::config::Code;
use crate::control::Event;
use crate::control::protocol::{Problem, ProblemCode};
use crate::control::revisions::Remark;

/// What is watched for.
pub(super) struct Watch {
    /// Nothing where the kernel does not tell; then the file is looked at from time to time.
    eye: Option<Eye>,
    /// What the file looked like last time.
    last: Option<Glance>,
    /// The hash of what could not be loaded: it is not tried again.
    unfit: Option<String>,
}

impl Watch {
    pub(super) fn new(path: &Path) -> Self {
        Self { eye: Eye::on(path).ok(), last: None, unfit: None }
    }

    /// Waits until something was written beside the file, or for ever where nobody watches.
    pub(super) async fn stirred(watch: Option<&Self>) {
        match watch.and_then(|watch| watch.eye.as_ref()) {
            Some(eye) => eye.stirred().await,
            None => std::future::pending().await,
        }
    }

    /// Whether the file looks as it did last time: whoever writes it has come to an end.
    pub(super) fn is_quiet(&mut self, now: Option<Glance>) -> bool {
        std::mem::replace(&mut self.last, now) == now
    }

    /// Whether this text was not tried yet. Asked once, it was.
    fn is_new(&mut self, hash: &str) -> bool {
        let is_new = self.unfit.as_deref() != Some(hash);
        self.unfit = Some(hash.to_owned());
        is_new
    }
}

impl Custodian {
    /// Loads what stands in the file, if it has no errors.
    pub(super) async fn load_edits(&mut self) {
        let Ok(original) = self.open().await else { return };
        let text = Text::new(original.text().to_vec());
        if !self.watch.as_mut().is_some_and(|watch| watch.is_new(&text.hash)) {
            return;
        }
        if let Err(problem) = self.try_edits(&text).await {
            (self.observer)(Event::ReloadFailed { reason: problem.message });
        }
    }

    /// What is refused before it gets to the director, the director does not tell.
    async fn try_edits(&self, text: &Text) -> Result<(), Problem> {
        let Looked { accepted, remarks, .. } = self.look(text).await?;
        if let Some(open) = remarks.iter().find(|one| one.code == Code::UnclosedBlock.as_str()) {
            return Err(half_written(open));
        }
        let accepted = accepted.map_err(|error| not_accepted(&error))?;
        let accepted = self.check(accepted).await?;
        let _told_by_the_director = self.reload(accepted).await;
        Ok(())
    }
}

/// A block without an end is a warning to who asks for it, and here most likely half a file.
fn half_written(open: &Remark) -> Problem {
    let message = format!("{}:{}: {}", open.file, open.span.start, open.message);
    Problem::new(ProblemCode::Configuration, message, "close the block, or apply the file as it is")
}
