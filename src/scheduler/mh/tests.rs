//! Golden vectors, made by a program of its own from the description, and laws of the table.

use proptest::prelude::*;
use siphasher::sip::SipHasher13;

use super::*;
use crate::ipvs::Thresholds;
use crate::net::Weight;
use crate::scheduler::Pool;
use crate::scheduler::tests::{Bench, from, pool, pool_by};

fn with_flags(fallback: bool, port: bool, weights: &[u32]) -> Bench {
    pool_by(Box::new(MaglevHashing::with_flags(fallback, port)), weights)
}

fn picks(bench: &mut Bench) -> Vec<Option<usize>> {
    (1..=16).map(|host| bench.pick_for(&from(&format!("198.51.100.{host}:1")))).collect()
}

fn table(bench: &Bench) -> Vec<u16> {
    let mut scheduler = MaglevHashing::default();
    scheduler.start(bench.pool.servers());
    scheduler.table
}

fn shares(table: &[u16], servers: usize) -> Vec<usize> {
    let mut shares = vec![0; servers];
    table.iter().for_each(|&position| shares[usize::from(position)] += 1);
    shares
}

const OF_3_2_1: [usize; 16] = [2, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 1, 0, 0, 1];

#[test]
fn the_hash_is_the_low_half_of_siphash_1_3() {
    assert_eq!(hash(2_654_435_761, 0), 0x1d5a_77c2);
    assert_eq!(hash(2_654_435_761, 1), 0x16ec_66b2);
    assert_eq!(hash(2_654_435_761, 0xc633_6401), 0x2215_d3fd);
    assert_eq!(hash(2_654_446_892, 0x0a00_0050), 0x8c42_42c3);
}

#[test]
fn the_table_of_weights_3_2_1() {
    let table = table(&pool("rr", &[3, 2, 1]));
    let first = [2, 2, 1, 1, 2, 2, 1, 0, 0, 2, 2, 1, 1, 2, 2, 0, 1, 1, 2, 2, 0, 1, 0, 0];
    assert_eq!(table[..24], first);
    assert_eq!(shares(&table, 3), [683, 1364, 2046]);
}

#[test]
fn a_client_belongs_to_the_server_of_its_slot() {
    let mut bench = pool("mh", &[3, 2, 1]);
    assert_eq!(picks(&mut bench), OF_3_2_1.map(Some));
    assert_eq!(bench.pick_for(&from("[2001:db8::1]:1")), Some(1), "slot 3457");
}

#[test]
fn with_the_port_each_connection_of_a_client_is_hashed() {
    let mut bench = with_flags(false, true, &[3, 2, 1]);
    let picks: Vec<_> = (40_000..40_016)
        .map(|port| bench.pick_for(&from(&format!("198.51.100.1:{port}"))).unwrap())
        .collect();
    assert_eq!(picks, [0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 2, 1, 1, 0, 1, 1]);
}

#[test]
fn without_fallback_the_clients_of_a_quiesced_server_are_refused_and_come_back() {
    let mut bench = pool("mh", &[3, 2, 1]);
    bench.edit(0, 0);
    assert_eq!(picks(&mut bench), OF_3_2_1.map(|server| (server != 0).then_some(server)));
    bench.edit(0, 3);
    assert_eq!(picks(&mut bench), OF_3_2_1.map(Some));
}

#[test]
fn with_fallback_they_spread_and_nobody_else_moves() {
    let mut bench = with_flags(true, false, &[3, 2, 1]);
    bench.edit(0, 0);
    let expected = [2, 2, 1, 2, 1, 2, 1, 2, 2, 1, 2, 1, 1, 1, 2, 1];
    assert_eq!(picks(&mut bench), expected.map(Some));
    bench.edit(1, 0);
    bench.edit(2, 0);
    assert_eq!(bench.pick(), None);
}

#[test]
fn a_server_added_quiesced_has_no_slot_until_it_gets_a_weight() {
    let mut bench = pool("mh", &[0, 0]);
    assert_eq!(bench.pick(), None);
    assert!(table(&bench).is_empty());
    bench.edit(0, 5);
    assert_eq!(shares(&table(&bench), 2), [0, 4093]);
    assert_eq!(picks(&mut bench), [Some(0); 16]);
}

#[test]
fn quiescing_under_another_scheduler_keeps_the_slots_too() {
    let mut bench = pool("rr", &[3, 2, 1]);
    let before = table(&bench);
    bench.edit(1, 0);
    assert_eq!(table(&bench), before);
    bench.load(1, 1, 0);
    bench.remove(1);
    bench.pool.add("10.0.0.2:80".parse().unwrap(), Weight::ZERO, Thresholds::NONE);
    assert_eq!(shares(&table(&bench), 3)[0], 0, "added again quiesced");
}

#[test]
fn weights_far_apart_are_scaled_to_six_bits() {
    assert_eq!(shares(&table(&pool("rr", &[1000, 1])), 2), [65, 4028], "62 turns to 1");
    assert_eq!(shares(&table(&pool("rr", &[Weight::MAX.get(), 1])), 2), [64, 4029], "63 to 1");
}

#[test]
fn servers_beyond_the_table_have_no_slot() {
    let mut pool = Pool::new(crate::scheduler::by_name("rr").unwrap());
    for host in 0..4100_u32 {
        let address =
            std::net::SocketAddr::from((0x0a00_0000_u32.wrapping_add(host).to_be_bytes(), 80));
        pool.add(address, Weight::ONE, Thresholds::NONE);
    }
    pool.set_scheduler(crate::scheduler::by_name("mh").unwrap());
    assert_eq!(pool.capacity(), 4093);
    let mut scheduler = MaglevHashing::default();
    scheduler.start(pool.servers());
    assert!(shares(&scheduler.table, 4093).iter().all(|&share| share == 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_hash_is_that_of_a_general_implementation(key: u64, value: u32) {
        let general = SipHasher13::new_with_keys(key, key).hash(&value.to_le_bytes());
        prop_assert_eq!(u64::from(hash(key, value)), general & 0xffff_ffff);
    }

    /// After whole rounds all have as many slots as turns; the last round may end anywhere.
    #[test]
    fn shares_are_the_weights_but_for_the_last_round(
        weights in prop::collection::vec(1_u32..64, 1..40),
    ) {
        let divisor = weights.iter().copied().fold(0, greatest_common_divisor);
        let sum: u32 = weights.iter().map(|weight| weight / divisor).sum();
        let rounds = u32::from(SLOTS) / sum;
        let table = table(&pool("rr", &weights));
        for (share, weight) in shares(&table, weights.len()).into_iter().zip(weights.iter().rev()) {
            let turns = weight / divisor;
            let share = u32::try_from(share).unwrap();
            prop_assert!((rounds * turns..=(rounds + 1) * turns).contains(&share));
        }
    }
}
