//! Any input of a restore.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/ipvsadm/round_trip.rs"]
mod round_trip;
#[path = "../../tests/ipvsadm/shared.rs"]
mod shared;

fuzz_target!(|input: &[u8]| round_trip::a_checked_restore_is_all_or_nothing(input));
