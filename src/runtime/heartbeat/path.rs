//! The sockets heartbeats go through.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::task::Poll;

use socket2::Socket;
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::runtime::sys::receive_with_hops;
use crate::wire::ip::Ipv6Header;
use crate::wire::vrrp::PROTOCOL;

/// One way to the peer: an own address to send from and the peer's to send to.
#[derive(Debug)]
pub struct Path {
    pub(super) socket: UdpSocket,
    /// Where heartbeats come from. Port 0 where they have none.
    pub(super) own: SocketAddr,
    pub(super) peer: SocketAddr,
    /// Where datagrams go to whose header the kernel keeps: raw ones over IPv6.
    headless: Option<Ipv6Addr>,
}

impl Path {
    /// Binds `local`; heartbeats go to `peer`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The operating system's, for an address this node does not have or a port in use.
    pub fn bind(local: SocketAddr, peer: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        let own = socket.local_addr()?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, own, peer, headless: None })
    }

    /// Takes a raw socket, whose datagrams are whole packets that come from `own`. `destination` is
    /// where those go that come in on it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The operating system's.
    pub(in crate::runtime) fn raw(
        socket: Socket,
        own: IpAddr,
        peer: SocketAddr,
        destination: IpAddr,
    ) -> io::Result<Self> {
        let headless = match (peer, destination) {
            (SocketAddr::V6(_), IpAddr::V6(destination)) => Some(destination),
            _ => None,
        };
        let socket = std::net::UdpSocket::from(OwnedFd::from(socket));
        let own = SocketAddr::new(own, 0);
        Ok(Self { socket: UdpSocket::from_std(socket)?, own, peer, headless })
    }

    pub(super) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.headless {
            None => self.socket.try_recv_from(buffer),
            Some(destination) => self
                .socket
                .try_io(Interest::READABLE, || receive_headless(&self.socket, destination, buffer)),
        }
    }
}

/// Waits until a datagram can be read from one of the paths.
pub(super) async fn readable(paths: &[Path]) {
    std::future::poll_fn(|context| {
        let ready = paths.iter().any(|path| path.socket.poll_recv_ready(context).is_ready());
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Receives a packet and puts the header in front of it that it came with. One of which the hop
/// limit is not known came from anywhere.
fn receive_headless(
    socket: &UdpSocket,
    destination: Ipv6Addr,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr)> {
    let (header, room) = buffer
        .split_first_chunk_mut::<{ Ipv6Header::SIZE }>()
        .ok_or(io::ErrorKind::InvalidInput)?;
    let received = receive_with_hops(socket, room)?;
    let IpAddr::V6(source) = received.source.ip() else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    *header = Ipv6Header {
        length: u16::try_from(received.length).unwrap_or(u16::MAX),
        protocol: PROTOCOL,
        hops: received.hops.unwrap_or_default(),
        source,
        destination,
    }
    .encode();
    Ok((Ipv6Header::SIZE + received.length, received.source))
}
