use std::net::SocketAddr;
use std::time::Duration;

use super::aging::Aging;
use crate::time::Instant;

/// Which UDP client belongs to which flow of one service, until it has been silent too long.
///
/// Bounded: a new client in a full table takes the place of the one silent for longest. A flood
/// of forged sources then costs idle clients their flow, never the busy ones, and never memory.
///
/// `F` is whatever the driver needs to find the flow, and `K` what a flow is known by: its client's
/// address, unless a client may have several.
#[derive(Debug)]
pub struct FlowTable<F, K = SocketAddr> {
    flows: Aging<K, F>,
    timeout: Duration,
}

impl<F, K: Copy + Ord> FlowTable<F, K> {
    /// A table of at most `capacity` flows (at least one) that end after `timeout` of silence.
    #[must_use]
    pub const fn new(capacity: usize, timeout: Duration) -> Self {
        Self { flows: Aging::new(capacity), timeout }
    }

    /// How many flows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flows.len() == 0
    }

    /// The flow of `client`, which begins a new period of silence now.
    pub fn touch(&mut self, now: Instant, client: K) -> Option<&mut F> {
        self.flows.postpone(client, now + self.timeout);
        self.flows.get_mut(client)
    }

    /// Makes `flow` the one of `client`. Returns the flow that had to go for it: the client's own
    /// former one, or the one silent for longest if the table is full.
    pub fn insert(&mut self, now: Instant, client: K, flow: F) -> Option<F> {
        let evicted = self.flows.insert(client, flow, now + self.timeout);
        evicted.map(|(_, flow)| flow)
    }

    /// Takes out the flow of `client`.
    pub fn remove(&mut self, client: K) -> Option<F> {
        self.flows.remove(client)
    }

    /// Takes out one flow that has been silent for the timeout; call until there is none.
    pub fn expire(&mut self, now: Instant) -> Option<F> {
        self.flows.pop_expired(now).map(|(_, flow)| flow)
    }

    /// When the next flow ends if nothing is heard of it.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.flows.next_expiry()
    }

    /// Takes out every flow.
    pub fn drain(&mut self) -> impl Iterator<Item = F> + use<F, K> {
        self.flows.drain().map(|(_, flow)| flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_flow_ends_one_timeout_after_the_last_datagram() {
        let mut table = FlowTable::new(8, Duration::from_secs(10));
        table.insert(Instant::ZERO, client(1), 'a');
        table.touch(Instant::from_millis(9_000), client(1));
        assert_eq!(table.expire(Instant::from_millis(18_999)), None);
        assert_eq!(table.poll_timeout(), Some(Instant::from_millis(19_000)));
        assert_eq!(table.expire(Instant::from_millis(19_000)), Some('a'));
        assert!(table.is_empty());
    }

    #[test]
    fn a_full_table_gives_up_the_flow_silent_for_longest() {
        let mut table = FlowTable::new(2, Duration::from_secs(10));
        table.insert(Instant::from_millis(0), client(1), 'a');
        table.insert(Instant::from_millis(1), client(2), 'b');
        table.touch(Instant::from_millis(2), client(1));
        assert_eq!(table.insert(Instant::from_millis(3), client(3), 'c'), Some('b'));
        assert_eq!(table.len(), 2);
    }
}
