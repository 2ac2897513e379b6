//! What a director asks of its data plane beyond a table.

#[cfg(feature = "kernel")]
mod kernel;
#[cfg(feature = "kernel")]
mod ledger;
mod relay;
#[cfg(feature = "kernel")]
mod sync;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::StartError;
use super::watch::ServerKey;
use crate::config::{Config, DataPlane, Virtual};
use crate::control::Event;
use crate::control::status::{ConnectionSync, Traffic};
use crate::failover::{ActionError, VirtualAddress};
use crate::ipvs::{Applied, Backend, BackendError, Capabilities, Op, ServiceKey, Table};
use crate::runtime::heartbeat::Observer;
use crate::runtime::relay::Relay;
use crate::time::Instant;

/// A data plane as the director sees it.
#[async_trait]
pub(super) trait Plane: Backend {
    /// Its name in `dataplane = ...`.
    fn name(&self) -> &'static str;

    /// Whether it goes on balancing when this process is gone.
    fn outlives_us(&self) -> bool;

    /// Has these services, the ways of checks, for its own beside those of lvs.cf, and sees to what
    /// else they need. Returns what an operator should know of it.
    fn allow_ways(&mut self, keys: Vec<ServiceKey>) -> Vec<Event>;

    /// Takes over what `config` says of the data plane itself: all but the table. Returns what an
    /// operator should know of it.
    async fn configure(&mut self, config: &Config) -> Result<Vec<Event>, BackendError>;

    /// Does what is due beside the table, where it is cheap: called every half second or so, and
    /// after addresses came and went. Returns what an operator should know of it.
    async fn tend(&mut self) -> Vec<Event>;

    /// Whether it knows the connections of the other director, as far as it can.
    fn is_warm(&self) -> bool;

    /// How connections are synchronised, where it does that and lvs.cf asks for it.
    fn connection_sync(&self) -> Option<ConnectionSync>;

    /// Serves on all of `addresses`, or on none of those it did not serve on before.
    async fn acquire(&mut self, addresses: &[VirtualAddress]) -> Result<(), ActionError>;

    /// Serves on none of `addresses` any more; connections go on where the data plane can do
    /// that.
    async fn release(&mut self, addresses: &[VirtualAddress]);

    /// Those of `servers` that are quiesced and have no connection left.
    async fn drained(&mut self, servers: &[ServerKey]) -> Vec<ServerKey>;

    /// What goes through it, as of the last time it was looked at; `None` before the first.
    fn traffic(&self) -> Option<Arc<Measured>>;

    /// The same, of these services at least.
    fn traffic_of(&self, services: &[ServiceKey]) -> Option<Arc<Measured>>;

    /// Whether that has rates in it.
    fn tells_rates(&self) -> bool;

    /// Waits for connections that would end with this process, at most for `limit`.
    async fn drain(&mut self, limit: Duration);

    /// Ends what would outlive this process, beside the table. Returns what an operator should
    /// know of it.
    async fn tear_down(&mut self) -> Vec<Event>;

    /// Ends what cannot go on without this process.
    fn shutdown(&mut self);
}

/// What goes through a data plane.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) taken: Instant,
    pub(super) services: BTreeMap<ServiceKey, Traffic>,
    pub(super) servers: BTreeMap<ServerKey, Traffic>,
}

#[async_trait]
impl Backend for Box<dyn Plane> {
    fn capabilities(&self) -> &Capabilities {
        (**self).capabilities()
    }

    async fn observe(&mut self) -> Result<Table, BackendError> {
        (**self).observe().await
    }

    async fn apply(&mut self, ops: &[Op]) -> Result<Vec<Applied>, BackendError> {
        (**self).apply(ops).await
    }
}

/// Starts the data plane that `config`, read from `path`, asks for, and says which and why.
pub(super) async fn start(
    path: &Path,
    config: &Config,
    observer: &Observer,
) -> Result<Box<dyn Plane>, StartError> {
    let (plane, reason) = match config.dataplane {
        DataPlane::Relay => (relay(config)?, "as configured".to_owned()),
        DataPlane::Kernel => (kernel(path, config).await?, "as configured".to_owned()),
        DataPlane::Auto => automatic(path, config).await?,
    };
    observer(Event::DataPlane { name: plane.name().to_owned(), reason });
    Ok(plane)
}

/// Whether the running data plane is one that `config` accepts: it is chosen at the start.
pub(super) fn check_same(plane: &dyn Plane, config: &Config) -> Result<(), StartError> {
    match plane.name() {
        "relay" => check_relay(config)?,
        _ => check_kernel(config)?,
    }
    let name = match config.dataplane {
        DataPlane::Auto => return Ok(()),
        DataPlane::Kernel => "kernel",
        DataPlane::Relay => "relay",
    };
    if name == plane.name() {
        return Ok(());
    }
    let reason =
        format!("the data plane is `{}` and is chosen at the start: restart", plane.name());
    Err(StartError::NoDataPlane { name, reason })
}

/// Takes services out of the kernel's table that an earlier director of the file at `path` left
/// there, if `chosen` is not the kernel: it would balance before anything else sees a packet.
pub(super) async fn retire_kernel(path: &Path, chosen: &dyn Plane) -> Result<(), BackendError> {
    #[cfg(feature = "kernel")]
    if chosen.name() != "kernel" {
        return kernel::retire(path).await;
    }
    let _ = (path, chosen);
    Ok(())
}

/// The kernel where it is usable for this configuration, else the relay.
async fn automatic(path: &Path, config: &Config) -> Result<(Box<dyn Plane>, String), StartError> {
    if let Some(reason) = kernel_lacks(config) {
        return Ok((relay(config)?, reason));
    }
    match kernel(path, config).await {
        Ok(plane) => Ok((plane, "the kernel's IPVS is usable".to_owned())),
        Err(StartError::NoDataPlane { reason, .. }) => Ok((relay(config)?, reason)),
        Err(other) => Err(other),
    }
}

/// Why the kernel will not do for `config`, if it will not.
fn kernel_lacks(config: &Config) -> Option<String> {
    let asks = |service: &Virtual| Some((service.name.clone(), service.relay_directive()?));
    let (name, directive) = config.active_virtuals().find_map(asks)?;
    Some(format!("`{name}` asks for {directive}, which the kernel lacks"))
}

/// Whether the kernel, which is the data plane already, will do for `config` too.
fn check_kernel(config: &Config) -> Result<(), StartError> {
    match kernel_lacks(config) {
        Some(lack) => {
            let reason = format!("{lack}; the data plane is chosen at the start: restart");
            Err(StartError::NoDataPlane { name: "kernel", reason })
        }
        None => Ok(()),
    }
}

/// Whether this process may do what `config` asks of the relay.
fn check_relay(config: &Config) -> Result<(), StartError> {
    Relay::check_options(&relay::options(config))
        .map_err(|error| StartError::NoDataPlane { name: "relay", reason: error.to_string() })
}

fn relay(config: &Config) -> Result<Box<dyn Plane>, StartError> {
    check_relay(config)?;
    let relay = relay::start(config)
        .map_err(|error| StartError::NoDataPlane { name: "relay", reason: error.to_string() })?;
    Ok(Box::new(relay))
}

#[cfg(feature = "kernel")]
async fn kernel(path: &Path, config: &Config) -> Result<Box<dyn Plane>, StartError> {
    match kernel::KernelPlane::start(path, config).await {
        Ok(plane) => Ok(Box::new(plane)),
        Err(error) => Err(StartError::NoDataPlane { name: "kernel", reason: error.to_string() }),
    }
}

#[cfg(not(feature = "kernel"))]
async fn kernel(_: &Path, _: &Config) -> Result<Box<dyn Plane>, StartError> {
    let reason = "built without the feature `kernel`".to_owned();
    Err(StartError::NoDataPlane { name: "kernel", reason })
}
