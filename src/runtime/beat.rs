//! The sign of life of the heartbeat's thread, for those who hold addresses on its word.
//!
//! A process that is stopped, or that hangs, still has its addresses, while its partner takes over.
//! So the thread of the heartbeats writes a byte into a pipe again and again, and the
//! [guard](super::addresses::guard) that reads it removes the addresses when none comes for the
//! dead time. With the byte come the last words of this process, for the guard
//! to say when it is dead. When the thread goes on, whoever holds the addresses here learns of the gap too, and
//! gives the heartbeat time to step down before anything is put back.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::pipe::{PIPE_BUF, PipeFlags, pipe_with};

use super::clock;
use super::last_words::{self, Word};
use crate::time::Instant;

/// The end that beats.
#[derive(Debug)]
pub struct Beat {
    pipe: OwnedFd,
    record: Arc<Record>,
    interval: Duration,
    next: Instant,
    /// What is written, kept for the next time.
    message: Vec<u8>,
}

/// The end that listens. Clones hear the same beats, of which each is heard once.
#[cfg_attr(
    not(feature = "kernel"),
    allow(dead_code, reason = "who listens holds addresses, which takes that feature")
)]
#[derive(Clone, Debug)]
pub struct Listener {
    pipe: Arc<OwnedFd>,
    record: Arc<Record>,
}

#[derive(Debug, Default)]
struct Record {
    /// When the last beat came; 0 before the first.
    last: AtomicU64,
    /// When the last one came that was late by the dead time; 0 if none was.
    resumed: AtomicU64,
    dead_time: AtomicU64,
}

/// Beats in a dead time: one may be late, and the end of them is still noticed in time.
const BEATS: u32 = 4;

/// The longest time between two: last words are to be fresh.
const LONGEST: Duration = Duration::from_millis(500);

/// Both ends.
///
/// # Errors
/// The operating system's.
pub fn pair() -> io::Result<(Beat, Listener)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let record = Arc::new(Record::default());
    let listener = Listener { pipe: Arc::new(read), record: Arc::clone(&record) };
    let message = Vec::with_capacity(PIPE_BUF);
    let beat = Beat { pipe: write, record, interval: Duration::MAX, next: Instant::ZERO, message };
    Ok((beat, listener))
}

impl Beat {
    /// Beats often enough for this dead time from now on.
    pub fn set_dead_time(&mut self, dead_time: Duration) {
        self.interval = (dead_time / BEATS).min(LONGEST);
        self.next = self.next.min(clock::now() + self.interval);
        self.record.dead_time.store(nanos(dead_time), Ordering::Relaxed);
    }

    /// Beats if it is time to. Never blocks.
    pub fn beat(&mut self, now: Instant) {
        self.beat_with(now, std::iter::empty());
    }

    /// Beats if it is time to, and hands over what is to be said should this have been the last
    /// time. Never blocks.
    pub(super) fn beat_with(&mut self, now: Instant, words: impl Iterator<Item = Word>) {
        if now < self.next {
            return;
        }
        self.next = now + self.interval;
        self.record.note(now);
        // Where nobody reads the pipe fills, and there is no one to tell.
        last_words::write(words, &mut self.message);
        let _ = rustix::io::write(&self.pipe, &self.message);
    }

    /// Whether the last beat was so long ago that the addresses are not held on its word any more.
    #[must_use]
    pub fn has_lapsed(&self, now: Instant) -> bool {
        self.record.has_lapsed(now)
    }

    /// When the next beat is due.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.next
    }
}

#[cfg_attr(
    not(feature = "kernel"),
    allow(dead_code, reason = "who listens holds addresses, which takes that feature")
)]
impl Listener {
    /// The pipe that a message ([`last_words::read`]) comes out of for each beat.
    ///
    /// # Errors
    /// The operating system's, when there are no descriptors left.
    pub(super) fn pipe(&self) -> io::Result<OwnedFd> {
        self.pipe.try_clone()
    }

    /// When the beats went on after a gap of the dead time, or now while they are missing.
    pub(super) fn resumed(&self, now: Instant) -> Option<Instant> {
        if self.record.has_lapsed(now) {
            return Some(now);
        }
        let resumed = self.record.resumed.load(Ordering::Acquire);
        (resumed > 0).then(|| Instant::from_nanos(resumed))
    }
}

impl Record {
    fn has_lapsed(&self, now: Instant) -> bool {
        let last = Instant::from_nanos(self.last.load(Ordering::Acquire));
        let dead_time = Duration::from_nanos(self.dead_time.load(Ordering::Relaxed));
        last > Instant::ZERO && now - last > dead_time
    }

    fn note(&self, now: Instant) {
        // The gap first: whoever sees the new beat must see it too.
        if self.has_lapsed(now) {
            self.resumed.store(now.as_nanos(), Ordering::Release);
        }
        self.last.store(now.as_nanos(), Ordering::Release);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_the_dead_time_is_known_while_it_lasts_and_afterwards() {
        let (mut beat, listener) = pair().unwrap();
        beat.set_dead_time(Duration::from_millis(100));
        let at = |millis: u64| Instant::from_millis(1_000_000_000 + millis);
        assert_eq!(listener.resumed(at(0)), None, "nobody has beaten yet");
        for now in [0, 25, 50, 75] {
            beat.beat(at(now));
        }
        assert_eq!(listener.resumed(at(120)), None);
        assert_eq!(listener.resumed(at(176)), Some(at(176)));
        beat.beat(at(300));
        assert_eq!(listener.resumed(at(310)), Some(at(300)));
        let mut bytes = [0; 16];
        let heard = rustix::io::read(listener.pipe().unwrap(), &mut bytes).unwrap();
        assert_eq!(heard, 5, "one for each beat");
    }

    #[test]
    fn a_pipe_that_nobody_reads_holds_nothing_up() {
        let (mut beat, _listener) = pair().unwrap();
        beat.set_dead_time(Duration::ZERO);
        for tick in 1..100_000 {
            beat.beat(Instant::from_nanos(tick));
        }
    }
}
