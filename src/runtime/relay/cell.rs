//! Services as the threads share them, and a connection's place in one.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::listener::Origin;
use crate::ipvs::relay::{ConnectionLimit, RelayOptions, ServiceStatus, Ticket, VirtualService};
use crate::ipvs::{Counters, Helper, ServiceKey};
use crate::scheduler::Flow;
use crate::time::Instant;

/// How many connections and flows there are, and who wants to know when there are none.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    count: AtomicUsize,
    pub(super) idle: Notify,
}

impl Gauge {
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    fn up(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    fn down(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }
}

/// One service, shared by the control side, the workers and its connections.
pub(super) struct ServiceCell {
    key: ServiceKey,
    state: Mutex<VirtualService>,
    options: Mutex<RelayOptions>,
    places: Places,
    gauge: Arc<Gauge>,
}

/// The places for clients that a service's limit leaves.
#[derive(Debug, Default)]
struct Places {
    taken: AtomicU32,
    /// Whether clients have been left in the backlog since a place was last given back.
    wanted: AtomicBool,
    pauses: AtomicU64,
}

impl ServiceCell {
    pub(super) fn new(service: VirtualService, options: RelayOptions, gauge: Arc<Gauge>) -> Self {
        let key = service.service().key();
        Self {
            key,
            state: Mutex::new(service),
            options: Mutex::new(options),
            places: Places::default(),
            gauge,
        }
    }

    pub(super) const fn key(&self) -> ServiceKey {
        self.key
    }

    /// Never held across a system call.
    pub(super) fn lock(&self) -> MutexGuard<'_, VirtualService> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn options(&self) -> RelayOptions {
        *self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For connections from now on.
    pub(super) fn set_options(&self, options: RelayOptions) {
        *self.options.lock().unwrap_or_else(PoisonError::into_inner) = options;
    }

    /// Takes a place for a client, if the limit leaves one. If not, some worker will find
    /// [`has_clients_waiting`](Self::has_clients_waiting) when one has been given back.
    pub(super) fn take_place(self: &Arc<Self>) -> Option<Place> {
        self.try_place().or_else(|| {
            self.places.wanted.store(true, Ordering::SeqCst);
            // One may have been given back by somebody who did not see yet that it is wanted.
            let place = self.try_place();
            if place.is_none() {
                self.places.pauses.fetch_add(1, Ordering::Relaxed);
            }
            place
        })
    }

    fn try_place(self: &Arc<Self>) -> Option<Place> {
        let most = self.options().max_connections.map_or(u32::MAX, NonZeroU32::get);
        let more = |taken: u32| (taken < most).then_some(taken + 1);
        self.places.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Place { cell: Arc::clone(self) })
    }

    /// Whether clients wait in the backlog for a place; says so once.
    pub(super) fn has_clients_waiting(&self) -> bool {
        self.places.wanted.load(Ordering::SeqCst)
            && self.places.wanted.swap(false, Ordering::SeqCst)
    }

    pub(super) fn status(&self, now: Instant, listening: bool) -> ServiceStatus {
        let mut status = self.lock().status(now, listening);
        status.limit = ConnectionLimit {
            most: self.options().max_connections,
            connected: self.places.taken.load(Ordering::SeqCst),
            pauses: self.places.pauses.load(Ordering::Relaxed),
        };
        status
    }

    /// Where the connections and flows of `client` come from.
    pub(super) fn origin(&self, client: SocketAddr) -> Origin {
        match self.options().transparent {
            true => Origin::Client(client.ip()),
            false => Origin::Any,
        }
    }

    /// How many connections the whole relay has.
    pub(super) fn relay_connections(&self) -> usize {
        self.gauge.count()
    }

    pub(super) fn helper(&self) -> Option<Helper> {
        self.lock().service().helper()
    }
}

/// A client's place among those that its service's limit allows, given back when dropped.
pub(super) struct Place {
    cell: Arc<ServiceCell>,
}

impl Place {
    pub(super) const fn cell(&self) -> &Arc<ServiceCell> {
        &self.cell
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.cell.places.taken.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection's place on its server, given back when dropped.
pub(super) struct Lease {
    cell: Arc<ServiceCell>,
    ticket: Option<Ticket>,
    address: SocketAddr,
    active: bool,
    failed: bool,
}

impl Lease {
    pub(super) fn admit(
        cell: &Arc<ServiceCell>,
        now: Instant,
        flow: &Flow,
        tried: &[SocketAddr],
    ) -> Option<Self> {
        let ticket = cell.lock().admit(now, flow, tried)?;
        Some(Self::new(Arc::clone(cell), ticket))
    }

    /// A place on the same server for a connection that belongs to this one.
    pub(super) fn join(&self) -> Option<Self> {
        let ticket = self.cell.lock().join(self.ticket.as_ref()?);
        Some(Self::new(Arc::clone(&self.cell), ticket))
    }

    fn new(cell: Arc<ServiceCell>, ticket: Ticket) -> Self {
        cell.gauge.up();
        Self { address: ticket.address(), ticket: Some(ticket), cell, active: true, failed: false }
    }

    pub(super) const fn cell(&self) -> &Arc<ServiceCell> {
        &self.cell
    }

    /// The server.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn established(&self) {
        if let Some(ticket) = &self.ticket {
            self.cell.lock().established(ticket);
        }
    }

    pub(super) fn transferred(&self, traffic: Counters) {
        if let Some(ticket) = &self.ticket {
            self.cell.lock().transferred(ticket, traffic);
        }
    }

    pub(super) fn deactivate(&mut self) {
        if !std::mem::replace(&mut self.active, false) {
            return;
        }
        if let Some(ticket) = &mut self.ticket {
            self.cell.lock().deactivate(ticket);
        }
    }

    /// The server did not take the connection; counted when the place is given back.
    pub(super) const fn mark_failed(&mut self) {
        self.failed = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let mut service = self.cell.lock();
            if self.failed {
                service.fail(ticket);
            } else {
                service.close(ticket);
            }
        }
        self.cell.gauge.down();
    }
}
