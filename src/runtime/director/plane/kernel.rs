//! The kernel's IPVS as the data plane of a director.
//!
//! The table outlives the process: a director that stops or dies leaves it as it is, and the next
//! one goes on from there, edits in place and flushes nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::ledger::Ledger;
use super::sync::SyncDaemons;
use super::{Measured, Plane};
use crate::config::Config;
use crate::control::Event;
use crate::control::status::{ConnectionSync, Traffic};
use crate::failover::{ActionError, VirtualAddress};
use crate::ipvs::kernel::{DestinationStatus, KernelError, Reason, Timeouts};
use crate::ipvs::{
    Applied, Backend, BackendError, Capabilities, Forwarding, Load, Op, ServiceKey, Table,
};
use crate::net::Family;
use crate::runtime::clock;
use crate::runtime::director::watch::ServerKey;
use crate::runtime::kernel::{AsyncClient, Kernel, Listed, Namespace, load_module};

pub(super) struct KernelPlane {
    kernel: Kernel,
    ledger: Ledger,
    sync: SyncDaemons,
    /// Said once: it does not get better by being repeated.
    told_of_ledger: bool,
    /// What the last look at the table saw go through it.
    measured: Option<Arc<Measured>>,
}

impl KernelPlane {
    /// The kernel's table, with what an earlier director of the file at `path` left there.
    pub(super) async fn start(path: &Path, config: &Config) -> Result<Self, KernelError> {
        let mut kernel = connect().await?;
        let mut ledger = Ledger::of(path);
        kernel.own(ledger.read());
        kernel.own(keys(config));
        Ok(Self {
            kernel,
            ledger,
            sync: SyncDaemons::default(),
            told_of_ledger: false,
            measured: None,
        })
    }

    /// Remembers what is owned now.
    fn remember(&mut self) -> Option<Event> {
        let owned: BTreeSet<_> = self.kernel.owned().copied().collect();
        let error = self.ledger.write(owned).err().filter(|_| !self.told_of_ledger)?;
        self.told_of_ledger = true;
        let text = format!(
            "cannot remember which services are ours ({error}): those taken out of lvs.cf while \
             lvs is down will have to be removed by hand"
        );
        Some(Event::Warning { text })
    }

    async fn set_timeouts(&mut self, config: &Config) -> Result<(), BackendError> {
        let given = |timeout: Option<Duration>| timeout.unwrap_or_default();
        let timeouts = Timeouts::new(
            given(config.tcp_timeout),
            given(config.tcpfin_timeout),
            given(config.udp_timeout),
        );
        if timeouts == Timeouts::default() {
            return Ok(());
        }
        let set = self.kernel.client().set_timeouts(timeouts).await;
        set.map_err(|error| BackendError::System {
            object: "timeouts".to_owned(),
            attempted: "set them",
            source: std::io::Error::other(error),
        })
    }
}

#[async_trait]
impl Backend for KernelPlane {
    fn capabilities(&self) -> &Capabilities {
        self.kernel.capabilities()
    }

    async fn observe(&mut self) -> Result<Table, BackendError> {
        let listed = self.kernel.list().await?;
        self.measured = Some(Arc::new(measure(&listed)));
        Ok(Kernel::table(&listed))
    }

    async fn apply(&mut self, ops: &[Op]) -> Result<Vec<Applied>, BackendError> {
        let applied = self.kernel.apply(ops).await;
        if ops.iter().any(|op| matches!(op, Op::RemoveService(_))) {
            // A name too many in the ledger does no harm; the next change tries again.
            let _ = self.remember();
        }
        applied
    }
}

#[async_trait]
impl Plane for KernelPlane {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn outlives_us(&self) -> bool {
        true
    }

    fn allow_ways(&mut self, keys: Vec<ServiceKey>) -> Vec<Event> {
        let answers = keys.iter().any(|key| key.family() == Family::Ipv4).then(accept_local);
        self.kernel.own(keys);
        // Before the first of them is made.
        answers.flatten().into_iter().chain(self.remember()).collect()
    }

    async fn configure(&mut self, config: &Config) -> Result<Vec<Event>, BackendError> {
        self.kernel.own(keys(config));
        // Before the first of them is made: a death in between must not leave one unknown.
        let mut news: Vec<Event> = self.remember().into_iter().collect();
        self.set_timeouts(config).await?;
        // The settings first: a daemon takes its buffers from them when it starts.
        news.extend(prepare(config));
        if let Err(error) = self.sync.configure(config) {
            let text = format!("connections are not synchronised: {error}");
            news.push(Event::Warning { text });
        }
        news.extend(self.tend().await);
        Ok(news)
    }

    async fn tend(&mut self) -> Vec<Event> {
        self.sync.tend(self.kernel.client()).await
    }

    fn is_warm(&self) -> bool {
        self.sync.is_warm()
    }

    fn connection_sync(&self) -> Option<ConnectionSync> {
        self.sync.status()
    }

    /// The kernel balances whatever reaches it: to hold an address is all that it takes.
    async fn acquire(&mut self, addresses: &[VirtualAddress]) -> Result<(), ActionError> {
        self.sync.acquired(addresses, self.kernel.client()).await;
        Ok(())
    }

    async fn release(&mut self, addresses: &[VirtualAddress]) {
        self.sync.released(addresses);
    }

    async fn drained(&mut self, servers: &[ServerKey]) -> Vec<ServerKey> {
        let services: BTreeSet<_> = servers.iter().map(|server| server.service).collect();
        let mut drained = Vec::new();
        for service in services {
            // A service that cannot be read now is looked at again with the next audit.
            let listed = self.kernel.client().destinations(service).await.unwrap_or_default();
            let empty = listed.iter().filter(|status| is_empty(status));
            let empty = empty.map(|s| ServerKey { service, address: s.destination.address() });
            drained.extend(empty.filter(|server| servers.contains(server)));
        }
        drained
    }

    fn tells_rates(&self) -> bool {
        true
    }

    fn traffic(&self) -> Option<Arc<Measured>> {
        self.measured.clone()
    }

    fn traffic_of(&self, _: &[ServiceKey]) -> Option<Arc<Measured>> {
        self.traffic()
    }

    /// Connections do not end with this process.
    async fn drain(&mut self, _: Duration) {}

    async fn tear_down(&mut self) -> Vec<Event> {
        self.sync.tear_down(self.kernel.client()).await
    }

    fn shutdown(&mut self) {}
}

/// Removes what an earlier director of the file at `path` made and left.
pub(super) async fn retire(path: &Path) -> Result<(), BackendError> {
    let mut ledger = Ledger::of(path);
    let left = ledger.read();
    if left.is_empty() {
        return Ok(());
    }
    // Without IPVS, or after a boot into another kernel, there is nothing to remove.
    let Ok(client) = AsyncClient::new() else { return Ok(()) };
    let Ok(mut kernel) = Kernel::new(client).await else { return Ok(()) };
    kernel.own(left);
    let observed = kernel.observe().await?;
    let services = observed.iter().map(|entry| Op::RemoveService(entry.service().key()));
    let applied = kernel.apply(&services.collect::<Vec<_>>()).await?;
    applied.into_iter().collect::<Result<(), _>>()?;
    // The names harm nobody; what they named is gone.
    let _ = ledger.write(BTreeSet::new());
    Ok(())
}

/// The kernel's IPVS, its module loaded if it was not.
async fn connect() -> Result<Kernel, KernelError> {
    match Kernel::new(AsyncClient::new()?).await {
        Err(error) if *error.reason() == Reason::NoIpvs && load_module().is_ok() => {
            Kernel::new(AsyncClient::new()?).await
        }
        outcome => outcome,
    }
}

fn keys(config: &Config) -> impl Iterator<Item = ServiceKey> {
    config.active_virtuals().map(|service| service.key())
}

fn measure(listed: &[Listed]) -> Measured {
    let each = listed.iter().flat_map(|one| {
        let service = one.service.service.key();
        one.destinations.iter().map(move |status| {
            let server = ServerKey { service, address: status.destination.address() };
            (server, Traffic::new(status.load, status.counters, Some(status.rates)))
        })
    });
    let whole = |one: &Listed| {
        let load = Load::sum(one.destinations.iter().map(|status| status.load));
        let status = &one.service;
        (status.service.key(), Traffic::new(load, status.counters, Some(status.rates)))
    };
    let (servers, services) = (each.collect(), listed.iter().map(whole).collect());
    Measured { taken: clock::now(), services, servers }
}

fn is_empty(status: &DestinationStatus) -> bool {
    status.destination.weight().is_quiesced() && status.load.total() == 0
}

/// Brings the kernel's settings in line and says which, or which could not be.
fn prepare(config: &Config) -> Vec<Event> {
    let mut news = Vec::new();
    match Namespace::current().manage_sysctls() {
        Ok(changed) => news.extend(changed.into_iter().map(|managed| Event::Setting {
            name: format!("net.ipv4.vs.{}", managed.sysctl.name),
            value: managed.value.to_owned(),
        })),
        Err(error) => news.push(Event::Warning {
            text: format!("cannot set the kernel's net.ipv4.vs settings: {error}"),
        }),
    }
    let nat = config.active_virtuals().any(|service| service.forwarding == Forwarding::Nat);
    let forwards = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward");
    if nat && forwards.is_ok_and(|value| value.trim() == "0") {
        let text = "this machine forwards no packets, which NAT needs: set net.ipv4.ip_forward = 1 \
                    in /etc/sysctl.conf";
        news.push(Event::Warning { text: text.to_owned() });
    }
    news
}

/// Has the answers to checks through the data plane accepted: they come from the VIP, which an
/// active director has itself. IPv6 asks for nothing of the kind.
fn accept_local() -> Option<Event> {
    const PATH: &str = "/proc/sys/net/ipv4/conf/all/accept_local";
    let name = "net.ipv4.conf.all.accept_local".to_owned();
    if std::fs::read_to_string(PATH).is_ok_and(|value| value.trim() == "1") {
        return None;
    }
    Some(match std::fs::write(PATH, "1") {
        Ok(()) => Event::Setting { name, value: "1".to_owned() },
        Err(error) => Event::Warning {
            text: format!("cannot set {name} = 1, which check_through needs: {error}"),
        },
    })
}
