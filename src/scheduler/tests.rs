//! Laws of schedulers and pools, and the bench the golden vectors of each scheduler run on.

use proptest::prelude::*;

use super::*;
use crate::ipvs::Thresholds;
use crate::net::Weight;

/// A pool whose servers are known by the order they were added in: 0, 1, 2 ...
pub(super) struct Bench {
    pub(super) pool: Pool,
    ids: Vec<ServerId>,
}

/// A pool of servers with `weights`; the last one is the newest and so the first in the list.
pub(super) fn pool(scheduler: &str, weights: &[u32]) -> Bench {
    pool_by(by_name(scheduler).unwrap(), weights)
}

pub(super) fn pool_by(scheduler: Box<dyn Scheduler>, weights: &[u32]) -> Bench {
    let mut bench = Bench { pool: Pool::new(scheduler), ids: Vec::new() };
    for &weight in weights {
        bench.add(weight);
    }
    bench
}

impl Bench {
    pub(super) fn add(&mut self, weight: u32) {
        let last_octet = u8::try_from(self.ids.len() + 1).unwrap();
        let address = SocketAddr::from(([10, 0, 0, last_octet], 80));
        let weight = Weight::new(weight).unwrap();
        self.ids.push(self.pool.add(address, weight, Thresholds::NONE));
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn remove(&mut self, server: usize) {
        assert!(self.pool.remove(self.ids[server]));
    }

    pub(super) fn edit(&mut self, server: usize, weight: u32) {
        self.limit(server, weight, 0, 0);
    }

    pub(super) fn limit(&mut self, server: usize, weight: u32, upper: u32, lower: u32) {
        let thresholds = Thresholds::new(upper, lower).unwrap();
        let weight = Weight::new(weight).unwrap();
        assert!(self.pool.edit(self.ids[server], weight, thresholds));
    }

    pub(super) fn load(&mut self, server: usize, active: u32, inactive: u32) {
        (0..active).for_each(|_| self.pool.open(self.ids[server]));
        (0..inactive).for_each(|_| self.pool.open_inactive(self.ids[server]));
    }

    pub(super) fn close(&mut self, server: usize) {
        self.pool.close(self.ids[server]);
    }

    pub(super) fn pick(&mut self) -> Option<usize> {
        self.pick_for(&Flow::default())
    }

    pub(super) fn pick_for(&mut self, flow: &Flow) -> Option<usize> {
        let id = self.pool.pick(flow)?;
        self.ids.iter().position(|&known| known == id)
    }

    pub(super) fn at(&mut self, now: Instant) {
        self.pool.handle_time(now);
    }

    /// The next `count` picks, each of which opens an active connection.
    pub(super) fn picks_opened(&mut self, count: usize) -> Vec<usize> {
        let pick = |_| {
            let server = self.pick().unwrap();
            self.load(server, 1, 0);
            server
        };
        (0..count).map(pick).collect()
    }

    /// The next `count` picks, none of them in vain.
    pub(super) fn picks(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.pick().unwrap()).collect()
    }
}

/// A connection from `source`.
pub(super) fn from(source: &str) -> Flow {
    Flow { source: source.parse().unwrap(), ..Flow::default() }
}

/// A connection to `destination`, from anywhere.
pub(super) fn to(destination: &str) -> Flow {
    Flow { destination: destination.parse().unwrap(), ..Flow::default() }
}

#[test]
fn every_registered_name_makes_the_scheduler_of_that_name() {
    for name in names() {
        assert_eq!(by_name(name).unwrap().name(), name);
    }
    assert!(names().is_sorted());
    assert!(by_name("WLC").is_none());
}

#[test]
fn overload_starts_at_the_upper_threshold_and_ends_below_the_lower_one() {
    // (upper, lower, total at which the flag clears), measured on Linux 6.1 and 7.2.
    let measured = [(2, 1, 0), (3, 0, 2), (4, 0, 2), (5, 2, 1), (5, 5, 4), (8, 0, 5), (8, 3, 2)];
    for (upper, lower, clears_at) in measured {
        let mut bench = pool("rr", &[1]);
        bench.limit(0, 1, upper, lower);
        for _ in 0..upper {
            assert_eq!(bench.pick(), Some(0), "({upper}, {lower})");
            bench.load(0, 1, 0);
        }
        for total in (0..upper).rev() {
            assert_eq!(bench.pick(), None, "({upper}, {lower}) at {}", total + 1);
            bench.close(0);
            if total == clears_at {
                break;
            }
        }
        assert_eq!(bench.pick(), Some(0), "({upper}, {lower}) at {clears_at}");
    }
}

#[test]
fn edited_thresholds_set_clear_or_leave_the_overload_flag() {
    let mut bench = pool("rr", &[1]);
    bench.load(0, 2, 2);
    bench.limit(0, 1, 4, 2);
    assert_eq!(bench.pick(), None, "at the upper threshold");
    bench.limit(0, 1, 8, 2);
    assert_eq!(bench.pick(), None, "between the two it stays set");
    bench.limit(0, 1, 8, 5);
    assert_eq!(bench.pick(), Some(0), "below the lower one");
    bench.limit(0, 1, 8, 2);
    assert_eq!(bench.pick(), Some(0), "between the two it stays clear");
    bench.limit(0, 1, 3, 2);
    assert_eq!(bench.pick(), None);
    bench.limit(0, 1, 0, 0);
    assert_eq!(bench.pick(), Some(0), "without thresholds");
}

#[test]
fn a_removed_servers_connections_count_again_when_it_comes_back() {
    let mut pool = Pool::new(by_name("lc").unwrap());
    let address = "10.0.0.1:80".parse().unwrap();
    let first = pool.add(address, Weight::ONE, Thresholds::NONE);
    pool.open(first);
    pool.open(first);
    assert!(pool.remove(first) && !pool.remove(first));
    pool.close(first);
    assert!(pool.get(first).is_none());

    let limit = Thresholds::new(1, 1).unwrap();
    let again = pool.add(address, Weight::ONE, limit);
    assert_eq!(again, first);
    assert_eq!(pool.get(again).unwrap().load().active, 1);
    assert_eq!(pool.pick(&Flow::default()), None, "it came back overloaded");
    pool.close(first);
    assert_eq!(pool.pick(&Flow::default()), Some(again));
}

#[test]
fn a_name_whose_server_is_gone_for_good_counts_on_no_other() {
    let mut pool = Pool::new(by_name("lc").unwrap());
    let gone = pool.add("10.0.0.1:80".parse().unwrap(), Weight::ONE, Thresholds::NONE);
    pool.open(gone);
    pool.remove(gone);
    pool.close(gone);
    let other = pool.add("10.0.0.2:80".parse().unwrap(), Weight::ONE, Thresholds::NONE);
    pool.open(other);
    pool.open(gone);
    pool.close(gone);
    pool.close(gone);
    assert_ne!(gone, other);
    assert_eq!(pool.get(other).unwrap().load().active, 1);
}

#[test]
fn a_connection_that_is_not_there_cannot_end_or_become_inactive() {
    let mut pool = Pool::new(by_name("lc").unwrap());
    let server = pool.add("10.0.0.1:80".parse().unwrap(), Weight::ONE, Thresholds::NONE);
    pool.deactivate(server);
    pool.close(server);
    pool.close_inactive(server);
    assert_eq!(pool.get(server).unwrap().load().total(), 0);
}

#[test]
fn a_scheduler_swapped_in_starts_afresh_with_servers_and_counts_kept() {
    let mut bench = pool("wrr", &[2, 1]);
    bench.load(0, 3, 0);
    assert_eq!(bench.picks(1), [1]);
    bench.pool.set_scheduler(by_name("rr").unwrap());
    assert_eq!(bench.picks(3), [1, 0, 1]);
    bench.pool.set_scheduler(by_name("wrr").unwrap());
    assert_eq!(bench.picks(3), [0, 1, 0]);
    bench.pool.set_scheduler(by_name("lc").unwrap());
    assert_eq!(bench.pick(), Some(1));
}

/// A server of any kind: weight, active and inactive connections, upper threshold.
type Kind = (u32, u32, u32, u32);

fn kinds() -> impl Strategy<Value = Vec<Kind>> {
    prop::collection::vec((0_u32..6, 0_u32..8, 0_u32..8, 0_u32..12), 0..8)
}

fn scheduler_names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(names().collect::<Vec<_>>())
}

fn pool_of(scheduler: &str, kinds: &[Kind]) -> Bench {
    let options = Options { fallback: true, ..Options::default() };
    let mut bench = pool_by(build(scheduler, options).unwrap(), &[]);
    for (server, &(weight, active, inactive, upper)) in kinds.iter().enumerate() {
        bench.add(weight);
        bench.load(server, active, inactive);
        bench.limit(server, weight, upper, 0);
    }
    bench
}

/// The position with the least cost, the first of equals, found without cleverness.
fn cheapest(servers: &Servers, cost: impl Fn(&Server) -> f64) -> Option<ServerId> {
    let mut least: Option<&Server> = None;
    for server in servers.as_slice().iter().filter(|s| s.is_eligible()) {
        if least.is_none_or(|least| cost(server) < cost(least)) {
            least = Some(server);
        }
    }
    least.map(Server::id)
}

fn overhead(server: &Server) -> f64 {
    let load = server.load();
    f64::from(256 * load.active + load.active + load.inactive)
}

proptest! {
    #[test]
    fn only_eligible_servers_are_picked(name in scheduler_names(), kinds in kinds()) {
        let mut bench = pool_of(name, &kinds);
        for _ in 0..20 {
            let picked = bench.pool.pick(&Flow::default());
            prop_assert!(picked.is_none_or(|id| bench.pool.get(id).unwrap().is_eligible()));
        }
    }

    #[test]
    fn nothing_is_picked_only_if_nothing_is_eligible(name in scheduler_names(), kinds in kinds()) {
        let mut bench = pool_of(name, &kinds);
        let has_room = |s: &Server| name != "ovf" || s.load().active <= s.weight().get();
        let may_pick = |s: &Server| s.is_eligible() && has_room(s);
        prop_assume!(name != "dh");
        let eligible = bench.pool.servers().as_slice().iter().any(may_pick);
        for _ in 0..20 {
            prop_assert_eq!(bench.pick().is_some(), eligible);
        }
    }

    #[test]
    fn equal_histories_have_equal_picks(name in scheduler_names(), kinds in kinds()) {
        let (mut one, mut other) = (pool_of(name, &kinds), pool_of(name, &kinds));
        for _ in 0..20 {
            prop_assert_eq!(one.pick(), other.pick());
        }
    }

    #[test]
    fn over_a_cycle_wrr_shares_are_exactly_the_weights(
        weights in prop::collection::vec(0_u32..20, 1..8),
        scale in 1_u32..5,
    ) {
        let scaled: Vec<u32> = weights.iter().map(|weight| weight * scale).collect();
        let mut bench = pool("wrr", &scaled);
        bench.pool.set_scheduler(by_name("wrr").unwrap());
        let mut shares = vec![0; weights.len()];
        for _ in 0..weights.iter().sum() {
            shares[bench.pick().unwrap()] += 1;
        }
        prop_assert_eq!(shares, weights);
    }

    #[test]
    fn over_a_cycle_rr_shares_are_equal(weights in prop::collection::vec(1_u32..20, 1..8)) {
        let mut bench = pool("rr", &weights);
        let mut turn = bench.picks(weights.len());
        let again = bench.picks(weights.len());
        prop_assert_eq!(&turn, &again);
        turn.sort_unstable();
        prop_assert!(turn.into_iter().eq(0..weights.len()));
    }

    #[test]
    fn lc_picks_the_least_overhead(kinds in kinds()) {
        let mut bench = pool_of("lc", &kinds);
        let expected = cheapest(bench.pool.servers(), overhead);
        prop_assert_eq!(bench.pool.pick(&Flow::default()), expected);
    }

    #[test]
    fn wlc_picks_the_least_overhead_for_its_weight(kinds in kinds()) {
        let mut bench = pool_of("wlc", &kinds);
        let expected = cheapest(bench.pool.servers(), |server| {
            overhead(server) / f64::from(server.weight().get())
        });
        prop_assert_eq!(bench.pool.pick(&Flow::default()), expected);
    }
}
