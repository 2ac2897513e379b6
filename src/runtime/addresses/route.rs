//! Two sockets to the kernel's routing: one to ask, one to listen.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use tokio::io::unix::AsyncFd;

use crate::wire::rtnetlink::{GROUPS, Link, LinkAddress, Message, Request, messages};

/// Requests in one send: if each of them fails, the answers fit into the default receive buffer.
const BATCH: usize = 64;

/// How often a listing that was changed while it was read is begun anew.
const ATTEMPTS: usize = 5;

/// The kernel answers within the send; only a lost answer takes this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Room for the longest datagram the kernel sends; the parts of a listing have up to 32 KiB.
const ROOM: usize = 64 * 1024;

/// Asks. What goes out and what comes in stays in buffers of its own, so that putting an address
/// again asks for no memory.
pub(in crate::runtime) struct Route {
    socket: Socket,
    sequence: u32,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
    outcomes: Vec<i32>,
}

impl Route {
    pub(in crate::runtime) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        set_socket_timeout(socket.as_fd(), Timeout::Recv, Some(PATIENCE))?;
        let inbox = Vec::with_capacity(ROOM);
        Ok(Self { socket, sequence: 0, outbox: Vec::new(), inbox, outcomes: Vec::new() })
    }

    /// Carries out `requests` in order, many in one send, and goes on after one that fails.
    /// Returns what became of each.
    ///
    /// # Errors
    /// The operating system's, when the kernel is out of reach.
    pub(in crate::runtime) fn change(
        &mut self,
        requests: impl IntoIterator<Item = Request>,
    ) -> io::Result<impl Iterator<Item = io::Result<()>>> {
        self.outcomes.clear();
        let mut requests = requests.into_iter();
        loop {
            let (first, count) = self.send(requests.by_ref().take(BATCH))?;
            if count == 0 {
                return Ok(self.outcomes.iter().copied().map(outcome));
            }
            self.await_answers(first, count)?;
        }
    }

    pub(in crate::runtime) fn links(&mut self) -> io::Result<Vec<Link>> {
        self.list(&Request::ListLinks, |message| match message {
            Message::Link(link) => Some(link),
            _ => None,
        })
    }

    pub(in crate::runtime) fn addresses(&mut self) -> io::Result<Vec<LinkAddress>> {
        self.list(&Request::ListAddresses, |message| match message {
            Message::Address(address) => Some(address),
            _ => None,
        })
    }

    /// Collects the answers to `count` requests, which have numbers from `first` on. Those that
    /// fail are answered, and the last one is.
    fn await_answers(&mut self, first: u32, count: u32) -> io::Result<()> {
        let before = self.outcomes.len();
        self.outcomes.resize(before + count as usize, 0);
        loop {
            receive(&self.socket, &mut self.inbox)?;
            for message in messages(&self.inbox) {
                // Anything else answers a request that was given up.
                let Message::Acknowledged { sequence, errno } = message else { continue };
                let place = sequence.wrapping_sub(first);
                if place < count {
                    self.outcomes[before + place as usize] = errno;
                }
                if place == count - 1 {
                    return Ok(());
                }
            }
        }
    }

    fn list<T>(
        &mut self,
        request: &Request,
        pick: impl Fn(Message) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..ATTEMPTS {
            if let Some(found) = self.list_once(request, &pick)? {
                return Ok(found);
            }
        }
        Err(io::Error::other("the kernel's list changed each time it was read"))
    }

    /// `None` if what was read is not the whole.
    fn list_once<T>(
        &mut self,
        request: &Request,
        pick: &impl Fn(Message) -> Option<T>,
    ) -> io::Result<Option<Vec<T>>> {
        let (asked, _one) = self.send(std::iter::once(request.clone()))?;
        let mut found = Vec::new();
        let mut whole = true;
        loop {
            receive(&self.socket, &mut self.inbox)?;
            for message in messages(&self.inbox) {
                match message {
                    Message::Done { sequence } if sequence == asked => {
                        return Ok(whole.then_some(found));
                    }
                    Message::Acknowledged { sequence, errno } if sequence == asked => {
                        return outcome(errno).map(|()| Some(found));
                    }
                    Message::Lost => whole = false,
                    other => found.extend(pick(other)),
                }
            }
        }
    }

    /// Returns the sequence number of the first, and how many there are. Only the last is
    /// acknowledged: an answer for each costs the kernel, and this process, a message.
    fn send(&mut self, requests: impl Iterator<Item = Request>) -> io::Result<(u32, u32)> {
        let first = self.sequence.wrapping_add(1);
        self.outbox.clear();
        let mut requests = requests.peekable();
        while let Some(request) = requests.next() {
            self.sequence = self.sequence.wrapping_add(1);
            match requests.peek() {
                Some(_) => request.encode_quietly(self.sequence, &mut self.outbox),
                None => request.encode(self.sequence, &mut self.outbox),
            }
        }
        if !self.outbox.is_empty() {
            self.socket.send(&self.outbox, 0)?;
        }
        Ok((first, self.sequence.wrapping_sub(first).wrapping_add(1)))
    }
}

/// Listens.
pub(in crate::runtime) struct Monitor {
    socket: AsyncFd<Socket>,
    inbox: Vec<u8>,
}

impl Monitor {
    #[allow(
        deprecated,
        reason = "its successor is unsafe; what that asks for, an open socket, the value gives"
    )]
    pub(in crate::runtime) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, GROUPS))?;
        socket.set_non_blocking(true)?;
        Ok(Self { socket: AsyncFd::new(socket)?, inbox: Vec::with_capacity(ROOM) })
    }

    /// What has changed; `Lost` among it if there was more than could be kept.
    pub(in crate::runtime) async fn next(&mut self) -> io::Result<Vec<Message>> {
        loop {
            let mut ready = self.socket.readable_mut().await?;
            match receive(ready.get_inner(), &mut self.inbox) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {
                    return Ok(vec![Message::Lost]);
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(messages(&self.inbox).collect()),
            }
        }
    }
}

/// Leaves one datagram of the kernel's in `inbox`, or nothing.
fn receive(socket: &Socket, inbox: &mut Vec<u8>) -> io::Result<()> {
    inbox.clear();
    let (_length, from) = socket.recv_from(inbox, 0)?;
    // Any process may send here; only the kernel is number 0.
    if from.port_number() != 0 {
        inbox.clear();
    }
    Ok(())
}

fn outcome(errno: i32) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}
