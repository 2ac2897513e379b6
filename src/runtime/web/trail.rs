//! The audit trail: JSON lines that are only ever added to.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::store::private;
use crate::web::audit::Entry;

/// From this size on a file is put away and the next begun.
const FULL: u64 = 8 << 20;

/// Files that were put away and are kept.
const KEPT: u32 = 4;

/// Writes and reads the audit trail in a directory.
#[derive(Debug)]
pub(super) struct Trail {
    path: PathBuf,
    file: Mutex<File>,
}

impl Trail {
    /// Goes on with the trail in `directory`.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join("audit.jsonl");
        let file = Mutex::new(append(&path)?);
        Ok(Self { path, file })
    }

    /// Adds a line.
    pub(super) fn add(&self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.metadata()?.len() >= FULL {
            self.put_away()?;
            *file = append(&self.path)?;
        }
        file.write_all(&line)
    }

    /// The last `most` entries, the latest first. Lines that are none are left out.
    pub(super) fn last(&self, most: usize) -> io::Result<Vec<Entry>> {
        let mut entries = VecDeque::new();
        for path in [self.old(1), self.path.clone()] {
            let file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            for line in BufReader::new(file).lines() {
                entries.extend(serde_json::from_str(&line?).ok());
                if entries.len() > most {
                    entries.pop_front();
                }
            }
        }
        Ok(entries.into_iter().rev().collect())
    }

    fn put_away(&self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            match fs::rename(self.old(number), self.old(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.old(1))
    }

    fn old(&self, number: u32) -> PathBuf {
        self.path.with_extension(format!("jsonl.{number}"))
    }
}

fn append(path: &Path) -> io::Result<File> {
    private().append(true).create(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::control::Timestamp;

    fn entry(request: u64) -> Entry {
        Entry {
            at: Timestamp(request),
            node: "lb1".to_owned(),
            actor: "alice".to_owned(),
            source: "192.0.2.9".to_owned(),
            action: "server.drain".to_owned(),
            target: Some("web/s1".to_owned()),
            reason: None,
            change: serde_json::Value::Null,
            result: "done".to_owned(),
            request,
        }
    }

    #[test]
    fn the_last_entries_come_back_latest_first_over_a_rotation_and_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let trail = Trail::open(directory.path()).unwrap();
        trail.add(&entry(1)).unwrap();
        File::options().write(true).open(&trail.path).unwrap().set_len(FULL).unwrap();
        trail.add(&entry(2)).unwrap();
        let trail = Trail::open(directory.path()).unwrap();
        trail.add(&entry(3)).unwrap();
        let numbers = |most| -> Vec<_> {
            trail.last(most).unwrap().iter().map(|entry| entry.request).collect()
        };
        assert_eq!(numbers(2), [3, 2]);
        let mode = fs::metadata(&trail.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(trail.old(1).exists());
    }
}
