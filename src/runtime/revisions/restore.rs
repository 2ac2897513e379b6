//! Keeping a change, and going back behind it.

use super::apply::{unsettled, write};
use super::custodian::{Custodian, Text};
use super::look::{Looked, look, not_accepted};
use crate::control::protocol::{Done, Problem, ProblemCode};
use crate::control::revisions::{
    Application, Applied, Draft, News, Origin, Output, Pending, Return,
};
use crate::runtime::clock;
use crate::runtime::off_thread::off_thread;

/// Who takes back what nobody confirmed.
const ITSELF: &str = "lvs";

impl Custodian {
    pub(super) async fn confirm(&mut self, author: String) -> Result<Done, Problem> {
        let confirmed = self.trial.handle_confirm(clock::now());
        // It may have come too late by a moment.
        let _told_as_event = self.follow_trial().await;
        let pending = confirmed.map_err(unsettled)?;
        self.way_back = None;
        self.clear_pending().await;
        self.tell(News::Confirmed { revision: pending.revision, author });
        Ok(Done::new(format!("revision {} is confirmed", pending.revision)))
    }

    pub(super) async fn undo(
        &mut self,
        author: String,
        reason: Option<String>,
    ) -> Result<Applied, Problem> {
        let Some(pending) = self.trial.pending().cloned() else {
            return self.undo_last(&author, reason).await;
        };
        self.trial.handle_undo(Return::Undone { author, reason }).map_err(unsettled)?;
        let changes = self.follow_trial().await?;
        let now = self.archive.latest().map_or(pending.base, |latest| latest.number);
        Ok(Applied::new(Some(now), changes))
    }

    /// Carries out what the trial asks for.
    pub(super) async fn follow_trial(&mut self) -> Result<usize, Problem> {
        let mut last = Ok(0);
        while let Some(Output::Return { pending, why }) = self.trial.poll_output() {
            let gone_back = self.go_back(&pending, &why).await;
            self.trial.handle_returned(clock::now(), gone_back.is_ok());
            match &gone_back {
                Ok(_) => {
                    (self.way_back, self.stuck) = (None, None);
                    self.clear_pending().await;
                    self.tell(News::Returned { from: pending.revision, to: pending.base, why });
                }
                Err(problem) => self.tell_stuck(pending.base, problem),
            }
            last = gone_back;
        }
        last
    }

    async fn undo_last(
        &mut self,
        author: &str,
        reason: Option<String>,
    ) -> Result<Applied, Problem> {
        let hash = self.in_force.borrow().hash.clone();
        let current = self.archive.with_hash(&hash).map(|one| one.number);
        let Some(earlier) = current.and_then(|current| self.archive.before(current)).cloned()
        else {
            let message = "there is no earlier revision to go back to";
            let mend = "see `piranha config history` for what there is";
            return Err(Problem::new(ProblemCode::NoSuchObject, message, mend));
        };
        let text = self.stored(earlier.hash).await?;
        let mut wanted = Application::new(Draft::Revision(earlier.number.to_string()));
        wanted.reason = reason;
        self.put_in_force(author, wanted, text, Origin::Undone(earlier.number)).await
    }

    /// Brings the revision back that a change replaced. What is in force comes first: a file that
    /// cannot be written is written later.
    async fn go_back(&mut self, pending: &Pending, why: &Return) -> Result<usize, Problem> {
        let text = self.base_text(pending).await?;
        let written = self.write_back(pending, &text).await;
        let is_in_force = self.in_force.borrow().hash == text.hash;
        let changes = if is_in_force { 0 } else { self.load(&text).await? };
        written?;
        self.edited = false;
        let (author, origin) = match why {
            Return::Unconfirmed => (ITSELF, Origin::RolledBack(pending.base)),
            Return::Undone { author, .. } => (author.as_str(), Origin::Undone(pending.base)),
        };
        let reason = why.to_string();
        let _complained = self.record(&text, author, origin, Some(&reason)).await;
        Ok(changes)
    }

    async fn base_text(&self, pending: &Pending) -> Result<Text, Problem> {
        if let Some(bytes) = &self.way_back {
            return Ok(Text::new(bytes.to_vec()));
        }
        let base = self.find(&pending.base.to_string())?.hash.clone();
        self.stored(base).await
    }

    /// Writes the earlier text into the file. What somebody edited there meanwhile is recorded.
    async fn write_back(&mut self, pending: &Pending, text: &Text) -> Result<(), Problem> {
        let original = self.open().await?;
        let tried = self.archive.get(pending.revision).map(|tried| tried.hash.clone());
        let known = [text.hash.as_str(), tried.as_deref().unwrap_or_default()];
        self.record_edits(&original, &known).await?;
        write(original, text.clone()).await.map(drop)
    }

    async fn load(&self, text: &Text) -> Result<usize, Problem> {
        let (path, bytes) = (self.path.clone(), text.bytes.clone());
        let looked = off_thread(move || Ok::<_, Problem>(look(&path, None, &bytes))).await;
        let Looked { accepted, .. } = looked?;
        self.reload(accepted.map_err(|error| not_accepted(&error))?).await
    }

    /// Says once for each reason why going back failed.
    fn tell_stuck(&mut self, to: u64, problem: &Problem) {
        let reason = problem.message.clone();
        if self.stuck.as_ref() != Some(&reason) {
            self.tell(News::Stuck { to, reason: reason.clone() });
        }
        self.stuck = Some(reason);
    }
}
