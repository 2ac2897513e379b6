use proptest::prelude::*;

use super::*;
use crate::config;

fn desired() -> (Desired, ServiceKey) {
    let file = b"primary = 192.0.2.1
        virtual web {
            active = 1
            address = 192.0.2.80 eth0:1
            sorry_server = 10.0.0.9
            server a {
                address = 10.0.0.1
                active = 1
            }
            server b {
                address = 10.0.0.2
                active = 1
            }
            server off {
                address = 10.0.0.3
                active = 0
            }
        }";
    let config = config::load(file).config.expect("a good file");
    (Desired::new(&config), config.virtuals[0].key())
}

fn server(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 80))
}

fn in_table(desired: &Desired, key: ServiceKey) -> Vec<SocketAddr> {
    desired.entry(key).iter().flat_map(Entry::destinations).map(Destination::address).collect()
}

#[test]
fn a_server_is_in_the_table_from_its_first_verdict_on() {
    let (mut desired, key) = desired();
    assert_eq!(in_table(&desired, key), []);
    desired.set_weight(key, server(1), Some(Weight::ONE));
    assert_eq!(in_table(&desired, key), [server(1)]);
    desired.set_weight(key, server(3), Some(Weight::ONE));
    assert_eq!(in_table(&desired, key), [server(1)], "an inactive server is none");
}

#[test]
fn the_sorry_server_waits_for_every_verdict_and_for_the_last_server_to_go() {
    let (mut desired, key) = desired();
    desired.set_down(key, server(1));
    assert_eq!(desired.sorry_servers(key), []);
    desired.set_down(key, server(2));
    assert_eq!(in_table(&desired, key), [server(9)]);
    desired.set_weight(key, server(2), Some(Weight::ONE));
    assert_eq!(in_table(&desired, key), [server(2)]);
    desired.set_weight(key, server(2), Some(Weight::ZERO));
    assert_eq!(in_table(&desired, key), [server(2), server(9)], "a quiesced one takes nobody");
}

#[test]
fn a_backup_waits_for_the_last_other_server_to_go_and_comes_before_the_sorry_servers() {
    let file = b"primary = 192.0.2.1
        virtual web {
            active = 1
            address = 192.0.2.80 eth0:1
            sorry_server = 10.0.0.8 10.0.0.9:8080
            server a {
                address = 10.0.0.1
                active = 1
            }
            server b {
                address = 10.0.0.2
                active = 1
                backup = 1
                network = tunnel
            }
        }";
    let config = config::load(file).config.expect("a good file");
    let (mut desired, key) = (Desired::new(&config), config.virtuals[0].key());
    let table = |desired: &Desired| -> Vec<_> {
        let entry = desired.entry(key).expect("the service is there");
        entry.destinations().map(|d| (d.address(), d.weight().get())).collect()
    };
    desired.set_weight(key, server(2), Some(Weight::ONE));
    assert_eq!(table(&desired), [(server(2), 0)], "the other may yet come up");
    assert!(desired.stands_by(key, server(2)));
    desired.set_weight(key, server(1), Some(Weight::ONE));
    assert_eq!(table(&desired), [(server(1), 1), (server(2), 0)]);
    desired.set_weight(key, server(1), None);
    assert_eq!(table(&desired), [(server(2), 1)]);
    assert!(!desired.stands_by(key, server(2)));
    desired.set_weight(key, server(2), None);
    let second = SocketAddr::from(([10, 0, 0, 9], 8080));
    assert_eq!(table(&desired), [(server(8), 1), (second, 1)]);
    desired.set_weight(key, server(1), Some(Weight::ONE));
    assert_eq!(table(&desired), [(server(1), 1)]);
    let entry = whole_entry(&config.virtuals[0]);
    let tunnelled = entry.destinations().filter(|d| d.forwarding().is_tunnel());
    assert_eq!(tunnelled.map(Destination::address).collect::<Vec<_>>(), [server(2)]);
}

#[test]
fn what_an_earlier_life_left_holds_until_the_first_verdict() {
    let (earlier, key) = {
        let (mut desired, key) = desired();
        desired.set_weight(key, server(1), Some(Weight::ONE));
        desired.set_weight(key, server(2), Some(Weight::ZERO));
        (desired.table(), key)
    };
    let (mut desired, _) = desired();
    desired.adopt(&earlier);
    assert_eq!(desired.table(), earlier);
    desired.set_down(key, server(1));
    assert_eq!(in_table(&desired, key), [server(2), server(9)], "down without a weight before");
    desired.set_weight(key, server(2), Some(Weight::ONE));
    assert_eq!(in_table(&desired, key), [server(2)]);
}

#[test]
fn a_sorry_server_that_served_goes_on_until_a_server_is_back() {
    let (mut earlier, key) = desired();
    earlier.set_down(key, server(1));
    earlier.set_down(key, server(2));
    let (mut desired, _) = desired();
    desired.adopt(&earlier.table());
    assert_eq!(in_table(&desired, key), [server(9)]);
    desired.set_weight(key, server(1), Some(Weight::ONE));
    assert_eq!(in_table(&desired, key), [server(1)]);
}

#[test]
fn a_server_that_was_in_the_table_stays_as_its_weight_says() {
    let (mut desired, key) = desired();
    desired.set_weight(key, server(1), Some(Weight::ONE));
    desired.set_down(key, server(1));
    assert_eq!(in_table(&desired, key), [server(1)]);
}

#[test]
fn a_new_configuration_keeps_the_verdicts_of_servers_that_stay() {
    let (mut desired, key) = desired();
    desired.set_weight(key, server(1), Some(Weight::ONE));
    let file = b"primary = 192.0.2.1
        virtual web {
            active = 1
            address = 192.0.2.80 eth0:1
            server a {
                address = 10.0.0.1
                active = 1
            }
        }";
    desired.configure(&config::load(file).config.expect("a good file"));
    assert_eq!(in_table(&desired, key), [server(1)]);
}

/// Three servers of weight 2 and, if asked for, a backup (10.0.0.4) and a sorry server.
fn with_quorum(quorum: &str, backup: bool, sorry: bool) -> (Desired, ServiceKey) {
    let block = |n: u8, more: &str| {
        format!("server s{n} {{\naddress = 10.0.0.{n}\nactive = 1\nweight = 2\n{more}\n}}\n")
    };
    let sorry = if sorry { "sorry_server = 10.0.0.9" } else { "" };
    let backup = if backup { block(4, "backup = 1") } else { String::new() };
    let servers = format!("{}{}{}{backup}", block(1, ""), block(2, ""), block(3, ""));
    let file = format!(
        "primary = 192.0.2.1\nvirtual web {{\nactive = 1\naddress = 192.0.2.80 eth0:1\n\
         {quorum}\n{sorry}\n{servers}}}\n"
    );
    let config = config::load(file.as_bytes()).config.expect("a good file");
    (Desired::new(&config), config.virtuals[0].key())
}

fn weights(desired: &Desired, key: ServiceKey) -> Vec<(u8, u32)> {
    let entry = desired.entry(key).expect("the service is there");
    let last = |address: SocketAddr| (1..=9).find(|&n| server(n) == address).expect("a server");
    entry.destinations().map(|d| (last(d.address()), d.weight().get())).collect()
}

fn two() -> Option<Weight> {
    Weight::new(2).ok()
}

fn all_up(desired: &mut Desired, key: ServiceKey, servers: std::ops::RangeInclusive<u8>) {
    servers.for_each(|n| desired.set_weight(key, server(n), two()));
}

#[test]
fn below_its_quorum_a_service_is_left_to_the_sorry_server_and_connections_go_on() {
    let (mut desired, key) = with_quorum("quorum = 4", false, true);
    all_up(&mut desired, key, 1..=3);
    desired.set_weight(key, server(3), None);
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2)]);
    desired.set_weight(key, server(2), None);
    assert_eq!(weights(&desired, key), [(1, 0), (9, 1)]);
    assert!(desired.stands_by(key, server(1)), "it was not drained by anybody's will");
    let lost = desired.quorum(key).expect("there is a quorum");
    assert_eq!((lost.is_met, lost.weight, lost.needed), (false, 2, 4));
    desired.set_weight(key, server(3), two());
    assert_eq!(weights(&desired, key), [(1, 2), (3, 2)]);
}

#[test]
fn backups_stand_in_for_a_service_below_its_quorum_before_the_sorry_server() {
    let (mut desired, key) = with_quorum("quorum = 100%", true, true);
    all_up(&mut desired, key, 1..=3);
    desired.set_weight(key, server(1), None);
    assert_eq!(weights(&desired, key), [(2, 2), (3, 2)], "the backup may yet come up");
    desired.set_weight(key, server(4), two());
    assert_eq!(weights(&desired, key), [(2, 0), (3, 0), (4, 2)]);
    desired.set_weight(key, server(4), None);
    assert_eq!(weights(&desired, key), [(2, 0), (3, 0), (9, 1)]);
}

#[test]
fn hysteresis_keeps_a_service_down_until_it_has_more_than_it_lost() {
    let (mut desired, key) = with_quorum("quorum = 3\nhysteresis = 2", false, true);
    all_up(&mut desired, key, 1..=2);
    desired.set_down(key, server(3));
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2)], "4 is enough to stay");
    desired.set_weight(key, server(2), None);
    desired.set_weight(key, server(2), two());
    assert_eq!(weights(&desired, key), [(1, 0), (2, 0), (9, 1)], "and not to come back");
    desired.set_weight(key, server(3), two());
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2), (3, 2)]);
}

#[test]
fn with_every_server_a_service_is_up_whatever_its_hysteresis() {
    let (mut desired, key) = with_quorum("quorum = 50%\nhysteresis = 1000", false, true);
    (1..=3).for_each(|n| desired.set_down(key, server(n)));
    all_up(&mut desired, key, 1..=2);
    assert_eq!(weights(&desired, key), [(1, 0), (2, 0), (9, 1)]);
    all_up(&mut desired, key, 3..=3);
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2), (3, 2)]);
}

#[test]
fn a_quorum_of_servers_counts_each_as_one() {
    let quorum = "quorum = 2\nhysteresis = 1\nquorum_of = servers";
    let (mut desired, key) = with_quorum(quorum, false, true);
    all_up(&mut desired, key, 1..=3);
    fail(&mut desired, key, 3);
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2)], "two are enough to stay");
    fail(&mut desired, key, 2);
    assert_eq!(weights(&desired, key), [(1, 0), (9, 1)], "one of weight 2 is not");
    let lost = desired.quorum(key).expect("there is a quorum");
    assert_eq!((lost.weight, lost.needed, lost.of), (1, 3, QuorumOf::Servers));
    desired.set_weight(key, server(2), two());
    assert_eq!(weights(&desired, key), [(1, 0), (2, 0), (9, 1)], "and not to come back");
    desired.set_weight(key, server(3), two());
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2), (3, 2)]);
}

#[test]
fn a_server_of_weight_0_is_not_of_the_whole_a_quorum_is_a_share_of() {
    for of in ["weight", "servers"] {
        let servers = "server z {\naddress = 10.0.0.5\nactive = 1\nweight = 0\n}\n";
        let quorum = format!("quorum = 100%\nquorum_of = {of}\n{servers}");
        let (mut desired, key) = with_quorum(&quorum, false, true);
        all_up(&mut desired, key, 1..=3);
        desired.set_weight(key, server(5), Some(Weight::ZERO));
        assert!(desired.quorum(key).expect("there is a quorum").is_met, "{of}");
        fail(&mut desired, key, 1);
        assert!(!desired.quorum(key).expect("there is a quorum").is_met, "{of}");
    }
}

/// Servers with these weights that take a quorum of servers for their measure, and a sorry server.
fn of_servers(weights: &[u32], quorum: &str) -> (Desired, ServiceKey) {
    let block = |(n, weight): (usize, &u32)| {
        format!("server s{n} {{\naddress = 10.0.0.{}\nactive = 1\nweight = {weight}\n}}\n", n + 1)
    };
    let servers: String = weights.iter().enumerate().map(block).collect();
    let file = format!(
        "primary = 192.0.2.1\nvirtual web {{\nactive = 1\naddress = 192.0.2.80 eth0:1\n\
         sorry_server = 10.0.0.9\nquorum = {quorum}\nquorum_of = servers\n{servers}}}\n"
    );
    let config = config::load(file.as_bytes()).config.expect("a good file");
    (Desired::new(&config), config.virtuals[0].key())
}

#[test]
fn servers_below_the_quorum_serve_on_where_nobody_can_stand_in() {
    let (mut desired, key) = with_quorum("quorum = 100%", false, false);
    all_up(&mut desired, key, 1..=1);
    desired.set_down(key, server(2));
    desired.set_down(key, server(3));
    assert_eq!(weights(&desired, key), [(1, 2)]);
    assert!(!desired.quorum(key).expect("there is a quorum").is_met);
}

#[test]
fn a_service_below_its_quorum_stays_so_over_a_restart() {
    let quorum = "quorum = 3\nhysteresis = 2";
    let (mut earlier, key) = with_quorum(quorum, false, true);
    (1..=3).for_each(|n| earlier.set_down(key, server(n)));
    all_up(&mut earlier, key, 1..=2);
    let (mut desired, _) = with_quorum(quorum, false, true);
    desired.adopt(&earlier.table());
    assert_eq!(desired.table(), earlier.table());
    all_up(&mut desired, key, 1..=2);
    assert_eq!(desired.table(), earlier.table());
    all_up(&mut desired, key, 3..=3);
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2), (3, 2)]);
}

fn any_quorum() -> impl Strategy<Value = String> {
    let least = prop_oneof![
        (1..9_u32).prop_map(|n| n.to_string()),
        (1..=100_u32).prop_map(|n| format!("{n}%"))
    ];
    prop_oneof![
        Just(String::new()),
        (least, 0..5_u32, prop_oneof![Just("weight"), Just("servers")]).prop_map(
            |(least, more, of)| {
                format!("quorum = {least}\nhysteresis = {more}\nquorum_of = {of}")
            }
        ),
    ]
}

fn quorum_and_group() -> impl Strategy<Value = String> {
    let rules = prop_oneof![Just(""), Just("all_down = keep_last"), Just("all_down = fail_open"),];
    (any_quorum(), rules, 0..3_u32)
        .prop_map(|(quorum, rule, least)| format!("{quorum}\n{rule}\nmin_servers = {least}"))
}

#[test]
fn the_servers_that_failed_last_are_kept_in_as_many_as_are_wanting() {
    let (mut desired, key) = with_quorum("min_servers = 2", false, true);
    all_up(&mut desired, key, 1..=3);
    fail(&mut desired, key, 2);
    assert_eq!(weights(&desired, key), [(1, 2), (3, 2)], "two are left");
    fail(&mut desired, key, 3);
    assert_eq!(weights(&desired, key), [(1, 2), (3, 2)], "the later one of the two stays");
    assert_eq!(desired.kept(key), BTreeSet::from([server(3)]));
    fail(&mut desired, key, 1);
    assert_eq!(weights(&desired, key), [(9, 1)], "below the quorum it is for the sorry server");
    desired.set_weight(key, server(2), two());
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2)]);
    desired.set_weight(key, server(3), two());
    assert_eq!(weights(&desired, key), [(2, 2), (3, 2)]);
    assert_eq!(desired.kept(key), BTreeSet::new());
}

#[test]
fn the_last_server_to_go_is_kept_where_that_is_asked_for() {
    let (mut desired, key) = with_quorum("all_down = keep_last", false, false);
    all_up(&mut desired, key, 1..=3);
    [1, 3, 2].into_iter().for_each(|n| fail(&mut desired, key, n));
    assert_eq!(weights(&desired, key), [(2, 2)]);
    desired.set_health(key, server(1), Health::Up);
    assert_eq!(weights(&desired, key), [(2, 2)], "no gap before the weight comes");
    desired.set_weight(key, server(1), two());
    assert_eq!(weights(&desired, key), [(1, 2)]);
}

#[test]
fn a_service_that_fails_open_serves_with_all_but_those_taken_out_by_hand() {
    let (mut desired, key) = with_quorum("all_down = fail_open", false, false);
    all_up(&mut desired, key, 1..=3);
    desired.set_withheld(key, server(2), true);
    desired.set_weight(key, server(2), None);
    (1..=3).for_each(|n| fail(&mut desired, key, n));
    assert_eq!(weights(&desired, key), [(1, 2), (3, 2)]);
    desired.set_withheld(key, server(2), false);
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2), (3, 2)]);
    desired.set_weight(key, server(1), two());
    assert_eq!(weights(&desired, key), [(1, 2)]);
}

#[test]
fn below_its_quorum_a_service_fails_open_with_those_that_are_left() {
    let rules = "quorum = 50%\nall_down = fail_open";
    let (mut desired, key) = with_quorum(rules, false, false);
    all_up(&mut desired, key, 1..=3);
    fail(&mut desired, key, 1);
    assert_eq!(weights(&desired, key), [(2, 2), (3, 2)]);
    fail(&mut desired, key, 3);
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2), (3, 2)]);
}

#[test]
fn servers_that_never_passed_a_check_serve_where_a_service_fails_open() {
    let (mut desired, key) = with_quorum("all_down = fail_open", true, false);
    desired.set_down(key, server(1));
    desired.set_down(key, server(2));
    assert_eq!(weights(&desired, key), [], "the third may yet come up");
    desired.set_down(key, server(3));
    assert_eq!(weights(&desired, key), [], "and so may the backup");
    desired.set_weight(key, server(4), two());
    assert_eq!(weights(&desired, key), [(4, 2)], "which comes first");
    fail(&mut desired, key, 4);
    assert_eq!(weights(&desired, key), [(1, 2), (2, 2), (3, 2)]);
}

fn fail(desired: &mut Desired, key: ServiceKey, n: u8) {
    desired.set_health(key, server(n), Health::Down);
    desired.set_weight(key, server(n), None);
}

proptest! {
    #[test]
    fn as_many_serve_as_the_rules_promise_and_nobody_taken_out_by_hand(
        rules in quorum_and_group(),
        sorry: bool,
        steps in proptest::collection::vec((1..=3_u8, 0..4_u8), 0..40),
    ) {
        let (mut desired, key) = with_quorum(&rules, false, sorry);
        (1..=3).for_each(|n| desired.set_down(key, server(n)));
        for (n, step) in steps {
            match step {
                0 => fail(&mut desired, key, n),
                1 => {
                    desired.set_withheld(key, server(n), true);
                    desired.set_weight(key, server(n), None);
                }
                _ => {
                    desired.set_withheld(key, server(n), false);
                    desired.set_health(key, server(n), Health::Up);
                    desired.set_weight(key, server(n), two());
                }
            }
            let wanted = &desired.services[&key];
            let able = wanted.others().filter(|one| !one.withheld).count();
            let serving = weights(&desired, key).into_iter().filter(|(n, w)| *n < 4 && *w > 0);
            let serving: Vec<_> = serving.map(|(n, _)| n).collect();
            let promised = match (wanted.is_met, wanted.all_down) {
                _ if wanted.pool() != Pool::Others => 0,
                (false, AllDown::FailOpen) => able,
                (false, AllDown::KeepLast) => wanted.min_servers.max(1).min(able),
                _ => wanted.min_servers.min(able),
            };
            prop_assert!(serving.len() >= promised, "{serving:?}, promised {promised}");
            for n in serving {
                prop_assert!(!wanted.servers[&server(n)].withheld, "{n} was taken out by hand");
            }
        }
    }

    #[test]
    fn a_service_is_up_with_its_share_of_servers_however_weights_are_spread(
        weights in proptest::collection::vec(1..=1000_u32, 1..=6),
        percent in 1..=100_u64,
        verdicts in proptest::collection::vec((1..=6_u8, any::<bool>()), 0..30),
    ) {
        let (mut desired, key) = of_servers(&weights, &format!("{percent}%"));
        let mut up = vec![false; weights.len()];
        (1..=6).for_each(|n| desired.set_down(key, server(n)));
        for (n, passes) in verdicts {
            let index = usize::from(n) - 1;
            let Some(is_up) = up.get_mut(index) else { continue };
            *is_up = passes;
            let weight = Weight::new(weights[index]).ok().filter(|_| passes);
            desired.set_weight(key, server(n), weight);
            let taking = up.iter().filter(|up| **up).count() as u64;
            let enough = taking > 0 && taking * 100 >= percent * weights.len() as u64;
            let state = desired.quorum(key).expect("there is a quorum");
            prop_assert_eq!((state.is_met, state.weight), (enough, taking));
            prop_assert_eq!(desired.sorry_servers(key).is_empty(), enough);
        }
    }

    #[test]
    fn one_pool_serves_at_a_time_and_a_server_more_never_turns_a_service_down(
        quorum in quorum_and_group(),
        backup: bool,
        sorry: bool,
        verdicts in proptest::collection::vec((1..=4_u8, proptest::option::of(0..3_u32)), 0..40),
    ) {
        let (mut desired, key) = with_quorum(&quorum, backup, sorry);
        for (n, weight) in verdicts {
            let before = desired.clone();
            desired.set_weight(key, server(n), weight.and_then(|weight| Weight::new(weight).ok()));
            let taking: Vec<_> =
                weights(&desired, key).into_iter().filter(|(_, w)| *w > 0).map(|(n, _)| n).collect();
            let pools = [1..=3, 4..=4, 9..=9];
            let serving = pools.iter().filter(|pool| taking.iter().any(|n| pool.contains(n)));
            prop_assert!(serving.count() <= 1, "{taking:?}");
            if weight.is_some_and(|weight| weight > 0) && n < 4 && before.services[&key].is_met {
                prop_assert!(desired.services[&key].is_met);
            }
            let mut others = desired.services[&key].others();
            prop_assert!(!others.any(Standing::takes) || !taking.is_empty(), "nobody serves");
        }
    }
}

fn weight(number: u32) -> Weight {
    Weight::new(number).expect("a small number")
}

#[test]
fn load_scales_what_the_checks_give_and_an_agent_overrules_them() {
    let (mut desired, key) = desired();
    let steered = |desired: &mut Desired, steer| {
        desired.set_steer(key, server(1), Some(steer));
        desired.weight(key, server(1)).map(Weight::get)
    };
    assert_eq!(steered(&mut desired, Steer::Weight(weight(7))), None, "no verdict yet");
    desired.set_weight(key, server(1), Some(Weight::ONE));
    assert_eq!(steered(&mut desired, Steer::Weight(weight(7))), Some(7));
    assert_eq!(steered(&mut desired, Steer::Drain), Some(0));
    assert_eq!(steered(&mut desired, Steer::Out), None);
    desired.set_steer(key, server(1), None);
    assert_eq!(desired.weight(key, server(1)), Some(Weight::ONE));
}

#[test]
fn an_agent_sets_the_upper_threshold_unless_a_lower_one_is_configured() {
    let file = b"primary = 192.0.2.1
        virtual web {
            active = 1
            address = 192.0.2.80 eth0:1
            server a {
                address = 10.0.0.1
                active = 1
            }
            server b {
                address = 10.0.0.2
                active = 1
                u_threshold = 20
                l_threshold = 10
            }
        }";
    let config = config::load(file).config.expect("a good file");
    let (mut desired, key) = (Desired::new(&config), config.virtuals[0].key());
    all_up(&mut desired, key, 1..=2);
    let bounds = |desired: &mut Desired, most: Option<u32>| {
        (1..=2).for_each(|n| desired.set_most(key, server(n), most.and_then(NonZeroU32::new)));
        desired.configure(&config);
        let entry = desired.entry(key).expect("the service is there");
        let bounds = entry.destinations().map(|d| (d.thresholds().upper(), d.thresholds().lower()));
        bounds.collect::<Vec<_>>()
    };
    assert_eq!(bounds(&mut desired, Some(30)), [(30, 0), (20, 10)]);
    assert_eq!(bounds(&mut desired, Some(12)), [(12, 0), (12, 10)]);
    assert_eq!(bounds(&mut desired, Some(5)), [(5, 0), (5, 0)]);
    assert_eq!(bounds(&mut desired, None), [(0, 0), (20, 10)], "taken back");
}

#[test]
fn the_sorry_server_stands_in_when_agents_drained_the_last_server() {
    let (mut desired, key) = desired();
    desired.set_weight(key, server(1), Some(Weight::ONE));
    desired.set_down(key, server(2));
    desired.set_steer(key, server(1), Some(Steer::Drain));
    assert_eq!(in_table(&desired, key), [server(1), server(9)]);
    desired.set_steer(key, server(1), Some(Steer::Weight(Weight::ONE)));
    assert_eq!(in_table(&desired, key), [server(1)]);
}
