//! Any sequence of operations on a pool, against a model that only counts and picks by plain rules;
//! and the laws of the schedulers for any servers.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/laws.rs"]
mod laws;
#[path = "../../tests/properties/pool_ops.rs"]
mod pool_ops;
#[path = "../../tests/properties/rules.rs"]
mod rules;

fuzz_target!(|input: (Vec<pool_ops::Step>, Vec<laws::Row>)| {
    let (script, servers) = input;
    pool_ops::check(&script);
    laws::all(&servers[..servers.len().min(40)]);
});
