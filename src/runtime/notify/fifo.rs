//! Named pipes that get keepalived's lines.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, mknodat, open};
use rustix::io::Errno;

use crate::runtime::checks::account::{self, Account};

/// For the owner alone.
const OWN: Mode = Mode::RUSR.union(Mode::WUSR);
/// For the owner and the group of `notify_user`.
const SHARED: Mode = OWN.union(Mode::RGRP).union(Mode::WGRP);

/// A pipe that is open to write, whether or not somebody reads.
#[derive(Debug)]
pub(super) struct Fifo {
    path: PathBuf,
    pipe: File,
    dropped: u64,
}

impl Fifo {
    /// Opens the pipe at `path` and makes it if there is none: for its owner alone, or also for
    /// the group of `user`.
    ///
    /// # Errors
    /// Why it cannot be used, in words.
    pub(super) fn open(path: &Path, user: Option<&str>) -> Result<Self, String> {
        let account = user.map(account::find).transpose().map_err(|error| error.to_string())?;
        let failed = |error: Errno| format!("{}: {error}", path.display());
        make(path, account).map_err(failed)?;
        // Open to read as well, a pipe takes lines before somebody reads and after they stopped.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let pipe = File::from(open(path, flags, Mode::empty()).map_err(failed)?);
        if !pipe.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo()) {
            return Err(format!("{}: it is there and no named pipe", path.display()));
        }
        Ok(Self { path: path.to_owned(), pipe, dropped: 0 })
    }

    /// Writes a line, if there is room for it. Lines that find none are counted.
    ///
    /// # Errors
    /// That it was dropped, in words.
    pub(super) fn write(&mut self, line: &str) -> Result<(), String> {
        // Lines are far below PIPE_BUF: they go in whole or not at all, also between those of
        // another process.
        match rustix::io::write(&self.pipe, line.as_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.dropped += 1;
                let Self { path, dropped, .. } = self;
                let reason = match error {
                    Errno::AGAIN => "it is full: nobody reads it".to_owned(),
                    error => error.to_string(),
                };
                Err(format!("{}: {reason} ({dropped} lines dropped)", path.display()))
            }
        }
    }
}

fn make(path: &Path, account: Option<Account>) -> Result<(), Errno> {
    let mode = if account.is_some() { SHARED } else { OWN };
    match mknodat(rustix::fs::CWD, path, FileType::Fifo, mode, 0) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(error) => return Err(error),
    }
    // The mask of this process must not keep the group out.
    rustix::fs::chmod(path, mode)?;
    let group = account.map(|account| account.group);
    let owned = chown(path, None, group);
    owned.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(path: &Path) -> String {
        let mut text = vec![0; 4096];
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let mut reader = File::from(open(path, flags, Mode::empty()).unwrap());
        let length = reader.read(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_pipe_is_made_for_its_owner_and_keeps_lines_until_somebody_reads() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let mut fifo = Fifo::open(&path, None).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fifo.write("INSTANCE \"a\" MASTER 100\n").unwrap();
        fifo.write("INSTANCE \"a\" STOP 100\n").unwrap();
        assert_eq!(read(&path), "INSTANCE \"a\" MASTER 100\nINSTANCE \"a\" STOP 100\n");
    }

    #[test]
    fn a_pipe_that_nobody_reads_drops_and_counts_and_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let mut fifo = Fifo::open(&path, None).unwrap();
        let line = "RS [192.0.2.1]:tcp:80 [192.0.2.80]:tcp:80 DOWN\n";
        let refused = (0..100_000).find_map(|_| fifo.write(line).err());
        assert!(refused.unwrap().contains("(1 lines dropped)"));
        assert!(fifo.write(line).unwrap_err().contains("(2 lines dropped)"));
        assert!(read(&path).starts_with(line));
        fifo.write(line).unwrap();
    }

    #[test]
    fn what_is_no_pipe_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "kept").unwrap();
        assert!(Fifo::open(&path, None).unwrap_err().contains("no named pipe"));
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(Fifo::open(&link, None).is_err());
    }
}
