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
