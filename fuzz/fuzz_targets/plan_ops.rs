//! Plans between any two tables, carried out in memory.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/plan_ops.rs"]
mod plan_ops;

fuzz_target!(|rows: (Vec<plan_ops::Row>, Vec<plan_ops::Row>)| {
    let (desired, observed) = (plan_ops::table(&rows.0), plan_ops::table(&rows.1));
    plan_ops::a_plan_arrives(&desired, &observed);
    plan_ops::equal_tables_need_no_plan(&desired);
    plan_ops::a_plan_never_empties_a_service(&desired, &observed);
    plan_ops::a_plan_changes_in_place(&desired, &observed);
    plan_ops::what_is_unsupported_is_refused_whole(&desired, &observed);
});
