//! docs/metrics.md, made from the table of metrics.

use std::fmt::Write;

use super::families;

const HEAD: &str = include_str!("document.md");

/// The page about metrics: what there is to say, and a table of every one of them.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for family in families() {
        let labels: Vec<_> = family.labels().iter().map(|label| format!("`{label}`")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            family.name(),
            family.kind().name(),
            labels.join(", "),
            family.help()
        );
    }
    text
}
