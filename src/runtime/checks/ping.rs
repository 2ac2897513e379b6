use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use async_trait::async_trait;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::dialer::own;
use super::network::Budget;
use super::{Dialer, random};
use crate::health::{Check, Failure, Stage};
use crate::net::Family;
use crate::wire::icmp::{Echo, ipv4_payload};

/// Passes if the host answers an echo request. Its port is not looked at.
pub(super) struct Ping(pub(super) Dialer);

/// A socket for ICMP, and whether it shows the header of IPv4.
struct IcmpSocket {
    socket: UdpSocket,
    raw: bool,
}

impl Ping {
    /// A ping socket, which needs no privilege where `net.ipv4.ping_group_range` allows it; else
    /// a raw one, which needs `CAP_NET_RAW`.
    fn socket(&self, target: SocketAddr) -> io::Result<IcmpSocket> {
        let (domain, protocol) = match target {
            SocketAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            SocketAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let open = |kind: Type| Socket::new(domain, kind.nonblocking(), Some(protocol));
        let (socket, raw) = match open(Type::DGRAM) {
            Ok(socket) => (socket, false),
            Err(error) => (open(Type::RAW).map_err(|_also| error)?, true),
        };
        self.0.mark(&SockRef::from(&socket))?;
        socket.bind(&self.0.local(target)?.into())?;
        socket.connect(&SocketAddr::new(target.ip(), 0).into())?;
        let socket = UdpSocket::from_std(StdSocket::from(OwnedFd::from(socket)))?;
        Ok(IcmpSocket { socket, raw })
    }
}

impl IcmpSocket {
    /// Waits for the reply with this data, which nobody can guess. A ping socket has an identifier
    /// of the kernel's, so the data alone tells.
    async fn reply(&self, family: Family, data: &[u8]) -> io::Result<()> {
        let mut packet = [0; 1500];
        loop {
            let length = self.socket.recv(&mut packet).await?;
            let message = match self.raw && family == Family::Ipv4 {
                true => ipv4_payload(&packet[..length]).unwrap_or_default(),
                false => &packet[..length],
            };
            let echo = Echo::decode(message, family);
            if echo.is_some_and(|echo| echo.reply && echo.data == data) {
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl Check for Ping {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let budget = Budget::new(limit);
        let (family, data) = (Family::of(target.ip()), random::bytes::<16>()?);
        let icmp = self.socket(target).map_err(|error| own(&error))?;
        self.0.note(|| format!("sending an echo request to {}", target.ip()));
        let [high, low, ..] = data;
        let request = Echo::request(u16::from_be_bytes([high, low]), 1, &data).encode(family);
        budget.spend(Stage::Send, icmp.socket.send(&request)).await?;
        budget.spend(Stage::Answer, icmp.reply(family, &data)).await?;
        self.0.note(|| "got the reply".to_owned());
        Ok(())
    }
}
