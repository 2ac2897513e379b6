use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::wire::proxy::ProxyProtocol;

/// What a service asks of the relay beside what every data plane has.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RelayOptions {
    /// The header with the client's address that each server gets in front of a TCP connection;
    /// none by default. Servers must expect it. FTP data connections and UDP have none.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How many clients of a TCP service may be connected at the same time; no limit of the
    /// service's own by default. Further clients wait in the listener's backlog until one has
    /// left; those that are connected go on, also when the limit is lowered. FTP data connections
    /// do not count.
    pub max_connections: Option<NonZeroU32>,
    /// Whether servers see the client's address as the source of its connections and datagrams,
    /// with a port of the relay's choosing. Off by default. Needs `CAP_NET_ADMIN`, servers of the
    /// VIP's address family, and routes that lead the servers' answers back to this machine and
    /// into it. FTP data connections come from the relay's address all the same.
    pub transparent: bool,
}
