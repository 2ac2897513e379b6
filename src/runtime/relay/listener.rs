//! Sockets: how they are bound and connected.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol as Transport, Socket, Type};

use super::cell::ServiceCell;
use crate::ipvs::ServiceKey;
use crate::net::{Family, Protocol};
use crate::runtime::sys::accept_coalesced;

/// Connections that may wait to be accepted; the kernel lowers it to `somaxconn`.
pub(super) const BACKLOG: u16 = 4096;

/// What may wait in a UDP service's socket: three milliseconds of a 10 Gbit/s link.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// A service's socket, bound and listening.
pub(super) enum Bound {
    /// One clone of the listening socket for each worker.
    Tcp(Vec<TcpListener>),
    /// One socket for each worker, which keeps the flows of the clients that the kernel leads there.
    Udp(Vec<UdpSocket>),
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
        Protocol::Udp => bind_udp(address, workers).map(Bound::Udp),
        Protocol::Sctp => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Listens exclusively: a second listener on the address fails, while connections in `TIME_WAIT`
/// do not stand in the way (`SO_REUSEADDR`). Accepted sockets inherit the options.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = tcp_socket(address)?;
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

/// Sockets among which the kernel spreads clients by their address (`SO_REUSEPORT`).
///
/// The first is bound exclusively and lets others join only then: a second relay, whose first
/// bind is exclusive too, finds the port taken. `SO_REUSEADDR`, which on UDP would let two
/// programs share the port, is not set.
fn bind_udp(address: SocketAddr, workers: usize) -> io::Result<Vec<UdpSocket>> {
    let first = bind_one_udp(address, |_| Ok(()))?;
    first.set_reuse_port(true)?;
    let others = (1..workers).map(|_| bind_one_udp(address, |socket| socket.set_reuse_port(true)));
    let others = others.collect::<io::Result<Vec<_>>>()?;
    Ok([first].into_iter().chain(others).map(UdpSocket::from).collect())
}

fn bind_one_udp(
    address: SocketAddr,
    prepare: impl Fn(&Socket) -> io::Result<()>,
) -> io::Result<Socket> {
    let socket = udp_socket(address)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    widen(&socket);
    let _ = accept_coalesced(&socket);
    prepare(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Gives a service's socket a receive buffer for bursts of all its clients: beyond
/// `net.core.rmem_max` with `CAP_NET_ADMIN`, else as far as that goes. The kernel takes no memory
/// for it before datagrams wait there.
fn widen(socket: &Socket) {
    if set_socket_recv_buffer_size_force(socket, RECEIVE_BUFFER).is_err() {
        // What it has by default will do.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
}

/// Where a connection or flow towards a server comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// Whatever address of this machine the route has.
    Any,
    /// This one of this machine's.
    Own(SocketAddr),
    /// The client's address, which is not this machine's (`IP_TRANSPARENT`).
    Client(IpAddr),
}

impl Origin {
    fn bind(self, socket: &Socket) -> io::Result<()> {
        match self {
            Self::Any => Ok(()),
            Self::Own(address) => socket.bind(&address.into()),
            Self::Client(address) => {
                be_transparent(socket, Family::of(address))?;
                socket.bind(&SocketAddr::new(address, 0).into())
            }
        }
    }
}

/// Whether this process may use addresses that are not this machine's.
///
/// # Errors
/// The operating system's, `PermissionDenied` without `CAP_NET_ADMIN`.
pub(super) fn check_transparent() -> io::Result<()> {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    be_transparent(&udp_socket(any)?, Family::Ipv4)
}

fn be_transparent(socket: &Socket, family: Family) -> io::Result<()> {
    match family {
        Family::Ipv4 => socket.set_ip_transparent_v4(true),
        Family::Ipv6 => socket.set_ip_transparent_v6(true),
    }
}

/// Begins to connect to `target`. The options that only a connection of
/// some length needs are left for later: `TCP_NODELAY` and `SO_KEEPALIVE`.
pub(super) fn connect(target: SocketAddr, origin: Origin) -> io::Result<TcpStream> {
    let socket = tcp_socket(target)?;
    origin.bind(&socket)?;
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        Ok(()) | Err(_) => Ok(socket.into()),
    }
}

/// A socket connected to `server`, for one client's datagrams.
pub(super) fn connect_udp(server: SocketAddr, origin: Origin) -> io::Result<UdpSocket> {
    let socket = udp_socket(server)?;
    origin.bind(&socket)?;
    // Without it the kernel hands over each datagram for itself.
    let _ = accept_coalesced(&socket);
    socket.connect(&server.into())?;
    Ok(socket.into())
}

fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking();
    Socket::new(Domain::for_address(address), kind, Some(Transport::TCP))
}

fn udp_socket(address: SocketAddr) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking();
    Socket::new(Domain::for_address(address), kind, Some(Transport::UDP))
}

/// Accepts one connection, not blocking.
pub(super) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (stream, peer) = acceptfrom_with(listener, flags)?;
    // Without an address the peer is gone already.
    let peer = peer.ok_or(Errno::CONNABORTED)?;
    Ok((stream.into(), SocketAddr::try_from(peer)?))
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
