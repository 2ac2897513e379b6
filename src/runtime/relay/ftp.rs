//! FTP: control connections that are read on the way, and listeners for their data connections.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use super::cell::Lease;
use super::listener::{AcceptProblem, Origin, connect, listen};
use super::poller::Interest;
use super::tcp::{Channel, Dialing, Kind, Kit, Session, Side, Verdict, reset};
use super::worker::{Entity, Which, Worker};
use crate::ipvs::relay::ftp::{Action, CANNOT_OPEN, Control};
use crate::scheduler::Flow;
use crate::time::Instant;

/// Rounds a control connection gets in one turn.
const ROUNDS: usize = 16;

/// What a control connection has beside its two sockets.
pub(super) struct ControlState {
    control: Control,
    /// Where the listener for the data connection announced last is.
    listener: Option<usize>,
}

impl ControlState {
    pub(super) const fn new(client: IpAddr) -> Self {
        Self { control: Control::new(client), listener: None }
    }

    pub(super) const fn listener(&self) -> Option<usize> {
        self.listener
    }
}

/// Waits for one data connection.
pub(super) struct DataListener {
    socket: TcpListener,
    plan: DataPlan,
    /// Where the control connection is.
    control: usize,
    expires: Instant,
}

impl DataListener {
    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.expires <= now
    }
}

/// What to do with a data connection.
#[derive(Clone, Copy)]
struct DataPlan {
    /// Who may make it.
    from: IpAddr,
    /// Where it goes.
    target: SocketAddr,
    /// The address it goes there from: towards a client, the VIP.
    source: Option<SocketAddr>,
    /// Whether the client makes it (passive mode).
    passive: bool,
}

impl Worker {
    /// The control connection's turn.
    pub(super) fn relay_control(&mut self, index: usize, session: &mut Session) -> Verdict {
        for _ in 0..ROUNDS {
            match self.relay_control_once(index, session) {
                Ok(true) => {}
                Ok(false) => return session.verdict(false),
                Err(_) => {
                    session.count();
                    return Verdict::Reset;
                }
            }
        }
        session.verdict(true)
    }

    /// `true` if something was read, so that there may be more. Reads neither side while something
    /// waits to be sent to either, since a command may be answered at once.
    fn relay_control_once(&mut self, index: usize, session: &mut Session) -> io::Result<bool> {
        let to_server = session.forth.flush(&mut session.dialed)?;
        let to_client = session.back.flush(&mut session.accepted)?;
        finish(&mut session.forth, &session.dialed, to_server);
        finish(&mut session.back, &session.accepted, to_client);
        if !to_server || !to_client {
            return Ok(false);
        }
        let from_client = self.read_client(index, session)?;
        let from_server = self.read_server(index, session)?;
        Ok(from_client || from_server)
    }

    fn read_client(&mut self, index: usize, session: &mut Session) -> io::Result<bool> {
        let Kit { scratch, .. } = &mut self.kit;
        let ended = session.forth.has_ended();
        let count = session.forth.read(&mut session.accepted, scratch)?;
        let Kind::Control(state) = &mut session.kind else {
            return Ok(false);
        };
        let actions = state.control.from_client(&scratch[..count]);
        if session.forth.has_ended() && !ended {
            let rest = state.control.finish_client();
            session.forth.queue(&rest);
        }
        for action in actions {
            self.carry_out(index, session, action, true);
        }
        Ok(count > 0 || session.forth.has_ended() != ended)
    }

    fn read_server(&mut self, index: usize, session: &mut Session) -> io::Result<bool> {
        let Kit { scratch, .. } = &mut self.kit;
        let ended = session.back.has_ended();
        let count = session.back.read(&mut session.dialed, scratch)?;
        let Kind::Control(state) = &mut session.kind else {
            return Ok(false);
        };
        let actions = state.control.from_server(&scratch[..count]);
        if session.back.has_ended() && !ended {
            let rest = state.control.finish_server();
            session.back.queue(&rest);
        }
        for action in actions {
            self.carry_out(index, session, action, false);
        }
        Ok(count > 0 || session.back.has_ended() != ended)
    }

    fn carry_out(
        &mut self,
        index: usize,
        session: &mut Session,
        action: Action,
        from_client: bool,
    ) {
        match action {
            Action::Forward(bytes) if from_client => session.forth.queue(&bytes),
            Action::Forward(bytes) => session.back.queue(&bytes),
            Action::Answer(reply) => session.back.queue(reply),
            Action::Passive(reply) => {
                let prepared = passive_plan(session, reply.port())
                    .and_then(|(at, plan)| self.prepare(index, session, at, plan));
                match prepared {
                    Ok(at) => session.back.queue(&reply.rewritten(at)),
                    Err(_) => session.back.queue(CANNOT_OPEN),
                }
            }
            Action::Active(command) => {
                let prepared = active_plan(session, command.address())
                    .and_then(|(at, plan)| self.prepare(index, session, at, plan));
                match prepared {
                    Ok(at) => session.forth.queue(&command.rewritten(at)),
                    Err(_) => session.back.queue(CANNOT_OPEN),
                }
            }
        }
    }

    /// Listens for a data connection on any port of `at`; an earlier listener of this control
    /// connection is given up. Returns where.
    fn prepare(
        &mut self,
        control: usize,
        session: &mut Session,
        at: SocketAddr,
        plan: DataPlan,
    ) -> io::Result<SocketAddr> {
        let socket = listen(at)?;
        let at = socket.local_addr()?;
        let index = self.slots.reserve();
        if let Err(error) = self.register(index, Which::Accepted, &socket, Interest::Read) {
            self.slots.retire(index);
            return Err(error);
        }
        let expires = self.now + self.config.ftp_data_timeout;
        let listener = DataListener { socket, plan, control, expires };
        self.put_transient(index, Entity::Data(Box::new(listener)));
        if let Kind::Control(state) = &mut session.kind
            && let Some(former) = state.listener.replace(index)
        {
            self.slots.retire(former);
        }
        Ok(at)
    }

    /// Takes the first connection from whom it is for; all others are reset.
    pub(super) fn on_data_listener(&mut self, index: usize, listener: Box<DataListener>) {
        loop {
            match self.accept(&listener.socket) {
                Ok((stream, peer)) if peer.ip() == listener.plan.from => {
                    self.begin_data(stream, peer, &listener);
                    return self.end_data_listener(index, &listener);
                }
                Ok((stream, _)) => reset(stream),
                Err(AcceptProblem::Skip) => {}
                Err(AcceptProblem::Empty | AcceptProblem::Exhausted) => break,
            }
        }
        self.slots.put(index, Entity::Data(listener));
    }

    fn begin_data(&mut self, stream: TcpStream, peer: SocketAddr, listener: &DataListener) {
        let DataPlan { target, source, passive, .. } = listener.plan;
        let origin = source.map_or(Origin::Any, Origin::Own);
        let (Some(lease), Ok(dialed)) = (self.join(listener.control), connect(target, origin))
        else {
            return reset(stream);
        };
        let flow = Flow { source: peer, destination: target };
        let kind = Kind::Data { from_client: passive };
        let dialing = Dialing::new(flow, Vec::new(), Vec::new());
        self.begin(Session::new(stream, dialed, lease, kind, dialing, self.now));
    }

    fn join(&mut self, control: usize) -> Option<Lease> {
        match self.slots.get_mut(control)? {
            Entity::Session(session) => session.lease.join(),
            _ => None,
        }
    }

    pub(super) fn end_data_listener(&mut self, index: usize, listener: &DataListener) {
        self.slots.retire(index);
        if let Some(Entity::Session(session)) = self.slots.get_mut(listener.control)
            && let Kind::Control(state) = &mut session.kind
        {
            state.listener = None;
        }
    }
}

fn finish(channel: &mut Channel, to: &Side, flushed: bool) {
    if flushed && channel.has_ended() && !channel.is_finished() {
        channel.finish(to);
    }
}

/// The client will connect to the VIP and is led to the announced port of the server.
fn passive_plan(session: &Session, port: u16) -> io::Result<(SocketAddr, DataPlan)> {
    let mut target = session.dialed.stream.peer_addr()?;
    target.set_port(port);
    let plan = DataPlan {
        from: session.accepted.stream.peer_addr()?.ip(),
        target,
        source: None,
        passive: true,
    };
    Ok((any_port(session.accepted.stream.local_addr()?), plan))
}

/// The server will connect to the relay and is led to the announced port of the client, which
/// sees the VIP as the source.
fn active_plan(session: &Session, target: SocketAddr) -> io::Result<(SocketAddr, DataPlan)> {
    let plan = DataPlan {
        from: session.dialed.stream.peer_addr()?.ip(),
        target,
        source: Some(any_port(session.accepted.stream.local_addr()?)),
        passive: false,
    };
    Ok((any_port(session.dialed.stream.local_addr()?), plan))
}

fn any_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(0);
    address
}
