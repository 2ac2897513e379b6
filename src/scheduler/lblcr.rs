use std::net::IpAddr;
use std::time::Duration;

use super::locality::{Belonging, Cache, Whole, schedule_by_locality};
use super::tournament::Cost;
use super::{Server, ServerId, Servers};
use crate::time::Instant;

/// `lblcr`, locality-based least connection with replication: an address that clients ask for
/// belongs to a set of servers, of which the least loaded is picked; when that is overloaded the
/// set grows by the one [wlc](super::WeightedLeastConnection) says (`ip_vs_lblcr.c`).
///
/// So a popular address gets more servers, and loses its most loaded one after 24 hours without a
/// change of the set. "Overloaded", the key and the bounds are those of
/// [lblc](super::LocalityLeastConnection), but for the upper threshold, which holds here: members
/// of a set that are quiesced, overloaded or removed are passed over. A removed server that comes
/// back while it still has connections is a member again until the set grows.
///
/// A pick allocates only to remember a new address or a further server for one. Each address has
/// each server at most once.
#[derive(Clone, Debug)]
pub struct ReplicatedLocalityLeastConnection {
    whole: Whole,
    cache: Cache<Set>,
}

impl ReplicatedLocalityLeastConnection {
    /// Forgets addresses that nobody asked for in `expiration`, and drops a server from a set that
    /// did not change for so long (the kernel's `lblcr_expiration`).
    #[must_use]
    pub const fn with_expiration(expiration: Duration) -> Self {
        Self { whole: Whole::new(), cache: Cache::new(expiration) }
    }

    /// The member of the address's set that takes the connection, if there is one.
    fn pick_known(&mut self, address: IpAddr, servers: &Servers) -> Option<usize> {
        let (now, expiration) = (self.cache.now(), self.cache.expiration());
        let set = self.cache.recall(address)?;
        let least = set.least(servers);
        if set.members.len() > 1 && now - set.changed > expiration {
            set.drop_most_loaded(now, servers);
        }
        least.filter(|&least| servers.at(least).is_some_and(|s| !self.whole.is_overloaded(s)))
    }
}

schedule_by_locality!(ReplicatedLocalityLeastConnection, "lblcr");

/// The servers of one address, the one that joined last in front.
#[derive(Clone, Debug)]
struct Set {
    members: Vec<ServerId>,
    changed: Instant,
}

impl Set {
    /// The position of the member with the least cost; of equals the first.
    fn least(&self, servers: &Servers) -> Option<usize> {
        let cheaper = |a: Member, b: Member| if b.cost.is_below(a.cost) { b } else { a };
        let eligible = self.listed(servers).filter(|member| !member.cost.is_prohibitive());
        eligible.reduce(cheaper).map(|member| member.position)
    }

    /// Of members that are in the service and not quiesced; of equals the first.
    fn drop_most_loaded(&mut self, now: Instant, servers: &Servers) {
        let dearer = |a: Member, b: Member| if a.load.is_below(b.load) { b } else { a };
        let loaded = self.listed(servers).filter(|member| !member.load.is_prohibitive());
        if let Some(most) = loaded.reduce(dearer) {
            self.members.retain(|&member| member != most.id);
            self.changed = now;
        }
    }

    /// The members that are in the service.
    fn listed(&self, servers: &Servers) -> impl Iterator<Item = Member> {
        self.members.iter().filter_map(|&id| {
            let position = servers.position(id)?;
            Some(Member::new(position, servers.at(position)?))
        })
    }
}

impl Belonging for Set {
    fn to(server: ServerId, now: Instant) -> Self {
        Self { members: vec![server], changed: now }
    }

    /// Nothing happens if `server` is a member already. Those who left the service make room.
    fn pass_to(&mut self, server: ServerId, now: Instant, servers: &Servers) {
        if self.members.contains(&server) {
            return;
        }
        self.members.retain(|&member| servers.position(member).is_some());
        self.members.insert(0, server);
        self.changed = now;
    }
}

/// A member at the time of a pick.
struct Member {
    id: ServerId,
    position: usize,
    /// Prohibitive if it may not take a connection.
    cost: Cost,
    /// The same whether it is overloaded or not.
    load: Cost,
}

impl Member {
    const fn new(position: usize, server: &Server) -> Self {
        let load = Cost::new(server.overhead(), server.weight().get());
        Self { id: server.id(), position, cost: Cost::weighted_overhead(server), load }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::Scheduler;
    use crate::scheduler::tests::{Bench, pool, pool_by, to};

    const HOUR: Duration = Duration::from_secs(3600);

    fn ask(bench: &mut Bench, host: u8) -> Option<usize> {
        bench.pick_for(&to(&format!("198.51.100.{host}:80")))
    }

    #[test]
    fn the_set_of_a_popular_address_grows_and_its_least_loaded_member_is_picked() {
        let mut bench = pool("lblcr", &[2, 2, 2]);
        assert_eq!(ask(&mut bench, 1), Some(2));
        bench.load(2, 3, 0);
        assert_eq!(ask(&mut bench, 1), Some(1), "2 is overloaded, so 1 joins");
        bench.load(1, 1, 0);
        assert_eq!(ask(&mut bench, 1), Some(1), "0 is idle, but no member");
        bench.load(1, 3, 0);
        bench.load(0, 1, 0);
        assert_eq!(ask(&mut bench, 1), Some(2), "the less loaded; nobody is half idle");
    }

    #[test]
    fn members_that_may_not_take_a_connection_are_passed_over() {
        let mut bench = pool("lblcr", &[5, 5, 5]);
        assert_eq!(ask(&mut bench, 1), Some(2));
        bench.limit(2, 5, 1, 0);
        bench.load(2, 1, 0);
        assert_eq!(ask(&mut bench, 1), Some(1), "beyond its upper threshold");
        bench.edit(1, 0);
        assert_eq!(ask(&mut bench, 1), Some(0), "quiesced");
        bench.remove(0);
        assert_eq!(ask(&mut bench, 1), None, "removed");
        bench.edit(1, 5);
        assert_eq!(ask(&mut bench, 1), Some(1));
    }

    /// A set of servers 1 and 2, of which 2 has the more connections.
    fn two_members() -> Bench {
        let scheduler = ReplicatedLocalityLeastConnection::with_expiration(HOUR);
        let mut bench = pool_by(Box::new(scheduler), &[3, 3, 3]);
        bench.at(Instant::ZERO);
        assert_eq!(ask(&mut bench, 1), Some(2));
        bench.load(2, 4, 0);
        assert_eq!(ask(&mut bench, 1), Some(1));
        bench.load(1, 1, 0);
        bench
    }

    #[test]
    fn a_set_that_did_not_change_for_long_loses_its_most_loaded_member() {
        let mut bench = two_members();
        for minutes in [20, 40, 60] {
            bench.at(Instant::ZERO + Duration::from_secs(minutes * 60));
            assert_eq!(ask(&mut bench, 1), Some(1));
        }
        (0..4).for_each(|_| bench.close(2));
        assert_eq!(ask(&mut bench, 1), Some(2), "still a member after the hour");

        let mut bench = two_members();
        for minutes in [20, 40, 61] {
            bench.at(Instant::ZERO + Duration::from_secs(minutes * 60));
            assert_eq!(ask(&mut bench, 1), Some(1));
        }
        (0..4).for_each(|_| bench.close(2));
        assert_eq!(ask(&mut bench, 1), Some(1), "no member any more");
    }

    #[test]
    fn the_member_dropped_may_be_the_one_just_picked() {
        let mut bench = two_members();
        bench.edit(2, 0);
        bench.at(Instant::ZERO + HOUR / 2);
        assert_eq!(ask(&mut bench, 1), Some(1));
        bench.at(Instant::ZERO + HOUR + Duration::from_secs(60));
        assert_eq!(ask(&mut bench, 1), Some(1), "dropped: the other is quiesced");
        assert_eq!(ask(&mut bench, 1), Some(0), "wlc finds another");
    }

    #[test]
    fn a_set_holds_no_more_than_the_servers_there_are() {
        let mut bench = pool("lblcr", &[1]);
        let mut scheduler = ReplicatedLocalityLeastConnection::default();
        for _ in 0..20 {
            bench.add(1);
            scheduler.on_added(bench.pool.servers());
            assert_eq!(scheduler.pick(&to("198.51.100.1:80"), bench.pool.servers()), Some(0));
            bench.remove(bench.len() - 1);
            scheduler.on_removed(0, bench.pool.servers());
        }
        let set = scheduler.cache.recall("198.51.100.1".parse().unwrap()).unwrap();
        assert_eq!(set.members.len(), 1);
    }
}
