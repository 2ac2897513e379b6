//! The kernel as a data plane.

use std::collections::BTreeSet;
use std::io;

use async_trait::async_trait;

use super::answers::Listed;
use super::{AsyncClient, Transport, running_kernel};
use crate::ipvs::kernel::sysctl::KernelVersion;
use crate::ipvs::kernel::{DestinationStatus, KernelError, Reason, ServiceStatus};
use crate::ipvs::{
    Applied, Backend, BackendError, Capabilities, Destination, Forwarding, Method, Op,
    SchedulerName, Service, ServiceKey, Table,
};

/// The kernel's IPVS as a [`Backend`].
///
/// It sees the services it owns and no others. It owns those it was told to
/// [own](Kernel::own) and those it was told to add, also if somebody was quicker to add one: that
/// conflict is reported, and what was added shows with the next observation, to be edited.
#[derive(Debug)]
pub struct Kernel {
    client: AsyncClient,
    owned: BTreeSet<ServiceKey>,
    capabilities: Capabilities,
}

impl Kernel {
    /// The data plane behind `client`, owning nothing yet.
    ///
    /// # Errors
    /// [`KernelError`] if the kernel has no IPVS or we may not use it.
    pub async fn new(mut client: AsyncClient) -> Result<Self, KernelError> {
        client.info().await?;
        let capabilities = capabilities(client.transport(), running_kernel().ok());
        Ok(Self { client, owned: BTreeSet::new(), capabilities })
    }

    /// Owns these services too, such as those of a configuration before it is first planned.
    pub fn own(&mut self, keys: impl IntoIterator<Item = ServiceKey>) {
        self.owned.extend(keys);
    }

    /// Leaves a service alone from now on, as it is.
    pub fn disown(&mut self, key: &ServiceKey) {
        self.owned.remove(key);
    }

    /// The services it owns, whether the kernel has them or not.
    pub fn owned(&self) -> impl Iterator<Item = &ServiceKey> {
        self.owned.iter()
    }

    /// What it owns, as the kernel has it, with connections and counters.
    ///
    /// # Errors
    /// [`BackendError`] when the kernel cannot be read.
    pub async fn list(&mut self) -> Result<Vec<Listed>, BackendError> {
        let mut services = self.client.services().await.map_err(backend_error)?;
        services.retain(|status| self.owned.contains(&status.service.key()));
        self.client.list_destinations(services).await.map_err(backend_error)
    }

    /// The table in what [`list`](Self::list) returned. An entry that the model cannot say exactly
    /// differs from whatever is wanted there.
    #[must_use]
    pub fn table(listed: &[Listed]) -> Table {
        let mut table = Table::new();
        for one in listed {
            let entry = table.insert(wanted_or_not(&one.service));
            for status in &one.destinations {
                entry.insert(server(status));
            }
        }
        table
    }

    /// The client, for what a backend does not offer.
    pub const fn client(&mut self) -> &mut AsyncClient {
        &mut self.client
    }

    fn heed(&mut self, op: &Op, outcome: &Result<(), KernelError>) {
        match (op, outcome) {
            (Op::AddService(service), Ok(())) => self.own([service.key()]),
            (Op::AddService(service), Err(error)) if *error.reason() == Reason::Exists => {
                self.own([service.key()]);
            }
            (Op::RemoveService(key), Ok(())) => self.disown(key),
            _ => {}
        }
    }
}

#[async_trait]
impl Backend for Kernel {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn observe(&mut self) -> Result<Table, BackendError> {
        Ok(Self::table(&self.list().await?))
    }

    async fn apply(&mut self, ops: &[Op]) -> Result<Vec<Applied>, BackendError> {
        let outcomes = self.client.apply(ops).await.map_err(backend_error)?;
        for (op, outcome) in ops.iter().zip(&outcomes) {
            self.heed(op, outcome);
        }
        let applied = outcomes.into_iter().map(|o| o.map_err(backend_error));
        Ok(applied.collect())
    }
}

/// All but what came with later versions and what the socket options do not carry. Schedulers show
/// on use, for the kernel loads them.
fn capabilities(transport: Transport, kernel: Option<KernelVersion>) -> Capabilities {
    let netlink = transport == Transport::Netlink;
    let since = |major, minor| kernel.is_none_or(|k| k >= KernelVersion::new(major, minor));
    let mut capabilities = Capabilities::everything();
    capabilities.any_address = false;
    capabilities.helper_choice = false;
    capabilities.ipv6 = netlink;
    capabilities.engines = netlink;
    capabilities.forwarding.retain(|method| match method {
        Method::Gue => netlink && since(5, 2),
        Method::Gre => netlink && since(5, 3),
        _ => true,
    });
    capabilities
}

/// What the model cannot say exactly must differ from whatever is wanted, so that it is edited.
fn wanted_or_not(status: &ServiceStatus) -> Service {
    let service = status.service.clone();
    match NOBODYS_SCHEDULER.parse::<SchedulerName>() {
        Ok(name) if !status.exact => service.with_scheduler(name),
        _ => service,
    }
}

const NOBODYS_SCHEDULER: &str = "(inexpressible)";

fn server(status: &DestinationStatus) -> Destination {
    if status.exact {
        return status.destination;
    }
    status.destination.with_forwarding(Forwarding::Local)
}

fn backend_error(error: KernelError) -> BackendError {
    let object = error.object().to_owned();
    let problem = match error.reason() {
        Reason::Exists => "is there already",
        Reason::NoService | Reason::NoDestination | Reason::NoDaemon => "is not there",
        _ => {
            return BackendError::System {
                object,
                attempted: error.attempted(),
                source: io::Error::other(error),
            };
        }
    };
    BackendError::Conflict { object, problem }
}
