use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use super::fields::{Fields, Section};
use super::forwarding::{Nested, is_own};
use super::global::network;
use super::load;
use super::{BlockKind, BlockSection, Code, Config, Context, Diagnostic, Directive, Span};
use crate::config::model::{AllDown, Quorum, QuorumOf, RealServer, Virtual};
use crate::config::value::Value;
use crate::health::{FlapLimit, InitialState, SlowStart};
use crate::ipvs::{
    EngineName, Forwarding, Helper, Persistence, SchedulerFlags, SchedulerName, Service, Thresholds,
};
use crate::net::{Family, FirewallMark, OutOfRange, Protocol, Weight};
use crate::wire::proxy::ProxyProtocol;

impl Context<'_> {
    /// A `virtual` block, unless it is so broken that nothing can be said about it.
    pub(super) fn service(
        &mut self,
        block: &BlockSection,
        blocks: &[BlockSection],
        config: &Config,
    ) -> Option<Virtual> {
        let fields = &block.fields;
        let help = "write `address = VIP DEVICE`, such as `address = 192.0.2.80 eth0:1`";
        self.missing(fields, Directive::Address, block.span, help);
        self.active_not_set(&block.section);
        let (address, device) = fields.address_device(Directive::Address)?;
        let mut service = plain(&block.section, address, device, config);
        service.vip_nmask = self.prefix(fields, Directive::VipNmask, Family::of(address));
        service.forwarding = self.service_forwarding(block, blocks, config);
        service.persistence = self.persistence(fields, &service);
        self.one_packet(fields, &service);
        service.scheduler_flags = self.scheduler_flags(fields, &service.scheduler);
        service.check = self.check(fields, &service);
        service.check_path = self.check_path(fields);
        self.unsupported(fields, &service);
        if config.notify.mail.is_none() && fields.mentions(Directive::NotifyMail) {
            self.incomplete_mail(fields.span(Directive::NotifyMail).unwrap_or_default());
        }
        service.helper = match fields.choice(Directive::Helper) {
            Some("ftp") => Some(Helper::Ftp),
            Some(_) => None,
            None => Service::new(service.key()).helper(),
        };
        self.servers(block, blocks, &mut service);
        self.check_through(fields, &mut service, config.dataplane);
        self.check_quorum(fields, &service);
        self.check_load(block, blocks, &service);
        self.check_group(fields, &service);
        service.flap_limit = self.flap_limit(fields);
        self.check_fast_interval(fields, &service);
        Some(service)
    }

    /// How the servers of a service are reached unless they say otherwise. What is said about
    /// tunnels may be meant for those that do.
    fn service_forwarding(
        &mut self,
        block: &BlockSection,
        blocks: &[BlockSection],
        config: &Config,
    ) -> Forwarding {
        let fields = &block.fields;
        let chosen = network(fields).unwrap_or(config.network);
        let mut children = block.children.iter().map(|&index| &blocks[index]);
        if !chosen.is_tunnel() && children.any(|child| child.fields.mentions(Directive::Network)) {
            return chosen;
        }
        self.forwarding(Nested { inner: fields, outer: None }, config.network)
    }

    fn one_packet(&mut self, fields: &Fields, service: &Virtual) {
        let possible = service.protocol == Protocol::Udp || service.fwmark.is_some();
        if service.one_packet && !possible {
            let message = "`one_packet` needs `protocol = udp` or `fwmark`";
            self.report_at(fields, Directive::OnePacket, Code::OnePacketImpossible, message);
        }
    }

    fn servers(&mut self, block: &BlockSection, blocks: &[BlockSection], service: &mut Virtual) {
        let mut inherited = None;
        service.servers.reserve_exact(block.children.len());
        for child in block.children.iter().map(|&index| &blocks[index]) {
            if child.kind == BlockKind::Server {
                if !child.fields.mentions(Directive::Port) {
                    inherited.get_or_insert(child.span);
                }
                let server = self.server(&child.section, &block.section, service);
                service.servers.extend(server);
            }
        }
        self.late_port(&block.fields, inherited);
    }

    /// Warns if `port` stands behind a server that takes it over: 0.8.6 gives that server what
    /// was read so far.
    fn late_port(&mut self, fields: &Fields, server: Option<Span>) {
        let (Some(port), Some(server)) = (fields.span(Directive::Port), server) else {
            return;
        };
        if server.start < port.start {
            let message = "this port also holds for the servers above, which 0.8.6 gives port 80";
            self.report(
                Diagnostic::new(Code::PortAfterServers, port, message)
                    .related(server, "this server takes it over")
                    .help("move `port` above the first `server` block"),
            );
        }
    }

    fn server(
        &mut self,
        section: &Section,
        around: &Section,
        service: &Virtual,
    ) -> Option<RealServer> {
        let fields = &section.fields;
        let help = "write `address = ADDRESS` with the address of the real server";
        self.missing(fields, Directive::Address, section.span, help);
        self.active_not_set(section);
        let address = fields.host(Directive::Address)?;
        let port = fields.port(Directive::Port).unwrap_or(service.port);
        let forwarding = if is_own(fields) {
            let blocks = Nested { inner: fields, outer: Some(&around.fields) };
            self.forwarding(blocks, service.forwarding)
        } else {
            service.forwarding
        };
        Some(RealServer {
            name: section.name.clone(),
            address: SocketAddr::new(address, port),
            active: fields.boolean(Directive::Active).unwrap_or(false),
            backup: fields.boolean(Directive::Backup).unwrap_or(false),
            forwarding,
            weight: fields
                .count(Directive::Weight)
                .and_then(|weight| Weight::new(weight).ok())
                .unwrap_or_default(),
            thresholds: self.thresholds(fields),
            load_monitor: load::of_server(fields, service.load_monitor.clone()),
            span: section.span,
        })
    }

    fn thresholds(&mut self, fields: &Fields) -> Thresholds {
        let upper = fields.count(Directive::UThreshold).unwrap_or(0);
        let lower = fields.count(Directive::LThreshold).unwrap_or(0);
        match Thresholds::new(upper, lower) {
            Ok(thresholds) => thresholds,
            Err(error) => {
                self.out_of_range(fields, Directive::LThreshold, error);
                Thresholds::NONE
            }
        }
    }

    fn out_of_range(&mut self, fields: &Fields, directive: Directive, error: OutOfRange) {
        let span = fields.span(directive).unwrap_or_default();
        let message = format!("{} out of range", error.what);
        let help = format!("allowed is {}", error.allowed);
        self.report(Diagnostic::new(Code::OutOfRange, span, message).help(help));
    }

    fn scheduler_flags(&mut self, fields: &Fields, scheduler: &SchedulerName) -> SchedulerFlags {
        let Some(Value::SchedulerFlags(names)) = fields.special(Directive::SchedulerFlags) else {
            return SchedulerFlags::NONE;
        };
        let unreadable =
            fields.mentions(Directive::Scheduler) && fields.special(Directive::Scheduler).is_none();
        let known = || names.iter().filter_map(|name| SchedulerFlags::by_name(name));
        let mut owners = known().filter_map(|(_, of)| of);
        if let Some(other) = owners.find(|of| *of != scheduler.as_str() && !unreadable) {
            self.foreign_flag(fields, other, scheduler);
        }
        known().fold(SchedulerFlags::NONE, |all, (flag, _)| all | flag)
    }

    fn foreign_flag(&mut self, fields: &Fields, of: &str, scheduler: &SchedulerName) {
        let span = fields.value_span(Directive::SchedulerFlags).unwrap_or_default();
        let message = format!("a flag of `{of}` stands with `scheduler = {scheduler}`");
        let help = match scheduler.as_str() {
            own @ ("sh" | "mh") => format!("`{own}-fallback` and `{own}-port` are its flags"),
            _ => format!("`{scheduler}` has none: take it out, or write `scheduler = {of}`"),
        };
        self.report(Diagnostic::new(Code::ForeignSchedulerFlag, span, message).help(help));
    }

    fn persistence(&mut self, fields: &Fields, service: &Virtual) -> Option<Persistence> {
        let family = Family::of(service.address);
        let engine = self.engine(fields, service);
        let prefix =
            self.prefix(fields, Directive::Pmask, family).filter(|&prefix| prefix < family.bits());
        let Some(timeout) = fields.duration_or_none(Directive::Persistent) else {
            if prefix.is_some() && !fields.mentions(Directive::Persistent) {
                let message = "`pmask` has no effect without `persistent`";
                self.report_at(fields, Directive::Pmask, Code::MaskWithoutPersistence, message);
            }
            return None;
        };
        let persistence = Persistence::new(timeout)
            .and_then(|whole| prefix.map_or(Ok(whole), |prefix| whole.with_prefix(prefix)));
        match persistence {
            Ok(persistence) => Some(match engine {
                Some(engine) => persistence.with_engine(engine),
                None => persistence,
            }),
            Err(error) => {
                self.out_of_range(fields, Directive::Persistent, error);
                None
            }
        }
    }

    /// The kernel's one engine looks into UDP packets, and only persistence has clients.
    fn engine(&mut self, fields: &Fields, service: &Virtual) -> Option<EngineName> {
        let engine = fields.choice(Directive::PersistenceEngine)?;
        let possible = service.protocol == Protocol::Udp || service.fwmark.is_some();
        if !possible || fields.duration_or_none(Directive::Persistent).is_none() {
            let message = format!(
                "`persistence_engine = {engine}` needs `persistent`, and `protocol = udp` or `fwmark`"
            );
            let directive = Directive::PersistenceEngine;
            self.report_at(fields, directive, Code::EngineImpossible, message);
            return None;
        }
        engine.parse().ok()
    }

    /// A block without `active` is off: the classic oversight.
    fn active_not_set(&mut self, section: &Section) {
        if !section.fields.mentions(Directive::Active) {
            let message = format!("`{}` is off: it does not say `active`", section.name);
            self.report(
                Diagnostic::new(Code::ActiveNotSet, section.span, message)
                    .help("add `active = 1`, or `active = 0` if that is meant"),
            );
        }
    }

    /// A quorum that the configured weights cannot reach.
    fn check_quorum(&mut self, fields: &Fields, service: &Virtual) {
        let hysteresis = fields.count(Directive::Hysteresis).unwrap_or(0);
        if hysteresis > 0 && !fields.mentions(Directive::Quorum) {
            let message = "`hysteresis` has no effect without `quorum`";
            self.report_at(fields, Directive::Hysteresis, Code::HysteresisAlone, message);
        }
        if fields.mentions(Directive::QuorumOf) && !fields.mentions(Directive::Quorum) {
            let message = "`quorum_of` has no effect without `quorum`";
            self.report_at(fields, Directive::QuorumOf, Code::QuorumOfAlone, message);
        }
        let Some(quorum) = service.quorum.filter(|_| service.active) else {
            return;
        };
        let whole = service.whole(quorum.of);
        if whole == 0 {
            return;
        }
        let least = quorum.lost_below(whole);
        let (directive, needed, help) = if least > whole {
            let help = match quorum.of {
                QuorumOf::Weight => {
                    "the service never counts as up: lower `quorum`, or add servers or weight"
                }
                QuorumOf::Servers => {
                    "the service never counts as up: lower `quorum`, or add servers"
                }
            };
            (Directive::Quorum, least, help)
        } else {
            let help = "the service is up again with every server it has, and no earlier";
            (Directive::Hysteresis, least + u64::from(quorum.hysteresis), help)
        };
        if needed > whole {
            let span = fields.span(directive).unwrap_or_default();
            let name = &service.name;
            let message = match quorum.of {
                QuorumOf::Weight => {
                    format!("`{name}` would need a weight of {needed} and has {whole}")
                }
                QuorumOf::Servers => {
                    format!("`{name}` would need {needed} servers and has {whole}")
                }
            };
            self.report(Diagnostic::new(Code::QuorumUnreachable, span, message).help(help));
        }
    }

    /// Rules for the servers together that cannot come to bear.
    fn check_group(&mut self, fields: &Fields, service: &Virtual) {
        let whole = service.active_servers().filter(|server| !server.backup).count();
        let least = usize::try_from(service.min_servers).unwrap_or(usize::MAX);
        if service.active && whole > 0 && least >= whole {
            let name = &service.name;
            let message =
                format!("`{name}` has {whole} servers and keeps {least}: none is taken out");
            self.report_at(fields, Directive::MinServers, Code::NothingTakenOut, message);
        }
        if service.all_down != AllDown::Sorry && !service.sorry_servers.is_empty() {
            let message = "`sorry_server` has no effect with this `all_down`";
            self.report_at(fields, Directive::SorryServer, Code::SorryIgnored, message);
        }
    }

    fn flap_limit(&mut self, fields: &Fields) -> Option<FlapLimit> {
        let outs = fields.count(Directive::FlapLimit).unwrap_or(0);
        let window = fields.duration(Directive::FlapWindow);
        if outs == 0 {
            if window.is_some() {
                let message = "`flap_window` has no effect without `flap_limit`";
                self.report_at(fields, Directive::FlapWindow, Code::FlapWindowAlone, message);
            }
            return None;
        }
        match FlapLimit::new(outs, window.unwrap_or(Duration::from_secs(600))) {
            Ok(limit) => Some(limit),
            Err(error) => {
                self.out_of_range(fields, Directive::FlapWindow, error);
                None
            }
        }
    }

    fn check_fast_interval(&mut self, fields: &Fields, service: &Virtual) {
        if service.fast_interval.is_some_and(|fast| fast >= service.interval) {
            let message = "`fast_interval` has no effect: it is not below `timeout`";
            self.report_at(fields, Directive::FastInterval, Code::FastIntervalIgnored, message);
        }
    }

    /// What an active service asks for and cannot have yet.
    fn unsupported(&mut self, fields: &Fields, service: &Virtual) {
        if !service.active {
            return;
        }
        let monitor = fields.text(Directive::ClientMonitor);
        let own = monitor.filter(|path| path.rsplit('/').next() != Some("nanny"));
        if own.is_some() {
            let message = "monitor programs of one's own are not supported yet";
            let directive = Directive::ClientMonitor;
            self.report_at(fields, directive, Code::MonitorUnsupported, message);
        }
    }
}

fn proxy_protocol(fields: &Fields) -> Option<ProxyProtocol> {
    match fields.choice(Directive::ProxyProtocol)? {
        "v1" => Some(ProxyProtocol::V1),
        "v2" => Some(ProxyProtocol::V2),
        _ => None,
    }
}

/// The sorry servers, each once; an unspecified address is none.
fn sorry_servers(fields: &Fields, port: u16) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    let endpoints = fields.endpoints(Directive::SorryServer).iter();
    let named = endpoints.filter(|(address, _)| !address.is_unspecified());
    named
        .map(|&(address, own)| SocketAddr::new(address, own.unwrap_or(port)))
        .filter(|&endpoint| seen.insert(endpoint))
        .collect()
}

fn quorum(fields: &Fields) -> Option<Quorum> {
    let Some(&Value::Quorum(least)) = fields.special(Directive::Quorum) else {
        return None;
    };
    let of = match fields.choice(Directive::QuorumOf) {
        Some("servers") => QuorumOf::Servers,
        _ => QuorumOf::Weight,
    };
    Some(Quorum { least, hysteresis: fields.count(Directive::Hysteresis).unwrap_or(0), of })
}

fn all_down(fields: &Fields) -> AllDown {
    match fields.choice(Directive::AllDown) {
        Some("keep_last") => AllDown::KeepLast,
        Some("fail_open") => AllDown::FailOpen,
        _ => AllDown::Sorry,
    }
}

fn initial_state(fields: &Fields) -> InitialState {
    match fields.choice(Directive::InitialState) {
        Some("up") => InitialState::Up,
        Some("down") => InitialState::Down,
        Some("remembered") => InitialState::Remembered,
        _ => InitialState::Probe,
    }
}

/// The directives that are taken over as they are.
fn plain(section: &Section, address: IpAddr, device: String, config: &Config) -> Virtual {
    let fields = &section.fields;
    let seconds = |directive, default| {
        let value = fields.duration(directive);
        value.unwrap_or_else(|| Duration::from_secs(default))
    };
    let port = fields.port(Directive::Port).unwrap_or(80);
    let interval = seconds(Directive::Timeout, 10);
    Virtual {
        name: section.name.clone(),
        active: fields.boolean(Directive::Active).unwrap_or(false),
        address,
        device,
        vip_nmask: None,
        port,
        protocol: match fields.choice(Directive::Protocol) {
            Some("udp") => Protocol::Udp,
            Some("sctp") => Protocol::Sctp,
            _ => Protocol::Tcp,
        },
        fwmark: fields.count(Directive::Fwmark).and_then(FirewallMark::new),
        scheduler: match fields.special(Directive::Scheduler) {
            Some(Value::Scheduler(name)) => name.clone(),
            _ => Default::default(),
        },
        scheduler_flags: SchedulerFlags::NONE,
        persistence: None,
        forwarding: config.network,
        helper: None,
        proxy_protocol: proxy_protocol(fields),
        max_connections: fields.count(Directive::MaxConnections).and_then(NonZeroU32::new),
        transparent: fields.boolean(Directive::Transparent).unwrap_or(false),
        one_packet: fields.boolean(Directive::OnePacket).unwrap_or(false),
        check: crate::health::CheckSpec::Connect,
        check_path: Default::default(),
        check_through: false,
        interval,
        timeout: fields.duration(Directive::CheckTimeout).unwrap_or(interval),
        reentry: seconds(Directive::Reentry, 180),
        rise: fields.count(Directive::Rise),
        fall: fields.count(Directive::Fall).unwrap_or(1),
        fast_interval: fields.duration(Directive::FastInterval),
        check_jitter: fields.count(Directive::CheckJitter).unwrap_or(0),
        initial_state: initial_state(fields),
        flap_limit: None,
        slow_start: match fields.special(Directive::SlowStart) {
            Some(Value::SlowStart(slow_start)) => *slow_start,
            _ => SlowStart::default(),
        },
        quiesce_server: fields.boolean(Directive::QuiesceServer).unwrap_or(false),
        sorry_servers: sorry_servers(fields, port),
        quorum: quorum(fields),
        all_down: all_down(fields),
        min_servers: fields.count(Directive::MinServers).unwrap_or(0),
        load_monitor: load::monitor(fields, config),
        notify: fields.boolean(Directive::Notify).unwrap_or(true),
        notify_mail: super::notify::mails(fields),
        servers: Vec::new(),
        span: section.span,
    }
}
