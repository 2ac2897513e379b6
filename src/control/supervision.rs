//! What `pulse` and the `lvs` it supervises say to each other.
//!
//! One JSON value a line over a unix stream that `lvs` finds as its standard input; within one
//! process, the same values over a channel. The end of the stream tells `lvs` that `pulse` is
//! gone: it gives every address up at once, so that no address answers without a heartbeat.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Config, Guards};
use crate::failover::{ActionError, ActionId, VirtualAddress, guard, virtual_mac};
use crate::net::Family;
use crate::wire::ethernet::MacAddr;

/// The longest line either side accepts, in bytes: room for some ten thousand addresses.
pub const MAX_LINE: usize = 1 << 20;

/// From `pulse` to `lvs`.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Bring these addresses up; answered by [`Report::Done`].
    Acquire {
        /// To be named in the answer.
        id: ActionId,
        /// All addresses that must be up afterwards.
        addresses: Vec<VirtualAddress>,
    },
    /// Take these addresses down; answered by [`Report::Done`]. Connections go on.
    Release {
        /// To be named in the answer.
        id: ActionId,
        /// The addresses.
        addresses: Vec<VirtualAddress>,
    },
    /// Tell the network where these addresses are now. Not answered: a lost announcement is made
    /// up for by the next.
    Announce {
        /// Addresses that are up.
        addresses: Vec<VirtualAddress>,
    },
    /// These addresses, and no other, are up already. For an `lvs` that was started again where the
    /// data plane had gone on; not answered.
    Held {
        /// The addresses.
        addresses: Vec<VirtualAddress>,
    },
    /// Read the configuration again; answered by [`Report::Configured`] if it was accepted.
    Reload,
    /// Give every address up, wait until the last connection has ended or `drain` is over, and
    /// end.
    Stop {
        /// How long connections may go on.
        drain: Duration,
    },
}

impl Request {
    /// The id its [`Report::Done`] will name, for requests that are answered with one.
    #[must_use]
    pub const fn id(&self) -> Option<ActionId> {
        match self {
            Self::Acquire { id, .. } | Self::Release { id, .. } => Some(*id),
            Self::Announce { .. } | Self::Held { .. } | Self::Reload | Self::Stop { .. } => None,
        }
    }

    /// The answer when nobody is left to carry the request out: addresses went down with the
    /// process that held them, so a release is done and an acquisition is not.
    #[must_use]
    pub fn orphaned(&self, reason: &str) -> Option<Report> {
        match self {
            Self::Acquire { id, .. } => {
                Some(Report::Done { id: *id, result: Err(ActionError(reason.to_owned())) })
            }
            Self::Release { id, .. } => Some(Report::Done { id: *id, result: Ok(()) }),
            Self::Announce { .. } | Self::Held { .. } | Self::Reload | Self::Stop { .. } => None,
        }
    }
}

/// What lvs.cf tells `pulse`, which does not read the file again by itself: reading waits for a
/// disk, and heartbeats wait for nothing.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Terms {
    /// The addresses of all active virtual services and the NAT router.
    pub addresses: Vec<VirtualAddress>,
    /// A digest of what both directors must have in common.
    pub digest: u64,
    /// How often a heartbeat is sent.
    pub keepalive: Duration,
    /// Silence after which the partner is dead.
    pub dead_time: Duration,
    /// Whether a returning primary takes the service back.
    pub failback: bool,
    /// The configured priority of VRRP.
    pub vrrp_priority: Option<u8>,
    /// Whether the data plane goes on balancing when `lvs` is gone: then its death is no reason to
    /// give the service up, as long as it comes back soon.
    pub outlives_lvs: bool,
    /// What has to be in order on a director that holds the service.
    pub guards: Box<guard::Spec>,
    /// The files with the keys of the heartbeats: the one that signs, then the one that is
    /// accepted besides.
    pub keys: Vec<PathBuf>,
}

impl Terms {
    /// The terms of `config`, whose digest is `digest`. Each address is listed once, with the
    /// first device named for it.
    #[must_use]
    pub fn new(config: &Config, digest: u64) -> Self {
        let mut seen = BTreeSet::new();
        let vips = config.active_virtuals();
        let failovers = config.active_failovers().map(|failover| &failover.service);
        let vips = vips.chain(failovers).map(|v| (v.address, &v.device, v.vip_nmask));
        let router = config.nat_router.iter().map(|(a, device)| (*a, device, config.nat_nmask));
        let addresses = vips.chain(router).filter(|(address, ..)| seen.insert(*address));
        let addresses = addresses.map(|(address, device, prefix)| {
            let alone = VirtualAddress::new(address, device);
            let hardware = hardware(config, address);
            VirtualAddress { prefix: prefix.unwrap_or(alone.prefix), hardware, ..alone }
        });
        let addresses: Vec<_> = addresses.collect();
        Self {
            digest,
            keepalive: config.keepalive,
            dead_time: config.deadtime,
            failback: config.failback,
            vrrp_priority: config.vrrp.as_ref().and_then(|vrrp| vrrp.priority),
            outlives_lvs: false,
            guards: Box::new(guards(config, &addresses)),
            keys: keys(config),
            addresses,
        }
    }
}

/// The Ethernet address that `address` moves with.
fn hardware(config: &Config, address: IpAddr) -> Option<MacAddr> {
    config.virtual_mac.then(|| match &config.vrrp {
        Some(vrrp) => virtual_mac::of_router(vrrp.id, Family::of(address)),
        None => virtual_mac::of_pair(config.primary, config.backup, config.heartbeat_port),
    })
}

fn keys(config: &Config) -> Vec<PathBuf> {
    config.heartbeat_key.iter().chain(&config.heartbeat_key_accepted).cloned().collect()
}

/// `monitor_links` watches what the service and the heartbeats go over. Loopback is always there.
fn guards(config: &Config, addresses: &[VirtualAddress]) -> guard::Spec {
    let Guards { interfaces, files, processes, commands, .. } = config.guards.clone();
    let monitored = addresses.iter().filter(|_| config.monitor_links).map(VirtualAddress::link);
    let links = interfaces.iter().map(String::as_str).chain(monitored);
    let links: BTreeSet<_> = links.filter(|link| *link != "lo").map(str::to_owned).collect();
    guard::Spec {
        links: links.into_iter().collect(),
        heartbeat_links: config.monitor_links,
        files,
        processes,
        commands,
        command_user: config.guards.user.clone(),
        interval: config.guards.interval,
        references: config.guards.references.clone(),
        quorum: config.guards.reference_quorum,
        keepalive: config.keepalive,
        dead_time: config.deadtime,
    }
}

/// From `lvs` to `pulse`.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The configuration in force. The first one says that the table is ready.
    Configured(Box<Terms>),
    /// What became of a request.
    Done {
        /// The id of the request.
        id: ActionId,
        /// What became of it.
        result: Result<(), ActionError>,
    },
    /// Whether every server has had a verdict of its checks and the data plane knows the other
    /// director's connections, as far as it can: only then a service is taken back that the other
    /// one serves. `false` follows the first [`Configured`](Self::Configured).
    Warm(bool),
    /// The data plane broke down; nothing is balanced until the next [`Report::Configured`].
    Broken {
        /// In words.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_service_by_mark_is_brought_up_as_any_other() {
        let text = b"primary = 192.0.2.1\nvirtual shop {\nactive = 1\naddress = 192.0.2.80 eth0\n\
                     port = 443\nfwmark = 80\nserver one {\naddress = 192.0.2.21\nactive = 1\n}\n}\n";
        let terms = Terms::new(&crate::config::load(text).config.unwrap(), 0);
        assert_eq!(terms.addresses, [VirtualAddress::new("192.0.2.80".parse().unwrap(), "eth0")]);
    }
}
