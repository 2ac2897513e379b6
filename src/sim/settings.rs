//! What a director's configuration says, and how it is changed while it runs.

use std::time::Duration;

use super::cluster::{Cluster, Event, NodeId, Violation};
use super::machines;
use super::node::Player;
use super::random::Random;
use super::scenario::{Pair, Scenario};

/// What a change of the configuration changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Settings {
    /// How many times slower than the scenario's its timers are.
    pub(super) slowness: u32,
    pub(super) priority: u8,
    /// Which of the sets of addresses.
    pub(super) addresses: usize,
    /// How many heartbeat paths, from its next start on.
    pub(super) paths: u8,
    /// How far it is in changing keys: accept the next one, seal with it, forget the last one.
    pub(super) keys: u32,
}

/// Steps of one change of keys.
pub(super) const KEY_STEPS: u32 = 3;

impl Default for Settings {
    fn default() -> Self {
        Self { slowness: 1, priority: 100, addresses: 0, paths: 2, keys: 0 }
    }
}

impl Settings {
    /// What `scenario` begins with.
    pub(super) fn of(scenario: &Scenario) -> Self {
        Self { paths: scenario.paths, ..Self::default() }
    }

    /// Other ones, as far as the protocol of `scenario` lets a running director change.
    fn other(self, scenario: &Scenario, random: &mut Random) -> Self {
        let drawn = Self {
            slowness: [1, 1, 2, 5][index(random, 4)],
            priority: [1, 100, 200][index(random, 3)],
            addresses: index(random, machines::ADDRESSES),
            paths: [1, scenario.paths][index(random, 2)],
            keys: self.keys,
        };
        // Version 1 does not say how often it speaks.
        if scenario.pair == Pair::V2 { drawn } else { Self { slowness: 1, ..drawn } }
    }
}

fn index(random: &mut Random, bound: u64) -> usize {
    usize::try_from(random.below(bound)).unwrap_or(0)
}

impl Cluster {
    /// Changes the configuration of `node`, and that of the other one some time later.
    pub(super) fn reload_one_first(
        &mut self,
        node: NodeId,
        span: Duration,
    ) -> Result<(), Violation> {
        if self.scenario.keyed && self.random.chance(50) {
            return self.advance_keys();
        }
        let settings = self.nodes[node].settings.other(&self.scenario, &mut self.random);
        self.reload(node, settings)?;
        self.schedule(span, Event::Reload { node: 1 - node, settings });
        Ok(())
    }

    /// Takes the next step of changing keys, on the node that is behind.
    fn advance_keys(&mut self) -> Result<(), Violation> {
        // Whoever sleeps reads no file, and keys may be a step apart.
        if self.nodes.iter().any(|node| node.paused) {
            return Ok(());
        }
        let behind = usize::from(self.nodes[1].settings.keys < self.nodes[0].settings.keys);
        let mut settings = self.nodes[behind].settings;
        settings.keys += 1;
        self.reload(behind, settings)
    }

    /// Has `node` read a file with `settings`, now or when it runs again.
    pub(super) fn reload(&mut self, node: NodeId, settings: Settings) -> Result<(), Violation> {
        self.note(|| format!("lb{} reads {settings:?}", node + 1));
        // Keys are files of their own.
        let keys = settings.keys.max(self.nodes[node].settings.keys);
        let settings = Settings { keys, ..settings };
        self.slowest = self.slowest.max(settings.slowness);
        self.nodes[node].settings = settings;
        self.read_again(node)
    }

    /// Has a running director take what its file says.
    pub(super) fn read_again(&mut self, node: NodeId) -> Result<(), Violation> {
        let now = self.nodes[node].clock.at(self.now);
        let Some(Player::Ours(machine)) = &mut self.nodes[node].player else {
            return Ok(());
        };
        if self.nodes[node].paused {
            return Ok(());
        }
        let paths = self.nodes[node].paths;
        let settings = Settings { paths, ..self.nodes[node].settings };
        let builder = machine.machine().config().to_builder();
        let config = machines::settle(&self.scenario, builder, settings);
        let taken = machine.handle_config(now, config);
        self.require(taken.is_ok(), || format!("lb{} refuses a reload: {taken:?}", node + 1))?;
        self.drain(node, || "reload".to_owned())
    }
}
