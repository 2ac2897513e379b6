//! From a draft to what is in force.

use std::time::Duration;

use tokio::sync::oneshot;

use super::custodian::{Custodian, SOMEBODY, Text};
use super::look::{Looked, look, not_accepted, not_written};
use crate::config::{Change, Effect};
use crate::control::protocol::{Problem, ProblemCode};
use crate::control::revisions::{
    Application, Applied, Confirmation, Described, Draft, News, Origin, Pending, Review, Revision,
    TrialError, wants_confirmation,
};
use crate::runtime::clock;
use crate::runtime::configuration::{Accepted, Original};
use crate::runtime::control::now;
use crate::runtime::director::Order;
use crate::runtime::off_thread::off_thread;

/// How long a change waits to be confirmed unless its author says otherwise.
const WINDOW: Duration = Duration::from_secs(60);

/// The shortest and the longest a change may wait.
const WINDOWS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));

impl Custodian {
    pub(super) async fn review(&self, draft: Draft) -> Result<Review, Problem> {
        let (text, _) = self.resolve(draft).await?;
        let Looked { remarks, changes, accepted } = self.look(&text).await?;
        let mut review = Review {
            base: self.open().await.ok().map(|original| original.hash()),
            in_force: self.in_force.borrow().hash.clone(),
            hash: text.hash,
            remarks,
            confirm: wants_confirmation(&changes),
            changes: changes.into_iter().map(Described::from).collect(),
            ..Review::default()
        };
        if let Ok(accepted) = accepted {
            match self.check(accepted).await {
                Ok(_) => review.usable = true,
                Err(problem) => review.refusal = Some(problem.message),
            }
        }
        Ok(review)
    }

    pub(super) async fn apply(
        &mut self,
        author: &str,
        wanted: Application,
    ) -> Result<Applied, Problem> {
        let (text, origin) = self.resolve(wanted.draft.clone()).await?;
        self.put_in_force(author, wanted, text, origin).await
    }

    /// Checks, records, writes and loads `text`, in this order.
    pub(super) async fn put_in_force(
        &mut self,
        author: &str,
        wanted: Application,
        text: Text,
        origin: Origin,
    ) -> Result<Applied, Problem> {
        self.trial.check_settled().map_err(unsettled)?;
        let original = self.open().await?;
        self.check_base(&wanted, &original)?;
        let Looked { changes, accepted, .. } = self.look(&text).await?;
        let accepted = self.check(accepted.map_err(|error| not_accepted(&error))?).await?;
        let base = self.base(&original).await?;
        if base.hash == text.hash && original.hash() == text.hash {
            return Ok(Applied::new(Some(base.number), 0));
        }
        let before = self.archive.clone();
        self.record_edits(&original, &[&text.hash, &base.hash]).await?;
        let number = self.record(&text, author, origin, wanted.reason.as_deref()).await?;
        let pending = window(wanted.confirm, &changes)
            .map(|window| Pending::new((base.number, number), author.to_owned(), now(), window));
        let brought = self.bring_about(&text, &base, original, pending.clone(), accepted).await;
        let mut applied = match brought {
            Ok(changes) => Applied::new(Some(number), changes),
            Err(problem) => {
                self.forget(before).await;
                return Err(problem);
            }
        };
        let until = pending.as_ref().map(|pending| pending.until);
        let (author, reason) = (author.to_owned(), wanted.reason);
        self.tell(News::Applied { revision: number, author, reason, until });
        applied.pending = pending;
        applied.restart = restarts(&changes);
        Ok(applied)
    }

    /// The text that a draft means, and how it comes to be lvs.cf.
    async fn resolve(&self, draft: Draft) -> Result<(Text, Origin), Problem> {
        match draft {
            Draft::Text(text) => Ok((Text::new(text.into_bytes()), Origin::Applied)),
            Draft::File => {
                let original = self.open().await?;
                Ok((Text::new(original.text().to_vec()), Origin::Applied))
            }
            Draft::Revision(name) => {
                let revision = self.find(&name)?;
                let (number, hash) = (revision.number, revision.hash.clone());
                Ok((self.stored(hash).await?, Origin::Restored(number)))
            }
            Draft::Upload => {
                let message = "nothing was uploaded on this connection";
                Err(Problem::new(ProblemCode::State, message, "upload the draft first"))
            }
        }
    }

    /// Looks at a text beside what is in force, as far as that is known.
    pub(super) async fn look(&self, text: &Text) -> Result<Looked, Problem> {
        let hash = self.in_force.borrow().hash.clone();
        let in_force = match self.stored(hash).await {
            Ok(stored) => Some(stored.bytes.to_vec()),
            Err(_not_recorded) => self.open().await.ok().map(|file| file.text().to_vec()),
        };
        let (path, text) = (self.path.clone(), text.clone());
        off_thread(move || Ok(look(&path, in_force.as_deref(), &text.bytes))).await
    }

    /// Refuses to overwrite what the author has not seen.
    fn check_base(&self, wanted: &Application, original: &Original) -> Result<(), Problem> {
        let hash = original.hash();
        if wanted.base.as_ref().is_some_and(|base| *base != hash) {
            let message = "the configuration was changed by somebody else since this was begun";
            let mend = "compare with what is in the file now, and apply again";
            return Err(Problem::new(ProblemCode::Stale, message, mend));
        }
        let seen = wanted.base.is_some() || wanted.force || wanted.draft == Draft::File;
        if !seen && hash != self.in_force.borrow().hash {
            let message = "the file was edited by hand, and that was not applied";
            let mend = "apply it, discard it by restoring the revision in force, or force this";
            return Err(Problem::new(ProblemCode::Stale, message, mend));
        }
        Ok(())
    }

    /// The revision in force, recorded if it was not yet.
    async fn base(&mut self, original: &Original) -> Result<Revision, Problem> {
        let hash = self.in_force.borrow().hash.clone();
        if let Some(known) = self.archive.with_hash(&hash) {
            return Ok(known.clone());
        }
        if original.hash() == hash {
            let text = Text::new(original.text().to_vec());
            let number = self.record(&text, SOMEBODY, Origin::Found, None).await?;
            return self.find(&number.to_string()).cloned();
        }
        let message = "what is in force is not recorded: there would be no way back";
        Err(Problem::new(ProblemCode::State, message, "reload the file first"))
    }

    /// Remembers what stands in the file and is none of the `known` texts: it is about to go.
    pub(super) async fn record_edits(
        &mut self,
        original: &Original,
        known: &[&str],
    ) -> Result<(), Problem> {
        if known.contains(&original.hash().as_str()) {
            return Ok(());
        }
        let edited = Text::new(original.text().to_vec());
        self.record(&edited, SOMEBODY, Origin::Edited, None).await.map(drop)
    }

    /// Writes the text and loads it. A failure leaves the file and what is in force as they were.
    async fn bring_about(
        &mut self,
        text: &Text,
        base: &Revision,
        original: Original,
        pending: Option<Pending>,
        accepted: Box<Accepted>,
    ) -> Result<usize, Problem> {
        let before = original.text().to_vec();
        if let Some(pending) = &pending {
            self.way_back = Some(self.stored(base.hash.clone()).await?.bytes);
            self.set_pending(pending.clone()).await?;
        }
        let brought = match write(original, text.clone()).await {
            Ok(written) => self.reload(accepted).await.map_err(|problem| (problem, Some(written))),
            Err(problem) => Err((problem, None)),
        };
        match brought {
            Ok(changes) => {
                self.edited = false;
                if let Some(pending) = pending {
                    let left = pending.left(now());
                    let _was_settled = self.trial.handle_applied(clock::now(), pending, left);
                }
                Ok(changes)
            }
            Err((problem, written)) => {
                if let Some(written) = written {
                    self.put_back(written, Text::new(before)).await;
                }
                self.clear_pending().await;
                Err(problem)
            }
        }
    }

    /// Undoes the writing of a text that could not be loaded.
    async fn put_back(&mut self, written: Original, before: Text) {
        if let Err(problem) = write(written, before).await {
            self.complain(format!("the file says what is not in force: {}", problem.message));
        }
    }

    async fn set_pending(&mut self, pending: Pending) -> Result<(), Problem> {
        let store = self.store.clone();
        let set = off_thread(move || store.set_pending(&pending)).await;
        set.map_err(|error| self.complain(format!("no pending change can be kept: {error}")))
    }

    /// Has the director say whether it could run this.
    pub(super) async fn check(&self, accepted: Box<Accepted>) -> Result<Box<Accepted>, Problem> {
        self.ask(|answer| Order::Check { accepted, answer }).await
    }

    /// Has the director run this.
    pub(super) async fn reload(&self, accepted: Box<Accepted>) -> Result<usize, Problem> {
        self.ask(|answer| Order::Reload { accepted: Some(accepted), answer }).await
    }

    async fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, Problem>>) -> Order,
    ) -> Result<T, Problem> {
        let (sender, answer) = oneshot::channel();
        let _stopping = self.orders.send(order(sender)).await;
        answer.await.unwrap_or_else(|_stopping| {
            Err(Problem::new(ProblemCode::State, "lvs is stopping", "ask again when it runs"))
        })
    }
}

/// Writes a text in place of the one that was read, unless it says so already.
pub(super) async fn write(mut original: Original, text: Text) -> Result<Original, Problem> {
    if original.hash() == text.hash {
        return Ok(original);
    }
    off_thread(move || {
        original.replace(&text.bytes).map_err(|error| not_written(&error))?;
        Ok(original)
    })
    .await
}

/// How long a change waits to be confirmed, if it does.
fn window(wanted: Confirmation, changes: &[Change]) -> Option<Duration> {
    match wanted {
        Confirmation::Never => None,
        Confirmation::Within(window) => Some(window.0.clamp(WINDOWS.0, WINDOWS.1)),
        Confirmation::Auto => wants_confirmation(changes).then_some(WINDOW),
    }
}

/// What needs more than a reload, in words.
fn restarts(changes: &[Change]) -> Vec<String> {
    let restarts = changes.iter().filter(|change| change.effect == Effect::Restart);
    restarts.map(Change::to_string).collect()
}

pub(super) fn unsettled(error: TrialError) -> Problem {
    let mend = match error {
        TrialError::NothingPending => "see `piranha config history`",
        TrialError::Pending => "confirm or undo it first",
        TrialError::Returning => "wait until it is, and apply again",
    };
    Problem::new(ProblemCode::State, error.to_string(), mend)
}
