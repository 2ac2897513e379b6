use super::hashing::{bucket, fold};
use super::{Flow, Scheduler, Server, Servers};

/// `dh`, destination hashing: the server belongs to the address the client asked for, which makes
/// it a scheduler for transparent caches behind a firewall mark; on a single VIP it picks one
/// server always (`ip_vs_dh.c`).
///
/// Bucket `i` of 256 belongs to the server at position `i` modulo their number. Weights do not
/// matter, except that a quiesced server, like an overloaded one, takes nothing: its addresses
/// get no pick even if another server could take them. Only adding and removing servers moves
/// addresses, and then nearly all of them. Of more than 256 servers only the newest 256 are used.
#[derive(Clone, Copy, Debug, Default)]
pub struct DestinationHashing;

impl DestinationHashing {
    /// The position of the server that `flow` belongs to, whether it may take a connection or not.
    ///
    /// The kernel keeps the 256 answers in a table, and fills it when the list changes: the same.
    #[must_use]
    pub fn owner(flow: &Flow, servers: &Servers) -> Option<usize> {
        usize::from(bucket(fold(flow.destination.ip()))).checked_rem(servers.len())
    }
}

impl Scheduler for DestinationHashing {
    fn name(&self) -> &'static str {
        "dh"
    }

    fn pick(&mut self, flow: &Flow, servers: &Servers) -> Option<usize> {
        let owner = Self::owner(flow, servers)?;
        servers.at(owner).is_some_and(Server::is_eligible).then_some(owner)
    }

    fn start(&mut self, _servers: &Servers) {}
}

#[cfg(test)]
mod tests {
    use crate::scheduler::tests::{Bench, pool, to};

    fn picks(bench: &mut Bench) -> Vec<Option<usize>> {
        (1..=12).map(|host| bench.pick_for(&to(&format!("198.51.100.{host}:80")))).collect()
    }

    /// Buckets 96, 194, 35, 133, 231, 73, 171, 12, 110, 208, 50 and 147, modulo 3, from the newest.
    const OF_THREE: [usize; 12] = [2, 0, 0, 1, 2, 1, 2, 2, 0, 1, 0, 2];

    #[test]
    fn an_address_belongs_to_the_server_of_its_bucket_whatever_the_weights() {
        let mut bench = pool("dh", &[1, 50, 1]);
        assert_eq!(picks(&mut bench), OF_THREE.map(Some));
        assert_eq!(bench.pick_for(&to("[2001:db8::1]:53")), Some(2), "bucket 63");
    }

    #[test]
    fn nobody_takes_the_addresses_of_a_server_that_may_not() {
        let mut bench = pool("dh", &[1, 1, 1]);
        bench.edit(1, 0);
        bench.limit(2, 1, 1, 0);
        bench.load(2, 1, 0);
        assert_eq!(picks(&mut bench), OF_THREE.map(|server| (server == 0).then_some(0)));
    }

    #[test]
    fn adding_and_removing_servers_deals_the_buckets_anew() {
        let mut bench = pool("dh", &[1, 1, 1]);
        bench.add(1);
        bench.remove(0);
        let moved_up = OF_THREE.map(|server| Some(server + 1));
        assert_eq!(picks(&mut bench), moved_up);
    }

    #[test]
    fn an_empty_pool_has_no_bucket() {
        assert_eq!(pool("dh", &[]).pick(), None);
    }
}
