//! Services and servers out of the options that describe them.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use super::UsageError;
use super::option::{Command, Given, Subject, TunnelType, check_tunnel};
use super::parse::Draft;
use super::scan::Word;
use crate::ipvs::kernel::Request;
use crate::ipvs::{
    Destination, Forwarding, Persistence, SchedulerFlags, SchedulerName, Service, ServiceKey,
    Thresholds, Tunnel,
};
use crate::net::{Family, Protocol};

/// The request that `-A`, `-E` or `-D` asks for.
pub(super) fn service(draft: &Draft<'_>) -> Result<Request, UsageError> {
    let key = key(draft)?;
    Ok(match draft.command {
        Command::DeleteService => Request::RemoveService(key),
        Command::EditService => Request::EditService(settings(draft, key)?),
        _ => Request::AddService(settings(draft, key)?),
    })
}

fn settings(draft: &Draft<'_>, key: ServiceKey) -> Result<Service, UsageError> {
    let one_packet = draft.given.has(Subject::OnePacket);
    if let ServiceKey::Address { protocol, address } = key {
        if address.port() == 0 && draft.persistence.is_none() {
            return Err(UsageError::invalid("Zero port specified for non-persistent service"));
        }
        if one_packet && protocol != Protocol::Udp {
            return Err(UsageError::invalid(
                "One-Packet Scheduling is only for UDP virtual services",
            ));
        }
    }
    let scheduler = draft.scheduler.filter(|name| !name.is_empty());
    let flags = flags(draft.scheduler_flags, scheduler.unwrap_or("wlc"))?;
    let mut service = Service::new(key).with_scheduler_flags(flags).with_one_packet(one_packet);
    if let Some(name) = scheduler {
        let name: SchedulerName = name.parse().map_err(unknown_module)?;
        service = service.with_scheduler(name);
    }
    match persistence(draft)? {
        Some(persistence) => Ok(service.with_persistence(persistence)),
        None => Ok(service),
    }
}

/// A persistence engine without persistence has no effect in the kernel and is left out.
fn persistence(draft: &Draft<'_>) -> Result<Option<Persistence>, UsageError> {
    let engine = draft.engine.map(str::parse).transpose();
    let engine = engine.map_err(unknown_module)?;
    let Some(timeout) = draft.persistence else {
        return Ok(None);
    };
    let timeout = Duration::from_secs(timeout.into());
    let mut persistence = Persistence::new(timeout).map_err(out_of_range)?;
    if let Some(prefix) = draft.prefix {
        persistence = persistence.with_prefix(prefix).map_err(out_of_range)?;
    }
    if let Some(engine) = engine {
        persistence = persistence.with_engine(engine);
    }
    Ok(Some(persistence))
}

fn flags(list: &str, scheduler: &str) -> Result<SchedulerFlags, UsageError> {
    let mut flags = SchedulerFlags::NONE;
    for name in list.split(',').filter(|name| !name.is_empty()) {
        let (flag, of) = SchedulerFlags::by_name(name)
            .ok_or_else(|| UsageError::invalid(format!("invalid scheduler flag `{name}'")))?;
        if of.is_some_and(|of| of != scheduler) {
            return Err(UsageError::invalid(format!("incompatible scheduler flag `{name}'")));
        }
        flags = flags | flag;
    }
    Ok(flags)
}

/// The request that `-a`, `-e` or `-d` asks for.
pub(super) fn server(draft: &Draft<'_>) -> Result<Request, UsageError> {
    let key = key(draft)?;
    let (ip, port) = draft.server.ok_or_else(missing)?;
    Ok(match draft.command {
        Command::DeleteServer => Request::RemoveDestination(key, (ip, port).into()),
        Command::EditServer => {
            Request::EditDestination(key, destination(draft, key, (ip, port).into())?)
        }
        _ => Request::AddDestination(key, destination(draft, key, (ip, port).into())?),
    })
}

fn destination(
    draft: &Draft<'_>,
    key: ServiceKey,
    mut address: SocketAddr,
) -> Result<Destination, UsageError> {
    if Family::of(address.ip()) != key.family() && draft.forwarding != Word::Ipip {
        return Err(UsageError::invalid(
            "Different address family is allowed only for tunneling servers",
        ));
    }
    let forwarding = forwarding(draft)?;
    // Without translation a packet keeps its port.
    if let (ServiceKey::Address { address: vip, .. }, false) = (key, forwarding == Forwarding::Nat)
    {
        address.set_port(vip.port());
    }
    let thresholds = Thresholds::new(draft.upper, draft.lower).map_err(out_of_range)?;
    Ok(Destination::new(address)
        .with_forwarding(forwarding)
        .with_weight(draft.weight)
        .with_thresholds(thresholds))
}

fn forwarding(draft: &Draft<'_>) -> Result<Forwarding, UsageError> {
    if draft.forwarding == Word::Ipip {
        return tunnel(draft).map(Forwarding::Tunnel);
    }
    if has_tunnel_option(draft.given) {
        return Err(UsageError::invalid("Tunnel options conflict with forward method"));
    }
    Ok(match draft.forwarding {
        Word::Masquerading => Forwarding::Nat,
        _ => Forwarding::Direct,
    })
}

fn has_tunnel_option(given: Given) -> bool {
    given.has_any(&[
        Subject::TunnelType,
        Subject::TunnelPort,
        Subject::TunnelNoChecksum,
        Subject::TunnelChecksum,
        Subject::TunnelRemoteChecksum,
    ])
}

fn tunnel(draft: &Draft<'_>) -> Result<Tunnel, UsageError> {
    check_tunnel(draft.tunnel, draft.given)?;
    let checksum = draft.tunnel_checksum;
    let port = draft.tunnel_port.and_then(NonZeroU16::new);
    Ok(match (draft.tunnel, port) {
        (TunnelType::Gue, Some(port)) => Tunnel::Gue { port, checksum },
        (TunnelType::Gre, _) => Tunnel::Gre { checksum },
        (TunnelType::Ipip | TunnelType::Gue, _) => Tunnel::Ipip,
    })
}

fn key(draft: &Draft<'_>) -> Result<ServiceKey, UsageError> {
    draft.service.ok_or_else(missing)
}

fn missing() -> UsageError {
    UsageError::invalid("a service or server is missing")
}

/// A name that is too long for the kernel is one it does not know.
fn unknown_module<E>(_: E) -> UsageError {
    UsageError::Refused("Scheduler or persistence engine not found")
}

fn out_of_range<E>(_: E) -> UsageError {
    UsageError::Refused("Numerical result out of range")
}
