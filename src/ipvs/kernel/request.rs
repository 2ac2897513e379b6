//! What the kernel can be asked.

use std::fmt;
use std::net::SocketAddr;

use super::abi::{
    CONTROL_FAMILY, CONTROL_FAMILY_ID, CONTROL_FAMILY_NAME, CONTROL_GET_FAMILY, FAMILY_NAME,
    FAMILY_VERSION, command, daemon, top,
};
use super::attribute::{Attributes, Writer};
use super::message::{self, Head};
use super::reply::Malformed;
use super::{Daemon, DaemonRole, Timeouts, destination, service};
use crate::ipvs::{Destination, Op, Service, ServiceKey};
use crate::net::Family;

/// One request. Each command of the interface is here but the one that only answers.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Make a service.
    AddService(Service),
    /// Replace the settings of a service; servers and connections stay.
    EditService(Service),
    /// Take a service out with its servers. Its connections go on until they time out.
    RemoveService(ServiceKey),
    /// Read one service.
    GetService(ServiceKey),
    /// Read all services, in the kernel's order, which means nothing.
    ListServices,
    /// Add a server. One that was removed and has connections left gets them back.
    AddDestination(ServiceKey, Destination),
    /// Replace the settings of a server; its connections stay.
    EditDestination(ServiceKey, Destination),
    /// Take a server out. What becomes of its connections is the sysctl `expire_nodest_conn`'s.
    RemoveDestination(ServiceKey, SocketAddr),
    /// Read all servers of a service, the newest first. None for a service that is not there.
    ListDestinations(ServiceKey),
    /// Start a sync daemon.
    StartDaemon(Daemon),
    /// Stop the sync daemon of this role.
    StopDaemon(DaemonRole),
    /// Read the running sync daemons.
    ListDaemons,
    /// Set the timeouts that are not zero.
    SetTimeouts(Timeouts),
    /// Read the timeouts.
    GetTimeouts,
    /// Read version and table size.
    GetInfo,
    /// Zero the counters of a service and its servers, or of everything.
    Zero(Option<ServiceKey>),
    /// Take every service out, whoever made it. Connections go on until they time out.
    Flush,
}

impl Request {
    /// Appends the message to `out`, for the family the kernel gave this number.
    pub fn encode(&self, family: u16, sequence: u32, out: &mut Vec<u8>) {
        let head = Head {
            family,
            command: self.command(),
            version: FAMILY_VERSION,
            dump: self.is_dump(),
            sequence,
        };
        message::write(out, head, |out| self.write(&mut Writer(out)));
    }

    /// Whether it changes nothing, so that it can be asked again.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        self.is_dump() || matches!(self, Self::GetService(_) | Self::GetTimeouts | Self::GetInfo)
    }

    pub(super) const fn is_dump(&self) -> bool {
        matches!(self, Self::ListServices | Self::ListDestinations(_) | Self::ListDaemons)
    }

    /// Whether it changes one entry of the table. Netlink answers a request that ended with EINTR
    /// not at all; none of these waits for anything a signal could interrupt.
    pub(super) const fn is_table_change(&self) -> bool {
        matches!(
            self,
            Self::AddService(_)
                | Self::EditService(_)
                | Self::RemoveService(_)
                | Self::AddDestination(..)
                | Self::EditDestination(..)
                | Self::RemoveDestination(..)
        )
    }

    /// The address family of the service it is about.
    pub(super) fn family(&self) -> Option<Family> {
        self.service().map(|key| key.family())
    }

    /// The service it is about.
    #[must_use]
    pub const fn service(&self) -> Option<ServiceKey> {
        match self {
            Self::AddService(service) | Self::EditService(service) => Some(service.key()),
            Self::RemoveService(key)
            | Self::GetService(key)
            | Self::AddDestination(key, _)
            | Self::EditDestination(key, _)
            | Self::RemoveDestination(key, _)
            | Self::ListDestinations(key) => Some(*key),
            Self::Zero(key) => *key,
            Self::ListServices
            | Self::StartDaemon(_)
            | Self::StopDaemon(_)
            | Self::ListDaemons
            | Self::SetTimeouts(_)
            | Self::GetTimeouts
            | Self::GetInfo
            | Self::Flush => None,
        }
    }

    /// The destination it is about.
    #[must_use]
    pub const fn destination(&self) -> Option<SocketAddr> {
        match self {
            Self::AddDestination(_, destination) | Self::EditDestination(_, destination) => {
                Some(destination.address())
            }
            Self::RemoveDestination(_, address) => Some(*address),
            _ => None,
        }
    }

    /// What it attempts, to complete "cannot".
    #[must_use]
    pub const fn attempted(&self) -> &'static str {
        match self {
            Self::AddService(_) | Self::AddDestination(..) => "add it",
            Self::EditService(_) | Self::EditDestination(..) => "edit it",
            Self::RemoveService(_) | Self::RemoveDestination(..) => "remove it",
            Self::GetService(_) | Self::GetInfo | Self::GetTimeouts => "read it",
            Self::ListServices | Self::ListDaemons => "list them",
            Self::ListDestinations(_) => "list its destinations",
            Self::StartDaemon(_) => "start it",
            Self::StopDaemon(_) => "stop it",
            Self::SetTimeouts(_) => "set them",
            Self::Zero(_) => "zero its counters",
            Self::Flush => "flush it",
        }
    }

    const fn command(&self) -> u8 {
        match self {
            Self::AddService(_) => command::NEW_SERVICE,
            Self::EditService(_) => command::SET_SERVICE,
            Self::RemoveService(_) => command::DEL_SERVICE,
            Self::GetService(_) | Self::ListServices => command::GET_SERVICE,
            Self::AddDestination(..) => command::NEW_DEST,
            Self::EditDestination(..) => command::SET_DEST,
            Self::RemoveDestination(..) => command::DEL_DEST,
            Self::ListDestinations(_) => command::GET_DEST,
            Self::StartDaemon(_) => command::NEW_DAEMON,
            Self::StopDaemon(_) => command::DEL_DAEMON,
            Self::ListDaemons => command::GET_DAEMON,
            Self::SetTimeouts(_) => command::SET_CONFIG,
            Self::GetTimeouts => command::GET_CONFIG,
            Self::GetInfo => command::GET_INFO,
            Self::Zero(_) => command::ZERO,
            Self::Flush => command::FLUSH,
        }
    }

    fn write(&self, out: &mut Writer<'_>) {
        match self {
            Self::AddService(service) | Self::EditService(service) => {
                out.nest(top::SERVICE, |nest| service::write(nest, service));
            }
            Self::RemoveService(key)
            | Self::GetService(key)
            | Self::ListDestinations(key)
            | Self::Zero(Some(key)) => write_key(out, *key),
            Self::AddDestination(key, destination) | Self::EditDestination(key, destination) => {
                write_key(out, *key);
                out.nest(top::DEST, |nest| destination::write(nest, destination));
            }
            Self::RemoveDestination(key, address) => {
                write_key(out, *key);
                out.nest(top::DEST, |nest| destination::write_address(nest, *address));
            }
            Self::StartDaemon(daemon) => {
                out.nest(top::DAEMON, |nest| daemon.write(nest));
            }
            Self::StopDaemon(role) => {
                out.nest(top::DAEMON, |nest| {
                    nest.u32(daemon::STATE, role.number());
                });
            }
            Self::SetTimeouts(timeouts) => timeouts.write(out),
            Self::ListServices
            | Self::ListDaemons
            | Self::GetTimeouts
            | Self::GetInfo
            | Self::Zero(None)
            | Self::Flush => {}
        }
    }
}

fn write_key(out: &mut Writer<'_>, key: ServiceKey) {
    out.nest(top::SERVICE, |nest| service::write_key(nest, key));
}

impl From<&Op> for Request {
    fn from(op: &Op) -> Self {
        match op {
            Op::AddService(service) => Self::AddService(service.clone()),
            Op::EditService(service) => Self::EditService(service.clone()),
            Op::RemoveService(key) => Self::RemoveService(*key),
            Op::AddDestination(key, destination) => Self::AddDestination(*key, *destination),
            Op::EditDestination(key, destination) => Self::EditDestination(*key, *destination),
            Op::RemoveDestination(key, address) => Self::RemoveDestination(*key, *address),
        }
    }
}

impl fmt::Display for Request {
    /// The object it is about: `destination 10.0.0.2:80 of TCP 10.0.0.1:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(address), Some(key)) = (self.destination(), self.service()) {
            return write!(f, "destination {address} of {key}");
        }
        if let Some(key) = self.service() {
            return write!(f, "service {key}");
        }
        match self {
            Self::StartDaemon(daemon) => write!(f, "{} sync daemon", daemon.role()),
            Self::StopDaemon(role) => write!(f, "{role} sync daemon"),
            Self::ListDaemons => f.write_str("sync daemons"),
            Self::SetTimeouts(_) | Self::GetTimeouts => f.write_str("timeouts"),
            Self::GetInfo => f.write_str("version of IPVS"),
            Self::ListServices => f.write_str("services"),
            _ => f.write_str("table of IPVS"),
        }
    }
}

/// The request for the number of the family IPVS, which the kernel chooses when the module loads.
pub fn encode_family_lookup(sequence: u32, out: &mut Vec<u8>) {
    let head = Head {
        family: CONTROL_FAMILY,
        command: CONTROL_GET_FAMILY,
        version: 1,
        dump: false,
        sequence,
    };
    message::write(out, head, |out| {
        Writer(out).text(CONTROL_FAMILY_NAME, FAMILY_NAME);
    });
}

pub(super) fn decode_family(attributes: Attributes<'_>) -> Result<u16, Malformed> {
    for attribute in attributes {
        let attribute = attribute?;
        if attribute.kind() == CONTROL_FAMILY_ID {
            return attribute.u16();
        }
    }
    Err(Malformed("a family without a number"))
}
