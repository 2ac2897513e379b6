//! Files as results.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::cli::Failure;
use crate::cli::piranha::print;
use crate::runtime::configuration::{self, WriteError};

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
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    match configuration::open(path) {
        Ok(mut original) => Ok(original.replace(bytes)?),
        Err(WriteError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            create(path, bytes)
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes a file that is not there, all of it or none.
#[allow(clippy::disallowed_methods, reason = "a program's command line, not the pure core")]
fn create(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(cannot_write(path, "it is there already; --force replaces it"));
        }
        Err(error) => return Err(cannot_write(path, &error.to_string())),
    };
    fill(file, path, bytes).map_err(|error| {
        // Half a file must not be taken for a whole one; it was not there before.
        let _gone = std::fs::remove_file(path);
        cannot_write(path, &error.to_string())
    })
}

/// Writes, and waits until the file and its name are on the disk.
#[allow(clippy::disallowed_methods, reason = "a program's command line, not the pure core")]
fn fill(mut file: File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn cannot_write(path: &Path, reason: &str) -> Failure {
    Failure::new(format!("cannot write {}: {reason}", path.display()))
}
