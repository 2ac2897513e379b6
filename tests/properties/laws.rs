//! What holds of the schedulers for any servers, one function for each law: run by proptest
//! (`tests/properties/main.rs`) and by the fuzzer (`fuzz/fuzz_targets/pool_ops.rs`).

#![allow(clippy::expect_used, reason = "a property fails by a panic")]

use std::net::SocketAddr;

use piranha::ipvs::Thresholds;
use piranha::net::Weight;
use piranha::scheduler::{self, Flow, MaglevHashing, Options, Pool, Scheduler, Server, ServerId};

/// Weight, active connections and inactive ones of a server; a third of them has a threshold.
pub(crate) type Row = (u8, u8, u8);

/// The fuzzer's way to all of them.
#[allow(dead_code, reason = "proptest runs each by itself")]
pub(crate) fn all(rows: &[Row]) {
    only_who_may_take_a_connection_is_picked(rows);
    shares_over_a_cycle_are_the_weights(rows);
    who_is_picked_costs_least(rows);
    equal_histories_have_equal_picks(rows);
    few_clients_move_when_a_server_goes(rows.len());
    two_nodes_have_one_table(rows);
}

pub(crate) fn only_who_may_take_a_connection_is_picked(rows: &[Row]) {
    for (name, options) in every_scheduler() {
        let mut pool = pool(name, options, rows);
        for client in 0..20 {
            let Some(picked) = pool.pick(&flow(client)) else { continue };
            let server = pool.get(picked).expect("in the service");
            assert!(!server.weight().is_quiesced(), "{name}");
            // The kernel's lblc keeps an address on its server beyond the threshold.
            assert!(server.is_eligible() || name == "lblc", "{name}");
            pool.open(picked);
        }
    }
}

/// Of rr and wrr, over two cycles.
pub(crate) fn shares_over_a_cycle_are_the_weights(rows: &[Row]) {
    let weights: Vec<_> = rows.iter().map(|row| usize::from(row.0 % 16)).collect();
    let divisor = (1..16).rev().find(|d| weights.iter().all(|w| w % d == 0)).unwrap_or(1);
    let turns: Vec<_> = weights.iter().map(|weight| weight / divisor).collect();
    assert_eq!(cycle("wrr", rows, turns.iter().sum()), turns);
    let turns: Vec<_> = weights.iter().map(|&weight| weight.min(1)).collect();
    assert_eq!(cycle("rr", rows, turns.iter().sum()), turns);
}

/// How often each server is picked in one of two equal cycles of so many picks.
fn cycle(name: &str, rows: &[Row], length: usize) -> Vec<usize> {
    let idle: Vec<_> = rows.iter().map(|row| (row.0, 0, 0)).collect();
    let mut pool = pool("rr", Options::default(), &idle);
    pool.set_scheduler(scheduler::by_name(name).expect("registered"));
    let mut count = || {
        let mut counts = vec![0; rows.len()];
        for _ in 0..length {
            let picked = pool.pick(&Flow::default()).expect("a weight");
            let position = pool.servers().position(picked).expect("in the service");
            counts[rows.len() - 1 - position] += 1;
        }
        counts
    };
    let first = count();
    assert_eq!(count(), first, "{name}");
    first
}

/// Nobody who may take the connection costs less, and nobody newer as little.
pub(crate) fn who_is_picked_costs_least(rows: &[Row]) {
    for name in ["lc", "wlc", "sed", "nq", "fo", "ovf"] {
        let mut pool = pool(name, Options::default(), rows);
        let picked = pool.pick(&Flow::default());
        let may =
            |s: &&Server| s.is_eligible() && (name != "ovf" || s.load().active <= s.weight().get());
        let servers = pool.servers().as_slice();
        let Some(position) = picked.and_then(|id| pool.servers().position(id)) else {
            assert_eq!(servers.iter().find(may).map(Server::id), None, "{name}");
            continue;
        };
        let least = cost(name, &servers[position]);
        let cheaper = |s: &Server, than: (u128, u128), or_equal: bool| {
            let (load, weight) = cost(name, s);
            let (this, that) = (load * than.1, than.0 * weight);
            this < that || (or_equal && this == that)
        };
        for (at, server) in servers.iter().enumerate().filter(|(_, s)| may(s)) {
            assert!(!cheaper(server, least, at < position), "{name}: {at} instead of {position}");
        }
    }
}

fn cost(name: &str, server: &Server) -> (u128, u128) {
    let (active, weight) = (u128::from(server.load().active), u128::from(server.weight().get()));
    match name {
        "lc" => (server.overhead().into(), 1),
        "wlc" => (server.overhead().into(), weight),
        "nq" if active == 0 => (0, 1),
        "sed" | "nq" => (active + 1, weight),
        _ => (1, weight),
    }
}

pub(crate) fn equal_histories_have_equal_picks(rows: &[Row]) {
    for (name, options) in every_scheduler() {
        let picks = || {
            let mut pool = pool(name, options, rows);
            let pick = |client| {
                let picked = pool.pick(&flow(client));
                picked.into_iter().for_each(|id| pool.open(id));
                picked
            };
            (0..20).map(pick).collect::<Vec<_>>()
        };
        assert_eq!(picks(), picks(), "{name}");
    }
}

/// With mh, of servers of equal weight: the clients of the one that goes, and less than one in 25 of
/// the others.
pub(crate) fn few_clients_move_when_a_server_goes(count: usize) {
    let rows = vec![(1, 0, 0); count.min(60)];
    for gone in 0..rows.len().min(3) {
        let mut pool = pool("rr", Options::default(), &rows);
        let removed = pool.servers().as_slice()[gone].id();
        let before = owners(&pool);
        pool.remove(removed);
        let after = owners(&pool);
        let pairs = before.iter().zip(&after);
        let moved = pairs.filter(|(was, is)| was != is && **was != removed).count();
        assert!(moved * 25 <= before.len(), "{moved} of {}", before.len());
    }
}

/// With mh, however the two came to have the same servers in the same order.
pub(crate) fn two_nodes_have_one_table(rows: &[Row]) {
    let one = pool("rr", Options::default(), rows);
    let mut other = Pool::new(scheduler::by_name("rr").expect("registered"));
    let stranger = other.add(([10, 0, 1, 1], 80).into(), Weight::ONE, Thresholds::NONE);
    for server in one.servers().as_slice().iter().rev() {
        // Weight 0 from the start is another thing than quiesced later.
        let first = if server.weight().is_quiesced() { Weight::ZERO } else { Weight::ONE };
        let id = other.add(server.address(), first, Thresholds::NONE);
        other.edit(id, server.weight(), Thresholds::NONE);
    }
    other.remove(stranger);
    assert_eq!(table(&one), table(&other));
}

fn table(pool: &Pool) -> Vec<u16> {
    let mut scheduler = MaglevHashing::default();
    scheduler.start(pool.servers());
    scheduler.table().to_vec()
}

fn owners(pool: &Pool) -> Vec<ServerId> {
    let owner = |position: u16| pool.servers().at(position.into()).expect("in the service").id();
    table(pool).into_iter().map(owner).collect()
}

fn every_scheduler() -> impl Iterator<Item = (&'static str, Options)> {
    let options = [false, true].map(|flag| Options { fallback: flag, port: flag, seed: 7 });
    scheduler::names().flat_map(move |name| options.map(|options| (name, options)))
}

/// The first 60 rows, as many as one octet has room for with some to spare.
fn pool(name: &str, options: Options, rows: &[Row]) -> Pool {
    let mut pool = Pool::new(scheduler::build(name, options).expect("registered"));
    for (host, &(weight, active, inactive)) in (1_u8..=60).zip(rows) {
        let address = SocketAddr::from(([10, 0, 0, host], 80));
        let weight = Weight::new(u32::from(weight % 16)).expect("small");
        let upper = if host.is_multiple_of(3) { 12 } else { 0 };
        let id = pool.add(address, weight, Thresholds::new(upper, 0).expect("in order"));
        (0..active % 16).for_each(|_| pool.open(id));
        (0..inactive % 16).for_each(|_| pool.open_inactive(id));
    }
    pool
}

fn flow(client: u8) -> Flow {
    Flow {
        source: SocketAddr::from(([198, 51, 100, client], 1024 + u16::from(client) * 77)),
        destination: SocketAddr::from(([192, 0, 2, client % 4], 80)),
    }
}
