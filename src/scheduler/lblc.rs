use std::net::IpAddr;
use std::time::Duration;

use super::locality::{Belonging, Cache, Whole, schedule_by_locality};
use super::{ServerId, Servers};
use crate::time::Instant;

/// `lblc`, locality-based least connection: an address that clients ask for stays with its server,
/// unless that is overloaded; new ones go where [wlc](super::WeightedLeastConnection) says
/// (`ip_vs_lblc.c`).
///
/// It keys on the destination, so it is meant for caches behind a firewall mark: on a single VIP
/// there is one entry, and all goes to one server until that is overloaded. Overloaded means more
/// active connections than its weight while some server has fewer than half of its own. An
/// address also moves when its server was quiesced or removed. A server that is removed and comes
/// back while it still has connections has its addresses again; any other starts without.
///
/// As in the kernel an address stays with its server even beyond the upper threshold, so this is
/// the one scheduler that may pick a server that is not [eligible](super::Server::is_eligible);
/// never one that is quiesced.
///
/// At most 24,576 addresses are remembered. A pick allocates only to remember a new one. Those
/// nobody asked for in 24 hours are forgotten, or after six minutes when there are more than
/// 16,384, provided that [`Pool::handle_time`](super::Pool::handle_time) tells the time.
#[derive(Clone, Debug)]
pub struct LocalityLeastConnection {
    whole: Whole,
    cache: Cache<ServerId>,
}

impl LocalityLeastConnection {
    /// Forgets addresses that nobody asked for in `expiration` (the kernel's `lblc_expiration`).
    #[must_use]
    pub const fn with_expiration(expiration: Duration) -> Self {
        Self { whole: Whole::new(), cache: Cache::new(expiration) }
    }

    /// The server of the address, unless it may not take the connection.
    fn pick_known(&mut self, address: IpAddr, servers: &Servers) -> Option<usize> {
        let known = *self.cache.recall(address)?;
        let position = servers.position(known)?;
        let server = servers.at(position)?;
        let usable = !server.weight().is_quiesced() && !self.whole.is_overloaded(server);
        usable.then_some(position)
    }
}

schedule_by_locality!(LocalityLeastConnection, "lblc");

impl Belonging for ServerId {
    fn to(server: ServerId, _now: Instant) -> Self {
        server
    }

    fn pass_to(&mut self, server: ServerId, _now: Instant, _servers: &Servers) {
        *self = server;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::tests::{Bench, pool, pool_by, to};

    fn ask(bench: &mut Bench, host: u8) -> Option<usize> {
        bench.pick_for(&to(&format!("198.51.100.{host}:80")))
    }

    #[test]
    fn an_address_stays_with_the_server_wlc_gave_it() {
        let mut bench = pool("lblc", &[2, 2]);
        assert_eq!(ask(&mut bench, 1), Some(1));
        bench.load(1, 1, 0);
        assert_eq!(ask(&mut bench, 2), Some(0));
        assert_eq!(ask(&mut bench, 1), Some(1));
    }

    #[test]
    fn it_moves_when_its_server_is_above_its_weight_and_another_below_half_of_its_own() {
        let mut bench = pool("lblc", &[2, 2]);
        assert_eq!(ask(&mut bench, 1), Some(1));
        bench.load(1, 3, 0);
        bench.load(0, 1, 0);
        assert_eq!(ask(&mut bench, 1), Some(1), "nobody is half idle");
        bench.close(0);
        assert_eq!(ask(&mut bench, 1), Some(0));
        bench.load(0, 2, 0);
        bench.close(1);
        bench.close(1);
        bench.close(1);
        assert_eq!(ask(&mut bench, 1), Some(0), "it does not move back");
    }

    #[test]
    fn it_moves_when_its_server_is_quiesced_or_removed() {
        let mut bench = pool("lblc", &[1, 1, 1]);
        assert_eq!(ask(&mut bench, 1), Some(2));
        bench.edit(2, 0);
        assert_eq!(ask(&mut bench, 1), Some(1));
        bench.remove(1);
        assert_eq!(ask(&mut bench, 1), Some(0));
        bench.edit(2, 1);
        assert_eq!(ask(&mut bench, 1), Some(0));
        bench.edit(0, 0);
        bench.edit(2, 0);
        assert_eq!(ask(&mut bench, 1), None);
        bench.edit(0, 1);
        bench.edit(2, 1);
        assert_eq!(ask(&mut bench, 1), Some(0), "a pick in vain changes nothing");
    }

    #[test]
    fn it_stays_beyond_the_upper_threshold_and_new_ones_do_not_come() {
        let mut bench = pool("lblc", &[5, 5]);
        assert_eq!(ask(&mut bench, 1), Some(1));
        bench.limit(1, 5, 1, 0);
        bench.load(1, 1, 0);
        assert_eq!(ask(&mut bench, 1), Some(1));
        assert_eq!(ask(&mut bench, 2), Some(0));
    }

    #[test]
    fn a_scheduler_swapped_in_is_told_the_time() {
        let hour = Duration::from_secs(3600);
        let mut bench = pool("rr", &[3, 3]);
        bench.at(Instant::ZERO + 1000 * hour);
        let scheduler = LocalityLeastConnection::with_expiration(hour);
        bench.pool.set_scheduler(Box::new(scheduler));
        assert_eq!(ask(&mut bench, 1), Some(1));
        bench.load(1, 1, 0);
        bench.at(Instant::ZERO + 1000 * hour + hour / 2);
        assert_eq!(ask(&mut bench, 1), Some(1));
    }

    #[test]
    fn it_is_forgotten_when_nobody_asks_for_it() {
        let hour = Duration::from_secs(3600);
        let scheduler = LocalityLeastConnection::with_expiration(hour);
        let mut bench = pool_by(Box::new(scheduler), &[3, 3]);
        bench.at(Instant::ZERO);
        assert_eq!(ask(&mut bench, 1), Some(1));
        bench.load(1, 1, 0);
        bench.at(Instant::ZERO + hour / 2);
        assert_eq!(ask(&mut bench, 1), Some(1));
        bench.at(Instant::ZERO + hour * 2);
        bench.at(Instant::ZERO);
        assert_eq!(ask(&mut bench, 1), Some(0));
    }
}
