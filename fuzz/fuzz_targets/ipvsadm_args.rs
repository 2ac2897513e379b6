//! Any command line of ipvsadm.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/ipvsadm/round_trip.rs"]
mod round_trip;
#[path = "../../tests/ipvsadm/shared.rs"]
mod shared;

fuzz_target!(|text: &str| {
    let words: Vec<String> = text.split('\n').map(str::to_owned).collect();
    round_trip::what_is_understood_can_be_written(&words);
});
