//! The blocks of the book that need no kernel's IPVS but a machine of their own: rules of nftables, files of real
//! servers, and what is typed beside a pair that runs.

#[path = "../../kernel/book/machine.rs"]
mod machine;
#[allow(dead_code, reason = "shared with the chapters in the kernel's lab, which need more of it")]
#[path = "../../kernel/book/page.rs"]
mod page;
mod rules;
mod running;

use crate::daemon::until as wait_for;
use crate::wire::{Station, sh};

/// The block of a page that has these words.
fn block(page: &str, words: &str) -> String {
    let found = page::read(page).into_iter().find(|block| block.text.contains(words));
    found.unwrap_or_else(|| panic!("{page} has no block with {words:?}")).text
}

/// Types a script at a station; it ends at the first command that fails.
fn typed(station: &Station, script: &str) -> String {
    sh(&format!("ip netns exec {} sh -e <<'END'\n{script}\nEND", station.name))
}

/// Puts rules of nftables in force on a station.
fn filter(station: &Station, rules: &str) {
    typed(station, &format!("nft -f - <<'RULES'\n{rules}\nRULES"));
}
