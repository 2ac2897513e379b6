use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::net::{Family, OutOfRange, Weight};

/// How packets or connections reach a real server.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Forwarding {
    /// Direct routing: the frame is re-addressed to the real server, which answers by itself.
    /// ipvsadm shows `Route`. Needs a kernel data plane.
    Direct,
    /// The director itself: the packet is delivered here. ipvsadm shows `Local` and cannot set it;
    /// the kernel takes any method so for an address of its own. Needs a kernel data plane.
    Local,
    /// NAT (masquerading): the director rewrites both directions. ipvsadm shows `Masq`. The relay
    /// serves this method by relaying the connection. The default of lvs.cf.
    #[default]
    Nat,
    /// IP tunnelling: the packet travels inside another one. ipvsadm shows `Tunnel`. Needs a
    /// kernel data plane.
    Tunnel(Tunnel),
}

impl Forwarding {
    /// IP tunnelling in its plain form, IP in IP.
    pub const TUNNEL: Self = Self::Tunnel(Tunnel::Ipip);

    /// Which method it is, without its settings.
    #[must_use]
    pub const fn method(self) -> Method {
        match self {
            Self::Direct => Method::Direct,
            Self::Local => Method::Local,
            Self::Nat => Method::Nat,
            Self::Tunnel(Tunnel::Ipip) => Method::Ipip,
            Self::Tunnel(Tunnel::Gue { .. }) => Method::Gue,
            Self::Tunnel(Tunnel::Gre { .. }) => Method::Gre,
        }
    }

    /// Whether packets travel inside others, which is what lets a real server have another address
    /// family than its service.
    #[must_use]
    pub const fn is_tunnel(self) -> bool {
        matches!(self, Self::Tunnel(_))
    }
}

impl fmt::Display for Forwarding {
    /// The spelling of lvs.cf's `network`: `nat`, `direct` or `tunnel`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Local => "local",
            Self::Nat => "nat",
            Self::Tunnel(_) => "tunnel",
        })
    }
}

/// What a tunnelled packet travels in.
#[allow(
    clippy::exhaustive_enums,
    reason = "the encapsulations IPVS has; a new one is a breaking change of the model"
)]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tunnel {
    /// IP in IP (RFC 2003), and its IPv6 forms. Every kernel has it. The default.
    #[default]
    Ipip,
    /// Generic UDP encapsulation. Linux 5.2.
    Gue {
        /// The UDP port the real server decapsulates on.
        port: NonZeroU16,
        /// How the outer packet is checksummed.
        checksum: TunnelChecksum,
    },
    /// Generic routing encapsulation (RFC 2784). Linux 5.3.
    Gre {
        /// How the outer packet is checksummed. GRE has no [remote](TunnelChecksum::Remote) one:
        /// [`plan`](super::plan()) refuses that.
        checksum: TunnelChecksum,
    },
}

/// How the outer packet of a GUE or GRE tunnel is checksummed.
#[allow(clippy::exhaustive_enums, reason = "the kernel's three ways")]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TunnelChecksum {
    /// Not at all, the default. ipvsadm's `--tun-nocsum`.
    #[default]
    None,
    /// In the outer header. ipvsadm's `--tun-csum`.
    Plain,
    /// Left to the receiver (GUE's remote checksum offload). ipvsadm's `--tun-remcsum`.
    Remote,
}

/// A forwarding method without its settings: what a data plane has or lacks.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// [`Forwarding::Direct`].
    Direct,
    /// [`Forwarding::Local`].
    Local,
    /// [`Forwarding::Nat`].
    Nat,
    /// [`Tunnel::Ipip`].
    Ipip,
    /// [`Tunnel::Gue`].
    Gue,
    /// [`Tunnel::Gre`].
    Gre,
}

impl Method {
    /// Every method there is.
    pub const ALL: [Self; 6] =
        [Self::Direct, Self::Local, Self::Nat, Self::Ipip, Self::Gue, Self::Gre];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Local => "local",
            Self::Nat => "nat",
            Self::Ipip => "ipip tunnel",
            Self::Gue => "gue tunnel",
            Self::Gre => "gre tunnel",
        })
    }
}

/// Connection counts at which a real server stops and starts again to take new connections.
///
/// With `upper` connections (active and inactive) the server is overloaded and passed over, until
/// it falls below the lower threshold. A lower threshold of 0 stands for three quarters of the
/// upper one: `upper - upper / 4`, the kernel's rule.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "RawThresholds", into = "RawThresholds")]
pub struct Thresholds {
    upper: u32,
    lower: u32,
}

impl Thresholds {
    /// No limit, the default.
    pub const NONE: Self = Self { upper: 0, lower: 0 };

    /// Stop at `upper` connections (0: never), start again below `lower` (0: three quarters).
    ///
    /// # Errors
    /// [`OutOfRange`] if `lower` is above `upper`, or `upper` above 2147483647, as the kernel
    /// refuses them.
    pub const fn new(upper: u32, lower: u32) -> Result<Self, OutOfRange> {
        if upper <= Weight::MAX.get() && lower <= upper {
            Ok(Self { upper, lower })
        } else {
            Err(OutOfRange {
                what: "connection thresholds",
                allowed: "an upper threshold to 2147483647 and a lower one not above it",
            })
        }
    }

    /// The same with an upper threshold of `most`, unless it is lower already. A lower threshold
    /// above that is derived from it instead.
    #[must_use]
    pub const fn at_most(self, most: NonZeroU32) -> Self {
        let most = most.get();
        if (self.upper != 0 && self.upper <= most) || most > Weight::MAX.get() {
            return self;
        }
        Self { upper: most, lower: if self.lower > most { 0 } else { self.lower } }
    }

    /// The configured upper threshold; 0 means none.
    #[must_use]
    pub const fn upper(self) -> u32 {
        self.upper
    }

    /// The configured lower threshold; 0 means derived.
    #[must_use]
    pub const fn lower(self) -> u32 {
        self.lower
    }

    /// The lower threshold in force.
    #[must_use]
    pub const fn effective_lower(self) -> u32 {
        if self.lower == 0 { self.upper - self.upper / 4 } else { self.lower }
    }
}

#[derive(Deserialize, Serialize)]
struct RawThresholds {
    upper: u32,
    lower: u32,
}

impl TryFrom<RawThresholds> for Thresholds {
    type Error = OutOfRange;

    fn try_from(raw: RawThresholds) -> Result<Self, OutOfRange> {
        Self::new(raw.upper, raw.lower)
    }
}

impl From<Thresholds> for RawThresholds {
    fn from(thresholds: Thresholds) -> Self {
        Self { upper: thresholds.upper, lower: thresholds.lower }
    }
}

/// A real server as one virtual service sees it. Its address and port identify it there.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Destination {
    address: SocketAddr,
    forwarding: Forwarding,
    weight: Weight,
    thresholds: Thresholds,
}

impl Destination {
    /// The real server at `address`: NAT, weight 1, no thresholds.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            forwarding: Forwarding::default(),
            weight: Weight::ONE,
            thresholds: Thresholds::NONE,
        }
    }

    /// The same server reached another way.
    #[must_use]
    pub const fn with_forwarding(mut self, forwarding: Forwarding) -> Self {
        self.forwarding = forwarding;
        self
    }

    /// The same server with another weight.
    #[must_use]
    pub const fn with_weight(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    /// The same server with connection thresholds.
    #[must_use]
    pub const fn with_thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }

    /// Address and port: what identifies it within its service.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The family of its address.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.address.ip())
    }

    /// How it is reached.
    #[must_use]
    pub const fn forwarding(&self) -> Forwarding {
        self.forwarding
    }

    /// Its share of new connections.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        self.weight
    }

    /// Its connection limits.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        self.thresholds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_lower_threshold_is_three_quarters_of_the_upper_one() {
        // Measured on 6.1 and 7.2: the flag clears one connection below these.
        let effective = |upper, lower| Thresholds::new(upper, lower).unwrap().effective_lower();
        assert_eq!([effective(2, 1), effective(3, 0), effective(4, 0)], [1, 3, 3]);
        assert_eq!([effective(5, 2), effective(8, 0), effective(8, 3)], [2, 6, 3]);
    }

    #[test]
    fn a_lower_threshold_above_the_upper_one_is_refused() {
        assert!(Thresholds::new(3, 4).is_err());
        assert!(serde_json::from_str::<Thresholds>(r#"{"upper":3,"lower":4}"#).is_err());
    }
}
