//! The Virtual Router Redundancy Protocol: version 3 for IPv4 and IPv6 (RFC 9568), version 2 for
//! IPv4 (RFC 3768) with the simple text password of RFC 2338.
//!
//! There is one message, the advertisement of the router that forwards:
//!
//! ```text
//!        0                   1                   2                   3
//!        0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//!       +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!   v3  |     3 |     1 |      VRID     |    priority   |     count     |
//!       |     0 |           interval (cs)               |    checksum   |
//!       +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!   v2  |     2 |     1 |      VRID     |    priority   |     count     |
//!       |   auth type   |  interval (s) |            checksum           |
//!       +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!       |           addresses; with v2, eight bytes of password         |
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checksum::Checksum;
use crate::net::Family;

#[cfg(test)]
mod tests;

/// The number of the protocol in the header of IP (IANA).
pub const PROTOCOL: u8 = 112;
/// Whom advertisements over IPv4 are sent to.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Whom advertisements over IPv6 are sent to.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// What they leave with, so that one which came through a router is told by it (section 5.1.1.3).
pub const HOPS: u8 = 255;
/// The priority that says: I give up.
pub const RESIGNED: u8 = 0;
/// The priority of the router whose own addresses they are.
pub const OWNER: u8 = 255;

const HEADER: usize = 8;
/// The only type there is.
const ADVERTISEMENT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const SIMPLE_TEXT: u8 = 1;

/// The versions of the protocol. They do not understand each other.
#[allow(clippy::exhaustive_enums, reason = "a version more changes the machine")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// RFC 3768: IPv4, intervals of whole seconds that all routers have to share.
    V2,
    /// RFC 9568: IPv4 and IPv6, intervals of centiseconds that the others learn.
    V3,
}

impl Version {
    /// The unit of the interval: a second or a centisecond.
    #[must_use]
    pub const fn unit(self) -> Duration {
        match self {
            Self::V2 => Duration::from_secs(1),
            Self::V3 => Duration::from_millis(10),
        }
    }

    /// The longest interval: 255 s or 40.95 s.
    #[must_use]
    pub const fn interval_max(self) -> Duration {
        match self {
            Self::V2 => Duration::from_secs(255),
            Self::V3 => Duration::from_millis(40_950),
        }
    }

    /// Whether an advertisement can say `interval`.
    #[must_use]
    pub fn has_interval(self, interval: Duration) -> bool {
        let whole = interval.as_nanos().is_multiple_of(self.unit().as_nanos());
        whole && interval >= self.unit() && interval <= self.interval_max()
    }

    const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    /// `interval` in units, at most what there is room for.
    fn units(self, interval: Duration) -> u16 {
        let units = interval.min(self.interval_max()).as_nanos() / self.unit().as_nanos();
        u16::try_from(units).unwrap_or(u16::MAX)
    }
}

/// The source and the destination of a packet: the checksum covers them.
#[allow(clippy::exhaustive_structs, reason = "a packet has two ends")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ends {
    /// Who sends.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
}

/// The password of version 2: eight bytes in clear text, which keep out mistakes and nobody else.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Password([u8; 8]);

impl Password {
    /// The most bytes a password has; keepalived cuts longer ones.
    pub const MAX: usize = 8;

    /// The password `text`, which has 1 to 8 bytes; `None` for another.
    #[must_use]
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        (!text.is_empty()).then_some(Self(bytes))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What a router says of itself.
#[allow(clippy::exhaustive_structs, reason = "the fields of the message")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advertisement<A> {
    /// The version it is said in.
    pub version: Version,
    /// The virtual router, 1 to 255.
    pub router: u8,
    /// 1 to 255; [`RESIGNED`] is a farewell.
    pub priority: u8,
    /// How often it is said. See [`Version::has_interval`].
    pub interval: Duration,
    /// The addresses of the virtual router.
    pub addresses: A,
    /// The password, in version 2.
    pub password: Option<Password>,
}

/// Puts other passwords into a message of version 2 that has one, whether it is right otherwise or
/// not. What stands in the place of one without being one is made `ff`. A right checksum stays so.
pub(crate) fn replace_password(message: &mut [u8], other: impl Fn(Password) -> Option<Password>) {
    let &[kind, _, _, count, authentication, ..] = &*message else { return };
    if kind >> 4 != 2 || authentication != SIMPLE_TEXT || message.len() < HEADER {
        return;
    }
    let intact = Checksum::of(message).finish() == 0;
    let end = (HEADER + usize::from(count) * size_of_address(Family::Ipv4)).min(message.len());
    let trailer = &mut message[end..];
    let known = <[u8; Password::MAX]>::try_from(&*trailer).ok().map(Password).and_then(other);
    match known {
        Some(word) => trailer.copy_from_slice(&word.0),
        None => trailer.fill(0xff),
    }
    if intact {
        message[6..HEADER].fill(0);
        let checksum = Checksum::of(message).finish();
        message[6..HEADER].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The addresses in a message, read as they are looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses<'a> {
    bytes: &'a [u8],
    family: Family,
}

impl Addresses<'_> {
    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() / size_of_address(self.family)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.bytes.chunks_exact(size_of_address(self.family)).filter_map(|bytes| {
            let four = || bytes.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes));
            bytes.first_chunk::<16>().map(|bytes| IpAddr::from(*bytes)).or_else(four)
        })
    }
}

/// Why bytes are not an advertisement.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than it says.
    #[error("truncated")]
    Truncated,
    /// Longer than it says.
    #[error("oversized")]
    Oversized,
    /// Of another version, or version 2 over IPv6, which does not exist.
    #[error("another version")]
    Version,
    /// Not an advertisement, or with a value that there is not.
    #[error("a field out of range")]
    BadField,
    /// Altered on the way.
    #[error("wrong checksum")]
    Checksum,
    /// Version 2: authenticated in a way that is not supported.
    #[error("another authentication type")]
    AuthenticationType,
}

impl<'a> Advertisement<Addresses<'a>> {
    /// The advertisement that `message` is, which came from end to end.
    ///
    /// In version 3 over IPv4 two checksums are right: keepalived covers the pseudo-header, as
    /// RFC 5798 was mostly read, and some routers do not.
    ///
    /// # Errors
    /// [`DecodeError`] for the first thing found wrong.
    pub fn decode(message: &'a [u8], ends: &Ends) -> Result<Self, DecodeError> {
        let family = Family::of(ends.source);
        let header: &[u8; HEADER] = message.first_chunk().ok_or(DecodeError::Truncated)?;
        let version = match (header[0] >> 4, family) {
            (2, Family::Ipv4) => Version::V2,
            (3, _) => Version::V3,
            _ => return Err(DecodeError::Version),
        };
        if header[0] & 0x0f != ADVERTISEMENT || header[1] == 0 {
            return Err(DecodeError::BadField);
        }
        let (addresses, trailer) = split(message, version, header[3], family)?;
        if !is_intact(message, ends, version) {
            return Err(DecodeError::Checksum);
        }
        let units = match version {
            Version::V2 => u16::from(header[5]),
            Version::V3 => u16::from_be_bytes([header[4], header[5]]) & 0x0fff,
        };
        if units == 0 {
            return Err(DecodeError::BadField);
        }
        Ok(Self {
            version,
            router: header[1],
            priority: header[2],
            interval: version.unit() * u32::from(units),
            addresses: Addresses { bytes: addresses, family },
            password: password(version, header[4], trailer)?,
        })
    }
}

impl<A: Iterator<Item = IpAddr>> Advertisement<A> {
    /// The message for a packet from end to end. Addresses of the other family are left out, and
    /// those beyond [`capacity`].
    pub fn encode(self, ends: &Ends) -> Vec<u8> {
        let family = Family::of(ends.source);
        let mut message = vec![0; HEADER];
        let addresses = self.addresses.filter(|address| Family::of(*address) == family);
        let mut count = 0;
        for address in addresses.take(capacity(family)) {
            count += 1;
            match address {
                IpAddr::V4(address) => message.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => message.extend_from_slice(&address.octets()),
            }
        }
        let [high, low] = self.version.units(self.interval).to_be_bytes();
        let word = match self.version {
            Version::V2 => [u8::from(self.password.is_some()), low],
            Version::V3 => [high, low],
        };
        if self.version == Version::V2 {
            message.extend_from_slice(&self.password.map_or([0; Password::MAX], |word| word.0));
        }
        let kind = self.version.number() << 4 | ADVERTISEMENT;
        message[..6].copy_from_slice(&[kind, self.router, self.priority, count, word[0], word[1]]);
        let checksum = checksum(&message, ends, self.version);
        message[6..HEADER].copy_from_slice(&checksum.to_be_bytes());
        message
    }
}

/// How many addresses one advertisement names: as the count has room for, and in a packet that
/// every link carries (1,500 bytes).
#[must_use]
pub const fn capacity(family: Family) -> usize {
    match family {
        Family::Ipv4 => 255,
        Family::Ipv6 => 90,
    }
}

/// The addresses, and what follows them, of a message of the right length.
fn split(
    message: &[u8],
    version: Version,
    count: u8,
    family: Family,
) -> Result<(&[u8], &[u8]), DecodeError> {
    let end = HEADER + usize::from(count) * size_of_address(family);
    let trailer = match version {
        Version::V2 => Password::MAX,
        Version::V3 => 0,
    };
    if message.len() > end + trailer {
        return Err(DecodeError::Oversized);
    }
    match (message.get(HEADER..end), message.get(end..end + trailer)) {
        (Some(addresses), Some(trailer)) => Ok((addresses, trailer)),
        _ => Err(DecodeError::Truncated),
    }
}

fn password(version: Version, kind: u8, trailer: &[u8]) -> Result<Option<Password>, DecodeError> {
    match (version, kind, trailer.first_chunk()) {
        (Version::V3, ..) | (Version::V2, NO_AUTHENTICATION, _) => Ok(None),
        (Version::V2, SIMPLE_TEXT, Some(bytes)) => Ok(Some(Password(*bytes))),
        (Version::V2, ..) => Err(DecodeError::AuthenticationType),
    }
}

fn is_intact(message: &[u8], ends: &Ends, version: Version) -> bool {
    let plain = Family::of(ends.source) == Family::Ipv4 && Checksum::of(message).finish() == 0;
    plain || checksum(message, ends, version) == 0
}

fn checksum(message: &[u8], ends: &Ends, version: Version) -> u16 {
    let before = match version {
        Version::V2 => Checksum::default(),
        Version::V3 => {
            let Ends { source, destination } = *ends;
            Checksum::of_pseudo_header(source, destination, PROTOCOL, message.len())
        }
    };
    before.and(message).finish()
}

const fn size_of_address(family: Family) -> usize {
    match family {
        Family::Ipv4 => 4,
        Family::Ipv6 => 16,
    }
}
