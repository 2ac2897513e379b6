//! Files as results.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::cli::Failure;
use crate::cli::piranha::print;

/// Writes to `path`, or to standard output without one. A file that is there is only replaced
/// with `force`.
pub(super) fn deliver(path: Option<&Path>, force: bool, bytes: &[u8]) -> Result<(), Failure> {
    match path {
        None => print(bytes),
        Some(path) if force => replace(path, bytes),
        Some(path) => create(path, bytes),
    }
}

/// Writes a file that may be there.
#[allow(clippy::disallowed_methods, reason = "a program's command line, not the pure core")]
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| cannot_write(path, &error.to_string()))
}

fn create(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    match file.and_then(|mut file| file.write_all(bytes)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(cannot_write(path, "it is there already; --force replaces it"))
        }
        Err(error) => Err(cannot_write(path, &error.to_string())),
    }
}

fn cannot_write(path: &Path, reason: &str) -> Failure {
    Failure::new(format!("cannot write {}: {reason}", path.display()))
}
