//! Which services of the kernel's table are this director's, remembered beyond its own life.
//!
//! The kernel's table has no room for a name of its maker. The services of the configuration are
//! taken for ours in any case; the ledger adds those that an earlier life of this director made
//! and the configuration has dropped since. It lives below `/run`, which is emptied when the
//! kernel's table is: at boot.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ipvs::ServiceKey;
use crate::runtime::director::memory::{directory, file_of};

/// A ledger longer than this is not ours.
const MAX_BYTES: u64 = 64 << 20;

/// The remembered services of the director of one configuration file.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    written: BTreeSet<ServiceKey>,
}

impl Ledger {
    /// The ledger of the director that runs the configuration at `config`.
    pub(super) fn of(config: &Path) -> Self {
        Self::within(&directory(), config)
    }

    fn within(directory: &Path, config: &Path) -> Self {
        Self { path: file_of(directory, config, "services"), written: BTreeSet::new() }
    }

    /// What was remembered. A ledger that cannot be read remembers nothing: what it named is left
    /// in the kernel, where the administrator finds it.
    pub(super) fn read(&mut self) -> BTreeSet<ServiceKey> {
        let fits = fs::metadata(&self.path).is_ok_and(|data| data.len() <= MAX_BYTES);
        let text = fits.then(|| fs::read(&self.path).ok()).flatten().unwrap_or_default();
        self.written = serde_json::from_slice(&text).unwrap_or_default();
        self.written.clone()
    }

    /// Remembers exactly `keys`.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn write(&mut self, keys: BTreeSet<ServiceKey>) -> io::Result<()> {
        if keys == self.written {
            return Ok(());
        }
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        // Whole or not at all, also when the process is killed in between.
        let draft = self.path.with_extension("new");
        fs::write(&draft, serde_json::to_vec(&keys)?)?;
        fs::rename(&draft, &self.path)?;
        self.written = keys;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(ports: &[u16]) -> BTreeSet<ServiceKey> {
        ports.iter().map(|port| ServiceKey::tcp(([192, 0, 2, 80], *port).into())).collect()
    }

    #[test]
    fn what_was_written_is_read_in_the_next_life() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("lvs.cf");
        let mut ledger = Ledger::within(directory.path(), &config);
        assert_eq!(ledger.read(), keys(&[]));
        ledger.write(keys(&[80, 443])).unwrap();
        assert_eq!(Ledger::within(directory.path(), &config).read(), keys(&[80, 443]));
        ledger.write(keys(&[443])).unwrap();
        assert_eq!(Ledger::within(directory.path(), &config).read(), keys(&[443]));
    }

    #[test]
    fn directors_of_two_files_remember_apart() {
        let directory = tempfile::tempdir().unwrap();
        Ledger::within(directory.path(), Path::new("/one")).write(keys(&[80])).unwrap();
        assert_eq!(Ledger::within(directory.path(), Path::new("/two")).read(), keys(&[]));
    }

    #[test]
    fn a_damaged_ledger_remembers_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::within(directory.path(), Path::new("/one"));
        fs::write(&ledger.path, b"[{\"address\":").unwrap();
        assert_eq!(ledger.read(), keys(&[]));
    }
}
