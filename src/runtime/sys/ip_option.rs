//! The socket options of IPVS, which are structures behind raw pointers.

use std::io;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd};

/// The options that are IPVS's (`linux/ip_vs.h`). None of their structures holds a pointer, which
/// those of others do.
const OPTIONS: RangeInclusive<i32> = 1152..=1152 + 15;

/// `getsockopt` at level `IPPROTO_IP` with an option of IPVS, which reads its question from `value`
/// and writes its answer there. Returns how long the answer is.
///
/// # Errors
/// What the kernel says; `InvalidInput` for an option that is not IPVS's.
pub(in crate::runtime) fn get_ipvs_option(
    socket: impl AsFd,
    name: i32,
    value: &mut [u8],
) -> io::Result<usize> {
    let room = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    let mut length = room;
    let name = own(name)?;
    // SAFETY: `value` is writable for `length` bytes, more than which the kernel does not write, and
    // `length` outlives the call. The descriptor is open for as long as it is borrowed. The options
    // of IPVS follow no pointer out of the structure.
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

/// `setsockopt` at level `IPPROTO_IP` with an option of IPVS.
///
/// # Errors
/// What the kernel says; `InvalidInput` for an option that is not IPVS's.
pub(in crate::runtime) fn set_ipvs_option(
    socket: impl AsFd,
    name: i32,
    value: &[u8],
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    let name = own(name)?;
    // SAFETY: `value` is readable for `length` bytes, and the kernel reads no more. The descriptor
    // is open for as long as it is borrowed. The options of IPVS follow no pointer out of the
    // structure.
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

fn own(name: i32) -> io::Result<i32> {
    if OPTIONS.contains(&name) { Ok(name) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn check(returned: libc::c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
