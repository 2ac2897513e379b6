//! Keeping lvs.cf: what it was, who changed it, and the way back.
//!
//! `lvs` owns its configuration file: it is the one that knows whether the data plane carries what
//! the file asks for, and it tells `pulse` what of it concerns heartbeats and addresses whenever it
//! has read it. A [`Keeper`] runs beside the director in the same process and asks it like any
//! other client: a change is checked, recorded, written and put in force in this order, and what
//! must be confirmed and is not goes back, whether or not whoever made it is still connected.

mod apply;
mod custodian;
mod eye;
mod look;
mod restore;
mod settle;
mod store;
mod watch;

use std::path::PathBuf;

use tokio::sync::{mpsc, oneshot, watch as signal};

use self::custodian::Custodian;
pub use self::settle::settle;
pub use self::store::Store;
use super::control::now;
use super::director::{InForce, Order};
use super::heartbeat::Observer;
use crate::control::Age;
use crate::control::protocol::{Done, Problem, ProblemCode};
use crate::control::revisions::{
    Application, Applied, Draft, Review, RevisionText, Revisions, Standing,
};

/// Tasks that may wait: who asks more waits.
const TASKS: usize = 8;

/// The keeper of one configuration file, running. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Keeper {
    tasks: mpsc::Sender<Task>,
    standing: signal::Receiver<Standing>,
}

/// Something a keeper is asked.
enum Task {
    Review(Draft, oneshot::Sender<Result<Review, Problem>>),
    Apply(String, Application, oneshot::Sender<Result<Applied, Problem>>),
    Confirm(String, oneshot::Sender<Result<Done, Problem>>),
    Undo(String, Option<String>, oneshot::Sender<Result<Applied, Problem>>),
    History(oneshot::Sender<Result<Revisions, Problem>>),
    Text(String, oneshot::Sender<Result<RevisionText, Problem>>),
}

impl Keeper {
    /// Keeps the file at `path`, with its revisions in `store`, for the director behind `orders`
    /// that tells what it runs by through `in_force`. With `watch`, what is edited by hand is
    /// loaded as soon as the file is quiet and without errors.
    ///
    /// Must be called within a tokio runtime. It ends with the director; a change that waits then
    /// goes on waiting when the file is next kept.
    #[must_use]
    pub fn spawn(
        path: PathBuf,
        store: Store,
        orders: mpsc::Sender<Order>,
        in_force: signal::Receiver<InForce>,
        observer: Observer,
        watch: bool,
    ) -> Self {
        let (tasks, receiver) = mpsc::channel(TASKS);
        let (publish, standing) = signal::channel(Standing::default());
        let custodian = Custodian::new(path, store, orders, in_force, publish, observer);
        let custodian = if watch { custodian.watching() } else { custodian };
        tokio::spawn(custodian.run(receiver));
        Self { tasks, standing }
    }

    /// How the file and its revisions stand.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let mut standing = self.standing.borrow().clone();
        standing.left = standing.pending.as_ref().map(|pending| Age(pending.left(now())));
        standing
    }

    /// Looks at a draft and changes nothing.
    ///
    /// # Errors
    /// [`Problem`] where the draft cannot be had; errors in it are told in the review.
    pub async fn review(&self, draft: Draft) -> Result<Review, Problem> {
        self.ask(|answer| Task::Review(draft, answer)).await
    }

    /// Puts a draft in force for `author`.
    ///
    /// # Errors
    /// [`Problem`]; nothing was changed.
    pub async fn apply(&self, author: String, wanted: Application) -> Result<Applied, Problem> {
        self.ask(|answer| Task::Apply(author, wanted, answer)).await
    }

    /// Keeps the change that waits.
    ///
    /// # Errors
    /// [`Problem`] where none waits or it is too late.
    pub async fn confirm(&self, author: String) -> Result<Done, Problem> {
        self.ask(|answer| Task::Confirm(author, answer)).await
    }

    /// Takes the change back that waits, or else the last one.
    ///
    /// # Errors
    /// [`Problem`] where there is nothing to go back to, or going back failed; where a change
    /// waited that is tried again.
    pub async fn undo(&self, author: String, reason: Option<String>) -> Result<Applied, Problem> {
        self.ask(|answer| Task::Undo(author, reason, answer)).await
    }

    /// The revisions that are kept.
    ///
    /// # Errors
    /// [`Problem`] where the keeper has ended.
    pub async fn history(&self) -> Result<Revisions, Problem> {
        self.ask(Task::History).await
    }

    /// What a revision says.
    ///
    /// # Errors
    /// [`Problem`] where there is no such revision, or its text cannot be read.
    pub async fn text(&self, revision: String) -> Result<RevisionText, Problem> {
        self.ask(|answer| Task::Text(revision, answer)).await
    }

    async fn ask<T>(
        &self,
        task: impl FnOnce(oneshot::Sender<Result<T, Problem>>) -> Task,
    ) -> Result<T, Problem> {
        let (sender, answer) = oneshot::channel();
        let _ended = self.tasks.send(task(sender)).await;
        answer.await.unwrap_or_else(|_ended| {
            Err(Problem::new(ProblemCode::State, "lvs is stopping", "ask again when it runs"))
        })
    }
}
