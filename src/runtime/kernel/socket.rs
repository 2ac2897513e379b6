//! A netlink socket in a network namespace, and what both clients do with it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::Namespace;
use crate::ipvs::kernel::{Exchange, KernelError, RECEIVE_BUFFER, Reason};

/// Room for the answers to a batch, so that the kernel loses none. It may give less.
const RECEIVE_QUEUE: usize = 1024 * 1024;

/// A non-blocking socket connected with the kernel.
#[derive(Debug)]
pub(super) struct Link {
    socket: Socket,
    buffer: Vec<u8>,
}

/// What became of an attempt to receive.
pub(super) enum Received {
    /// The exchange took a datagram in, or noted a loss.
    Some,
    /// Nothing is there yet.
    Nothing,
}

impl Link {
    pub(super) fn open(namespace: &Namespace) -> Result<Self, KernelError> {
        let socket = namespace.run(connect).and_then(|socket| socket);
        let socket = socket.map_err(|error| failure("open it", &error))?;
        Ok(Self { socket, buffer: Vec::with_capacity(RECEIVE_BUFFER) })
    }

    pub(super) fn send(&self, datagram: &[u8]) -> Result<(), KernelError> {
        loop {
            match self.socket.send(datagram, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failure("send to the kernel", &error)),
            }
        }
    }

    /// Hands one datagram to the exchange.
    pub(super) fn receive(&mut self, exchange: &mut Exchange) -> Result<Received, KernelError> {
        self.buffer.clear();
        // The flag makes the kernel tell the whole length also of what it cuts.
        let flags = RecvFlags::TRUNC.bits().cast_signed();
        match self.socket.recv_from(&mut self.buffer, flags) {
            // Any process may send here; only the kernel is number 0.
            Ok((_, from)) if from.port_number() != 0 => {}
            Ok((length, _)) if length > self.buffer.len() => {
                exchange.handle_loss(&Reason::AnswerCut);
            }
            Ok(_) => exchange.handle_datagram(&self.buffer),
            Err(error) => return heed(&error, exchange),
        }
        Ok(Received::Some)
    }
}

fn heed(error: &io::Error, exchange: &mut Exchange) -> Result<Received, KernelError> {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN) => Ok(Received::Nothing),
        Some(Errno::INTR) => Ok(Received::Some),
        Some(Errno::NOBUFS) => {
            exchange.handle_loss(&Reason::AnswerLost);
            Ok(Received::Some)
        }
        _ => Err(failure("receive from the kernel", error)),
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn connect() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    // An acknowledgement without a copy of the request. Kernels before 4.3 send the copy.
    let _ = socket.set_cap_ack(true);
    let _ = socket.set_rx_buf_sz(RECEIVE_QUEUE);
    Ok(socket)
}

pub(super) fn failure(attempted: &'static str, error: &io::Error) -> KernelError {
    let number = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
    KernelError::new("netlink socket", attempted, Reason::Os(number))
}
