//! File descriptors: each connection takes two.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Descriptors that connections leave to the rest of the process, as a part of all: an eighth.
const RESERVED: usize = 8;

/// How many connections this process has descriptors for at present: two each, with an eighth of
/// the limit left for pipes, listeners, checks and whatever else the program does.
#[must_use]
pub fn descriptor_room() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    (limit - limit / RESERVED) / 2
}

/// Raises the number of file descriptors this process may have to the hard limit. Returns what it
/// is then; `None` stands for no limit. To be called before [`Relay::new`](super::Relay::new) by a
/// program that owns its process.
///
/// # Errors
/// The operating system's; the limit is as before.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum)
}
