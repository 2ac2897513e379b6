//! The task behind a [`Keeper`](super::Keeper).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch as signal};

use super::look::{Glance, open};
use super::watch::Watch;
use super::{Store, Task};
use crate::control::protocol::{Problem, ProblemCode};
use crate::control::revisions::{
    Archive, Limits, News, Origin, Pending, Revision, RevisionText, Revisions, Standing, Trial,
};
use crate::control::{Age, Event};
use crate::runtime::clock;
use crate::runtime::configuration::{Original, fingerprint};
use crate::runtime::control::now;
use crate::runtime::director::{InForce, Order};
use crate::runtime::heartbeat::Observer;
use crate::runtime::off_thread::off_thread;

/// How often the file is looked at for edits by hand.
const LOOK: Duration = Duration::from_secs(2);

/// How long a file must be quiet before what was edited is loaded.
const QUIET: Duration = Duration::from_millis(300);

/// Who made what nobody said anything about.
pub(super) const SOMEBODY: &str = "unknown";

pub(super) struct Custodian {
    pub(super) path: PathBuf,
    pub(super) store: Store,
    pub(super) archive: Archive,
    pub(super) trial: Trial,
    /// What comes back, held in memory: a disk that fails must not close the way back.
    pub(super) way_back: Option<Arc<Vec<u8>>>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) in_force: signal::Receiver<InForce>,
    publish: signal::Sender<Standing>,
    pub(super) observer: Observer,
    glance: Option<Glance>,
    pub(super) edited: bool,
    /// Why nothing can be recorded.
    trouble: Option<String>,
    /// Why going back failed, so that it is told once.
    pub(super) stuck: Option<String>,
    /// What is edited is loaded, as far as it can be.
    pub(super) watch: Option<Watch>,
}

/// A text and what it goes by.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) hash: String,
}

impl Text {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { hash: fingerprint(&bytes), bytes: Arc::new(bytes) }
    }
}

impl Custodian {
    pub(super) fn new(
        path: PathBuf,
        store: Store,
        orders: mpsc::Sender<Order>,
        in_force: signal::Receiver<InForce>,
        publish: signal::Sender<Standing>,
        observer: Observer,
    ) -> Self {
        Self {
            path,
            store,
            archive: Archive::default(),
            trial: Trial::default(),
            way_back: None,
            orders,
            in_force,
            publish,
            observer,
            glance: None,
            edited: false,
            trouble: None,
            stuck: None,
            watch: None,
        }
    }

    pub(super) fn watching(mut self) -> Self {
        self.watch = Some(Watch::new(&self.path));
        self
    }

    pub(super) async fn run(mut self, mut tasks: mpsc::Receiver<Task>) {
        self.remember().await;
        let mut look = clock::now();
        loop {
            self.publish();
            tokio::select! {
                task = tasks.recv() => match task {
                    Some(task) => self.on_task(task).await,
                    None => return,
                },
                changed = self.in_force.changed() => match changed {
                    Ok(()) => self.notice().await,
                    Err(_director_gone) => return,
                },
                () = clock::sleep_until_or_forever(self.trial.poll_timeout()) => {
                    self.trial.handle_timeout(clock::now());
                    let _told_as_event = self.follow_trial().await;
                }
                () = Watch::stirred(self.watch.as_ref()) => look = look.min(clock::now() + QUIET),
                () = clock::sleep_until(look) => {
                    look = clock::now() + self.look_again().await;
                    self.settle_records().await;
                }
            }
        }
    }

    /// Reads what was known in an earlier life.
    async fn remember(&mut self) {
        let store = self.store.clone();
        let read =
            off_thread(move || Ok::<_, std::io::Error>((store.archive()?, store.pending()?)));
        let pending = match read.await {
            Ok((archive, pending)) => {
                self.archive = archive;
                pending
            }
            Err(error) => {
                self.complain(format!("the history of the configuration is lost: {error}"));
                None
            }
        };
        self.notice().await;
        if let Some(pending) = pending {
            self.resume(pending).await;
        }
    }

    /// Tries again to remember that no change waits any more.
    async fn settle_records(&mut self) {
        if self.trouble.is_some() && self.trial.pending().is_none() {
            self.clear_pending().await;
        }
    }

    /// Goes on waiting for the confirmation of a change.
    async fn resume(&mut self, pending: Pending) {
        let base = self.archive.get(pending.base).map(|base| base.hash.clone());
        let hash = self.in_force.borrow().hash.clone();
        if base.as_ref() == Some(&hash) {
            // It ended before it was in force.
            return self.clear_pending().await;
        }
        self.way_back = match base {
            Some(base) => self.stored(base).await.ok().map(|text| text.bytes),
            None => None,
        };
        let left = pending.left(now());
        let _settled_before = self.trial.handle_applied(clock::now(), pending, left);
    }

    async fn on_task(&mut self, task: Task) {
        match task {
            Task::Review(draft, answer) => drop(answer.send(self.review(draft).await)),
            Task::Apply(author, wanted, answer) => {
                drop(answer.send(self.apply(&author, wanted).await));
            }
            Task::Confirm(author, answer) => drop(answer.send(self.confirm(author).await)),
            Task::Undo(author, reason, answer) => {
                drop(answer.send(self.undo(author, reason).await));
            }
            Task::History(answer) => drop(answer.send(Ok(self.history().await))),
            Task::Text(name, answer) => drop(answer.send(self.text(&name).await)),
        }
    }

    /// Reads which revisions there are, and where things stand.
    async fn history(&mut self) -> Revisions {
        self.look_for_edits().await;
        self.publish();
        let file = self.open().await.ok().map(|original| original.hash());
        let standing = self.publish.borrow().clone();
        Revisions::new(self.archive.iter().cloned().collect(), file, standing)
    }

    async fn text(&self, name: &str) -> Result<RevisionText, Problem> {
        let revision = self.find(name)?.clone();
        let text = self.stored(revision.hash.clone()).await?;
        let text = String::from_utf8(text.bytes.to_vec()).map_err(|_bytes| {
            let message = format!("revision {} is not in UTF-8", revision.number);
            let mend = "restore it by its number; it cannot be shown";
            Problem::new(ProblemCode::State, message, mend)
        })?;
        Ok(RevisionText::new(revision, text))
    }

    pub(super) fn find(&self, name: &str) -> Result<&Revision, Problem> {
        self.archive.find(name).map_err(|error| {
            let mend = "see `piranha config history` for what there is";
            Problem::new(ProblemCode::NoSuchObject, error.to_string(), mend)
        })
    }

    /// Records what came into force in another way than through here.
    async fn notice(&mut self) {
        let InForce { hash, saved_by } = self.in_force.borrow_and_update().clone();
        self.glance = None;
        if self.archive.latest().is_none_or(|latest| latest.hash != hash) {
            self.record_found(&hash, saved_by).await;
        }
        self.look_for_edits().await;
    }

    /// Records what stands in the file, if that is what is in force.
    async fn record_found(&mut self, hash: &str, saved_by: Option<(String, Option<String>)>) {
        let Ok(original) = self.open().await else { return };
        if original.hash() != hash {
            return;
        }
        let origin = match &saved_by {
            Some(_) => Origin::Saved,
            None if self.archive.latest().is_none() => Origin::Found,
            None => Origin::Edited,
        };
        let (author, reason) = saved_by.unwrap_or_else(|| (SOMEBODY.to_owned(), None));
        let text = Text::new(original.text().to_vec());
        let _complained = self.record(&text, &author, origin, reason.as_deref()).await;
    }

    /// Looks at the file, loads what was edited if that is wanted, and returns when to look again.
    async fn look_again(&mut self) -> Duration {
        self.look_for_edits().await;
        let unsettled = self.trial.pending().is_some();
        let Some(watch) = self.watch.as_mut().filter(|_| self.edited && !unsettled) else {
            return LOOK;
        };
        if !watch.is_quiet(self.glance) {
            return QUIET;
        }
        self.load_edits().await;
        LOOK
    }

    async fn look_for_edits(&mut self) {
        let path = self.path.clone();
        let glance = off_thread(move || Ok::<_, Problem>(Glance::at(&path))).await.ok().flatten();
        if glance == self.glance {
            return;
        }
        let Ok(original) = self.open().await else { return };
        self.glance = glance;
        let edited = original.hash() != self.in_force.borrow().hash;
        if edited && !std::mem::replace(&mut self.edited, edited) {
            self.tell(News::Edited);
        }
        self.edited = edited;
    }

    /// Remembers `text` as the last revision and returns its number.
    pub(super) async fn record(
        &mut self,
        text: &Text,
        author: &str,
        origin: Origin,
        reason: Option<&str>,
    ) -> Result<u64, Problem> {
        let mut archive = self.archive.clone();
        let entry = (text.hash.as_str(), text.bytes.len() as u64);
        let number = archive.record(entry, now(), author, origin, reason).number;
        archive.trim(Limits::default(), &self.needed());
        let (store, text, kept) = (self.store.clone(), text.clone(), archive.clone());
        let written = off_thread(move || {
            store.keep_text(&text.hash, &text.bytes)?;
            store.write(&kept)
        });
        match written.await {
            Ok(()) => {
                (self.archive, self.trouble) = (archive, None);
                Ok(number)
            }
            Err(error) => Err(self.complain(format!("no revision can be recorded: {error}"))),
        }
    }

    /// Goes back to the revisions there were before one that came to nothing.
    pub(super) async fn forget(&mut self, before: Archive) {
        self.archive = before;
        let (store, archive) = (self.store.clone(), self.archive.clone());
        // What stays recorded was tried, and never in force.
        let _left_over = off_thread(move || store.write(&archive)).await;
    }

    /// The revisions that must be kept: those in force, on trial, and to come back.
    fn needed(&self) -> Vec<u64> {
        let in_force = self.archive.with_hash(&self.in_force.borrow().hash);
        let tried = self.trial.pending().map(|pending| [pending.base, pending.revision]);
        in_force.map(|one| one.number).into_iter().chain(tried.into_iter().flatten()).collect()
    }

    /// What the revision with this hash says.
    pub(super) async fn stored(&self, hash: String) -> Result<Text, Problem> {
        let store = self.store.clone();
        let read = off_thread(move || store.text(&hash)).await;
        read.map(Text::new).map_err(|error| {
            let message = format!("the revision cannot be read: {error}");
            Problem::new(ProblemCode::System, message, "mend the state directory")
        })
    }

    pub(super) async fn open(&self) -> Result<Original, Problem> {
        let path = self.path.clone();
        off_thread(move || open(&path)).await
    }

    pub(super) async fn clear_pending(&mut self) {
        let store = self.store.clone();
        if let Err(error) = off_thread(move || store.clear_pending()).await {
            let text = format!("that no change waits any more cannot be remembered: {error}");
            self.complain(text);
        }
    }

    /// Says what is wrong with the records, once.
    pub(super) fn complain(&mut self, text: String) -> Problem {
        if self.trouble.as_ref() != Some(&text) {
            (self.observer)(Event::Warning { text: text.clone() });
        }
        self.trouble = Some(text.clone());
        Problem::new(ProblemCode::System, text, "make room, or mend the state directory")
    }

    pub(super) fn tell(&self, news: News) {
        (self.observer)(Event::Configuration(news));
    }

    fn publish(&self) {
        let hash = self.in_force.borrow().hash.clone();
        let pending = self.trial.pending().cloned();
        let standing = Standing {
            revision: self.archive.with_hash(&hash).map(|one| one.number),
            hash,
            edited: self.edited,
            left: pending.as_ref().map(|pending| Age(pending.left(now()))),
            pending,
            trouble: self.trouble.clone(),
        };
        self.publish.send_if_modified(|known| {
            let differs = *known != standing;
            *known = standing;
            differs
        });
    }
}
