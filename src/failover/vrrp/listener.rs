//! Which advertisements are accepted, and what they say.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failover::{PathCounters, PathId};
use crate::net::Family;
use crate::time::Instant;
use crate::wire::ip::Packet;
use crate::wire::vrrp::{
    Addresses, Advertisement, DecodeError, Ends, HOPS, PROTOCOL, RESIGNED, Version, capacity,
};

use super::config::{Config, Path};
use super::rules::Standing;

/// Why an advertisement changed nothing but a counter.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reject {
    /// Not a packet of this protocol, or on a path that is not configured.
    Malformed,
    /// Another virtual router's. On a link with several of them that is as it should be.
    OtherRouter,
    /// Not from the peer, where there is one peer.
    WrongSource,
    /// To another address than advertisements are sent to.
    WrongDestination,
    /// It came through a router: its hop limit is not 255 any more.
    Hops,
    /// Our own packet came back, or somebody has our address.
    OwnPacket,
    /// Shorter than it says.
    Truncated,
    /// Longer than it says.
    Oversized,
    /// Another version of the protocol.
    Version,
    /// A field holds a value the protocol does not have.
    BadField,
    /// Altered on the way.
    Checksum,
    /// Version 2: authenticated in a way that this node does not do, or not at all.
    AuthenticationType,
    /// Version 2: another password.
    BadPassword,
    /// Version 2: another interval than ours.
    Interval,
    /// Accepted, but the sender's addresses are not ours: one of the two is configured wrong.
    OtherAddresses,
}

impl Reject {
    const ALL: [Self; 15] = [
        Self::Malformed,
        Self::OtherRouter,
        Self::WrongSource,
        Self::WrongDestination,
        Self::Hops,
        Self::OwnPacket,
        Self::Truncated,
        Self::Oversized,
        Self::Version,
        Self::BadField,
        Self::Checksum,
        Self::AuthenticationType,
        Self::BadPassword,
        Self::Interval,
        Self::OtherAddresses,
    ];

    /// The reason as metrics and status spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::OtherRouter => "other_router",
            Self::WrongSource => "wrong_source",
            Self::WrongDestination => "wrong_destination",
            Self::Hops => "hops",
            Self::OwnPacket => "own_packet",
            Self::Truncated => "truncated",
            Self::Oversized => "oversized",
            Self::Version => "version",
            Self::BadField => "bad_field",
            Self::Checksum => "checksum",
            Self::AuthenticationType => "authentication_type",
            Self::BadPassword => "bad_password",
            Self::Interval => "interval",
            Self::OtherAddresses => "other_addresses",
        }
    }
}

impl From<DecodeError> for Reject {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Truncated => Self::Truncated,
            DecodeError::Oversized => Self::Oversized,
            DecodeError::Version => Self::Version,
            DecodeError::BadField => Self::BadField,
            DecodeError::Checksum => Self::Checksum,
            DecodeError::AuthenticationType => Self::AuthenticationType,
        }
    }
}

/// What an accepted advertisement said.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Heard {
    pub(super) at: Instant,
    pub(super) path: PathId,
    pub(super) source: IpAddr,
    pub(super) standing: Standing,
    pub(super) interval: Duration,
    pub(super) same_addresses: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Listener {
    heard: Vec<Option<Instant>>,
    counters: Vec<PathCounters>,
    rejected: [u64; Reject::ALL.len()],
}

impl Listener {
    pub(super) fn new(paths: usize) -> Self {
        let counters = vec![PathCounters::default(); paths];
        Self { heard: vec![None; paths], counters, rejected: [0; Reject::ALL.len()] }
    }

    /// Judges a packet; `None` for one that is only counted.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        config: &Config,
        path: PathId,
        source: SocketAddr,
        packet: &[u8],
    ) -> Option<Heard> {
        let judged = judge(now, config, path, source, packet);
        if let Some(counters) = self.counters.get_mut(usize::from(path.0)) {
            counters.received = counters.received.saturating_add(u64::from(judged.is_ok()));
            counters.refused = counters.refused.saturating_add(u64::from(judged.is_err()));
        }
        match judged {
            Ok(heard) => {
                if let Some(last) = self.heard.get_mut(usize::from(path.0)) {
                    *last = Some(now);
                }
                if !heard.same_addresses {
                    self.count(Reject::OtherAddresses);
                }
                Some(heard)
            }
            Err(reject) => {
                self.count(reject);
                None
            }
        }
    }

    /// Whether a listener on so many paths can have become like this.
    pub(super) const fn is_sane(&self, paths: usize) -> bool {
        self.heard.len() == paths && self.counters.len() == paths
    }

    /// When each path last carried an advertisement that was accepted.
    pub(super) fn paths(&self) -> &[Option<Instant>] {
        &self.heard
    }

    /// What became of what came in on `path`. A standby says nothing, so that nothing is missed.
    pub(super) fn path_counters(&self, path: PathId) -> PathCounters {
        self.counters.get(usize::from(path.0)).copied().unwrap_or_default()
    }

    /// How often each reason occurred.
    pub(super) fn rejected(&self) -> impl Iterator<Item = (&'static str, u64)> + Clone {
        Reject::ALL.iter().map(|reason| reason.as_str()).zip(self.rejected)
    }

    const fn count(&mut self, reject: Reject) {
        let count = &mut self.rejected[reject as usize];
        *count = count.saturating_add(1);
    }
}

/// The checks of RFC 9568 section 7.1, the cheap ones first.
fn judge(
    now: Instant,
    config: &Config,
    id: PathId,
    source: SocketAddr,
    packet: &[u8],
) -> Result<Heard, Reject> {
    let path = config.paths.get(usize::from(id.0)).ok_or(Reject::Malformed)?;
    let packet = Packet::decode(packet)
        .filter(|packet| packet.protocol == PROTOCOL && packet.source == source.ip())
        .ok_or(Reject::Malformed)?;
    // First of all, so that a neighbour with another version or password is no reason to worry.
    if packet.payload.get(1).is_some_and(|router| *router != config.router) {
        return Err(Reject::OtherRouter);
    }
    judge_way(config, path, &packet)?;
    let ends = Ends { source: packet.source, destination: packet.destination };
    let advertisement = Advertisement::decode(packet.payload, &ends)?;
    judge_terms(config, &advertisement)?;
    Ok(Heard {
        at: now,
        path: id,
        source: packet.source,
        standing: standing(config, path, advertisement.priority, packet.source),
        interval: advertisement.interval,
        same_addresses: has_same_addresses(config, path.family(), &advertisement.addresses),
    })
}

/// Whether the packet came the way that advertisements come.
fn judge_way(config: &Config, path: &Path, packet: &Packet<'_>) -> Result<(), Reject> {
    let expected = if path.peer.is_some() { path.local } else { path.destination() };
    if packet.destination != expected {
        return Err(Reject::WrongDestination);
    }
    if packet.source == path.local {
        return Err(Reject::OwnPacket);
    }
    if path.peer.is_some_and(|peer| peer != packet.source) {
        return Err(Reject::WrongSource);
    }
    if packet.hops < HOPS - config.routers_between {
        return Err(Reject::Hops);
    }
    Ok(())
}

fn judge_terms(
    config: &Config,
    advertisement: &Advertisement<Addresses<'_>>,
) -> Result<(), Reject> {
    if advertisement.version != config.version {
        return Err(Reject::Version);
    }
    match (config.password, advertisement.password) {
        (None, Some(_)) | (Some(_), None) => return Err(Reject::AuthenticationType),
        (ours, theirs) if ours != theirs => return Err(Reject::BadPassword),
        _ => {}
    }
    if config.version == Version::V2 && advertisement.interval != config.interval {
        return Err(Reject::Interval);
    }
    Ok(())
}

fn standing(config: &Config, path: &Path, priority: u8, source: IpAddr) -> Standing {
    use std::cmp::Ordering;
    match priority.cmp(&config.priority) {
        _ if priority == RESIGNED => Standing::Resigned,
        Ordering::Greater => Standing::Higher,
        Ordering::Less => Standing::Lower,
        Ordering::Equal if source > path.local => Standing::Higher,
        Ordering::Equal => Standing::Equal,
    }
}

/// Whether the addresses named are those this router would name, in any order.
fn has_same_addresses(config: &Config, family: Family, named: &Addresses<'_>) -> bool {
    let ours = || config.addresses.iter().map(|vip| vip.address);
    let ours = || ours().filter(|address| Family::of(*address) == family);
    let expected = ours().count().min(capacity(family));
    named.len() == expected && named.iter().all(|address| ours().any(|known| known == address))
}
