//! keepalived.conf.

mod check;
mod notify;
mod probe;
mod read;
mod server;
mod surplus;
mod track;
mod vrrp;

use std::collections::{BTreeMap, BTreeSet};

use super::importer::Importer;
use read::Node;
use track::Tracked;

pub(super) fn import(importer: &mut Importer<'_>) {
    let nodes = read::read(importer);
    let globals = nodes.iter().filter(|node| node.keyword() == "global_defs");
    let globals: Vec<_> = globals.flat_map(|node| &node.children).collect();
    let find = |word: &str| globals.iter().find(|node| node.keyword() == word).copied();
    let script_user = find("script_user");
    let user = script_user.and_then(|node| node.word(1));
    let instances: Vec<_> = nodes.iter().filter(|node| node.keyword() == "vrrp_instance").collect();
    let mut tracked = Tracked::read(&nodes, user);
    let pair = vrrp::instances(&instances, &mut tracked, importer);
    for node in nodes.iter().filter(|node| node.keyword() == "vrrp_sync_group") {
        sync_group(node, &mut tracked, importer);
    }
    tracked.finish(importer);
    globals.iter().for_each(|node| global(node, importer));
    notify::mail(&globals, importer);
    let nat = services(&nodes, script_user, importer);
    vrrp::unused_vips(nat, importer);
    pair.express(find("vrrp_version").and_then(|node| node.word(1)), importer);
    user.inspect(|user| notify::run_all_as(user, importer));
}

/// Everything but the instances and groups; returns whether a service is by NAT.
fn services(nodes: &[Node], script_user: Option<&Node>, importer: &mut Importer<'_>) -> bool {
    let groups: BTreeMap<&str, &Node> = nodes
        .iter()
        .filter(|node| node.keyword() == "virtual_server_group")
        .filter_map(|node| Some((node.word(1)?, node)))
        .collect();
    let servers = nodes.iter().filter(|node| node.keyword() == "virtual_server");
    let used_groups: BTreeSet<&str> = servers
        .filter(|node| node.word(1) == Some("group"))
        .filter_map(|node| node.word(2))
        .collect();
    let mut nat = false;
    for node in nodes {
        if matches!(node.keyword(), "virtual_server" | "vrrp_instance") {
            surplus::list(node, importer);
        }
        match node.keyword() {
            "global_defs" | "vrrp_instance" | "vrrp_sync_group" => {}
            "virtual_server_group" => {
                let name = node.word(1).unwrap_or_default();
                if !used_groups.contains(name) {
                    lose(node, "no virtual_server uses this group", importer);
                }
            }
            "virtual_server" => nat |= server::virtual_server(node, &groups, script_user, importer),
            _ if track::is_definition(node) => {}
            word if word.starts_with("include") => {
                lose(node, "other files are not read: import them on their own", importer);
            }
            _ => lose(node, "lvs.cf has nothing like it", importer),
        }
    }
    nat
}

/// All addresses of a node are one group.
fn sync_group<'a>(node: &'a Node, tracked: &mut Tracked<'a>, importer: &mut Importer<'_>) {
    importer.replaced(node.line, "all addresses of a node move together, always");
    for child in &node.children {
        let known = notify::of_state(child, node, importer) || tracked.track(child, importer);
        match child.keyword() {
            _ if known => {}
            "group" | "global_tracking" | "sync_group_tracking_weight" => {}
            _ => lose(child, "there is no such setting of a group", importer),
        }
    }
}

fn global(node: &Node, importer: &mut Importer<'_>) {
    match node.keyword() {
        _ if notify::of_globals(node, importer) => {}
        "vrrp_version" => {}
        "lvs_timeouts" => timeouts(node, importer),
        "lvs_sync_daemon" => sync_daemon(node, importer),
        "router_id" | "lvs_id" => importer.replaced(node.line, "nodes go by their addresses"),
        "enable_script_security" => {
            importer.replaced(node.line, "a check's program cannot gain privileges in any case");
        }
        "script_user" => {
            importer.replaced(node.line, "programs run as it, in its own group");
        }
        word if word.starts_with("vrrp_garp") || word.starts_with("vrrp_gna") => {
            importer.replaced(node.line, "announcements are repeated and refreshed without it");
        }
        _ => lose(node, "there is no such setting", importer),
    }
}

fn timeouts(node: &Node, importer: &mut Importer<'_>) {
    for pair in node.rest().chunks(2) {
        match pair {
            [kind, value] if matches!(kind.as_str(), "tcp" | "tcpfin" | "udp") => {
                importer.set_global(&format!("{kind}_timeout"), value, node.line);
            }
            _ => importer.lost(node.line, "expected tcp, tcpfin or udp, and seconds"),
        }
    }
}

fn sync_daemon(node: &Node, importer: &mut Importer<'_>) {
    importer.set_global("syncdaemon", "1", node.line);
    if let Some(interface) = node.word(1) {
        importer.set_global("syncd_iface", interface, node.line);
    }
    let mut options = node.words.iter().skip(3);
    while let Some(option) = options.next() {
        match (option.as_str(), options.next()) {
            (option @ ("id" | "maxlen" | "port" | "ttl" | "group"), Some(value)) => {
                importer.set_global(&format!("syncd_{option}"), value, node.line);
            }
            _ => importer
                .lost(node.line, format!("there is no `{option}` for connection synchronisation")),
        }
    }
}

/// Lists a statement as lost, and everything that stands in its block.
fn lose(node: &Node, reason: &str, importer: &mut Importer<'_>) {
    importer.lost(node.line, reason);
    for child in node.children.iter().filter(|child| child.line != node.line) {
        lose(child, reason, importer);
    }
}
