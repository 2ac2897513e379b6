//! What no single directive can tell: how blocks go together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::fields::Fields;
use super::{Code, Config, Context, Diagnostic, Directive, Span};
use crate::config::model::{DataPlane, RealServer, Virtual};
use crate::ipvs::Forwarding;
use crate::net::{Family, Protocol};

impl Context<'_> {
    pub(super) fn check_semantics(&mut self, config: &Config, global: &Fields) {
        if config.active_virtuals().next().is_none() && !self.sink.has_errors() {
            self.nothing_active(config);
        }
        self.duplicate_services(config);
        self.overlapping_services(config);
        self.devices(config);
        self.unknown_devices(config, global);
        for service in config.active_virtuals() {
            self.check_service(service);
            self.check_servers(service);
            self.check_proxy_protocol(service, config.dataplane, global);
            self.check_relay_options(service, config.dataplane, global);
            if config.dataplane == DataPlane::Relay {
                self.check_relay(service, global);
            } else if config.syncdaemon {
                service.active_servers().for_each(|s| self.check_sync(service, s, global));
            }
        }
    }

    fn nothing_active(&mut self, config: &Config) {
        let first = config.virtuals.first();
        let span = first.map(|first| first.span).unwrap_or_default();
        let message = "no virtual service is active";
        self.report(
            Diagnostic::new(Code::NothingActive, span, message)
                .help("there must be at least one `virtual` block with `active = 1`"),
        );
    }

    fn duplicate_services(&mut self, config: &Config) {
        let mut seen = BTreeMap::new();
        for service in config.active_virtuals() {
            if let Some(first) = seen.insert(service.key(), service.span) {
                let message = format!("`{}` is a second {}", service.name, service.key());
                self.report(
                    Diagnostic::new(Code::DuplicateService, service.span, message)
                        .related(first, "the first one is here")
                        .help("change address, port, protocol or mark, or set `active = 0`"),
                );
            }
        }
    }

    /// A service for every port gets what no other service of its VIP and protocol names.
    fn overlapping_services(&mut self, config: &Config) {
        let services = || config.active_virtuals().filter(|service| service.fwmark.is_none());
        let mut narrow: BTreeMap<_, &Virtual> = BTreeMap::new();
        for service in services().filter(|service| service.port != 0) {
            narrow.entry((service.address, service.protocol)).or_insert(service);
        }
        for every in services().filter(|service| service.port == 0) {
            if let Some(one) = narrow.get(&(every.address, every.protocol)) {
                let message = format!(
                    "`{}` takes every port of {} but those of other services, such as {} of `{}`",
                    every.name, every.address, one.port, one.name
                );
                self.report(
                    Diagnostic::new(Code::OverlappingServices, every.span, message)
                        .related(one.span, format!("`{}` is here", one.name))
                        .help("this may be meant; clients are not kept together across the two"),
                );
            }
        }
    }

    fn devices(&mut self, config: &Config) {
        let mut seen: BTreeMap<IpAddr, &Virtual> = BTreeMap::new();
        for service in config.active_virtuals() {
            let first = *seen.entry(service.address).or_insert(service);
            if first.device != service.device {
                let message = format!(
                    "{} is on `{}` here and on `{}` above, which counts",
                    service.address, service.device, first.device
                );
                self.report(
                    Diagnostic::new(Code::VipOnTwoDevices, service.span, message)
                        .related(first.span, format!("`{}` is given here", first.device))
                        .help(format!("write `{}` in both blocks", first.device)),
                );
            }
        }
    }

    /// Interfaces that this machine does not have, where that is known.
    fn unknown_devices(&mut self, config: &Config, global: &Fields) {
        let services = config.active_virtuals().map(|service| (&service.device, service.span));
        let router = config.nat_router.iter().map(|(_, device)| (device, Span::default()));
        let sync = global.span(Directive::SyncdIface).or(global.span(Directive::Syncdaemon));
        let sync = (&config.syncd_iface, sync.unwrap_or_default());
        let sync = config.syncdaemon.then_some(sync);
        let mut seen = BTreeSet::new();
        for (device, span) in services.chain(router).chain(sync) {
            let name = device.split(':').next().unwrap_or_default();
            if seen.insert(name) && self.surroundings.has_device(name) == Some(false) {
                let message = format!("this machine has no network interface `{name}`");
                self.report(Diagnostic::new(Code::UnknownDevice, span, message));
            }
        }
    }

    fn check_service(&mut self, service: &Virtual) {
        if service.address.is_unspecified() {
            let message = format!("`{}` is active without a VIP", service.name);
            self.report(
                Diagnostic::new(Code::UnusableAddress, service.span, message)
                    .help("set `address` to the VIP, or `active = 0`"),
            );
        }
        if service.port == 0 && service.fwmark.is_none() && service.persistence.is_none() {
            let message = "port 0, every port, needs persistence or a firewall mark";
            self.report(
                Diagnostic::new(Code::PortZero, service.span, message)
                    .help("add `persistent = 300`, or name the port"),
            );
        }
        for sorry in &service.sorry_servers {
            let (who, way) = ("the sorry server", service.forwarding);
            self.check_family(service, sorry.ip(), way, who, service.span);
        }
        if service.timeout > service.interval {
            self.check_outlasts(service);
        }
        if service.active_servers().next().is_none() {
            let message = format!("`{}` has no active real server", service.name);
            self.report(
                Diagnostic::new(Code::NoActiveServer, service.span, message)
                    .help("set `active = 1` in a `server` block"),
            );
        } else if service.active_servers().all(|server| server.weight.is_quiesced()) {
            let message = format!("all active real servers of `{}` have weight 0", service.name);
            self.report(
                Diagnostic::new(Code::AllQuiesced, service.span, message)
                    .help("no new connection can go anywhere: give one a weight"),
            );
        }
    }

    fn check_servers(&mut self, service: &Virtual) {
        let mut seen = BTreeMap::new();
        for server in service.active_servers() {
            if server.address.ip().is_unspecified() {
                let message = format!("`{}` is active without an address", server.name);
                self.report(
                    Diagnostic::new(Code::UnusableAddress, server.span, message)
                        .help("set `address`, or `active = 0`"),
                );
            } else {
                let (who, way) = ("this real server", server.forwarding);
                self.check_family(service, server.address.ip(), way, who, server.span);
            }
            self.check_port(service, server);
            if let Some(first) = seen.insert(server.address, server.span) {
                let message = format!("`{}` is a second {}", server.name, server.address);
                self.report(
                    Diagnostic::new(Code::DuplicateServer, server.span, message)
                        .related(first, "the first one is here")
                        .help("change address or port, or set `active = 0`"),
                );
            }
        }
    }

    /// Only a tunnel can carry one address family in the other.
    fn check_family(
        &mut self,
        service: &Virtual,
        address: IpAddr,
        forwarding: Forwarding,
        who: &str,
        span: Span,
    ) {
        let same = Family::of(service.address) == Family::of(address);
        if same || forwarding.is_tunnel() {
            return;
        }
        let message = format!(
            "{who} is {address} and the VIP {}: `network = {forwarding}` needs one address family",
            service.address
        );
        self.report(
            Diagnostic::new(Code::FamilyMismatch, span, message)
                .related(service.span, "the VIP is given here"),
        );
    }

    /// Without NAT a packet arrives with the port it was sent to.
    fn check_port(&mut self, service: &Virtual, server: &RealServer) {
        let translated = server.forwarding == Forwarding::Nat || service.fwmark.is_some();
        if translated || service.port == 0 || server.address.port() == service.port {
            return;
        }
        let (way, port) = (server.forwarding, service.port);
        let message = format!(
            "with `network = {way}` connections reach `{}` on port {port}; only checks use port {}",
            server.name,
            server.address.port()
        );
        self.report(
            Diagnostic::new(Code::PortIgnored, server.span, message)
                .help("use `network = nat`, or take `port` out of the `server` block"),
        );
    }

    fn check_outlasts(&mut self, service: &Virtual) {
        let message = format!(
            "a check of `{}` may take {:?} and one begins every {:?}: those in between are left out",
            service.name, service.timeout, service.interval
        );
        self.report(
            Diagnostic::new(Code::CheckOutlastsInterval, service.span, message)
                .help("set `check_timeout` to no more than `timeout`"),
        );
    }

    fn check_proxy_protocol(&mut self, service: &Virtual, plane: DataPlane, global: &Fields) {
        if service.proxy_protocol.is_none() {
            return;
        }
        let name = &service.name;
        if service.protocol != Protocol::Tcp {
            let message =
                format!("`{name}` is not a TCP service: there is no `proxy_protocol` for it");
            self.report(
                Diagnostic::new(Code::ProxyProtocolImpossible, service.span, message)
                    .help("take `proxy_protocol` out"),
            );
        } else if plane == DataPlane::Kernel {
            let message = format!("the kernel cannot do `proxy_protocol`, which `{name}` asks for");
            let chosen = global.span(Directive::Dataplane).unwrap_or_default();
            self.report(
                Diagnostic::new(Code::ProxyProtocolImpossible, service.span, message)
                    .related(chosen, "the kernel is chosen here")
                    .help(
                        "use `dataplane = relay`; servers behind the kernel see the client itself",
                    ),
            );
        }
    }

    fn check_relay(&mut self, service: &Virtual, global: &Fields) {
        let engine = service.persistence.and_then(|persistence| persistence.engine());
        let asked = [
            (service.fwmark.is_some(), "firewall marks"),
            (service.protocol == Protocol::Sctp, "`protocol = sctp`"),
            (engine.is_some(), "`persistence_engine`"),
            (service.port == 0 && service.fwmark.is_none(), "`port = 0`"),
        ];
        let ways = service.active_servers().map(|server| server.forwarding);
        let mut lacking: BTreeSet<String> = ways
            .chain([service.forwarding])
            .filter(|&way| way != Forwarding::Nat)
            .map(|way| format!("`network = {way}`"))
            .collect();
        lacking.extend(asked.iter().filter(|(asked, _)| *asked).map(|&(_, what)| what.to_owned()));
        for what in lacking {
            let message = format!("the relay cannot do {what}, which `{}` needs", service.name);
            let chosen = global.span(Directive::Dataplane).unwrap_or_default();
            self.report(
                Diagnostic::new(Code::RelayCannot, service.span, message)
                    .related(chosen, "the relay is chosen here")
                    .help("use `dataplane = kernel`, or a service by address with `network = nat`"),
            );
        }
    }
}
