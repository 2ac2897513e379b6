//! The way of events from where they happen to who wants to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{broadcast, mpsc};

use crate::control::protocol::Events;
use crate::control::{Counters, Event, EventCounters, History, Record, Timestamp};
use crate::runtime::heartbeat::Observer;
use crate::runtime::usage;

/// Events that may wait to be remembered. More at the same moment are counted, not kept: whoever
/// they happen to waits for nobody.
const QUEUE: usize = 4096;

/// Events that are remembered.
const MEMORY: usize = 1024;

/// Events that a subscriber may be behind; those beyond are lost to it, and it is told how many.
const BEHIND: usize = 1024;

/// Takes events in. See [`feed`].
#[derive(Debug)]
pub struct Feed {
    events: mpsc::Receiver<(Timestamp, Event)>,
    dropped: Arc<AtomicU64>,
}

/// An observer that passes each event on to `next` and then to the feed, and never waits.
#[must_use]
pub fn feed(next: Observer) -> (Observer, Feed) {
    let (sender, events) = mpsc::channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&dropped);
    let observer: Observer = Arc::new(move |event: Event| {
        next(event.clone());
        if sender.try_send((now(), event)).is_err() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    (observer, Feed { events, dropped })
}

/// The present by the calendar.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(0).after(since)
}

/// What is remembered, and the way to hear more.
#[derive(Clone)]
pub(in crate::runtime) struct Chronicle {
    since: Timestamp,
    memory: Arc<std::sync::Mutex<Memory>>,
    news: broadcast::Sender<Record>,
}

/// What has happened: the last of it, and all of it in numbers.
struct Memory {
    history: History,
    counters: EventCounters,
}

impl Chronicle {
    pub(super) fn new() -> Self {
        let memory = Memory { history: History::new(MEMORY), counters: EventCounters::default() };
        Self {
            since: now(),
            memory: Arc::new(std::sync::Mutex::new(memory)),
            news: broadcast::channel(BEHIND).0,
        }
    }

    /// Remembers and passes on what comes, until the last observer is gone.
    pub(super) async fn keep(self, mut feed: Feed) {
        while let Some((at, event)) = feed.events.recv().await {
            self.add(at, event);
            let dropped = feed.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                self.memory().counters.lost += dropped;
                let text = format!("{dropped} events came faster than they could be remembered");
                self.add(at, Event::Warning { text });
            }
        }
    }

    pub(super) fn add(&self, at: Timestamp, event: Event) {
        let mut memory = self.memory();
        memory.counters.count(at, &event);
        let record = memory.history.add(at, event).clone();
        // Nobody may be listening. Sent under the lock, so that who begins to listen under it
        // misses nothing and hears nothing twice.
        let _ = self.news.send(record);
    }

    /// What is remembered after number `after`.
    pub(super) fn events(&self, after: u64) -> Events {
        events(&self.memory().history, after)
    }

    /// The same, and what happens from then on.
    pub(super) fn subscribe(&self, after: u64) -> (Events, broadcast::Receiver<Record>) {
        let memory = self.memory();
        (events(&memory.history, after), self.news.subscribe())
    }

    /// What has happened, in numbers.
    pub(super) fn counters(&self) -> Counters {
        let mut counters = Counters::new(self.since, self.memory().counters.clone());
        counters.usage = usage::of_this_process();
        counters
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn events(history: &History, after: u64) -> Events {
    let records = history.after(after).cloned().collect();
    Events::new(records, history.forgotten_after(after), history.last())
}
