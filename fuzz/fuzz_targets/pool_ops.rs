//! Any sequence of operations on a pool, against a model that only counts and picks by plain rules.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/properties/pool_ops.rs"]
mod pool_ops;
#[path = "../../tests/properties/rules.rs"]
mod rules;

fuzz_target!(|script: Vec<pool_ops::Step>| pool_ops::check(&script));
