//! What the directors want done, and how it ends.

use crate::failover::{ActionError, ActionId, Output, State, VirtualAddress};

use super::cluster::{Cluster, Event, Input, NodeId, Violation};
use super::kernel::{Addresses, Job};
use super::scenario::Span;

impl Cluster {
    pub(super) fn carry_out(
        &mut self,
        node: NodeId,
        outputs: Vec<Output>,
    ) -> Result<(), Violation> {
        for output in outputs {
            match output {
                Output::Send { path, payload } => {
                    self.check_request(node, &payload)?;
                    self.send(node, path.0, payload.to_vec());
                }
                Output::Acquire { id, addresses } => self.queue(node, id, Job::Acquire, &addresses),
                Output::Release { id, addresses } => self.queue(node, id, Job::Release, &addresses),
                Output::Announce { addresses } => self.check_announcement(node, &addresses)?,
                Output::Transition(transition) if transition.to == State::Stopped => {
                    self.exit(node);
                }
                Output::Transition(transition) => self.check_takeover(node, &transition)?,
                Output::Declined { .. } => {}
            }
        }
        Ok(())
    }

    fn queue(&mut self, node: NodeId, id: ActionId, job: Job, addresses: &[VirtualAddress]) {
        let epoch = self.nodes[node].epoch;
        self.nodes[node].unanswered.push(id);
        if self.nodes[node].kernel.push(id, job, Addresses::of(addresses)) {
            self.schedule_finish(node, job);
        }
        self.schedule(self.scenario.answer_limit, Event::GiveUp { node, epoch, id });
        self.account();
    }

    /// Whoever drives the machine waits no longer for an answer.
    pub(super) fn give_up(
        &mut self,
        node: NodeId,
        epoch: u64,
        id: ActionId,
    ) -> Result<(), Violation> {
        let this = &mut self.nodes[node];
        let waits = this.epoch == epoch && this.unanswered.contains(&id);
        if !waits || self.scenario.hangs == 0 {
            return Ok(());
        }
        this.unanswered.retain(|known| *known != id);
        this.kernel.give_up(id);
        self.disturbed = self.now;
        let error = ActionError("no answer".to_owned());
        self.feed(node, Input::Completion(id, Err(error)))
    }

    fn schedule_finish(&mut self, node: NodeId, job: Job) {
        let hangs = self.scenario.hangs > 0 && self.mishap(self.scenario.hangs);
        let Span { min, max } = match job {
            _ if hangs => self.scenario.hang,
            Job::Acquire => self.scenario.acquire,
            Job::Release => self.scenario.release,
        };
        let duration = self.random.duration(min, max);
        let epoch = self.nodes[node].epoch;
        if hangs {
            self.note(|| format!("the kernel of lb{} hangs for {duration:?}", node + 1));
            self.hung_until = self.hung_until.max(self.now + duration);
        }
        self.schedule(duration, Event::Finish { node, epoch });
    }

    pub(super) fn schedule_put_back(&mut self, node: NodeId) {
        let Span { min, max } = self.scenario.acquire;
        let (wait, epoch) = (self.random.duration(min, max), self.nodes[node].epoch);
        self.schedule(wait, Event::PutBack { node, epoch });
    }

    /// Puts back what was removed. Whoever is suspended does so when it runs again.
    pub(super) fn put_back(&mut self, node: NodeId, epoch: u64) {
        if self.nodes[node].epoch != epoch {
            return;
        }
        if self.nodes[node].paused {
            return self.schedule_put_back(node);
        }
        self.nodes[node].kernel.put_back();
        self.account();
    }

    pub(super) fn finish(&mut self, node: NodeId, epoch: u64) -> Result<(), Violation> {
        if self.nodes[node].epoch != epoch {
            return Ok(());
        }
        let failed = self.mishap(self.scenario.failure);
        if failed {
            self.disturbed = self.now;
        }
        let Some(id) = self.nodes[node].kernel.finish(!failed) else {
            return Ok(());
        };
        self.nodes[node].unanswered.retain(|known| *known != id);
        if let Some(next) = self.nodes[node].kernel.current() {
            self.schedule_finish(node, next);
        }
        self.account();
        let result = if failed { Err(ActionError("no buffer space".to_owned())) } else { Ok(()) };
        self.feed(node, Input::Completion(id, result))
    }
}
