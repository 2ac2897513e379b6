//! Sockets for VRRP: raw, by multicast on one device or by unicast, and what is said on them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use rustix::net::netdevice::name_to_index;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::clock;
use super::heartbeat::{self, Reconfigure};
use super::key;
use super::node::NodeError;
use crate::config::{self, Config};
use crate::control::supervision::Terms;
use crate::failover::record::{Recorder, Sink};
use crate::failover::vrrp::{self, Builder, Path, Version, Vrrp};
use crate::failover::{Role, VirtualAddress};
use crate::net::Family;
use crate::time::Instant;
use crate::wire::ip::NETWORK_CONTROL;
use crate::wire::vrrp::{GROUP_V4, GROUP_V6, HOPS, PROTOCOL};

/// The machine of `config`, and the sockets of its paths in the same order. A family has a path
/// if there is an address of it and a way to say so.
pub(super) fn open(
    config: &Config,
    vrrp: &config::Vrrp,
    role: Role,
    terms: Terms,
    force_active: bool,
    sink: Option<Box<dyn Sink>>,
) -> Result<(Box<dyn Reconfigure>, Vec<heartbeat::Path>), NodeError> {
    let mut builder = vrrp::Config::builder(role, vrrp.version, vrrp.id)
        .force_active(force_active)
        .routers_between(vrrp.hops);
    if let Some(path) = &vrrp.auth {
        builder = builder.password(key::read_password(path).map_err(NodeError::Password)?);
    }
    let mut sockets = Vec::new();
    for family in families(vrrp.version, &terms.addresses) {
        let opened = match vrrp.unicast {
            false => multicast(&vrrp.interface, family).map(Some),
            true => own_pair(config, role, family).map(unicast).transpose(),
        };
        let opened = opened.map_err(|source| NodeError::Vrrp {
            interface: vrrp.interface.clone(),
            family,
            source,
        })?;
        if let Some((path, socket)) = opened {
            builder = builder.path(path);
            sockets.push(socket);
        }
    }
    let machine = Vrrp::new(clock::now(), agree(builder, role, terms).build()?);
    let machine: Box<dyn Reconfigure> = match sink {
        Some(sink) => Box::new(Recorder::recording(machine, sink)),
        None => Box::new(machine),
    };
    Ok((machine, sockets))
}

impl Reconfigure for Vrrp {
    fn reconfigure(&mut self, now: Instant, terms: Terms) -> Result<(), String> {
        let changed = agreed(self, terms).and_then(|config| self.handle_config(now, config));
        changed.map_err(|error| error.to_string())?;
        check_advertised(self)
    }
}

impl Reconfigure for Recorder<Vrrp> {
    fn reconfigure(&mut self, now: Instant, terms: Terms) -> Result<(), String> {
        let config = agreed(self.machine(), terms);
        let changed = config.and_then(|config| self.handle_config(now, config));
        changed.map_err(|error| error.to_string())?;
        check_advertised(self.machine())
    }
}

/// The configuration of `machine` with these terms.
fn agreed(machine: &Vrrp, terms: Terms) -> Result<vrrp::Config, vrrp::ConfigError> {
    agree(machine.config().to_builder(), machine.config().role(), terms).build()
}

fn check_advertised(machine: &Vrrp) -> Result<(), String> {
    machine.unadvertised().map_or(Ok(()), |family| {
        Err(format!("VIPs of {family:?} are held and not advertised until pulse is restarted"))
    })
}

fn agree(builder: Builder, role: Role, terms: Terms) -> Builder {
    builder
        .interval(terms.keepalive)
        .preempt(terms.failback)
        .priority(terms.vrrp_priority.unwrap_or_else(|| vrrp::Config::default_priority(role)))
        .addresses(terms.addresses)
}

fn families(version: Version, addresses: &[VirtualAddress]) -> impl Iterator<Item = Family> {
    let spoken: &[Family] = match version {
        Version::V2 => &[Family::Ipv4],
        Version::V3 => &[Family::Ipv4, Family::Ipv6],
    };
    let has = |family| addresses.iter().any(|vip| Family::of(vip.address) == family);
    spoken.iter().copied().filter(move |family| has(*family))
}

/// The own end and the partner's of the first heartbeat path of this family.
fn own_pair(config: &Config, role: Role, family: Family) -> Option<(IpAddr, IpAddr)> {
    let (primary, backup) =
        config.heartbeat_pairs().find(|(primary, _)| Family::of(*primary) == family)?;
    Some(match role {
        Role::Primary => (primary, backup),
        Role::Backup => (backup, primary),
    })
}

fn unicast((local, peer): (IpAddr, IpAddr)) -> io::Result<(Path, heartbeat::Path)> {
    let socket = raw(Family::of(local))?;
    socket.bind(&SocketAddr::new(local, 0).into())?;
    let path = heartbeat::Path::raw(socket, local, SocketAddr::new(peer, 0), local)?;
    Ok((Path::unicast(local, peer), path))
}

/// On the device alone, of its first address: that is how the others know routers apart.
fn multicast(device: &str, family: Family) -> io::Result<(Path, heartbeat::Path)> {
    let socket = raw(family)?;
    let index = name_to_index(&socket, device)?;
    socket.bind_device(Some(device.as_bytes()))?;
    let local = source(device, index, family)?;
    let group: SocketAddr = match local {
        IpAddr::V4(_) => {
            socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
            (GROUP_V4, 0).into()
        }
        IpAddr::V6(_) => {
            socket.join_multicast_v6(&GROUP_V6, index)?;
            SocketAddrV6::new(GROUP_V6, 0, 0, index).into()
        }
    };
    speak_to_group(&socket, local, group)?;
    let path = heartbeat::Path::raw(socket, local, group, group.ip())?;
    Ok((Path::multicast(local), path))
}

/// Has what is sent to `group` come from `local`.
fn speak_to_group(socket: &Socket, local: IpAddr, group: SocketAddr) -> io::Result<()> {
    match (local, group) {
        (IpAddr::V4(local), _) => {
            socket.set_multicast_if_v4(&local)?;
            socket.set_multicast_ttl_v4(HOPS.into())?;
            socket.set_multicast_loop_v4(false)
        }
        (IpAddr::V6(_), SocketAddr::V6(group)) => {
            socket.set_multicast_if_v6(group.scope_id())?;
            socket.set_multicast_hops_v6(HOPS.into())?;
            socket.set_multicast_loop_v6(false)
        }
        (IpAddr::V6(_), SocketAddr::V4(_)) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Says `message` once, from `own` to a router or to the group of all, as a path of these ends does.
///
/// # Errors
/// The operating system's.
pub(super) fn say(own: IpAddr, peer: SocketAddr, message: &[u8]) -> io::Result<()> {
    let socket = raw(Family::of(own))?;
    if peer.ip().is_multicast() {
        speak_to_group(&socket, own, peer)?;
    } else {
        socket.bind(&SocketAddr::new(own, 0).into())?;
    }
    socket.send_to(message, &peer.into()).map(|_| ())
}

/// A socket that sends as VRRP asks for: with a hop limit of 255, so that the other side knows
/// what came from its own link, and before other traffic.
fn raw(family: Family) -> io::Result<Socket> {
    let protocol = Some(Protocol::from(i32::from(PROTOCOL)));
    let (domain, hops) = match family {
        Family::Ipv4 => (Domain::IPV4, Socket::set_ttl_v4 as fn(&Socket, u32) -> io::Result<()>),
        Family::Ipv6 => (Domain::IPV6, Socket::set_unicast_hops_v6 as _),
    };
    let socket = Socket::new(domain, Type::RAW.nonblocking(), protocol)?;
    hops(&socket, HOPS.into())?;
    match family {
        Family::Ipv4 => socket.set_tos_v4(NETWORK_CONTROL.into())?,
        Family::Ipv6 => {
            socket.set_tclass_v6(NETWORK_CONTROL.into())?;
            socket.set_recv_hoplimit_v6(true)?;
        }
    }
    Ok(socket)
}

/// The address that the kernel takes for the group on this device: the first of IPv4, the
/// link-local one of IPv6. Nothing is sent.
fn source(device: &str, index: u32, family: Family) -> io::Result<IpAddr> {
    let group: SocketAddr = match family {
        Family::Ipv4 => (GROUP_V4, PROTOCOL.into()).into(),
        Family::Ipv6 => SocketAddrV6::new(GROUP_V6, PROTOCOL.into(), 0, index).into(),
    };
    let socket = Socket::new(Domain::for_address(group), Type::DGRAM, None)?;
    socket.bind_device(Some(device.as_bytes()))?;
    socket.connect(&group.into())?;
    let local = socket.local_addr()?.as_socket().map(|address| address.ip());
    let unset = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
    local.filter(|local| !unset.contains(local)).ok_or(io::ErrorKind::AddrNotAvailable.into())
}
