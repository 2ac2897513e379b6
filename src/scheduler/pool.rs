use std::fmt;
use std::net::SocketAddr;

use super::servers::Connection;
use super::{Flow, Scheduler, Server, ServerId, Servers};
use crate::ipvs::Thresholds;
use crate::net::Weight;
use crate::time::Instant;

/// A scheduler together with the servers it picks from.
///
/// Picking does not count a connection: whoever places one says so with [`open`](Self::open), and
/// again when it [ends](Self::close). A program that only wants shares by weight may leave that
/// out; thresholds and all schedulers that look at connection counts need it.
///
/// lblc and lblcr forget what was not asked for in a long time, so they need to be
/// [told the time](Self::handle_time). No other scheduler does.
pub struct Pool {
    servers: Servers,
    scheduler: Box<dyn Scheduler>,
    now: Option<Instant>,
}

impl Pool {
    /// An empty pool that picks by `scheduler`.
    #[must_use]
    pub fn new(mut scheduler: Box<dyn Scheduler>) -> Self {
        let servers = Servers::default();
        scheduler.start(&servers);
        Self { servers, scheduler, now: None }
    }

    /// The servers, the newest first.
    #[must_use]
    pub const fn servers(&self) -> &Servers {
        &self.servers
    }

    /// The server `id`, or `None` once it is removed.
    #[must_use]
    pub fn get(&self, id: ServerId) -> Option<&Server> {
        self.servers.position(id).and_then(|position| self.servers.at(position))
    }

    /// The scheduler's name.
    #[must_use]
    pub fn scheduler(&self) -> &'static str {
        self.scheduler.name()
    }

    /// Picks by another scheduler from now on, which starts afresh, as in the kernel. Servers and
    /// connection counts stay.
    pub fn set_scheduler(&mut self, mut scheduler: Box<dyn Scheduler>) {
        scheduler.start(&self.servers);
        if let Some(now) = self.now {
            scheduler.handle_time(now);
        }
        self.scheduler = scheduler;
    }

    /// Adds a server in front of all others.
    ///
    /// A server that was [removed](Self::remove) and still has connections comes back: it gets its
    /// name and its counts again, as in the kernel. An address that is there already is a second
    /// entry; keeping addresses apart is the caller's business, and so is the scheduler's
    /// [`capacity`](Self::capacity).
    pub fn add(&mut self, address: SocketAddr, weight: Weight, thresholds: Thresholds) -> ServerId {
        let id = self.servers.add(address, weight, thresholds);
        self.scheduler.on_added(&self.servers);
        id
    }

    /// Takes a server out. `false` if it is not there.
    ///
    /// Its connections may go on and are still to be [closed](Self::close): until the last one is,
    /// the pool remembers it.
    pub fn remove(&mut self, id: ServerId) -> bool {
        let Some(position) = self.servers.position(id) else {
            return false;
        };
        self.servers.remove(position);
        self.scheduler.on_removed(position, &self.servers);
        true
    }

    /// Changes weight and thresholds; the server keeps its place and its connections. `false` if
    /// it is not there.
    pub fn edit(&mut self, id: ServerId, weight: Weight, thresholds: Thresholds) -> bool {
        let Some(position) = self.servers.position(id) else {
            return false;
        };
        self.servers.edit(position, weight, thresholds);
        self.scheduler.on_edited(position, &self.servers);
        true
    }

    /// How many servers the scheduler can pick from; see [`Scheduler::capacity`].
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.scheduler.capacity()
    }

    /// It is `now`. Call it from the start on, before each pick or at least once a minute; a moment
    /// earlier than one already told counts as that one.
    pub fn handle_time(&mut self, now: Instant) {
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        self.scheduler.handle_time(now);
    }

    /// The server for a new connection, or `None` if none may take one.
    ///
    /// # Panics
    /// In debug builds, if the scheduler breaks its contract and picks a quiesced server.
    #[must_use]
    pub fn pick(&mut self, flow: &Flow) -> Option<ServerId> {
        let position = self.scheduler.pick(flow, &self.servers)?;
        let server = self.servers.at(position)?;
        debug_assert!(
            !server.weight().is_quiesced(),
            "{} picked a quiesced server",
            self.scheduler.name()
        );
        Some(server.id())
    }

    /// Counts a new active connection on `id` (TCP).
    pub fn open(&mut self, id: ServerId) {
        let changed = self.servers.open(id, Connection::Active);
        self.load_changed(changed);
    }

    /// Counts a new connection that is never active on `id` (UDP).
    pub fn open_inactive(&mut self, id: ServerId) {
        let changed = self.servers.open(id, Connection::Inactive);
        self.load_changed(changed);
    }

    /// An active connection of `id` became inactive: one side has finished. Nothing changes if it
    /// has none.
    pub fn deactivate(&mut self, id: ServerId) {
        let changed = self.servers.deactivate(id);
        self.load_changed(changed);
    }

    /// An active connection of `id` ended. Nothing changes if it has none.
    pub fn close(&mut self, id: ServerId) {
        let changed = self.servers.close(id, Connection::Active);
        self.load_changed(changed);
    }

    /// An inactive connection of `id` ended. Nothing changes if it has none.
    pub fn close_inactive(&mut self, id: ServerId) {
        let changed = self.servers.close(id, Connection::Inactive);
        self.load_changed(changed);
    }

    /// Notes how many persistence templates point at `id`. Schedulers do not look at it.
    pub fn set_persistent(&mut self, id: ServerId, templates: u32) {
        self.servers.set_persistent(id, templates);
    }

    fn load_changed(&mut self, position: Option<usize>) {
        if let Some(position) = position {
            self.scheduler.on_load(position, &self.servers);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("scheduler", &self.scheduler.name())
            .field("servers", &self.servers.as_slice())
            .finish_non_exhaustive()
    }
}
