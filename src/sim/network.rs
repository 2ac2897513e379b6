//! The network between the directors, and the attacker in it.

use crate::wire::pulse::Magic;

use super::cluster::{Cluster, Datagram, Event, NodeId};
use super::scenario::{Scenario, Span};

/// Datagrams an attacker remembers.
const DELIVERED_MAX: usize = 256;

/// The most of a hundred datagrams that are lost.
const LOSS_MAX: u64 = 97;

impl Cluster {
    pub(super) fn remember(&mut self, datagram: Datagram) {
        if self.scenario.replay > 0 {
            if self.delivered.len() == DELIVERED_MAX {
                let victim = self.random.below(DELIVERED_MAX as u64);
                self.delivered.swap_remove(usize::try_from(victim).unwrap_or(0));
            }
            self.delivered.push(datagram);
        }
    }

    pub(super) fn send(&mut self, from: NodeId, path: u8, bytes: Vec<u8>) {
        self.nodes[from].ear.sent += 1;
        let datagram = Datagram { to: 1 - from, path, bytes, worthless: false };
        if self.cut[from] || self.mishap(self.loss(from, path)) {
            self.disturbed = self.now;
            return;
        }
        if self.mishap(self.scenario.replay) {
            self.replay();
        }
        if self.mishap(self.scenario.duplicate) {
            self.deliver(datagram.clone());
        }
        if self.mishap(self.scenario.corrupt) {
            self.disturbed = self.now;
            if let Some(datagram) = self.corrupt(datagram) {
                self.deliver(datagram);
            }
        } else {
            self.deliver(datagram);
        }
    }

    /// Hardly ever all is lost.
    fn loss(&self, from: NodeId, path: u8) -> u64 {
        let Scenario { loss, lopsided, path_loss, .. } = &self.scenario;
        let beside = path_loss.get(usize::from(path)).copied().unwrap_or(0);
        (loss + lopsided[from] + beside).min(LOSS_MAX)
    }

    pub(super) fn deliver(&mut self, datagram: Datagram) {
        let Span { min, max } = self.scenario.delay;
        let delay = self.random.duration(min, max);
        self.schedule(delay, Event::Deliver(datagram));
    }

    /// Changes a byte or the length. Without a key only what the checksum of UDP lets through
    /// may be believed, which is to say nothing, so it is dropped there.
    pub(super) fn corrupt(&mut self, mut datagram: Datagram) -> Option<Datagram> {
        if !self.scenario.keyed && datagram.bytes.len() != Magic::LEN {
            return None;
        }
        let length = datagram.bytes.len();
        let at = usize::try_from(self.random.below(length as u64)).unwrap_or(0);
        match self.random.below(4) {
            0 => datagram.bytes.truncate(at),
            1 => datagram.bytes.push(0),
            _ => datagram.bytes[at] ^= 1 << self.random.below(8),
        }
        datagram.worthless = true;
        Some(datagram)
    }

    pub(super) fn replay(&mut self) {
        let index = self.random.below(self.delivered.len() as u64);
        if let Some(datagram) = self.delivered.get(usize::try_from(index).unwrap_or(0)) {
            let datagram = Datagram { worthless: true, ..datagram.clone() };
            self.deliver(datagram);
        }
    }

    pub(super) fn mishap(&mut self, percent: u64) -> bool {
        self.faulty && self.random.chance(percent)
    }
}
