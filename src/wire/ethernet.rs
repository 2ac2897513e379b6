//! Ethernet frames.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The shortest frame a driver must be given, without the check sequence (IEEE 802.3).
pub const MIN_FRAME: usize = 60;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Every station on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// No station: what a request leaves open.
    pub const ZERO: Self = Self([0; 6]);
    /// Every IPv6 node on the link, the address of ff02::1 (RFC 2464 section 7).
    pub const ALL_IPV6_NODES: Self = Self([0x33, 0x33, 0, 0, 0, 1]);
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a frame carries.
#[allow(clippy::exhaustive_enums, reason = "what this crate sends")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EtherType {
    /// Address resolution for IPv4.
    Arp,
    /// IPv6.
    Ipv6,
}

impl EtherType {
    /// The number (IEEE).
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Arp => 0x0806,
            Self::Ipv6 => 0x86dd,
        }
    }
}

/// What a frame carries, if it is of this type and not cut short.
#[must_use]
pub fn payload(frame: &[u8], ether_type: EtherType) -> Option<&[u8]> {
    let number = frame.get(12..14)?;
    (number == ether_type.number().to_be_bytes()).then(|| &frame[14..])
}

/// The frame with `payload`, filled up with zeros to [`MIN_FRAME`].
#[must_use]
pub fn frame(
    destination: MacAddr,
    source: MacAddr,
    ether_type: EtherType,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(MIN_FRAME.max(14 + payload.len()));
    frame.extend_from_slice(&destination.0);
    frame.extend_from_slice(&source.0);
    frame.extend_from_slice(&ether_type.number().to_be_bytes());
    frame.extend_from_slice(payload);
    frame.resize(frame.len().max(MIN_FRAME), 0);
    frame
}
