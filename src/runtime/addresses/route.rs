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

/// Requests in one send: their acknowledgements fit into the default receive buffer.
const BATCH: usize = 64;

/// How often a listing that was changed while it was read is begun anew.
const ATTEMPTS: usize = 5;

/// The kernel answers within the send; only a lost answer takes this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks.
pub(in crate::runtime) struct Route {
    socket: Socket,
    sequence: u32,
}

impl Route {
    pub(in crate::runtime) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        set_socket_timeout(socket.as_fd(), Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Carries out `requests` in order, many in one send, and goes on after one that fails.
    ///
    /// # Errors
    /// The operating system's, when the kernel is out of reach.
    pub(in crate::runtime) fn change(
        &mut self,
        requests: &[Request],
    ) -> io::Result<Vec<io::Result<()>>> {
        let mut outcomes = Vec::with_capacity(requests.len());
        for batch in requests.chunks(BATCH) {
            self.change_batch(batch, &mut outcomes)?;
        }
        Ok(outcomes)
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

    fn change_batch(
        &mut self,
        batch: &[Request],
        outcomes: &mut Vec<io::Result<()>>,
    ) -> io::Result<()> {
        let first = self.send(batch)?;
        let mut answered = 0;
        while answered < batch.len() {
            for message in self.receive()? {
                let expected = first.wrapping_add(u32::try_from(answered).unwrap_or(u32::MAX));
                match message {
                    Message::Acknowledged { sequence, errno } if sequence == expected => {
                        outcomes.push(outcome(errno));
                        answered += 1;
                    }
                    // An answer to a request that was given up.
                    _ => {}
                }
            }
        }
        Ok(())
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
        let asked = self.send(std::slice::from_ref(request))?;
        let mut found = Vec::new();
        let mut whole = true;
        loop {
            for message in self.receive()? {
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

    /// Returns the sequence number of the first.
    fn send(&mut self, requests: &[Request]) -> io::Result<u32> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            request.encode(self.sequence, &mut datagram);
        }
        self.socket.send(&datagram, 0)?;
        Ok(first)
    }

    fn receive(&self) -> io::Result<Vec<Message>> {
        receive(&self.socket)
    }
}

/// Listens.
pub(in crate::runtime) struct Monitor {
    socket: AsyncFd<Socket>,
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
        Ok(Self { socket: AsyncFd::new(socket)? })
    }

    /// What has changed; `Lost` among it if there was more than could be kept.
    pub(in crate::runtime) async fn next(&mut self) -> io::Result<Vec<Message>> {
        loop {
            let mut ready = self.socket.readable_mut().await?;
            match receive(ready.get_inner()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {
                    return Ok(vec![Message::Lost]);
                }
                received => return received,
            }
        }
    }
}

fn receive(socket: &Socket) -> io::Result<Vec<Message>> {
    let (datagram, from) = socket.recv_from_full()?;
    // Any process may send here; only the kernel is number 0.
    Ok(if from.port_number() == 0 { messages(&datagram).collect() } else { Vec::new() })
}

fn outcome(errno: i32) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}
