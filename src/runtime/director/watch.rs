//! One health check for each real server of each active virtual service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::ways::{Along, Ways};
use crate::config::{Config, RealServer, Virtual};
use crate::health::{self, Check, CheckPath, CheckSpec, MonitorConfig, rise_from_reentry};
use crate::ipvs::ServiceKey;
use crate::net::{OutOfRange, Protocol};
use crate::runtime::checks::{self, CheckError, Dialer, Runner, Way};
use crate::wire::proxy::ProxyProtocol;

/// Outputs that may wait for the director; a check whose output finds no room waits with it.
const OUTPUT_QUEUE: usize = 1024;

/// The first checks of two servers are this far apart, so that a start is not a burst.
const OFFSET: Duration = Duration::from_millis(1);

/// Why servers cannot be watched as configured. Everything goes on as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
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
    generation: u64,
    sender: mpsc::Sender<(Token, health::Output)>,
    outputs: mpsc::Receiver<(Token, health::Output)>,
}

/// Tells the outputs of a check from those of an earlier one for the same server.
#[derive(Clone, Copy, Debug)]
struct Token {
    server: ServerKey,
    generation: u64,
}

struct Watched {
    names: Names,
    probe: Probe,
    generation: u64,
    runner: Runner,
}

struct Wanted {
    names: Names,
    probe: Probe,
    monitor: MonitorConfig,
}

/// What makes a check.
#[derive(PartialEq)]
struct Probe {
    spec: CheckSpec,
    protocol: Protocol,
    proxy: Option<ProxyProtocol>,
    path: CheckPath,
    way: Option<Way>,
}

impl Probe {
    fn of(service: &Virtual, way: Option<Way>) -> Self {
        Self {
            spec: service.check.clone(),
            protocol: service.protocol,
            proxy: service.proxy_protocol,
            path: service.check_path,
            way,
        }
    }

    fn build(&self) -> Result<Arc<dyn Check>, CheckError> {
        let dialer = Dialer::new(self.path).with_proxy_protocol(self.proxy).with_way(self.way);
        let check: Arc<dyn Check> = checks::build_with(&self.spec, self.protocol, &dialer)?.into();
        Ok(match self.way {
            Some(way) => Arc::new(Along::new(check, way)),
            None => check,
        })
    }
}

impl Default for Watch {
    fn default() -> Self {
        let (sender, outputs) = mpsc::channel(OUTPUT_QUEUE);
        Self { running: BTreeMap::new(), generation: 0, sender, outputs }
    }
}

impl Watch {
    /// The next thing a check has to say of a server that is still watched.
    pub(super) async fn next(&mut self) -> (ServerKey, health::Output) {
        loop {
            let Some((token, output)) = self.outputs.recv().await else {
                return std::future::pending().await;
            };
            let watched = self.running.get(&token.server);
            if watched.is_some_and(|watched| watched.generation == token.generation) {
                return (token.server, output);
            }
        }
    }

    /// How lvs.cf calls a server that is watched.
    pub(super) fn names(&self, key: ServerKey) -> Option<&Names> {
        self.running.get(&key).map(|watched| &watched.names)
    }

    /// What is known of a server that is watched.
    pub(super) fn status(&self, key: ServerKey) -> Option<health::Status> {
        self.running.get(&key).map(|watched| watched.runner.status())
    }

    /// Tells the monitor of a server what an operator wants of it.
    pub(super) fn set_override(&self, key: ServerKey, wanted: health::Override) {
        if let Some(watched) = self.running.get(&key) {
            watched.runner.set_override(wanted);
        }
    }

    /// Watches what `config` names and nothing else, along `ways` where there are any. A server
    /// that was watched before keeps its state, also when it is probed in another way from now on.
    ///
    /// # Errors
    /// [`WatchError`]; everything goes on as it was.
    pub(super) fn configure(&mut self, config: &Config, ways: &Ways) -> Result<(), WatchError> {
        let wanted = wanted(config, ways)?;
        let checks = self.build_changed(&wanted)?;
        self.running.retain(|key, _| wanted.contains_key(key));
        for (key, wanted) in wanted {
            self.watch(key, wanted, checks.get(&key));
        }
        Ok(())
    }

    /// The checks that are not running yet in the way that is wanted.
    fn build_changed(
        &self,
        wanted: &BTreeMap<ServerKey, Wanted>,
    ) -> Result<BTreeMap<ServerKey, Arc<dyn Check>>, WatchError> {
        let changed = wanted.iter().filter(|(key, wanted)| {
            let running = self.running.get(key);
            running.is_none_or(|running| running.probe != wanted.probe)
        });
        let mut checks = BTreeMap::new();
        let mut last: Option<(&Probe, Arc<dyn Check>)> = None;
        for (key, wanted) in changed {
            // The servers of a service stand together and share a check, with what it has read of
            // files: a store of certificates for each of them would be large.
            let check = match &last {
                Some((probe, check)) if **probe == wanted.probe => Arc::clone(check),
                _ => wanted.probe.build()?,
            };
            checks.insert(*key, Arc::clone(&check));
            last = Some((&wanted.probe, check));
        }
        Ok(checks)
    }

    fn watch(&mut self, server: ServerKey, wanted: Wanted, check: Option<&Arc<dyn Check>>) {
        let Wanted { names, probe, monitor } = wanted;
        match (self.running.get_mut(&server), check) {
            (Some(watched), check) => {
                if let Some(check) = check {
                    watched.runner.replace_check(Arc::clone(check));
                }
                watched.runner.configure(monitor);
                (watched.names, watched.probe) = (names, probe);
            }
            (None, Some(check)) => {
                self.generation += 1;
                let generation = self.generation;
                let (check, sender) = (Arc::clone(check), self.sender.clone());
                let token = Token { server, generation };
                let runner = Runner::spawn(token, server.address, check, monitor, sender);
                self.running.insert(server, Watched { names, probe, generation, runner });
            }
            (None, None) => {}
        }
    }
}

fn wanted(config: &Config, ways: &Ways) -> Result<BTreeMap<ServerKey, Wanted>, WatchError> {
    let servers = config.active_virtuals().flat_map(|v| v.active_servers().map(move |s| (v, s)));
    let place = |(place, (v, server)): (u32, (&Virtual, &RealServer))| {
        let offset = OFFSET.saturating_mul(place).min(v.interval);
        let names = Names { service: v.name.clone(), server: server.name.clone() };
        let monitor = monitor(v, server)?.with_initial_offset(offset);
        let key = ServerKey { service: v.key(), address: server.address };
        let wanted = Wanted { names, probe: Probe::of(v, ways.to(key)), monitor };
        Ok((key, wanted))
    };
    (0..).zip(servers).map(place).collect()
}

fn monitor(v: &Virtual, server: &RealServer) -> Result<MonitorConfig, OutOfRange> {
    let rise = v.rise.unwrap_or_else(|| rise_from_reentry(v.reentry, v.interval));
    Ok(MonitorConfig::new(v.interval, v.timeout)?
        .with_rise(rise)?
        .with_fall(v.fall)?
        .with_slow_start(v.slow_start)
        .with_weight(server.weight)
        .with_quiesce(v.quiesce_server))
}
