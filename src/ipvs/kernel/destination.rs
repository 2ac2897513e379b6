//! A destination as the kernel's interface has it.

use std::net::SocketAddr;
use std::num::NonZeroU16;

use super::abi::dest as attr;
use super::attribute::{Attribute, Attributes, Writer, family_number, family_of};
use super::reply::{Inexpressible, Malformed, Undecodable, UnknownAttribute};
use super::stats::Totals;
use crate::ipvs::{
    Counters, Destination, Forwarding, Load, Rates, Thresholds, Tunnel, TunnelChecksum,
};
use crate::net::{Family, Weight};

/// A destination the kernel has, with its connections and counters.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DestinationStatus {
    /// The destination.
    pub destination: Destination,
    /// Its connections now.
    pub load: Load,
    /// What has passed, as of the last two-second tick of the estimator. Nothing goes out through
    /// the director by direct routing and tunnels, so nothing is counted there.
    pub counters: Counters,
    /// What passes each second.
    pub rates: Rates,
    /// Whether `destination` says all there is. False for a method or tunnel that only other
    /// programs set and the model does not have: `destination` then has [`Forwarding::Local`].
    pub exact: bool,
    /// Attributes that this crate does not know.
    pub unknown: Vec<UnknownAttribute>,
}

impl DestinationStatus {
    /// Reads a destination of a service of `family`.
    pub(super) fn decode(nest: Attributes<'_>, family: Family) -> Result<Self, Undecodable> {
        let mut raw = Raw::default();
        for attribute in nest {
            raw.take(&attribute?)?;
        }
        raw.finish(family)
    }
}

pub(super) fn write_address(out: &mut Writer<'_>, address: SocketAddr) {
    out.u16(attr::FAMILY, family_number(Family::of(address.ip())))
        .address(attr::ADDRESS, address.ip())
        .port(attr::PORT, address.port());
}

/// All of a destination; there is no partial change.
pub(super) fn write(out: &mut Writer<'_>, destination: &Destination) {
    write_address(out, destination.address());
    let forwarding = destination.forwarding();
    out.u32(attr::METHOD, method_number(forwarding))
        .u32(attr::WEIGHT, destination.weight().get())
        .u32(attr::UPPER, destination.thresholds().upper())
        .u32(attr::LOWER, destination.thresholds().lower());
    if let Forwarding::Tunnel(tunnel) = forwarding {
        write_tunnel(out, tunnel);
    }
}

pub(super) const fn method_number(forwarding: Forwarding) -> u32 {
    match forwarding {
        Forwarding::Direct => attr::ROUTE,
        Forwarding::Local => attr::LOCAL,
        Forwarding::Nat => attr::MASQUERADE,
        Forwarding::Tunnel(_) => attr::TUNNEL,
    }
}

/// The attributes are sent for plain tunnels too: without them an edit would keep nothing, but the
/// kernel's default need not stay what it is.
fn write_tunnel(out: &mut Writer<'_>, tunnel: Tunnel) {
    let (kind, port, checksum) = match tunnel {
        Tunnel::Ipip => (attr::IPIP, 0, TunnelChecksum::None),
        Tunnel::Gue { port, checksum } => (attr::GUE, port.get(), checksum),
        Tunnel::Gre { checksum } => (attr::GRE, 0, checksum),
    };
    let flags = match checksum {
        TunnelChecksum::None => 0,
        TunnelChecksum::Plain => attr::CHECKSUM,
        TunnelChecksum::Remote => attr::REMOTE_CHECKSUM,
    };
    out.u8(attr::TUNNEL_TYPE, kind).port(attr::TUNNEL_PORT, port).u16(attr::TUNNEL_FLAGS, flags);
}

/// The fields as they come, by attributes or in a structure.
#[derive(Default)]
pub(super) struct Raw<'a> {
    pub(super) family: u16,
    pub(super) address: Option<Attribute<'a>>,
    pub(super) port: Option<u16>,
    pub(super) method: u32,
    pub(super) weight: u32,
    pub(super) upper: u32,
    pub(super) lower: u32,
    pub(super) load: Load,
    pub(super) tunnel_type: u8,
    pub(super) tunnel_port: u16,
    pub(super) tunnel_flags: u16,
    pub(super) totals: Totals,
    pub(super) unknown: Vec<UnknownAttribute>,
}

impl<'a> Raw<'a> {
    fn take(&mut self, attribute: &Attribute<'a>) -> Result<(), Malformed> {
        match attribute.kind() {
            attr::ADDRESS => self.address = Some(*attribute),
            attr::PORT => self.port = Some(attribute.port()?),
            attr::METHOD => self.method = attribute.u32()? & attr::METHOD_MASK,
            attr::WEIGHT => self.weight = attribute.u32()?,
            attr::UPPER => self.upper = attribute.u32()?,
            attr::LOWER => self.lower = attribute.u32()?,
            attr::ACTIVE => self.load.active = attribute.u32()?,
            attr::INACTIVE => self.load.inactive = attribute.u32()?,
            attr::PERSISTENT => self.load.persistent = attribute.u32()?,
            attr::STATS => self.totals.read_narrow(attribute)?,
            attr::FAMILY => self.family = attribute.u16()?,
            attr::STATS64 => self.totals.read_wide(attribute)?,
            attr::TUNNEL_TYPE => self.tunnel_type = attribute.u8()?,
            attr::TUNNEL_PORT => self.tunnel_port = attribute.port()?,
            attr::TUNNEL_FLAGS => self.tunnel_flags = attribute.u16()?,
            _ => self.unknown.push(UnknownAttribute::new(attribute)),
        }
        Ok(())
    }

    pub(super) fn finish(self, service: Family) -> Result<DestinationStatus, Undecodable> {
        let forwarding = self.forwarding();
        let weight = Weight::new(self.weight);
        let thresholds = Thresholds::new(self.upper, self.lower);
        let exact = forwarding.is_some() && weight.is_ok() && thresholds.is_ok();
        let destination = Destination::new(self.address(service)?)
            .with_forwarding(forwarding.unwrap_or(Forwarding::Local))
            .with_weight(weight.unwrap_or(Weight::ZERO))
            .with_thresholds(thresholds.unwrap_or_default());
        let (counters, rates) = self.totals.best();
        Ok(DestinationStatus {
            destination,
            load: self.load,
            counters,
            rates,
            exact,
            unknown: self.unknown,
        })
    }

    /// Without a family, or with 0, it is the service's.
    fn address(&self, service: Family) -> Result<SocketAddr, Undecodable> {
        let missing = Malformed("a destination without address");
        let family = match self.family {
            0 => service,
            other => family_of(other).ok_or(Inexpressible("its address family"))?,
        };
        let ip = self.address.ok_or(missing)?.address(family)?;
        Ok(SocketAddr::new(ip, self.port.ok_or(missing)?))
    }

    fn forwarding(&self) -> Option<Forwarding> {
        match self.method {
            attr::MASQUERADE => Some(Forwarding::Nat),
            attr::LOCAL => Some(Forwarding::Local),
            attr::ROUTE => Some(Forwarding::Direct),
            attr::TUNNEL => self.tunnel().map(Forwarding::Tunnel),
            _ => None,
        }
    }

    fn tunnel(&self) -> Option<Tunnel> {
        let checksum = match self.tunnel_flags {
            0 => TunnelChecksum::None,
            attr::CHECKSUM => TunnelChecksum::Plain,
            attr::REMOTE_CHECKSUM => TunnelChecksum::Remote,
            _ => return None,
        };
        match self.tunnel_type {
            attr::IPIP => Some(Tunnel::Ipip),
            attr::GUE => {
                NonZeroU16::new(self.tunnel_port).map(|port| Tunnel::Gue { port, checksum })
            }
            attr::GRE if checksum != TunnelChecksum::Remote => Some(Tunnel::Gre { checksum }),
            _ => None,
        }
    }
}
