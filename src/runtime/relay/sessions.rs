//! How a worker begins, retries and ends TCP connections, and its timers.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::RelayConfig;
use super::cell::{Lease, Place, ServiceCell};
use super::ftp::ControlState;
use super::listener::{connect, is_exhaustion};
use super::poller::Interest;
use super::tcp::{Dialing, Kind, Phase, Session, Side, Verdict, reset};
use super::worker::{Entity, Which, Worker};
use crate::ipvs::{Helper, ServiceKey};
use crate::scheduler::Flow;

/// How exact timeouts are, at best.
const TICK: Duration = Duration::from_secs(1);

/// A client that has been let in.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) place: Place,
}

/// Why no connection to a server was begun.
enum DialProblem {
    /// No server may be tried, or none is left.
    NoServer,
    /// The process has run out of something.
    Exhausted,
}

impl Worker {
    /// A client has connected: finds it a server, or resets it if there is none. One for whose
    /// server the process has no descriptor left waits as those in the backlog do.
    pub(super) fn on_client(&mut self, client: Client) {
        let ServiceKey::Address { address, .. } = client.place.cell().key() else {
            return reset(client.stream);
        };
        let flow = Flow { source: client.address, destination: address };
        let mut tried = Vec::new();
        match self.dial(client.place.cell(), &flow, &mut tried) {
            Ok((lease, dialed)) => self.welcome(client, flow, tried, lease, dialed),
            Err(DialProblem::NoServer) => reset(client.stream),
            Err(DialProblem::Exhausted) => self.stalled.push(client),
        }
    }

    fn welcome(
        &mut self,
        client: Client,
        flow: Flow,
        tried: Vec<SocketAddr>,
        lease: Lease,
        dialed: TcpStream,
    ) {
        let Client { stream, address: client, place } = client;
        let cell = place.cell();
        let kind = match cell.helper() {
            Some(Helper::Ftp) => Kind::Control(Box::new(ControlState::new(client.ip()))),
            None => Kind::Plain,
        };
        let header = cell.options().proxy_protocol;
        let header = header.map(|version| version.header(flow.source, flow.destination));
        let header = header.unwrap_or_default();
        let dialing = Dialing::new(flow, tried, header);
        let session = Session::new(stream, dialed, lease, kind, dialing, self.now);
        self.begin(session.with_place(place));
    }

    /// Begins to connect to the first server that may be tried; gives up when the process has run
    /// out of something, which is no server's fault.
    fn dial(
        &mut self,
        cell: &Arc<ServiceCell>,
        flow: &Flow,
        tried: &mut Vec<SocketAddr>,
    ) -> Result<(Lease, TcpStream), DialProblem> {
        let origin = cell.origin(flow.source);
        loop {
            let lease = Lease::admit(cell, self.now, flow, tried);
            let mut lease = lease.ok_or(DialProblem::NoServer)?;
            match connect(lease.address(), origin) {
                Ok(stream) => return Ok((lease, stream)),
                Err(error) if is_exhaustion(&error) => {
                    self.pause_accepting(&error);
                    return Err(DialProblem::Exhausted);
                }
                Err(_) => {
                    lease.mark_failed();
                    tried.push(lease.address());
                }
            }
        }
    }

    pub(super) fn begin(&mut self, mut session: Session) {
        let index = self.slots.reserve();
        if let Phase::Dialing(dialing) = &mut session.phase {
            dialing.deadline = self.now + self.config.connect_timeout;
        }
        self.await_dialed(index, Box::new(session));
    }

    fn await_dialed(&mut self, index: usize, session: Box<Session>) {
        if self.register(index, Which::Dialed, &session.dialed.stream, Interest::Both).is_err() {
            return self.end(index, *session, Verdict::Reset);
        }
        if let Phase::Dialing(dialing) = &session.phase {
            self.dialing.push_back((dialing.deadline, index));
        }
        self.put_transient(index, Entity::Session(session));
    }

    /// Gives a session its turn. `failed`: the dialed socket reports an error.
    pub(super) fn on_session(&mut self, index: usize, mut session: Box<Session>, failed: bool) {
        session.queued = false;
        let verdict = match &session.phase {
            Phase::Dialing(_) if failed => Verdict::DialFailed,
            Phase::Dialing(_) if !session.dialed.is_writable() => Verdict::Wait,
            Phase::Dialing(_) => self.on_connected(index, &mut session),
            Phase::Relaying => self.relay(index, &mut session),
        };
        if self.watch_client(index, &mut session).is_err() {
            return self.end(index, *session, Verdict::Reset);
        }
        match verdict {
            Verdict::Wait => self.slots.put(index, Entity::Session(session)),
            Verdict::Again => {
                session.queued = true;
                self.again(index);
                self.slots.put(index, Entity::Session(session));
            }
            Verdict::DialFailed => self.redial(index, session),
            Verdict::Done | Verdict::Reset => self.end(index, *session, verdict),
        }
    }

    /// The server has taken the connection; from now on the client's side is polled too.
    fn on_connected(&mut self, index: usize, session: &mut Session) -> Verdict {
        if let Phase::Dialing(dialing) = std::mem::replace(&mut session.phase, Phase::Relaying) {
            session.forth.queue(&dialing.header);
        }
        if !matches!(session.kind, Kind::Data { .. }) {
            session.lease.established();
        }
        // Most clients have sent something by now. Looking first saves waiting to be told.
        session.accepted.assume_readable();
        let verdict = self.relay(index, session);
        let goes_on = matches!(verdict, Verdict::Wait | Verdict::Again);
        let client = &session.accepted.stream;
        if goes_on && self.register(index, Which::Accepted, client, Interest::Read).is_err() {
            return Verdict::Reset;
        }
        verdict
    }

    /// A client that does not take what is sent is watched for room from then on. Most always do.
    fn watch_client(&self, index: usize, session: &mut Session) -> io::Result<()> {
        match session.phase {
            Phase::Relaying if session.accepted.must_watch_writing() => {
                self.watch_writing(index, Which::Accepted, &session.accepted.stream)
            }
            Phase::Relaying | Phase::Dialing(_) => Ok(()),
        }
    }

    fn relay(&mut self, index: usize, session: &mut Session) -> Verdict {
        match session.kind {
            Kind::Plain | Kind::Data { .. } => session.relay(&mut self.kit),
            Kind::Control(_) => self.relay_control(index, session),
        }
    }

    /// The server did not take the connection: tries the next one, or resets the client.
    fn redial(&mut self, index: usize, mut session: Box<Session>) {
        if !matches!(session.kind, Kind::Data { from_client: false }) {
            session.lease.mark_failed();
        }
        let failed = session.lease.address();
        let cell = Arc::clone(session.lease.cell());
        let next = match (&session.kind, &mut session.phase) {
            (Kind::Plain | Kind::Control(_), Phase::Dialing(dialing)) => {
                dialing.tried.push(failed);
                dialing.deadline = self.now + self.config.connect_timeout;
                self.dial(&cell, &dialing.flow, &mut dialing.tried).ok()
            }
            // A data connection goes to its control connection's server or nowhere.
            (Kind::Data { .. }, _) | (_, Phase::Relaying) => None,
        };
        let Some((lease, dialed)) = next else {
            return self.end(index, *session, Verdict::Reset);
        };
        session.lease = lease;
        session.dialed = Side::connecting(dialed);
        self.await_dialed(index, session);
    }

    fn end(&mut self, index: usize, session: Session, how: Verdict) {
        if let Kind::Control(control) = &session.kind
            && let Some(listener) = control.listener()
        {
            self.slots.retire(listener);
        }
        let cell = Arc::clone(session.lease.cell());
        match how {
            Verdict::Done => session.close(&mut self.kit.pipes),
            _ => session.abort(&mut self.kit.pipes),
        }
        self.slots.retire(index);
        if cell.has_clients_waiting() {
            self.accept_waiting(cell.key());
        }
    }
}

/// Timers.
impl Worker {
    pub(super) fn tick(&self) -> Duration {
        let RelayConfig { idle_timeout, udp_idle_timeout, .. } = self.config;
        let RelayConfig { one_packet_timeout, ftp_data_timeout, .. } = self.config;
        let udp = udp_idle_timeout.min(one_packet_timeout);
        let quarter = idle_timeout.min(udp).min(ftp_data_timeout) / 4;
        quarter.clamp(Duration::from_millis(10), TICK)
    }

    pub(super) fn run_timers(&mut self) {
        self.expire_dialing();
        if self.accept_again.is_some_and(|at| at <= self.now) {
            self.accept_again = None;
            for client in std::mem::take(&mut self.stalled) {
                self.on_client(client);
            }
            self.work_all(|entity| matches!(entity, Entity::Listener(_) | Entity::Data(_)));
        }
        if self.next_tick.is_some_and(|at| at <= self.now) {
            self.expire_idle();
            let transient =
                |entity: &Entity| !matches!(entity, Entity::Listener(_) | Entity::Udp(_));
            self.keep_alive();
            let any = self.slots.any(transient);
            self.next_tick = any.then(|| self.now + self.tick());
        }
    }

    /// Has the kernel ask for a silent server's life. Only from the second tick of a connection on:
    /// short ones save a system call.
    fn keep_alive(&mut self) {
        let (now, tick) = (self.now, self.tick());
        for entity in self.slots.iter_mut() {
            if let Entity::Session(session) = entity
                && now - session.last_active >= tick
            {
                session.dialed.keep_alive();
            }
        }
    }

    fn expire_dialing(&mut self) {
        while let Some(&(deadline, index)) = self.dialing.front()
            && deadline <= self.now
        {
            self.dialing.pop_front();
            let due = |session: &Session| matches!(&session.phase, Phase::Dialing(d) if d.deadline == deadline);
            match self.slots.take(index) {
                Some(Entity::Session(session)) if due(&session) => self.redial(index, session),
                Some(entity) => self.slots.put(index, entity),
                None => {}
            }
        }
    }

    fn expire_idle(&mut self) {
        let (now, timeout) = (self.now, self.config.idle_timeout);
        let expired = |entity: &Entity| match entity {
            Entity::Session(session) => now - session.last_active >= timeout,
            Entity::Data(listener) => listener.has_expired(now),
            Entity::Listener(_) | Entity::Udp(_) | Entity::Flow(_) => false,
        };
        for index in self.slots.indices(expired) {
            match self.slots.take(index) {
                Some(Entity::Session(session)) => self.end(index, *session, Verdict::Reset),
                Some(Entity::Data(listener)) => self.end_data_listener(index, &listener),
                _ => {}
            }
        }
        self.expire_flows();
    }

    fn work_all(&mut self, wanted: impl Fn(&Entity) -> bool) {
        for index in self.slots.indices(wanted) {
            if let Some(entity) = self.slots.take(index) {
                self.work(index, entity);
            }
        }
    }
}
