//! Pipes for splicing: bytes that go from socket to socket without being copied.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

/// What a pipe holds by default (pipe(7)).
const CAPACITY: usize = 64 * 1024;

/// Pipes one worker may have in use. An unprivileged user's pipes may hold 16,384 pages together
/// (`pipe-user-pages-soft`), which is 1,024 pipes; connections beyond the bound are copied.
const MAX_IN_USE: usize = 256;

/// Unused pipes kept for the next connection.
const MAX_SPARE: usize = 32;

/// A pipe and how much is in it.
pub(super) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    filled: usize,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { reader, writer, filled: 0 })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Moves what the socket has into the pipe, which must be empty; 0 at the end of the stream.
    pub(super) fn fill(&mut self, from: impl AsFd) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = splice(from, None, &self.writer, None, CAPACITY, flags)?;
        self.filled += count;
        Ok(count)
    }

    /// Moves what the pipe has into the socket, as far as it takes it.
    pub(super) fn empty(&mut self, to: impl AsFd) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = splice(&self.reader, None, to, None, self.filled, flags)?;
        self.filled -= count;
        Ok(count)
    }
}

/// The pipes of one worker.
#[derive(Default)]
pub(super) struct Pipes {
    spare: Vec<Pipe>,
    in_use: usize,
}

impl Pipes {
    /// A pipe, if one may be had.
    pub(super) fn take(&mut self) -> Option<Pipe> {
        if self.in_use >= MAX_IN_USE {
            return None;
        }
        let pipe = self.spare.pop().or_else(|| Pipe::new().ok())?;
        self.in_use += 1;
        Some(pipe)
    }

    /// Takes a pipe back. One that is not empty is closed with what is in it.
    pub(super) fn give_back(&mut self, pipe: Pipe) {
        self.in_use -= 1;
        if pipe.is_empty() && self.spare.len() < MAX_SPARE {
            self.spare.push(pipe);
        }
    }
}
