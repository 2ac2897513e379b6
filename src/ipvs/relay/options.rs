use serde::{Deserialize, Serialize};

use crate::wire::proxy::ProxyProtocol;

/// What a service asks of the relay beside what every data plane has.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RelayOptions {
    /// The header with the client's address that each server gets in front of a TCP connection;
    /// none by default. Servers must expect it. FTP data connections and UDP have none.
    pub proxy_protocol: Option<ProxyProtocol>,
}
