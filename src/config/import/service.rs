//! A virtual service as another program describes it.

use std::net::{IpAddr, SocketAddr};

use super::importer::Importer;
use crate::config::draft::{self, Block};
use crate::config::{Directive, Scope};
use crate::net::{Family, Protocol};

/// What makes a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    Address(Protocol, SocketAddr),
    Mark(u32, Option<Family>),
}

/// A virtual service in the making.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// Where it begins in the other file.
    pub(super) line: usize,
    pub(super) target: Target,
    /// The method of servers that have none of their own.
    pub(super) forwarding: &'static str,
    /// The persistence engine, and the line that names it.
    pub(super) engine: Option<(usize, String)>,
    /// Everything but what makes it.
    pub(super) block: Block,
    pub(super) servers: Vec<Server>,
}

/// A real server in the making.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) line: usize,
    pub(super) address: SocketAddr,
    pub(super) forwarding: Option<&'static str>,
    /// Everything but its address.
    pub(super) block: Block,
}

impl Server {
    pub(super) const fn new(line: usize, address: SocketAddr) -> Self {
        Self { line, address, forwarding: None, block: Block::new(Scope::Server) }
    }
}

impl Service {
    pub(super) const fn new(line: usize, target: Target) -> Self {
        let block = Block::new(Scope::Virtual);
        Self { line, target, forwarding: "nat", engine: None, block, servers: Vec::new() }
    }

    /// The same service for another address or mark.
    pub(super) fn with_target(&self, target: Target) -> Self {
        Self { target, ..self.clone() }
    }

    pub(super) const fn protocol(&self) -> Protocol {
        match self.target {
            Target::Address(protocol, _) => protocol,
            Target::Mark(..) => Protocol::Tcp,
        }
    }

    /// Writes the service into the draft.
    pub(super) fn express(self, importer: &mut Importer<'_>) {
        let mut service = draft::Service::new(self.name());
        let forwarding = self.common_forwarding();
        let block = &mut service.block;
        importer.set(block, "network", forwarding, self.line);
        self.target_directives(block, importer);
        self.engine_directive(&mut service.block, importer);
        service.block.append(self.block);
        for (index, server) in self.servers.into_iter().enumerate() {
            let line = server.line;
            let mut block = Block::new(Scope::Server);
            importer.set(&mut block, "address", &server.address.ip().to_string(), line);
            importer.set(&mut block, "port", &server.address.port().to_string(), line);
            importer.set(&mut block, "active", "1", line);
            if server.address.port() == 0 && !service.block.has(Directive::CheckPort) {
                importer.lost(line, "a server without a port is not checked: set `check_port`");
            }
            if let Some(own) = server.forwarding.filter(|own| *own != forwarding) {
                importer.set(&mut block, "network", own, line);
            }
            block.append(server.block);
            service.server(format!("s{}", index + 1), block);
        }
        importer.draft.services.push(service);
    }

    fn name(&self) -> String {
        match &self.target {
            Target::Address(protocol, address) => {
                format!("{}-{address}", protocol.to_string().to_ascii_lowercase())
            }
            Target::Mark(mark, _) => format!("fwmark-{mark}"),
        }
    }

    /// The method of all servers, or of the first one where they differ.
    fn common_forwarding(&self) -> &'static str {
        let first = self.servers.first();
        first.and_then(|server| server.forwarding).unwrap_or(self.forwarding)
    }

    fn target_directives(&self, block: &mut Block, importer: &mut Importer<'_>) {
        let vip = match &self.target {
            Target::Address(_, address) => Some(address.ip()),
            Target::Mark(_, family) => importer.vip_for_mark(self.family(*family), self.line),
        };
        let none = match self.family(None) {
            Family::Ipv4 => IpAddr::from([0; 4]),
            Family::Ipv6 => IpAddr::from([0; 16]),
        };
        let (device, prefix) = importer.device(vip, self.line);
        let usable = self.protocol_directive(block, importer) && vip.is_some();
        importer.set(block, "active", if usable { "1" } else { "0" }, self.line);
        importer.set(block, "address", &format!("{} {device}", vip.unwrap_or(none)), self.line);
        if let Some(mask) = prefix {
            importer.set(block, "vip_nmask", &mask, self.line);
        }
        match &self.target {
            Target::Address(_, address) => {
                importer.set(block, "port", &address.port().to_string(), self.line);
            }
            Target::Mark(mark, _) => importer.set(block, "fwmark", &mark.to_string(), self.line),
        }
    }

    /// An engine tells apart what a UDP client sends, and does nothing without persistence.
    fn engine_directive(&self, block: &mut Block, importer: &mut Importer<'_>) {
        let Some((line, engine)) = &self.engine else {
            return;
        };
        let udp = !matches!(self.target, Target::Address(protocol, _) if protocol != Protocol::Udp);
        if udp && self.has(Directive::Persistent) {
            importer.set(block, "persistence_engine", engine, *line);
        } else {
            importer.lost(*line, "an engine needs persistence, and UDP or a mark");
        }
    }

    /// Whether the protocol could be said: a service of another one would be another service.
    fn protocol_directive(&self, block: &mut Block, importer: &mut Importer<'_>) -> bool {
        let protocol = self.protocol();
        let word = protocol.to_string().to_ascii_lowercase();
        protocol == Protocol::Tcp || importer.try_set(block, "protocol", &word, self.line)
    }

    fn family(&self, told: Option<Family>) -> Family {
        let of_server = || self.servers.first().map(|server| Family::of(server.address.ip()));
        told.or_else(of_server).unwrap_or(Family::Ipv4)
    }

    /// Sets a directive of the service.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: &str,
        line: usize,
        importer: &mut Importer<'_>,
    ) {
        importer.set(&mut self.block, name, value, line);
    }

    /// Whether a directive of the service was set.
    pub(super) fn has(&self, directive: Directive) -> bool {
        self.block.has(directive)
    }
}
