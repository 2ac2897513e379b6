//! Sockets: how they are bound and connected.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use mio::net::TcpStream;
use rustix::io::Errno;
use socket2::{Domain, Protocol as Transport, SockRef, Socket, Type};

use super::cell::ServiceCell;
use crate::ipvs::ServiceKey;
use crate::net::Protocol;

/// Connections that may wait to be accepted; the kernel lowers it to `somaxconn`.
pub(super) const BACKLOG: u16 = 4096;

/// A service's socket, bound and listening.
pub(super) enum Bound {
    /// One clone of the listening socket for each worker.
    Tcp(Vec<TcpListener>),
    /// For one worker, which keeps the service's flows.
    Udp(UdpSocket),
}

/// Binds the service of `cell` for so many workers.
pub(super) fn bind(cell: &Arc<ServiceCell>, workers: usize) -> io::Result<Bound> {
    let ServiceKey::Address { protocol, address } = cell.key() else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    match protocol {
        Protocol::Tcp => {
            let listener = listen(address)?;
            let clones = (1..workers).map(|_| listener.try_clone());
            let mut all = clones.collect::<io::Result<Vec<_>>>()?;
            all.push(listener);
            Ok(Bound::Tcp(all))
        }
        Protocol::Udp => bind_udp(address).map(Bound::Udp),
        Protocol::Sctp => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Listens exclusively: a second listener on the address fails, while connections in `TIME_WAIT`
/// do not stand in the way (`SO_REUSEADDR`). Accepted sockets inherit the options.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Transport::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG.into())?;
    Ok(socket.into())
}

/// Without `SO_REUSEADDR`, which on UDP would let two programs share the port.
fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Transport::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Begins to connect to `target`, from `source` if given.
pub(super) fn connect(target: SocketAddr, source: Option<SocketAddr>) -> io::Result<TcpStream> {
    let stream = match source {
        None => TcpStream::connect(target)?,
        Some(source) => connect_from(source, target)?,
    };
    let socket = SockRef::from(&stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    Ok(stream)
}

fn connect_from(source: SocketAddr, target: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Transport::TCP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&source.into())?;
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        Ok(()) | Err(_) => Ok(TcpStream::from_std(socket.into())),
    }
}

/// What an error of accept(2) asks for.
pub(super) enum AcceptProblem {
    /// Nothing is waiting.
    Empty,
    /// This one is gone; the next may be there.
    Skip,
    /// The process or the machine has run out of something.
    Exhausted,
}

pub(super) fn judge_accept(error: &io::Error) -> AcceptProblem {
    if error.kind() == io::ErrorKind::WouldBlock {
        AcceptProblem::Empty
    } else if is_exhaustion(error) {
        AcceptProblem::Exhausted
    } else {
        AcceptProblem::Skip
    }
}

/// Whether this machine, not the other one, is the cause: no descriptors, no memory, no ports.
pub(super) fn is_exhaustion(error: &io::Error) -> bool {
    let errors = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
        Errno::AGAIN,
    ];
    let codes = errors.map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}
