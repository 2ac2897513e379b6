//! What the driver of a link says when it is asked.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `ETHTOOL_GLINK` (`linux/ethtool.h`).
const GET_LINK: u32 = 0x0000_000a;
const SIOCETHTOOL: libc::c_ulong = 0x8946;
/// `linux/sockios.h`.
const SIOCGMIIPHY: libc::c_ulong = 0x8947;
const SIOCGMIIREG: libc::c_ulong = 0x8948;

/// The basic mode status register of a transceiver, and its bit for a link (IEEE 802.3 clause 22).
const STATUS: u16 = 1;
const LINKED: u16 = 0x4;

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    value: u32,
}

/// `struct mii_ioctl_data`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Mii {
    transceiver: u16,
    register: u16,
    value_in: u16,
    value_out: u16,
}

/// The union of `struct ifreq`, as far as it is needed here, with its size.
#[repr(C)]
union Body {
    value: *mut EthtoolValue,
    mii: Mii,
    room: [usize; 3],
}

/// `struct ifreq`.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    body: Body,
}

const _: () = assert!(size_of::<Request>() >= size_of::<libc::ifreq>());

/// Whether the link `name` has a carrier, as its driver finds when it is asked: by ethtool, or
/// where that is not known to it by the registers of its transceiver (MII, which needs
/// `CAP_NET_ADMIN`). `None` if the driver knows neither. `socket` may be any.
///
/// # Errors
/// What the kernel says, `ENODEV` for a link that is not there.
pub(in crate::runtime) fn carrier(socket: impl AsFd, name: &str) -> io::Result<Option<bool>> {
    match by_ethtool(&socket, name) {
        Err(error) if is_unknown(&error) => {}
        answer => return answer.map(Some),
    }
    match by_mii(&socket, name) {
        Err(error) if is_unknown(&error) => Ok(None),
        answer => answer.map(Some),
    }
}

fn by_ethtool(socket: &impl AsFd, name: &str) -> io::Result<bool> {
    let mut value = EthtoolValue { command: GET_LINK, value: 0 };
    let mut request = Request { name: padded(name)?, body: Body { value: &raw mut value } };
    call(socket, SIOCETHTOOL, &mut request)?;
    Ok(value.value != 0)
}

fn by_mii(socket: &impl AsFd, name: &str) -> io::Result<bool> {
    let mut request = Request { name: padded(name)?, body: Body { room: [0; 3] } };
    request.body.mii = Mii::default();
    call(socket, SIOCGMIIPHY, &mut request)?;
    // SAFETY: every pattern of bits is a `Mii`, and the union is initialised throughout.
    let mut mii = unsafe { request.body.mii };
    mii.register = STATUS;
    request.body.mii = mii;
    call(socket, SIOCGMIIREG, &mut request)?;
    // SAFETY: as above.
    Ok(unsafe { request.body.mii }.value_out & LINKED != 0)
}

fn call(socket: &impl AsFd, number: libc::c_ulong, request: &mut Request) -> io::Result<()> {
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the request is a whole `ifreq` that outlives the call, and so does what it points to
    // for `SIOCETHTOOL`; the kernel writes within both.
    #[allow(clippy::useless_conversion, reason = "other C libraries number requests in i32")]
    let code = unsafe { libc::ioctl(socket, number as _, std::ptr::from_mut(request)) };
    if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn padded(name: &str) -> io::Result<[u8; libc::IFNAMSIZ]> {
    let mut padded = [0; libc::IFNAMSIZ];
    // The last byte stays a NUL.
    let place = padded[..libc::IFNAMSIZ - 1].get_mut(..name.len());
    place.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(name.as_bytes());
    Ok(padded)
}

/// Whether a driver has no such call, or no transceiver to ask.
fn is_unknown(error: &io::Error) -> bool {
    let unknown = [libc::EOPNOTSUPP, libc::ENOTTY, libc::EINVAL, libc::EPERM, libc::EIO];
    error.raw_os_error().is_some_and(|number| unknown.contains(&number))
}
