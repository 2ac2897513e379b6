//! Piranha 0.8.6's pulse, as far as its peer can tell.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::failover::{
    ActionError, ActionId, Cause, Command, Heartbeat, Output, PathId, Role, State, Status,
    Transition, VirtualAddress,
};
use crate::time::Instant;
use crate::wire::pulse::Magic;

/// The original's state table (`docs/pulse-protocol.md`, "The original's rules"), to play against
/// version 1.
///
/// It differs from the real one in that its timers are exact instead of whole seconds, and in
/// that it stops when told to, by commands.
#[derive(Debug)]
pub struct Original {
    role: Role,
    keepalive: Duration,
    dead_time: Duration,
    paths: u8,
    addresses: Vec<VirtualAddress>,
    active: bool,
    stopped: bool,
    usable: bool,
    next_heartbeat: Instant,
    dead_at: Instant,
    acquiring: Option<ActionId>,
    last_id: u64,
    outputs: VecDeque<Output>,
}

impl Original {
    /// Starts inactive; its first heartbeat goes out a keepalive later.
    #[must_use]
    pub fn new(
        now: Instant,
        role: Role,
        keepalive: Duration,
        dead_time: Duration,
        paths: u8,
        addresses: Vec<VirtualAddress>,
    ) -> Self {
        Self {
            role,
            keepalive,
            dead_time,
            paths,
            addresses,
            active: false,
            stopped: false,
            usable: true,
            next_heartbeat: now + keepalive,
            dead_at: now + dead_time,
            acquiring: None,
            last_id: 0,
            outputs: VecDeque::new(),
        }
    }

    fn send(&mut self) {
        let magic = if self.active { Magic::Running } else { Magic::Stopped };
        for path in 0..self.paths {
            self.outputs
                .push_back(Output::Send { path: PathId(path), payload: magic.encode().into() });
        }
    }

    fn activate(&mut self, cause: Cause) {
        let from = self.state();
        self.active = true;
        self.last_id += 1;
        let id = ActionId(self.last_id);
        self.acquiring = Some(id);
        self.outputs.push_back(Output::Acquire { id, addresses: self.addresses.clone() });
        self.outputs.push_back(Output::Transition(Transition::new(from, State::Active, cause)));
    }

    fn deactivate(&mut self, cause: Cause) {
        let from = self.state();
        self.active = false;
        self.acquiring = None;
        self.last_id += 1;
        self.outputs.push_back(Output::Release {
            id: ActionId(self.last_id),
            addresses: self.addresses.clone(),
        });
        self.outputs.push_back(Output::Transition(Transition::new(from, State::Standby, cause)));
    }

    fn announce(&mut self) {
        self.outputs.push_back(Output::Announce { addresses: self.addresses.clone() });
    }
}

impl Heartbeat for Original {
    fn handle_datagram(&mut self, now: Instant, _: PathId, _: SocketAddr, datagram: &[u8]) {
        let Ok(magic) = Magic::decode(datagram) else {
            return;
        };
        if self.stopped {
            return;
        }
        self.dead_at = now + self.dead_time;
        match (magic, self.active, self.role) {
            (Magic::Running, true, Role::Backup) => {
                self.send();
                self.deactivate(Cause::PeerWins);
            }
            (Magic::Running, true, Role::Primary) if self.acquiring.is_none() => self.announce(),
            (Magic::Running, true, Role::Primary) | (Magic::Stopped, true, _) => {}
            (Magic::Running, false, _) => self.usable = true,
            (Magic::Stopped, false, _) if self.usable => self.activate(Cause::PeerStandby),
            (Magic::Stopped, false, _) => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.stopped {
            return;
        }
        if self.dead_at <= now {
            self.dead_at = now + self.dead_time;
            if !self.active && self.usable {
                self.activate(Cause::PeerDead);
            }
        }
        if self.next_heartbeat <= now {
            self.next_heartbeat = now + self.keepalive;
            self.send();
        }
    }

    fn handle_completion(&mut self, _: Instant, id: ActionId, _: Result<(), ActionError>) {
        if self.acquiring == Some(id) {
            self.acquiring = None;
            self.announce();
        }
    }

    fn handle_command(&mut self, _: Instant, command: Command) {
        match command {
            Command::HandOver | Command::Maintenance(_) => {}
            Command::Stop => {
                if self.active {
                    self.deactivate(Cause::Stopping);
                }
                self.stopped = true;
                self.outputs.push_back(Output::Transition(Transition::new(
                    State::Standby,
                    State::Stopped,
                    Cause::Stopping,
                )));
            }
        }
    }

    fn handle_data_plane(&mut self, _: Instant, usable: bool) {
        self.usable = usable;
        if !usable && self.active {
            self.deactivate(Cause::DataPlaneFailed);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (!self.stopped).then(|| self.next_heartbeat.min(self.dead_at))
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn state(&self) -> State {
        match (self.stopped, self.active) {
            (true, _) => State::Stopped,
            (false, true) => State::Active,
            (false, false) => State::Standby,
        }
    }

    fn status(&self, now: Instant) -> Status {
        Status { state: self.state(), ..Status::new(self.role, now) }
    }
}
