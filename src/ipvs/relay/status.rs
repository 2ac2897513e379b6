use std::net::SocketAddr;

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
    /// UDP datagrams that came and were not passed on, by reason, since the service was added.
    pub losses: DatagramLosses,
    /// Clients turned away because no server could take them, since the service was added.
    pub refused: u64,
    /// Its servers, the newest first (the scheduler's order).
    pub destinations: Vec<DestinationStatus>,
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
