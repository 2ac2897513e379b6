//! One worker: a thread, an epoll instance and everything that is polled there.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::sync::oneshot;

use super::cell::ServiceCell;
use super::ftp::DataListener;
use super::listener::{AcceptProblem, BACKLOG, accept, judge_accept};
use super::poller::{Event, Events, Interest, Poller};
use super::sessions::Client;
use super::slots::Slots;
use super::tcp::{Kit, Session};
use super::udp::{UdpFlow, UdpService};
use super::{Clock, RelayConfig};
use crate::ipvs::ServiceKey;
use crate::runtime::sys::Inbox;
use crate::time::Instant;

/// What the waker's events come under.
pub(super) const WAKER: u64 = u64::MAX;

/// Connections accepted in a row before others have their turn.
const ACCEPT_BATCH: usize = 64;

/// How long no connection is accepted after the process ran out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often it is said that accepting pauses.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// What the control side asks of a worker.
pub(super) enum Command {
    Listen(Arc<ServiceCell>, TcpListener),
    ListenUdp(Arc<ServiceCell>, UdpSocket),
    /// Accept what is waiting, then close the service's sockets here and say so.
    Unlisten(ServiceKey, oneshot::Sender<()>),
    /// The limits of services have changed: see whether clients that wait may come in.
    Accept,
    /// End at once; connections are reset.
    Stop,
}

/// Which of an entry's sockets an event is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Which {
    Accepted,
    Dialed,
}

fn token(index: usize, which: Which) -> u64 {
    (index as u64) << 1 | u64::from(which == Which::Dialed)
}

/// What a worker polls.
pub(super) enum Entity {
    Listener(Box<ServiceListener>),
    Session(Box<Session>),
    Data(Box<DataListener>),
    Udp(Box<UdpService>),
    Flow(Box<UdpFlow>),
}

/// A service's listening socket.
pub(super) struct ServiceListener {
    cell: Arc<ServiceCell>,
    socket: TcpListener,
}

pub(super) struct Worker {
    poller: Poller,
    pub(super) config: RelayConfig,
    /// This worker's share of a service's flows.
    pub(super) max_udp_flows: usize,
    pub(super) clock: Clock,
    pub(super) now: Instant,
    pub(super) slots: Slots<Entity>,
    pub(super) kit: Kit,
    /// Made when the first datagram comes.
    pub(super) inbox: Option<Inbox>,
    commands: Receiver<Command>,
    /// Where the TCP services' sockets are.
    listeners: BTreeMap<ServiceKey, usize>,
    /// Entries with more to do than one turn allowed.
    ready: VecDeque<usize>,
    /// Connection attempts in the order of their deadlines, all of which are equally far.
    pub(super) dialing: VecDeque<(Instant, usize)>,
    pub(super) accept_again: Option<Instant>,
    /// Clients accepted with the last descriptor: few, since accepting pauses then.
    pub(super) stalled: Vec<Client>,
    /// When it may be said again that accepting pauses.
    next_warning: Instant,
    pub(super) next_tick: Option<Instant>,
    stopped: bool,
}

impl Worker {
    pub(super) fn new(
        poller: Poller,
        config: RelayConfig,
        workers: usize,
        clock: Clock,
        commands: Receiver<Command>,
    ) -> Self {
        Self {
            poller,
            max_udp_flows: config.max_udp_flows.div_ceil(workers),
            config,
            clock,
            now: clock.now(),
            slots: Slots::default(),
            kit: Kit::new(workers),
            inbox: None,
            commands,
            listeners: BTreeMap::new(),
            ready: VecDeque::new(),
            dialing: VecDeque::new(),
            accept_again: None,
            stalled: Vec::new(),
            next_warning: Instant::ZERO,
            next_tick: None,
            stopped: false,
        }
    }

    pub(super) fn run(mut self) {
        let mut events = Events::default();
        while !self.stopped {
            let timeout = self.poll_timeout();
            if let Err(error) = self.poller.wait(&mut events, timeout) {
                tracing::error!(%error, "relay worker cannot poll and ends");
                return;
            }
            self.now = self.clock.now();
            for event in events.iter() {
                self.on_event(event);
            }
            self.run_ready();
            self.run_timers();
            self.slots.recycle();
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let dialing = self.dialing.front().map(|(deadline, _)| *deadline);
        let next = [dialing, self.accept_again, self.next_tick];
        let next = next.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(self.clock.now()))
    }

    fn on_event(&mut self, event: Event) {
        if event.token == WAKER {
            return self.on_commands();
        }
        let Ok(index) = usize::try_from(event.token >> 1) else {
            return;
        };
        let which = match event.token & 1 {
            0 => Which::Accepted,
            _ => Which::Dialed,
        };
        match self.slots.take(index) {
            Some(Entity::Session(mut session)) => {
                session.last_active = self.now;
                match which {
                    Which::Accepted => session.accepted.note(event),
                    Which::Dialed => session.dialed.note(event),
                }
                let failed = which == Which::Dialed && event.is_broken();
                self.on_session(index, session, failed);
            }
            Some(entity) => self.work(index, entity),
            None => {}
        }
    }

    /// Gives something other than a session its turn.
    pub(super) fn work(&mut self, index: usize, entity: Entity) {
        match entity {
            Entity::Listener(listener) => self.on_listener(index, listener),
            Entity::Session(session) => self.on_session(index, session, false),
            Entity::Data(listener) => self.on_data_listener(index, listener),
            Entity::Udp(service) => self.on_udp_service(index, service),
            Entity::Flow(flow) => self.on_udp_flow(index, flow),
        }
    }

    pub(super) fn again(&mut self, index: usize) {
        self.ready.push_back(index);
    }

    fn run_ready(&mut self) {
        for index in std::mem::take(&mut self.ready) {
            if let Some(entity) = self.slots.take(index) {
                self.work(index, entity);
            }
        }
    }

    /// Polls `source` under a new index.
    pub(super) fn register(
        &self,
        index: usize,
        which: Which,
        source: impl AsFd,
        interest: Interest,
    ) -> io::Result<()> {
        self.poller.add(source, token(index, which), interest)
    }

    /// Polls `source` for room to write too.
    pub(super) fn watch_writing(
        &self,
        index: usize,
        which: Which,
        source: impl AsFd,
    ) -> io::Result<()> {
        self.poller.modify(source, token(index, which), Interest::Both)
    }

    /// Puts `entity`, which will end some day, at `index`.
    pub(super) fn put_transient(&mut self, index: usize, entity: Entity) {
        self.slots.put(index, entity);
        if self.next_tick.is_none() {
            self.next_tick = Some(self.now + self.tick());
        }
    }
}

/// Commands and listeners.
impl Worker {
    fn on_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Listen(cell, socket) => self.listen(cell, socket),
                Command::ListenUdp(cell, socket) => self.listen_udp(cell, socket),
                Command::Unlisten(key, done) => {
                    self.unlisten(key);
                    // Nobody waits any more when the other end is gone.
                    let _ = done.send(());
                }
                Command::Accept => self.ready.extend(self.listeners.values()),
                Command::Stop => self.stop(),
            }
        }
    }

    fn listen(&mut self, cell: Arc<ServiceCell>, socket: TcpListener) {
        let index = self.slots.reserve();
        if let Err(error) = self.register(index, Which::Accepted, &socket, Interest::Accept) {
            tracing::error!(service = %cell.key(), %error, "relay worker cannot poll a listener");
            return self.slots.retire(index);
        }
        self.listeners.insert(cell.key(), index);
        let listener = Box::new(ServiceListener { cell, socket });
        self.slots.put(index, Entity::Listener(listener));
    }

    fn unlisten(&mut self, key: ServiceKey) {
        let of_service = |entity: &Entity| match entity {
            Entity::Listener(listener) => listener.cell.key() == key,
            Entity::Udp(service) => service.key() == key,
            Entity::Session(_) | Entity::Data(_) | Entity::Flow(_) => false,
        };
        self.listeners.remove(&key);
        for index in self.slots.indices(of_service) {
            match self.slots.take(index) {
                Some(Entity::Listener(listener)) => {
                    self.accept_backlog(&listener);
                    self.poller.remove(&listener.socket);
                }
                Some(Entity::Udp(service)) => self.end_udp_service(*service),
                _ => {}
            }
            self.slots.retire(index);
        }
    }

    /// Accepts as many connections as can have been waiting, and no more: clients that keep coming
    /// must not hold up the release.
    fn accept_backlog(&mut self, listener: &ServiceListener) {
        for _ in 0..=usize::from(BACKLOG) / ACCEPT_BATCH {
            if !self.accept_batch(listener) {
                return;
            }
        }
    }

    /// Gives the service's listener a turn, if it is still there.
    pub(super) fn accept_waiting(&mut self, key: ServiceKey) {
        self.ready.extend(self.listeners.get(&key));
    }

    fn stop(&mut self) {
        for index in self.slots.indices(|entity| matches!(entity, Entity::Session(_))) {
            if let Some(Entity::Session(session)) = self.slots.take(index) {
                session.abort(&mut self.kit.pipes);
            }
        }
        self.stopped = true;
    }

    fn on_listener(&mut self, index: usize, listener: Box<ServiceListener>) {
        if self.accept_batch(&listener) {
            self.again(index);
        }
        self.slots.put(index, Entity::Listener(listener));
    }

    /// Accepts some connections. `true` if more may be waiting.
    fn accept_batch(&mut self, listener: &ServiceListener) -> bool {
        for _ in 0..ACCEPT_BATCH {
            if listener.cell.relay_connections() >= self.config.max_connections {
                self.pause_accepting(&"there are as many connections as there may be");
                return false;
            }
            let Some(place) = listener.cell.take_place() else {
                return false;
            };
            match self.accept(&listener.socket) {
                Ok((stream, address)) => self.on_client(Client { stream, address, place }),
                Err(AcceptProblem::Skip) => {}
                // Another worker may have found no place while this one held it for nobody.
                Err(AcceptProblem::Empty) => {
                    drop(place);
                    if !listener.cell.has_clients_waiting() {
                        return false;
                    }
                }
                Err(AcceptProblem::Exhausted) => return false,
            }
        }
        true
    }

    /// Accepts one connection; when descriptors have run out, pauses accepting.
    pub(super) fn accept(
        &mut self,
        socket: &TcpListener,
    ) -> Result<(TcpStream, SocketAddr), AcceptProblem> {
        if self.accept_again.is_some() {
            return Err(AcceptProblem::Exhausted);
        }
        accept(socket).map_err(|error| {
            let problem = judge_accept(&error);
            if matches!(problem, AcceptProblem::Exhausted) {
                self.pause_accepting(&error);
            }
            problem
        })
    }

    /// Leaves further clients in the backlog for a while: some will be served once others have
    /// left, where accepting them now could only turn them away.
    pub(super) fn pause_accepting(&mut self, reason: &dyn Display) {
        if self.next_warning <= self.now {
            self.next_warning = self.now + WARNING_INTERVAL;
            tracing::warn!(%reason, "relay pauses accepting: clients wait");
        }
        self.accept_again = Some(self.now + ACCEPT_PAUSE);
    }
}
