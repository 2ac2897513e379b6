//! The driver of a [`Heartbeat`] machine: sockets, timers, and the link to the data plane.
//!
//! One thread, no disk, no name look-ups, and while nothing changes no memory is asked for:
//! heartbeats are sent, received and judged, and snapshots made, in what there is from the start. What may take time (addresses, the data plane) happens
//! on the far side of the [`Link`] and comes back as a report.

mod meters;
mod path;
mod refusals;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

pub use self::meters::Meters;
pub use self::path::Path;
use self::path::readable;
use self::refusals::Refusals;
use super::beat::Beat;
use super::clock;
use super::guards::Watch;
use super::key::{self, KeyFileError};
use super::last_words::Word;
use super::systemd::Watchdog;
use crate::control::Event;
use crate::control::supervision::{Report, Request, Terms};
use crate::failover::guard::Fault;
use crate::failover::{ActionError, ActionId, Command, Heartbeat, Output, PathId, State, Status};
use crate::time::Instant;
use crate::wire::pulse::Key;

/// Where events go. Called on the thread the event happens on: it must not block.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;

/// The longest datagram that is read; longer ones are cut here and refused by length. The longest
/// of all is a VRRP packet with 255 addresses of IPv6.
const MAX_DATAGRAM: usize = 4160;

/// How many datagrams are read before timers and reports get their turn again, so that a flood of
/// bad heartbeats delays nothing else.
const MAX_BURST: usize = 64;

/// How long whoever holds the addresses may take to bring them up or down.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The two channels to whoever holds the addresses: `lvs` in a process of its own, or a
/// [`Director`](super::director::Director) in this one.
#[derive(Debug)]
pub struct Link {
    /// Requests to it.
    pub requests: mpsc::UnboundedSender<Request>,
    /// Reports from it.
    pub reports: mpsc::UnboundedReceiver<Report>,
}

impl Link {
    /// A link to nobody: every address is said to be up or down and none is touched. For
    /// `pulse --test-start`. Must be called within a tokio runtime.
    #[must_use]
    pub fn rehearsal(terms: Terms) -> Self {
        let (requests, mut receiver) = mpsc::unbounded_channel();
        let (sender, reports) = mpsc::unbounded_channel();
        let _ = sender.send(Report::Configured(Box::new(terms)));
        tokio::spawn(async move {
            while let Some(request) = receiver.recv().await {
                match request {
                    Request::Acquire { id, .. } | Request::Release { id, .. } => {
                        let _ = sender.send(Report::Done { id, result: Ok(()) });
                    }
                    Request::Announce { .. } | Request::Held { .. } | Request::Reload => {}
                    Request::Stop { .. } => return,
                }
            }
        });
        Self { requests, reports }
    }
}

/// What the process around a [`Driver`] can ask of it.
#[non_exhaustive]
#[derive(Debug)]
pub enum Control {
    /// A command for the heartbeat machine.
    Command(Command),
    /// Have the configuration read again.
    Reload,
    /// Answer with the present status.
    Status(tokio::sync::oneshot::Sender<Status>),
}

/// What a [`Driver`] tells of itself, for others to read without asking it.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When this was so.
    pub taken: Instant,
    /// What the machine knows.
    pub status: Status,
    /// The terms in force, once they are known.
    pub terms: Option<Arc<Terms>>,
    /// The own and the partner's end of each path.
    pub paths: Arc<[(SocketAddr, SocketAddr)]>,
}

/// Snapshots follow a change of state at once, anything else with this distance: heartbeats come
/// as often as they like.
const SNAPSHOT_DISTANCE: Duration = Duration::from_millis(50);

/// Without anything else a snapshot says at least this often that the driver runs.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);

/// A heartbeat machine that can go on with another configuration.
pub trait Reconfigure: Heartbeat {
    /// What lvs.cf says of the service and of the heartbeats was read again.
    ///
    /// # Errors
    /// Why it goes on as before, in words.
    fn reconfigure(&mut self, now: Instant, terms: Terms) -> Result<(), String>;

    /// The files with the keys were read again: the first seals, all open. A protocol without
    /// keys may leave this as it is: without effect.
    ///
    /// # Errors
    /// Why the keys stay as they are, in words.
    fn rekey(&mut self, now: Instant, keys: Vec<Key>) -> Result<(), String> {
        let _ = (now, keys);
        Ok(())
    }
}

impl<M: Reconfigure + ?Sized> Reconfigure for Box<M> {
    fn reconfigure(&mut self, now: Instant, terms: Terms) -> Result<(), String> {
        (**self).reconfigure(now, terms)
    }

    fn rekey(&mut self, now: Instant, keys: Vec<Key>) -> Result<(), String> {
        (**self).rekey(now, keys)
    }
}

/// Drives a heartbeat machine.
pub struct Driver<M> {
    machine: M,
    paths: Vec<Path>,
    link: Link,
    linked: bool,
    unanswered: Vec<Unanswered>,
    refusals: Refusals,
    control: mpsc::Receiver<Control>,
    guards: Option<Watch>,
    keys: KeyReader,
    beat: Option<Beat>,
    watchdog: Option<Watchdog>,
    observer: Observer,
    terms: Option<Arc<Terms>>,
    ends: Arc<[(SocketAddr, SocketAddr)]>,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    /// The snapshot before the last, to be written over.
    spare: Option<Arc<Snapshot>>,
    meters: Arc<Meters>,
    /// When the next snapshot is due.
    publication: Instant,
}

/// A request whose completion the machine waits for.
struct Unanswered {
    request: Request,
    deadline: Instant,
}

enum Input {
    Wake,
    Control(Control),
    Report(Report),
    Faults(Vec<Fault>),
    Keys(Result<Vec<Key>, KeyFileError>),
    Unlinked,
}

impl<M: Reconfigure> Driver<M> {
    /// Puts a machine together with what it drives. The paths are those of its configuration, in
    /// the same order.
    pub fn new(
        machine: M,
        paths: Vec<Path>,
        link: Link,
        control: mpsc::Receiver<Control>,
        observer: Observer,
    ) -> Self {
        Self {
            ends: paths.iter().map(|path| (path.own, path.peer)).collect(),
            snapshots: watch::channel(None).0,
            meters: Arc::new(Meters::new(paths.len())),
            spare: None,
            publication: Instant::ZERO,
            terms: None,
            machine,
            paths,
            link,
            linked: true,
            unanswered: Vec::new(),
            refusals: Refusals::new(),
            control,
            guards: None,
            keys: KeyReader::new(),
            beat: None,
            watchdog: None,
            observer,
        }
    }

    /// Has the machine told which guards fail, from now on. It was told of those that fail already.
    #[must_use]
    pub fn with_guards(mut self, guards: Watch) -> Self {
        self.guards = Some(guards);
        self
    }

    /// Has it shown that it lives, often enough for this dead time.
    #[must_use]
    pub fn with_beat(mut self, mut beat: Beat, dead_time: Duration) -> Self {
        beat.set_dead_time(dead_time);
        self.beat = Some(beat);
        self
    }

    /// Shows the service manager that it lives.
    #[must_use]
    pub fn with_watchdog(self, watchdog: Watchdog) -> Self {
        Self { watchdog: Some(watchdog), ..self }
    }

    /// Says which terms the machine was made with, for the snapshots.
    #[must_use]
    pub fn with_terms(self, terms: Terms) -> Self {
        Self { terms: Some(Arc::new(terms)), ..self }
    }

    /// Where to read what it does. At every change of state and at least every second there is a
    /// new one; reading it costs the driver nothing.
    pub fn snapshots(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.snapshots.subscribe()
    }

    /// What goes over its paths, until now whenever it is read.
    pub fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.meters)
    }

    /// Runs until the machine has stopped, which [`Command::Stop`] brings about.
    ///
    /// The link stays usable afterwards: the caller may still wait for connections to drain.
    pub async fn run(mut self) -> Link {
        self.feed(|machine, now| machine.handle_timeout(now));
        self.publish();
        while self.machine.state() != State::Stopped {
            match self.next_input().await {
                Input::Wake => self.wake(),
                Input::Control(control) => self.on_control(control),
                Input::Report(report) => self.on_report(report),
                Input::Faults(faults) => {
                    self.feed(|machine, now| machine.handle_guards(now, &faults));
                }
                Input::Keys(keys) => self.on_keys(keys),
                Input::Unlinked => self.on_unlinked(),
            }
            self.beat();
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.feed(clock::now());
            }
            self.publish();
        }
        self.link
    }

    /// Shows that it lives. Who holds the addresses takes a beat after a gap for the word that the
    /// machine knows of the gap, and has asked for what follows from it.
    fn beat(&mut self) {
        let now = clock::now();
        if self.beat.as_ref().is_some_and(|beat| beat.has_lapsed(now)) {
            self.wake();
            self.feed(|machine, now| machine.handle_timeout(now));
        }
        if let Some(beat) = &mut self.beat {
            let words = self.ends.iter().zip(0..=u8::MAX).filter_map(|(&(own, peer), path)| {
                let payload = self.machine.last_words(PathId(path))?;
                Some(Word { own, peer, payload })
            });
            beat.beat_with(now, words);
        }
    }

    async fn next_input(&mut self) -> Input {
        let given_up = self.unanswered.iter().map(|unanswered| unanswered.deadline);
        let beat = self.beat.as_ref().map(Beat::due);
        let fed = self.watchdog.as_ref().map(Watchdog::due);
        let due = self.machine.poll_timeout().into_iter().chain(beat).chain(fed);
        let due = due.chain([self.publication]);
        let deadline = due.chain(given_up).min();
        tokio::select! {
            biased;
            () = readable(&self.paths) => Input::Wake,
            report = self.link.reports.recv(), if self.linked => {
                report.map_or(Input::Unlinked, Input::Report)
            }
            Some(control) = self.control.recv() => Input::Control(control),
            faults = changed(&mut self.guards) => Input::Faults(faults),
            Some(keys) = self.keys.read.recv() => Input::Keys(keys),
            () = clock::sleep_until_or_forever(deadline) => Input::Wake,
        }
    }

    /// Tells what there is to tell, now or as soon as the last time is long enough ago.
    fn publish(&mut self) {
        let (now, state) = (clock::now(), self.machine.state());
        let last = self.snapshots.borrow().as_ref().map(|last| (last.taken, last.status.state));
        if let Some((taken, told)) = last
            && told == state
            && now - taken < SNAPSHOT_DISTANCE
        {
            self.publication = taken + SNAPSHOT_DISTANCE;
            return;
        }
        self.publication = now + SNAPSHOT_INTERVAL;
        for (place, id) in (0..self.paths.len()).zip(0..) {
            self.meters.set(place, self.machine.path_counters(now, PathId(id)));
        }
        let snapshot = self.snapshot(now);
        self.spare = self.snapshots.send_replace(Some(snapshot));
    }

    /// What there is to tell. Only where somebody still reads the one before the last a new one is
    /// made.
    fn snapshot(&mut self, now: Instant) -> Arc<Snapshot> {
        if let Some(mut spare) = self.spare.take()
            && let Some(snapshot) = Arc::get_mut(&mut spare)
        {
            snapshot.taken = now;
            self.machine.update_status(now, &mut snapshot.status);
            snapshot.terms.clone_from(&self.terms);
            return spare;
        }
        Arc::new(Snapshot {
            taken: now,
            status: self.machine.status(now),
            terms: self.terms.clone(),
            paths: Arc::clone(&self.ends),
        })
    }

    /// Gives the machine an input and carries out what it makes of it.
    fn feed(&mut self, input: impl FnOnce(&mut M, Instant)) {
        input(&mut self.machine, clock::now());
        while let Some(output) = self.machine.poll_output() {
            self.carry_out(output);
        }
    }

    /// Reads what is waiting, then looks at the deadlines: silence means that nothing came, not
    /// that nobody looked.
    fn wake(&mut self) {
        for path in 0..self.paths.len() {
            self.receive(path);
        }
        let now = clock::now();
        if self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.feed(|machine, now| machine.handle_timeout(now));
        }
        self.give_up_unanswered(now);
        self.tell_of_refusals(now);
    }

    fn tell_of_refusals(&mut self, now: Instant) {
        let last = self.snapshots.borrow();
        let counts = last.as_ref().map_or(&[][..], |last| &last.status.rejected);
        if let Some(reasons) = self.refusals.news(now, counts) {
            drop(last);
            (self.observer)(Event::HeartbeatsRefused { reasons });
        }
    }

    fn receive(&mut self, path: usize) {
        let mut buffer = [0; MAX_DATAGRAM];
        for _ in 0..MAX_BURST {
            let Ok((length, source)) = self.paths[path].try_receive(&mut buffer) else {
                return;
            };
            let id = PathId(u8::try_from(path).unwrap_or(u8::MAX));
            self.feed(|machine, now| machine.handle_datagram(now, id, source, &buffer[..length]));
        }
    }

    fn on_control(&mut self, control: Control) {
        match control {
            Control::Command(command) => {
                self.feed(|machine, now| machine.handle_command(now, command));
            }
            Control::Reload => self.request(Request::Reload),
            Control::Status(answer) => {
                // Whoever asked may have gone away; the status is of no use to anybody else.
                let _ = answer.send(self.machine.status(clock::now()));
            }
        }
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Configured(terms) => self.on_configured(*terms),
            Report::Done { id, result } => self.complete(id, result),
            Report::Warm(warm) => self.feed(|machine, now| machine.handle_warmth(now, warm)),
            Report::Broken { reason } => self.on_broken(reason),
        }
    }

    fn on_configured(&mut self, terms: Terms) {
        if let Some(guards) = &self.guards {
            guards.set((*terms.guards).clone());
        }
        self.keys.begin(terms.keys.clone());
        if let Some(beat) = &mut self.beat {
            beat.set_dead_time(terms.dead_time);
        }
        let told = Arc::new(terms.clone());
        let mut refused = None;
        self.feed(|machine, now| refused = machine.reconfigure(now, terms).err());
        match refused {
            Some(reason) => (self.observer)(Event::Warning { text: reason }),
            None => self.terms = Some(told),
        }
        self.feed(|machine, now| machine.handle_data_plane(now, true));
    }

    fn on_keys(&mut self, keys: Result<Vec<Key>, KeyFileError>) {
        let mut refused = None;
        match keys {
            Ok(keys) => self.feed(|machine, now| refused = machine.rekey(now, keys).err()),
            Err(error) => refused = Some(error.to_string()),
        }
        if let Some(reason) = refused {
            let text = format!("the keys of the heartbeats stay as they are: {reason}");
            (self.observer)(Event::Warning { text });
        }
    }

    fn complete(&mut self, id: ActionId, result: Result<(), ActionError>) {
        self.unanswered.retain(|unanswered| unanswered.request.id() != Some(id));
        self.feed(|machine, now| machine.handle_completion(now, id, result));
    }

    /// Nobody is left to hold addresses: none is up any more, and none can come up.
    fn on_unlinked(&mut self) {
        self.linked = false;
        for unanswered in std::mem::take(&mut self.unanswered) {
            self.answer_unlinked(&unanswered.request);
        }
        self.on_broken("nothing holds the addresses any more".to_owned());
        self.feed(|machine, now| machine.handle_command(now, Command::Stop));
    }

    fn answer_unlinked(&mut self, request: &Request) {
        if let Some(Report::Done { id, result }) = request.orphaned("lvs is gone") {
            self.complete(id, result);
        }
    }

    /// Every action is answered after a bounded time, by a failure if it must be.
    fn give_up_unanswered(&mut self, now: Instant) {
        let late = self.unanswered.iter().filter(|unanswered| unanswered.deadline <= now);
        let late: Vec<_> = late.filter_map(|unanswered| unanswered.request.id()).collect();
        for id in late {
            let reason = format!("lvs did not answer within {ANSWER_LIMIT:?}");
            self.complete(id, Err(ActionError(reason)));
        }
    }

    fn on_broken(&mut self, reason: String) {
        (self.observer)(Event::Warning { text: format!("data plane lost: {reason}") });
        self.feed(|machine, now| machine.handle_data_plane(now, false));
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { path, payload } => self.send(path, &payload),
            Output::Acquire { id, addresses } => self.request(Request::Acquire { id, addresses }),
            Output::Release { id, addresses } => self.request(Request::Release { id, addresses }),
            Output::Announce { addresses } => self.request(Request::Announce { addresses }),
            Output::Transition(transition) => (self.observer)(Event::Transition(transition)),
            Output::Declined { reason } => (self.observer)(Event::Declined { reason }),
        }
    }

    /// Sends without waiting: a heartbeat that cannot leave now is worth nothing later.
    fn send(&self, path: PathId, payload: &[u8]) {
        let place = usize::from(path.0);
        if let Some(path) = self.paths.get(place) {
            let sent = path.socket.try_send_to(payload, path.peer);
            self.meters.send(place, sent.is_ok());
        }
    }

    fn request(&mut self, request: Request) {
        if !self.linked {
            return self.answer_unlinked(&request);
        }
        if request.id().is_some() {
            let deadline = clock::now() + ANSWER_LIMIT;
            self.unanswered.push(Unanswered { request: request.clone(), deadline });
        }
        // A closed link shows as the end of the reports, which is where it is dealt with.
        let _ = self.link.requests.send(request);
    }
}

/// Reads key files beside the thread of the heartbeats, which waits for no disk.
struct KeyReader {
    results: mpsc::UnboundedSender<Result<Vec<Key>, KeyFileError>>,
    read: mpsc::UnboundedReceiver<Result<Vec<Key>, KeyFileError>>,
}

impl KeyReader {
    fn new() -> Self {
        let (results, read) = mpsc::unbounded_channel();
        Self { results, read }
    }

    fn begin(&self, paths: Vec<PathBuf>) {
        let results = self.results.clone();
        tokio::task::spawn_blocking(move || results.send(key::read_all(&paths)));
    }
}

/// Which guards fail, when others do than before.
async fn changed(guards: &mut Option<Watch>) -> Vec<Fault> {
    match guards {
        Some(guards) => guards.changed().await,
        None => std::future::pending().await,
    }
}
