//! Pipes for splicing: bytes that go from socket to socket without being copied.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// What a pipe holds by default (pipe(7)).
const NARROW: usize = 64 * 1024;

/// What a pipe may hold at most without privilege (`pipe-max-size`). The wider, the fewer wake-ups
/// of both ends for each gigabyte.
const WIDE: usize = 1024 * 1024;

/// Wide pipes of all workers together, and narrow ones. An unprivileged user's pipes may hold
/// 16,384 pages together (`pipe-user-pages-soft`); these hold 15,360. Connections beyond the bound
/// are copied.
const MOST_WIDE: usize = 32;
const MOST_NARROW: usize = 448;

/// Unused pipes of a kind kept for the next connection.
const MAX_SPARE: usize = 16;

/// A pipe and how much is in it.
pub(super) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    capacity: usize,
    filled: usize,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Wide,
    Narrow,
}

impl Pipe {
    fn new(kind: Kind) -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let capacity = match kind {
            // Another program of the same user may have used up what pipes may hold.
            Kind::Wide => fcntl_setpipe_size(&writer, WIDE).unwrap_or(NARROW),
            Kind::Narrow => NARROW,
        };
        Ok(Self { reader, writer, capacity, filled: 0, kind })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Moves what the socket has into the pipe, which must be empty; 0 at the end of the stream.
    pub(super) fn fill(&mut self, from: impl AsFd) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let count = splice(from, None, &self.writer, None, self.capacity, flags)?;
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
pub(super) struct Pipes {
    wide: Stock,
    narrow: Stock,
}

/// Pipes of one kind.
struct Stock {
    kind: Kind,
    most: usize,
    /// Those in use and the spare ones.
    made: usize,
    spare: Vec<Pipe>,
}

impl Pipes {
    /// One worker's share among `workers`.
    pub(super) const fn new(workers: usize) -> Self {
        Self {
            wide: Stock::new(Kind::Wide, MOST_WIDE.div_ceil(workers)),
            narrow: Stock::new(Kind::Narrow, MOST_NARROW.div_ceil(workers)),
        }
    }

    /// A pipe, if one may be had.
    pub(super) fn take(&mut self) -> Option<Pipe> {
        self.wide.take().or_else(|| self.narrow.take())
    }

    /// Takes a pipe back. One that is not empty is closed with what is in it.
    pub(super) fn give_back(&mut self, pipe: Pipe) {
        match pipe.kind {
            Kind::Wide => self.wide.give_back(pipe),
            Kind::Narrow => self.narrow.give_back(pipe),
        }
    }
}

impl Stock {
    const fn new(kind: Kind, most: usize) -> Self {
        Self { kind, most, made: 0, spare: Vec::new() }
    }

    fn take(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.spare.pop() {
            return Some(pipe);
        }
        if self.made >= self.most {
            return None;
        }
        let pipe = Pipe::new(self.kind).ok()?;
        self.made += 1;
        Some(pipe)
    }

    fn give_back(&mut self, pipe: Pipe) {
        if pipe.is_empty() && self.spare.len() < MAX_SPARE {
            self.spare.push(pipe);
        } else {
            self.made -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_are_bounded_and_come_back() {
        let mut pipes = Pipes::new(MOST_WIDE);
        let taken: Vec<_> = std::iter::from_fn(|| pipes.take()).collect();
        assert_eq!(taken.len(), 1 + MOST_NARROW / MOST_WIDE);
        assert!(pipes.take().is_none());
        let count = taken.len();
        taken.into_iter().for_each(|pipe| pipes.give_back(pipe));
        assert_eq!(std::iter::from_fn(|| pipes.take()).count(), count);
    }
}
