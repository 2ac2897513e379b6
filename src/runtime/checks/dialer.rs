use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::conversation::{Conversation, Goal};
use super::network::{Budget, close_at_once};
use super::{Expiries, Transcript};
use crate::health::{CheckPath, Failure, Stage};
use crate::net::{FirewallMark, Protocol};
use crate::wire::proxy::ProxyProtocol;

/// How the built-in checks reach a server, and what records them on the way.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    path: CheckPath,
    through: Option<Way>,
    proxy: Option<ProxyProtocol>,
    transcript: Option<Transcript>,
    expiries: Expiries,
}

/// A way to a server that clients take: what is sent to `vip` with `mark` on it reaches the server.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Way {
    /// Where clients send.
    pub vip: SocketAddr,
    /// The mark that leads it to this one server.
    pub mark: FirewallMark,
}

impl Way {
    /// To `vip`, marked with `mark`.
    #[must_use]
    pub const fn new(vip: SocketAddr, mark: FirewallMark) -> Self {
        Self { vip, mark }
    }
}

impl Dialer {
    /// How much of a datagram is read.
    const DATAGRAM: usize = 4096;

    /// Along `path`.
    #[must_use]
    pub fn new(path: CheckPath) -> Self {
        Self { path, ..Self::default() }
    }

    /// For servers that expect the PROXY protocol: what a check sends over TCP comes behind a
    /// header with the check's own addresses. A check that only connects sends none.
    #[must_use]
    pub const fn with_proxy_protocol(mut self, proxy: Option<ProxyProtocol>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Sends to a VIP, from the address this host would speak to the server itself from: a director
    /// that has the VIP would choose that, and its answers would never come back.
    #[must_use]
    pub const fn with_way(mut self, through: Option<Way>) -> Self {
        self.through = through;
        self
    }

    /// Records what is sent and what comes.
    #[must_use]
    pub fn with_transcript(mut self, transcript: Transcript) -> Self {
        self.transcript = Some(transcript);
        self
    }

    /// Notes when the certificates of servers end.
    #[must_use]
    pub fn with_expiries(mut self, expiries: Expiries) -> Self {
        self.expiries = expiries;
        self
    }

    /// Where a check of `server` goes.
    pub(super) fn target(&self, server: SocketAddr) -> SocketAddr {
        self.path.target(self.through.map_or(server, |way| way.vip))
    }

    pub(super) const fn transcript(&self) -> Option<&Transcript> {
        self.transcript.as_ref()
    }

    pub(super) fn note(&self, text: impl FnOnce() -> String) {
        if let Some(transcript) = &self.transcript {
            transcript.note(text());
        }
    }

    /// Connects to `server` over TCP.
    ///
    /// A connection to itself counts as refused: where nobody listens on a port of this host from
    /// the ephemeral range, the kernel may pick that very port as the source, and TCP then
    /// connects the socket to itself.
    pub(super) async fn connect(
        &self,
        server: SocketAddr,
        budget: &Budget,
    ) -> Result<TcpStream, Failure> {
        self.connect_over(Protocol::Tcp, server, budget).await
    }

    /// As [`connect`](Self::connect); with SCTP the stream is an association, with the one stream
    /// that a socket of this kind has (RFC 6458, section 4).
    pub(super) async fn connect_over(
        &self,
        protocol: Protocol,
        server: SocketAddr,
        budget: &Budget,
    ) -> Result<TcpStream, Failure> {
        let target = self.target(server);
        self.note(|| format!("connecting to {target}"));
        let socket = self.stream_socket(protocol, server).map_err(|error| own(&error))?;
        let stream = budget.spend(Stage::Connect, socket.connect(target)).await?;
        if stream.local_addr().is_ok_and(|local| local == target) {
            close_at_once(&stream);
            return Err(Failure::Refused);
        }
        if let (Some(transcript), Ok(local)) = (&self.transcript, stream.local_addr()) {
            transcript.note(format!("connected from {local}"));
        }
        Ok(stream)
    }

    /// Connects to `server` and introduces the check, where the PROXY protocol is expected.
    pub(in crate::runtime) async fn converse(
        &self,
        server: SocketAddr,
        budget: Budget,
    ) -> Result<Conversation, Failure> {
        let mut stream = self.connect(server, &budget).await?;
        if let Some(version) = self.proxy {
            self.note(|| format!("sending a header of the PROXY protocol, {version:?}"));
            let send = async {
                let header = version.header(stream.local_addr()?, stream.peer_addr()?);
                stream.write_all(&header).await
            };
            budget.spend(Stage::Send, send).await?;
        }
        let goal =
            Goal { server: self.target(server), about: server, expiries: self.expiries.clone() };
        Ok(Conversation::new(stream, goal, budget, self.transcript.clone()))
    }

    /// A socket that takes datagrams from `server` only, and hears of its ICMP errors.
    pub(super) async fn datagrams(
        &self,
        server: SocketAddr,
        budget: &Budget,
    ) -> Result<UdpSocket, Failure> {
        let target = self.target(server);
        self.note(|| format!("sending datagrams to {target}"));
        let socket = self.udp_socket(server).await.map_err(|error| own(&error))?;
        budget.spend(Stage::Connect, socket.connect(target)).await?;
        Ok(socket)
    }

    /// Sends a datagram to `server` and returns the first that comes back, up to 4 KiB of it.
    pub(super) async fn exchange(
        &self,
        server: SocketAddr,
        request: &[u8],
        budget: &Budget,
    ) -> Result<Vec<u8>, Failure> {
        let accept = |answer: &[u8]| Ok(answer.to_vec());
        self.exchange_until(server, (request, request), budget, accept).await
    }

    /// Sends a datagram to `server`, of which a transcript shows the second half of `request`, and
    /// returns what `accept` makes of the first answer that it takes.
    ///
    /// What it refuses is passed over, since anybody could have sent it and the true answer may
    /// follow; if none does, the last refusal is the reason.
    pub(super) async fn exchange_until<T>(
        &self,
        server: SocketAddr,
        request: (&[u8], &[u8]),
        budget: &Budget,
        accept: impl Fn(&[u8]) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let socket = self.datagrams(server, budget).await?;
        let (request, shown) = request;
        self.transcript.iter().for_each(|transcript| transcript.sent(shown));
        budget.spend(Stage::Send, socket.send(request)).await?;
        let mut answer = vec![0; Self::DATAGRAM];
        let mut refused = None;
        loop {
            let received = budget.spend(Stage::Answer, socket.recv(&mut answer)).await;
            let length = match (received, refused) {
                (Err(Failure::TimedOut { .. }), Some(refusal)) => return Err(refusal),
                (received, _) => received?,
            };
            let answer = &answer[..length];
            self.transcript.iter().for_each(|transcript| transcript.received(answer));
            match accept(answer) {
                Ok(accepted) => return Ok(accepted),
                Err(refusal) => {
                    self.note(|| format!("passed over: {refusal}"));
                    refused = Some(refusal);
                }
            }
        }
    }

    async fn udp_socket(&self, server: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(self.local(server)?).await?;
        self.mark(&SockRef::from(&socket))?;
        Ok(socket)
    }

    /// Whether this kernel has SCTP.
    pub(super) fn has_sctp() -> bool {
        Socket::new(Domain::IPV4, Type::STREAM, Some(socket2::Protocol::SCTP)).is_ok()
    }

    fn stream_socket(&self, protocol: Protocol, server: SocketAddr) -> io::Result<TcpSocket> {
        let target = self.target(server);
        let socket = match (protocol, target) {
            (Protocol::Sctp, _) => sctp_socket(target),
            (_, SocketAddr::V4(_)) => TcpSocket::new_v4(),
            (_, SocketAddr::V6(_)) => TcpSocket::new_v6(),
        }?;
        self.mark(&SockRef::from(&socket))?;
        if self.path.source.is_some() || self.through.is_some() {
            socket.bind(self.local(server)?)?;
        }
        Ok(socket)
    }

    /// The own address for a check of `server`: the configured one, the one that goes with the way,
    /// or any of the family.
    pub(super) fn local(&self, server: SocketAddr) -> io::Result<SocketAddr> {
        let target = self.target(server);
        let any = match target {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let address = match (self.path.source, self.through) {
            (Some(source), _) => source,
            // In a tunnel between families the server says nothing about it.
            (None, Some(_)) if server.is_ipv4() == target.is_ipv4() => own_address(server)?,
            (None, _) => any,
        };
        Ok(SocketAddr::new(address, 0))
    }

    pub(super) fn mark(&self, socket: &SockRef<'_>) -> io::Result<()> {
        let mark = self.through.map(|way| way.mark).or(self.path.mark);
        mark.map_or(Ok(()), |mark| socket.set_mark(mark.get()))
    }
}

/// tokio connects a stream socket of any protocol, and makes only those of TCP.
fn sctp_socket(target: SocketAddr) -> io::Result<TcpSocket> {
    let domain = Domain::for_address(target);
    let socket = Socket::new(domain, Type::STREAM, Some(socket2::Protocol::SCTP))?;
    socket.set_nonblocking(true)?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

/// The address from which this host speaks to `server`. Sends nothing.
fn own_address(server: SocketAddr) -> io::Result<IpAddr> {
    let domain = Domain::for_address(server);
    let socket = Socket::new(domain, Type::DGRAM, None)?;
    // Any port will do: only the route is looked up.
    socket.connect(&SocketAddr::new(server.ip(), 9).into())?;
    let own = socket.local_addr()?.as_socket();
    own.map(|own| own.ip()).ok_or_else(|| io::Error::other("a socket without an address"))
}

/// What goes wrong before anything is sent says nothing about the server.
pub(super) fn own(error: &io::Error) -> Failure {
    Failure::Inconclusive(error.to_string())
}
