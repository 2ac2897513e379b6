//! Telling the neighbours.

use std::fs;
use std::io;
use std::net::IpAddr;

use socket2::{Domain, Socket, Type};

use crate::runtime::sys::link_address;
use crate::wire::arp::{self, Form};
use crate::wire::ndisc;
use crate::wire::rtnetlink::Link;

/// A socket for whole frames. It receives none.
pub(super) struct Speaker {
    socket: Socket,
}

impl Speaker {
    /// # Errors
    /// The operating system's, without `CAP_NET_RAW` above all.
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Tells the neighbours on `link` that `address` is here: the first time with what all of them
    /// take in, then in the other form there is for IPv4, which some heed alone. A link without
    /// neighbours needs nothing.
    ///
    /// # Errors
    /// The operating system's. The next announcement makes up for a lost one.
    pub(super) fn announce(&self, link: &Link, address: IpAddr, form: Form) -> io::Result<()> {
        let Some(hardware) = link.hardware() else {
            return Ok(());
        };
        match (address, form) {
            (IpAddr::V4(address), form) => {
                self.send(link, &arp::gratuitous(form, hardware, address))
            }
            (IpAddr::V6(address), Form::Request) => {
                self.send(link, &ndisc::unsolicited(hardware, address, is_router(link.name())))
            }
            (IpAddr::V6(_), Form::Reply) => Ok(()),
        }
    }

    /// Asks the neighbours on `link` whether one of them has `address`.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn probe(&self, link: &Link, address: IpAddr) -> io::Result<()> {
        match (link.hardware(), address) {
            (None, _) => Ok(()),
            (Some(hardware), IpAddr::V4(address)) => {
                self.send(link, &arp::probe(hardware, address))
            }
            (Some(hardware), IpAddr::V6(address)) => {
                self.send(link, &ndisc::probe(hardware, address))
            }
        }
    }

    fn send(&self, link: &Link, frame: &[u8]) -> io::Result<()> {
        self.socket.send_to(frame, &link_address(link.index())).map(|_| ())
    }
}

/// Whether the kernel itself calls this node a router on the link.
fn is_router(link: &str) -> bool {
    let path = format!("/proc/sys/net/ipv6/conf/{link}/forwarding");
    fs::read_to_string(path).is_ok_and(|value| value.trim() != "0")
}
