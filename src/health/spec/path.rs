use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::net::FirewallMark;

/// How a check reaches a server, where that is not the way of its clients.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckPath {
    /// The port that is checked; that of the server by default.
    pub port: Option<u16>,
    /// The address a check comes from; the kernel's choice by default.
    pub source: Option<IpAddr>,
    /// The firewall mark (`SO_MARK`) on what a check sends, for routing rules; none by default.
    /// It needs `CAP_NET_ADMIN`.
    pub mark: Option<FirewallMark>,
}

impl CheckPath {
    /// To this port.
    #[must_use]
    pub const fn with_port(mut self, port: Option<u16>) -> Self {
        self.port = port;
        self
    }

    /// From this address.
    #[must_use]
    pub const fn with_source(mut self, source: Option<IpAddr>) -> Self {
        self.source = source;
        self
    }

    /// With this mark.
    #[must_use]
    pub const fn with_mark(mut self, mark: Option<FirewallMark>) -> Self {
        self.mark = mark;
        self
    }

    /// Where a check of the server at `server` goes.
    #[must_use]
    pub fn target(&self, server: SocketAddr) -> SocketAddr {
        SocketAddr::new(server.ip(), self.port.unwrap_or_else(|| server.port()))
    }
}
