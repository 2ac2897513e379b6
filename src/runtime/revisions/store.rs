//! The files in which revisions are kept.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::control::revisions::{Archive, Pending};
use crate::runtime::configuration::fingerprint;
use crate::runtime::director::write_private;

/// What is longer than this was not written here.
const MAX_BYTES: u64 = 32 << 20;

/// A directory with the revisions of one lvs.cf: `index.json` names them, `HASH.cf` is what one
/// says, and `pending.json` the change that waits to be confirmed. Only their owner may read them,
/// and each is whole at every moment.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// The directory, which is made when something is first written.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The revisions there are; none where there is no index yet.
    ///
    /// # Errors
    /// The file system's, or what is wrong with the index, which is left as it is.
    pub fn archive(&self) -> io::Result<Archive> {
        Ok(self.read_json(&self.index())?.unwrap_or_default())
    }

    /// Writes what a revision with this hash says.
    ///
    /// # Errors
    /// The file system's.
    pub fn keep_text(&self, hash: &str, text: &[u8]) -> io::Result<()> {
        let path = self.text_path(hash);
        if path.exists() { Ok(()) } else { write_private(&path, text) }
    }

    /// Writes which revisions there are, whose texts are there, and lets go of texts that belong to
    /// none.
    ///
    /// # Errors
    /// The file system's; the revisions are those that were there before.
    pub fn write(&self, archive: &Archive) -> io::Result<()> {
        self.write_json(&self.index(), archive)?;
        self.prune(archive);
        Ok(())
    }

    /// What the revision with this hash says.
    ///
    /// # Errors
    /// The file system's, or that the file is damaged.
    pub fn text(&self, hash: &str) -> io::Result<Vec<u8>> {
        let text = read_bounded(&self.text_path(hash))?;
        if fingerprint(&text) == hash {
            return Ok(text);
        }
        let reason = format!("{} is damaged", self.text_path(hash).display());
        Err(io::Error::new(io::ErrorKind::InvalidData, reason))
    }

    /// The change that waits to be confirmed.
    ///
    /// # Errors
    /// The file system's, or what is wrong with the file, which is left as it is.
    pub fn pending(&self) -> io::Result<Option<Pending>> {
        self.read_json(&self.pending_path())
    }

    /// Remembers that a change waits.
    ///
    /// # Errors
    /// The file system's.
    pub fn set_pending(&self, pending: &Pending) -> io::Result<()> {
        self.write_json(&self.pending_path(), pending)
    }

    /// Remembers that none waits. That takes no room on the disk.
    ///
    /// # Errors
    /// The file system's.
    pub fn clear_pending(&self) -> io::Result<()> {
        match fs::remove_file(self.pending_path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => File::open(&self.directory)?.sync_all(),
        }
    }

    /// A text that cannot be removed takes room and does no harm otherwise.
    fn prune(&self, archive: &Archive) {
        let wanted = archive.hashes();
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let is_text = path.extension().is_some_and(|extension| extension == "cf");
            if is_text && !wanted.contains(name) {
                let _in_the_way = fs::remove_file(&path);
            }
        }
    }

    fn read_json<T: DeserializeOwned>(&self, path: &Path) -> io::Result<Option<T>> {
        match read_bounded(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
                let reason = format!("{} is damaged: {error}", path.display());
                io::Error::new(io::ErrorKind::InvalidData, reason)
            }),
        }
    }

    fn write_json(&self, path: &Path, value: &impl Serialize) -> io::Result<()> {
        write_private(path, &serde_json::to_vec(value)?)
    }

    fn index(&self) -> PathBuf {
        self.directory.join("index.json")
    }

    fn pending_path(&self) -> PathBuf {
        self.directory.join("pending.json")
    }

    fn text_path(&self, hash: &str) -> PathBuf {
        self.directory.join(hash).with_extension("cf")
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;
    use crate::control::Timestamp;
    use crate::control::revisions::{Limits, Origin};

    fn record(store: &Store, archive: &mut Archive, text: &[u8]) {
        let hash = fingerprint(text);
        let texts = (hash.as_str(), text.len() as u64);
        archive.record(texts, Timestamp(1), "ann", Origin::Applied, None);
        store.keep_text(&hash, text).unwrap();
        store.write(archive).unwrap();
    }

    #[test]
    fn revisions_are_kept_for_the_next_life_and_their_texts_as_long_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("history"));
        assert_eq!(store.archive().unwrap(), Archive::default());
        let mut archive = Archive::default();
        for text in [&b"one"[..], b"two", b"three"] {
            record(&store, &mut archive, text);
        }
        assert_eq!(store.archive().unwrap(), archive);
        archive.trim(Limits { revisions: 2, bytes: 100 }, &[]);
        store.write(&archive).unwrap();
        assert!(store.text(&fingerprint(b"one")).is_err());
        assert_eq!(store.text(&fingerprint(b"two")).unwrap(), b"two");
        for file in fs::read_dir(directory.path().join("history")).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_waits_is_kept_until_it_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().to_owned());
        assert_eq!(store.pending().unwrap(), None);
        let window = Duration::from_secs(60);
        let pending = Pending::new((1, 2), "ann".to_owned(), Timestamp(5), window);
        store.set_pending(&pending).unwrap();
        assert_eq!(store.pending().unwrap(), Some(pending));
        store.clear_pending().unwrap();
        store.clear_pending().unwrap();
        assert_eq!(store.pending().unwrap(), None);
    }

    #[test]
    fn damaged_files_are_told_and_left_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().to_owned());
        let mut archive = Archive::default();
        record(&store, &mut archive, b"text");
        fs::write(store.text_path(&fingerprint(b"text")), "other").unwrap();
        assert!(store.text(&fingerprint(b"text")).is_err());
        for path in [store.index(), store.pending_path()] {
            fs::write(&path, "{").unwrap();
            assert!(store.archive().is_err() || store.pending().is_err());
            assert_eq!(fs::read(&path).unwrap(), b"{");
        }
    }
}
