//! Failover services (`service = fos`): what runs on the active node itself instead of behind it.
//!
//! A [`Group`] stands where a [`Director`](super::director::Director) stands otherwise, on the same
//! link to a heartbeat. All services move as one: when the node turns active each is started, when
//! it gives the addresses up each is stopped, and when the check of one fails, all are stopped and
//! the partner takes over. For as long as `reentry` says the node does not take the services back,
//! so that one which is broken on both nodes does not bounce between them without a pause.
//!
//! 0.8.6 checked from the standby. Here the active node checks itself, over the address that
//! moves: what is up on the other node does not have to be asked over a network that may be down.

mod hands;
mod orders;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch as signal};

use self::hands::{Hands, Outcome};
use super::checks::{self, Dialer, Runner};
use super::clock;
use super::configuration::{self, Accepted, ConfigError};
use super::director::{InForce, Order, WatchError};
use super::heartbeat::{Link, Observer};
use super::metrics::Metrics;
use super::notify::Notifier;
use crate::config::{Config, Failover, ServiceKind};
use crate::control::Event;
use crate::control::supervision::{Report, Request, Terms};
use crate::failover::ActionError;
use crate::health::{self, Check, Health, MonitorConfig, rise_from_reentry};
use crate::time::Instant;

/// How long a release waits for services to stop. The heartbeat gives an answer up after 5 s.
const STOP_PATIENCE: Duration = Duration::from_secs(4);

/// Verdicts that may wait.
const QUEUE: usize = 64;

/// Why failover services cannot be run. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The configuration cannot be run.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It has virtual services instead.
    #[error("{}: `service = lvs` has no failover services", .0.display())]
    NotFailover(PathBuf),
    /// A service cannot be checked as configured.
    #[error(transparent)]
    Watch(#[from] WatchError),
}

/// The failover services of a configuration.
pub struct Group {
    path: PathBuf,
    config: Config,
    hands: Hands,
    checks: Vec<Runner>,
    verdicts: mpsc::Receiver<(Token, health::Output)>,
    verdict_sender: mpsc::Sender<(Token, health::Output)>,
    /// Tells verdicts on what runs now from those on what ran before.
    life: u64,
    active: bool,
    /// Until when the services are not taken, after one failed.
    barred: Option<Instant>,
    observer: Observer,
    notifier: Option<Notifier>,
    metrics: Option<Metrics>,
    orders: mpsc::Receiver<Order>,
    order_sender: mpsc::Sender<Order>,
    started: Instant,
    /// Since when the configuration has been in force, and which it is.
    loaded: Instant,
    in_force: signal::Sender<InForce>,
    /// Why what is in the file now is not in force, if it is not.
    refused: Option<String>,
    doing: Doing,
}

/// What the services do.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Doing {
    /// They run on the other node, or on none.
    Nothing,
    /// They are being started.
    Starting,
    /// They run.
    Running,
    /// One failed here, in words.
    Failed(String),
}

/// Which life of which service a verdict is about.
type Token = (u64, usize);

enum Input {
    Request(Option<Request>),
    Verdict(Token, health::Output),
    Outcome(Outcome),
    Allowed,
    Order(Order),
}

impl Group {
    /// Reads the configuration at `path` and runs each `stop_cmd`, as 0.8.6 does: whatever an
    /// earlier life left running must not run on a standby.
    ///
    /// # Errors
    /// [`GroupError`]; nothing was started.
    pub async fn start(path: PathBuf, observer: Observer) -> Result<Self, GroupError> {
        let accepted = accept(&path)?;
        let Accepted { config, hash, .. } = accepted;
        let mut hands = Hands::start(&config);
        hands.stop();
        hands.stopped(STOP_PATIENCE).await;
        let (verdict_sender, verdicts) = mpsc::channel(QUEUE);
        let (order_sender, orders) = mpsc::channel(QUEUE);
        let now = clock::now();
        Ok(Self {
            orders,
            order_sender,
            started: now,
            loaded: now,
            in_force: signal::Sender::new(InForce::new(hash)),
            refused: None,
            doing: Doing::Nothing,
            path,
            config,
            hands,
            checks: Vec::new(),
            verdicts,
            verdict_sender,
            life: 0,
            active: false,
            barred: None,
            observer,
            notifier: None,
            metrics: None,
        })
    }

    /// Reads the configuration at `path` and says whether it could be run here, changing nothing.
    ///
    /// # Errors
    /// [`GroupError`].
    pub fn check(path: &Path) -> Result<Config, GroupError> {
        Ok(accept(path)?.config)
    }

    /// Where to send orders while it runs. Those that concern servers are refused.
    #[must_use]
    pub fn control(&self) -> mpsc::Sender<Order> {
        self.order_sender.clone()
    }

    /// Which file is in force, also while it runs.
    #[must_use]
    pub fn in_force(&self) -> signal::Receiver<InForce> {
        self.in_force.subscribe()
    }

    /// As [`Director::with_notifier`](super::director::Director::with_notifier).
    #[must_use]
    pub fn with_notifier(mut self, notifier: Notifier) -> Self {
        notifier.configure(&self.config);
        self.notifier = Some(notifier);
        self
    }

    /// As [`Director::with_metrics`](super::director::Director::with_metrics).
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

    /// Carries requests out until it is told to stop or they end, which means that the heartbeat
    /// is gone; then no service runs any more.
    async fn run(
        mut self,
        mut requests: mpsc::UnboundedReceiver<Request>,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        let _ = reports.send(self.configured());
        loop {
            match self.next_input(&mut requests).await {
                Input::Request(Some(Request::Stop { .. }) | None) => break,
                Input::Request(Some(request)) => self.on_request(request, &reports).await,
                Input::Verdict(token, output) => self.on_verdict(token, output, &reports),
                Input::Order(order) => self.on_order(order, &reports),
                Input::Outcome(Outcome::Started) => self.watch(),
                Input::Outcome(Outcome::Failed(reason)) => self.fail(reason, &reports),
                Input::Allowed => {
                    self.barred = None;
                    self.doing = Doing::Nothing;
                    let _ = reports.send(self.configured());
                }
            }
        }
        self.give_up();
        self.hands.stopped(Duration::MAX).await;
    }

    async fn next_input(&mut self, requests: &mut mpsc::UnboundedReceiver<Request>) -> Input {
        tokio::select! {
            biased;
            request = requests.recv() => Input::Request(request),
            outcome = self.hands.outcome() => Input::Outcome(outcome),
            Some(order) = self.orders.recv() => Input::Order(order),
            Some((token, output)) = self.verdicts.recv() => Input::Verdict(token, output),
            () = clock::sleep_until_or_forever(self.barred) => Input::Allowed,
        }
    }

    async fn on_request(&mut self, request: Request, reports: &mpsc::UnboundedSender<Report>) {
        match request {
            Request::Acquire { id, addresses } => {
                let result = self.acquire();
                if result.is_ok() {
                    self.tell(Event::Acquired { addresses });
                }
                let _ = reports.send(Report::Done { id, result });
            }
            Request::Release { id, addresses } => {
                self.give_up();
                if !self.hands.stopped(STOP_PATIENCE).await {
                    let text = format!("services still stop after {STOP_PATIENCE:?}");
                    self.tell(Event::Warning { text });
                }
                if self.barred.is_some() {
                    // The partner cannot take them before now.
                    self.bar();
                }
                self.tell(Event::Released { addresses });
                let _ = reports.send(Report::Done { id, result: Ok(()) });
            }
            Request::Reload => drop(self.reload(None, reports)),
            // Whoever holds the addresses announces them; no service outlives this process.
            Request::Announce { .. } | Request::Held { .. } | Request::Stop { .. } => {}
        }
    }

    /// The services start while the addresses are announced: what fails is told when it does.
    fn acquire(&mut self) -> Result<(), ActionError> {
        if self.barred.is_some() {
            return Err(ActionError("a service failed here and `reentry` is not over".to_owned()));
        }
        if !std::mem::replace(&mut self.active, true) {
            self.life += 1;
            self.hands.go(&self.config);
            self.doing = Doing::Starting;
        }
        Ok(())
    }

    fn give_up(&mut self) {
        if std::mem::replace(&mut self.active, false) {
            self.life += 1;
            self.checks.clear();
            self.hands.stop();
            self.doing = Doing::Nothing;
        }
    }

    /// Begins to check what was started.
    fn watch(&mut self) {
        self.checks.clear();
        if self.active {
            self.doing = Doing::Running;
        }
        let failovers: Vec<_> = self.config.active_failovers().cloned().collect();
        for (place, failover) in failovers.iter().enumerate() {
            match plan(failover) {
                Ok((check, monitor)) => {
                    let service = &failover.service;
                    let target = SocketAddr::new(service.address, service.port);
                    let events = self.verdict_sender.clone();
                    let token = (self.life, place);
                    self.checks.push(Runner::spawn(token, target, check, monitor, events));
                }
                Err(error) => self.tell(Event::Warning { text: error.to_string() }),
            }
        }
    }

    fn on_verdict(
        &mut self,
        (life, place): Token,
        output: health::Output,
        reports: &mpsc::UnboundedSender<Report>,
    ) {
        let health::Output::Changed { from, to, reason } = output else {
            return;
        };
        let failover = self.config.active_failovers().nth(place);
        let Some(service) =
            failover.map(|failover| &failover.service).filter(|_| life == self.life)
        else {
            return;
        };
        let (name, address) =
            (service.name.clone(), SocketAddr::new(service.address, service.port));
        let reason = reason.to_string();
        let why = format!("{name}: {reason}");
        let server = name.clone();
        self.tell(Event::Health { service: name, server, address, from, to, reason });
        if to == Health::Down {
            self.fail(why, reports);
        }
    }

    /// All stop, and the partner has to take them.
    fn fail(&mut self, reason: String, reports: &mpsc::UnboundedSender<Report>) {
        if !self.active {
            return;
        }
        self.give_up();
        self.bar();
        self.doing = Doing::Failed(reason.clone());
        let _ = reports.send(Report::Broken { reason });
    }

    /// Leaves the services to the partner for a while.
    fn bar(&mut self) {
        let pause = self.config.active_failovers().map(|failover| failover.service.reentry).max();
        self.barred = Some(clock::now() + pause.unwrap_or_default());
    }

    /// Reads the file again, or takes what was `accepted` already.
    fn reload(
        &mut self,
        accepted: Option<Box<Accepted>>,
        reports: &mpsc::UnboundedSender<Report>,
    ) -> Result<(), GroupError> {
        let accepted = match accepted {
            Some(accepted) => check(&self.path, &accepted).map(|()| *accepted),
            None => accept(&self.path),
        };
        match accepted {
            Ok(accepted) => {
                self.put_in_force(accepted, reports);
                Ok(())
            }
            Err(error) => {
                self.refused = Some(error.to_string());
                self.tell(Event::ReloadFailed { reason: error.to_string() });
                Err(error)
            }
        }
    }

    fn put_in_force(&mut self, accepted: Accepted, reports: &mpsc::UnboundedSender<Report>) {
        let Accepted { config, hash, .. } = accepted;
        let before = std::mem::replace(&mut self.config, config);
        (self.loaded, self.refused) = (clock::now(), None);
        self.in_force.send_replace(InForce::new(hash));
        if let Some(notifier) = &self.notifier {
            notifier.configure(&self.config);
        }
        if let Some(metrics) = &self.metrics {
            metrics.configure(&self.config);
        }
        if self.active && before.failovers != self.config.failovers {
            self.life += 1;
            self.checks.clear();
            self.hands.go(&self.config);
            self.doing = Doing::Starting;
        }
        self.tell(Event::Reloaded { changes: 0 });
        // While it is barred the node must not take this for leave to go on.
        if self.barred.is_none() {
            let _ = reports.send(self.configured());
        }
    }

    fn configured(&self) -> Report {
        let terms = Terms::new(&self.config, configuration::digest(&self.config));
        Report::Configured(Box::new(terms))
    }

    fn tell(&self, event: Event) {
        (self.observer)(event);
    }
}

/// Reads a configuration with failover services that could be run here.
fn accept(path: &Path) -> Result<Accepted, GroupError> {
    let accepted = configuration::read(path)?;
    check(path, &accepted).map(|()| accepted)
}

fn check(path: &Path, accepted: &Accepted) -> Result<(), GroupError> {
    if accepted.config.service != ServiceKind::Fos {
        return Err(GroupError::NotFailover(path.to_owned()));
    }
    accepted.config.active_failovers().try_for_each(|failover| plan(failover).map(drop))?;
    Ok(())
}

/// How a service is checked: the first time one interval after its start.
fn plan(failover: &Failover) -> Result<(Arc<dyn Check>, MonitorConfig), WatchError> {
    let service = &failover.service;
    let dialer = Dialer::new(service.check_path);
    let check = checks::build_with(&service.check, service.protocol, &dialer)?;
    let rise = service.rise.unwrap_or_else(|| rise_from_reentry(service.reentry, service.interval));
    let monitor = MonitorConfig::new(service.interval, service.timeout)?
        .with_rise(rise)?
        .with_fall(service.fall)?
        .with_initial_offset(service.interval);
    Ok((check.into(), monitor))
}
