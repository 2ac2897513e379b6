use std::net::SocketAddr;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::DatagramLosses;
use crate::ipvs::{Counters, Load, ServiceKey};
use crate::net::Weight;

/// What a relayed service is doing.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceStatus {
    /// The service.
    pub key: ServiceKey,
    /// Whether this process accepts its connections: it holds the VIP.
    pub listening: bool,
    /// Since the service was added: all its servers together, removed ones included.
    pub counters: Counters,
    /// Its limit of connections.
    pub limit: ConnectionLimit,
    /// UDP datagrams that came and were not passed on, by reason, since the service was added.
    pub losses: DatagramLosses,
    /// Clients turned away because no server could take them, since the service was added.
    pub refused: u64,
    /// Its servers, the newest first (the scheduler's order).
    pub destinations: Vec<DestinationStatus>,
}

/// How a relayed TCP service stands to its limit of connections.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ConnectionLimit {
    /// The limit, if it has one of its own.
    pub most: Option<NonZeroU32>,
    /// Clients that are connected, or for whom a server is being connected to.
    pub connected: u32,
    /// How often the limit has made the relay leave clients in the backlog, since the service was
    /// added.
    pub pauses: u64,
}

/// What one server of a relayed service is doing.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DestinationStatus {
    /// Its address and port.
    pub address: SocketAddr,
    /// Its weight.
    pub weight: Weight,
    /// Its connections right now.
    pub load: Load,
    /// Since the server was added.
    pub counters: Counters,
    /// Connections it did not take: refused, unreachable or timed out. Each was tried on another
    /// server.
    pub failures: u64,
    /// Whether its upper connection threshold keeps new connections away.
    pub overloaded: bool,
}
