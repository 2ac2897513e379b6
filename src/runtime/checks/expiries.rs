use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::control::Timestamp;

/// When the certificates of real servers end, as the last handshake of a check with each said. Clones
/// share what is known.
#[derive(Clone, Debug, Default)]
pub struct Expiries(Arc<Mutex<BTreeMap<SocketAddr, Timestamp>>>);

impl Expiries {
    /// When that of `server` ends, where it has shown one.
    #[must_use]
    pub fn of(&self, server: SocketAddr) -> Option<Timestamp> {
        self.known().get(&server).copied()
    }

    /// Forgets the servers that `stays` does not know.
    pub(in crate::runtime) fn retain(&self, stays: impl Fn(SocketAddr) -> bool) {
        self.known().retain(|server, _| stays(*server));
    }

    pub(super) fn note(&self, server: SocketAddr, at: Timestamp) {
        self.known().insert(server, at);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
