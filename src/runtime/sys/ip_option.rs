//! The socket options of IPVS, which are structures behind raw pointers.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `getsockopt` at level `IPPROTO_IP` with an option that reads its question from `value` and writes
/// its answer there. Returns how long the answer is.
///
/// # Errors
/// What the kernel says.
pub(in crate::runtime) fn get_ip_option(
    socket: impl AsFd,
    name: i32,
    value: &mut [u8],
) -> io::Result<usize> {
    let room = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    let mut length = room;
    // SAFETY: `value` is writable for `length` bytes, more than which the kernel does not write, and
    // `length` outlives the call. The descriptor is open for as long as it is borrowed.
    let returned = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            name,
            value.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    check(returned)?;
    usize::try_from(length.min(room)).map_err(io::Error::other)
}

/// `setsockopt` at level `IPPROTO_IP`.
///
/// # Errors
/// What the kernel says.
pub(in crate::runtime) fn set_ip_option(
    socket: impl AsFd,
    name: i32,
    value: &[u8],
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    // SAFETY: `value` is readable for `length` bytes, and the kernel reads no more. The descriptor
    // is open for as long as it is borrowed.
    let returned = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IP,
            name,
            value.as_ptr().cast(),
            length,
        )
    };
    check(returned)
}

fn check(returned: libc::c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
