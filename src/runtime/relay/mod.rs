//! The relay data plane: the driver of [`crate::ipvs::relay`].
//!
//! A [`Relay`] accepts TCP connections and UDP datagrams for its services and relays them to the
//! real servers. It needs no privilege beyond the right to bind the services' addresses. It is a
//! [`Backend`](crate::ipvs::Backend): a plan is applied to it as to the kernel. Only services whose
//! VIP has been [acquired](Relay::acquire) listen, so a standby has its table ready and holds
//! nothing.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use piranha::ipvs::{Backend, Destination, Op, Service, ServiceKey};
//! use piranha::runtime::relay::{Relay, RelayConfig};
//!
//! let mut relay = Relay::new(RelayConfig::default())?;
//! let key = ServiceKey::tcp("127.0.1.1:8080".parse()?);
//! let server = Destination::new("127.0.0.1:80".parse()?);
//! let ops = [Op::AddService(Service::new(key)), Op::AddDestination(key, server)];
//! for applied in relay.apply(&ops).await? {
//!     applied?;
//! }
//! relay.acquire("127.0.1.1".parse()?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What clients and servers see
//!
//! - A server that does not take a connection (refused, unreachable, or silent for the connect
//!   timeout) costs the client a retry on another one. When none is left, or none may take new
//!   connections, the client is reset.
//! - At a service's or the relay's limit of connections, or out of descriptors, new clients wait
//!   in the backlog; those that are there go on.
//! - The end of a stream is passed on and the other direction goes on; an error on one side resets
//!   the other. Servers see the relay's address, unless the service is
//!   [transparent](RelayOptions::transparent).
//! - Each direction holds at most 16 KiB in this process, or 1 MiB in a pipe of the kernel of which
//!   there are few; a reader that is slow slows its writer.
//! - Releasing a VIP frees its ports at once. TCP connections go on until they end; UDP flows end,
//!   since their replies could no longer come from the VIP.
//!
//! # How it works
//!
//! One thread for each core polls a clone of every listening socket, and the kernel wakes one idle
//! thread for a new connection, which stays there. A UDP service has a socket for each thread, and
//! the kernel leads a client to always the same; datagrams go through in batches. Addresses are
//! bound exclusively: no second relay can share a port. Bytes are copied through one buffer for
//! each thread; a direction whose reads fill that buffer is spliced through a pipe instead, until
//! it runs dry.

mod backend;
mod cell;
mod descriptors;
mod ftp;
mod listener;
mod outgoing;
mod pipes;
mod poller;
mod sessions;
mod slots;
mod tcp;
mod udp;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::ipvs::relay::{RelayOptions, ServiceStatus};
use crate::ipvs::{Capabilities, Method, SchedulerName, ServiceKey};
use crate::net::Protocol;
use crate::scheduler::{self, Scheduler};
use crate::time::Instant;
use cell::{Gauge, ServiceCell};
pub use descriptors::{descriptor_room, raise_descriptor_limit};
use listener::Bound;
use poller::{Poller, Waker};
use worker::{Command, WAKER, Worker};

/// How a relay works. Every field has a default.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Worker threads; `None`, the default, means one for each core available.
    pub workers: Option<NonZeroUsize>,
    /// How long a server may take to accept a connection before the next one is tried. 3 s.
    pub connect_timeout: Duration,
    /// How long a TCP connection may be silent before it is reset. 900 s, as in IPVS.
    pub idle_timeout: Duration,
    /// How long a UDP flow may be silent before it ends. 300 s, as in IPVS.
    pub udp_idle_timeout: Duration,
    /// How long a server has for its answers to a datagram of a service in one-packet mode
    /// ([`Service::one_packet`](crate::ipvs::Service::one_packet)). 3 s.
    pub one_packet_timeout: Duration,
    /// How long a server or client may take to make an announced FTP data connection. 30 s.
    pub ftp_data_timeout: Duration,
    /// Flows a UDP service may have, divided among the workers; beyond that the one silent for
    /// longest ends. 4096. Each needs a file descriptor.
    pub max_udp_flows: usize,
    /// Connections there may be at the same time. At the bound clients wait in the listeners'
    /// backlogs (4,096 for each service) until others have left. 50,000, or as many as
    /// [`descriptor_room`] says there are descriptors for. UDP flows count, and have a bound of
    /// their own.
    pub max_connections: usize,
    /// Makes a scheduler by its name and the service's flags. [`scheduler::build`].
    pub scheduler: fn(&str, scheduler::Options) -> Option<Box<dyn Scheduler>>,
    /// The names to ask `scheduler` for when listing [`Capabilities`]. [`scheduler::names`].
    pub scheduler_names: Vec<SchedulerName>,
}

impl Default for RelayConfig {
    fn default() -> Self {
        let names = scheduler::names().filter_map(|name| name.parse().ok());
        Self {
            workers: None,
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(900),
            udp_idle_timeout: Duration::from_secs(300),
            one_packet_timeout: Duration::from_secs(3),
            ftp_data_timeout: Duration::from_secs(30),
            max_udp_flows: 4096,
            max_connections: descriptor_room().min(50_000),
            scheduler: scheduler::build,
            scheduler_names: names.collect(),
        }
    }
}

/// The relay: a handle, cheap to clone. The threads end with the last clone.
#[derive(Clone)]
pub struct Relay {
    inner: Arc<Inner>,
}

/// Why an address was not acquired. Nothing of it listens.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// A service of the address cannot be bound.
    #[error("{service}: cannot listen: {}", bind_problem(source))]
    Bind {
        /// The service.
        service: ServiceKey,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The relay has been shut down.
    #[error("the relay has stopped")]
    Stopped,
}

/// Why options were not taken.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Transparent source addresses cannot be had.
    #[error("{service}: cannot show servers the client's address: {}", transparent_problem(source))]
    Transparent {
        /// The first service that asks for them.
        service: ServiceKey,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// What the handles share.
struct Inner {
    config: RelayConfig,
    capabilities: Capabilities,
    clock: Clock,
    gauge: Arc<Gauge>,
    workers: Vec<WorkerHandle>,
    /// Held by whoever changes which sockets there are, from the first step to the last.
    changing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    services: BTreeMap<ServiceKey, Arc<ServiceCell>>,
    held: BTreeSet<IpAddr>,
    options: BTreeMap<ServiceKey, RelayOptions>,
    stopped: bool,
}

struct WorkerHandle {
    commands: Sender<Command>,
    waker: Waker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The time since the relay was made.
#[derive(Clone, Copy)]
struct Clock {
    epoch: std::time::Instant,
}

impl Clock {
    fn now(self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }
}

impl Relay {
    /// Starts the threads; no service yet.
    ///
    /// # Errors
    /// The operating system's, when a thread or its epoll instance cannot be made.
    pub fn new(config: RelayConfig) -> io::Result<Self> {
        let clock = Clock { epoch: std::time::Instant::now() };
        let count = config.workers.map_or_else(std::thread::available_parallelism, Ok);
        let count = count.unwrap_or(NonZeroUsize::MIN).get();
        let workers = (0..count).map(|number| start_worker(number, count, &config, clock));
        let inner = Inner {
            capabilities: capabilities(&config),
            workers: workers.collect::<io::Result<_>>()?,
            config,
            clock,
            gauge: Arc::default(),
            changing: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes `options` for what all services ask for, those that are added later too; services
    /// that are not in it ask for nothing. Holds for connections that are accepted from now on.
    ///
    /// # Errors
    /// [`OptionsError`]; nothing has changed.
    pub fn set_options(
        &self,
        options: BTreeMap<ServiceKey, RelayOptions>,
    ) -> Result<(), OptionsError> {
        Self::check_options(&options)?;
        let mut state = self.inner.state();
        state.options = options;
        for (key, cell) in &state.services {
            cell.set_options(state.options(*key));
        }
        drop(state);
        // Where a limit has gone up, clients may wait.
        self.inner.workers.iter().for_each(|worker| worker.tell(Command::Accept));
        Ok(())
    }

    /// Whether this process may do what `options` ask for.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn check_options(options: &BTreeMap<ServiceKey, RelayOptions>) -> Result<(), OptionsError> {
        let asks = options.iter().find(|(_, options)| options.transparent);
        let Some((service, _)) = asks else {
            return Ok(());
        };
        listener::check_transparent()
            .map_err(|source| OptionsError::Transparent { service: *service, source })
    }

    /// Makes every service of `address` listen, those added later too, or none: on an error
    /// nothing is left bound. Acquiring an address that is held does nothing.
    ///
    /// The sockets are listening when this returns. A port that another program listens on is an
    /// error; connections left over from an earlier one in `TIME_WAIT` are not.
    ///
    /// # Errors
    /// [`AcquireError`].
    pub async fn acquire(&self, address: IpAddr) -> Result<(), AcquireError> {
        self.acquire_all(&[address]).await
    }

    /// The same with many addresses: all are acquired, or those that were not held are not.
    ///
    /// # Errors
    /// [`AcquireError`].
    pub async fn acquire_all(&self, addresses: &[IpAddr]) -> Result<(), AcquireError> {
        let _turn = self.inner.changing.lock().await;
        let new: BTreeSet<IpAddr> = {
            let state = self.inner.state();
            if state.stopped {
                return Err(AcquireError::Stopped);
            }
            addresses.iter().filter(|address| !state.held.contains(address)).copied().collect()
        };
        let cells = self.inner.state().services_of(&new);
        let bound = cells.iter().map(|cell| self.inner.bind(cell));
        let bound = bound.collect::<Result<Vec<_>, _>>()?;
        self.inner.state().held.extend(new);
        for (cell, bound) in cells.iter().zip(bound) {
            self.inner.start(cell, bound);
        }
        self.inner.wake();
        Ok(())
    }

    /// Makes no service of `address` listen any more. Connections that wait to be accepted are
    /// accepted first, and established TCP connections go on; UDP flows end. The ports are free
    /// when this returns. Releasing an address that is not held does nothing.
    pub async fn release(&self, address: IpAddr) {
        self.release_all(&[address]).await;
    }

    /// The same with many addresses.
    pub async fn release_all(&self, addresses: &[IpAddr]) {
        let _turn = self.inner.changing.lock().await;
        let cells = {
            let mut state = self.inner.state();
            let held = addresses.iter().filter(|address| state.held.remove(address));
            let held = held.copied().collect();
            state.services_of(&held)
        };
        // Every worker is told before the first answer is awaited: a caller that stops waiting
        // leaves nothing half released.
        let answers: Vec<_> =
            cells.iter().flat_map(|cell| self.inner.unlisten(cell.key())).collect();
        self.inner.wake();
        closed(answers).await;
    }

    /// The addresses held.
    #[must_use]
    pub fn held(&self) -> Vec<IpAddr> {
        self.inner.state().held.iter().copied().collect()
    }

    /// Every service with its counters and servers, in key order.
    #[must_use]
    pub fn status(&self) -> Vec<ServiceStatus> {
        let state = self.inner.state();
        let now = self.inner.clock.now();
        let services = state.services.values();
        services.map(|cell| cell.status(now, state.holds(cell.key()))).collect()
    }

    /// The same, of these services; one that there is not is left out.
    #[must_use]
    pub fn status_of(&self, services: &[ServiceKey]) -> Vec<ServiceStatus> {
        let state = self.inner.state();
        let now = self.inner.clock.now();
        let services = services.iter().filter_map(|key| state.services.get(key));
        services.map(|cell| cell.status(now, state.holds(cell.key()))).collect()
    }

    /// Connections and UDP flows right now, those of removed services and servers and those being
    /// made included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.inner.gauge.count()
    }

    /// Waits until there is no connection left, at most for `limit`. Returns how many are left.
    /// Does not keep new ones from coming: [release](Self::release) the addresses first.
    ///
    /// # Panics
    /// Outside a tokio runtime with its timer enabled.
    pub async fn drain(&self, limit: Duration) -> usize {
        let gauge = &self.inner.gauge;
        let idle = async {
            loop {
                let notified = gauge.idle.notified();
                if gauge.count() == 0 {
                    return;
                }
                notified.await;
            }
        };
        // Both ways out are answered by the count.
        let _ = tokio::time::timeout(limit, idle).await;
        gauge.count()
    }

    /// Closes every listener, resets every connection and ends the threads; blocks until they
    /// have ended, which takes no longer than what they are doing at the moment. Afterwards the
    /// table is still there to be read and nothing can be changed.
    pub fn shutdown(&self) {
        self.inner.shutdown();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bind(&self, cell: &Arc<ServiceCell>) -> Result<Bound, AcquireError> {
        listener::bind(cell, self.workers.len())
            .map_err(|source| AcquireError::Bind { service: cell.key(), source })
    }

    /// Hands bound sockets to the workers, which look at them when they are woken.
    fn start(&self, cell: &Arc<ServiceCell>, bound: Bound) {
        match bound {
            Bound::Tcp(sockets) => {
                for (worker, socket) in self.workers.iter().zip(sockets) {
                    worker.leave(Command::Listen(Arc::clone(cell), socket));
                }
            }
            Bound::Udp(sockets) => {
                for (worker, socket) in self.workers.iter().zip(sockets) {
                    worker.leave(Command::ListenUdp(Arc::clone(cell), socket));
                }
            }
        }
    }

    /// Has every worker close the service's sockets when it is woken; each answers when it has.
    fn unlisten(&self, key: ServiceKey) -> Vec<oneshot::Receiver<()>> {
        let tell = |worker: &WorkerHandle| {
            let (done, answer) = oneshot::channel();
            worker.leave(Command::Unlisten(key, done));
            answer
        };
        self.workers.iter().map(tell).collect()
    }

    /// Has the workers look at what was left for them.
    fn wake(&self) {
        self.workers.iter().for_each(|worker| worker.waker.wake());
    }

    fn shutdown(&self) {
        {
            let mut state = self.state();
            state.stopped = true;
            state.held.clear();
        }
        for worker in &self.workers {
            worker.tell(Command::Stop);
        }
        for worker in &self.workers {
            let mut thread = worker.thread.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Err(_)) = thread.take().map(JoinHandle::join) {
                tracing::error!("a relay worker had panicked");
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl State {
    fn holds(&self, key: ServiceKey) -> bool {
        key.vip().is_some_and(|vip| self.held.contains(&vip))
    }

    fn options(&self, key: ServiceKey) -> RelayOptions {
        self.options.get(&key).copied().unwrap_or_default()
    }

    fn services_of(&self, addresses: &BTreeSet<IpAddr>) -> Vec<Arc<ServiceCell>> {
        let is_of = |cell: &ServiceCell| cell.key().vip().is_some_and(|v| addresses.contains(&v));
        self.services.values().filter(|cell| is_of(cell)).cloned().collect()
    }
}

impl WorkerHandle {
    fn tell(&self, command: Command) {
        self.leave(command);
        self.waker.wake();
    }

    /// Tells it without waking it.
    fn leave(&self, command: Command) {
        // A worker that has ended drops the command with its answer channel: whoever waits learns
        // it.
        let _ = self.commands.send(command);
    }
}

async fn closed(answers: Vec<oneshot::Receiver<()>>) {
    for answer in answers {
        // A worker that has ended has closed its sockets.
        let _ = answer.await;
    }
}

fn start_worker(
    number: usize,
    workers: usize,
    config: &RelayConfig,
    clock: Clock,
) -> io::Result<WorkerHandle> {
    let poller = Poller::new()?;
    let waker = Waker::new(&poller, WAKER)?;
    let (commands, receiver) = channel();
    let worker = Worker::new(poller, config.clone(), workers, clock, receiver);
    let thread =
        std::thread::Builder::new().name(format!("relay-{number}")).spawn(move || worker.run())?;
    Ok(WorkerHandle { commands, waker, thread: Mutex::new(Some(thread)) })
}

fn capabilities(config: &RelayConfig) -> Capabilities {
    let names = config.scheduler_names.iter();
    let make = |name: &str| (config.scheduler)(name, scheduler::Options::default());
    let known = names.filter(|name| make(name.as_str()).is_some());
    Capabilities {
        forwarding: vec![Method::Nat],
        protocols: vec![Protocol::Tcp, Protocol::Udp],
        ipv6: true,
        schedulers: Some(known.cloned().collect()),
        scheduler_flags: true,
        any_address: true,
        one_packet: true,
        helper_choice: true,
        ..Capabilities::nothing()
    }
}

fn transparent_problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "CAP_NET_ADMIN is missing; grant it, or take `transparent` out".to_owned()
        }
        _ => error.to_string(),
    }
}

fn bind_problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program holds the port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "the address is not on this machine".to_owned(),
        io::ErrorKind::PermissionDenied => "the port needs privilege".to_owned(),
        _ => error.to_string(),
    }
}
