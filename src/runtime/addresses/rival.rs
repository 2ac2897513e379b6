//! Other stations that say they have an address of ours.

use std::io::{self, Read};
use std::net::IpAddr;

use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::wire::ethernet::{EtherType, MacAddr};
use crate::wire::{arp, ndisc};

/// A word of ARP or of neighbour discovery has less.
const FRAME: usize = 128;

/// Frames that are looked at before others get their turn, so that a flood delays nothing.
const BURST: usize = 64;

/// Hears ARP and neighbour advertisements on every link.
pub(super) struct Lookout {
    arp: AsyncFd<Socket>,
    ndisc: AsyncFd<Socket>,
}

impl Lookout {
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The operating system's, without `CAP_NET_RAW` above all.
    #[allow(
        deprecated,
        reason = "its successor is unsafe; what that asks for, an open socket, the value gives"
    )]
    pub(super) fn open() -> io::Result<Self> {
        let ndisc = open(EtherType::Ipv6)?;
        ndisc.attach_filter(&ADVERTISEMENTS)?;
        Ok(Self { arp: AsyncFd::new(open(EtherType::Arp)?)?, ndisc: AsyncFd::new(ndisc)? })
    }

    /// Who says it has which address. Empty where what was heard claims nothing. Safe to drop.
    pub(super) async fn next(&mut self) -> io::Result<Vec<(IpAddr, MacAddr)>> {
        tokio::select! {
            claims = claims(&mut self.arp, |frame| {
                arp::claim(frame).map(|(address, hardware)| (address.into(), hardware))
            }) => claims,
            claims = claims(&mut self.ndisc, |frame| {
                ndisc::claim(frame).map(|(address, hardware)| (address.into(), hardware))
            }) => claims,
        }
    }
}

/// Only neighbour advertisements, without extension headers as RFC 6980 has them: the kernel drops
/// all other IPv6 before this process sees it. In the numbers of `linux/filter.h`: load a byte,
/// compare it, return.
const ADVERTISEMENTS: [SockFilter; 6] = [
    SockFilter::new(0x30, 0, 0, 14 + 6),
    SockFilter::new(0x15, 0, 3, 58),
    SockFilter::new(0x30, 0, 0, 14 + 40),
    SockFilter::new(0x15, 0, 1, 136),
    SockFilter::new(0x06, 0, 0, 0x0004_0000),
    SockFilter::new(0x06, 0, 0, 0),
];

fn open(kind: EtherType) -> io::Result<Socket> {
    let protocol = Protocol::from(i32::from(kind.number().to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking(), Some(protocol))?;
    Ok(socket)
}

async fn claims(
    socket: &mut AsyncFd<Socket>,
    claim: impl Fn(&[u8]) -> Option<(IpAddr, MacAddr)>,
) -> io::Result<Vec<(IpAddr, MacAddr)>> {
    let mut frame = [0; FRAME];
    let mut found = Vec::new();
    socket
        .async_io_mut(Interest::READABLE, |socket| {
            let mut length = socket.read(&mut frame)?;
            for _ in 0..BURST {
                found.extend(claim(&frame[..length]));
                match socket.read(&mut frame) {
                    Ok(next) => length = next,
                    // What is wrong with the socket shows again at the next reading.
                    Err(_) => break,
                }
            }
            Ok(())
        })
        .await?;
    Ok(found)
}
