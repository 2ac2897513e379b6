//! Many datagrams with one system call: recvmmsg(2), sendmmsg(2), `UDP_GRO`, `UDP_SEGMENT`.

use std::io::{self, IoSlice};
use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use super::names::Name;

/// Messages received or sent at a time.
pub(crate) const BATCH: usize = 32;

/// Room for the largest UDP payload there is, or for as much as `UDP_GRO` puts together.
const ROOM: usize = 64 * 1024;

/// The size of what `UDP_SEGMENT` takes, a `u16`.
const SEGMENT_SIZE: libc::c_uint = 2;

/// Room for one ancillary message with an integer.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control {
    bytes: [u8; 32],
}

/// Where datagrams are received. Its memory is the process's once it has been written to: 4 KiB
/// for each of the places with small datagrams, 2 MiB at most.
pub(crate) struct Inbox {
    buffer: Box<[u8]>,
    arrivals: Vec<Arrival>,
}

/// One message received: a datagram, or several of one sender that the kernel has put together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    from: Option<SocketAddr>,
    length: usize,
    segment: usize,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; BATCH * ROOM].into_boxed_slice(),
            arrivals: Vec::with_capacity(BATCH),
        }
    }

    /// Receives what there is, [`BATCH`] messages at most, in place of what was there. Fewer mean
    /// that the socket is empty. Never blocks.
    ///
    /// # Errors
    /// The operating system's, `WouldBlock` if nothing is there; an error from the network that is
    /// pending on a connected socket.
    pub(crate) fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.arrivals.clear();
        let mut names = [Name::default(); BATCH];
        let mut controls = [Control { bytes: [0; 32] }; BATCH];
        // SAFETY: null pointers and zero lengths are valid in both.
        let mut parts: [libc::iovec; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for (index, room) in self.buffer.chunks_exact_mut(ROOM).enumerate() {
            parts[index].iov_base = room.as_mut_ptr().cast();
            parts[index].iov_len = room.len();
            let header = &mut messages[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut names[index]).cast();
            header.msg_namelen = length_of(Name::SIZE);
            header.msg_iov = &raw mut parts[index];
            header.msg_iovlen = 1;
            header.msg_control = ptr::from_mut(&mut controls[index]).cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
        // SAFETY: every pointer in `messages` is to memory of the length beside it, which nobody
        // else uses during the call; `messages` has BATCH entries.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                messages.as_mut_ptr(),
                count_of(BATCH),
                // Unsigned in musl.
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_negative| io::Error::last_os_error())?;
        for (message, name) in messages.iter().zip(&names).take(received) {
            let length = usize::try_from(message.msg_len).unwrap_or(ROOM).min(ROOM);
            let from = if message.msg_hdr.msg_namelen > 0 { name.address() } else { None };
            let segment = coalesced(&message.msg_hdr).unwrap_or(length);
            self.arrivals.push(Arrival { from, length, segment });
        }
        Ok(received)
    }

    /// What has been received, by the number of the message: the sender, if it has one, and the
    /// datagrams.
    pub(crate) fn sender(&self, index: usize) -> Option<SocketAddr> {
        self.arrivals.get(index)?.from
    }

    /// The bytes of a message, and the size of the datagrams in it; the last may be shorter.
    pub(crate) fn payload(&self, index: usize) -> (&[u8], usize) {
        let Some(Arrival { length, segment, .. }) = self.arrivals.get(index) else {
            return (&[], 0);
        };
        (&self.buffer[index * ROOM..][..*length], *segment)
    }
}

/// What `UDP_GRO` says about a message: the size of the datagrams in it.
fn coalesced(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel has set control and its length to what it wrote there, which the two
    // macros stay within.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(header).as_ref()?;
        let is_size = first.cmsg_level == libc::SOL_UDP && first.cmsg_type == libc::UDP_GRO;
        let data = libc::CMSG_DATA(first).cast::<libc::c_int>();
        is_size.then(|| usize::try_from(data.read_unaligned()).ok()).flatten()
    }
}

/// Datagrams that leave together: each of `segment` bytes, but for the last, which may be shorter.
/// One that is alone says 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Train<'a> {
    pub(crate) parts: &'a [IoSlice<'a>],
    pub(crate) segment: u16,
}

/// Sends trains, [`BATCH`] at most, `to` an address or to where the socket is connected. Never
/// blocks. Returns how many have left, in order; the next one's problem is the next call's error.
///
/// # Errors
/// The operating system's about the first train, none of which has left.
pub(crate) fn send_trains(
    socket: impl AsFd,
    to: Option<SocketAddr>,
    trains: &[Train<'_>],
) -> io::Result<usize> {
    let mut name = to.map(Name::of);
    let name = name.as_mut().map(|(name, length)| (ptr::from_mut(name), length_of(*length)));
    let mut controls = [Control { bytes: [0; 32] }; BATCH];
    // SAFETY: null pointers and zero lengths are valid.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
    let all = messages.iter_mut().zip(&mut controls).zip(trains);
    let mut count = 0;
    for ((message, control), train) in all {
        let header = &mut message.msg_hdr;
        if let Some((name, length)) = name {
            header.msg_name = name.cast();
            header.msg_namelen = length;
        }
        // `IoSlice` is the kernel's iovec, as its documentation promises; the kernel only reads.
        header.msg_iov = train.parts.as_ptr().cast_mut().cast();
        header.msg_iovlen = train.parts.len() as _;
        if train.segment > 0 {
            segmented(header, control, train.segment);
        }
        count += 1;
    }
    // SAFETY: every pointer in the first `count` messages is to memory that lives for the call
    // and has the length beside it.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_fd().as_raw_fd(),
            messages.as_mut_ptr(),
            count_of(count),
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    usize::try_from(sent).map_err(|_negative| io::Error::last_os_error())
}

/// Has the kernel cut the message into datagrams of `size` bytes.
fn segmented(header: &mut libc::msghdr, control: &mut Control, size: u16) {
    header.msg_control = ptr::from_mut(control).cast();
    // SAFETY: `control` is aligned for a cmsghdr and has room for one with 16 bits of data, which
    // is what its length is set to.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(SEGMENT_SIZE) as _;
        if let Some(first) = libc::CMSG_FIRSTHDR(header).as_mut() {
            first.cmsg_level = libc::SOL_UDP;
            first.cmsg_type = libc::UDP_SEGMENT;
            first.cmsg_len = libc::CMSG_LEN(SEGMENT_SIZE) as _;
            libc::CMSG_DATA(first).cast::<u16>().write_unaligned(size);
        }
    }
}

/// Lets the kernel put datagrams of one sender together (`UDP_GRO`, Linux 5.0).
///
/// # Errors
/// The operating system's; then each comes alone.
pub(crate) fn accept_coalesced(socket: impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an integer, and so is what the pointer is to.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            ptr::from_ref(&on).cast(),
            length_of(size_of::<libc::c_int>()),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Datagrams that the kernel has thrown away since the socket was made because its receive buffer
/// was full (`SO_MEMINFO`, Linux 4.12). Wraps around.
///
/// # Errors
/// The operating system's.
pub(crate) fn overruns(socket: impl AsFd) -> io::Result<u32> {
    /// asm-generic/socket.h; the libc crate does not have it.
    const SO_MEMINFO: libc::c_int = 55;
    /// The last of the nine values (linux/sock_diag.h): `SK_MEMINFO_DROPS`.
    const DROPS: usize = 8;
    let mut values = [0_u32; DROPS + 1];
    let mut length = length_of(size_of_val(&values));
    // SAFETY: the kernel writes at most `length` bytes, the size of `values`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if done == 0 { Ok(values[DROPS]) } else { Err(io::Error::last_os_error()) }
}

#[expect(clippy::cast_possible_truncation, reason = "sizes of small structures")]
const fn length_of(size: usize) -> libc::socklen_t {
    size as libc::socklen_t
}

#[expect(clippy::cast_possible_truncation, reason = "a batch is small")]
const fn count_of(messages: usize) -> libc::c_uint {
    messages as libc::c_uint
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn every_datagram_is_received_or_counted_as_an_overrun() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        const SENT: usize = 3000;
        for _ in 0..SENT {
            sender.send(&[7; 500]).unwrap();
        }
        let mut inbox = Inbox::new();
        let mut received = 0;
        while let Ok(count) = inbox.receive(&receiver) {
            received += count;
        }
        let lost = usize::try_from(overruns(&receiver).unwrap()).unwrap();
        assert!(lost > 0, "the buffer has room for some hundred");
        assert_eq!(received + lost, SENT);
    }

    #[test]
    fn an_error_says_what_the_operating_system_said() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let nothing = Inbox::new().receive(&socket).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        let parts = [IoSlice::new(b"to nowhere")];
        let unconnected = send_trains(&socket, None, &[Train { parts: &parts, segment: 0 }]);
        assert!(unconnected.is_err());
        assert_eq!(send_trains(&socket, None, &[]).unwrap(), 0);
    }
}
