//! A service as the kernel's interface has it.

use std::net::SocketAddr;
use std::time::Duration;

use super::abi::service as attr;
use super::attribute::{Attribute, Attributes, Writer, family_number, family_of};
use super::reply::{Inexpressible, Malformed, Undecodable, UnknownAttribute};
use super::stats::Totals;
use crate::ipvs::{
    Counters, Persistence, Rates, SchedulerFlags, SchedulerName, Service, ServiceKey,
};
use crate::net::{Family, FirewallMark, Protocol};

/// A service the kernel has, with its counters.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceStatus {
    /// The service. Its helper is what [`Service::new`] gives it: the kernel does not tell.
    pub service: Service,
    /// What has passed, as of the last two-second tick of the estimator.
    pub counters: Counters,
    /// What passes each second.
    pub rates: Rates,
    /// Whether `service` says all there is. False for settings that only other programs make and
    /// the model refuses (a persistence of 40 days, a mask with holes): `service` then has the
    /// nearest value.
    pub exact: bool,
    /// Attributes that this crate does not know.
    pub unknown: Vec<UnknownAttribute>,
}

impl ServiceStatus {
    pub(super) fn decode(nest: Attributes<'_>) -> Result<Self, Undecodable> {
        let mut raw = Raw::default();
        for attribute in nest {
            raw.take(&attribute?)?;
        }
        raw.finish()
    }
}

pub(super) fn write_key(out: &mut Writer<'_>, key: ServiceKey) {
    out.u16(attr::FAMILY, family_number(key.family()));
    match key {
        ServiceKey::Address { protocol, address } => out
            .u16(attr::PROTOCOL, protocol.number().into())
            .address(attr::ADDRESS, address.ip())
            .port(attr::PORT, address.port()),
        ServiceKey::Mark { mark, .. } => out.u32(attr::MARK, mark.get()),
    };
}

/// All of a service; there is no partial change.
pub(super) fn write(out: &mut Writer<'_>, service: &Service) {
    write_key(out, service.key());
    // A mask of all ones: the flags become these and no others.
    let flags = [flags(service).to_ne_bytes(), u32::MAX.to_ne_bytes()].concat();
    out.text(attr::SCHEDULER, service.scheduler().as_str())
        .bytes(attr::FLAGS, &flags)
        .u32(attr::TIMEOUT, timeout(service))
        .bytes(attr::NETMASK, &persistence_mask(service));
    if let Some(engine) = service.persistence().and_then(|p| p.engine()) {
        out.text(attr::ENGINE, engine.as_str());
    }
}

pub(super) fn flags(service: &Service) -> u32 {
    let mut flags = service.scheduler_flags().bits();
    if service.persistence().is_some() {
        flags |= attr::PERSISTENT;
    }
    if service.one_packet() {
        flags |= attr::ONE_PACKET;
    }
    flags
}

/// How long a client keeps its server, in seconds; 0 without persistence.
pub(super) fn timeout(service: &Service) -> u32 {
    service.persistence().map_or(0, |p| seconds(p.timeout()))
}

/// Which clients persistence takes for one; each single one without it.
pub(super) fn persistence_mask(service: &Service) -> [u8; 4] {
    let family = service.key().family();
    let prefix = service.persistence().map_or_else(|| family.bits(), |p| p.prefix(family));
    netmask(family, prefix)
}

/// Whole seconds, and never 0 for something that lasts.
pub(super) fn seconds(duration: Duration) -> u32 {
    let whole = duration.as_millis().div_ceil(1000);
    u32::try_from(whole).unwrap_or(u32::MAX)
}

/// An IPv4 mask in network order; for IPv6 the prefix length in host order.
fn netmask(family: Family, prefix: u8) -> [u8; 4] {
    let drop = 32 - u32::from(prefix.min(32));
    match family {
        Family::Ipv4 => u32::MAX.checked_shl(drop).unwrap_or(0).to_be_bytes(),
        Family::Ipv6 => u32::from(prefix).to_ne_bytes(),
    }
}

/// The fields as they come, by attributes or in a structure.
#[derive(Default)]
pub(super) struct Raw<'a> {
    pub(super) family: Option<u16>,
    pub(super) protocol: Option<u16>,
    pub(super) address: Option<Attribute<'a>>,
    pub(super) port: Option<u16>,
    pub(super) mark: Option<u32>,
    pub(super) scheduler: Option<&'a str>,
    pub(super) flags: u32,
    pub(super) timeout: u32,
    pub(super) netmask: Option<[u8; 4]>,
    pub(super) engine: Option<&'a str>,
    pub(super) totals: Totals,
    pub(super) unknown: Vec<UnknownAttribute>,
}

impl<'a> Raw<'a> {
    fn take(&mut self, attribute: &Attribute<'a>) -> Result<(), Malformed> {
        match attribute.kind() {
            attr::FAMILY => self.family = Some(attribute.u16()?),
            attr::PROTOCOL => self.protocol = Some(attribute.u16()?),
            attr::ADDRESS => self.address = Some(*attribute),
            attr::PORT => self.port = Some(attribute.port()?),
            attr::MARK => self.mark = Some(attribute.u32()?),
            attr::SCHEDULER => self.scheduler = Some(attribute.text()?),
            attr::FLAGS => {
                let [a, b, c, d, ..] = attribute.array::<8>()?;
                self.flags = u32::from_ne_bytes([a, b, c, d]);
            }
            attr::TIMEOUT => self.timeout = attribute.u32()?,
            attr::NETMASK => self.netmask = Some(attribute.array()?),
            attr::STATS => self.totals.read_narrow(attribute)?,
            attr::ENGINE => self.engine = Some(attribute.text()?),
            attr::STATS64 => self.totals.read_wide(attribute)?,
            _ => self.unknown.push(UnknownAttribute::new(attribute)),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<ServiceStatus, Undecodable> {
        let key = self.key()?;
        let (scheduler, known) = self.scheduler();
        let mut service = Service::new(key)
            .with_scheduler(scheduler)
            .with_scheduler_flags(SchedulerFlags::from_bits_truncate(self.flags))
            .with_one_packet(self.flags & attr::ONE_PACKET != 0);
        let mut exact = known;
        if self.flags & attr::PERSISTENT != 0 {
            let (persistence, whole) = self.persistence(key.family())?;
            service = service.with_persistence(persistence);
            exact &= whole;
        }
        let (counters, rates) = self.totals.best();
        Ok(ServiceStatus { service, counters, rates, exact, unknown: self.unknown })
    }

    fn key(&self) -> Result<ServiceKey, Undecodable> {
        let missing = Malformed("a service without identity");
        let family = self.family.ok_or(missing)?;
        let family = family_of(family).ok_or(Inexpressible("its address family"))?;
        if let Some(mark) = self.mark {
            let mark = FirewallMark::new(mark).ok_or(Inexpressible("firewall mark 0"))?;
            return Ok(ServiceKey::mark(mark, family));
        }
        let protocol = protocol(self.protocol.ok_or(missing)?)?;
        let ip = self.address.ok_or(missing)?.address(family)?;
        let address = SocketAddr::new(ip, self.port.ok_or(missing)?);
        Ok(ServiceKey::Address { protocol, address })
    }

    fn scheduler(&self) -> (SchedulerName, bool) {
        match self.scheduler.map(str::parse) {
            Some(Ok(name)) => (name, true),
            Some(Err(_)) | None => (SchedulerName::default(), false),
        }
    }

    fn persistence(&self, family: Family) -> Result<(Persistence, bool), Malformed> {
        let broken = |_| Malformed("a persistence out of bounds");
        let longest = Persistence::MAX_TIMEOUT;
        let timeout = Duration::from_secs(self.timeout.into());
        let near = timeout.clamp(Duration::from_secs(1), longest);
        let mut exact = near == timeout;
        let mut persistence = Persistence::new(near).map_err(broken)?;
        if let Some(mask) = self.netmask {
            let (prefix, whole) = prefix_of(family, mask);
            exact &= whole;
            if prefix != family.bits() {
                persistence = persistence.with_prefix(prefix).map_err(broken)?;
            }
        }
        match self.engine.map(str::parse) {
            Some(Ok(engine)) => persistence = persistence.with_engine(engine),
            Some(Err(_)) => exact = false,
            None => {}
        }
        Ok((persistence, exact))
    }
}

fn protocol(number: u16) -> Result<Protocol, Inexpressible> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .find(|protocol| u16::from(protocol.number()) == number)
        .ok_or(Inexpressible("its protocol"))
}

/// The prefix nearest to a mask, and whether it says the same.
fn prefix_of(family: Family, mask: [u8; 4]) -> (u8, bool) {
    let length = match family {
        Family::Ipv4 => u32::from_be_bytes(mask).leading_ones(),
        Family::Ipv6 => u32::from_ne_bytes(mask),
    };
    let near = length.clamp(1, family.bits().into());
    let near = u8::try_from(near).unwrap_or_else(|_| family.bits());
    (near, netmask(family, near) == mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_becomes_the_mask_the_kernel_wants() {
        assert_eq!(netmask(Family::Ipv4, 24), [255, 255, 255, 0]);
        assert_eq!(netmask(Family::Ipv4, 32), [255; 4]);
        assert_eq!(netmask(Family::Ipv6, 64), 64u32.to_ne_bytes());
        assert_eq!(prefix_of(Family::Ipv4, [255, 255, 0, 0]), (16, true));
        assert_eq!(prefix_of(Family::Ipv4, [255, 0, 255, 0]), (8, false));
        assert_eq!(prefix_of(Family::Ipv4, [0, 0, 0, 24]), (1, false));
        assert_eq!(netmask(Family::Ipv4, 1), [128, 0, 0, 0]);
    }

    #[test]
    fn a_part_of_a_second_is_never_sent_as_none() {
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_secs(300)), 300);
        assert_eq!(seconds(Duration::MAX), u32::MAX);
    }
}
