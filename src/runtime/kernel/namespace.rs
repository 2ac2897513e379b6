//! Network namespaces: where a socket is made decides which table it reaches.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The network namespace whose IPVS is meant.
#[derive(Clone, Debug, Default)]
pub struct Namespace(Option<Arc<File>>);

impl Namespace {
    /// The one of the calling thread, which is the process's unless somebody moved it.
    #[must_use]
    pub const fn current() -> Self {
        Self(None)
    }

    /// The namespace at `path`: `/run/netns/NAME` as `ip netns` makes them, or `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self(Some(Arc::new(File::open(path)?))))
    }

    /// Runs `work` in the namespace, on a thread that lives no longer; the caller waits and stays
    /// where it is.
    ///
    /// # Errors
    /// The namespace cannot be entered, which takes `CAP_SYS_ADMIN`, or `work` panicked.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let Some(namespace) = &self.0 else {
            return Ok(work());
        };
        let enter = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        };
        thread::scope(|scope| scope.spawn(enter).join())
            .unwrap_or_else(|_| Err(io::Error::other("the work in the namespace panicked")))
    }
}
