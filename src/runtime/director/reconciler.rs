//! Keeping the table of a data plane what it should be.

use std::collections::BTreeSet;

use super::watch::ServerKey;
use crate::ipvs::{Backend, BackendError, Entry, Op, ServiceKey, Table, plan};

/// A data plane and what is known to be in force on it.
pub(super) struct Reconciler<B> {
    backend: B,
    /// Exact after each success; read afresh after anything else.
    in_force: Table,
    /// What of it has changed since that was last asked for.
    changed: BTreeSet<ServiceKey>,
}

impl<B: Backend> Reconciler<B> {
    /// Nothing is known of `backend` yet.
    pub(super) fn new(backend: B) -> Self {
        Self { backend, in_force: Table::new(), changed: BTreeSet::new() }
    }

    /// Reads what is in force, as far as it is ours.
    ///
    /// # Errors
    /// The data plane out of reach.
    pub(super) async fn observe(&mut self) -> Result<&Table, BackendError> {
        let present = self.backend.observe().await?;
        let before = std::mem::replace(&mut self.in_force, present);
        for (one, other) in [(&before, &self.in_force), (&self.in_force, &before)] {
            let differs = |entry: &&Entry| one_of(other, entry) != Some(*entry);
            self.changed.extend(one.iter().filter(differs).map(|entry| entry.service().key()));
        }
        Ok(&self.in_force)
    }

    /// Reads what is in force and makes it `wanted`; entries that were changed behind our back
    /// are put right.
    ///
    /// # Errors
    /// The first operation that failed, or the data plane out of reach. What else could be done
    /// was done; the next call tries the rest again.
    pub(super) async fn whole(&mut self, wanted: &Table) -> Result<(), BackendError> {
        self.observe().await?;
        self.bring_to(wanted).await
    }

    /// The same by what is known to be in force. That is read only if it turns out to be wrong,
    /// for reading a large table takes longer than changing a part of it.
    ///
    /// # Errors
    /// As [`whole`](Self::whole).
    pub(super) async fn known_whole(&mut self, wanted: &Table) -> Result<(), BackendError> {
        match self.bring_to(wanted).await {
            Ok(()) => Ok(()),
            // It has been read since.
            Err(_) => self.bring_to(wanted).await,
        }
    }

    async fn bring_to(&mut self, wanted: &Table) -> Result<(), BackendError> {
        let Ok(ops) = plan(wanted, &self.in_force, self.backend.capabilities()) else {
            // The configuration was refused if it needs what the data plane lacks.
            return Ok(());
        };
        let keys = self.in_force.iter().map(|entry| entry.service().key());
        let gone = keys.filter(|key| wanted.get(key).is_none()).collect();
        self.write(&ops, wanted, gone).await
    }

    /// Makes one service what it should be, `None` for gone.
    ///
    /// # Errors
    /// As [`whole`](Self::whole).
    pub(super) async fn service(
        &mut self,
        key: ServiceKey,
        wanted: Option<Entry>,
    ) -> Result<(), BackendError> {
        self.services(vec![(key, wanted)]).await
    }

    /// The same of several services, in one go.
    ///
    /// # Errors
    /// As [`whole`](Self::whole).
    pub(super) async fn services(
        &mut self,
        wanted: Vec<(ServiceKey, Option<Entry>)>,
    ) -> Result<(), BackendError> {
        let present = table(wanted.iter().filter_map(|(key, _)| self.in_force.get(key).cloned()));
        let gone = wanted.iter().filter(|(_, entry)| entry.is_none()).map(|(key, _)| *key);
        let gone = gone.collect();
        let wanted = table(wanted.into_iter().filter_map(|(_, entry)| entry));
        let Ok(ops) = plan(&wanted, &present, self.backend.capabilities()) else {
            return Ok(());
        };
        self.write(&ops, &wanted, gone).await
    }

    /// The services that have changed since this was last asked, whoever changed them.
    pub(super) fn take_changed(&mut self) -> BTreeSet<ServiceKey> {
        std::mem::take(&mut self.changed)
    }

    /// What is known to be in force.
    pub(super) const fn in_force(&self) -> &Table {
        &self.in_force
    }

    /// The data plane, for what is not in the table.
    pub(super) const fn backend(&self) -> &B {
        &self.backend
    }

    /// The same, to be told something.
    pub(super) const fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    /// The servers in force that take no new connections.
    pub(super) fn quiesced(&self) -> impl Iterator<Item = ServerKey> {
        self.in_force.iter().flat_map(|entry| {
            let service = entry.service().key();
            let quiesced = entry.destinations().filter(|server| server.weight().is_quiesced());
            quiesced.map(move |server| ServerKey { service, address: server.address() })
        })
    }

    /// Carries `ops` out, after which the services of `wanted` are what they are there and those of
    /// `gone` are not.
    async fn write(
        &mut self,
        ops: &[Op],
        wanted: &Table,
        gone: Vec<ServiceKey>,
    ) -> Result<(), BackendError> {
        if ops.is_empty() {
            return Ok(());
        }
        tracing::debug!(operations = ops.len(), "writing to the table");
        let results = self.backend.apply(ops).await?;
        match results.into_iter().find_map(Result::err) {
            Some(error) => {
                self.observe().await?;
                Err(error)
            }
            None => {
                self.note(wanted, gone);
                Ok(())
            }
        }
    }

    fn note(&mut self, wanted: &Table, gone: Vec<ServiceKey>) {
        for key in gone {
            self.in_force.remove(&key);
            self.changed.insert(key);
        }
        for entry in wanted.iter() {
            if one_of(&self.in_force, entry) != Some(entry) {
                self.in_force.replace(entry.clone());
                self.changed.insert(entry.service().key());
            }
        }
    }
}

fn one_of<'a>(table: &'a Table, entry: &Entry) -> Option<&'a Entry> {
    table.get(&entry.service().key())
}

fn table(entries: impl Iterator<Item = Entry>) -> Table {
    entries.collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::memory::Memory;
    use crate::ipvs::{Capabilities, Destination, Service};
    use crate::net::Weight;

    fn only(entry: Option<Entry>) -> Table {
        table(entry.into_iter())
    }

    fn key() -> ServiceKey {
        ServiceKey::tcp("192.0.2.80:80".parse().unwrap())
    }

    fn other_key() -> ServiceKey {
        ServiceKey::tcp("192.0.2.80:443".parse().unwrap())
    }

    fn wanted(weight: u32) -> Entry {
        wanted_of(key(), weight)
    }

    fn wanted_of(key: ServiceKey, weight: u32) -> Entry {
        let mut entry = Entry::new(Service::new(key));
        let server = Destination::new("10.0.0.1:80".parse().unwrap());
        entry.insert(server.with_weight(Weight::new(weight).unwrap()));
        entry
    }

    #[tokio::test]
    async fn what_was_changed_behind_our_back_is_put_right() {
        let mut reconciler = Reconciler::new(Memory::new(Capabilities::everything()));
        reconciler.whole(&only(Some(wanted(3)))).await.unwrap();
        reconciler.backend.apply_op(&Op::RemoveService(key())).unwrap();
        reconciler.whole(&only(Some(wanted(3)))).await.unwrap();
        assert_eq!(reconciler.backend.table(), &only(Some(wanted(3))));
    }

    #[tokio::test]
    async fn an_operation_that_failed_is_made_up_for_by_the_next_call() {
        let mut reconciler = Reconciler::new(Memory::new(Capabilities::everything()));
        reconciler.whole(&only(Some(wanted(1)))).await.unwrap();
        reconciler.backend.fail_next(1);
        assert!(reconciler.service(key(), Some(wanted(2))).await.is_err());
        reconciler.service(key(), Some(wanted(2))).await.unwrap();
        assert_eq!(reconciler.backend.table(), &only(Some(wanted(2))));
    }

    #[tokio::test]
    async fn what_turns_out_to_be_other_than_known_is_read_and_put_right() {
        let mut reconciler = Reconciler::new(Memory::new(Capabilities::everything()));
        reconciler.whole(&only(Some(wanted(1)))).await.unwrap();
        reconciler.backend.apply_op(&Op::RemoveService(key())).unwrap();
        reconciler.known_whole(&only(Some(wanted(2)))).await.unwrap();
        assert_eq!(reconciler.backend.table(), &only(Some(wanted(2))));
    }

    #[tokio::test]
    async fn services_that_change_are_told_once_whoever_changed_them() {
        let mut reconciler = Reconciler::new(Memory::new(Capabilities::everything()));
        let both = |weight| table([wanted(weight), wanted_of(other_key(), 1)].into_iter());
        reconciler.whole(&both(1)).await.unwrap();
        assert_eq!(reconciler.take_changed(), [key(), other_key()].into());
        reconciler.known_whole(&both(2)).await.unwrap();
        assert_eq!(reconciler.take_changed(), [key()].into());
        reconciler.backend.apply_op(&Op::RemoveService(other_key())).unwrap();
        reconciler.observe().await.unwrap();
        assert_eq!(reconciler.take_changed(), [other_key()].into());
        assert_eq!(reconciler.take_changed(), BTreeSet::new());
    }

    #[tokio::test]
    async fn a_service_that_is_not_wanted_any_more_goes() {
        let mut reconciler = Reconciler::new(Memory::new(Capabilities::everything()));
        reconciler.whole(&only(Some(wanted(1)))).await.unwrap();
        reconciler.service(key(), None).await.unwrap();
        assert!(reconciler.backend.table().is_empty());
        reconciler.service(key(), Some(wanted(1))).await.unwrap();
        assert_eq!(reconciler.backend.table(), &only(Some(wanted(1))));
    }

    #[tokio::test]
    async fn several_services_are_written_together_and_others_are_left_alone() {
        let mut reconciler = Reconciler::new(Memory::new(Capabilities::everything()));
        let third = ServiceKey::tcp("192.0.2.80:25".parse().unwrap());
        let all = [key(), other_key(), third].map(|key| wanted_of(key, 1));
        reconciler.whole(&table(all.into_iter())).await.unwrap();
        let some = vec![(key(), Some(wanted(2))), (other_key(), None)];
        reconciler.services(some).await.unwrap();
        let left = [wanted(2), wanted_of(third, 1)];
        assert_eq!(reconciler.backend.table(), &table(left.into_iter()));
        assert_eq!(reconciler.in_force(), reconciler.backend.table());
    }
}
