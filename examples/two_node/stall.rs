//! How long the machine itself stood still.
//!
//! On a shared machine every process is now and then not run for a while, and a gap measured by a
//! client contains such pauses. A watchdog that asks to sleep for a millisecond and looks how long
//! it really slept gives the report something to hold against them: "longest gap 31 ms, of which
//! the machine stood still up to 18 ms".

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the watchdog asks for.
const SLEEP: Duration = Duration::from_millis(1);
/// Shorter oversleeping is ordinary timer slack and not written down.
const NOTEWORTHY: Duration = Duration::from_millis(1);
/// Stalls remembered; a machine that has more of them in a run measures nothing anyway.
const STALL_LIMIT: usize = 100_000;

/// A time in which the watchdog should have run and did not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stall {
    /// When the watchdog should have woken.
    from: Instant,
    /// When it did.
    to: Instant,
}

impl Stall {
    /// How much of it lies in the window.
    fn within(self, from: Instant, to: Instant) -> Duration {
        self.to.min(to).saturating_duration_since(self.from.max(from))
    }
}

/// The stalls within a window.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Stalls {
    /// The longest single one.
    pub(crate) longest: Duration,
    /// All of them together.
    pub(crate) total: Duration,
}

/// The watchdog thread; it ends when this is dropped.
pub(crate) struct Watchdog {
    stalls: Arc<Mutex<Vec<Stall>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts watching.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start() -> io::Result<Self> {
        let stalls = Arc::<Mutex<Vec<Stall>>>::default();
        let stop = Arc::<AtomicBool>::default();
        let (noted, stopped) = (Arc::clone(&stalls), Arc::clone(&stop));
        let thread = thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Some(stall) = sleep_once() {
                    note(&mut lock(&noted), stall);
                }
            }
        })?;
        Ok(Self { stalls, stop, thread: Some(thread) })
    }

    /// The stalls between two moments; what lies outside is cut off.
    ///
    /// Both figures are lower bounds of what the machine did to a chain of several processes: the
    /// watchdog runs on one processor at a time and sees only what happened there.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> Stalls {
        sum_up(&lock(&self.stalls), from, to)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to report: a watchdog that panicked only saw fewer stalls.
            let _ = thread.join();
        }
    }
}

fn sleep_once() -> Option<Stall> {
    let due = Instant::now() + SLEEP;
    thread::sleep(SLEEP);
    let now = Instant::now();
    (now.saturating_duration_since(due) >= NOTEWORTHY).then_some(Stall { from: due, to: now })
}

fn note(stalls: &mut Vec<Stall>, stall: Stall) {
    if stalls.len() < STALL_LIMIT {
        stalls.push(stall);
    }
}

fn sum_up(stalls: &[Stall], from: Instant, to: Instant) -> Stalls {
    let parts = stalls.iter().map(|stall| stall.within(from, to));
    parts.fold(Stalls::default(), |sum, part| Stalls {
        longest: sum.longest.max(part),
        total: sum.total + part,
    })
}

fn lock(stalls: &Mutex<Vec<Stall>>) -> MutexGuard<'_, Vec<Stall>> {
    stalls.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn only_the_part_of_a_stall_inside_the_window_counts() {
        let zero = Instant::now();
        let stall = |from: u32, to: u32| Stall { from: zero + from * MS, to: zero + to * MS };
        let stalls = [stall(0, 5), stall(10, 14), stall(30, 50)];
        let sum = |from: u32, to: u32| sum_up(&stalls, zero + from * MS, zero + to * MS);
        assert_eq!(sum(3, 40), Stalls { longest: 10 * MS, total: 16 * MS });
        assert_eq!(sum(15, 30), Stalls::default());
    }

    #[test]
    fn a_watchdog_stops_when_dropped() {
        let watchdog = Watchdog::start().unwrap();
        let now = Instant::now();
        assert_eq!(watchdog.between(now, now), Stalls::default());
        drop(watchdog);
    }
}
