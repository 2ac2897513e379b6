//! Datagrams of IPv6 with the hop limit they came with (`IPV6_RECVHOPLIMIT`, ipv6(7)).

use std::io;
use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use super::names::Name;

/// Room for one ancillary message with an integer.
#[repr(C, align(8))]
struct Control([u8; 32]);

/// A datagram in the buffer it was received into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) length: usize,
    pub(crate) source: SocketAddr,
    /// Missing if the socket was not told to receive it.
    pub(crate) hops: Option<u8>,
}

/// Receives one datagram into `buffer`; of a longer one, its beginning. Never blocks.
///
/// # Errors
/// The operating system's, `WouldBlock` if nothing is there; `InvalidData` for a datagram without a
/// sender, which raw sockets do not have.
pub(crate) fn receive_with_hops(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut name = Name::default();
    let mut control = Control([0; 32]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: null pointers and zero lengths are valid in it.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = ptr::from_mut(&mut name).cast();
    message.msg_namelen = libc::socklen_t::try_from(Name::SIZE).map_err(io::Error::other)?;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(&mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: every pointer in `message` is to memory of the length beside it, which nobody else
    // uses during the call. The descriptor is open for as long as it is borrowed.
    let received =
        unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let length = usize::try_from(received).map_err(|_negative| io::Error::last_os_error())?;
    let source = name.address().ok_or(io::ErrorKind::InvalidData)?;
    Ok(Received { length, source, hops: hops(&message) })
}

fn hops(message: &libc::msghdr) -> Option<u8> {
    // SAFETY: the kernel has set control and its length to what it wrote there, which the two
    // macros stay within.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(message).as_ref()?;
        let is_hops =
            first.cmsg_level == libc::IPPROTO_IPV6 && first.cmsg_type == libc::IPV6_HOPLIMIT;
        let data = libc::CMSG_DATA(first).cast::<libc::c_int>();
        is_hops.then(|| u8::try_from(data.read_unaligned()).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use socket2::SockRef;

    use super::*;

    #[test]
    fn a_datagram_comes_with_the_hop_limit_it_was_sent_with() {
        let (sender, receiver) = (UdpSocket::bind("[::1]:0"), UdpSocket::bind("[::1]:0"));
        let (sender, receiver) = (sender.unwrap(), receiver.unwrap());
        SockRef::from(&receiver).set_recv_hoplimit_v6(true).unwrap();
        SockRef::from(&sender).set_unicast_hops_v6(253).unwrap();
        let mut buffer = [0; 16];
        let nothing = receive_with_hops(&receiver, &mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        sender.send_to(b"word", receiver.local_addr().unwrap()).unwrap();
        receiver.peek(&mut buffer).unwrap();
        let received = receive_with_hops(&receiver, &mut buffer).unwrap();
        assert_eq!((received.length, received.hops), (4, Some(253)));
        assert_eq!(received.source, sender.local_addr().unwrap());
    }
}
