//! Asks both daemons every second, and passes on what is new: once for all pages.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use crate::control::protocol::{Daemon, Servers};
use crate::control::status::{Balancing, Reading, Status};
use crate::control::{Client, ClientError, Heard};
use crate::runtime::clock;
use crate::runtime::control::{now, partner_directory};
use crate::web::chronicle::Chronicle;
use crate::web::history::History;
use crate::web::live::{Halves, live, patch};

/// How often.
const TICK: Duration = Duration::from_secs(1);

/// How long a partner that cannot be reached is left alone.
const PARTNER_PAUSE: Duration = Duration::from_secs(5);

/// What a page may be behind; then it is told everything anew.
const BEHIND: usize = 64;

/// What is known at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) status: Status,
    /// What was last known of the services, where nothing is known now.
    pub(super) remembered: Option<Balancing>,
    /// The same as pages get it.
    pub(super) live: Value,
}

/// What pages are told.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// What changed, as a line of the stream.
    Tick(Bytes),
    /// Something happened, as a line of the stream.
    Event(Bytes),
}

/// What both daemons said last, and what follows.
#[derive(Debug)]
pub(super) struct Watch {
    node: String,
    control: PathBuf,
    halves: Mutex<Halves>,
    latest: watch::Sender<Option<Arc<Snapshot>>>,
    news: broadcast::Sender<News>,
    chronicle: Mutex<Chronicle>,
    history: Mutex<History>,
}

impl Watch {
    /// Of the director whose sockets are in `control`.
    pub(super) fn new(node: &str, control: &Path) -> Self {
        Self {
            node: node.to_owned(),
            control: control.to_owned(),
            halves: Mutex::default(),
            latest: watch::Sender::new(None),
            news: broadcast::Sender::new(BEHIND),
            chronicle: Mutex::default(),
            history: Mutex::default(),
        }
    }

    /// The last snapshot; waits for the first one.
    pub(super) async fn latest(&self) -> Option<Arc<Snapshot>> {
        let mut latest = self.latest.subscribe();
        let first = latest.wait_for(Option::is_some).await;
        first.ok().and_then(|snapshot| snapshot.clone())
    }

    /// The last snapshot as a line of the stream, and all that follows.
    pub(super) async fn subscribe(&self) -> Option<(Bytes, broadcast::Receiver<News>)> {
        let news = self.news.subscribe();
        let snapshot = self.latest().await?;
        let last = self.chronicle().last();
        Some((line("snapshot", Some(last), &snapshot.live), news))
    }

    /// The events told after number `id`, as lines of the stream.
    pub(super) fn missed(&self, id: u64) -> Vec<Bytes> {
        let chronicle = self.chronicle();
        chronicle.after(id).map(|told| line("event", Some(told.id), &json!(told))).collect()
    }

    pub(super) fn chronicle(&self) -> MutexGuard<'_, Chronicle> {
        self.chronicle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks until it is dropped.
    pub(super) async fn run(self: Arc<Self>) {
        let mut parts = JoinSet::new();
        parts.spawn(Arc::clone(&self).ask(Daemon::Pulse));
        parts.spawn(Arc::clone(&self).ask(Daemon::Lvs));
        parts.spawn(Arc::clone(&self).follow(Daemon::Pulse));
        parts.spawn(Arc::clone(&self).follow(Daemon::Lvs));
        parts.spawn(Arc::clone(&self).follow_partner(Daemon::Pulse));
        parts.spawn(Arc::clone(&self).follow_partner(Daemon::Lvs));
        parts.spawn(self.compose());
        parts.join_all().await;
    }

    async fn ask(self: Arc<Self>, daemon: Daemon) {
        let mut client = None;
        loop {
            let begun = clock::now();
            let asked = self.ask_once(daemon, &mut client).await;
            if let Err(error) = asked {
                client = None;
                self.take(daemon, &error);
            }
            clock::sleep_until(begun + TICK).await;
        }
    }

    async fn ask_once(
        &self,
        daemon: Daemon,
        client: &mut Option<Client>,
    ) -> Result<(), ClientError> {
        let open = match client {
            Some(open) => open,
            None => client.insert(Client::connect(&self.control, daemon).await?),
        };
        match daemon {
            Daemon::Pulse => {
                let said = open.heartbeats().await?;
                self.halves().handle_pulse(clock::now(), Reading::Known(said));
            }
            Daemon::Lvs => {
                let said = open.balancing(Servers::All, None).await?;
                self.halves().handle_lvs(clock::now(), Reading::Known(said));
            }
            // It has no half of the status.
            Daemon::Peer => {}
        }
        Ok(())
    }

    fn take(&self, daemon: Daemon, error: &ClientError) {
        let (now, reason) = (clock::now(), error.to_string());
        match daemon {
            Daemon::Pulse => self.halves().handle_pulse(now, Reading::Unknown { reason }),
            Daemon::Lvs => self.halves().handle_lvs(now, Reading::Unknown { reason }),
            Daemon::Peer => {}
        }
    }

    async fn compose(self: Arc<Self>) {
        // The daemons get a moment to answer before the first one.
        tokio::time::sleep(TICK / 10).await;
        loop {
            let begun = clock::now();
            self.tell();
            clock::sleep_until(begun + TICK).await;
        }
    }

    fn tell(&self) {
        let (status, remembered) = {
            let halves = self.halves();
            let status = halves.status(&self.node, clock::now(), now());
            let remembered = halves.remembered(&status);
            (status, remembered)
        };
        if let Some(known) = status.lvs.known() {
            self.history().add(status.at, known);
        }
        let live = live(&status, remembered.as_ref());
        let before = self.latest.borrow().clone();
        let change = before
            .map_or(Value::Null, |before| patch(&before.live, &live).unwrap_or_else(|| json!({})));
        self.latest.send_replace(Some(Arc::new(Snapshot { status, remembered, live })));
        // Without a page there is nobody to tell.
        if !change.is_null() && self.news.receiver_count() > 0 {
            let only_time = change.as_object().is_none_or(|fields| fields.len() <= 1);
            let name = if only_time { "ping" } else { "delta" };
            let _nobody = self.news.send(News::Tick(line(name, None, &change)));
        }
    }

    async fn follow(self: Arc<Self>, daemon: Daemon) {
        let mut place = Place::default();
        loop {
            // A daemon that is gone is found again.
            let _gone = self.follow_once(&self.control, daemon, &mut place).await;
            tokio::time::sleep(TICK).await;
        }
    }

    /// The same of the partner, where there is one: over the sockets that lead there.
    async fn follow_partner(self: Arc<Self>, daemon: Daemon) {
        let (gates, mut place) = (partner_directory(&self.control), Place::default());
        loop {
            // Why it cannot be reached, the program that has the connection says.
            let _gone = self.follow_once(&gates, daemon, &mut place).await;
            tokio::time::sleep(PARTNER_PAUSE).await;
        }
    }

    async fn follow_once(
        &self,
        control: &Path,
        daemon: Daemon,
        place: &mut Place,
    ) -> Result<(), ClientError> {
        let mut client = Client::connect(control, daemon).await?;
        let is_own = control == self.control;
        let node = if is_own { self.node.clone() } else { client.hello().node.clone() };
        if client.hello().pid != place.life {
            *place = Place { life: client.hello().pid, last: 0 };
        }
        for record in client.follow(place.last).await?.events {
            place.last = record.number;
            self.happened((&node, is_own), daemon, &record);
        }
        loop {
            if let Heard::Event(record) = client.next_event().await? {
                place.last = record.number;
                self.happened((&node, is_own), daemon, &record);
            }
        }
    }

    fn happened(&self, node: (&str, bool), daemon: Daemon, record: &crate::control::Record) {
        let told = self.chronicle().add(node, daemon, record);
        let _nobody = self.news.send(News::Event(line("event", Some(told.id), &json!(told))));
    }
}

/// How far the events of a daemon were told.
#[derive(Debug, Default)]
struct Place {
    /// The process: another one counts anew.
    life: u32,
    last: u64,
}

/// A message of the stream (HTML, section 9.2.5).
fn line(name: &str, id: Option<u64>, data: &Value) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n").into()
}
