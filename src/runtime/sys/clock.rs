//! The state of the clock.

use std::io;

/// Whether something keeps the clock of this machine right (`STA_UNSYNC` of adjtimex(2)).
///
/// # Errors
/// What the kernel says.
pub(in crate::runtime) fn is_clock_synchronised() -> io::Result<bool> {
    // SAFETY: an all-zero `timex` is one: `modes` is 0, which changes nothing.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is writable and outlives the call.
    let code = unsafe { libc::adjtimex(&raw mut state) };
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(state.status & libc::STA_UNSYNC == 0)
}
