use std::iter;

use super::hashing::{bucket, fold};
use super::{Flow, Scheduler, Server, Servers};

/// `sh`, source hashing: the server belongs to the client's address (`ip_vs_sh.c`).
///
/// There are 256 buckets. From the newest server on, each takes as many consecutive ones as its
/// weight says, a quiesced one too takes one, round and round until all are taken. So weights
/// whose sum is well above 256 distort the shares or leave the oldest servers without a bucket,
/// and adding, removing or giving another weight moves most clients; [mh](super::MaglevHashing)
/// is the remedy for both.
///
/// Without fallback a client whose server is quiesced or overloaded gets no pick even if another
/// could take it. With fallback the buckets are searched from another place on, which differs from
/// client to client, so that a failed server's clients spread over the others.
#[derive(Clone, Debug)]
pub struct SourceHashing {
    fallback: bool,
    port: bool,
    /// Positions. Where there is no server they are all 0, where there is none.
    buckets: [u8; 256],
}

impl SourceHashing {
    /// With the flags `sh-fallback` (search for another server) and `sh-port` (the client's port
    /// counts too, so that its connections spread). The kernel has both off by default.
    #[must_use]
    pub const fn with_flags(fallback: bool, port: bool) -> Self {
        Self { fallback, port, buckets: [0; 256] }
    }

    /// The position of the server of each bucket. Means nothing while there is no server.
    #[must_use]
    pub const fn buckets(&self) -> &[u8; 256] {
        &self.buckets
    }

    /// What [`pick`](Scheduler::pick) returns, which changes nothing.
    #[must_use]
    pub fn choice(&self, flow: &Flow, servers: &Servers) -> Option<usize> {
        let port = if self.port { u32::from(flow.source.port()) } else { 0 };
        let hash = bucket(fold(flow.source.ip()).wrapping_add(port));
        let search = |offset: u8| {
            let owner = usize::from(self.buckets[usize::from(hash.wrapping_add(offset))]);
            servers.at(owner).is_some_and(Server::is_eligible).then_some(owner)
        };
        search(0).or_else(|| {
            let mut offsets = (0..=u8::MAX).filter(|_| self.fallback);
            offsets.find_map(|offset| search(offset.wrapping_add(hash)))
        })
    }
}

impl Default for SourceHashing {
    fn default() -> Self {
        Self::with_flags(false, false)
    }
}

impl Scheduler for SourceHashing {
    fn name(&self) -> &'static str {
        "sh"
    }

    fn pick(&mut self, flow: &Flow, servers: &Servers) -> Option<usize> {
        self.choice(flow, servers)
    }

    fn start(&mut self, servers: &Servers) {
        let buckets_of = |(position, server): (u8, &Server)| {
            let weight = server.weight().get().max(1);
            iter::repeat_n(position, usize::try_from(weight).unwrap_or(usize::MAX))
        };
        let takers = (0..=u8::MAX).zip(servers.as_slice()).flat_map(buckets_of).cycle();
        for (bucket, taker) in self.buckets.iter_mut().zip(takers) {
            *bucket = taker;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::tests::{Bench, from, pool, pool_by};

    fn picks(bench: &mut Bench) -> Vec<Option<usize>> {
        (1..=12).map(|host| bench.pick_for(&from(&format!("198.51.100.{host}:1")))).collect()
    }

    fn with_flags(fallback: bool, port: bool, weights: &[u32]) -> Bench {
        pool_by(Box::new(SourceHashing::with_flags(fallback, port)), weights)
    }

    /// Buckets 96, 194, 35, 133, 231, 73, 171, 12, 110, 208, 50 and 147, where every six in turn
    /// are of servers 2, 1, 1, 0, 0, 0.
    const OF_3_2_1: [usize; 12] = [2, 1, 0, 1, 0, 1, 0, 2, 1, 0, 1, 0];

    #[test]
    fn a_client_belongs_to_the_server_of_its_bucket() {
        let mut bench = pool("sh", &[3, 2, 1]);
        assert_eq!(picks(&mut bench), OF_3_2_1.map(Some));
        assert_eq!(bench.pick_for(&from("[2001:db8::1]:1")), Some(0), "bucket 63");
    }

    #[test]
    fn with_the_port_each_connection_of_a_client_is_hashed() {
        let mut bench = with_flags(false, true, &[3, 2, 1]);
        let picks: Vec<_> = (40_000..40_012)
            .map(|port| bench.pick_for(&from(&format!("198.51.100.1:{port}"))).unwrap())
            .collect();
        assert_eq!(picks, [0, 2, 1, 0, 1, 0, 1, 1, 2, 1, 0, 1]);
    }

    #[test]
    fn without_fallback_the_clients_of_an_overloaded_server_are_refused() {
        let mut bench = pool("sh", &[3, 2, 1]);
        bench.limit(0, 3, 1, 0);
        bench.load(0, 1, 0);
        assert_eq!(picks(&mut bench), OF_3_2_1.map(|server| (server != 0).then_some(server)));
    }

    #[test]
    fn with_fallback_they_spread_and_nobody_else_moves() {
        let mut bench = with_flags(true, false, &[3, 2, 1]);
        bench.limit(0, 3, 1, 0);
        bench.load(0, 1, 0);
        let expected = [2, 1, 2, 1, 1, 1, 1, 2, 1, 2, 1, 1];
        assert_eq!(picks(&mut bench), expected.map(Some));
        bench.edit(1, 0);
        bench.edit(2, 0);
        assert_eq!(bench.pick(), None);
    }

    fn buckets(weights: &[u32]) -> [u8; 256] {
        let mut scheduler = SourceHashing::default();
        scheduler.start(pool("rr", weights).pool.servers());
        scheduler.buckets
    }

    #[test]
    fn a_quiesced_server_has_one_bucket_in_a_round() {
        assert_eq!(buckets(&[2, 0, 3])[..12], [0, 0, 0, 1, 2, 2, 0, 0, 0, 1, 2, 2]);
    }

    #[test]
    fn the_greatest_weight_takes_all_buckets_that_are_left() {
        assert_eq!(buckets(&[0x7fff_ffff, 255])[254..], [0, 1]);
        assert_eq!(buckets(&[1, 0x7fff_ffff]), [0; 256]);
    }

    #[test]
    fn an_empty_pool_has_no_bucket() {
        assert_eq!(with_flags(true, true, &[]).pick(), None);
    }
}
