//! The in-memory backend: dry runs, previews, and the model other backends are tested against.
//!
//! ```
//! use piranha::ipvs::memory::{Memory, MemoryError};
//! use piranha::ipvs::{Capabilities, Op, Service, ServiceKey};
//!
//! let mut memory = Memory::new(Capabilities::everything());
//! let dns = ServiceKey::udp("192.0.2.53:53".parse().unwrap());
//! let add = Op::AddService(Service::new(dns));
//! assert_eq!(memory.apply_op(&add), Ok(()));
//! assert_eq!(memory.apply_op(&add), Err(MemoryError::ServiceExists { service: dns }));
//! ```

use std::net::SocketAddr;

use super::{Capabilities, Destination, Entry, Op, Service, ServiceKey, Table, Unsupported};

/// A data plane that only remembers its table and balances nothing.
///
/// It refuses what the kernel refuses: adding what is there, changing what is not.
#[derive(Clone, Debug)]
pub struct Memory {
    capabilities: Capabilities,
    table: Table,
    failures: usize,
}

impl Memory {
    /// An empty data plane with these capabilities.
    #[must_use]
    pub fn new(capabilities: Capabilities) -> Self {
        Self::with_table(capabilities, Table::new())
    }

    /// A data plane that has `table` in force already, such as one observed elsewhere.
    #[must_use]
    pub const fn with_table(capabilities: Capabilities, table: Table) -> Self {
        Self { capabilities, table, failures: 0 }
    }

    /// What it can do.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The table in force.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Makes the next `count` operations fail with [`MemoryError::OnDemand`], to test what becomes
    /// of failures. Replaces what was asked for before.
    pub const fn fail_next(&mut self, count: usize) {
        self.failures = count;
    }

    /// Carries out one operation.
    ///
    /// # Errors
    /// [`MemoryError`]; the table stays as it was.
    pub fn apply_op(&mut self, op: &Op) -> Result<(), MemoryError> {
        if let Some(left) = self.failures.checked_sub(1) {
            self.failures = left;
            return Err(MemoryError::OnDemand);
        }
        match op {
            Op::AddService(service) => self.add_service(service),
            Op::EditService(service) => self.edit_service(service),
            Op::RemoveService(key) => self.remove_service(*key),
            Op::AddDestination(key, destination) => self.add_destination(*key, *destination),
            Op::EditDestination(key, destination) => self.edit_destination(*key, *destination),
            Op::RemoveDestination(key, address) => self.remove_destination(*key, *address),
        }
    }

    fn add_service(&mut self, service: &Service) -> Result<(), MemoryError> {
        self.capabilities.check_service(service)?;
        let key = service.key();
        if self.table.get(&key).is_some() {
            return Err(MemoryError::ServiceExists { service: key });
        }
        self.table.insert(service.clone());
        Ok(())
    }

    fn edit_service(&mut self, service: &Service) -> Result<(), MemoryError> {
        self.capabilities.check_service(service)?;
        self.entry(service.key())?;
        self.table.insert(service.clone());
        Ok(())
    }

    fn remove_service(&mut self, service: ServiceKey) -> Result<(), MemoryError> {
        match self.table.remove(&service) {
            Some(_) => Ok(()),
            None => Err(MemoryError::NoService { service }),
        }
    }

    fn add_destination(
        &mut self,
        service: ServiceKey,
        destination: Destination,
    ) -> Result<(), MemoryError> {
        self.capabilities.check_destination(service, &destination)?;
        let entry = self.entry(service)?;
        let address = destination.address();
        if entry.get(address).is_some() {
            return Err(MemoryError::DestinationExists { service, address });
        }
        entry.insert(destination);
        Ok(())
    }

    fn edit_destination(
        &mut self,
        service: ServiceKey,
        destination: Destination,
    ) -> Result<(), MemoryError> {
        self.capabilities.check_destination(service, &destination)?;
        let entry = self.entry(service)?;
        let address = destination.address();
        if entry.get(address).is_none() {
            return Err(MemoryError::NoDestination { service, address });
        }
        entry.insert(destination);
        Ok(())
    }

    fn remove_destination(
        &mut self,
        service: ServiceKey,
        address: SocketAddr,
    ) -> Result<(), MemoryError> {
        match self.entry(service)?.remove(address) {
            Some(_) => Ok(()),
            None => Err(MemoryError::NoDestination { service, address }),
        }
    }

    fn entry(&mut self, service: ServiceKey) -> Result<&mut Entry, MemoryError> {
        self.table.get_mut(&service).ok_or(MemoryError::NoService { service })
    }
}

impl Default for Memory {
    /// An empty data plane that can do [everything](Capabilities::everything).
    fn default() -> Self {
        Self::new(Capabilities::everything())
    }
}

/// Why an operation was refused. The table stays as it was.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MemoryError {
    /// The service to add is there already (the kernel's EEXIST).
    #[error("{service}: the service is there already")]
    ServiceExists {
        /// The service.
        service: ServiceKey,
    },
    /// The service to change is not there (ESRCH).
    #[error("{service}: there is no such service")]
    NoService {
        /// The service.
        service: ServiceKey,
    },
    /// The server to add is there already (EEXIST).
    #[error("{service}: real server {address} is there already")]
    DestinationExists {
        /// The service.
        service: ServiceKey,
        /// The server.
        address: SocketAddr,
    },
    /// The server to change is not there (ENOENT).
    #[error("{service}: there is no real server {address}")]
    NoDestination {
        /// The service.
        service: ServiceKey,
        /// The server.
        address: SocketAddr,
    },
    /// The data plane was made without this.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// [`Memory::fail_next`] asked for it.
    #[error("failed on demand")]
    OnDemand,
}

#[cfg(feature = "runtime")]
mod backend {
    use std::io;

    use async_trait::async_trait;

    use super::{Memory, MemoryError};
    use crate::ipvs::{Applied, Backend, BackendError, Capabilities, Op, Table};

    #[async_trait]
    impl Backend for Memory {
        fn capabilities(&self) -> &Capabilities {
            self.capabilities()
        }

        async fn observe(&mut self) -> Result<Table, BackendError> {
            Ok(self.table.clone())
        }

        async fn apply(&mut self, ops: &[Op]) -> Result<Vec<Applied>, BackendError> {
            let apply = |op| {
                self.apply_op(op).map_err(|error| backend_error(op.service().to_string(), error))
            };
            Ok(ops.iter().map(apply).collect())
        }
    }

    fn backend_error(service: String, error: MemoryError) -> BackendError {
        let conflict = |object, problem| BackendError::Conflict { object, problem };
        let destination = |address| format!("{service}, real server {address}");
        match error {
            MemoryError::ServiceExists { .. } => conflict(service, "is there already"),
            MemoryError::NoService { .. } => conflict(service, "is not there"),
            MemoryError::DestinationExists { address, .. } => {
                conflict(destination(address), "is there already")
            }
            MemoryError::NoDestination { address, .. } => {
                conflict(destination(address), "is not there")
            }
            MemoryError::Unsupported(_) | MemoryError::OnDemand => BackendError::System {
                object: service,
                attempted: "change the table in memory",
                source: io::Error::other(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> ServiceKey {
        ServiceKey::tcp("192.0.2.80:80".parse().unwrap())
    }

    fn server() -> Destination {
        Destination::new("10.0.0.1:80".parse().unwrap())
    }

    #[test]
    fn what_the_kernel_refuses_is_refused_and_changes_nothing() {
        let (service, address) = (web(), server().address());
        let mut memory = Memory::default();
        let refuse = |memory: &mut Memory, op, error| {
            let before = memory.clone();
            assert_eq!(memory.apply_op(&op), Err(error));
            assert_eq!(memory.table(), before.table());
        };
        let add = Op::AddService(Service::new(service));
        let edit = Op::EditService(Service::new(service));
        let nowhere = MemoryError::NoService { service };
        refuse(&mut memory, edit, nowhere.clone());
        refuse(&mut memory, Op::RemoveService(service), nowhere.clone());
        refuse(&mut memory, Op::AddDestination(service, server()), nowhere);

        memory.apply_op(&add).unwrap();
        refuse(&mut memory, add, MemoryError::ServiceExists { service });
        let nobody = MemoryError::NoDestination { service, address };
        let edit = Op::EditDestination(service, server());
        refuse(&mut memory, edit, nobody.clone());
        refuse(&mut memory, Op::RemoveDestination(service, address), nobody);

        let add = Op::AddDestination(service, server());
        memory.apply_op(&add).unwrap();
        refuse(&mut memory, add, MemoryError::DestinationExists { service, address });
    }

    #[test]
    fn what_it_was_made_without_is_refused() {
        let mut memory = Memory::new(Capabilities::nothing());
        let refused = memory.apply_op(&Op::AddService(Service::new(web())));
        assert!(matches!(refused, Err(MemoryError::Unsupported(_))));
        assert!(memory.table().is_empty());
    }

    #[test]
    fn failures_on_demand_change_nothing_and_end() {
        let mut memory = Memory::default();
        memory.fail_next(2);
        let add = Op::AddService(Service::new(web()));
        assert_eq!(memory.apply_op(&add), Err(MemoryError::OnDemand));
        assert_eq!(memory.apply_op(&add), Err(MemoryError::OnDemand));
        assert!(memory.table().is_empty());
        assert_eq!(memory.apply_op(&add), Ok(()));
    }

    #[cfg(feature = "runtime")]
    #[tokio::test]
    async fn as_a_backend_it_goes_on_after_an_operation_that_fails() {
        use crate::ipvs::Backend;

        let mut backend: Box<dyn Backend> = Box::new(Memory::default());
        let ops = [
            Op::RemoveService(web()),
            Op::AddService(Service::new(web())),
            Op::AddDestination(web(), server()),
            Op::AddDestination(web(), server()),
        ];
        let applied = backend.apply(&ops).await.unwrap();
        let refusals: Vec<_> =
            applied.into_iter().map(|result| result.err().map(|error| error.to_string())).collect();
        let expected = [
            Some("TCP 192.0.2.80:80: is not there"),
            None,
            None,
            Some("TCP 192.0.2.80:80, real server 10.0.0.1:80: is there already"),
        ];
        assert_eq!(refusals.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
        let observed = backend.observe().await.unwrap();
        assert!(observed.get(&web()).unwrap().get(server().address()).is_some());
    }
}
