//! How often the neighbours were told where an address is.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Announcements by address. Clones count together: the thread that holds the addresses adds, others
/// read.
#[derive(Clone, Debug, Default)]
pub struct Announced(Arc<Mutex<BTreeMap<IpAddr, u64>>>);

impl Announced {
    /// How many there were of each address.
    #[must_use]
    pub fn read(&self) -> BTreeMap<IpAddr, u64> {
        self.counts().clone()
    }

    /// One more of `address`.
    #[cfg_attr(not(feature = "kernel"), allow(dead_code, reason = "who announces needs it"))]
    pub(super) fn add(&self, address: IpAddr) {
        *self.counts().entry(address).or_default() += 1;
    }

    /// A count is whole between additions, so a lock that was poisoned is still good.
    fn counts(&self) -> MutexGuard<'_, BTreeMap<IpAddr, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
