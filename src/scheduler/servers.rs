use std::net::SocketAddr;

use crate::ipvs::{Load, Thresholds};
use crate::net::Weight;

/// Names one server of one [`Pool`](super::Pool) for as long as it is in it.
///
/// The number is used again after the server is removed and its last connection has ended.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(u32);

/// A real server as a scheduler sees it.
#[derive(Clone, Debug)]
pub struct Server {
    id: ServerId,
    address: SocketAddr,
    weight: Weight,
    thresholds: Thresholds,
    load: Load,
    overloaded: bool,
}

impl Server {
    /// Its name within the pool.
    #[must_use]
    pub const fn id(&self) -> ServerId {
        self.id
    }

    /// Its address and port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its weight.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        self.weight
    }

    /// Its connection limits.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Its connections.
    #[must_use]
    pub const fn load(&self) -> Load {
        self.load
    }

    /// Whether it reached its upper threshold and has not yet fallen below the lower one.
    #[must_use]
    pub const fn is_overloaded(&self) -> bool {
        self.overloaded
    }

    /// Whether it may take a new connection: its weight is not 0 and it is not overloaded.
    #[must_use]
    pub const fn is_eligible(&self) -> bool {
        !self.weight.is_quiesced() && !self.overloaded
    }

    /// The load number of lc and wlc: `256 * active + (active + inactive)`, as current kernels
    /// count it (`ip_vs_dest_conn_overhead`).
    #[must_use]
    pub const fn overhead(&self) -> u64 {
        (self.load.active as u64) * 257 + self.load.inactive as u64
    }

    /// The kernel's rule when thresholds are edited: between the two, the flag stays.
    const fn judge_edited_thresholds(&mut self) {
        let total = self.load.total();
        if self.thresholds.upper() == 0 || total < self.thresholds.effective_lower() {
            self.overloaded = false;
        } else if total >= self.thresholds.upper() {
            self.overloaded = true;
        }
    }

    const fn judge_opened(&mut self) {
        if self.thresholds.upper() != 0 && self.load.total() >= self.thresholds.upper() {
            self.overloaded = true;
        }
    }

    const fn judge_closed(&mut self) {
        if self.load.total() < self.thresholds.effective_lower() || self.thresholds.upper() == 0 {
            self.overloaded = false;
        }
    }
}

/// The servers of one virtual service, in the kernel's order: the one added last comes first.
///
/// The order is part of the selection rules, which break ties by it. Editing a server keeps its
/// place; removing it and adding it again moves it to the front.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    list: Vec<Server>,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

/// Where the server with this id is now.
#[derive(Clone, Copy, Debug)]
enum Slot {
    At(usize),
    /// Removed, with connections that still count towards nothing but keep the id taken.
    Removed {
        connections: u32,
    },
    Free,
}

impl Servers {
    /// All servers, the newest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Server] {
        &self.list
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The server at `position`.
    #[must_use]
    pub fn at(&self, position: usize) -> Option<&Server> {
        self.list.get(position)
    }

    /// Where the server `id` stands, or `None` once it is removed.
    #[must_use]
    pub fn position(&self, id: ServerId) -> Option<usize> {
        match self.slots.get(id.0 as usize)? {
            Slot::At(position) => Some(*position),
            Slot::Removed { .. } | Slot::Free => None,
        }
    }

    /// Where the server with this address and port stands.
    #[must_use]
    pub fn find(&self, address: SocketAddr) -> Option<usize> {
        self.list.iter().position(|server| server.address == address)
    }

    pub(super) fn add(
        &mut self,
        address: SocketAddr,
        weight: Weight,
        thresholds: Thresholds,
    ) -> ServerId {
        let id = self.free_id();
        let load = Load::default();
        self.list.insert(0, Server { id, address, weight, thresholds, load, overloaded: false });
        self.renumber();
        id
    }

    pub(super) fn remove(&mut self, position: usize) -> Server {
        let server = self.list.remove(position);
        self.slots[server.id.0 as usize] = Slot::Removed { connections: server.load.total() };
        self.free_if_unused(server.id);
        self.renumber();
        server
    }

    pub(super) fn edit(&mut self, position: usize, weight: Weight, thresholds: Thresholds) {
        let server = &mut self.list[position];
        server.weight = weight;
        server.thresholds = thresholds;
        server.judge_edited_thresholds();
    }

    /// Counts a new active connection; returns the position whose load changed.
    pub(super) fn open(&mut self, id: ServerId) -> Option<usize> {
        self.change(id, |server| {
            server.load.active += 1;
            server.judge_opened();
        })
    }

    /// Counts a new inactive connection: a UDP flow.
    pub(super) fn open_inactive(&mut self, id: ServerId) -> Option<usize> {
        self.change(id, |server| {
            server.load.inactive += 1;
            server.judge_opened();
        })
    }

    /// Moves a connection from active to inactive.
    pub(super) fn deactivate(&mut self, id: ServerId) -> Option<usize> {
        self.change(id, |server| {
            server.load.active = server.load.active.saturating_sub(1);
            server.load.inactive += 1;
        })
    }

    pub(super) fn close_active(&mut self, id: ServerId) -> Option<usize> {
        self.close(id, |load| load.active = load.active.saturating_sub(1))
    }

    pub(super) fn close_inactive(&mut self, id: ServerId) -> Option<usize> {
        self.close(id, |load| load.inactive = load.inactive.saturating_sub(1))
    }

    pub(super) fn set_persistent(&mut self, position: usize, templates: u32) {
        self.list[position].load.persistent = templates;
    }

    fn close(&mut self, id: ServerId, count: impl FnOnce(&mut Load)) -> Option<usize> {
        if let Some(Slot::Removed { connections }) = self.slots.get_mut(id.0 as usize) {
            *connections = connections.saturating_sub(1);
            self.free_if_unused(id);
            return None;
        }
        self.change(id, |server| {
            count(&mut server.load);
            server.judge_closed();
        })
    }

    fn change(&mut self, id: ServerId, change: impl FnOnce(&mut Server)) -> Option<usize> {
        let position = self.position(id)?;
        change(&mut self.list[position]);
        Some(position)
    }

    fn free_id(&mut self) -> ServerId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::Free);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        ServerId(slot)
    }

    fn free_if_unused(&mut self, id: ServerId) {
        let slot = &mut self.slots[id.0 as usize];
        if matches!(slot, Slot::Removed { connections: 0 }) {
            *slot = Slot::Free;
            self.free.push(id.0);
        }
    }

    fn renumber(&mut self) {
        for (position, server) in self.list.iter().enumerate() {
            self.slots[server.id.0 as usize] = Slot::At(position);
        }
    }
}
