//! Files that hold what is expected.

use std::path::Path;

/// Compares `actual` with what the file at `path` holds, or writes it there if `UPDATE` is set.
pub(crate) fn compare(path: &Path, actual: &str) {
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(expected == actual, "{} differs; now it would be:\n{actual}", path.display());
}
