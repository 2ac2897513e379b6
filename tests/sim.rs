//! The two directors under every fault the simulator knows (`piranha::sim`).
//!
//! `PIRANHA_SIM_SEEDS=n` sets how many seeds are played (1,000 without it); a failing one prints
//! the command that plays it again.
#![cfg(feature = "sim")]
#![allow(
    clippy::disallowed_methods,
    reason = "the seeds to play come from the environment"
)]

use piranha::sim;

fn seed_from(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(seed_from(&text).unwrap_or_else(|| panic!("{name}={text} is not a number")))
}

#[test]
fn every_seed_keeps_every_promise() {
    let seeds = environment("PIRANHA_SIM_SEEDS").unwrap_or(1000);
    let failures: Vec<_> = (0..seeds).filter_map(|seed| sim::run(seed).err()).collect();
    if let Some(first) = failures.first() {
        let seeds: Vec<_> = failures
            .iter()
            .map(|failure| format!("{:#x} {}", failure.seed, failure.what))
            .collect();
        panic!("{first}\n{} of them failed: {seeds:#?}", failures.len());
    }
}

/// Plays the seed in `PIRANHA_SIM_SEED`, to look at a failure.
#[test]
fn replay() {
    if let Some(seed) = environment("PIRANHA_SIM_SEED") {
        sim::run(seed).unwrap_or_else(|violation| panic!("{violation}"));
    }
}
