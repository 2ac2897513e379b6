use std::net::SocketAddr;

use crate::ipvs::{Load, Thresholds};
use crate::net::Weight;

/// Names one server of one [`Pool`](super::Pool), from when it is added until it is removed and
/// its last connection has ended. No other server ever gets the same name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId {
    slot: u32,
    /// How many servers had the slot before.
    generation: u32,
}

/// A real server as a scheduler sees it.
#[derive(Clone, Debug)]
pub struct Server {
    id: ServerId,
    address: SocketAddr,
    weight: Weight,
    last_weight: Weight,
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

    /// The weight it had when it was last not quiesced; 0 if it was added quiesced and has been so
    /// ever since. By this mh keeps the place of a server that is quiesced for a while.
    #[must_use]
    pub const fn last_weight(&self) -> Weight {
        self.last_weight
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

    fn new(id: ServerId, address: SocketAddr) -> Self {
        Self {
            id,
            address,
            weight: Weight::ZERO,
            last_weight: Weight::ZERO,
            thresholds: Thresholds::NONE,
            load: Load::default(),
            overloaded: false,
        }
    }

    /// Between the two thresholds the overload flag stays what it was, as in the kernel.
    const fn edit(&mut self, weight: Weight, thresholds: Thresholds) {
        (self.weight, self.thresholds) = (weight, thresholds);
        if !weight.is_quiesced() {
            self.last_weight = weight;
        }
        let total = self.load.total();
        if self.thresholds.upper() == 0 || total < self.thresholds.effective_lower() {
            self.overloaded = false;
        } else if total >= self.thresholds.upper() {
            self.overloaded = true;
        }
    }

    const fn open(&mut self, connection: Connection) {
        match connection {
            Connection::Active => self.load.active = self.load.active.saturating_add(1),
            Connection::Inactive => self.load.inactive = self.load.inactive.saturating_add(1),
        }
        if self.thresholds.upper() != 0 && self.load.total() >= self.thresholds.upper() {
            self.overloaded = true;
        }
    }

    /// `false`, and nothing changed, if it has no such connection.
    fn close(&mut self, connection: Connection) -> bool {
        let count = match connection {
            Connection::Active => &mut self.load.active,
            Connection::Inactive => &mut self.load.inactive,
        };
        let Some(left) = count.checked_sub(1) else {
            return false;
        };
        *count = left;
        if self.load.total() < self.thresholds.effective_lower() {
            self.overloaded = false;
        }
        true
    }

    /// `false`, and nothing changed, if it has no active connection.
    const fn deactivate(&mut self) -> bool {
        if self.load.active == 0 {
            return false;
        }
        self.load.active -= 1;
        self.load.inactive = self.load.inactive.saturating_add(1);
        true
    }
}

/// Which of the two counts a connection is part of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Connection {
    Active,
    Inactive,
}

/// The servers of one virtual service, in the kernel's order: the one added last comes first.
///
/// The order is part of the selection rules, which break ties by it. Editing a server keeps its
/// place; removing it and adding it again moves it to the front.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    list: Vec<Server>,
    /// Servers taken out whose connections go on, so that they have them again should they return.
    removed: Vec<Server>,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    generation: u32,
    place: Place,
}

/// Where the server of a slot is now.
#[derive(Clone, Copy, Debug)]
enum Place {
    Listed(usize),
    Removed(usize),
    Nowhere,
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
        match self.place(id) {
            Place::Listed(position) => Some(position),
            Place::Removed(_) | Place::Nowhere => None,
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
        let mut server = match self.removed.iter().position(|s| s.address == address) {
            Some(index) => self.take_removed(index),
            None => Server::new(self.free_id(), address),
        };
        let id = server.id;
        server.last_weight = weight;
        server.edit(weight, thresholds);
        self.list.insert(0, server);
        self.renumber_from(0);
        id
    }

    pub(super) fn remove(&mut self, position: usize) {
        let server = self.list.remove(position);
        self.renumber_from(position);
        if server.load.total() == 0 {
            self.retire(server.id);
        } else {
            self.slots[server.id.slot as usize].place = Place::Removed(self.removed.len());
            self.removed.push(server);
        }
    }

    pub(super) fn edit(&mut self, position: usize, weight: Weight, thresholds: Thresholds) {
        self.list[position].edit(weight, thresholds);
    }

    /// Counts a new connection. Returns the position whose load changed, as all of these do.
    pub(super) fn open(&mut self, id: ServerId, connection: Connection) -> Option<usize> {
        self.change(id, |server| {
            server.open(connection);
            true
        })
    }

    /// Moves a connection from active to inactive.
    pub(super) fn deactivate(&mut self, id: ServerId) -> Option<usize> {
        self.change(id, Server::deactivate)
    }

    pub(super) fn close(&mut self, id: ServerId, connection: Connection) -> Option<usize> {
        let changed = self.change(id, |server| server.close(connection));
        if let Place::Removed(index) = self.place(id)
            && self.removed[index].load.total() == 0
        {
            self.take_removed(index);
            self.retire(id);
        }
        changed
    }

    pub(super) fn set_persistent(&mut self, id: ServerId, templates: u32) {
        self.change(id, |server| {
            server.load.persistent = templates;
            true
        });
    }

    /// Changes a server, listed or not; `change` says whether it did.
    fn change(&mut self, id: ServerId, change: impl FnOnce(&mut Server) -> bool) -> Option<usize> {
        match self.place(id) {
            Place::Listed(position) => change(&mut self.list[position]).then_some(position),
            Place::Removed(index) => {
                change(&mut self.removed[index]);
                None
            }
            Place::Nowhere => None,
        }
    }

    fn place(&self, id: ServerId) -> Place {
        match self.slots.get(id.slot as usize) {
            Some(slot) if slot.generation == id.generation => slot.place,
            _ => Place::Nowhere,
        }
    }

    fn take_removed(&mut self, index: usize) -> Server {
        let server = self.removed.swap_remove(index);
        if let Some(moved) = self.removed.get(index) {
            self.slots[moved.id.slot as usize].place = Place::Removed(index);
        }
        server
    }

    fn free_id(&mut self) -> ServerId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, place: Place::Nowhere });
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let generation = self.slots[slot as usize].generation;
        ServerId { slot, generation }
    }

    /// Gives the slot of `id` to others, until it has had four billion servers.
    fn retire(&mut self, id: ServerId) {
        let slot = &mut self.slots[id.slot as usize];
        slot.place = Place::Nowhere;
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(id.slot);
        }
    }

    fn renumber_from(&mut self, position: usize) {
        for (position, server) in self.list.iter().enumerate().skip(position) {
            self.slots[server.id.slot as usize].place = Place::Listed(position);
        }
    }
}
