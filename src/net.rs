//! Small types that every layer shares.
//!
//! ```
//! use piranha::net::{FirewallMark, Weight};
//!
//! assert!(Weight::new(0)?.is_quiesced());
//! assert_eq!(
//!     Weight::new(1 << 31).unwrap_err().to_string(),
//!     "weight out of range: allowed is 0 to 2147483647"
//! );
//! assert_eq!(FirewallMark::new(0), None, "0 is what packets without a mark have");
//! # Ok::<(), piranha::net::OutOfRange>(())
//! ```

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The transport protocol of a virtual service.
#[allow(
    clippy::exhaustive_enums,
    reason = "the protocols IPVS can schedule; a new one is a breaking change of the model"
)]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, IP protocol 6.
    Tcp,
    /// UDP, IP protocol 17.
    Udp,
    /// SCTP, IP protocol 132. Needs a kernel data plane.
    Sctp,
}

impl Protocol {
    /// The IP protocol number (IANA).
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

impl FromStr for Protocol {
    type Err = OutOfRange;

    /// Reads the lower-case spelling, `tcp`, `udp` or `sctp`.
    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(OutOfRange { what: "protocol", allowed: "tcp, udp or sctp" }),
        }
    }
}

/// An address family, for what has no address of its own (firewall marks).
#[allow(clippy::exhaustive_enums, reason = "there are two")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family of `address`.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// Bits in an address of this family: 32 or 128.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }
}

/// A firewall mark: the number netfilter put on a packet, by which a virtual service may pick it.
///
/// Never zero: the kernel accepts a service for mark 0 but no packet can ever reach it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct FirewallMark(NonZeroU32);

impl FirewallMark {
    /// The mark with this number, or `None` for 0.
    #[must_use]
    pub const fn new(mark: u32) -> Option<Self> {
        match NonZeroU32::new(mark) {
            Some(mark) => Some(Self(mark)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for FirewallMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A real server's weight, 0 to 2147483647: its share of new connections.
///
/// Zero means quiesced: no new connections, while existing ones and persistent clients go on.
/// The bound is the kernel's, which stores a signed 32-bit number.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u32);

impl Weight {
    /// Quiesced.
    pub const ZERO: Self = Self(0);
    /// The default of lvs.cf and ipvsadm.
    pub const ONE: Self = Self(1);
    /// The largest weight the kernel stores.
    pub const MAX: Self = Self(0x7fff_ffff);

    /// The weight `value`.
    ///
    /// # Errors
    /// [`OutOfRange`] above [`Weight::MAX`].
    pub const fn new(value: u32) -> Result<Self, OutOfRange> {
        if value <= Self::MAX.0 {
            Ok(Self(value))
        } else {
            Err(OutOfRange { what: "weight", allowed: "0 to 2147483647" })
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether a server with this weight takes no new connections.
    #[must_use]
    pub const fn is_quiesced(self) -> bool {
        self.0 == 0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl TryFrom<u32> for Weight {
    type Error = OutOfRange;

    fn try_from(value: u32) -> Result<Self, OutOfRange> {
        Self::new(value)
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value outside the range its type allows. Nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} out of range: allowed is {allowed}")]
pub struct OutOfRange {
    /// What the value was meant for.
    pub what: &'static str,
    /// The values that would have been accepted.
    pub allowed: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_beyond_the_kernels_range_is_refused() {
        assert_eq!(Weight::new(0x7fff_ffff), Ok(Weight::MAX));
        assert!(Weight::new(0x8000_0000).is_err());
        assert!(serde_json::from_str::<Weight>("2147483648").is_err());
    }

    #[test]
    fn mark_zero_does_not_exist() {
        assert_eq!(FirewallMark::new(0), None);
        assert!(serde_json::from_str::<FirewallMark>("0").is_err());
    }
}
