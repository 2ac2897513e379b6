//! `notify*`, `smtp*`, `notification*`: who is told of events.

use super::lose;
use super::read::Node;
use crate::config::draft::Block;
use crate::config::import::importer::Importer;
use crate::config::{Directive, Scope};

/// Takes in what an instance or a group (`owner`) says about commands on a change of state, if
/// `node` does.
pub(super) fn of_state(node: &Node, owner: &Node, importer: &mut Importer<'_>) -> bool {
    match node.keyword() {
        "notify_master" => command(node, "active_cmd", importer),
        "notify_backup" => command(node, "inactive_cmd", importer),
        "notify_fault" | "notify_stop" => at_the_end(node, owner, importer),
        "notify" => script(node, owner, importer),
        "notify_master_rx_lower_pri" | "notify_deleted" | "notify_priority_changes" => {
            importer.lost(node.line, "nobody is told of that");
        }
        "smtp_alert" => {
            importer.replaced(node.line, "`notify_mail` and `notify_filter` say what is mailed");
        }
        _ => return false,
    }
    true
}

/// Takes in what stands in `global_defs`, if it is about that.
pub(super) fn of_globals(node: &Node, importer: &mut Importer<'_>) -> bool {
    match node.keyword() {
        "notify_fifo" | "vrrp_notify_fifo" | "lvs_notify_fifo" => fifo(node, importer),
        word if word.ends_with("notify_fifo_script") => {
            importer.lost(node.line, "who reads the pipe is started by itself");
        }
        "smtp_alert" | "smtp_alert_vrrp" | "smtp_alert_checker" => {
            importer.replaced(node.line, "`notify_mail` and `notify_filter` say what is mailed");
        }
        "smtp_connect_timeout" => importer.replaced(node.line, "`notify_timeout` is for that"),
        "notification_email" | "notification_email_from" | "smtp_server" => {}
        _ => return false,
    }
    true
}

/// Mail goes out where receivers, sender and relay are known, or not at all.
pub(super) fn mail(globals: &[&Node], importer: &mut Importer<'_>) {
    let find = |word: &str| globals.iter().find(|node| node.keyword() == word).copied();
    let parts = ["notification_email", "notification_email_from", "smtp_server"].map(find);
    let [Some(receivers), Some(sender), Some(relay)] = parts else {
        let reason = "mail needs `notification_email`, `notification_email_from` and `smtp_server`";
        return parts.into_iter().flatten().for_each(|node| lose(node, reason, importer));
    };
    let inside = receivers.children.iter().flat_map(|child| &child.words);
    let all: Vec<_> = receivers.rest().iter().chain(inside).map(String::as_str).collect();
    let mut block = Block::new(Scope::Global);
    let mut set = |name, value: &str, line| importer.try_set(&mut block, name, value, line);
    let set = set("notify_mail", &all.join(", "), receivers.line)
        && set("notify_from", sender.word(1).unwrap_or_default(), sender.line)
        && set("notify_smtp", &address(relay), relay.line)
        && set("notify_smtp_tls", "off", relay.line);
    if set {
        importer.draft.global.append(block);
        importer.replaced(relay.line, "keepalived mails in clear: see `notify_smtp_tls`");
    }
}

/// Programs that name no user run as `user`, if there are any.
pub(super) fn run_all_as(user: &str, importer: &mut Importer<'_>) {
    let programs = [Directive::ActiveCmd, Directive::InactiveCmd, Directive::NotifyCommand];
    let global = &importer.draft.global;
    if programs.iter().any(|one| global.has(*one)) && !global.has(Directive::NotifyUser) {
        importer.set_global("notify_user", user, 0);
    }
}

/// `HOST [PORT]`
fn address(relay: &Node) -> String {
    let host = relay.word(1).unwrap_or_default();
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    relay.word(2).map_or(host.clone(), |port| format!("{host}:{port}"))
}

fn command(node: &Node, directive: &str, importer: &mut Importer<'_>) {
    let another = "one command runs then, and another one is named above";
    importer.agree_global(directive, node.word(1).unwrap_or_default(), node.line, another);
    run_as(node, importer);
}

/// `inactive_cmd` runs at the end of being active, whatever it is.
fn at_the_end(node: &Node, owner: &Node, importer: &mut Importer<'_>) {
    let backup = owner.children.iter().find(|child| child.keyword() == "notify_backup");
    if backup.is_some_and(|backup| backup.word(1) == node.word(1)) {
        importer.replaced(node.line, "`inactive_cmd` runs then, too");
    } else {
        importer.lost(node.line, "`notify_command` has a program told of FAULT and STOP");
    }
}

fn script(node: &Node, owner: &Node, importer: &mut Importer<'_>) {
    importer.add_global("notify_command", node.word(1).unwrap_or_default(), node.line);
    let another = "it is told once, by the name of another instance";
    let name = owner.word(1).unwrap_or_default();
    importer.agree_global("notify_name", name, node.line, another);
    if owner.keyword() == "vrrp_sync_group" {
        importer.replaced(node.line, "the first argument is INSTANCE, not GROUP");
    }
    run_as(node, importer);
}

fn run_as(node: &Node, importer: &mut Importer<'_>) {
    if let Some(user) = node.word(2) {
        let another = "all programs run as one user, and another one is named above";
        importer.agree_global("notify_user", user, node.line, another);
    }
    if node.word(3).is_some() {
        importer.lost(node.line, "a program runs in the group of its user");
    }
}

fn fifo(node: &Node, importer: &mut Importer<'_>) {
    importer.add_global("notify_fifo", node.word(1).unwrap_or_default(), node.line);
    if node.keyword() != "notify_fifo" {
        importer.replaced(node.line, "the pipe gets lines about this node and about servers");
    }
    if node.word(2).is_some() {
        importer.lost(node.line, "the pipe belongs to root, and the group of `notify_user`");
    }
}
