//! Which of the kernel's two interfaces a client uses.

use super::Namespace;
use super::answers::Answer;
use super::options::Options;
use crate::ipvs::kernel::{ExchangeCounters, Reason};

/// How a client speaks to the kernel.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// Generic netlink, which carries everything. It takes `CAP_NET_ADMIN` in the initial user
    /// namespace.
    Netlink,
    /// `getsockopt` and `setsockopt` on an IPv4 socket, one call for each request. It takes
    /// `CAP_NET_ADMIN` in the user namespace that owns the network namespace: a rootless
    /// container's own root has it. IPv4, IP in IP as the only tunnel, no persistence engines, sync
    /// daemons by interface and id, counters of 32 bits. What it does not carry is refused with
    /// [`Reason::NotCarried`], and what others made of it is not seen: IPv6 entries are left out, a
    /// GUE or GRE tunnel reads as IP in IP, an engine as none.
    SocketOptions,
}

/// The interface a client uses, once it knows.
#[derive(Debug, Default)]
pub(super) enum Way {
    #[default]
    Untried,
    Netlink,
    Options(Options),
}

impl Way {
    /// What netlink's `answer` to a first question tells. Without IPVS and without any privilege it
    /// tells nothing, and both may come yet.
    pub(super) fn found(answer: &Answer, namespace: &Namespace) -> Self {
        match answer {
            Ok(_) => Self::Netlink,
            Err(error) if *error.reason() == Reason::NotPrivileged => {
                Options::granted(namespace).map_or(Self::Untried, Self::Options)
            }
            Err(_) => Self::Untried,
        }
    }

    pub(super) const fn transport(&self) -> Transport {
        match self {
            Self::Options(_) => Transport::SocketOptions,
            Self::Untried | Self::Netlink => Transport::Netlink,
        }
    }

    /// What was passed over, with what netlink's exchange passed over.
    pub(super) const fn counters(&self, mut exchange: ExchangeCounters) -> ExchangeCounters {
        if let Self::Options(options) = self {
            exchange.inexpressible += options.inexpressible();
        }
        exchange
    }
}
