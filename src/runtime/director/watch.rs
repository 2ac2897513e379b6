//! The health of each real server of each active virtual service. Services that check the same on
//! the same server share the probes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::memory::Known;
use super::ways::{Along, Ways};
use crate::config::{Config, RealServer, Virtual};
use crate::control::{Histogram, Timestamp};
use crate::health::{
    self, Check, CheckPath, CheckSpec, InitialState, Jitter, MonitorConfig, Snapshot,
    rise_from_reentry, spread,
};
use crate::ipvs::ServiceKey;
use crate::net::{OutOfRange, Protocol, Weight};
use crate::runtime::checks::{
    self, CheckError, Dialer, Expiries, Method, Pool, Seat, Standing, Transcript, Way,
};
use crate::runtime::clock;
use crate::wire::proxy::ProxyProtocol;

/// Outputs that may wait for the director; a check whose output finds no room waits with it.
const OUTPUT_QUEUE: usize = 1024;

/// The first checks of two servers are this far apart, or less where an interval would not do for
/// all: a start is quick and yet no burst. Later ones are spread over their interval.
const OFFSET: Duration = Duration::from_millis(1);

/// Why servers cannot be watched as configured. Everything goes on as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// Want of descriptors.
    #[error("checks cannot begin: {0}")]
    System(#[from] std::io::Error),
    /// The check cannot be made.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// An interval, a timeout or a count.
    #[error(transparent)]
    Timing(#[from] OutOfRange),
}

/// A real server of one virtual service.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct ServerKey {
    pub(super) service: ServiceKey,
    pub(super) address: SocketAddr,
}

/// How lvs.cf calls a server.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) service: String,
    pub(super) server: String,
}

/// All checks that are running.
pub(super) struct Watch {
    running: BTreeMap<ServerKey, Watched>,
    /// What an earlier life knew of servers that were not watched yet in this one.
    known: BTreeMap<ServerKey, Snapshot>,
    generation: u64,
    /// What the jitter of the checks is drawn from.
    seed: u64,
    pool: Pool<Token>,
    outputs: mpsc::Receiver<(Token, health::Output)>,
    /// When the certificates end that checks saw.
    expiries: Expiries,
}

/// Tells the outputs of a check from those of an earlier one for the same server.
#[derive(Clone, Copy, Debug)]
struct Token {
    server: ServerKey,
    generation: u64,
}

struct Watched {
    names: Names,
    asked: Asked,
    method: Method,
    initial: InitialState,
    generation: u64,
    seat: Seat<Token>,
}

struct Wanted {
    names: Names,
    asked: Asked,
    monitor: MonitorConfig,
    /// A server of another service that is asked the same.
    mate: Option<ServerKey>,
}

/// What is asked of a server, and when: where this is the same, one probe serves all.
#[derive(PartialEq)]
struct Asked {
    target: SocketAddr,
    interval: Duration,
    timeout: Duration,
    fast_interval: Option<Duration>,
    jitter: u32,
    probe: Probe,
}

/// What makes a check.
#[derive(PartialEq)]
pub(super) struct Probe {
    spec: CheckSpec,
    protocol: Protocol,
    proxy: Option<ProxyProtocol>,
    path: CheckPath,
    way: Option<Way>,
}

impl Probe {
    pub(super) fn of(service: &Virtual, way: Option<Way>) -> Self {
        Self {
            spec: service.check.clone(),
            protocol: service.protocol,
            proxy: service.proxy_protocol,
            path: service.check_path,
            way,
        }
    }

    pub(super) const fn kind(&self) -> &'static str {
        self.spec.kind()
    }

    /// The check with a record of what it sends and gets.
    pub(super) fn build_explained(
        &self,
        transcript: &Transcript,
    ) -> Result<Arc<dyn Check>, CheckError> {
        self.check(&self.dialer().with_transcript(transcript.clone()))
    }

    fn dialer(&self) -> Dialer {
        Dialer::new(self.path).with_proxy_protocol(self.proxy).with_way(self.way)
    }

    fn check(&self, dialer: &Dialer) -> Result<Arc<dyn Check>, CheckError> {
        let check: Arc<dyn Check> = checks::build_with(&self.spec, self.protocol, dialer)?.into();
        Ok(match self.way {
            Some(way) => Arc::new(Along::new(check, way)),
            None => check,
        })
    }

    fn build(&self, expiries: &Expiries) -> Result<Method, CheckError> {
        let connects = (&self.spec, self.protocol) == (&CheckSpec::Connect, Protocol::Tcp);
        if connects && self.way.is_none() {
            return Ok(Method::Connect(self.dialer()));
        }
        let dialer = self.dialer().with_expiries(expiries.clone());
        Ok(Method::Check(self.check(&dialer)?))
    }
}

impl Asked {
    fn of(service: &Virtual, server: &RealServer, way: Option<Way>) -> Self {
        Self {
            target: server.address,
            interval: service.interval,
            timeout: service.timeout,
            fast_interval: service.fast_interval,
            jitter: service.check_jitter,
            probe: Probe::of(service, way),
        }
    }
}

impl Watch {
    /// Watches nothing yet; `known` is what an earlier life knew.
    ///
    /// # Errors
    /// [`WatchError::System`].
    pub(super) fn new(known: BTreeMap<ServerKey, Snapshot>) -> Result<Self, WatchError> {
        let (sender, outputs) = mpsc::channel(OUTPUT_QUEUE);
        let (running, pool) = (BTreeMap::new(), Pool::spawn(sender)?);
        let (generation, seed) = (0, clock::now().as_nanos());
        let expiries = Expiries::default();
        Ok(Self { running, known, generation, seed, pool, outputs, expiries })
    }

    /// Goes on with `words` of operators and no others, in place of those an earlier life obeyed.
    pub(super) fn obey(&mut self, words: &BTreeMap<ServerKey, health::Override>) {
        let now = clock::now();
        for (key, known) in &mut self.known {
            let word = words.get(key).copied().unwrap_or_default();
            *known = known.clone().under(now, word);
        }
    }

    /// What is known of the servers that are to be remembered.
    pub(super) fn remembered(&self) -> Vec<Known> {
        let wanted = |watched: &Watched| watched.initial == InitialState::Remembered;
        let servers = self.running.iter().filter(|(_, watched)| wanted(watched));
        servers.map(|(key, watched)| (key.service, key.address, watched.seat.snapshot())).collect()
    }

    /// The next thing a check has to say of a server that is still watched.
    pub(super) async fn next(&mut self) -> (ServerKey, health::Output) {
        loop {
            let Some((token, output)) = self.outputs.recv().await else {
                return std::future::pending().await;
            };
            if self.is_running(token) {
                return (token.server, output);
            }
        }
    }

    /// The same, if it is there already.
    pub(super) fn ready(&mut self) -> Option<(ServerKey, health::Output)> {
        loop {
            let (token, output) = self.outputs.try_recv().ok()?;
            if self.is_running(token) {
                return Some((token.server, output));
            }
        }
    }

    fn is_running(&self, token: Token) -> bool {
        let watched = self.running.get(&token.server);
        watched.is_some_and(|watched| watched.generation == token.generation)
    }

    /// How lvs.cf calls a server that is watched.
    pub(super) fn names(&self, key: ServerKey) -> Option<&Names> {
        self.running.get(&key).map(|watched| &watched.names)
    }

    /// What is known of a server that is watched.
    pub(super) fn status(&self, key: ServerKey) -> Option<health::Status> {
        self.running.get(&key).map(|watched| watched.seat.status())
    }

    /// What checks and operators say of a server that is watched.
    pub(super) fn standing(&self, key: ServerKey) -> Option<Standing> {
        self.running.get(&key).and_then(|watched| watched.seat.standing())
    }

    /// The weight that a server has by its checks and by what operators say of it.
    pub(super) fn weight(&self, key: ServerKey) -> Option<Weight> {
        self.running.get(&key).and_then(|watched| watched.seat.weight())
    }

    /// The services of the servers of which that has changed since this was last asked.
    pub(super) fn take_changed(&self) -> impl Iterator<Item = ServiceKey> {
        self.pool.take_changed().into_iter().map(|token| token.server.service)
    }

    /// When the certificate of a server ends, where its checks saw one.
    pub(super) fn certificate_expires(&self, key: ServerKey) -> Option<Timestamp> {
        self.expiries.of(key.address)
    }

    /// How long the checks of a server that is watched took.
    pub(super) fn durations(&self, key: ServerKey) -> Option<Histogram> {
        self.running.get(&key).map(|watched| watched.seat.durations())
    }

    /// Tells the monitor of a server what an operator wants of it.
    pub(super) fn set_override(&self, key: ServerKey, wanted: health::Override) {
        if let Some(watched) = self.running.get(&key) {
            watched.seat.set_override(wanted);
        }
    }

    /// Watches what `config` names and nothing else, along `ways` where there are any. A server
    /// that was watched before keeps its state, also when it is probed in another way from now on.
    ///
    /// # Errors
    /// [`WatchError`]; everything goes on as it was.
    pub(super) fn configure(&mut self, config: &Config, ways: &Ways) -> Result<(), WatchError> {
        let (order, mut wanted) = self.wanted(config, ways)?;
        let mut methods = self.build_changed(&wanted)?;
        self.running.retain(|key, _| wanted.contains_key(key));
        let asked: HashSet<_> = wanted.values().map(|one| one.asked.target).collect();
        self.expiries.retain(|server| asked.contains(&server));
        for key in order {
            if let Some(wanted) = wanted.remove(&key) {
                self.watch(key, wanted, methods.remove(&key));
            }
        }
        Ok(())
    }

    /// The servers by their keys, and the keys in an order in which each comes behind its mate.
    fn wanted(
        &self,
        config: &Config,
        ways: &Ways,
    ) -> Result<(Vec<ServerKey>, Servers), WatchError> {
        let services = config.active_virtuals();
        let servers = services.flat_map(|v| v.active_servers().map(move |server| (v, server)));
        let total = config.active_virtuals().map(|v| v.active_servers().count()).sum();
        let (mut order, mut all) = (Vec::new(), Servers::new());
        let mut leaders: HashMap<SocketAddr, Vec<(ServerKey, MonitorConfig)>> = HashMap::new();
        for (v, server) in servers {
            let key = ServerKey { service: v.key(), address: server.address };
            let asked = Asked::of(v, server, ways.to(key));
            let names = Names { service: v.name.clone(), server: server.name.clone() };
            let alike = leaders.entry(asked.target).or_default();
            let leader = alike
                .iter()
                .find(|(leader, _)| all.get(leader).is_some_and(|one| one.asked == asked));
            let (mate, monitor) = match leader {
                Some((mate, pace)) => (Some(*mate), in_step(monitor(v, server)?, pace)),
                None => (None, self.paced(monitor(v, server)?, v, order.len(), total)?),
            };
            if mate.is_none() {
                alike.push((key, monitor));
            }
            order.push(key);
            all.insert(key, Wanted { names, asked, monitor, mate });
        }
        Ok((order, all))
    }

    /// Spreads the checks of servers by their place in the configuration.
    fn paced(
        &self,
        config: MonitorConfig,
        v: &Virtual,
        place: usize,
        total: usize,
    ) -> Result<MonitorConfig, OutOfRange> {
        let [number, total] = [place, total].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        let step = OFFSET.min(v.interval / total.max(1));
        let seed = self.seed.wrapping_add(u64::from(number));
        Ok(config
            .with_initial_offset(step.saturating_mul(number))
            .with_phase(spread(number.into(), v.interval))
            .with_jitter(Jitter::new(v.check_jitter, seed)?))
    }

    /// The checks that are not running yet in the way that is wanted.
    fn build_changed(&self, wanted: &Servers) -> Result<BTreeMap<ServerKey, Method>, WatchError> {
        let changed = wanted.iter().filter(|(key, wanted)| {
            let running = self.running.get(key);
            running.is_none_or(|running| running.asked.probe != wanted.asked.probe)
        });
        let mut methods = BTreeMap::new();
        let mut last: Option<(&Probe, Method)> = None;
        for (key, wanted) in changed {
            // The servers of a service stand together and share a check, with what it has read of
            // files: a store of certificates for each of them would be large.
            let method = match &last {
                Some((probe, method)) if **probe == wanted.asked.probe => method.clone(),
                _ => wanted.asked.probe.build(&self.expiries)?,
            };
            methods.insert(*key, method.clone());
            last = Some((&wanted.asked.probe, method));
        }
        Ok(methods)
    }

    /// `method` is there where the server is to be asked in another way than it is.
    fn watch(&mut self, server: ServerKey, wanted: Wanted, method: Option<Method>) {
        let mate = wanted.mate.and_then(|mate| Some(&self.running.get(&mate)?.seat));
        match self.running.get(&server) {
            Some(watched) => {
                let method = method.unwrap_or_else(|| watched.method.clone());
                match mate {
                    Some(mate) if watched.seat.checks_with(mate) => {}
                    Some(mate) => watched.seat.check_with(mate),
                    None if watched.asked == wanted.asked => {}
                    None => watched.seat.check_by(wanted.asked.target, method.clone()),
                }
                watched.seat.configure(wanted.monitor);
                self.note(server, wanted, method);
            }
            None => {
                let Some(method) = method else { return };
                self.generation += 1;
                let token = Token { server, generation: self.generation };
                let (target, config) = (wanted.asked.target, wanted.monitor);
                let initial = config.initial_state();
                let known = self.known.remove(&server);
                let known = known.filter(|_| initial == InitialState::Remembered);
                let seat = match (known, mate) {
                    (Some(known), mate) => {
                        let seat = self.pool.resume(token, target, method.clone(), config, known);
                        mate.into_iter().for_each(|mate| seat.check_with(mate));
                        seat
                    }
                    (None, Some(mate)) => mate.share(token, config),
                    (None, None) => self.pool.watch(token, target, method.clone(), config),
                };
                let Wanted { names, asked, .. } = wanted;
                let generation = self.generation;
                let watched = Watched { names, asked, method, initial, generation, seat };
                self.running.insert(server, watched);
            }
        }
    }

    fn note(&mut self, server: ServerKey, wanted: Wanted, method: Method) {
        if let Some(watched) = self.running.get_mut(&server) {
            watched.initial = wanted.monitor.initial_state();
            (watched.names, watched.asked, watched.method) = (wanted.names, wanted.asked, method);
        }
    }
}

type Servers = BTreeMap<ServerKey, Wanted>;

/// The same, but checking when another one does.
fn in_step(config: MonitorConfig, pace: &MonitorConfig) -> MonitorConfig {
    config
        .with_initial_offset(pace.initial_offset())
        .with_phase(pace.phase())
        .with_jitter(pace.jitter())
}

fn monitor(v: &Virtual, server: &RealServer) -> Result<MonitorConfig, OutOfRange> {
    let rising = v.fast_interval.map_or(v.interval, |fast| fast.min(v.interval));
    let rise = v.rise.unwrap_or_else(|| rise_from_reentry(v.reentry, rising));
    Ok(MonitorConfig::new(v.interval, v.timeout)?
        .with_rise(rise)?
        .with_fall(v.fall)?
        .with_fast_interval(v.fast_interval)?
        .with_initial_state(v.initial_state)
        .with_flap_limit(v.flap_limit)
        .with_slow_start(v.slow_start)
        .with_weight(server.weight)
        .with_quiesce(v.quiesce_server))
}
