//! `vrrp_instance`: what it says about addresses, roles and heartbeats.

use std::net::IpAddr;

use super::lose;
use super::read::Node;
use crate::config::import::importer::{Importer, Vip, duration, mask, milliseconds};

/// What the instances say about the pair.
#[derive(Default)]
struct Pair {
    line: usize,
    /// Whether this node is the primary, where that is said.
    primary: Option<bool>,
    /// Own address and partner's, one for each path.
    paths: Vec<(IpAddr, IpAddr)>,
    interval: Option<u64>,
    preempt: bool,
}

pub(super) fn instances(nodes: &[&Node], importer: &mut Importer<'_>) {
    let mut pair = Pair { preempt: true, ..Pair::default() };
    for node in nodes {
        if pair.line == 0 {
            pair.line = node.line;
        }
        instance(node, &mut pair, importer);
    }
    express(&pair, nodes.is_empty(), importer);
}

fn express(pair: &Pair, alone: bool, importer: &mut Importer<'_>) {
    if pair.primary.is_none() && !pair.paths.is_empty() {
        let reason = "no `state` says which node this is: it is taken for the backup";
        importer.replaced(pair.line, reason);
    }
    let ends = |&(own, partner)| match pair.primary {
        Some(true) => (own, partner),
        _ => (partner, own),
    };
    let mut paths = pair.paths.iter().map(ends);
    let (primary, backup) = paths.next().unzip();
    importer.pair(primary, backup, pair.line);
    if let Some((primary, backup)) = paths.next() {
        importer.set_global("primary_private", &primary.to_string(), pair.line);
        importer.set_global("backup_private", &backup.to_string(), pair.line);
    }
    if paths.next().is_some() {
        importer.lost(pair.line, "only two heartbeat paths can be expressed");
    }
    if alone {
        return;
    }
    // The partner counts as dead after three intervals and a part of one more.
    let interval = pair.interval.unwrap_or(1000);
    importer.set_global("keepalive", &duration(interval), pair.line);
    importer.set_global("deadtime", &duration(interval.saturating_mul(4)), pair.line);
    if pair.preempt {
        importer.set_global("failback", "1", pair.line);
    }
}

fn instance(node: &Node, pair: &mut Pair, importer: &mut Importer<'_>) {
    let find = |word: &str| node.children.iter().find(|child| child.keyword() == word);
    let interface = find("interface").and_then(|child| child.word(1)).unwrap_or("eth0");
    let own = find("unicast_src_ip").and_then(|child| child.word(1)?.parse().ok());
    for child in &node.children {
        match child.keyword() {
            "interface" => {}
            "unicast_src_ip" if own.is_some() => {}
            "state" => state(child, pair, importer),
            "virtual_ipaddress" => vips(child, interface, importer),
            "unicast_peer" => peers(child, own, pair, importer),
            "advert_int" => interval(child, pair, importer),
            "nopreempt" => pair.preempt = false,
            "preempt" => {}
            "track_interface" => {
                importer.set_global("monitor_links", "1", child.line);
                importer.replaced(child.line, "`monitor_links` watches the interfaces in use");
            }
            "notify_master" => command(child, "active_cmd", importer),
            "notify_backup" => command(child, "inactive_cmd", importer),
            _ => replaced_or_lost(child, importer),
        }
    }
}

/// Settings that are not needed here, and those there is nothing for.
fn replaced_or_lost(node: &Node, importer: &mut Importer<'_>) {
    let line = node.line;
    match node.keyword() {
        "virtual_router_id" => importer.replaced(line, "a pair is known by its addresses"),
        "priority" => importer.replaced(line, "there are two roles: primary and backup"),
        "version" | "native_ipv6" => importer.replaced(line, "heartbeats are those of pulse"),
        "authentication" => {
            lose(node, "heartbeats are authenticated with the file in `heartbeat_key`", importer);
        }
        word if word.starts_with("garp") => {
            importer.replaced(line, "announcements are repeated and refreshed without it");
        }
        "preempt_delay" => {
            importer.lost(line, "a primary that takes back waits until its checks are done");
        }
        _ => lose(node, "lvs.cf has nothing like it for heartbeats", importer),
    }
}

fn state(node: &Node, pair: &mut Pair, importer: &mut Importer<'_>) {
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

fn interval(node: &Node, pair: &mut Pair, importer: &mut Importer<'_>) {
    match node.word(1).and_then(milliseconds).filter(|interval| *interval > 0) {
        None => importer.lost(node.line, "no interval can be read here"),
        Some(new) if pair.interval.is_some_and(|before| before != new) => {
            importer.lost(node.line, "another instance has another interval; there is one");
        }
        Some(new) => pair.interval = Some(new),
    }
}

fn command(node: &Node, directive: &str, importer: &mut Importer<'_>) {
    importer.set_global(directive, node.word(1).unwrap_or_default(), node.line);
    if node.words.len() > 2 {
        importer.lost(node.line, "commands run as the daemon's own user");
    }
}

fn peers(node: &Node, own: Option<IpAddr>, pair: &mut Pair, importer: &mut Importer<'_>) {
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
