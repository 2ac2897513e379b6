//! The larger things that go wrong, and their end.

use std::time::Duration;

use crate::failover::Command;

use super::cluster::{Cluster, Event, NodeId, Violation};

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
            self.command(node, Command::Maintenance(false))?;
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
        let kinds = if self.scenario.guards { 9 } else { 7 };
        match self.random.below(kinds) {
            0 => {
                self.crash(node);
                self.boot_after(node, span);
            }
            1 => self.pause(node, span),
            2 => {
                self.cut([true; 2]);
                self.schedule(span, Event::Heal);
            }
            3 => {
                self.cut([node == 0, node == 1]);
                self.schedule(span, Event::Heal);
            }
            4 => {
                self.data_plane(node, false)?;
                self.schedule(span, Event::PlaneUp { node });
            }
            5 => self.command(node, Command::HandOver)?,
            6 => self.command(node, Command::Stop)?,
            7 => {
                self.guards(node, true)?;
                self.schedule(span, Event::GuardsMended { node });
            }
            _ => {
                self.command(node, Command::Maintenance(true))?;
                self.schedule(span, Event::MaintenanceOver { node });
            }
        }
        Ok(())
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
