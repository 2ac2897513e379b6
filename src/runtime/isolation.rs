//! What keeps heartbeats on time on a machine that is short of memory or of processors.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::mm::MlockAllFlags;

use super::sys;
use crate::control::Event;

/// Above every ordinary thread, and below those a system sets apart for itself: watchdogs, and the
/// kernel's own at 50.
pub(super) const PRIORITY: i32 = 10;

/// Keeps the pages this process has touched in memory, and puts the calling thread above ordinary
/// ones. Both take privilege (`CAP_IPC_LOCK`, `CAP_SYS_NICE`) or limits that allow it (memlock,
/// rtprio); the event says what was granted.
///
/// Pages are locked as they are touched, so that room a process has only reserved costs nothing.
#[must_use]
pub fn isolate() -> Event {
    ISOLATED.store(true, Ordering::Relaxed);
    let touched = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    Event::Isolation {
        memory_locked: rustix::mm::mlockall(touched).is_ok(),
        realtime: raise_priority(),
    }
}

/// Whether this process asked for isolation.
static ISOLATED: AtomicBool = AtomicBool::new(false);

/// Puts the calling thread above ordinary ones if [`isolate`] was called in this process.
pub(super) fn follow() {
    if ISOLATED.load(Ordering::Relaxed) {
        raise_priority();
    }
}

/// Puts the calling thread above ordinary ones, and says whether that was granted. What it starts
/// later is ordinary again.
pub(super) fn raise_priority() -> bool {
    sys::set_realtime(PRIORITY).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy is field 41 of stat(5), counted from 1; 2 is `SCHED_RR`.
    fn policy_of_this_thread() -> String {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let behind_the_name = stat.rsplit(')').next().unwrap().to_owned();
        behind_the_name.split_whitespace().nth(38).unwrap().to_owned()
    }

    #[test]
    fn a_raised_thread_is_ahead_of_others_and_what_it_starts_is_not() {
        std::thread::spawn(|| {
            let raised = raise_priority();
            assert_eq!(policy_of_this_thread(), if raised { "2" } else { "0" });
            let started = std::thread::spawn(policy_of_this_thread).join().unwrap();
            assert_eq!(started, "0");
        })
        .join()
        .unwrap();
    }
}
