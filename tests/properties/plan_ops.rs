//! Plans between any two tables, carried out in memory.
//!
//! One property for each law, run by proptest (`tests/properties/main.rs`) and by the fuzzer
//! (`fuzz/fuzz_targets/plan_ops.rs`). They take plain numbers, which both can make and shrink.

#![allow(clippy::expect_used, reason = "a property fails by a panic")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use piranha::ipvs::memory::Memory;
use piranha::ipvs::{
    Capabilities, Destination, Entry, Forwarding, Method, Op, Persistence, Service, ServiceKey,
    Table, Thresholds, plan,
};
use piranha::net::{Family, FirewallMark, Weight};

/// Which service, which server of it, and two numbers for their settings. Later rows change what
/// earlier ones made.
pub(crate) type Row = (u8, u8, u8, u8);

/// The table that `rows` describe.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    for &row in rows {
        let entry = table.insert(service(row));
        // One row in eight is a service without a server of its own.
        if row.1 % 8 != 0 {
            entry.insert(destination(row));
        }
    }
    table
}

/// Carrying a plan out arrives at the table it was made for, and nothing is left to plan.
pub(crate) fn a_plan_arrives(desired: &Table, observed: &Table) {
    let mut memory = Memory::with_table(Capabilities::everything(), observed.clone());
    for op in plan_of(desired, observed) {
        memory.apply_op(&op).expect("a plan fits the table it was made from");
    }
    assert_eq!(memory.table(), desired);
    assert_eq!(plan_of(desired, memory.table()), []);
}

/// A table is its own plan's end.
pub(crate) fn equal_tables_need_no_plan(table: &Table) {
    assert_eq!(plan_of(table, table), []);
}

/// At no point on the way is a service without servers that has some before and after; and none
/// without weight that has some before and after.
pub(crate) fn a_plan_never_empties_a_service(desired: &Table, observed: &Table) {
    let mut memory = Memory::with_table(Capabilities::everything(), observed.clone());
    for op in plan_of(desired, observed) {
        memory.apply_op(&op).expect("a plan fits the table it was made from");
        for law in [count, count_weighted] {
            for entry in memory.table().iter() {
                let key = entry.service().key();
                let throughout = [observed, desired].map(|t| t.get(&key).map_or(0, law));
                if !throughout.contains(&0) {
                    assert_ne!(law(entry), 0, "{key} is empty after {op:?}");
                }
            }
        }
    }
}

/// What is in both tables is edited in place, at most once, and services go last.
pub(crate) fn a_plan_changes_in_place(desired: &Table, observed: &Table) {
    let ops = plan_of(desired, observed);
    let first_removal = ops.iter().position(|op| matches!(op, Op::RemoveService(_)));
    let tail = &ops[first_removal.unwrap_or(ops.len())..];
    assert!(tail.iter().all(|op| matches!(op, Op::RemoveService(_))));
    for op in &ops {
        let in_both = desired.get(&op.service()).is_some() && observed.get(&op.service()).is_some();
        assert!(!in_both || !matches!(op, Op::AddService(_) | Op::RemoveService(_)));
    }
    let mut targets: Vec<_> = ops.iter().map(target).collect();
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), ops.len(), "two operations for one entry");
}

/// A data plane that cannot carry a table gets no part of it.
pub(crate) fn what_is_unsupported_is_refused_whole(desired: &Table, observed: &Table) {
    let mut capabilities = Capabilities::everything();
    capabilities.forwarding = vec![Method::Nat];
    capabilities.marks = false;
    let supported = |entry: &Entry| {
        let only_nat = entry.destinations().all(|d| d.forwarding() == Forwarding::Nat);
        only_nat && matches!(entry.service().key(), ServiceKey::Address { .. })
    };
    let fits = desired.iter().all(supported);
    assert_eq!(plan(desired, observed, &capabilities).is_ok(), fits);
}

fn plan_of(desired: &Table, observed: &Table) -> Vec<Op> {
    plan(desired, observed, &Capabilities::everything()).expect("everything is supported")
}

fn count(entry: &Entry) -> usize {
    entry.destinations().len()
}

fn count_weighted(entry: &Entry) -> usize {
    let weighted = entry.destinations().filter(|d| !d.weight().is_quiesced());
    weighted.count()
}

fn target(op: &Op) -> (ServiceKey, Option<SocketAddr>) {
    let address = match op {
        Op::AddDestination(_, d) | Op::EditDestination(_, d) => Some(d.address()),
        Op::RemoveDestination(_, address) => Some(*address),
        _ => None,
    };
    (op.service(), address)
}

fn service((which, _, a, b): Row) -> Service {
    let key = key(which % 6);
    let scheduler = ["wlc", "rr", "mh"][usize::from(a % 3)];
    let service = Service::new(key).with_scheduler(scheduler.parse().expect("a name"));
    match Persistence::new(Duration::from_secs(u64::from(b % 4))) {
        Ok(persistence) => service.with_persistence(persistence),
        Err(_) => service,
    }
}

fn key(which: u8) -> ServiceKey {
    let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 80), 80 + u16::from(which / 3)));
    match which % 3 {
        0 => ServiceKey::tcp(address),
        1 => ServiceKey::udp(address),
        _ => {
            let mark = FirewallMark::new(u32::from(which)).expect("not 0");
            ServiceKey::mark(mark, Family::Ipv4)
        }
    }
}

fn destination((_, which, a, b): Row) -> Destination {
    let forwarding = [Forwarding::Nat, Forwarding::Direct, Forwarding::TUNNEL];
    let upper = u32::from(b >> 6);
    Destination::new(SocketAddr::from((Ipv4Addr::new(10, 0, 0, which % 8), 80)))
        .with_weight(Weight::new(u32::from(a >> 6)).expect("small"))
        .with_forwarding(forwarding[usize::from(a >> 4 & 3) % 3])
        .with_thresholds(Thresholds::new(upper, upper / 2).expect("in order"))
}
