use std::net::SocketAddr;

use super::{Flow, Scheduler, Server, ServerId, Servers};
use crate::ipvs::Thresholds;
use crate::net::Weight;

/// A scheduler together with the servers it picks from.
///
/// Picking does not count a connection: whoever places one says so with [`open`](Self::open), and
/// again when it [ends](Self::close). A program that only wants shares by weight may leave that
/// out; lc, wlc and thresholds need it.
pub struct Pool {
    servers: Servers,
    scheduler: Box<dyn Scheduler>,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(scheduler: Box<dyn Scheduler>) -> Self {
        Self { servers: Servers::default(), scheduler }
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

    /// Picks by another scheduler from now on. Servers and connection counts stay.
    pub fn set_scheduler(&mut self, mut scheduler: Box<dyn Scheduler>) {
        scheduler.on_added(&self.servers);
        self.scheduler = scheduler;
    }

    /// Adds a server in front of all others. An address that is there already is a second entry;
    /// keeping addresses apart is the caller's business.
    pub fn add(&mut self, address: SocketAddr, weight: Weight, thresholds: Thresholds) -> ServerId {
        let id = self.servers.add(address, weight, thresholds);
        self.scheduler.on_added(&self.servers);
        id
    }

    /// Takes a server out. Its connections may go on and are still to be [closed](Self::close).
    /// `false` if it is not there.
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

    /// The server for a new connection, or `None` if none may take one.
    #[must_use]
    pub fn pick(&mut self, flow: &Flow) -> Option<ServerId> {
        let position = self.scheduler.pick(flow, &self.servers)?;
        self.servers.at(position).map(Server::id)
    }

    /// Counts a new active connection on `id` (TCP).
    pub fn open(&mut self, id: ServerId) {
        let changed = self.servers.open(id);
        self.load_changed(changed);
    }

    /// Counts a new connection that is never active on `id` (UDP).
    pub fn open_inactive(&mut self, id: ServerId) {
        let changed = self.servers.open_inactive(id);
        self.load_changed(changed);
    }

    /// An active connection of `id` became inactive: one side has finished.
    pub fn deactivate(&mut self, id: ServerId) {
        let changed = self.servers.deactivate(id);
        self.load_changed(changed);
    }

    /// An active connection of `id` ended.
    pub fn close(&mut self, id: ServerId) {
        let changed = self.servers.close_active(id);
        self.load_changed(changed);
    }

    /// An inactive connection of `id` ended.
    pub fn close_inactive(&mut self, id: ServerId) {
        let changed = self.servers.close_inactive(id);
        self.load_changed(changed);
    }

    /// Notes how many persistence templates point at `id`. Schedulers do not look at it.
    pub fn set_persistent(&mut self, id: ServerId, templates: u32) {
        if let Some(position) = self.servers.position(id) {
            self.servers.set_persistent(position, templates);
        }
    }

    fn load_changed(&mut self, position: Option<usize>) {
        if let Some(position) = position {
            self.scheduler.on_load(position, &self.servers);
        }
    }
}
