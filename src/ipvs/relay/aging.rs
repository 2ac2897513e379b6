use std::collections::{BTreeMap, BTreeSet};

use crate::time::Instant;

/// A bounded map whose entries expire, and whose entry nearest to expiry makes room when it is
/// full. Ordered maps rather than hashed ones: the core draws no randomness, and an attacker who
/// chooses the keys gains nothing.
#[derive(Debug)]
pub(super) struct Aging<K, V> {
    entries: BTreeMap<K, (Instant, V)>,
    order: BTreeSet<(Instant, K)>,
    capacity: usize,
}

impl<K: Copy + Ord, V> Aging<K, V> {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { entries: BTreeMap::new(), order: BTreeSet::new(), capacity }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.entries.get_mut(&key).map(|(_, value)| value)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values().map(|(_, value)| value)
    }

    /// Adds or replaces; returns what had to go for it.
    pub(super) fn insert(&mut self, key: K, value: V, expires: Instant) -> Option<(K, V)> {
        let replaced = self.remove(key).map(|value| (key, value));
        let evicted = if self.len() >= self.capacity.max(1) { self.pop_first() } else { None };
        self.entries.insert(key, (expires, value));
        self.order.insert((expires, key));
        replaced.or(evicted)
    }

    pub(super) fn postpone(&mut self, key: K, expires: Instant) {
        if let Some((current, _)) = self.entries.get_mut(&key) {
            self.order.remove(&(*current, key));
            *current = expires;
            self.order.insert((expires, key));
        }
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let (expires, value) = self.entries.remove(&key)?;
        self.order.remove(&(expires, key));
        Some(value)
    }

    /// Takes out one entry that has expired, the oldest first.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(K, V)> {
        if self.next_expiry()? > now {
            return None;
        }
        self.pop_first()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.order.first().map(|(expires, _)| *expires)
    }

    /// Takes out all entries for which `unwanted` holds.
    pub(super) fn remove_where(&mut self, unwanted: impl Fn(&V) -> bool) {
        let order = &mut self.order;
        self.entries.retain(|key, (expires, value)| {
            let keep = !unwanted(value);
            if !keep {
                order.remove(&(*expires, *key));
            }
            keep
        });
    }

    /// Takes out everything.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (K, V)> + use<K, V> {
        self.order.clear();
        std::mem::take(&mut self.entries).into_iter().map(|(key, (_, value))| (key, value))
    }

    fn pop_first(&mut self) -> Option<(K, V)> {
        let (_, key) = self.order.pop_first()?;
        self.entries.remove(&key).map(|(_, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_two_indices_always_agree_and_the_bound_holds(
            ops in prop::collection::vec((0..5_u8, 0..12_u8, 0..50_u64), 0..200),
        ) {
            let mut table = Aging::new(8);
            for (op, key, millis) in ops {
                let at = Instant::from_millis(millis);
                match op {
                    0 | 1 => { table.insert(key, key, at); }
                    2 => table.postpone(key, at),
                    3 => { table.remove(key); }
                    _ => { table.pop_expired(at); }
                }
                prop_assert!(table.len() <= 8);
                let indexed: BTreeSet<_> =
                    table.entries.iter().map(|(key, (at, _))| (*at, *key)).collect();
                prop_assert_eq!(&indexed, &table.order);
            }
        }
    }
}
