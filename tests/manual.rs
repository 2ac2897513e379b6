//! lvs.cf(5) as it is committed.
//!
//! `UPDATE=1 cargo test --test manual` writes it anew, after a change of the table of directives.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may read files")]

use std::path::Path;

#[test]
fn the_manual_page_is_made_from_the_table_of_directives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man/lvs.cf.5");
    let page = piranha::config::manual();
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "run UPDATE=1 cargo test --test manual");
}
