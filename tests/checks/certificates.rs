//! The certificates of the tests, made by `tls/make`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A certificate or key. Of keys a copy that only its owner may read: git keeps no such modes.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checks/tls").join(name)
}

/// A directory with a file of these contents that nobody but its owner may read.
pub(crate) fn secret(contents: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, contents).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    (directory, path)
}
