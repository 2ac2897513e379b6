//! `virtual_server` and `real_server`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::check::{Check, Timing};
use super::lose;
use super::read::Node;
use crate::config::import::importer::Importer;
use crate::config::import::service::{Server, Service, Target};
use crate::config::{Directive, draft};
use crate::net::{Family, Protocol};

/// More addresses than one range of a group may have.
const MAX_RANGE: u32 = 1024;

/// What keepalived takes where no time is said, in seconds.
const PERSISTENCE: &str = "360";

const FLAGS: [&str; 7] =
    ["flag-1", "flag-2", "flag-3", "sh-fallback", "sh-port", "mh-fallback", "mh-port"];

/// Expresses a service, or one for each member of its group. Says whether it uses NAT.
pub(super) fn virtual_server(
    node: &Node,
    groups: &BTreeMap<&str, &Node>,
    script_user: Option<&Node>,
    importer: &mut Importer<'_>,
) -> bool {
    let protocol = protocol(node, importer);
    let family = node.children.iter().find(|child| child.keyword() == "ip_family");
    let family = family.map(|child| match child.word(1) {
        Some("inet6") => Family::Ipv6,
        _ => Family::Ipv4,
    });
    let targets = targets(node, groups, protocol, family, importer);
    let Some(first) = targets.first() else {
        return false;
    };
    let mut service = service(node, first.clone(), importer);
    let own_user = service.has(Directive::CheckUser) || !service.has(Directive::SendProgram);
    if let Some(user) = script_user.filter(|_| !own_user) {
        service.set("check_user", user.word(1).unwrap_or_default(), user.line, importer);
    }
    let nat = service.forwarding == "nat";
    if targets.len() > 1 {
        let reason = "a group becomes one service for each of its members, each with its checks";
        importer.replaced(node.line, reason);
    }
    for target in targets {
        let mut service = service.with_target(target);
        any_port(&mut service, importer);
        service.express(importer);
    }
    nat
}

/// What keepalived does on its own for a service of every port, and with the ports of servers of
/// a mark.
fn any_port(service: &mut Service, importer: &mut Importer<'_>) {
    let line = service.line;
    match service.target {
        Target::Address(_, address)
            if address.port() == 0 && !service.has(Directive::Persistent) =>
        {
            service.set("persistent", PERSISTENCE, line, importer);
            importer.replaced(line, "every port needs persistence, which keepalived adds, too");
        }
        Target::Mark(..) => marked_ports(service, importer),
        Target::Address(..) => {}
    }
}

/// keepalived leaves the ports of marked packets alone: those of the servers are for checks.
fn marked_ports(service: &mut Service, importer: &mut Importer<'_>) {
    let first = service.servers.first().map(|server| server.address.port());
    for server in &mut service.servers {
        if Some(server.address.port()) != first {
            importer.lost(server.line, "all servers of a service are checked on one port");
        }
        server.address.set_port(0);
    }
    let line = service.line;
    if let Some(port) = first.filter(|port| *port != 0 && !service.has(Directive::CheckPort)) {
        service.set("check_port", &port.to_string(), line, importer);
    }
}

fn protocol(node: &Node, importer: &mut Importer<'_>) -> Protocol {
    let Some(child) = node.children.iter().find(|child| child.keyword() == "protocol") else {
        if node.word(1) != Some("fwmark") {
            importer.replaced(node.line, "no protocol is said, which is UDP to keepalived");
        }
        return Protocol::Udp;
    };
    match child.word(1).unwrap_or_default().to_ascii_lowercase().parse() {
        Ok(protocol) => protocol,
        Err(_) => {
            importer.lost(child.line, "there are TCP, UDP and SCTP; TCP is taken");
            Protocol::Tcp
        }
    }
}

fn targets(
    node: &Node,
    groups: &BTreeMap<&str, &Node>,
    protocol: Protocol,
    family: Option<Family>,
    importer: &mut Importer<'_>,
) -> Vec<Target> {
    let targets = match (node.word(1), node.word(2)) {
        (Some("group"), Some(name)) => match groups.get(name) {
            Some(group) => return members(group, protocol, family, importer),
            None => None,
        },
        (Some("fwmark"), Some(mark)) => mark.parse().ok().map(|mark| Target::Mark(mark, family)),
        (Some(address), port) => address_port(address, port).map(|a| Target::Address(protocol, a)),
        (None, _) => None,
    };
    if targets.is_none() {
        lose(node, "no address, mark or group can be read here", importer);
    }
    Vec::from_iter(targets)
}

fn members(
    group: &Node,
    protocol: Protocol,
    family: Option<Family>,
    importer: &mut Importer<'_>,
) -> Vec<Target> {
    let mut targets = Vec::new();
    for member in &group.children {
        if member.keyword() == "fwmark" {
            match member.word(1).and_then(|mark| mark.parse().ok()) {
                Some(mark) => targets.push(Target::Mark(mark, family)),
                None => importer.lost(member.line, "no mark can be read here"),
            }
            continue;
        }
        let (first, count) = range(member.keyword());
        match address_port(first, member.word(1)) {
            Some(first) if count <= MAX_RANGE => {
                let addresses = (0..count).filter_map(|offset| plus(first, offset));
                targets.extend(addresses.map(|address| Target::Address(protocol, address)));
            }
            _ => importer.lost(member.line, "no address, or too long a range of them"),
        }
    }
    targets
}

/// The first address of `192.0.2.1-10`, and how many there are.
fn range(text: &str) -> (&str, u32) {
    let Some((first, last)) = text.split_once('-') else {
        return (text, 1);
    };
    let (separator, radix) = if text.contains(':') { (':', 16) } else { ('.', 10) };
    let number = |text: &str| u32::from_str_radix(text, radix).ok();
    let begin = first.rsplit(separator).next().and_then(number);
    let count = begin.zip(number(last)).and_then(|(begin, end)| end.checked_sub(begin));
    (first, count.map_or(u32::MAX, |count| count.saturating_add(1)))
}

fn plus(address: SocketAddr, offset: u32) -> Option<SocketAddr> {
    let ip: IpAddr = match address.ip() {
        IpAddr::V4(ip) => u32::from(ip).checked_add(offset)?.to_be_bytes().into(),
        IpAddr::V6(ip) => u128::from(ip).checked_add(offset.into())?.to_be_bytes().into(),
    };
    Some(SocketAddr::new(ip, address.port()))
}

fn address_port(address: &str, port: Option<&str>) -> Option<SocketAddr> {
    let port = port.map_or(Some(0), |port| port.parse().ok())?;
    Some(SocketAddr::new(address.parse().ok()?, port))
}

fn service(node: &Node, target: Target, importer: &mut Importer<'_>) -> Service {
    let mut service = Service::new(node.line, target);
    let mut timing = Timing::default();
    for child in &node.children {
        match child.keyword() {
            "protocol" | "ip_family" | "real_server" => {}
            "lb_kind" | "lvs_method" => match method(child, &mut service.block, importer) {
                Some(method) => service.forwarding = method,
                None => importer.lost(child.line, "there are NAT, DR and TUN"),
            },
            _ if timing.read(child, importer) => {}
            _ => setting(child, &mut service, importer),
        }
    }
    scheduler_flags(node, &mut service, importer);
    quorum(node, &mut service, importer);
    timing.set(node.line, &mut service, importer);
    let mut check = None;
    for child in node.children.iter().filter(|child| child.keyword() == "real_server") {
        real_server(child, &mut service, &mut check, timing, importer);
    }
    Check::finish(check, &mut service, importer);
    service
}

/// The forwarding method; the kind of tunnel goes into `block`.
fn method(
    node: &Node,
    block: &mut draft::Block,
    importer: &mut Importer<'_>,
) -> Option<&'static str> {
    let mut options = node.words.iter().skip(2);
    while let Some(option) = options.next() {
        match option.as_str() {
            "type" => {
                let kind = options.next().map(String::as_str).unwrap_or_default();
                if kind != "ipip" {
                    importer.set(block, "tunnel_type", kind, node.line);
                }
            }
            "port" => {
                let port = options.next().map(String::as_str).unwrap_or_default();
                importer.set(block, "tunnel_port", port, node.line);
            }
            "nocsum" => importer.set(block, "tunnel_checksum", "none", node.line),
            sum @ ("csum" | "remcsum") => {
                importer.set(block, "tunnel_checksum", sum, node.line);
            }
            _ => importer.lost(node.line, format!("`{option}` is no kind of tunnel")),
        }
    }
    match node.word(1)?.to_ascii_uppercase().as_str() {
        "NAT" => Some("nat"),
        "DR" => Some("direct"),
        "TUN" => Some("tunnel"),
        _ => None,
    }
}

/// A setting of the service that has nothing to do with its checks.
fn setting(node: &Node, service: &mut Service, importer: &mut Importer<'_>) {
    let line = node.line;
    let value = node.word(1).unwrap_or_default();
    match node.keyword() {
        "lb_algo" | "lvs_sched" => service.set("scheduler", value, line, importer),
        "persistence_timeout" => {
            let value = if value.is_empty() { PERSISTENCE } else { value };
            service.set("persistent", value, line, importer);
        }
        "persistence_granularity" => service.set("pmask", value, line, importer),
        "ops" => service.set("one_packet", "1", line, importer),
        "sorry_server" => sorry_server(node, service, importer),
        "inhibit_on_failure" => service.set("quiesce_server", "1", line, importer),
        "virtualhost" => service.set("http_host", value, line, importer),
        "quorum" | "hysteresis" => {}
        "alpha" => importer.replaced(line, "a server takes connections from its first verdict on"),
        "ha_suspend" => importer.replaced(line, "checks run on the standby, to be warm"),
        word if FLAGS.contains(&word) => {}
        "omega" | "quorum_up" | "quorum_down" => {
            lose(node, "no commands are run for a service", importer)
        }
        "persistence_engine" => service.engine = Some((line, value.to_owned())),
        _ => lose(node, "lvs.cf has nothing like it for a service", importer),
    }
}

/// keepalived's hysteresis holds both ways: it loses a quorum so much below, and gains it so much
/// above. It is always less than the quorum.
fn quorum(node: &Node, service: &mut Service, importer: &mut Importer<'_>) {
    let said = |keyword| node.children.iter().rfind(|child| child.keyword() == keyword);
    let number = |child: &Node| child.word(1).and_then(|word| word.parse::<u32>().ok());
    let least = said("quorum").map_or(Some(1), number);
    let most = least.unwrap_or(1).saturating_sub(1);
    let hysteresis = said("hysteresis");
    let around = hysteresis.and_then(number).unwrap_or(0).min(most);
    if let Some(other) = hysteresis.filter(|child| number(child) != Some(around)) {
        lose(other, "a hysteresis is a number below the quorum", importer);
    }
    let Some(quorum) = said("quorum") else {
        return;
    };
    match least {
        Some(1) => {}
        Some(least) if around > 0 => {
            service.set("quorum", &(least - around).to_string(), quorum.line, importer);
            let twice = around.saturating_mul(2).to_string();
            service.set("hysteresis", &twice, quorum.line, importer);
            let reason =
                "a hysteresis counts from where the quorum is lost, which is that much lower";
            importer.replaced(quorum.line, reason);
        }
        _ => service.set("quorum", quorum.word(1).unwrap_or_default(), quorum.line, importer),
    }
}

fn scheduler_flags(node: &Node, service: &mut Service, importer: &mut Importer<'_>) {
    let flags = node.children.iter().filter(|child| FLAGS.contains(&child.keyword()));
    let words: Vec<_> = flags.clone().map(Node::keyword).collect();
    if let Some(first) = flags.clone().next() {
        service.set("scheduler_flags", &words.join(" "), first.line, importer);
    }
}

fn sorry_server(node: &Node, service: &mut Service, importer: &mut Importer<'_>) {
    let address = node.word(1).and_then(|address| address_port(address, node.word(2)));
    match address {
        Some(address) if address.port() == 0 => {
            service.set("sorry_server", &address.ip().to_string(), node.line, importer);
        }
        Some(address) => service.set("sorry_server", &address.to_string(), node.line, importer),
        None => importer.lost(node.line, "no address can be read here"),
    }
    for child in &node.children {
        lose(child, "a sorry server has no settings of its own", importer);
    }
}

fn real_server(
    node: &Node,
    service: &mut Service,
    check: &mut Option<Check>,
    timing: Timing,
    importer: &mut Importer<'_>,
) {
    let Some(address) = node.word(1).and_then(|address| address_port(address, node.word(2))) else {
        return lose(node, "no address can be read here", importer);
    };
    let mut server = Server::new(node.line, address);
    let mut own_check = false;
    for child in &node.children {
        if Check::is_one(child) {
            if std::mem::replace(&mut own_check, true) {
                lose(child, "a server has one check", importer);
            } else {
                Check::of_server(child, check, address, timing, service, importer);
            }
            continue;
        }
        server_setting(child, &mut server, service, importer);
    }
    if !own_check && check.is_some() {
        let reason = "all servers of a service are checked in one way: this one is checked like \
                      the others";
        importer.replaced(node.line, reason);
    }
    service.servers.push(server);
}

fn server_setting(
    node: &Node,
    server: &mut Server,
    service: &mut Service,
    importer: &mut Importer<'_>,
) {
    let line = node.line;
    let value = node.word(1).unwrap_or_default();
    match node.keyword() {
        "weight" => importer.set(&mut server.block, "weight", value, line),
        "uthreshold" => importer.set(&mut server.block, "u_threshold", value, line),
        "lthreshold" => importer.set(&mut server.block, "l_threshold", value, line),
        "lb_kind" | "lvs_method" => server.forwarding = method(node, &mut server.block, importer),
        "inhibit_on_failure" if !service.has(Directive::QuiesceServer) => {
            service.set("quiesce_server", "1", line, importer);
            importer.replaced(line, "it holds for all servers of the service");
        }
        "inhibit_on_failure" => {}
        "alpha" => importer.replaced(line, "a server takes connections from its first verdict on"),
        "virtualhost" => service.set("http_host", value, line, importer),
        "notify_up" | "notify_down" => lose(node, "no commands are run for a server", importer),
        "delay_loop" => importer.lost(line, "the interval of checks is that of the service"),
        _ => lose(node, "lvs.cf has nothing like it for a server", importer),
    }
}
