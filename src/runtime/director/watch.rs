//! One health check for each real server of each active virtual service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config::{Config, RealServer, Virtual};
use crate::health::{self, Check, CheckSpec, MonitorConfig};
use crate::ipvs::ServiceKey;
use crate::net::Protocol;
use crate::runtime::checks::{self, CheckError, Runner};

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
    sender: mpsc::UnboundedSender<(ServerKey, health::Output)>,
    outputs: mpsc::UnboundedReceiver<(ServerKey, health::Output)>,
}

struct Watched {
    names: Names,
    spec: CheckSpec,
    runner: Runner,
}

struct Wanted {
    names: Names,
    spec: CheckSpec,
    protocol: Protocol,
    monitor: MonitorConfig,
}

impl Default for Watch {
    fn default() -> Self {
        let (sender, outputs) = mpsc::unbounded_channel();
        Self { running: BTreeMap::new(), sender, outputs }
    }
}

impl Watch {
    /// The next thing a check has to say of a server that is still watched.
    pub(super) async fn next(&mut self) -> (ServerKey, health::Output) {
        loop {
            match self.outputs.recv().await {
                Some((key, output)) if self.running.contains_key(&key) => return (key, output),
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// How lvs.cf calls a server that is watched.
    pub(super) fn names(&self, key: ServerKey) -> Option<&Names> {
        self.running.get(&key).map(|watched| &watched.names)
    }

    /// Watches what `config` names and nothing else. A server that is watched the same way goes
    /// on with its state; only one that is probed in another way starts afresh.
    ///
    /// # Errors
    /// [`CheckError`]; everything goes on as it was.
    pub(super) fn configure(&mut self, config: &Config) -> Result<(), CheckError> {
        let wanted = wanted(config);
        let built = self.build_missing(&wanted)?;
        self.running.retain(|key, watched| {
            wanted.get(key).is_some_and(|w| w.spec == watched.spec)
        });
        for (key, wanted) in &wanted {
            if let Some(watched) = self.running.get_mut(key) {
                watched.names = wanted.names.clone();
                watched.runner.reconfigure(wanted.monitor.clone());
            }
        }
        for (key, check) in built {
            if let Some(wanted) = wanted.get(&key) {
                self.start(key, check, wanted);
            }
        }
        Ok(())
    }

    fn build_missing(
        &self,
        wanted: &BTreeMap<ServerKey, Wanted>,
    ) -> Result<Vec<(ServerKey, Arc<dyn Check>)>, CheckError> {
        wanted
            .iter()
            .filter(|(key, w)| self.running.get(key).is_none_or(|watched| watched.spec != w.spec))
            .map(|(key, w)| Ok((*key, checks::build(&w.spec, w.protocol)?.into())))
            .collect()
    }

    fn start(&mut self, key: ServerKey, check: Arc<dyn Check>, wanted: &Wanted) {
        let sender = self.sender.clone();
        let runner = Runner::spawn(key, key.address, check, wanted.monitor.clone(), sender);
        let watched = Watched { names: wanted.names.clone(), spec: wanted.spec.clone(), runner };
        self.running.insert(key, watched);
    }
}

fn wanted(config: &Config) -> BTreeMap<ServerKey, Wanted> {
    let virtuals = config.virtuals.iter().filter(|v| v.active);
    virtuals.flat_map(|v| v.servers.iter().filter(|s| s.active).map(|s| want(v, s))).collect()
}

fn want(v: &Virtual, server: &RealServer) -> (ServerKey, Wanted) {
    let names = Names { service: v.name.clone(), server: server.name.clone() };
    let monitor = MonitorConfig::new(v.interval, v.timeout, server.weight);
    let wanted = Wanted { names, spec: v.check.clone(), protocol: v.protocol, monitor };
    (ServerKey { service: v.key(), address: server.address }, wanted)
}
