//! Telling others what happens on a director: commands that follow its state, programs, pipes,
//! webhooks, mail.
//!
//! A [`Notifier`] takes events from an [`Observer`] through a bounded queue and does the rest
//! elsewhere, so that no receiver, dead or slow, holds up whoever the event happens to. `lvs` and
//! programs that link the crate have one on a thread of their own ([`Notifier::start`]); `pulse`,
//! which runs no program and reads no file, feeds one in a process of its own
//! ([`Notifier::start_process`], [`serve`]).
//!
//! What is told to whom: `docs/notifications.md`.
//!
//! ```no_run
//! use piranha::runtime::director::Director;
//! use piranha::runtime::notify::Notifier;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let notifier = Notifier::start()?;
//! let observer = notifier.observer(std::sync::Arc::new(|event| eprintln!("{event}")));
//! let director = Director::start("/etc/sysconfig/ha/lvs.cf".into(), observer).await?;
//! let director = director.with_notifier(notifier);
//! # drop(director);
//! # Ok(())
//! # }
//! ```

mod command;
mod delivery;
mod engine;
mod feed;
mod fifo;
mod mail;
mod setup;
mod trial;
mod turns;
mod webhook;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::heartbeat::Observer;
use crate::config::Config;
use crate::control::Event;
use crate::control::notify::Notice;
use crate::failover::Role;
use engine::Engine;
use feed::Feed;
pub use feed::serve;
use setup::Setup;
pub use trial::{Trial, test};

/// Events that may wait; further ones are dropped and counted.
const QUEUE: usize = 1024;

/// Takes events and has them told to whom the configuration names. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Notifier {
    orders: mpsc::Sender<Order>,
    dropped: Arc<AtomicU64>,
}

/// What a notifier is told, within a process or as a line between two.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// This happened.
    Notice(Notice),
    /// This is the role of the node, which has been running for a while.
    Role(Role),
    /// Read lvs.cf again.
    Reload,
    /// This is wanted from now on.
    #[serde(skip)]
    Configure(Box<Setup>),
    /// Tell everybody, or those of this directive, that this is a test.
    #[serde(skip)]
    Test(Option<String>, oneshot::Sender<Vec<Trial>>),
    /// Nothing more will happen: tell what is waiting, and end.
    #[serde(skip)]
    End(Option<oneshot::Sender<()>>),
    /// Whoever things happened to is gone and did not say so.
    #[serde(skip)]
    Lost,
    /// The end is in order.
    Farewell,
}

impl Notifier {
    /// Starts telling on a thread of its own. Nothing is told before the first
    /// [`configure`](Self::configure).
    ///
    /// # Errors
    /// The operating system's, when there is no thread to be had.
    pub fn start() -> io::Result<Self> {
        let (notifier, orders) = Self::new();
        let dropped = Arc::clone(&notifier.dropped);
        on_a_thread(async move { Engine::new(None, dropped).run(orders).await })?;
        Ok(notifier)
    }

    /// Has a process of its own tell: `program` with `arguments` must call [`serve`]. It is not
    /// started before there is something to tell, which `config` and each
    /// [`reload`](Self::reload) say; and again when it dies.
    ///
    /// # Errors
    /// The operating system's, when there is no thread to be had.
    pub fn start_process(
        program: PathBuf,
        arguments: Vec<OsString>,
        config: &Config,
    ) -> io::Result<Self> {
        let (notifier, orders) = Self::new();
        let (wanted, dropped) = (config.is_notifying(), Arc::clone(&notifier.dropped));
        let feed = Feed::new(program, arguments, wanted, dropped);
        on_a_thread(async move { feed.run(orders).await })?;
        Ok(notifier)
    }

    /// An observer that passes events on to `inner` and to this notifier. It never blocks.
    #[must_use]
    pub fn observer(&self, inner: Observer) -> Observer {
        let notifier = self.clone();
        Arc::new(move |event: Event| {
            inner(event.clone());
            notifier.tell(event);
        })
    }

    /// Takes an event, or drops and counts it if too many wait.
    pub fn tell(&self, event: Event) {
        if self.orders.try_send(Order::Notice(Notice::new(wall_clock(), event))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Goes on as `config` says. Commands that run are let run.
    pub fn configure(&self, config: &Config) {
        // A full queue is emptied by what it is full of: the next reload comes through.
        let _ = self.orders.try_send(Order::Configure(Box::new(Setup::of(config))));
    }

    /// Has the process that tells read lvs.cf again; of no effect without one.
    pub fn reload(&self) {
        let _ = self.orders.try_send(Order::Reload);
    }

    /// Tells everybody that this is a test, as [`test()`] does, by the configuration that is in force
    /// and from where events are told; with `only` those of one directive. `answer` is dropped
    /// where too much waits, or a process of its own tells.
    pub fn test(&self, only: Option<String>, answer: oneshot::Sender<Vec<Trial>>) {
        // Without an answer the client is told that nothing came of it.
        let _ = self.orders.try_send(Order::Test(only, answer));
    }

    /// Waits, at most `limit`, until everything is told that waits. Later events are not.
    pub async fn finish(self, limit: Duration) {
        let (done, finished) = oneshot::channel();
        let finish = async {
            // A notifier that is gone has nothing to tell.
            let _ = self.orders.send(Order::End(Some(done))).await;
            let _ = finished.await;
        };
        if tokio::time::timeout(limit, finish).await.is_err() {
            tracing::warn!("notify: not everybody could be told within {limit:?}");
        }
    }

    fn new() -> (Self, mpsc::Receiver<Order>) {
        let (orders, receiver) = mpsc::channel(QUEUE);
        (Self { orders, dropped: Arc::default() }, receiver)
    }
}

/// Runs `work` on a thread, with a runtime of its own.
fn on_a_thread(work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("notify".to_owned()).spawn(move || runtime.block_on(work))?;
    Ok(())
}

/// A notice, and as JSON what it is told by.
#[derive(Debug)]
struct Told {
    notice: Notice,
    report: String,
}

/// The addresses of `host`, looked up within `limit`.
async fn resolve(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::time::timeout(limit, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_elapsed| format!("{host} could not be looked up in {limit:?}"))?;
    Ok(found.map_err(|error| format!("{host}: {error}"))?.collect())
}

/// The time since 1970, for people to read.
fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Says how many events found no room, if any.
fn tell_of_dropped(dropped: &AtomicU64) {
    let dropped = dropped.swap(0, Ordering::Relaxed);
    if dropped > 0 {
        tracing::warn!("notify: {dropped} events were dropped, receivers are too slow");
    }
}
