//! The addresses a director holds, through reloads that add and remove some.

use std::mem::take;

use serde::{Deserialize, Serialize};

use super::{ActionError, ActionId, VirtualAddress};

/// Addresses that were asked to be up, or that may still be.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Held {
    /// What a release has to cover.
    all: Vec<VirtualAddress>,
    /// Those that may or may not be up, because bringing them up or taking them down failed.
    doubtful: Vec<VirtualAddress>,
    updates: Vec<Update>,
}

/// Addresses that a reload added or removed, while that is under way.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Update {
    id: ActionId,
    up: bool,
    addresses: Vec<VirtualAddress>,
}

/// What an action of a reload came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Updated {
    /// It was none, or there is nothing to say of it.
    Nothing,
    /// These are up.
    Up(Vec<VirtualAddress>),
    /// It failed.
    Failed(ActionError),
}

impl Held {
    /// All of `addresses` are asked to be up, and were not before.
    pub(super) fn begin(&mut self, addresses: &[VirtualAddress]) {
        *self = Self { all: addresses.to_vec(), ..Self::default() };
    }

    /// All are asked to be down, those too that a reload is still taking down and may fail to.
    pub(super) fn end(&mut self) {
        for update in take(&mut self.updates) {
            if !update.up {
                self.keep(update.addresses);
            }
        }
    }

    /// What is to be taken down and what to be brought up, so that `wanted` are held. What failed
    /// before is tried again.
    pub(super) fn change(
        &mut self,
        wanted: &[VirtualAddress],
    ) -> (Vec<VirtualAddress>, Vec<VirtualAddress>) {
        let removed = difference(&self.all, wanted);
        let sure = difference(&self.all, &self.doubtful);
        let added = difference(wanted, &sure);
        self.all = wanted.to_vec();
        self.doubtful.clear();
        (removed, added)
    }

    /// The action `id` brings `addresses` up, or down.
    pub(super) fn expect(&mut self, id: ActionId, up: bool, addresses: Vec<VirtualAddress>) {
        self.updates.push(Update { id, up, addresses });
    }

    /// Takes in how the action `id` ended.
    pub(super) fn finish(&mut self, id: ActionId, result: Result<(), ActionError>) -> Updated {
        let Some(index) = self.updates.iter().position(|update| update.id == id) else {
            return Updated::Nothing;
        };
        let Update { up, addresses, .. } = self.updates.remove(index);
        match result {
            Ok(()) if up => {
                self.doubtful.retain(|address| !addresses.contains(address));
                Updated::Up(addresses)
            }
            Ok(()) => Updated::Nothing,
            Err(error) => {
                self.doubtful.extend(difference(&addresses, &self.doubtful));
                if !up {
                    self.keep(addresses);
                }
                Updated::Failed(error)
            }
        }
    }

    /// What a release has to cover.
    pub(super) fn all(&self) -> &[VirtualAddress] {
        &self.all
    }

    /// What is known to be up, once all was.
    pub(super) fn confirmed(&self) -> Vec<VirtualAddress> {
        let mut sure = difference(&self.all, &self.doubtful);
        let pending =
            |vip: &VirtualAddress| self.updates.iter().any(|update| update.addresses.contains(vip));
        sure.retain(|vip| !pending(vip));
        sure
    }

    fn keep(&mut self, addresses: Vec<VirtualAddress>) {
        self.all.extend(difference(&addresses, &self.all));
    }
}

/// The addresses of `left` that are not in `right`.
fn difference(left: &[VirtualAddress], right: &[VirtualAddress]) -> Vec<VirtualAddress> {
    left.iter().filter(|address| !right.contains(address)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vip(host: u8) -> VirtualAddress {
        VirtualAddress::new([192, 0, 2, host].into(), "eth0:1")
    }

    fn holding(hosts: &[u8]) -> Held {
        let mut held = Held::default();
        held.begin(&hosts.iter().map(|host| vip(*host)).collect::<Vec<_>>());
        held
    }

    fn failed() -> Result<(), ActionError> {
        Err(ActionError("ENOBUFS".to_owned()))
    }

    #[test]
    fn what_could_not_be_taken_down_is_still_covered_by_a_release() {
        let mut held = holding(&[1, 2]);
        let (removed, added) = held.change(&[vip(1)]);
        assert_eq!((removed.clone(), added), (vec![vip(2)], vec![]));
        held.expect(ActionId(7), false, removed);
        assert_eq!(held.finish(ActionId(7), failed()), Updated::Failed(failed().unwrap_err()));
        assert_eq!(held.all(), [vip(1), vip(2)]);
        assert_eq!(held.confirmed(), [vip(1)]);
    }

    #[test]
    fn a_release_covers_what_a_reload_is_still_taking_down() {
        let mut held = holding(&[1, 2]);
        let (removed, _) = held.change(&[vip(1)]);
        held.expect(ActionId(7), false, removed);
        held.end();
        assert_eq!(held.all(), [vip(1), vip(2)]);
    }

    #[test]
    fn what_could_not_be_brought_up_is_not_announced_and_tried_again_by_the_next_reload() {
        let mut held = holding(&[1]);
        let (_, added) = held.change(&[vip(1), vip(2)]);
        held.expect(ActionId(7), true, added);
        assert_eq!(held.confirmed(), [vip(1)], "not before it is up");
        held.finish(ActionId(7), failed());
        assert_eq!(held.confirmed(), [vip(1)]);
        let (removed, added) = held.change(&[vip(1), vip(2)]);
        assert_eq!((removed, added.clone()), (vec![], vec![vip(2)]));
        held.expect(ActionId(8), true, added);
        assert_eq!(held.finish(ActionId(8), Ok(())), Updated::Up(vec![vip(2)]));
        assert_eq!(held.confirmed(), [vip(1), vip(2)]);
    }
}
