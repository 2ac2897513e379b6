//! What lblc and lblcr share: the rule of wlc over the whole service, the word "overloaded" as
//! they mean it, a bounded memory of destination addresses, and how these go together.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::tournament::{Cost, Tournament};
use super::{Server, ServerId, Servers};
use crate::time::Instant;

/// How long an address is remembered that nobody asks for: the kernel's `lblc_expiration` and
/// `lblcr_expiration`.
pub(super) const EXPIRATION: Duration = Duration::from_secs(24 * 60 * 60);

/// How many addresses a cache is meant to hold.
const NOMINAL_SIZE: usize = 16_384;

/// How often a cache is swept.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Every so many sweeps all expired entries go, however few there are.
const SWEEPS_TO_EXPIRY: u64 = 30;

/// How long an entry is idle that may go when there are too many.
const IDLE: Duration = Duration::from_secs(6 * 60);

/// What is remembered of an address: the server or the servers it belongs to.
pub(super) trait Belonging {
    /// An address that nobody asked for before belongs to `server`.
    fn to(server: ServerId, now: Instant) -> Self;

    /// It belongs to `server` from now on.
    fn pass_to(&mut self, server: ServerId, now: Instant, servers: &Servers);
}

/// Makes a scheduler of a type with fields `whole` and `cache`: an address goes where the type's
/// `pick_known` says, which is asked first, or else to the server that wlc would pick, and belongs
/// to it then.
macro_rules! schedule_by_locality {
    ($scheduler:ty, $name:literal) => {
        impl Default for $scheduler {
            fn default() -> Self {
                Self::with_expiration($crate::scheduler::locality::EXPIRATION)
            }
        }

        impl $crate::scheduler::Scheduler for $scheduler {
            fn name(&self) -> &'static str {
                $name
            }

            fn pick(
                &mut self,
                flow: &$crate::scheduler::Flow,
                servers: &$crate::scheduler::Servers,
            ) -> Option<usize> {
                let address = flow.destination.ip();
                if let Some(known) = self.pick_known(address, servers) {
                    return Some(known);
                }
                let chosen = self.whole.least()?;
                let server = servers.at(chosen)?.id();
                self.cache.pass(address, server, servers);
                Some(chosen)
            }

            fn start(&mut self, servers: &$crate::scheduler::Servers) {
                self.cache.clear();
                self.whole.build(servers);
            }

            fn on_added(&mut self, servers: &$crate::scheduler::Servers) {
                self.whole.build(servers);
            }

            fn on_removed(&mut self, _position: usize, servers: &$crate::scheduler::Servers) {
                self.whole.build(servers);
            }

            fn on_edited(&mut self, position: usize, servers: &$crate::scheduler::Servers) {
                self.whole.update(position, servers);
            }

            fn on_load(&mut self, position: usize, servers: &$crate::scheduler::Servers) {
                self.whole.update(position, servers);
            }

            fn handle_time(&mut self, now: $crate::time::Instant) {
                self.cache.handle_time(now);
            }
        }
    };
}

pub(super) use schedule_by_locality;

/// All servers, as the locality schedulers look at them.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    tournament: Tournament,
    /// Which servers have fewer active connections than half their weight.
    half_idle: Vec<bool>,
    half_idle_count: usize,
}

impl Whole {
    pub(super) const fn new() -> Self {
        Self { tournament: Tournament::new(), half_idle: Vec::new(), half_idle_count: 0 }
    }

    pub(super) fn build(&mut self, servers: &Servers) {
        self.tournament.build(servers, Cost::weighted_overhead);
        self.half_idle.clear();
        self.half_idle.extend(servers.as_slice().iter().map(is_half_idle));
        self.half_idle_count = self.half_idle.iter().filter(|half_idle| **half_idle).count();
    }

    pub(super) fn update(&mut self, position: usize, servers: &Servers) {
        let Some(server) = servers.at(position) else {
            return;
        };
        self.tournament.update(position, Cost::weighted_overhead(server));
        let (was, is) = (self.half_idle[position], is_half_idle(server));
        self.half_idle[position] = is;
        self.half_idle_count = self.half_idle_count + usize::from(is) - usize::from(was);
    }

    /// The position wlc would pick.
    pub(super) fn least(&self) -> Option<usize> {
        self.tournament.winner()
    }

    /// Whether `server` has more active connections than its weight while another has fewer than
    /// half of its own. Not the flag that thresholds set.
    pub(super) const fn is_overloaded(&self, server: &Server) -> bool {
        server.load().active > server.weight().get() && self.half_idle_count > 0
    }
}

/// Of all servers, also those that may not take a connection.
const fn is_half_idle(server: &Server) -> bool {
    (server.load().active as u64) * 2 < server.weight().get() as u64
}

/// What is remembered of destination addresses: bounded, and forgotten when nobody asks for it.
///
/// Holds no more than one and a half times its nominal size. Sweeps follow the kernel's rules,
/// except that of entries that are all idle the one idle longest goes first; the kernel goes by
/// its hash buckets. Without [`handle_time`](Self::handle_time) nothing is swept.
#[derive(Clone, Debug)]
pub(super) struct Cache<T> {
    entries: BTreeMap<IpAddr, Entry<T>>,
    nominal_size: usize,
    expiration: Duration,
    now: Instant,
    next_sweep: Option<Instant>,
    sweeps: u64,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    value: T,
    last_use: Instant,
}

impl<T> Cache<T> {
    pub(super) const fn new(expiration: Duration) -> Self {
        Self {
            entries: BTreeMap::new(),
            nominal_size: NOMINAL_SIZE,
            expiration,
            now: Instant::ZERO,
            next_sweep: None,
            sweeps: 0,
        }
    }

    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    pub(super) const fn expiration(&self) -> Duration {
        self.expiration
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// What is known of `address`, which counts as a use of it.
    pub(super) fn recall(&mut self, address: IpAddr) -> Option<&mut T> {
        let entry = self.entries.get_mut(&address)?;
        entry.last_use = self.now;
        Some(&mut entry.value)
    }

    /// From now on `address` belongs to `server`.
    pub(super) fn pass(&mut self, address: IpAddr, server: ServerId, servers: &Servers)
    where
        T: Belonging,
    {
        let now = self.now;
        match self.recall(address) {
            Some(known) => known.pass_to(server, now, servers),
            None => self.remember(address, T::to(server, now)),
        }
    }

    /// Remembers a new address, unless there are far too many already.
    fn remember(&mut self, address: IpAddr, value: T) {
        if self.entries.len() < self.nominal_size * 3 / 2 {
            self.entries.insert(address, Entry { value, last_use: self.now });
        }
    }

    /// Sweeps if it is time to. Sweeps that were missed are made up for by one.
    pub(super) fn handle_time(&mut self, now: Instant) {
        self.now = now;
        let due = *self.next_sweep.get_or_insert(now + SWEEP_INTERVAL);
        if now < due {
            return;
        }
        self.next_sweep = Some(now + SWEEP_INTERVAL);
        let expiries = self.sweeps / SWEEPS_TO_EXPIRY;
        self.sweeps += 1 + (now - due).as_secs() / SWEEP_INTERVAL.as_secs();
        if self.sweeps / SWEEPS_TO_EXPIRY > expiries {
            let expiration = self.expiration;
            self.entries.retain(|_, entry| now - entry.last_use < expiration);
        } else {
            self.shrink();
        }
    }

    /// Drops four thirds of the excess, at most half the nominal size, and only what is idle.
    fn shrink(&mut self) {
        let excess = self.entries.len().saturating_sub(self.nominal_size);
        let goal = (excess * 4 / 3).min(self.nominal_size / 2);
        if goal == 0 {
            return;
        }
        let uses = self.entries.iter().map(|(address, entry)| (entry.last_use, *address));
        let mut idle: Vec<_> = uses.filter(|(last_use, _)| self.now - *last_use >= IDLE).collect();
        idle.sort_unstable();
        for (_, address) in idle.into_iter().take(goal) {
            self.entries.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests;
