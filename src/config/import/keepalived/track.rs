//! `track_*`: what has to be in order on a director.

use std::collections::{BTreeMap, BTreeSet};

use super::read::Node;
use super::{lose, probe};
use crate::config::import::importer::{Importer, duration, milliseconds};

/// A guard fails or it does not.
const NO_WEIGHT: &str = "what fails sends the service away; priorities are not changed";

/// What there is to track, and what of it an instance or a group tracks.
#[derive(Default)]
pub(super) struct Tracked<'a> {
    defined: BTreeMap<(Kind, &'a str), &'a Node>,
    used: BTreeSet<(Kind, &'a str)>,
    interval: Option<u64>,
    user: Option<&'a str>,
}

#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Interface,
    Script,
    File,
    Process,
}

impl<'a> Tracked<'a> {
    /// Those that `nodes`, the statements outside of blocks, define. `user` runs commands that name
    /// none.
    pub(super) fn read(nodes: &'a [Node], user: Option<&'a str>) -> Self {
        let defined =
            nodes.iter().filter_map(|node| Some(((definition(node)?, node.word(1)?), node)));
        Self { defined: defined.collect(), user, ..Self::default() }
    }

    /// Takes in a `track_*` block of an instance or a group, if this is one.
    pub(super) fn track(&mut self, node: &'a Node, importer: &mut Importer<'_>) -> bool {
        let kind = match node.keyword() {
            "track_interface" => Kind::Interface,
            "track_script" => Kind::Script,
            "track_file" => Kind::File,
            "track_process" => Kind::Process,
            _ => return false,
        };
        for child in &node.children {
            if child.word(1) == Some("weight") && child.word(2) != Some("0") {
                importer.lost(child.line, NO_WEIGHT);
            }
            if self.used.insert((kind, child.keyword())) {
                self.express(kind, child, importer);
            }
        }
        true
    }

    /// Says how often things are looked at and by whom, and lists what nothing tracks.
    pub(super) fn finish(self, importer: &mut Importer<'_>) {
        if let Some(interval) = self.interval {
            importer.set_global("track_interval", &duration(interval), 0);
        }
        let commands = self.used.iter().any(|(kind, _)| *kind == Kind::Script);
        if let Some(user) = self.user.filter(|_| commands) {
            importer.set_global("track_user", user, 0);
        }
        for (_, node) in self.defined.iter().filter(|(key, _)| !self.used.contains(key)) {
            lose(node, "no instance tracks it", importer);
        }
    }

    fn express(&mut self, kind: Kind, used: &'a Node, importer: &mut Importer<'_>) {
        let name = used.keyword();
        if kind == Kind::Interface {
            return importer.add_global("track_interface", name, used.line);
        }
        let Some(node) = self.defined.get(&(kind, name)).copied() else {
            return importer.lost(used.line, "nothing of this name is defined");
        };
        for child in &node.children {
            match kind {
                Kind::Script => self.script(child, importer),
                Kind::File => file(child, importer),
                Kind::Process | Kind::Interface => process(child, importer),
            }
        }
    }

    fn script(&mut self, node: &'a Node, importer: &mut Importer<'_>) {
        let line = node.line;
        match node.keyword() {
            "script" => match probe::plain(&node.rest().join(" ")) {
                Ok(command) => importer.add_global("track_command", command, line),
                Err(reason) => importer.lost(line, reason),
            },
            "interval" => self.interval(node, importer),
            "user" => self.run_as(node, importer),
            "timeout" => {
                importer.replaced(line, "it may take `track_interval`, or 5 s if that is longer");
            }
            "rise" => importer.replaced(line, "a guard is in order again after `deadtime`"),
            "fall" if node.word(1) == Some("1") => {}
            "fall" => importer.lost(line, "a guard fails at once"),
            _ => setting(node, importer),
        }
    }

    fn interval(&mut self, node: &Node, importer: &mut Importer<'_>) {
        let Some(interval) = node.word(1).and_then(milliseconds).filter(|time| *time > 0) else {
            return importer.lost(node.line, "no interval can be read here");
        };
        if self.interval.is_some_and(|known| known != interval) {
            importer.replaced(node.line, "all are looked at in the shortest interval");
        }
        self.interval = Some(self.interval.map_or(interval, |known| known.min(interval)));
    }

    fn run_as(&mut self, node: &'a Node, importer: &mut Importer<'_>) {
        let user = node.word(1).unwrap_or_default();
        if self.user.replace(user).is_some_and(|known| known != user) {
            importer.lost(node.line, "all commands run as the user named last");
        }
        if node.word(2).is_some() {
            importer.lost(node.line, "a program runs in the group of its user");
        }
    }
}

/// What `node` defines, outside of blocks.
pub(super) fn is_definition(node: &Node) -> bool {
    definition(node).is_some()
}

fn definition(node: &Node) -> Option<Kind> {
    Some(match node.keyword() {
        "vrrp_script" => Kind::Script,
        "vrrp_track_file" | "track_file" => Kind::File,
        "vrrp_track_process" | "track_process" => Kind::Process,
        _ => return None,
    })
}

fn file(node: &Node, importer: &mut Importer<'_>) {
    match node.keyword() {
        "file" => importer.add_global("track_file", node.word(1).unwrap_or_default(), node.line),
        "init_file" => importer.lost(node.line, "the file is not written"),
        _ => setting(node, importer),
    }
}

fn process(node: &Node, importer: &mut Importer<'_>) {
    let line = node.line;
    match node.keyword() {
        "process" => {
            let path = node.word(1).unwrap_or_default();
            let name = path.rsplit('/').next().unwrap_or_default();
            importer.add_global("track_process", name, line);
            if node.word(2).is_some() {
                importer.lost(line, "a process is known by its program, not by its arguments");
            }
        }
        "quorum" if node.word(1) == Some("1") => {}
        "quorum" | "quorum_max" => importer.lost(line, "one such process is enough"),
        "delay" | "terminate_delay" | "fork_delay" => importer.lost(line, "a guard fails at once"),
        _ => setting(node, importer),
    }
}

/// What several kinds have.
fn setting(node: &Node, importer: &mut Importer<'_>) {
    match node.keyword() {
        "weight" if node.word(1) == Some("0") => {}
        "weight" => importer.lost(node.line, NO_WEIGHT),
        _ => lose(node, "lvs.cf has nothing like it for a guard", importer),
    }
}
