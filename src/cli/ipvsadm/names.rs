//! Names of hosts and services, in both directions.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::net::Protocol;

/// Where names come from.
pub trait Names {
    /// The address of `host`: the first IPv4 one.
    fn address(&self, host: &str) -> Option<IpAddr>;

    /// The port of `service`.
    fn port(&self, service: &str, protocol: Protocol) -> Option<u16>;

    /// The name of the service at `port`.
    fn service(&self, port: u16, protocol: Protocol) -> Option<String>;

    /// The names of those of `addresses` that have one.
    fn hosts(&self, addresses: &[IpAddr]) -> BTreeMap<IpAddr, String>;
}

/// No names at all: only numbers are understood and printed.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "it has nothing inside")]
pub struct NoNames;

impl Names for NoNames {
    fn address(&self, _: &str) -> Option<IpAddr> {
        None
    }

    fn port(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }

    fn service(&self, _: u16, _: Protocol) -> Option<String> {
        None
    }

    fn hosts(&self, _: &[IpAddr]) -> BTreeMap<IpAddr, String> {
        BTreeMap::new()
    }
}

/// The names this machine knows: its resolver and `/etc/services`.
#[derive(Debug, Default)]
pub struct SystemNames {
    services: OnceLock<Services>,
}

impl SystemNames {
    #[allow(clippy::disallowed_methods, reason = "a program's command line, not the pure core")]
    fn services(&self) -> &Services {
        let read = || std::fs::read_to_string("/etc/services").unwrap_or_default();
        self.services.get_or_init(|| Services::parse(&read()))
    }
}

impl Names for SystemNames {
    fn address(&self, host: &str) -> Option<IpAddr> {
        let mut found = (host, 0).to_socket_addrs().ok()?;
        found.find(|address| address.is_ipv4()).map(|a| a.ip())
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        self.services().port(service, protocol)
    }

    fn service(&self, port: u16, protocol: Protocol) -> Option<String> {
        self.services().name(port, protocol).map(str::to_owned)
    }

    /// Asks `getent`, which looks where the system's configuration says (`/etc/nsswitch.conf`),
    /// for all of them at once. Without it no address has a name.
    #[allow(clippy::disallowed_methods, reason = "a program's command line, not the pure core")]
    fn hosts(&self, addresses: &[IpAddr]) -> BTreeMap<IpAddr, String> {
        let mut found = BTreeMap::new();
        for some in addresses.chunks(500) {
            let mut getent = Command::new("getent");
            getent.arg("hosts").args(some.iter().map(IpAddr::to_string));
            if let Ok(output) = getent.stderr(Stdio::null()).output() {
                found.extend(host_lines(&String::from_utf8_lossy(&output.stdout)));
            }
        }
        found
    }
}

fn host_lines(text: &str) -> impl Iterator<Item = (IpAddr, String)> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next()?.parse().ok()?;
        Some((address, words.next()?.to_owned()))
    })
}

/// What services(5) says.
#[derive(Debug, Default)]
struct Services {
    ports: BTreeMap<(String, Protocol), u16>,
    names: BTreeMap<(u16, Protocol), String>,
}

impl Services {
    fn parse(text: &str) -> Self {
        let mut services = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            services.read(line);
        }
        services
    }

    /// Takes in `NAME PORT/PROTOCOL ALIAS...`; the first line for a name or port counts.
    fn read(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let (port, protocol) = words.next()?.split_once('/')?;
        let (port, protocol) = (port.parse().ok()?, protocol.parse().ok()?);
        self.names.entry((port, protocol)).or_insert_with(|| name.to_owned());
        for name in words.chain([name]) {
            self.ports.entry((name.to_owned(), protocol)).or_insert(port);
        }
        Some(())
    }

    fn port(&self, name: &str, protocol: Protocol) -> Option<u16> {
        self.ports.get(&(name.to_owned(), protocol)).copied()
    }

    fn name(&self, port: u16, protocol: Protocol) -> Option<&str> {
        self.names.get(&(port, protocol)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_for_a_port_names_it_and_aliases_find_it() {
        let text = "# comment\nhttp\t80/tcp\twww # web\nother 80/tcp\ndomain 53/udp\nbad\nx 99999/tcp\ny 1/ddp";
        let services = Services::parse(text);
        assert_eq!(services.name(80, Protocol::Tcp), Some("http"));
        assert_eq!(services.port("www", Protocol::Tcp), Some(80));
        assert_eq!(services.port("other", Protocol::Tcp), Some(80));
        assert_eq!(services.name(53, Protocol::Tcp), None);
        assert_eq!(services.port("x", Protocol::Tcp), None);
    }

    #[test]
    fn lines_of_getent_become_names() {
        let text = "127.0.0.1       localhost alias\nrubbish\n::1 ip6-localhost\n";
        let found: BTreeMap<_, _> = host_lines(text).collect();
        assert_eq!(found[&"127.0.0.1".parse::<IpAddr>().unwrap()], "localhost");
        assert_eq!(found.len(), 2);
    }
}
