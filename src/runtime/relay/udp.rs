//! UDP: a connected socket towards the server for each client, replies from the service's socket.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use super::cell::{Lease, ServiceCell};
use super::listener::{connect_udp, is_exhaustion};
use super::poller::Interest;
use super::worker::{Entity, Which, Worker};
use crate::ipvs::ServiceKey;
use crate::ipvs::relay::FlowTable;
use crate::scheduler::Flow;

/// Datagrams one socket gets in one turn.
const BATCH: usize = 64;

/// A UDP service's socket in one worker, and the flows of the clients that the kernel leads there.
pub(super) struct UdpService {
    cell: Arc<ServiceCell>,
    socket: Arc<UdpSocket>,
    flows: FlowTable<FlowState>,
}

impl UdpService {
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

/// One client's flow.
pub(super) struct UdpFlow {
    client: SocketAddr,
    upstream: UdpSocket,
    /// The service's socket.
    replies: Arc<UdpSocket>,
    service: usize,
    lease: Lease,
    /// Servers that refused this client before.
    tried: Vec<SocketAddr>,
}

/// What became of one attempt to send or receive.
enum Outcome {
    Done,
    Empty,
    /// The server's machine has said that nothing listens there.
    Refused,
}

impl Worker {
    pub(super) fn listen_udp(&mut self, cell: Arc<ServiceCell>, socket: UdpSocket) {
        let index = self.slots.reserve();
        if let Err(error) = self.register(index, Which::Accepted, &socket, Interest::Read) {
            tracing::error!(service = %cell.key(), %error, "relay worker cannot poll a socket");
            return self.slots.retire(index);
        }
        let service = UdpService {
            cell,
            socket: Arc::new(socket),
            flows: FlowTable::new(self.max_udp_flows, self.config.udp_idle_timeout),
        };
        self.slots.put(index, Entity::Udp(Box::new(service)));
    }

    /// Flows end with their service's socket: no datagram of theirs can come in or go out.
    pub(super) fn end_udp_service(&mut self, mut service: UdpService) {
        for state in service.flows.drain() {
            self.end_flow(&state);
        }
    }

    pub(super) fn on_udp_service(&mut self, index: usize, mut service: Box<UdpService>) {
        for _ in 0..BATCH {
            let Ok((length, client)) = service.socket.recv_from(&mut self.datagram) else {
                return self.slots.put(index, Entity::Udp(service));
            };
            self.on_datagram(index, &mut service, client, length);
        }
        self.again(index);
        self.slots.put(index, Entity::Udp(service));
    }

    /// Sends the datagram in the buffer to the client's server.
    fn on_datagram(
        &mut self,
        index: usize,
        service: &mut UdpService,
        client: SocketAddr,
        length: usize,
    ) {
        let state = service.flows.touch(self.now, client);
        let tried = match state {
            None => Vec::new(),
            Some(FlowState::Refused(tried)) => std::mem::take(tried),
            Some(FlowState::Bound(at)) => {
                let at = *at;
                match self.send(at, length) {
                    Outcome::Done | Outcome::Empty => return,
                    Outcome::Refused => self.refused(at),
                }
            }
        };
        self.open_flow(index, service, client, tried, length);
    }

    fn send(&mut self, at: usize, length: usize) -> Outcome {
        match self.slots.get_mut(at) {
            Some(Entity::Flow(flow)) => flow.send(&self.datagram[..length]),
            _ => Outcome::Done,
        }
    }

    /// Ends a flow whose server refused it. Returns the servers tried so far.
    fn refused(&mut self, at: usize) -> Vec<SocketAddr> {
        let mut tried = Vec::new();
        if let Some(Entity::Flow(mut flow)) = self.slots.take(at) {
            flow.lease.mark_failed();
            tried = std::mem::take(&mut flow.tried);
            tried.push(flow.lease.address());
        }
        self.slots.retire(at);
        tried
    }

    /// Schedules the client and sends it the datagram; when every server has been tried, forgets
    /// that, so that the next datagram begins anew.
    fn open_flow(
        &mut self,
        index: usize,
        service: &mut UdpService,
        client: SocketAddr,
        mut tried: Vec<SocketAddr>,
        length: usize,
    ) {
        let ServiceKey::Address { address, .. } = service.key() else {
            return;
        };
        let flow = Flow { source: client, destination: address };
        while let Some(mut lease) = Lease::admit(&service.cell, self.now, &flow, &tried) {
            let at = self.slots.reserve();
            match self.connect_upstream(at, lease.address()) {
                Ok(upstream) => {
                    lease.established();
                    let flow = UdpFlow {
                        client,
                        upstream,
                        replies: Arc::clone(&service.socket),
                        service: index,
                        lease,
                        tried,
                    };
                    flow.send(&self.datagram[..length]);
                    self.put_transient(at, Entity::Flow(Box::new(flow)));
                    let evicted = service.flows.insert(self.now, client, FlowState::Bound(at));
                    return evicted.iter().for_each(|state| self.end_flow(state));
                }
                Err(error) if is_exhaustion(&error) => {
                    self.slots.retire(at);
                    break;
                }
                Err(_) => {
                    self.slots.retire(at);
                    lease.mark_failed();
                    tried.push(lease.address());
                }
            }
        }
        service.flows.remove(client);
    }

    fn connect_upstream(&self, at: usize, server: SocketAddr) -> io::Result<UdpSocket> {
        let socket = connect_udp(server)?;
        self.register(at, Which::Dialed, &socket, Interest::Read)?;
        Ok(socket)
    }

    pub(super) fn on_udp_flow(&mut self, index: usize, mut flow: Box<UdpFlow>) {
        for _ in 0..BATCH {
            match flow.receive(&mut self.datagram) {
                Outcome::Done => self.touch_flow(&flow),
                Outcome::Empty => return self.slots.put(index, Entity::Flow(flow)),
                Outcome::Refused => return self.on_refused(index, flow),
            }
        }
        self.again(index);
        self.slots.put(index, Entity::Flow(flow));
    }

    fn touch_flow(&mut self, flow: &UdpFlow) {
        let now = self.now;
        if let Some(Entity::Udp(service)) = self.slots.get_mut(flow.service) {
            service.flows.touch(now, flow.client);
        }
    }

    fn on_refused(&mut self, index: usize, flow: Box<UdpFlow>) {
        let (service, client, now) = (flow.service, flow.client, self.now);
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
            while let Some(state) = service.flows.expire(self.now) {
                self.end_flow(&state);
            }
            self.slots.put(index, Entity::Udp(service));
        }
    }

    fn end_flow(&mut self, state: &FlowState) {
        if let FlowState::Bound(at) = state {
            self.slots.retire(*at);
        }
    }
}

impl UdpFlow {
    fn send(&self, datagram: &[u8]) -> Outcome {
        match self.upstream.send(datagram) {
            Ok(count) => {
                self.lease.transferred(count as u64, 0);
                Outcome::Done
            }
            Err(error) => judge(&error),
        }
    }

    /// Receives one reply and sends it to the client. A reply that cannot be sent is lost, as any
    /// datagram may be.
    fn receive(&mut self, buffer: &mut [u8]) -> Outcome {
        let length = match self.upstream.recv(buffer) {
            Ok(length) => length,
            Err(error) => return judge(&error),
        };
        self.tried.clear();
        if let Ok(sent) = self.replies.send_to(&buffer[..length], self.client) {
            self.lease.transferred(0, sent as u64);
        }
        Outcome::Done
    }
}

fn judge(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => Outcome::Refused,
        _ => Outcome::Empty,
    }
}
