//! What the directives of VRRP say, and how they go together with the others.

use std::path::PathBuf;

use super::fields::Fields;
use super::{Code, Config, Context, Diagnostic, Directive};
use crate::config::model::Vrrp;
use crate::failover::vrrp::Version;
use crate::net::Family;

/// What only the pulse protocol has.
const PULSE_ALONE: [Directive; 4] = [
    Directive::HeartbeatPort,
    Directive::HeartbeatVersion,
    Directive::HeartbeatKey,
    Directive::Deadtime,
];

const VRRP_ALONE: [Directive; 7] = [
    Directive::VrrpId,
    Directive::VrrpPriority,
    Directive::VrrpInterface,
    Directive::VrrpUnicast,
    Directive::VrrpHops,
    Directive::VrrpAuth,
    Directive::VrrpAccept,
];

impl Context<'_> {
    /// What the directives say by themselves, if the protocol is VRRP.
    pub(super) fn vrrp_terms(&mut self, fields: &Fields) -> Option<Vrrp> {
        let version = match fields.choice(Directive::HeartbeatProtocol) {
            Some("vrrp2") => Version::V2,
            Some("vrrp3") => Version::V3,
            _ => {
                self.ignored_vrrp(fields, &VRRP_ALONE, "with `heartbeat_protocol = pulse`");
                return None;
            }
        };
        self.ignored_vrrp(fields, &PULSE_ALONE, "with VRRP");
        let help = "write `vrrp_id = NUMBER`, the same as `virtual_router_id` on the other node";
        let span = fields.span(Directive::HeartbeatProtocol).unwrap_or_default();
        self.missing(fields, Directive::VrrpId, span, help);
        let number = |directive| fields.integer(directive).and_then(|n| u8::try_from(n).ok());
        let unicast = fields.boolean(Directive::VrrpUnicast).unwrap_or(false);
        if !unicast {
            self.ignored_vrrp(fields, &[Directive::VrrpHops], "without `vrrp_unicast`");
        }
        self.password(fields, version);
        self.accepting(fields);
        Some(Vrrp {
            version,
            id: number(Directive::VrrpId).unwrap_or_default(),
            priority: number(Directive::VrrpPriority),
            interface: fields.text(Directive::VrrpInterface).unwrap_or_default(),
            unicast,
            hops: number(Directive::VrrpHops).filter(|_| unicast).unwrap_or_default(),
            auth: fields.text(Directive::VrrpAuth).map(PathBuf::from),
        })
    }

    /// What follows from the rest of the configuration.
    pub(super) fn vrrp(&mut self, fields: &Fields, config: &mut Config) {
        let Some(mut vrrp) = config.vrrp.take() else { return };
        if vrrp.interface.is_empty() {
            vrrp.interface = first_device(config).unwrap_or_default();
        }
        self.advertised(fields, config, &vrrp);
        self.interval(fields, config, vrrp.version);
        config.deadtime = config.keepalive * 4;
        config.vrrp = Some(vrrp);
    }

    fn ignored_vrrp(&mut self, fields: &Fields, directives: &[Directive], where_: &str) {
        for directive in directives.iter().filter(|directive| fields.mentions(**directive)) {
            let message = format!("`{directive}` has no effect {where_}");
            self.report_at(fields, *directive, Code::VrrpIgnored, message);
        }
    }

    fn password(&mut self, fields: &Fields, version: Version) {
        if version == Version::V3
            && let Some(span) = fields.span(Directive::VrrpAuth)
        {
            let message = "VRRP version 3 has no password: anybody on the link is believed";
            self.report(Diagnostic::new(Code::VrrpPassword, span, message).help(
                "take `vrrp_auth` out, or use `heartbeat_protocol = pulse`, which has a key",
            ));
        }
    }

    fn accepting(&mut self, fields: &Fields) {
        if fields.boolean(Directive::VrrpAccept) == Some(false)
            && let Some(span) = fields.span(Directive::VrrpAccept)
        {
            let message = "without taking packets to the VIPs there is nothing to balance";
            self.report(Diagnostic::new(Code::VrrpNotAccepting, span, message).help(
                "take `vrrp_accept` out, and keep unwanted packets off with a packet filter",
            ));
        }
    }

    /// Without a VIP that can be advertised there is no virtual router.
    fn advertised(&mut self, fields: &Fields, config: &Config, vrrp: &Vrrp) {
        let families = families(config);
        let (carried, left): (Vec<Family>, Vec<_>) =
            families.iter().partition(|family| has_way(config, vrrp, **family));
        let span = fields.span(Directive::HeartbeatProtocol).unwrap_or_default();
        let why = match vrrp.version {
            Version::V2 if left == [Family::Ipv6] => "VRRP version 2 knows IPv4 only",
            _ => "`vrrp_unicast` has no heartbeat path of their address family",
        };
        if families.is_empty() {
            let message = "VRRP needs an active virtual service with a VIP";
            self.report(Diagnostic::new(Code::VrrpWithoutAddress, span, message));
        } else if carried.is_empty() {
            let message = format!("none of the VIPs can be advertised: {why}");
            self.report(Diagnostic::new(Code::VrrpWithoutAddress, span, message));
        } else if !left.is_empty() {
            let message = format!("some VIPs move with the others but are not advertised: {why}");
            self.report(Diagnostic::new(Code::VrrpUnadvertised, span, message).help(
                "if the other node is keepalived, put them into `virtual_ipaddress_excluded` there",
            ));
        }
    }

    fn interval(&mut self, fields: &Fields, config: &Config, version: Version) {
        if version.has_interval(config.keepalive) {
            return;
        }
        let allowed = match version {
            Version::V2 => "1 to 255 whole seconds",
            Version::V3 => "10 ms to 40.95 s in steps of 10 ms",
        };
        let span = fields.span(Directive::Keepalive).unwrap_or_default();
        let message = format!("VRRP cannot be sent every {:?}", config.keepalive);
        self.report(
            Diagnostic::new(Code::VrrpInterval, span, message)
                .help(format!("this version can say {allowed}")),
        );
    }
}

/// The address families of what moves between the directors.
fn families(config: &Config) -> Vec<Family> {
    let vips = config.active_virtuals().map(|v| v.address);
    let router = config.nat_router.iter().map(|(address, _)| *address);
    let all: Vec<_> = vips.chain(router).map(Family::of).collect();
    [Family::Ipv4, Family::Ipv6].into_iter().filter(|family| all.contains(family)).collect()
}

fn has_way(config: &Config, vrrp: &Vrrp, family: Family) -> bool {
    let spoken = vrrp.version == Version::V3 || family == Family::Ipv4;
    let mut pairs = config.heartbeat_pairs();
    spoken && (!vrrp.unicast || pairs.any(|(primary, _)| Family::of(primary) == family))
}

/// The network device of the first VIP, without the label behind its colon.
fn first_device(config: &Config) -> Option<String> {
    let vips = config.active_virtuals().map(|v| &v.device);
    let device = vips.chain(config.nat_router.iter().map(|(_, device)| device)).next()?;
    device.split(':').next().map(str::to_owned)
}
