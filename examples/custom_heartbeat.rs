//! A heartbeat protocol of one's own, in the crate's terms, and two of it driven by hand.
//!
//! "The elder": each node says its rank, one byte, every 100 ms. Whoever has heard no lower rank for
//! 300 ms holds the addresses. That is all: no authentication, no agreement; see
//! `piranha::failover::pulse` for what a service in production needs.
//!
//! ```text
//! cargo run --example custom_heartbeat
//! ```
//!
//! The machine is pure. What drives it here is a loop with a clock of its own making; with sockets
//! and timers in its place nothing in the machine changes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use piranha::failover::{
    ActionError, ActionId, Cause, Command, Heartbeat, Output, PathId, Role, State, Status,
    Transition, VirtualAddress,
};
use piranha::time::Instant;

const INTERVAL: Duration = Duration::from_millis(100);
const DEAD: Duration = Duration::from_millis(300);

struct Elder {
    rank: u8,
    addresses: Vec<VirtualAddress>,
    status: Status,
    /// When a lower rank was last heard; at first, when this one began to listen.
    heard: Instant,
    next_beat: Instant,
    pending: ActionId,
    stopping: bool,
    outputs: VecDeque<Output>,
}

impl Elder {
    fn new(now: Instant, rank: u8, addresses: Vec<VirtualAddress>) -> Self {
        let role = if rank == 0 { Role::Primary } else { Role::Backup };
        Self {
            rank,
            addresses,
            status: Status::new(role, now),
            heard: now,
            next_beat: now,
            pending: ActionId(0),
            stopping: false,
            outputs: VecDeque::new(),
        }
    }

    fn enter(&mut self, now: Instant, to: State, cause: Cause) {
        let from = std::mem::replace(&mut self.status.state, to);
        self.status.since = now;
        self.outputs.push_back(Output::Transition(Transition::new(from, to, cause)));
        let addresses = self.addresses.clone();
        match to {
            State::Acquiring => {
                let id = self.next_action();
                self.outputs.push_back(Output::Acquire { id, addresses });
            }
            State::Releasing => {
                let id = self.next_action();
                self.outputs.push_back(Output::Release { id, addresses });
            }
            // Only now that they are known to be up.
            State::Active => self.outputs.push_back(Output::Announce { addresses }),
            _ => {}
        }
    }

    fn next_action(&mut self) -> ActionId {
        self.pending = ActionId(self.pending.0 + 1);
        self.pending
    }

    fn holds(&self) -> bool {
        matches!(self.status.state, State::Acquiring | State::Active)
    }
}

impl Heartbeat for Elder {
    fn handle_datagram(&mut self, now: Instant, _: PathId, _: SocketAddr, datagram: &[u8]) {
        // Anything else is not of this protocol, and changes nothing.
        let &[rank] = datagram else { return };
        if rank >= self.rank {
            return;
        }
        self.heard = now;
        if self.holds() {
            self.enter(now, State::Releasing, Cause::PeerWins);
        } else if self.status.state == State::Starting {
            self.enter(now, State::Standby, Cause::PeerActive);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.status.state == State::Stopped {
            return;
        }
        if now >= self.next_beat {
            self.next_beat = now + INTERVAL;
            let payload = [self.rank].into();
            self.outputs.push_back(Output::Send { path: PathId(0), payload });
        }
        let waits = matches!(self.status.state, State::Starting | State::Standby);
        if waits && now >= self.heard + DEAD {
            self.enter(now, State::Acquiring, Cause::PeerDead);
        }
    }

    fn handle_completion(&mut self, now: Instant, id: ActionId, result: Result<(), ActionError>) {
        // One that was overtaken by a later action is of no interest any more.
        if id != self.pending {
            return;
        }
        match (self.status.state, result) {
            (State::Acquiring, Ok(())) => self.enter(now, State::Active, Cause::Acquired),
            (State::Releasing, Ok(())) if self.stopping => {
                self.enter(now, State::Stopped, Cause::Stopping);
            }
            (State::Releasing, Ok(())) => self.enter(now, State::Standby, Cause::Released),
            (_, Ok(())) => {}
            (_, Err(_)) => self.status.state = State::Failed,
        }
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Stop => {
                self.stopping = true;
                let to = if self.holds() { State::Releasing } else { State::Stopped };
                self.enter(now, to, Cause::Stopping);
            }
            // The elder is active, whatever anybody wants.
            _ => self.outputs.push_back(Output::Declined { reason: Cause::PeerRefused }),
        }
    }

    fn handle_data_plane(&mut self, now: Instant, usable: bool) {
        if !usable && self.holds() {
            self.enter(now, State::Releasing, Cause::DataPlaneFailed);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let waits = matches!(self.status.state, State::Starting | State::Standby);
        let decision = waits.then_some(self.heard + DEAD);
        let beat = (self.status.state != State::Stopped).then_some(self.next_beat);
        beat.into_iter().chain(decision).min()
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn state(&self) -> State {
        self.status.state
    }

    fn status(&self, _: Instant) -> Status {
        self.status.clone()
    }
}

/// Two nodes on a wire that may be cut.
struct Pair {
    now: Instant,
    nodes: [Elder; 2],
    is_cut: bool,
}

impl Pair {
    fn new() -> Self {
        let vip = VirtualAddress::new([192, 0, 2, 80].into(), "eth0");
        let node = |rank| Elder::new(Instant::ZERO, rank, vec![vip.clone()]);
        Self { now: Instant::ZERO, nodes: [node(0), node(1)], is_cut: false }
    }

    /// Goes from deadline to deadline.
    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while (0..2).any(|node| self.carry_out(node)) {}
            let Some(next) = self.nodes.iter().filter_map(Heartbeat::poll_timeout).min() else {
                break;
            };
            if next > end {
                break;
            }
            self.now = next.max(self.now);
            for node in &mut self.nodes {
                node.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    /// Does one thing that a node asks for; false if it asks for nothing.
    fn carry_out(&mut self, node: usize) -> bool {
        let Some(output) = self.nodes[node].poll_output() else { return false };
        match output {
            Output::Send { path, payload } if !self.is_cut => {
                let source = SocketAddr::from(([192, 0, 2, 11], 539));
                self.nodes[1 - node].handle_datagram(self.now, path, source, &payload);
            }
            // Here the kernel would be asked; it always agrees.
            Output::Acquire { id, .. } | Output::Release { id, .. } => {
                self.nodes[node].handle_completion(self.now, id, Ok(()));
            }
            Output::Transition(Transition { from, to, cause, .. }) => {
                let at = self.now.saturating_duration_since(Instant::ZERO);
                println!("{at:>6.1?}  node {node}: {from} -> {to} ({cause})");
            }
            _ => {}
        }
        true
    }

    fn states(&self) -> [State; 2] {
        [self.nodes[0].state(), self.nodes[1].state()]
    }
}

fn main() {
    let mut pair = Pair::new();
    pair.run_for(Duration::from_secs(1));
    println!("the first node is stopped");
    pair.nodes[0].handle_command(pair.now, Command::Stop);
    pair.run_for(Duration::from_secs(1));
    println!("in the end: {:?}", pair.states());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_elder_holds_the_addresses_and_the_other_takes_over_when_it_stops() {
        let mut pair = Pair::new();
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.states(), [State::Active, State::Standby]);
        pair.nodes[0].handle_command(pair.now, Command::Stop);
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.states(), [State::Stopped, State::Active]);
    }

    #[test]
    fn two_that_could_not_hear_each_other_end_with_one() {
        let mut pair = Pair::new();
        pair.is_cut = true;
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.states(), [State::Active, State::Active], "it has no witness");
        pair.is_cut = false;
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.states(), [State::Active, State::Standby]);
    }

    #[test]
    fn what_is_not_of_the_protocol_changes_nothing() {
        let mut node = Pair::new().nodes.into_iter().next().unwrap();
        for datagram in [&b""[..], b"ab", &[0; 1500]] {
            let source = SocketAddr::from(([192, 0, 2, 12], 539));
            node.handle_datagram(Instant::ZERO, PathId(0), source, datagram);
        }
        assert_eq!(node.state(), State::Starting);
        assert_eq!(node.poll_output(), None);
    }
}
