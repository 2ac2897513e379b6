//! What no safe interface offers: the only place for `unsafe`.
#![allow(unsafe_code, reason = "the one place for it; see each SAFETY comment")]

use socket2::{SockAddr, SockAddrStorage};

#[expect(
    clippy::cast_possible_truncation,
    reason = "17 and 20, in the types the kernel has them in"
)]
const FAMILY_AND_LENGTH: (libc::sa_family_t, libc::socklen_t) =
    (libc::AF_PACKET as libc::sa_family_t, size_of::<libc::sockaddr_ll>() as libc::socklen_t);

/// The address of a link, for a packet socket to send to. The frame itself says to whom.
pub(super) fn link_address(index: u32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is one of the socket addresses, so it fits into the storage, which has
    // the alignment for any of them, and every pattern of bits, zeros among them, is a valid one.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    let (family, length) = FAMILY_AND_LENGTH;
    address.sll_family = family;
    address.sll_ifindex = index.cast_signed();
    // SAFETY: the storage holds an initialised `sockaddr_ll`, whose length this is.
    unsafe { SockAddr::new(storage, length) }
}
