//! The director: from lvs.cf and the health of the servers to a data plane that is up to date.
//!
//! This is `lvs` as a library. It runs warm on a standby: the checks are current and the table is
//! ready, so that a takeover is only a matter of bringing the addresses up.
//!
//! It is told and asked things by [`Order`]s while it runs:
//!
//! ```no_run
//! use piranha::control::protocol::{Scope, Servers};
//! use piranha::runtime::director::{Director, Order};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let observer = std::sync::Arc::new(|event| eprintln!("{event}"));
//! let director = Director::start("/etc/sysconfig/ha/lvs.cf".into(), observer).await?;
//! let orders = director.control();
//! let link = director.spawn();
//! let (answer, answered) = tokio::sync::oneshot::channel();
//! orders.send(Order::Status { scope: Scope::of(Servers::All), answer }).await?;
//! for service in answered.await?.services {
//!     println!("{}: {:?}", service.name, service.state);
//! }
//! # drop(link);
//! # Ok(())
//! # }
//! ```

mod counting;
mod leaving;
mod load;
mod memory;
mod operate;
mod order;
mod plane;
mod rates;
mod reconciler;
mod reload;
mod replicate;
mod requests;
mod status;
mod store;
mod survey;
mod tell;
mod trial;
mod verdicts;
mod warmth;
mod watch;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, watch as signal};

use self::counting::Falls;
use self::leaving::Leaving;
use self::load::Loads;
use self::memory::Memory;
pub use self::order::{InForce, Order};
use self::plane::Plane;
use self::rates::Rating;
use self::reconciler::Reconciler;
use self::reload::{check_supported, read};
use self::replicate::Replication;
pub use self::store::Store;
pub(in crate::runtime) use self::store::write_private;
use self::survey::Survey;
pub use self::trial::Trial;
use self::warmth::Warmth;
pub use self::watch::WatchError;
use self::watch::{ServerKey, Watch};
use self::ways::Ways;
use super::clock;
use super::configuration::{self, Accepted, ConfigError};
use super::heartbeat::{Link, Observer};
use super::metrics::Metrics;
use super::notify::Notifier;
use super::systemd::Watchdog;
use crate::config::Config;
use crate::control::supervision::{Report, Request, Terms};
use crate::control::{Desired, Event, Overrides};
use crate::ipvs::{Backend, BackendError, Table, Unsupported};
use crate::time::Instant;

/// How often the table in force is compared with the one wanted, and drained servers are looked
/// for, where that is done quickly.
const AUDIT_INTERVAL: Duration = Duration::from_millis(500);

/// Reading a large table takes time: the pause after it is at least so many times as long.
const AUDIT_SHARE: u32 = 50;

/// Orders that may wait: who gives more waits until the director has come to them.
const ORDERS: usize = 64;

/// Why a director could not start. Nothing was left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot be run.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data plane cannot carry the configuration.
    #[error("{place}: {unsupported}")]
    Unsupported {
        /// The file, and the line and column of the virtual service in it.
        place: String,
        /// What is missing.
        unsupported: Unsupported,
    },
    /// The data plane asked for is not there.
    #[error("dataplane = {name}: {reason}")]
    NoDataPlane {
        /// The data plane asked for.
        name: &'static str,
        /// Why it cannot be had.
        reason: String,
    },
    /// The servers cannot be checked as configured.
    #[error("{}: {source}", path.display())]
    Watch {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: WatchError,
    },
    /// It has failover services instead of virtual ones: [`Group`](super::fos::Group) runs those.
    #[error("{}: `service = fos` has no virtual services", .0.display())]
    Failover(PathBuf),
    /// The data plane refused the first table.
    #[error(transparent)]
    DataPlane(#[from] BackendError),
}

/// A running director.
pub struct Director {
    path: PathBuf,
    config: Config,
    table: Reconciler<Box<dyn Plane>>,
    desired: Desired,
    watch: Watch,
    survey: Survey,
    ways: Ways,
    memory: Memory,
    loads: Loads,
    drained: BTreeSet<ServerKey>,
    falls: Falls,
    /// For a data plane that tells no rates.
    rating: Rating,
    leaving: Leaving,
    warmth: Warmth,
    observer: Observer,
    orders: mpsc::Receiver<Order>,
    order_sender: mpsc::Sender<Order>,
    started: Instant,
    /// What operators say of servers, and where that is remembered.
    overrides: Overrides,
    store: Option<Store>,
    /// Whether the partner has it too.
    replication: Replication,
    /// Since when the configuration has been in force, and its digest.
    loaded: Instant,
    digest: u64,
    in_force: signal::Sender<InForce>,
    /// Why what is in the file now is not in force, if it is not.
    refused: Option<String>,
    /// Why the last change to the table failed, if it did.
    failure: Option<String>,
    notifier: Option<Notifier>,
    metrics: Option<Metrics>,
    watchdog: Option<Watchdog>,
    /// Whether nothing is to outlive it.
    release: bool,
}

impl Director {
    /// Reads the configuration at `path`, starts the data plane and the checks. No address is up
    /// yet. What operators say of servers ends with it.
    ///
    /// # Errors
    /// [`StartError`]; nothing was left behind.
    pub async fn start(path: PathBuf, observer: Observer) -> Result<Self, StartError> {
        Self::start_with(path, None, observer).await
    }

    /// The same; what operators say of servers is remembered in `store`.
    ///
    /// # Errors
    /// [`StartError`]; nothing was left behind.
    pub async fn start_with(
        path: PathBuf,
        store: Option<Store>,
        observer: Observer,
    ) -> Result<Self, StartError> {
        let accepted = read(&path)?;
        let plane = plane::start(&path, &accepted.config, &observer).await?;
        check_supported(&path, &accepted, plane.capabilities())?;
        plane::retire_kernel(&path, plane.as_ref()).await?;
        let Accepted { config, hash, .. } = accepted;
        let (order_sender, orders) = mpsc::channel(ORDERS);
        let now = clock::now();
        let memory = Memory::of(&path);
        let watch = Watch::new(memory.read().collect());
        let watch = watch.map_err(|source| StartError::Watch { path: path.clone(), source })?;
        let mut director = Self {
            overrides: Overrides::default(),
            replication: Replication::default(),
            store,
            path,
            orders,
            order_sender,
            started: now,
            loaded: now,
            digest: configuration::digest(&config),
            in_force: signal::Sender::new(InForce::new(hash)),
            refused: None,
            failure: None,
            desired: Desired::new(&config),
            config,
            table: Reconciler::new(plane),
            watch,
            survey: Survey::default(),
            ways: Ways::default(),
            memory,
            loads: Loads::default(),
            drained: BTreeSet::new(),
            falls: Falls::default(),
            rating: Rating::default(),
            leaving: Leaving::default(),
            warmth: Warmth::new(clock::now()),
            observer,
            notifier: None,
            metrics: None,
            watchdog: None,
            release: false,
        };
        director.remember_overrides().await;
        director.ways.configure(&director.config);
        director.open_ways().await?;
        if let Err(error) = director.configure_watch() {
            director.close_ways().await;
            return Err(error);
        }
        director.desired.configure(&director.overrides.in_force(&director.config));
        director.configure_loads();
        director.configure_plane().await?;
        director.desired.adopt(director.table.observe().await?);
        let known = director.take_down_first();
        director.table.known_whole(&director.wanted()).await?;
        known.into_iter().for_each(|server| director.tell_weight(server));
        director.tell_quorums(&BTreeMap::new());
        Ok(director)
    }

    /// Reads the configuration at `path` and says whether it could be run here, changing nothing.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn check(path: &Path, observer: &Observer) -> Result<(), StartError> {
        let accepted = read(path)?;
        let plane = plane::start(path, &accepted.config, observer).await?;
        check_supported(path, &accepted, plane.capabilities())
    }

    /// Where to send orders while it runs.
    #[must_use]
    pub fn control(&self) -> mpsc::Sender<Order> {
        self.order_sender.clone()
    }

    /// Which file is in force, also while it runs.
    #[must_use]
    pub fn in_force(&self) -> signal::Receiver<InForce> {
        self.in_force.subscribe()
    }

    /// Has events told by `notifier`, as the configuration says from time to time. The observer is
    /// still the one that was given at the start: make it with
    /// [`Notifier::observer`](crate::runtime::notify::Notifier::observer).
    #[must_use]
    pub fn with_notifier(mut self, notifier: Notifier) -> Self {
        notifier.configure(&self.config);
        self.notifier = Some(notifier);
        self
    }

    /// Has the loop that keeps the table right show the service manager that it turns.
    #[must_use]
    pub fn with_watchdog(self, watchdog: Watchdog) -> Self {
        Self { watchdog: Some(watchdog), ..self }
    }

    /// Has it take back at its orderly end what would outlive it: the services of lvs.cf in the
    /// kernel's table, with their connections, and the kernel's sync daemons. Without this they
    /// stay for the next start. What others made is left alone, and a director that dies leaves
    /// everything as it is.
    #[must_use]
    pub fn with_release(self, release: bool) -> Self {
        Self { release, ..self }
    }

    /// Has `metrics` listen where the configuration says from time to time.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        metrics.configure(&self.config);
        self.metrics = Some(metrics);
        self
    }

    /// Runs in this process, on a link for a [`Driver`](super::heartbeat::Driver).
    ///
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn spawn(self) -> Link {
        let (requests, request_receiver) = mpsc::unbounded_channel();
        let (report_sender, reports) = mpsc::unbounded_channel();
        tokio::spawn(self.run(request_receiver, report_sender));
        Link { requests, reports }
    }

    /// Carries requests out until it is told to stop or the requests end, which means that the
    /// heartbeat is gone: then every address goes down at once.
    pub async fn run(
        mut self,
        mut requests: mpsc::UnboundedReceiver<Request>,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        let mut audit = clock::now() + AUDIT_INTERVAL;
        let _ = reports.send(self.configured());
        let _ = reports.send(Report::Warm(false));
        loop {
            let fed = self.watchdog.as_ref().map(Watchdog::due);
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Stop { drain }) => return self.stop(drain).await,
                    Some(request) => self.on_request(request, &reports).await,
                    None => return self.table.backend_mut().shutdown(),
                },
                (server, output) = self.watch.next() => {
                    self.on_health(server, output).await;
                    // Where verdicts come thick and fast, requests do not wait for the last of them:
                    // they are read by another task of this thread.
                    tokio::task::yield_now().await;
                }
                news = self.loads.next() => self.on_load(news).await,
                Some(order) = self.orders.recv() => self.on_order(order, &reports).await,
                () = clock::sleep_until(audit) => {
                    audit = self.audit().await;
                    self.look_for_warmth(&reports);
                }
                () = clock::sleep_until_or_forever(fed) => {}
            }
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.feed(clock::now());
            }
        }
    }

    /// The whole table: what serves or is on its way out, and the ways of checks.
    fn wanted(&self) -> Table {
        self.ways.add_to(self.leaving.add_to(self.desired.table()))
    }

    /// Lays the ways of checks before the first check takes one, beside what is there.
    async fn open_ways(&mut self) -> Result<(), BackendError> {
        let keys: Vec<_> = self.ways.keys().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let news = self.table.backend_mut().allow_ways(keys);
        news.into_iter().for_each(|event| self.tell(event));
        let present = self.table.observe().await?.clone();
        self.table.whole(&self.ways.add_to(present)).await
    }

    /// Takes them away again.
    async fn close_ways(&mut self) {
        let keys: Vec<_> = self.ways.keys().collect();
        for key in keys {
            let removed = self.table.service(key, None).await;
            self.warn_of(removed);
        }
    }

    async fn configure_plane(&mut self) -> Result<(), BackendError> {
        let news = self.table.backend_mut().configure(&self.config).await?;
        news.into_iter().for_each(|event| self.tell(event));
        Ok(())
    }

    fn configure_watch(&mut self) -> Result<(), StartError> {
        let users = load::check_users(&self.config).map_err(WatchError::from);
        let config = self.overrides.in_force(&self.config);
        let watched = users.and_then(|()| self.watch.configure(&config, &self.ways));
        watched.map_err(|source| StartError::Watch { path: self.path.clone(), source })?;
        self.falls.retain(|server| self.watch.names(server).is_some());
        self.tell_monitors();
        Ok(())
    }

    fn configure_loads(&mut self) {
        self.survey.renew_all();
        self.loads.configure(&self.overrides.in_force(&self.config));
        for service in self.config.active_virtuals() {
            for server in service.active_servers() {
                let server = ServerKey { service: service.key(), address: server.address };
                self.desired.set_steer(server.service, server.address, self.loads.steer(server));
                self.desired.set_most(server.service, server.address, self.loads.most(server));
            }
        }
    }

    fn configured(&self) -> Report {
        Report::Configured(Box::new(self.terms()))
    }

    fn terms(&self) -> Terms {
        let terms = Terms::new(&self.config, self.digest);
        Terms { outlives_lvs: self.table.backend().outlives_us(), ..terms }
    }

    fn remember_health(&mut self) {
        if self.memory.is_due(clock::now()) {
            let known = self.watch.remembered();
            if !known.is_empty() {
                self.memory.write_soon(known);
            }
        }
    }

    /// Returns when to do it again.
    async fn audit(&mut self) -> Instant {
        let begun = clock::now();
        let audited = self.table.whole(&self.wanted()).await;
        self.warn_of(audited);
        self.expire_overrides().await;
        self.look_for_drained().await;
        self.let_go().await;
        self.tend().await;
        self.remember_health();
        self.rate();
        let end = clock::now();
        end + AUDIT_INTERVAL.max((end - begun) * AUDIT_SHARE)
    }

    /// The kernel's estimator does this by itself.
    fn rate(&mut self) {
        let plane = self.table.backend();
        if !plane.tells_rates() && self.rating.is_due(clock::now()) {
            plane.traffic().iter().for_each(|measured| self.rating.take(measured));
        }
    }

    fn look_for_warmth(&mut self, reports: &mpsc::UnboundedSender<Report>) {
        let synced = self.table.backend().is_warm();
        let told = self.warmth.update(clock::now(), self.desired.is_judged(), synced);
        if let Some(event) = told {
            self.tell(event);
            let _ = reports.send(Report::Warm(self.warmth.is_warm()));
        }
    }

    async fn tend(&mut self) {
        let news = self.table.backend_mut().tend().await;
        news.into_iter().for_each(|event| self.tell(event));
    }

    /// Says what failed; the next audit tries it again.
    fn warn_of(&mut self, result: Result<(), BackendError>) {
        self.failure = result.err().map(|error| error.to_string());
        if let Some(text) = self.failure.clone() {
            self.tell(Event::Warning { text });
        }
    }

    /// Says once of each server without weight that its last connection has ended; not of a
    /// backup that only waits.
    async fn look_for_drained(&mut self) {
        let unsaid = |server: &ServerKey| {
            self.watch.names(*server).is_some()
                && !self.drained.contains(server)
                && !self.desired.stands_by(server.service, server.address)
        };
        let quiesced: Vec<_> = self.table.quiesced().filter(unsaid).collect();
        if quiesced.is_empty() {
            return;
        }
        for server in self.table.backend_mut().drained(&quiesced).await {
            self.drained.insert(server);
            self.tell_drained(server);
        }
    }
}
