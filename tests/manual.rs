//! lvs.cf(5) and docs/metrics.md as they are committed.
//!
//! `UPDATE=1 cargo test --test manual` writes them anew, after a change of the table of directives or
//! of that of metrics.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may read files")]

use std::path::Path;

#[test]
fn the_manual_page_is_made_from_the_table_of_directives() {
    is_committed("docs/man/lvs.cf.5", &piranha::config::manual());
}

#[test]
fn the_page_about_metrics_is_made_from_their_table() {
    is_committed("docs/metrics.md", &piranha::control::metrics::document());
}

fn is_committed(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "run UPDATE=1 cargo test --test manual");
}
