//! What must never happen.

use crate::failover::{Output, State, Status, Transition, VirtualAddress};

use super::cluster::{Cluster, NodeId, Violation};
use super::kernel::Addresses;
use super::scenario::Pair;
use super::settings::Settings;

/// The step of a datagram that asks for the service.
const REQUEST: u8 = 5;

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
        let slept = self.nodes.iter().any(|node| node.paused);
        if self.cut != [false; 2] || slept || self.now <= self.hung_until {
            self.disturbed = self.now;
        }
        let [first, second] = &self.nodes;
        if first.kernel.holds().and(second.kernel.holds()).is_empty() {
            self.overlap = None;
            return Ok(());
        }
        let begins = self.overlap.is_none();
        let since = *self.overlap.get_or_insert(self.now);
        // Version 1 has no counter, so that one late datagram is as good as a lost one.
        let scenario = self.scenario.slower(self.slowest);
        let calm = self.now - self.disturbed > scenario.aftermath();
        let excused = !begins || !calm || self.scenario.pair != Pair::V2;
        self.require(excused, || "two holders although nothing went wrong".to_owned())?;
        let heard_for = self.now - since.max(self.disturbed);
        self.require(heard_for <= scenario.overlap_bound(), || {
            format!("two holders for {heard_for:?} although they hear each other")
        })
    }

    /// A director that slept through the peer's takeover does not go on as if it had not.
    pub(super) fn check_wakes_humble(&mut self, node: NodeId) -> Result<(), Violation> {
        let slept = self.nodes[node].paused_calmly.take();
        let Settings { slowness, .. } = self.nodes[node].settings;
        let long = (self.scenario.dead_time + self.scenario.keepalive) * slowness;
        let long = long + self.scenario.drifted(long);
        let slept_long = slept.is_some_and(|since| self.now - since > long);
        let claims = matches!(self.state(node), State::Acquiring | State::Active);
        let knows = slept_long && !self.is_original(node);
        self.require(!knows || !claims || !self.is_up(1 - node), || {
            format!("lb{} goes on as active after a suspend", node + 1)
        })
    }

    pub(super) fn is_original(&self, node: NodeId) -> bool {
        matches!((self.scenario.pair, node), (Pair::OriginalPrimary, 0) | (Pair::OriginalBackup, 1))
    }

    /// What is up is what the director says.
    pub(super) fn check_claim(&self, node: NodeId) -> Result<(), Violation> {
        if self.nodes[node].player.is_none() {
            return Ok(());
        }
        let kernel = &self.nodes[node].kernel;
        let state = self.state(node);
        let honest = match state {
            // 0.8.6 does not wait for its actions.
            _ if self.is_original(node) => {
                kernel.is_busy() || self.is_up(node) == (state == State::Active)
            }
            State::Active => kernel.is_complete(),
            State::Starting | State::Standby | State::Stopped => kernel.is_free(),
            State::Failed => kernel.holds().is_empty(),
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
        let comes_back = self.scenario.failback && !self.nodes[0].handed;
        self.require(primary || !comes_back, || "there was no failback".to_owned())?;
        self.settled = Some(states);
        Ok(())
    }

    /// Only addresses that are up are announced.
    pub(super) fn check_announcement(
        &self,
        node: NodeId,
        addresses: &[VirtualAddress],
    ) -> Result<(), Violation> {
        let kernel = &self.nodes[node].kernel;
        // What was removed a moment ago is on its way back.
        let missing = Addresses::of(addresses).without(kernel.up).without(kernel.missing);
        self.require(missing.is_empty(), || {
            format!("lb{} announces {missing:?}, which is not up", node + 1)
        })
    }

    /// What somebody removed is back after one acquisition, unless the director was suspended.
    pub(super) fn check_put_back(&mut self) -> Result<(), Violation> {
        for node in 0..2 {
            let this = &mut self.nodes[node];
            if this.kernel.missing.is_empty() {
                this.robbed = None;
                continue;
            }
            if this.paused {
                this.robbed = Some(self.now);
            }
            let since = *this.robbed.get_or_insert(self.now);
            self.require(self.now - since <= self.scenario.acquire.max * 2, || {
                format!("lb{} does not put back what somebody removed", node + 1)
            })?;
        }
        Ok(())
    }

    /// Nobody takes the service from a director that it hears.
    pub(super) fn check_takeover(
        &self,
        node: NodeId,
        transition: &Transition,
    ) -> Result<(), Violation> {
        let this = &self.nodes[node];
        let dead_time = self.scenario.dead_time * this.settings.slowness;
        let now = this.clock.at(self.now);
        let heard = this.ear.last.is_some_and(|word| word.claims && now - word.at < dead_time);
        self.require(transition.to != State::Acquiring || !heard, || {
            format!("lb{} takes over from a peer that it hears ({})", node + 1, transition.cause)
        })
    }

    /// A cold director does not ask for the service.
    pub(super) fn check_request(&self, node: NodeId, payload: &[u8]) -> Result<(), Violation> {
        let asks = self.scenario.pair == Pair::V2 && payload.get(62) == Some(&REQUEST);
        self.require(!asks || !self.nodes[node].cold, || {
            format!("lb{} asks for the service though it is cold", node + 1)
        })
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
