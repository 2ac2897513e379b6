//! What must never happen.

use crate::failover::{Output, State, Status};

use super::cluster::{Cluster, Node, NodeId, Violation};
use super::scenario::Pair;

impl Cluster {
    /// A datagram that proves nothing is answered at most.
    pub(super) fn check_unimpressed(
        &self,
        before: &Status,
        after: &Status,
        outputs: &[Output],
    ) -> Result<(), Violation> {
        let only_answers = outputs.iter().all(|output| matches!(output, Output::Send { .. }));
        let same =
            before.state == after.state && before.peer == after.peer && before.paths == after.paths;
        self.require(only_answers && same, || {
            "a forged or replayed datagram was believed".to_owned()
        })
    }

    /// Two holders only for as long as the protocol allows.
    pub(super) fn check_overlap(&mut self) -> Result<(), Violation> {
        if self.cut != [false; 2] || self.nodes.iter().any(|node| node.paused) {
            self.disturbed = self.now;
        }
        let holds = |node: &Node| node.kernel.touched && !node.kernel.stuck;
        if !self.nodes.iter().all(holds) {
            self.overlap = None;
            return Ok(());
        }
        let begins = self.overlap.is_none();
        let since = *self.overlap.get_or_insert(self.now);
        // Version 1 has no counter, so that one late datagram is as good as a lost one.
        let calm = self.now - self.disturbed > self.scenario.aftermath();
        let excused = !begins || !calm || self.scenario.pair != Pair::V2;
        self.require(excused, || "two holders although nothing went wrong".to_owned())?;
        let heard_for = self.now - since.max(self.disturbed);
        self.require(heard_for <= self.scenario.overlap_bound(), || {
            format!("two holders for {heard_for:?} although they hear each other")
        })
    }

    /// A director that slept through the peer's takeover does not go on as if it had not.
    pub(super) fn check_wakes_humble(&mut self, node: NodeId) -> Result<(), Violation> {
        let slept = self.nodes[node].paused_calmly.take();
        let long = self.scenario.dead_time + self.scenario.keepalive;
        let slept_long = slept.is_some_and(|since| self.now - since > long);
        let claims = matches!(self.state(node), State::Acquiring | State::Active);
        let knows = slept_long && !self.is_original(node);
        self.require(!knows || !claims || !self.nodes[1 - node].kernel.up, || {
            format!("lb{} goes on as active after a suspend", node + 1)
        })
    }

    pub(super) fn is_original(&self, node: NodeId) -> bool {
        matches!((self.scenario.pair, node), (Pair::OriginalPrimary, 0) | (Pair::OriginalBackup, 1))
    }

    /// What is up is what the director says.
    pub(super) fn check_claim(&self, node: NodeId) -> Result<(), Violation> {
        let Some(machine) = &self.nodes[node].machine else {
            return Ok(());
        };
        let kernel = &self.nodes[node].kernel;
        let state = machine.status(self.now).state;
        let honest = match state {
            // 0.8.6 does not wait for its actions.
            _ if self.is_original(node) => {
                kernel.is_busy() || kernel.up == (state == State::Active)
            }
            State::Active => kernel.up,
            State::Starting | State::Standby | State::Stopped => !kernel.touched,
            State::Failed => !kernel.touched || kernel.stuck,
            State::Acquiring | State::Releasing => true,
        };
        self.require(honest, || {
            format!("lb{} says {state} but the kernel is {kernel:?}", node + 1)
        })?;
        let kept = self.settled.is_none_or(|settled| settled[node] == state);
        self.require(kept, || format!("lb{} is {state} after it had settled", node + 1))
    }

    /// One is active, the other ready.
    pub(super) fn check_settled(&mut self) -> Result<(), Violation> {
        let states = [self.state(0), self.state(1)];
        let primary = states == [State::Active, State::Standby];
        let backup = states == [State::Standby, State::Active];
        self.require(primary || backup, || {
            format!("not settled: primary {}, backup {}", states[0], states[1])
        })?;
        self.require(primary || !self.scenario.primary_must_win(), || {
            "the backup won a common start".to_owned()
        })?;
        self.settled = Some(states);
        Ok(())
    }

    pub(super) fn require(
        &self,
        kept: bool,
        what: impl FnOnce() -> String,
    ) -> Result<(), Violation> {
        if kept {
            return Ok(());
        }
        let mut trace = vec![format!("{:?}", self.scenario)];
        trace.extend(self.trace.iter().flatten().cloned());
        Err(Violation { seed: self.scenario.seed, at: self.now, what: what(), trace })
    }
}
