//! Laws that hold for any sequence of operations and any table, under proptest. The functions in
//! the other files of this directory are run by the fuzzer too.

mod laws;
mod plan_ops;
mod pool_ops;
mod rules;

use piranha::ipvs::{Capabilities, Op, Table, plan};
use piranha::net::Weight;
use proptest::prelude::*;

fn servers() -> impl Strategy<Value = Vec<laws::Row>> {
    prop::collection::vec(any::<laws::Row>(), 0..40)
}

fn tables() -> impl Strategy<Value = Table> {
    prop::collection::vec(any::<plan_ops::Row>(), 0..24).prop_map(|rows| plan_ops::table(&rows))
}

proptest! {
    #[test]
    fn a_pool_counts_as_a_model_does_and_picks_by_the_rules(
        script in prop::collection::vec(any::<pool_ops::Step>(), 0..200),
    ) {
        pool_ops::check(&script);
    }

    #[test]
    fn only_who_may_take_a_connection_is_picked(servers in servers()) {
        laws::only_who_may_take_a_connection_is_picked(&servers);
    }

    #[test]
    fn shares_over_a_cycle_are_the_weights(servers in servers()) {
        laws::shares_over_a_cycle_are_the_weights(&servers);
    }

    #[test]
    fn who_is_picked_costs_least(servers in servers()) {
        laws::who_is_picked_costs_least(&servers);
    }

    #[test]
    fn equal_histories_have_equal_picks(servers in servers()) {
        laws::equal_histories_have_equal_picks(&servers);
    }

    #[test]
    fn few_clients_move_when_a_server_goes(count in 2_usize..60) {
        laws::few_clients_move_when_a_server_goes(count);
    }

    #[test]
    fn two_nodes_have_one_table(servers in servers()) {
        laws::two_nodes_have_one_table(&servers);
    }

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_plan(desired in tables(), observed in tables()) {
        plan_ops::a_plan_arrives(&desired, &observed);
    }

    #[test]
    fn a_plan_between_equal_tables_is_empty(table in tables()) {
        plan_ops::equal_tables_need_no_plan(&table);
    }

    #[test]
    fn no_point_of_a_plan_leaves_a_service_without_servers(
        desired in tables(),
        observed in tables(),
    ) {
        plan_ops::a_plan_never_empties_a_service(&desired, &observed);
    }

    #[test]
    fn what_stays_is_edited_in_place_and_services_go_last(
        desired in tables(),
        observed in tables(),
    ) {
        plan_ops::a_plan_changes_in_place(&desired, &observed);
    }

    #[test]
    fn a_table_beyond_the_data_plane_is_refused_whole(desired in tables(), observed in tables()) {
        plan_ops::what_is_unsupported_is_refused_whole(&desired, &observed);
    }

    #[test]
    fn a_changed_weight_is_one_operation(table in tables(), pick in any::<prop::sample::Index>()) {
        let servers: Vec<_> = table
            .iter()
            .flat_map(|entry| entry.destinations().map(|d| (entry.service().clone(), *d)))
            .collect();
        prop_assume!(!servers.is_empty());
        let (service, destination) = pick.get(&servers).clone();
        let heavier = destination.with_weight(Weight::new(1000).unwrap());
        let key = service.key();
        let mut desired = table.clone();
        desired.insert(service).insert(heavier);
        let ops = plan(&desired, &table, &Capabilities::everything()).unwrap();
        prop_assert_eq!(ops, [Op::EditDestination(key, heavier)]);
    }
}
