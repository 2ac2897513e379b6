use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Destination, Forwarding, SchedulerName, Service, ServiceKey};

/// What a data plane can do, so that a table it cannot carry is refused before anything changes.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Capabilities {
    /// Forwarding methods it has.
    pub forwarding: Vec<Forwarding>,
    /// Schedulers it has; `None` when it finds out only on use (the kernel loads modules).
    pub schedulers: Option<Vec<SchedulerName>>,
    /// Services by firewall mark.
    pub marks: bool,
    /// Services on port 0, for every port of an address.
    pub any_port: bool,
}

/// Why a data plane cannot carry a table. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unsupported {
    /// The forwarding method of a real server.
    #[error("{service}: the data plane cannot reach {destination} by {forwarding}")]
    Forwarding {
        /// The service.
        service: ServiceKey,
        /// The server.
        destination: SocketAddr,
        /// The method asked for.
        forwarding: Forwarding,
    },
    /// A firewall-mark service.
    #[error("{service}: the data plane has no services by firewall mark")]
    Mark {
        /// The service.
        service: ServiceKey,
    },
    /// A service on port 0.
    #[error("{service}: the data plane needs a port")]
    AnyPort {
        /// The service.
        service: ServiceKey,
    },
    /// A scheduler.
    #[error("{service}: the data plane has no scheduler {scheduler}")]
    Scheduler {
        /// The service.
        service: ServiceKey,
        /// The scheduler asked for.
        scheduler: SchedulerName,
    },
}

impl Unsupported {
    /// The service whose configuration must change.
    #[must_use]
    pub const fn service(&self) -> ServiceKey {
        match self {
            Self::Forwarding { service, .. }
            | Self::Mark { service }
            | Self::AnyPort { service }
            | Self::Scheduler { service, .. } => *service,
        }
    }
}

/// One change of a data plane's table.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Op {
    /// Make a service that is not there.
    AddService(Service),
    /// Change a service that is there; its servers and connections stay.
    EditService(Service),
    /// Take a service out. Its connections go on.
    RemoveService(ServiceKey),
    /// Add a server to a service.
    AddDestination(ServiceKey, Destination),
    /// Change a server; its connections stay.
    EditDestination(ServiceKey, Destination),
    /// Take a server out. What becomes of its connections is the data plane's rule.
    RemoveDestination(ServiceKey, SocketAddr),
}
