//! How services and servers are written, by number or by name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::Names;
use crate::ipvs::ServiceKey;
use crate::net::{Family, Protocol};
use crate::runtime::kernel::Listed;

/// Writes addresses and ports, as names where it has them.
pub struct Labels<'a> {
    names: Option<&'a dyn Names>,
    hosts: BTreeMap<IpAddr, String>,
}

impl std::fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Labels")
            .field("names", &self.names.is_some())
            .field("hosts", &self.hosts)
            .finish()
    }
}

impl<'a> Labels<'a> {
    /// Numbers only.
    #[must_use]
    pub const fn numeric() -> Self {
        Self { names: None, hosts: BTreeMap::new() }
    }

    /// Names for `addresses` and for every port. Each address is looked up once.
    #[must_use]
    pub fn named(names: &'a dyn Names, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses: BTreeSet<IpAddr> = addresses.into_iter().collect();
        let addresses = Vec::from_iter(addresses);
        Self { names: Some(names), hosts: names.hosts(&addresses) }
    }

    /// Names for everything in `services`.
    #[must_use]
    pub fn of_services(names: &'a dyn Names, services: &[Listed]) -> Self {
        let addresses = services.iter().flat_map(|listed| {
            let servers = listed.destinations.iter();
            let servers = servers.map(|server| server.destination.address().ip());
            servers.chain(listed.service.service.key().vip())
        });
        Self::named(names, addresses)
    }

    /// `10.0.0.1:80`, `[2001:db8::1]:80`, `www.example.com:http`. A port has a name only where it
    /// has a protocol.
    #[must_use]
    pub fn endpoint(&self, address: SocketAddr, protocol: Option<Protocol>) -> String {
        let port = self.port(address.port(), protocol);
        let host = match self.hosts.get(&address.ip()) {
            Some(name) => name.clone(),
            None => address.ip().to_string(),
        };
        match Family::of(address.ip()) {
            Family::Ipv4 => format!("{host}:{port}"),
            Family::Ipv6 => format!("[{host}]:{port}"),
        }
    }

    fn port(&self, port: u16, protocol: Option<Protocol>) -> String {
        let named = self.names.zip(protocol);
        let name = named.and_then(|(names, protocol)| names.service(port, protocol));
        name.unwrap_or_else(|| port.to_string())
    }

    /// A server of the service `key`.
    #[must_use]
    pub fn server(&self, key: ServiceKey, address: SocketAddr) -> String {
        self.endpoint(address, protocol(key))
    }

    /// The option that names a service: `-t 10.0.0.1:80`, `-f 7 -6`.
    #[must_use]
    pub fn option(&self, key: ServiceKey) -> String {
        match key {
            ServiceKey::Address { protocol, address } => {
                let option = match protocol {
                    Protocol::Tcp => "-t",
                    Protocol::Udp => "-u",
                    Protocol::Sctp => "--sctp-service",
                };
                format!("{option} {}", self.endpoint(address, Some(protocol)))
            }
            ServiceKey::Mark { mark, family } => match family {
                Family::Ipv4 => format!("-f {mark}"),
                Family::Ipv6 => format!("-f {mark} -6"),
            },
        }
    }
}

const fn protocol(key: ServiceKey) -> Option<Protocol> {
    match key {
        ServiceKey::Address { protocol, .. } => Some(protocol),
        ServiceKey::Mark { .. } => None,
    }
}
