//! Noticing that a file is written while it is.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// What the kernel says of a directory is read in pieces of so many bytes, and only that there was
/// something counts.
const PIECE: usize = 4096;

/// A watch on the directory of a file: editors put a new file in the place of the old one.
pub(super) struct Eye(AsyncFd<OwnedFd>);

impl Eye {
    /// Watches the file at `path`, symbolic links followed.
    ///
    /// # Errors
    /// The operating system's, for example when a user has no watches left.
    #[allow(
        deprecated,
        reason = "the successor needs `unsafe` code; the descriptor is open and owned here"
    )]
    pub(super) fn on(path: &Path) -> io::Result<Self> {
        let target = fs::canonicalize(path)?;
        let directory = target.parent().unwrap_or(Path::new("/"));
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let writes = WatchFlags::CLOSE_WRITE | WatchFlags::MODIFY | WatchFlags::MOVED_TO;
        inotify::add_watch(&watch, directory, writes)?;
        AsyncFd::new(watch).map(Self)
    }

    /// Waits until something in the directory was written.
    pub(super) async fn stirred(&self) {
        let Ok(mut ready) = self.0.readable().await else {
            return std::future::pending().await;
        };
        let mut buffer = [0; PIECE];
        while rustix::io::read(&self.0, &mut buffer).is_ok_and(|length| length > 0) {}
        ready.clear_ready();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_written_or_replaced_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lvs.cf");
        fs::write(&path, "one").unwrap();
        let eye = Eye::on(&path).unwrap();
        fs::write(&path, "two").unwrap();
        eye.stirred().await;
        let other = directory.path().join("other");
        fs::write(&other, "three").unwrap();
        eye.stirred().await;
        fs::rename(&other, &path).unwrap();
        eye.stirred().await;
        assert!(Eye::on(&directory.path().join("missing")).is_err());
    }
}
