use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::attribute::{Malformed, attributes, bytes_at, write};
use crate::net::{Family, OutOfRange};

/// `IFA_PROTO` of what this crate puts: the mark by which it knows its own (Linux 5.18).
pub const OURS: u8 = b'P';

const INET: u8 = 2;
const INET6: u8 = 10;

const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const LABEL: u16 = 3;
const BROADCAST: u16 = 4;
const CACHE_INFO: u16 = 6;
const FLAGS: u16 = 8;
const PROTOCOL: u16 = 11;

/// No duplicate address detection: a takeover cannot wait for it, and a dead partner's address is
/// no duplicate.
const NO_DETECTION: u32 = 0x02;
/// The longest label, without its NUL (`IFNAMSIZ`).
const MAX_LABEL: usize = 15;
const FOREVER: u32 = u32::MAX;

/// How long the kernel keeps an address that is not put again, in whole seconds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Lifetime(u32);

impl Lifetime {
    /// Until it is removed.
    pub const FOREVER: Self = Self(FOREVER);

    /// `duration`, rounded up to a second; at least one.
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        let seconds = duration.as_millis().div_ceil(1000).max(1);
        Self(u32::try_from(seconds).unwrap_or(FOREVER))
    }

    /// So many seconds.
    #[must_use]
    pub const fn of_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// The label of an address and the NUL behind it, in place: an address is put again and again, and
/// that is to ask for no memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Label {
    bytes: [u8; MAX_LABEL + 1],
    length: usize,
}

/// An address of a link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkAddress {
    index: u32,
    address: IpAddr,
    prefix: u8,
    label: Option<Label>,
    lifetime: Lifetime,
    protocol: Option<u8>,
}

impl LinkAddress {
    /// `address`, ours, without a network of its own (/32, /128), for ever, on the link with this
    /// index.
    #[must_use]
    pub const fn new(index: u32, address: IpAddr) -> Self {
        let prefix = Family::of(address).bits();
        Self {
            index,
            address,
            prefix,
            label: None,
            lifetime: Lifetime::FOREVER,
            protocol: Some(OURS),
        }
    }

    /// With a network prefix of so many bits; more than the address has mean all of them.
    #[must_use]
    pub fn with_prefix(mut self, prefix: u8) -> Self {
        self.prefix = prefix.min(Family::of(self.address).bits());
        self
    }

    /// With a label such as `eth0:1`. IPv6 has none.
    ///
    /// # Errors
    /// [`OutOfRange`] unless it has 1 to 15 bytes, none of them NUL.
    pub fn with_label(mut self, label: &str) -> Result<Self, OutOfRange> {
        let allowed = !label.is_empty() && !label.contains('\0');
        let label = Label::new(label.as_bytes()).filter(|_| allowed);
        let label =
            label.ok_or(OutOfRange { what: "label of an address", allowed: "1 to 15 bytes" })?;
        self.label = self.address.is_ipv4().then_some(label);
        Ok(self)
    }

    /// Gone by itself after this time, unless it is put again.
    #[must_use]
    pub const fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The index of its link.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Its prefix length in bits.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// How long it stays if nobody puts it again.
    #[must_use]
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Whether this crate put it there. On kernels before 5.18 none says so.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.protocol == Some(OURS)
    }

    /// Whether the kernel takes both for the same: link, address and prefix.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.index, self.address, self.prefix) == (other.index, other.address, other.prefix)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.write_identity(out);
        if let IpAddr::V4(address) = self.address
            && let Some(broadcast) = broadcast(address, self.prefix)
        {
            write(out, BROADCAST, &broadcast.octets());
        }
        if let Some(label) = &self.label {
            write(out, LABEL, label.with_nul());
        }
        if let Some(protocol) = self.protocol {
            write(out, PROTOCOL, &[protocol]);
        }
        let mut cache = [0; 16];
        cache[..4].copy_from_slice(&self.preferred().to_ne_bytes());
        cache[4..8].copy_from_slice(&self.lifetime.0.to_ne_bytes());
        write(out, CACHE_INFO, &cache);
        let flags = if self.address.is_ipv6() { NO_DETECTION } else { 0 };
        write(out, FLAGS, &flags.to_ne_bytes());
    }

    /// What tells one address from another.
    pub(super) fn write_identity(&self, out: &mut Vec<u8>) {
        match self.address {
            IpAddr::V4(address) => self.write_octets(INET, &address.octets(), out),
            IpAddr::V6(address) => self.write_octets(INET6, &address.octets(), out),
        }
    }

    fn write_octets(&self, family: u8, octets: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&[family, self.prefix, 0, 0]);
        out.extend_from_slice(&self.index.to_ne_bytes());
        write(out, LOCAL, octets);
        write(out, ADDRESS, octets);
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, Malformed> {
        let [family, prefix, ..] = bytes_at::<8>(payload, 0)?;
        let index = u32::from_ne_bytes(bytes_at(payload, 4)?);
        let (mut local, mut peer) = (None, None);
        let (mut label, mut protocol) = (None, None);
        let mut lifetime = Lifetime::FOREVER;
        for (kind, value) in attributes(payload.get(8..).unwrap_or_default()) {
            match kind {
                LOCAL => local = Some(ip(family, value)?),
                ADDRESS => peer = Some(ip(family, value)?),
                LABEL => label = Label::new(value.strip_suffix(b"\0").unwrap_or(value)),
                CACHE_INFO => lifetime = Lifetime(u32::from_ne_bytes(bytes_at(value, 4)?)),
                PROTOCOL => protocol = value.first().copied(),
                _ => {}
            }
        }
        // Only a point-to-point address has both; IPv6 has the second alone.
        let address = local.or(peer).ok_or(Malformed)?;
        Ok(Self { index, address, prefix, label, lifetime, protocol })
    }

    /// How long own connections may start from it: for IPv6 not at all, so that the node's own
    /// traffic does not come from an address that may leave. For IPv4 the kernel does not ask.
    const fn preferred(&self) -> u32 {
        match self.address {
            IpAddr::V6(_) if self.lifetime.0 != FOREVER => 0,
            _ => self.lifetime.0,
        }
    }
}

impl Label {
    /// The label `text`; `None` for one that is too long.
    fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_LABEL + 1];
        let place = bytes[..MAX_LABEL].get_mut(..text.len())?;
        place.copy_from_slice(text);
        Some(Self { bytes, length: text.len() })
    }

    fn with_nul(&self) -> &[u8] {
        &self.bytes[..=self.length]
    }
}

fn ip(family: u8, value: &[u8]) -> Result<IpAddr, Malformed> {
    match family {
        INET => bytes_at::<4>(value, 0).map(IpAddr::from),
        INET6 => bytes_at::<16>(value, 0).map(IpAddr::from),
        _ => Err(Malformed),
    }
}

/// The highest address of its network, where that has room for one.
fn broadcast(address: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
    let hosts = u32::MAX.checked_shr(prefix.into())?;
    (prefix <= 30).then(|| Ipv4Addr::from_bits(address.to_bits() | hosts))
}
