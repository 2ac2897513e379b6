//! Where a director remembers what operators said.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::control::Overrides;

/// What is longer than this was not written here.
const MAX_BYTES: u64 = 64 << 20;

/// A file with what operators say of servers: readable to its owner alone, and whole at every
/// moment.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The file at `path`. Its directory is made when it is first written.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// What was remembered; nothing where there is no file yet.
    ///
    /// # Errors
    /// The file system's, or what is wrong with the file, which is left as it is.
    pub fn read(&self) -> io::Result<Overrides> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Overrides::default());
            }
            opened => opened?,
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Remembers `overrides` and nothing else, on the disk when it returns.
    ///
    /// # Errors
    /// The file system's; what was remembered before still is.
    pub fn write(&self, overrides: &Overrides) -> io::Result<()> {
        write_private(&self.path, &serde_json::to_vec(overrides)?)
    }
}

/// Writes a file that only its owner may read, whole or not at all, on the disk when it returns.
/// Its directory is made where there is none.
pub(in crate::runtime) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let draft = path.with_extension("new");
    let written = fill(&draft, bytes).and_then(|()| fs::rename(&draft, path));
    if let Err(error) = written {
        // On a full disk half a draft is in the way of whatever could still be written.
        let _gone = fs::remove_file(&draft);
        return Err(error);
    }
    File::open(directory)?.sync_all()
}

fn fill(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
    // One that was left over keeps the mode it was made with.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Override, Timestamp, Word};

    #[test]
    fn what_was_written_is_read_in_the_next_life_and_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("state/overrides.json"));
        assert!(store.read().unwrap().is_empty());
        let mut overrides = Overrides::default();
        overrides.set(Override::new("web", "s1", Word::Disable, "ann", Timestamp(1)));
        store.write(&overrides).unwrap();
        assert_eq!(Store::new(store.path.clone()).read().unwrap(), overrides);
        let mode = fs::metadata(&store.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_told_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("overrides.json"));
        fs::write(&store.path, "[{").unwrap();
        assert!(store.read().is_err());
        assert_eq!(fs::read(&store.path).unwrap(), b"[{");
    }
}
