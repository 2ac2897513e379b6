//! Addresses of links.

use socket2::{SockAddr, SockAddrStorage};

#[expect(clippy::cast_possible_truncation, reason = "the system's constant, in the field's type")]
const PACKET: libc::sa_family_t = libc::AF_PACKET as libc::sa_family_t;
#[expect(clippy::cast_possible_truncation, reason = "twenty bytes")]
const LENGTH: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;

/// The address of a link, for a packet socket to send to. The frame itself says to whom.
pub(in crate::runtime) fn link_address(index: u32) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is one of the socket addresses, so it fits into the storage, which has
    // the alignment for any of them, and every pattern of bits, zeros among them, is a valid one.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = PACKET;
    address.sll_ifindex = index.cast_signed();
    // SAFETY: the storage holds an initialised `sockaddr_ll`, whose length this is.
    unsafe { SockAddr::new(storage, LENGTH) }
}
