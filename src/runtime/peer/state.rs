//! What all parts of the connection share.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::identity::Identity;
use super::trust::Trust;
use super::{PeerError, Settings, store, sync};
use crate::control::peer::{PairStatus, PartnerStatus};
use crate::control::{Age, Event, Timestamp};
use crate::runtime::clock;
use crate::runtime::control::node_name;
use crate::runtime::heartbeat::Observer;
use crate::time::Instant;

/// This node, as it is seen from the connection to its partner.
pub(super) struct Peer {
    pub(super) node: String,
    pub(super) settings: Settings,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) trust: Trust,
    identity: Mutex<Arc<Identity>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    contact: Mutex<Contact>,
    /// Held while files of the partner are put in place.
    pub(super) taking: tokio::sync::Mutex<()>,
    /// Held while what both nodes have in common is read and written.
    remembering: Mutex<()>,
    /// Since when the partner is owed a change.
    owed: Mutex<Option<Timestamp>>,
    observer: Observer,
}

/// How it went with the partner.
#[derive(Default)]
struct Contact {
    heard: Option<Instant>,
    problem: Option<String>,
}

impl Peer {
    /// What is known on the disk of the node of `settings`, which listens on `addresses`.
    pub(super) fn load(
        settings: Settings,
        addresses: Vec<SocketAddr>,
        observer: Observer,
    ) -> Result<Self, PeerError> {
        let failed = |source| PeerError::State { path: settings.state.clone(), source };
        store::make_directory(&settings.state).map_err(failed)?;
        let identity = Identity::load(&settings.state).map_err(failed)?;
        let trust = Trust::load(&settings.state).map_err(failed)?;
        let owed = sync::load_owed(&settings.state).map_err(failed)?;
        Ok(Self {
            node: node_name(),
            addresses,
            trust,
            identity: Mutex::new(Arc::new(identity)),
            refused: Mutex::default(),
            contact: Mutex::default(),
            taking: tokio::sync::Mutex::default(),
            remembering: Mutex::default(),
            owed: Mutex::new(owed),
            observer,
            settings,
        })
    }

    /// The key of this node.
    pub(super) fn identity(&self) -> Arc<Identity> {
        Arc::clone(&lock(&self.identity))
    }

    /// Goes over to another key, which is on the disk.
    pub(super) fn set_identity(&self, identity: Identity) {
        *lock(&self.identity) = Arc::new(identity);
    }

    /// Keeps others from what both nodes have in common until it is dropped.
    pub(super) fn remembering(&self) -> MutexGuard<'_, ()> {
        lock(&self.remembering)
    }

    /// Since when the partner is owed a change, if it is.
    pub(super) fn owed(&self) -> Option<Timestamp> {
        *lock(&self.owed)
    }

    /// Remembers since when it is, or that it is not.
    pub(super) fn owe(&self, since: Option<Timestamp>) -> io::Result<()> {
        let mut owed = lock(&self.owed);
        sync::remember_owed(&self.settings.state, since)?;
        *owed = since;
        Ok(())
    }

    /// Counts a connection that was turned away.
    pub(super) fn refuse(&self, reason: &'static str) {
        *lock(&self.refused).entry(reason).or_default() += 1;
    }

    /// Notes that the partner was spoken with.
    pub(super) fn heard(&self) {
        *lock(&self.contact) = Contact { heard: Some(clock::now()), problem: None };
    }

    /// Notes why the partner could not be reached.
    pub(super) fn missed(&self, problem: String) {
        lock(&self.contact).problem = Some(problem);
    }

    pub(super) fn warn(&self, text: String) {
        (self.observer)(Event::Warning { text });
    }

    /// The directory of the sockets that lead to the partner.
    pub(super) fn gates(&self) -> PathBuf {
        super::partner_directory(&self.settings.control.directory)
    }

    /// Who is paired with this node.
    pub(super) fn status(&self) -> PairStatus {
        let now = clock::now();
        let own = self.identity().pin;
        let mut status = PairStatus::new(self.node.clone(), own, self.addresses.clone());
        status.offered_until = self.trust.offered_until(now);
        status.owed_since = self.owed();
        let refused = lock(&self.refused);
        status.refused = refused.iter().map(|(&reason, &n)| (reason.to_owned(), n)).collect();
        let contact = lock(&self.contact);
        status.partner = self.trust.partner().and_then(|known| {
            let key = *known.keys.first()?;
            let mut partner = PartnerStatus::new(known.node, key, known.address, known.since);
            partner.heard = contact.heard.map(|at| Age(now - at));
            partner.problem.clone_from(&contact.problem);
            Some(partner)
        });
        status
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
