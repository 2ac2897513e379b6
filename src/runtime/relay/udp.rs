//! UDP: a connected socket towards the server for each flow, replies from the service's socket.
//!
//! A flow is all of a client's datagrams, or in one-packet mode a single one with its answers.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use super::cell::{Lease, ServiceCell};
use super::listener::{Origin, connect_udp, is_exhaustion};
use super::outgoing::{Outgoing, Sent, is_refusal};
use super::poller::Interest;
use super::worker::{Entity, Which, Worker};
use crate::ipvs::relay::{FlowTable, LossReason};
use crate::ipvs::{Counters, ServiceKey};
use crate::runtime::sys::{self, BATCH, Inbox};
use crate::scheduler::Flow;
use crate::time::Instant;

/// Batches one socket gets in one turn.
const TURN: usize = 4;

/// A UDP service's socket in one worker, and the flows of the clients that the kernel leads there.
pub(super) struct UdpService {
    cell: Arc<ServiceCell>,
    socket: Arc<UdpSocket>,
    flows: FlowTable<FlowState>,
    /// Flows of one datagram. A client may have many: each has a number.
    single: FlowTable<usize, (SocketAddr, u64)>,
    next_single: u64,
    overruns: Overruns,
}

impl UdpService {
    fn new(cell: Arc<ServiceCell>, socket: UdpSocket, most: usize, limits: [Duration; 2]) -> Self {
        let [silence, answer] = limits;
        Self {
            cell,
            socket: Arc::new(socket),
            flows: FlowTable::new(most, silence),
            single: FlowTable::new(most, answer),
            next_single: 0,
            overruns: Overruns::default(),
        }
    }

    pub(super) fn key(&self) -> ServiceKey {
        self.cell.key()
    }
}

/// What is known about a client.
enum FlowState {
    /// Its flow is at this index.
    Bound(usize),
    /// These servers have refused it; its next datagram goes to another.
    Refused(Vec<SocketAddr>),
}

/// One flow.
pub(super) struct UdpFlow {
    client: SocketAddr,
    /// Whether it is for one datagram only.
    single: bool,
    upstream: UdpSocket,
    /// The service's socket.
    replies: Arc<UdpSocket>,
    service: usize,
    lease: Lease,
    /// Servers that refused this client before.
    tried: Vec<SocketAddr>,
    /// Whether several datagrams may leave in one message, towards the server and the client.
    coupling: [bool; 2],
}

/// What a socket's receive buffer had no room for, as far as it has been counted.
#[derive(Default)]
struct Overruns {
    counted: u32,
}

impl Overruns {
    /// Counts what is new.
    fn count(&mut self, cell: &ServiceCell, socket: &UdpSocket) {
        // Kernels that cannot tell leave the counter at zero.
        let now = sys::overruns(socket).unwrap_or(self.counted);
        let new = now.wrapping_sub(std::mem::replace(&mut self.counted, now));
        if new > 0 {
            cell.lock().lost(LossReason::Overrun, new.into());
        }
    }
}

/// Datagrams from clients.
impl Worker {
    pub(super) fn listen_udp(&mut self, cell: Arc<ServiceCell>, socket: UdpSocket) {
        let index = self.slots.reserve();
        if let Err(error) = self.register(index, Which::Accepted, &socket, Interest::Read) {
            tracing::error!(service = %cell.key(), %error, "relay worker cannot poll a socket");
            return self.slots.retire(index);
        }
        let limits = [self.config.udp_idle_timeout, self.config.one_packet_timeout];
        let service = UdpService::new(cell, socket, self.max_udp_flows, limits);
        self.slots.put(index, Entity::Udp(Box::new(service)));
    }

    /// Flows end with their service's socket: no datagram of theirs can come in or go out.
    pub(super) fn end_udp_service(&mut self, mut service: UdpService) {
        for state in service.flows.drain() {
            self.end_flow(&state);
        }
        for at in service.single.drain() {
            self.end_flow(&FlowState::Bound(at));
        }
        service.overruns.count(&service.cell, &service.socket);
    }

    pub(super) fn on_udp_service(&mut self, index: usize, mut service: Box<UdpService>) {
        let mut inbox = self.inbox.take().unwrap_or_else(Inbox::new);
        let mut received = BATCH;
        for _ in 0..TURN {
            received = inbox.receive(&service.socket).unwrap_or(0);
            self.on_messages(index, &mut service, &inbox, received);
            if received < BATCH {
                break;
            }
        }
        if received == BATCH {
            self.again(index);
        }
        self.inbox = Some(inbox);
        self.slots.put(index, Entity::Udp(service));
    }

    /// Sorts what has come by client, each one's datagrams in their order.
    fn on_messages(&mut self, index: usize, service: &mut UdpService, inbox: &Inbox, count: usize) {
        let sender = |&message: &usize| inbox.sender(message);
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(sender);
        let one_packet = service.cell.lock().service().one_packet();
        for run in order.chunk_by(|a, b| sender(a) == sender(b)) {
            let Some(client) = sender(&run[0]) else {
                continue;
            };
            let outgoing = collect(inbox, run.iter().copied());
            match one_packet {
                true => self.on_singles(index, service, client, &outgoing),
                false => self.on_datagrams(index, service, client, outgoing),
            }
        }
    }

    /// Sends a client's datagrams to its server.
    fn on_datagrams(
        &mut self,
        index: usize,
        service: &mut UdpService,
        client: SocketAddr,
        mut outgoing: Outgoing<'_>,
    ) {
        let tried = match service.flows.touch(self.now, client) {
            None => Vec::new(),
            Some(FlowState::Refused(tried)) => std::mem::take(tried),
            Some(FlowState::Bound(at)) => {
                let at = *at;
                match self.send(at, &mut outgoing) {
                    true => return,
                    false => self.refused(at),
                }
            }
        };
        let opened = self.open_flow(index, service, client, tried, &mut outgoing);
        let evicted = match opened {
            Some(at) => service.flows.insert(self.now, client, FlowState::Bound(at)),
            None => service.flows.remove(client),
        };
        evicted.iter().for_each(|state| self.end_flow(state));
    }

    /// One-packet mode: each datagram is scheduled for itself.
    fn on_singles(
        &mut self,
        index: usize,
        service: &mut UdpService,
        client: SocketAddr,
        outgoing: &Outgoing<'_>,
    ) {
        for datagram in outgoing.singles() {
            let mut outgoing = Outgoing::default();
            outgoing.push(datagram, datagram.len());
            if let Some(at) = self.open_flow(index, service, client, Vec::new(), &mut outgoing) {
                service.next_single += 1;
                let key = (client, service.next_single);
                if let Some(Entity::Flow(flow)) = self.slots.get_mut(at) {
                    flow.single = true;
                }
                let evicted = service.single.insert(self.now, key, at);
                evicted.into_iter().for_each(|at| self.end_flow(&FlowState::Bound(at)));
            }
        }
    }

    /// `false` if the server has refused the flow; what is left then has not been sent.
    fn send(&mut self, at: usize, outgoing: &mut Outgoing<'_>) -> bool {
        match self.slots.get_mut(at) {
            Some(Entity::Flow(flow)) => flow.send(outgoing),
            _ => true,
        }
    }

    /// Ends a flow whose server refused it. Returns the servers tried so far.
    fn refused(&mut self, at: usize) -> Vec<SocketAddr> {
        let mut tried = Vec::new();
        if let Some(Entity::Flow(mut flow)) = self.slots.take(at) {
            flow.lease.mark_failed();
            tried = std::mem::take(&mut flow.tried);
            tried.push(flow.lease.address());
            flow.count_overruns();
        }
        self.slots.retire(at);
        tried
    }

    /// Schedules the client and sends its datagrams. Returns where its flow is; when every server
    /// has been tried, none, so that the next datagram begins anew.
    fn open_flow(
        &mut self,
        index: usize,
        service: &UdpService,
        client: SocketAddr,
        mut tried: Vec<SocketAddr>,
        outgoing: &mut Outgoing<'_>,
    ) -> Option<usize> {
        let ServiceKey::Address { address, .. } = service.key() else {
            return None;
        };
        let flow = Flow { source: client, destination: address };
        let origin = service.cell.origin(client);
        while let Some(mut lease) = Lease::admit(&service.cell, self.now, &flow, &tried) {
            let at = self.slots.reserve();
            match self.connect_upstream(at, lease.address(), origin) {
                Ok(upstream) => {
                    lease.established();
                    let replies = Arc::clone(&service.socket);
                    let mut flow = UdpFlow::new(client, upstream, replies, index, lease, tried);
                    if !flow.send(outgoing) {
                        service.cell.lock().lost(LossReason::ToServer, outgoing.left());
                    }
                    self.put_transient(at, Entity::Flow(Box::new(flow)));
                    return Some(at);
                }
                Err(error) if is_exhaustion(&error) => {
                    self.slots.retire(at);
                    service.cell.lock().lost(LossReason::NoResources, outgoing.left());
                    return None;
                }
                Err(_) => {
                    self.slots.retire(at);
                    lease.mark_failed();
                    tried.push(lease.address());
                }
            }
        }
        service.cell.lock().lost(LossReason::NoServer, outgoing.left());
        None
    }

    fn connect_upstream(
        &self,
        at: usize,
        server: SocketAddr,
        origin: Origin,
    ) -> io::Result<UdpSocket> {
        let socket = connect_udp(server, origin)?;
        self.register(at, Which::Dialed, &socket, Interest::Read)?;
        Ok(socket)
    }
}

/// Datagrams from servers, and the end of flows.
impl Worker {
    pub(super) fn on_udp_flow(&mut self, index: usize, mut flow: Box<UdpFlow>) {
        let mut inbox = self.inbox.take().unwrap_or_else(Inbox::new);
        let answered = flow.answer(&mut inbox);
        self.inbox = Some(inbox);
        match answered {
            Ok(more) => {
                if more {
                    self.again(index);
                }
                self.touch_flow(&flow);
                self.slots.put(index, Entity::Flow(flow));
            }
            Err(error) if is_refusal(&error) => self.on_refused(index, flow),
            Err(_) => self.slots.put(index, Entity::Flow(flow)),
        }
    }

    fn touch_flow(&mut self, flow: &UdpFlow) {
        let now = self.now;
        if let Some(Entity::Udp(service)) = self.slots.get_mut(flow.service)
            && !flow.single
        {
            service.flows.touch(now, flow.client);
        }
    }

    fn on_refused(&mut self, index: usize, mut flow: Box<UdpFlow>) {
        let (service, client, now) = (flow.service, flow.client, self.now);
        if flow.single {
            // Its datagram has been lost by the server; its place expires.
            flow.lease.mark_failed();
            return self.slots.put(index, Entity::Flow(flow));
        }
        self.slots.put(index, Entity::Flow(flow));
        let tried = self.refused(index);
        if let Some(Entity::Udp(service)) = self.slots.get_mut(service) {
            service.flows.insert(now, client, FlowState::Refused(tried));
        }
    }

    pub(super) fn expire_flows(&mut self) {
        for index in self.slots.indices(|entity| matches!(entity, Entity::Udp(_))) {
            let Some(Entity::Udp(mut service)) = self.slots.take(index) else {
                continue;
            };
            self.expire_flows_of(&mut service, self.now);
            service.overruns.count(&service.cell, &service.socket);
            self.slots.put(index, Entity::Udp(service));
        }
    }

    fn expire_flows_of(&mut self, service: &mut UdpService, now: Instant) {
        while let Some(state) = service.flows.expire(now) {
            self.end_flow(&state);
        }
        while let Some(at) = service.single.expire(now) {
            self.end_flow(&FlowState::Bound(at));
        }
    }

    fn end_flow(&mut self, state: &FlowState) {
        let FlowState::Bound(at) = state else {
            return;
        };
        if let Some(Entity::Flow(flow)) = self.slots.take(*at) {
            flow.count_overruns();
        }
        self.slots.retire(*at);
    }
}

impl UdpFlow {
    fn new(
        client: SocketAddr,
        upstream: UdpSocket,
        replies: Arc<UdpSocket>,
        service: usize,
        lease: Lease,
        tried: Vec<SocketAddr>,
    ) -> Self {
        let coupling = [true; 2];
        Self { client, single: false, upstream, replies, service, lease, tried, coupling }
    }

    /// Sends to the server. `false` if it has refused the flow before: what is left has not been
    /// sent.
    fn send(&mut self, outgoing: &mut Outgoing<'_>) -> bool {
        let [coupling, _] = &mut self.coupling;
        let (Sent { datagrams, bytes, lost }, done) = outgoing.send(&self.upstream, None, coupling);
        if datagrams > 0 {
            let traffic =
                Counters { packets_in: datagrams, bytes_in: bytes, ..Counters::default() };
            self.lease.transferred(traffic);
        }
        self.lose(LossReason::ToServer, lost);
        done.is_ok()
    }

    /// Receives replies and sends them to the client. `true` if there may be more.
    fn answer(&mut self, inbox: &mut Inbox) -> io::Result<bool> {
        for _ in 0..TURN {
            let count = match inbox.receive(&self.upstream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                received => received?,
            };
            self.tried.clear();
            self.send_back(collect(inbox, 0..count));
            if count < BATCH {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A reply that cannot be sent is lost, as any datagram may be.
    fn send_back(&mut self, mut outgoing: Outgoing<'_>) {
        let [_, coupling] = &mut self.coupling;
        let (sent, done) = outgoing.send(&self.replies, Some(self.client), coupling);
        let Sent { datagrams, bytes, mut lost } = sent;
        if done.is_err() {
            lost += outgoing.left();
        }
        let traffic = Counters { packets_out: datagrams, bytes_out: bytes, ..Counters::default() };
        self.lease.transferred(traffic);
        self.lose(LossReason::ToClient, lost);
    }

    fn lose(&self, reason: LossReason, datagrams: u64) {
        if datagrams > 0 {
            self.lease.cell().lock().lost(reason, datagrams);
        }
    }

    /// Once, when the flow ends.
    fn count_overruns(&self) {
        Overruns::default().count(self.lease.cell(), &self.upstream);
    }
}

fn collect(inbox: &Inbox, messages: impl Iterator<Item = usize>) -> Outgoing<'_> {
    let mut outgoing = Outgoing::default();
    for message in messages {
        let (payload, segment) = inbox.payload(message);
        outgoing.push(payload, segment);
    }
    outgoing
}
