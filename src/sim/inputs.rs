//! What a director is told, and what it says to that.

use crate::failover::guard::{Fault, Guard};
use crate::failover::{Heartbeat, Output, PathId, Status};
use crate::time::Instant;

use super::cluster::{Cluster, Datagram, INBOX_MAX, Input, NodeId, OUTPUTS_MAX, Violation};
use super::machines::address;
use super::scenario::Pair;
use super::trace::{show, show_all};

impl Cluster {
    /// Hands an input to a director, or keeps it until the director runs again.
    pub(super) fn feed(&mut self, node: NodeId, input: Input) -> Result<(), Violation> {
        if self.nodes[node].paused {
            self.keep(node, input);
            return Ok(());
        }
        let now = self.nodes[node].clock.at(self.now);
        let Some(player) = &mut self.nodes[node].player else {
            return Ok(());
        };
        let machine = player.machine_mut();
        // What a director decides when it finds that its clock jumped, it decides at any input.
        let jumped = std::mem::take(&mut self.nodes[node].jumped);
        let worthless = matches!(&input, Input::Datagram(datagram) if datagram.worthless);
        let before = (worthless && !jumped).then(|| machine.status(now));
        let unasked = machine.poll_output();
        apply(machine, now, node, &input);
        let after = before.is_some().then(|| machine.status(now));
        let due = machine.poll_timeout();
        self.require(unasked.is_none(), || format!("output without input: {unasked:?}"))?;
        if let (Input::Timeout, Some(due)) = (&input, due) {
            self.require(due > now, || format!("deadline {due} is already over"))?;
        }
        if let Input::Datagram(datagram) = &input {
            self.overhear(node, datagram);
        }
        let before = before.zip(after);
        self.drain_after(node, before, || show(&input))?;
        if let Input::Datagram(datagram) = input {
            self.remember(datagram);
        }
        Ok(())
    }

    /// Carries out what a director has to say to something that was done to it.
    pub(super) fn drain(
        &mut self,
        node: NodeId,
        what: impl FnOnce() -> String,
    ) -> Result<(), Violation> {
        self.drain_after(node, None, what)
    }

    /// The same; `unimpressed` is its status before and after, where nothing may have changed.
    fn drain_after(
        &mut self,
        node: NodeId,
        unimpressed: Option<(Status, Status)>,
        what: impl FnOnce() -> String,
    ) -> Result<(), Violation> {
        let Some(player) = &mut self.nodes[node].player else {
            return Ok(());
        };
        let machine = player.machine_mut();
        let outputs: Vec<Output> = std::iter::from_fn(|| machine.poll_output()).collect();
        let due = machine.poll_timeout();
        self.note(|| format!("lb{} {} -> {}", node + 1, what(), show_all(&outputs)));
        self.require(outputs.len() <= OUTPUTS_MAX, || "too many outputs".to_owned())?;
        if let Some((before, after)) = unimpressed {
            self.check_unimpressed(&before, &after, &outputs)?;
        }
        self.schedule_wake(node, due);
        self.carry_out(node, outputs)?;
        self.check_claim(node)
    }

    /// Notes what a director must have learnt from a datagram.
    fn overhear(&mut self, node: NodeId, datagram: &Datagram) {
        let boot = self.nodes[1 - node].ear.boot;
        let this = &mut self.nodes[node];
        let real = !datagram.worthless && datagram.path < this.paths;
        if real && self.scenario.pair == Pair::V2 {
            this.ear.hear(this.clock.at(self.now), boot, datagram);
        }
    }

    fn keep(&mut self, node: NodeId, input: Input) {
        let worthless = matches!(&input, Input::Datagram(datagram) if datagram.worthless);
        let is_datagram = matches!(input, Input::Datagram(_));
        let inbox = &mut self.nodes[node].inbox;
        let full = is_datagram && inbox.len() >= INBOX_MAX;
        if !full && !worthless && !matches!(input, Input::Timeout) {
            inbox.push_back(input);
        }
    }
}

fn apply(machine: &mut dyn Heartbeat, now: Instant, node: NodeId, input: &Input) {
    match input {
        Input::Datagram(datagram) => {
            let source = address(1 - node, datagram.path);
            machine.handle_datagram(now, PathId(datagram.path), source, &datagram.bytes);
        }
        Input::Timeout => machine.handle_timeout(now),
        Input::Completion(id, result) => machine.handle_completion(now, *id, result.clone()),
        Input::Command(command) => machine.handle_command(now, *command),
        Input::DataPlane(usable) => machine.handle_data_plane(now, *usable),
        Input::Warmth(warm) => machine.handle_warmth(now, *warm),
        Input::Guards(false) => machine.handle_guards(now, &[]),
        Input::Guards(true) => {
            let link = Guard::Link("eth0".to_owned());
            machine.handle_guards(now, &[Fault::new(link, "no carrier")]);
        }
    }
}
