//! `vrrp_instance`: what it says about addresses, roles and heartbeats.

use std::net::IpAddr;

use super::read::Node;
use super::track::Tracked;
use super::{lose, notify};
use crate::config::Directive;
use crate::config::draft::Block;
use crate::config::import::importer::{Importer, Vip, duration, mask, milliseconds};
use crate::failover::vrrp::Version;
use crate::net::Family;

/// What the instances say about the pair.
#[derive(Default)]
pub(super) struct Pair<'a> {
    line: usize,
    /// Whether this node is the primary, where that is said.
    primary: Option<bool>,
    /// Own address and partner's, one for each path.
    paths: Vec<(IpAddr, IpAddr)>,
    /// In milliseconds, and the line that says so.
    interval: Option<u64>,
    interval_line: usize,
    no_preempt: bool,
    id: Option<&'a str>,
    priority: Option<&'a str>,
    version: Option<&'a str>,
    interface: Option<&'a str>,
    authentication: Option<&'a Node>,
}

/// Reads the instances; [`express`](Pair::express) writes them down when the VIPs of the services
/// are known.
pub(super) fn instances<'a>(
    nodes: &[&'a Node],
    tracked: &mut Tracked<'a>,
    importer: &mut Importer<'_>,
) -> Pair<'a> {
    let mut pair = Pair::default();
    for node in nodes {
        if pair.line == 0 {
            pair.line = node.line;
            pair.version = version_of(node);
        }
        instance(node, &mut pair, tracked, importer);
    }
    pair
}

fn instance<'a>(
    node: &'a Node,
    pair: &mut Pair<'a>,
    tracked: &mut Tracked<'a>,
    importer: &mut Importer<'_>,
) {
    let find = |word: &str| node.children.iter().find(|child| child.keyword() == word);
    let interface = find("interface").and_then(|child| child.word(1)).unwrap_or("eth0");
    let own = find("unicast_src_ip").and_then(|child| child.word(1)?.parse().ok());
    if find("dont_track_primary").is_none() {
        // keepalived watches it without being told.
        importer.set_global("monitor_links", "1", node.line);
    }
    for child in &node.children {
        if notify::of_state(child, node, importer) || tracked.track(child, importer) {
            continue;
        }
        let value = child.word(1).unwrap_or_default();
        match child.keyword() {
            "interface" => agree(&mut pair.interface, value, child, importer),
            "unicast_src_ip" if own.is_some() => {}
            "state" => state(child, pair, importer),
            "virtual_ipaddress" | "virtual_ipaddress_excluded" => vips(child, interface, importer),
            "unicast_peer" => peers(child, own, pair, importer),
            "advert_int" => interval(child, pair, importer),
            "virtual_router_id" => agree(&mut pair.id, value, child, importer),
            "priority" => agree(&mut pair.priority, value, child, importer),
            "version" if pair.version == Some(value) => {}
            "version" => importer.lost(child.line, "another instance has another version"),
            "authentication" => authentication(child, pair, importer),
            "use_vmac" => {
                importer.set_global("virtual_mac", "1", child.line);
                child
                    .word(1)
                    .inspect(|_| importer.replaced(child.line, "the device has a name of its own"));
            }
            "nopreempt" => pair.no_preempt = true,
            "preempt" | "native_ipv6" | "accept" | "dont_track_primary" => {}
            _ => replaced_or_lost(child, importer),
        }
    }
}

/// Settings that are not needed here, and those there is nothing for.
fn replaced_or_lost(node: &Node, importer: &mut Importer<'_>) {
    let line = node.line;
    match node.keyword() {
        word if word.starts_with("garp") => {
            importer.replaced(line, "announcements are repeated and refreshed without it");
        }
        "vmac_xmit_base" => importer.replaced(line, "heartbeats leave from the interface itself"),
        "preempt_delay" => {
            importer.lost(line, "a primary that takes back waits until its checks are done");
        }
        _ => lose(node, "lvs.cf has nothing like it for heartbeats", importer),
    }
}

fn version_of(node: &Node) -> Option<&str> {
    node.children.iter().find(|child| child.keyword() == "version")?.word(1)
}

fn authentication<'a>(node: &'a Node, pair: &mut Pair<'a>, importer: &mut Importer<'_>) {
    let words = |node: &'a Node| node.children.iter().map(|child| &child.words);
    match pair.authentication {
        Some(known) if words(known).eq(words(node)) => {}
        Some(_) => lose(node, "another instance has another password", importer),
        None => pair.authentication = Some(node),
    }
}

/// Takes what the first instance says for all.
fn agree<'a>(
    known: &mut Option<&'a str>,
    value: &'a str,
    node: &Node,
    importer: &mut Importer<'_>,
) {
    if known.is_some_and(|known| known != value) {
        let reason = "another instance says otherwise, and lvs.cf has one value for all of them";
        return importer.lost(node.line, reason);
    }
    *known = Some(value);
}

fn state(node: &Node, pair: &mut Pair<'_>, importer: &mut Importer<'_>) {
    let primary = match node.word(1) {
        Some("MASTER") => true,
        Some("BACKUP") => false,
        _ => return importer.lost(node.line, "expected MASTER or BACKUP"),
    };
    if pair.primary.is_some_and(|before| before != primary) {
        let reason = "another instance has another state; one node is the primary for all of them";
        return importer.lost(node.line, reason);
    }
    pair.primary = Some(primary);
}

fn interval(node: &Node, pair: &mut Pair<'_>, importer: &mut Importer<'_>) {
    match node.word(1).and_then(milliseconds).filter(|interval| *interval > 0) {
        None => importer.lost(node.line, "no interval can be read here"),
        Some(new) if pair.interval.is_some_and(|before| before != new) => {
            importer.lost(node.line, "another instance has another interval; there is one");
        }
        Some(new) => (pair.interval, pair.interval_line) = (Some(new), node.line),
    }
}

fn peers(node: &Node, own: Option<IpAddr>, pair: &mut Pair<'_>, importer: &mut Importer<'_>) {
    let peers = node.rest().iter().map(|word| (node.line, word.as_str()));
    let inside = node.children.iter().map(|child| (child.line, child.keyword()));
    let mut peers: Vec<_> = peers.chain(inside).collect();
    if peers.len() > 1 {
        for (line, _) in peers.drain(1..) {
            importer.lost(line, "a pair has two nodes");
        }
    }
    for (line, text) in peers {
        match (own, text.parse()) {
            (_, Err(_)) => importer.lost(line, "no address can be read here"),
            (None, Ok(_)) => importer.lost(line, "`unicast_src_ip`, the own address, is not there"),
            (Some(own), Ok(peer)) if !pair.paths.contains(&(own, peer)) => {
                pair.paths.push((own, peer));
            }
            (Some(_), Ok(_)) => {}
        }
    }
}

/// `ADDRESS[/PREFIX] [brd ..] [dev DEVICE] [scope ..] [label LABEL]`
fn vips(node: &Node, interface: &str, importer: &mut Importer<'_>) {
    for child in &node.children {
        let (address, prefix) = child.keyword().split_once('/').unzip();
        let address = address.unwrap_or_else(|| child.keyword());
        let prefix = prefix.map(str::parse::<u8>);
        let (Ok(address), Ok(prefix)) = (address.parse::<IpAddr>(), prefix.transpose()) else {
            importer.lost(child.line, "no address can be read here");
            continue;
        };
        let mut device = interface.to_owned();
        let mut options = child.rest().iter();
        while let Some(option) = options.next() {
            let value = options.next().map(String::as_str).unwrap_or_default();
            match option.as_str() {
                "dev" | "label" => value.clone_into(&mut device),
                "brd" | "broadcast" => {}
                _ => importer.lost(child.line, format!("`{option}` of an address cannot be set")),
            }
        }
        importer.vips.insert(address, Vip { line: child.line, device, prefix, used: false });
    }
}

/// Addresses no service uses. With NAT, the first of them is what servers route through.
pub(super) fn unused_vips(nat: bool, importer: &mut Importer<'_>) {
    let vips = std::mem::take(&mut importer.vips);
    let mut router = !nat;
    for (address, vip) in vips.into_iter().filter(|(_, vip)| !vip.used) {
        if std::mem::replace(&mut router, true) {
            importer.lost(
                vip.line,
                "lvs.cf brings up the addresses of services, and no service has this",
            );
            continue;
        }
        importer.set_global("nat_router", &format!("{address} {}", vip.device), vip.line);
        if let Some(prefix) = vip.prefix {
            importer.set_global("nat_nmask", &mask(address, prefix), vip.line);
        }
        importer.replaced(
            vip.line,
            "no service has this address: taken for the gateway of NAT servers",
        );
    }
}

/// How VRRP is spoken.
struct Router<'a> {
    version: Version,
    id: &'a str,
    unicast: bool,
}

impl Pair<'_> {
    /// Writes down, before everything else, who the pair is and what it speaks. `global_version` is
    /// what holds where an instance does not say its own.
    pub(super) fn express(&self, global_version: Option<&str>, importer: &mut Importer<'_>) {
        let rest = importer.take_global();
        let ends = self.ends(importer);
        if self.line != 0 {
            match self.router(global_version, &rest, importer) {
                Some(router) => self.express_vrrp(&router, importer),
                None => self.express_pulse(importer),
            }
            if ends == 0 && importer.given_backup().is_none() {
                let reason = "no address of the backup director is known: set `backup` and \
                              `backup_active = 1` (--backup)";
                importer.lost(0, reason);
            }
            if !self.no_preempt {
                importer.set_global("failback", "1", self.line);
            }
        }
        importer.draft.global.append(rest);
    }

    /// Writes down the ends of the heartbeat paths; returns how many there are.
    fn ends(&self, importer: &mut Importer<'_>) -> usize {
        if self.primary.is_none() && !self.paths.is_empty() {
            let reason = "no `state` says which node this is: it is taken for the backup";
            importer.replaced(self.line, reason);
        }
        let ends = |&(own, partner)| match self.primary {
            Some(true) => (own, partner),
            _ => (partner, own),
        };
        let mut paths = self.paths.iter().map(ends);
        let (primary, backup) = paths.next().unzip();
        importer.pair(primary, backup, self.line);
        if let Some((primary, backup)) = paths.next() {
            importer.set_global("primary_private", &primary.to_string(), self.line);
            importer.set_global("backup_private", &backup.to_string(), self.line);
        }
        if paths.next().is_some() {
            importer.lost(self.line, "only two heartbeat paths can be expressed");
        }
        self.paths.len()
    }

    /// What is spoken, if it can be VRRP: it needs a number, and a VIP that it can advertise.
    fn router(
        &self,
        global_version: Option<&str>,
        rest: &Block,
        importer: &Importer<'_>,
    ) -> Option<Router<'_>> {
        let id = self.id.filter(|id| id.parse().is_ok_and(|id: u8| id > 0))?;
        let families = families(rest, importer);
        let version = match self.version.or(global_version) {
            // keepalived has no version 2 for IPv6 either.
            _ if !families.contains(&Family::Ipv4) => Version::V3,
            Some("3") => Version::V3,
            _ => Version::V2,
        };
        let unicast = !self.paths.is_empty();
        let is_carried = |family: &Family| {
            let mut own = self.paths.iter().map(|(own, _)| Family::of(*own));
            let spoken = version == Version::V3 || *family == Family::Ipv4;
            spoken && (!unicast || own.any(|own| own == *family))
        };
        families.iter().any(is_carried).then_some(Router { version, id, unicast })
    }

    fn express_vrrp(&self, router: &Router<'_>, importer: &mut Importer<'_>) {
        let protocol = if router.version == Version::V2 { "vrrp2" } else { "vrrp3" };
        importer.set_global("heartbeat_protocol", protocol, self.line);
        importer.set_global("vrrp_id", router.id, self.line);
        importer.set_global("vrrp_priority", self.priority.unwrap_or("100"), self.line);
        if let Some(interface) = self.interface {
            importer.set_global("vrrp_interface", interface, self.line);
        }
        if router.unicast {
            importer.set_global("vrrp_unicast", "1", self.line);
        }
        let asked = self.interval.unwrap_or(1000);
        let interval = spoken(router.version, asked);
        if interval != asked {
            let reason = match router.version {
                Version::V2 => "VRRP version 2 has whole seconds, up to 255",
                Version::V3 => "VRRP version 3 has steps of 10 ms, up to 40.95 s",
            };
            importer.lost(self.interval_line, reason);
        }
        importer.set_global("keepalive", &duration(interval), self.line);
        self.authentication.inspect(|node| password(node, router.version, importer));
        let reason = "spoken to go together with keepalived: when both directors are ours, take \
                      `heartbeat_protocol` and what begins with `vrrp_` out, for faster takeovers";
        importer.replaced(self.line, reason);
    }

    fn express_pulse(&self, importer: &mut Importer<'_>) {
        // The partner counts as dead after three intervals and a part of one more.
        let interval = self.interval.unwrap_or(1000);
        importer.set_global("keepalive", &duration(interval), self.line);
        importer.set_global("deadtime", &duration(interval.saturating_mul(4)), self.line);
        let reason = "heartbeats are authenticated with the file in `heartbeat_key`";
        self.authentication.inspect(|node| lose(node, reason, importer));
        let reason = "VRRP needs a `virtual_router_id` of 1 to 255 and a service with a VIP that it \
                      can advertise: heartbeats are those of pulse";
        importer.lost(self.line, reason);
    }
}

/// The nearest interval that is not shorter and that can be said, in milliseconds.
fn spoken(version: Version, millis: u64) -> u64 {
    match version {
        Version::V2 => millis.div_ceil(1000).clamp(1, 255) * 1000,
        Version::V3 => millis.div_ceil(10).clamp(1, 4095) * 10,
    }
}

/// The password goes into a file, which nobody writes here.
fn password(node: &Node, version: Version, importer: &mut Importer<'_>) {
    let find = |word: &str| node.children.iter().find(|child| child.keyword() == word);
    let kind = find("auth_type").and_then(|child| child.word(1));
    match (version, kind) {
        (Version::V3, _) => lose(node, "VRRP version 3 has no password", importer),
        (Version::V2, Some("PASS")) => {
            let line = find("auth_pass").unwrap_or(node).line;
            importer.set_global("vrrp_auth", "/etc/sysconfig/ha/vrrp.password", line);
            let reason = "write the password into the file in `vrrp_auth`, readable for its owner \
                          only";
            importer.lost(line, reason);
        }
        (Version::V2, _) => lose(node, "of VRRP's passwords there is PASS only", importer),
    }
}

/// The address families of what moves between the directors.
fn families(rest: &Block, importer: &Importer<'_>) -> Vec<Family> {
    let vip = |block: &Block, directive| {
        let address = block.get(directive)?.split_whitespace().next()?.parse().ok()?;
        Some(Family::of(address))
    };
    let services = importer.draft.services.iter().map(|service| &service.block);
    let services = services.filter(|block| !block.has(Directive::Fwmark));
    let vips = services.filter_map(|block| vip(block, Directive::Address));
    vips.chain(vip(rest, Directive::NatRouter)).collect()
}
