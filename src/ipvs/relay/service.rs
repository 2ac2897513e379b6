use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::aging::Aging;
use super::{ConnectionLimit, DatagramLosses, DestinationStatus, LossReason, ServiceStatus};
use crate::ipvs::{Counters, Destination, Entry, Forwarding, Service, ServiceKey};
use crate::net::Protocol;
use crate::scheduler::{Flow, Pool, Scheduler, Server, ServerId};
use crate::time::Instant;

/// How long a template whose timeout is over stays on for the connections that still use it; the
/// kernel looks again after as long (`IP_VS_CONN_F_TEMPLATE` in ip_vs_conn.c).
const TEMPLATE_GRACE: Duration = Duration::from_secs(60);

/// Clients one service remembers for persistence. The kernel's bound is its memory.
const MAX_TEMPLATES: usize = 65_536;

/// One virtual service of the relay: its servers, its persistence templates, its counters.
///
/// A connection's life is that of its [`Ticket`]: [`admit`](Self::admit) picks a server and counts
/// the connection there at once, so that many clients arriving together do not all see the server
/// idle; then either [`fail`](Self::fail), or [`established`](Self::established), perhaps
/// [`deactivate`](Self::deactivate), and [`close`](Self::close).
///
/// A server's weight 0 and its overload keep new clients away. Connections go on, and so do
/// persistent clients, which come back to their server all the same (as in the kernel with
/// `expire_quiescent_template = 0`).
///
/// Removing a server or the service ends no connection. A server that is added again while
/// connections of its former self go on takes them up again and with them its load, as the
/// kernel does; its counters start from zero.
pub struct VirtualService {
    service: Service,
    pool: Pool,
    books: BTreeMap<ServerId, Book>,
    templates: Aging<IpAddr, Template>,
    next_template: u64,
    counters: Counters,
    losses: DatagramLosses,
    refused: u64,
}

/// What is kept about a server beside its place in the pool.
struct Book {
    destination: Destination,
    counters: Counters,
    failures: u64,
    templates: u32,
}

/// The server that a persistent client comes back to.
#[derive(Debug)]
struct Template {
    /// Tells it from a later template for the same client.
    number: u64,
    server: ServerId,
    connections: u32,
}

/// One connection's place on its server, to be handed back when it ends.
#[derive(Debug)]
#[must_use = "a connection that is never closed counts for ever"]
pub struct Ticket {
    server: ServerId,
    address: SocketAddr,
    state: State,
    template: Option<(IpAddr, u64)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Active,
    Inactive,
    /// Its server had been removed before it began.
    Uncounted,
}

impl Ticket {
    /// The real server's address and port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Why a change of a service's servers was not made. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", self.as_str())]
pub enum Conflict {
    /// To be added, but there.
    Exists,
    /// To be changed or removed, but not there.
    Missing,
    /// To be reached by another method than NAT.
    Forwarding,
}

impl Conflict {
    /// The problem in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "the server is there already",
            Self::Missing => "there is no such server",
            Self::Forwarding => "the relay reaches servers by NAT only",
        }
    }
}

impl VirtualService {
    /// `service` without a server. `scheduler` is taken for the one the service names.
    #[must_use]
    pub fn new(service: Service, scheduler: Box<dyn Scheduler>) -> Self {
        Self {
            service,
            pool: Pool::new(scheduler),
            books: BTreeMap::new(),
            templates: Aging::new(MAX_TEMPLATES),
            next_template: 0,
            counters: Counters::default(),
            losses: DatagramLosses::default(),
            refused: 0,
        }
    }

    /// The service as configured.
    #[must_use]
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// The service and its servers as configured.
    #[must_use]
    pub fn entry(&self) -> Entry {
        let mut entry = Entry::new(self.service.clone());
        for book in self.books.values() {
            entry.insert(book.destination);
        }
        entry
    }

    /// Changes the service. Servers, connections and counters stay; `scheduler`, if given,
    /// replaces the present one. When persistence is switched off or its prefix changes, clients
    /// are forgotten; a new timeout holds from each client's next connection.
    pub fn edit(&mut self, service: Service, scheduler: Option<Box<dyn Scheduler>>) {
        let family = self.service.key().family();
        let prefix = |service: &Service| service.persistence().map(|p| p.prefix(family));
        if prefix(&service) != prefix(&self.service) {
            self.forget_templates(|_| true);
        }
        if let Some(scheduler) = scheduler {
            self.pool.set_scheduler(scheduler);
        }
        self.service = service;
    }

    /// Adds a server, in front of all others.
    ///
    /// # Errors
    /// [`Conflict::Exists`], [`Conflict::Forwarding`].
    pub fn add(&mut self, destination: Destination) -> Result<(), Conflict> {
        require_nat(&destination)?;
        if self.find(destination.address()).is_some() {
            return Err(Conflict::Exists);
        }
        let id =
            self.pool.add(destination.address(), destination.weight(), destination.thresholds());
        let book = Book { destination, counters: Counters::default(), failures: 0, templates: 0 };
        self.books.insert(id, book);
        Ok(())
    }

    /// Changes a server's weight and thresholds; it keeps its place and its connections.
    ///
    /// # Errors
    /// [`Conflict::Missing`], [`Conflict::Forwarding`].
    pub fn edit_destination(&mut self, destination: Destination) -> Result<(), Conflict> {
        require_nat(&destination)?;
        let id = self.find(destination.address()).ok_or(Conflict::Missing)?;
        self.pool.edit(id, destination.weight(), destination.thresholds());
        if let Some(book) = self.books.get_mut(&id) {
            book.destination = destination;
        }
        Ok(())
    }

    /// Takes a server out. Its connections go on; its persistent clients are forgotten.
    ///
    /// # Errors
    /// [`Conflict::Missing`].
    pub fn remove(&mut self, address: SocketAddr) -> Result<(), Conflict> {
        let id = self.find(address).ok_or(Conflict::Missing)?;
        self.forget_templates(|template| template.server == id);
        self.pool.remove(id);
        self.books.remove(&id);
        Ok(())
    }

    /// Picks the server for a new connection and counts it there, or `None` if no server may
    /// take it, which counts as refused.
    ///
    /// `tried` are the servers that have just failed this client. While it is empty the
    /// scheduler decides. A retry goes to the least loaded of the remaining eligible servers (the
    /// rule of wlc) instead: it must not disturb the scheduler's round, nor can the scheduler be
    /// told whom to leave out.
    #[must_use]
    pub fn admit(&mut self, now: Instant, flow: &Flow, tried: &[SocketAddr]) -> Option<Ticket> {
        self.expire_templates(now);
        self.pool.handle_time(now);
        let client = self.persistent_client(flow);
        let remembered = client.and_then(|client| self.remembered(client, tried));
        let Some(server) = remembered.or_else(|| self.schedule(flow, tried)) else {
            self.refused += 1;
            return None;
        };
        let address = self.pool.get(server)?.address();
        let template = client.map(|client| (client, self.use_template(now, client, server)));
        let state = self.open(server);
        Some(Ticket { server, address, state, template })
    }

    /// Admits a further connection that belongs to `ticket`'s (an FTP data connection): same
    /// server, whatever its weight and load. It counts towards the server's load and bytes but not
    /// as a scheduled connection, as in the kernel.
    pub fn join(&mut self, ticket: &Ticket) -> Ticket {
        let in_service = ticket.state != State::Uncounted && self.pool.get(ticket.server).is_some();
        Ticket {
            server: ticket.server,
            address: ticket.address,
            state: if in_service { self.open(ticket.server) } else { State::Uncounted },
            template: None,
        }
    }

    /// The server took the connection: it counts as one of its connections from now on.
    pub fn established(&mut self, ticket: &Ticket) {
        self.record(ticket, |counters| counters.connections += 1);
    }

    /// Counts what has been passed on: bytes, and with UDP packets, each of which is a datagram.
    pub fn transferred(&mut self, ticket: &Ticket, traffic: Counters) {
        self.record(ticket, |counters| *counters += traffic);
    }

    /// Counts datagrams that were not passed on.
    pub const fn lost(&mut self, reason: LossReason, datagrams: u64) {
        self.losses.add(reason, datagrams);
    }

    /// One side has finished sending: the connection is no longer active.
    pub fn deactivate(&mut self, ticket: &mut Ticket) {
        if ticket.state == State::Active {
            ticket.state = State::Inactive;
            self.pool.deactivate(ticket.server);
        }
    }

    /// The server did not take the connection. A persistent client is forgotten, so that its next
    /// connection is scheduled anew.
    pub fn fail(&mut self, ticket: Ticket) {
        if let Some(book) = self.book_of(&ticket) {
            book.failures += 1;
        }
        if let Some((client, number)) = ticket.template {
            self.forget_template(client, number);
        }
        self.close(ticket);
    }

    /// The connection has ended.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is good for one close")]
    pub fn close(&mut self, ticket: Ticket) {
        match ticket.state {
            State::Active => self.pool.close(ticket.server),
            State::Inactive => self.pool.close_inactive(ticket.server),
            State::Uncounted => {}
        }
        if let Some((client, number)) = ticket.template
            && let Some(template) = self.templates.get_mut(client)
            && template.number == number
        {
            template.connections = template.connections.saturating_sub(1);
        }
    }

    /// Counters and servers at this moment. `listening` and the limit of connections are for the
    /// caller to know.
    #[must_use]
    pub fn status(&mut self, now: Instant, listening: bool) -> ServiceStatus {
        self.expire_templates(now);
        let servers = self.pool.servers().as_slice();
        ServiceStatus {
            key: self.service.key(),
            listening,
            counters: self.counters,
            limit: ConnectionLimit::default(),
            losses: self.losses,
            refused: self.refused,
            destinations: servers.iter().map(|server| self.describe(server)).collect(),
        }
    }

    fn describe(&self, server: &Server) -> DestinationStatus {
        let book = self.books.get(&server.id());
        DestinationStatus {
            address: server.address(),
            weight: server.weight(),
            load: server.load(),
            counters: book.map(|book| book.counters).unwrap_or_default(),
            failures: book.map_or(0, |book| book.failures),
            overloaded: server.is_overloaded(),
        }
    }

    fn find(&self, address: SocketAddr) -> Option<ServerId> {
        let servers = self.pool.servers();
        servers.at(servers.find(address)?).map(Server::id)
    }

    fn open(&mut self, server: ServerId) -> State {
        let protocol = match self.service.key() {
            ServiceKey::Address { protocol, .. } => protocol,
            ServiceKey::Mark { .. } => Protocol::Tcp,
        };
        match protocol {
            Protocol::Tcp | Protocol::Sctp => {
                self.pool.open(server);
                State::Active
            }
            Protocol::Udp => {
                self.pool.open_inactive(server);
                State::Inactive
            }
        }
    }

    fn schedule(&mut self, flow: &Flow, tried: &[SocketAddr]) -> Option<ServerId> {
        if tried.is_empty() {
            return self.pool.pick(flow);
        }
        let servers = self.pool.servers().as_slice().iter();
        servers
            .filter(|server| server.is_eligible() && !tried.contains(&server.address()))
            .reduce(|best, server| {
                let product = |load: &Server, weight: &Server| {
                    u128::from(load.overhead()) * u128::from(weight.weight().get())
                };
                if product(best, server) > product(server, best) { server } else { best }
            })
            .map(Server::id)
    }

    /// What to count for `ticket`, unless its server has been removed.
    fn book_of(&mut self, ticket: &Ticket) -> Option<&mut Book> {
        if ticket.state == State::Uncounted {
            return None;
        }
        self.books.get_mut(&ticket.server)
    }

    fn record(&mut self, ticket: &Ticket, count: impl Fn(&mut Counters)) {
        count(&mut self.counters);
        if let Some(book) = self.book_of(ticket) {
            count(&mut book.counters);
        }
    }
}

/// Persistence.
impl VirtualService {
    fn persistent_client(&self, flow: &Flow) -> Option<IpAddr> {
        let persistence = self.service.persistence()?;
        Some(persistence.client(flow.source.ip()))
    }

    fn remembered(&mut self, client: IpAddr, tried: &[SocketAddr]) -> Option<ServerId> {
        let server = self.templates.get_mut(client)?.server;
        let address = self.pool.get(server)?.address();
        (!tried.contains(&address)).then_some(server)
    }

    /// Remembers `client` from now on, with one more connection. Returns the template's number.
    fn use_template(&mut self, now: Instant, client: IpAddr, server: ServerId) -> u64 {
        let persistence = self.service.persistence();
        let expires = now + persistence.map_or(Duration::ZERO, |p| p.timeout());
        if let Some(template) = self.templates.get_mut(client)
            && template.server == server
        {
            template.connections += 1;
            let number = template.number;
            self.templates.postpone(client, expires);
            return number;
        }
        self.next_template += 1;
        let template = Template { number: self.next_template, server, connections: 1 };
        if let Some((_, gone)) = self.templates.insert(client, template, expires) {
            self.count_template(gone.server, -1);
        }
        self.count_template(server, 1);
        self.next_template
    }

    fn expire_templates(&mut self, now: Instant) {
        while let Some((client, template)) = self.templates.pop_expired(now) {
            if template.connections > 0 {
                self.templates.insert(client, template, now + TEMPLATE_GRACE);
            } else {
                self.count_template(template.server, -1);
            }
        }
    }

    fn forget_templates(&mut self, which: impl Fn(&Template) -> bool) {
        self.templates.remove_where(which);
        let mut left: BTreeMap<ServerId, u32> = BTreeMap::new();
        for template in self.templates.values() {
            *left.entry(template.server).or_default() += 1;
        }
        for (id, book) in &mut self.books {
            book.templates = left.get(id).copied().unwrap_or(0);
            self.pool.set_persistent(*id, book.templates);
        }
    }

    fn forget_template(&mut self, client: IpAddr, number: u64) {
        let current = self.templates.get_mut(client).map(|found| found.number);
        if current == Some(number)
            && let Some(template) = self.templates.remove(client)
        {
            self.count_template(template.server, -1);
        }
    }

    fn count_template(&mut self, server: ServerId, change: i32) {
        if let Some(book) = self.books.get_mut(&server) {
            book.templates = book.templates.saturating_add_signed(change);
            self.pool.set_persistent(server, book.templates);
        }
    }
}

fn require_nat(destination: &Destination) -> Result<(), Conflict> {
    match destination.forwarding() {
        Forwarding::Nat => Ok(()),
        Forwarding::Direct | Forwarding::Local | Forwarding::Tunnel(_) => Err(Conflict::Forwarding),
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
