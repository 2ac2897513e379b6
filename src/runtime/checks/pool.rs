//! Checks of many servers, driven by one task.

mod crew;
mod slab;
mod sockets;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

pub(in crate::runtime) use self::crew::Standing;
use self::crew::{Action, Ask, Crew, Flight, Side, Start};
use self::slab::Slot;
use self::sockets::Sockets;
use super::Dialer;
use super::runner::guarded;
use crate::control::Histogram;
use crate::health::{
    Check, Failure, Monitor, MonitorConfig, Output, Override, Snapshot, Stage, Status,
};
use crate::net::Weight;
use crate::runtime::clock;
use crate::time::Instant;

/// So many servers are a crowd: what is due with one of them waits until [`STRIDE`] after the last
/// look, for others to come along. A wake-up for each would cost more than the probes.
const CROWD: usize = 256;

/// How far apart looks at the deadlines of a crowd are.
const STRIDE: Duration = Duration::from_millis(5);

/// So many connections are begun in a turn. Then others of this thread have theirs, who hears the
/// verdicts among them: where there are more checks than the machine bears, some are always due.
const TURN: usize = 128;

/// Outputs that may wait for the owner; with more no check begins.
const OUTBOX: usize = 1024;

/// Checks of many servers, driven by one task: what [`Runner`](super::Runner) is for one, for ten
/// thousand of them, and with probes that are shared.
///
/// What the owner must know comes through the channel under the key of the server, everything but
/// [`Output::Probe`] and [`Output::Cancel`]. A full channel holds the checks up rather than lose an
/// output. Dropping the pool ends everything in it.
#[derive(Debug)]
pub struct Pool<K> {
    shared: Arc<Shared<K>>,
    task: AbortHandle,
}

/// One server of one service in a [`Pool`]. Dropping it ends its checks; what it had to tell may
/// still be in the channel then, so a key should not be used again for another server.
pub struct Seat<K: Clone> {
    shared: Arc<Shared<K>>,
    slot: Slot,
}

/// A way to check a server.
#[derive(Clone)]
#[non_exhaustive]
pub enum Method {
    /// A TCP connection can be made: what `CheckSpec::Connect` says, at the least cost.
    Connect(Dialer),
    /// Any other check.
    Check(Arc<dyn Check>),
}

impl<K: Clone + Send + 'static> Pool<K> {
    /// An empty pool that tells `events`.
    ///
    /// # Errors
    /// Want of a descriptor.
    ///
    /// # Panics
    /// Outside a tokio runtime with timers and I/O.
    pub fn spawn(events: mpsc::Sender<(K, Output)>) -> io::Result<Self> {
        let sockets = Sockets::new()?;
        let shared = Arc::new(Shared { crew: Mutex::default(), wake: Notify::new() });
        let driver = Driver::new(Arc::clone(&shared), sockets, events);
        let task = tokio::spawn(driver.run());
        Ok(Self { shared, task: task.abort_handle() })
    }

    /// Checks the server at `target` for the service that `key` is about.
    #[must_use = "dropping it ends the checks"]
    pub fn watch(
        &self,
        key: K,
        target: SocketAddr,
        method: Method,
        config: MonitorConfig,
    ) -> Seat<K> {
        let side = Side::Own(Way { target, method });
        self.shared.seat(key, side, Start { config, snapshot: None })
    }

    /// As [`watch`](Self::watch), going on where an earlier life went out.
    #[must_use = "dropping it ends the checks"]
    pub fn resume(
        &self,
        key: K,
        target: SocketAddr,
        method: Method,
        config: MonitorConfig,
        snapshot: Snapshot,
    ) -> Seat<K> {
        let side = Side::Own(Way { target, method });
        self.shared.seat(key, side, Start { config, snapshot: Some(snapshot) })
    }

    /// The keys of the servers whose standing has changed since this was last asked.
    pub(in crate::runtime) fn take_changed(&self) -> Vec<K> {
        self.shared.crew().take_changed()
    }
}

impl<K: Clone> Seat<K> {
    /// Another service with the same server that checks the same: probes are made once for both.
    /// It begins with what is known here ([`Monitor::beside`](crate::health::Monitor::beside)).
    ///
    /// The two should be configured alike as to when they check; else they meet by chance only.
    #[must_use = "dropping it ends the checks"]
    pub fn share(&self, key: K, config: MonitorConfig) -> Self {
        self.shared.seat(key, Side::With(self.slot), Start { config, snapshot: None })
    }

    /// Goes on with another configuration, see
    /// [`Monitor::handle_config`](crate::health::Monitor::handle_config).
    pub fn configure(&self, config: MonitorConfig) {
        let mut crew = self.shared.crew();
        // Most servers are what they were before a reload, and to look at the clock for each of
        // thousands takes time.
        if crew.monitor(self.slot, |monitor| *monitor.config() == config) == Some(true) {
            return;
        }
        crew.configure(clock::now(), self.slot, config);
        drop(crew);
        self.shared.wake.notify_one();
    }

    /// Puts an administrator's decision into force, see
    /// [`Monitor::handle_override`](crate::health::Monitor::handle_override).
    pub fn set_override(&self, forced: Override) {
        self.shared.crew().set_override(clock::now(), self.slot, forced);
        self.shared.wake.notify_one();
    }

    /// Checks in another way from the next probe on, and shares it with nobody. What is known of
    /// the server stays.
    pub fn check_by(&self, target: SocketAddr, method: Method) {
        self.shared.crew().regroup(self.slot, Side::Own(Way { target, method }));
        self.shared.wake.notify_one();
    }

    /// Checks as `other` does from the next probe on, sharing them. What is known of the server
    /// stays.
    pub fn check_with(&self, other: &Self) {
        self.shared.crew().regroup(self.slot, Side::With(other.slot));
        self.shared.wake.notify_one();
    }

    /// Whether the two share their probes.
    #[must_use]
    pub fn checks_with(&self, other: &Self) -> bool {
        self.shared.crew().is_together(self.slot, other.slot)
    }

    /// What is known of the server at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.crew().monitor(self.slot, Monitor::status).unwrap_or_else(|| blank().status())
    }

    /// The same without what takes room, or `None` for a seat that nobody has.
    pub(in crate::runtime) fn standing(&self) -> Option<Standing> {
        self.shared.crew().monitor(self.slot, Monitor::standing)
    }

    /// The weight that the table is to hold for it.
    pub(in crate::runtime) fn weight(&self) -> Option<Weight> {
        self.shared.crew().monitor(self.slot, Monitor::weight).flatten()
    }

    /// How long its checks took since it was first watched.
    #[must_use]
    pub fn durations(&self) -> Histogram {
        self.shared.crew().durations(self.slot).unwrap_or_default()
    }

    /// What is known of the server, to [resume](Pool::resume) with.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = clock::now();
        let known = self.shared.crew().monitor(self.slot, |monitor| monitor.snapshot(now));
        known.unwrap_or_else(|| blank().snapshot(now))
    }
}

impl<K> Drop for Pool<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<K: Clone> Drop for Seat<K> {
    fn drop(&mut self) {
        self.shared.crew().leave(self.slot);
        self.shared.wake.notify_one();
    }
}

impl<K: Clone> fmt::Debug for Seat<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(dialer) => f.debug_tuple("Connect").field(dialer).finish(),
            Self::Check(_) => f.debug_tuple("Check").finish_non_exhaustive(),
        }
    }
}

/// What stands for a seat that nobody has, which cannot be.
fn blank() -> Monitor {
    Monitor::new(clock::now(), MonitorConfig::default())
}

/// How and where a server is checked.
#[derive(Clone, Debug)]
struct Way {
    target: SocketAddr,
    method: Method,
}

impl Ask for Way {
    fn stage(&self) -> Option<Stage> {
        matches!(self.method, Method::Connect(_)).then_some(Stage::Connect)
    }
}

#[derive(Debug)]
struct Shared<K> {
    crew: Mutex<Crew<K, Way>>,
    wake: Notify,
}

impl<K: Clone> Shared<K> {
    /// A crew is consistent between its methods, so a lock that was poisoned is still good.
    fn crew(&self) -> MutexGuard<'_, Crew<K, Way>> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(self: &Arc<Self>, key: K, side: Side<Way>, start: Start) -> Seat<K> {
        let slot = self.crew().join(clock::now(), key, side, start);
        self.wake.notify_one();
        Seat { shared: Arc::clone(self), slot }
    }
}

/// A result on its way to the crew.
type Done = (Flight, Result<(), Failure>);

/// The probes under way.
enum Work {
    Connection(Slot),
    Task(AbortHandle),
}

struct Driver<K> {
    shared: Arc<Shared<K>>,
    sockets: Sockets,
    readiness: Arc<AsyncFd<OwnedFd>>,
    work: HashMap<Flight, Work>,
    done: mpsc::UnboundedSender<Done>,
    results: mpsc::UnboundedReceiver<Done>,
    events: mpsc::Sender<(K, Output)>,
    outbox: VecDeque<(K, Output)>,
    /// When deadlines may be looked at again.
    next_look: Instant,
}

impl<K: Clone + Send + 'static> Driver<K> {
    fn new(shared: Arc<Shared<K>>, sockets: Sockets, events: mpsc::Sender<(K, Output)>) -> Self {
        let (done, results) = mpsc::unbounded_channel();
        let readiness = sockets.readiness();
        let (work, outbox) = (HashMap::new(), VecDeque::new());
        let next_look = Instant::ZERO;
        Self { shared, sockets, readiness, work, done, results, events, outbox, next_look }
    }

    /// Results come before deadlines, so that after a stall an answer that has come counts.
    async fn run(mut self) {
        while self.tell() {
            self.take_results();
            if self.outbox.len() < OUTBOX {
                self.look(clock::now());
            }
            if self.act() {
                tokio::task::yield_now().await;
                // What is near may have answered already.
                continue;
            }
            let held = self.outbox.len() >= OUTBOX;
            let due = self.shared.crew().poll_timeout().filter(|_| !held);
            let due = due.map(|due| due.max(self.next_look));
            let done = tokio::select! {
                biased;
                // There is room, or nobody left to tell: either way the next turn sees to it.
                _permit = self.events.reserve(), if !self.outbox.is_empty() => None,
                done = self.results.recv() => done,
                Ok(mut ready) = self.readiness.readable() => {
                    ready.clear_ready();
                    None
                }
                () = self.shared.wake.notified() => None,
                () = clock::sleep_until_or_forever(due) => None,
            };
            done.into_iter().for_each(|done| self.conclude(done));
        }
    }

    fn look(&mut self, now: Instant) {
        if now >= self.next_look {
            let mut crew = self.shared.crew();
            crew.handle_timeout(now);
            if crew.len() >= CROWD {
                self.next_look = now + STRIDE;
            }
        }
    }

    /// Tells as much as the owner takes; returns whether there is one.
    fn tell(&mut self) -> bool {
        while let Some(event) = self.outbox.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.outbox.push_front(event);
                    return true;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
        }
        true
    }

    fn take_results(&mut self) {
        while let Ok(done) = self.results.try_recv() {
            self.conclude(done);
        }
        let Self { shared, sockets, work, .. } = self;
        let (now, mut crew) = (clock::now(), shared.crew());
        while sockets.reap(|flight, result| {
            work.remove(&flight);
            crew.handle_result(now, flight, &result);
        }) {}
    }

    fn conclude(&mut self, (flight, result): Done) {
        self.work.remove(&flight);
        self.shared.crew().handle_result(clock::now(), flight, &result);
    }

    /// Does what the crew wants, as far as there is time in one turn; returns whether connections
    /// were begun.
    fn act(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut crew = shared.crew();
        let mut begun = 0;
        while begun < TURN {
            let Some(action) = crew.poll_action() else { break };
            match action {
                Action::Start(flight, limit) => {
                    if let Some(way) = crew.ask(flight) {
                        begun += usize::from(self.start(flight, way, limit));
                    }
                }
                Action::Stop(flight) => self.stop(flight),
                Action::Tell(key, output) => self.outbox.push_back((key, output)),
            }
        }
        begun > 0
    }

    /// Returns whether it is a connection.
    fn start(&mut self, flight: Flight, way: &Way, limit: Duration) -> bool {
        match &way.method {
            Method::Connect(dialer) => {
                match self.sockets.connect(flight, dialer, way.target) {
                    Ok(slot) => drop(self.work.insert(flight, Work::Connection(slot))),
                    // The other end of the channel is here.
                    Err(failure) => drop(self.done.send((flight, Err(failure)))),
                }
                true
            }
            Method::Check(check) => {
                let probe = probe(Arc::clone(check), way.target, limit, flight, self.done.clone());
                let task = tokio::spawn(probe).abort_handle();
                self.work.insert(flight, Work::Task(task));
                false
            }
        }
    }

    fn stop(&mut self, flight: Flight) {
        match self.work.remove(&flight) {
            Some(Work::Connection(slot)) => self.sockets.give_up(slot),
            Some(Work::Task(task)) => task.abort(),
            None => {}
        }
    }
}

impl<K> Drop for Driver<K> {
    fn drop(&mut self) {
        for work in self.work.values() {
            if let Work::Task(task) = work {
                task.abort();
            }
        }
    }
}

async fn probe(
    check: Arc<dyn Check>,
    target: SocketAddr,
    limit: Duration,
    flight: Flight,
    done: mpsc::UnboundedSender<Done>,
) {
    let mut probe = Box::pin(async move { check.probe(target, limit).await });
    let result = guarded(probe.as_mut()).await;
    // Nobody is left to tell where the pool is gone.
    let _ = done.send((flight, result));
}
