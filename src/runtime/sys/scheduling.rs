//! The scheduling policy of a thread.

use std::io;

/// Puts the calling thread among those with real-time priority, first come first served in turns
/// (`SCHED_RR`); what it starts from now on has the ordinary policy.
///
/// # Errors
/// What the kernel says: `PermissionDenied` without `CAP_SYS_NICE` or a limit `RLIMIT_RTPRIO`.
pub(in crate::runtime) fn set_realtime(priority: i32) -> io::Result<()> {
    // SAFETY: an all-zero `sched_param` is one, whatever further fields a C library gives it.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority;
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the structure is readable and outlives the call; 0 is the calling thread.
    if unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}
