//! The larger things that go wrong, and their end.

use std::time::Duration;

use crate::failover::Command;

use super::cluster::{Cluster, Event, NodeId, Violation};
use super::scenario::Scenario;
use super::settings::Settings;

/// The kinds of larger faults.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Crash,
    Pause,
    Partition,
    OneWay,
    DataPlane,
    HandOver,
    Stop,
    Guards,
    Maintenance,
    Jump,
    Reload,
    Cold,
    Removal,
}

/// In the order in which seeds choose among them.
const KINDS: [Kind; 13] = [
    Kind::Crash,
    Kind::Pause,
    Kind::Partition,
    Kind::OneWay,
    Kind::DataPlane,
    Kind::HandOver,
    Kind::Stop,
    Kind::Guards,
    Kind::Maintenance,
    Kind::Jump,
    Kind::Reload,
    Kind::Cold,
    Kind::Removal,
];

impl Kind {
    const fn is_in(self, scenario: &Scenario) -> bool {
        match self {
            Self::Guards | Self::Maintenance => scenario.guards,
            Self::Jump => scenario.jumps,
            Self::Reload => scenario.reloads,
            Self::Cold => !scenario.cold.is_zero(),
            Self::Removal => scenario.removals,
            Self::Crash
            | Self::Pause
            | Self::Partition
            | Self::OneWay
            | Self::DataPlane
            | Self::HandOver
            | Self::Stop => true,
        }
    }
}

impl Cluster {
    pub(super) fn end_faults(&mut self) -> Result<(), Violation> {
        self.note(|| "faults end".to_owned());
        self.faulty = false;
        self.cut([false; 2]);
        for node in 0..2 {
            self.resume(node)?;
            self.boot(node)?;
            self.data_plane(node, true)?;
            self.guards(node, false)?;
            self.warmth(node, true)?;
            self.command(node, Command::Maintenance(false))?;
        }
        if self.scenario.reloads {
            let settings = Settings::of(&self.scenario);
            self.reload(0, settings)?;
            self.reload(1, settings)?;
        }
        Ok(())
    }

    /// One of the larger things that go wrong.
    pub(super) fn fault(&mut self) -> Result<(), Violation> {
        if !self.faulty {
            return Ok(());
        }
        self.schedule_fault();
        let node = usize::from(self.random.chance(50));
        let span = self.random.duration(Duration::ZERO, self.scenario.dead_time * 3);
        let kinds = KINDS.iter().filter(|kind| kind.is_in(&self.scenario));
        let chosen = self.random.below(kinds.clone().count() as u64);
        let chosen = kinds.copied().nth(usize::try_from(chosen).unwrap_or(0));
        chosen.map_or(Ok(()), |kind| self.inflict(kind, node, span))
    }

    fn inflict(&mut self, kind: Kind, node: NodeId, span: Duration) -> Result<(), Violation> {
        match kind {
            Kind::Crash => {
                self.crash(node);
                self.boot_after(node, span);
            }
            Kind::Pause => self.pause(node, span),
            Kind::Partition => {
                self.cut([true; 2]);
                self.schedule(span, Event::Heal);
            }
            Kind::OneWay => {
                self.cut([node == 0, node == 1]);
                self.schedule(span, Event::Heal);
            }
            Kind::DataPlane => {
                self.data_plane(node, false)?;
                self.schedule(span, Event::PlaneUp { node });
            }
            Kind::HandOver => self.command(node, Command::HandOver)?,
            Kind::Stop => self.command(node, Command::Stop)?,
            Kind::Guards => self.flap(node, span),
            Kind::Maintenance => {
                self.command(node, Command::Maintenance(true))?;
                self.schedule(span, Event::MaintenanceOver { node });
            }
            Kind::Jump => self.jump(node, span),
            Kind::Reload => self.reload_one_first(node, span)?,
            Kind::Cold => {
                self.warmth(node, false)?;
                let epoch = self.nodes[node].epoch;
                self.schedule(span, Event::Warm { node, epoch });
            }
            Kind::Removal => self.rob(if self.is_up(node) { node } else { 1 - node }),
        }
        Ok(())
    }

    /// A guard fails and is mended, up to four times within `span`.
    fn flap(&mut self, node: NodeId, span: Duration) {
        let times = 1 + u32::try_from(self.random.below(4)).unwrap_or(0);
        for turn in 0..times {
            let phase = span / times;
            self.schedule(phase * turn, Event::Guards { node, fail: true });
            self.schedule(phase * turn + phase / 2, Event::Guards { node, fail: false });
        }
    }

    /// Its clock is suddenly `span` ahead, as after a move to another host.
    fn jump(&mut self, node: NodeId, span: Duration) {
        self.note(|| format!("the clock of lb{} jumps by {span:?}", node + 1));
        self.disturbed = self.now;
        self.nodes[node].clock.epoch += span;
        self.nodes[node].jumped = true;
        self.nodes[node].ear.wake();
        let due =
            self.nodes[node].player.as_ref().and_then(|player| player.machine().poll_timeout());
        self.schedule_wake(node, due);
    }

    pub(super) fn schedule_fault(&mut self) {
        let mean = self.scenario.fault_interval;
        if !mean.is_zero() {
            let wait = self.random.duration(mean / 2, mean * 2);
            self.schedule(wait, Event::Fault);
        }
    }

    /// The process ends; the guard sees to addresses it could not take down.
    pub(super) fn exit(&mut self, node: NodeId) {
        self.crash(node);
        let span = self.random.duration(Duration::ZERO, self.scenario.dead_time * 2);
        self.boot_after(node, span);
    }
}
