use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::Transcript;
use super::conversation::Conversation;
use super::network::{Budget, close_at_once};
use crate::health::{CheckPath, Failure, Stage};
use crate::net::Protocol;
use crate::wire::proxy::ProxyProtocol;

/// How the built-in checks reach a server, and what records them on the way.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    path: CheckPath,
    proxy: Option<ProxyProtocol>,
    transcript: Option<Transcript>,
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

    /// Records what is sent and what comes.
    #[must_use]
    pub fn with_transcript(mut self, transcript: Transcript) -> Self {
        self.transcript = Some(transcript);
        self
    }

    /// Where a check of `server` goes.
    pub(super) fn target(&self, server: SocketAddr) -> SocketAddr {
        self.path.target(server)
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
        let socket = self.stream_socket(protocol, target).map_err(|error| own(&error))?;
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
        Ok(Conversation::new(stream, self.target(server), budget, self.transcript.clone()))
    }

    /// A socket that takes datagrams from `server` only, and hears of its ICMP errors.
    pub(super) async fn datagrams(
        &self,
        server: SocketAddr,
        budget: &Budget,
    ) -> Result<UdpSocket, Failure> {
        let target = self.target(server);
        self.note(|| format!("sending datagrams to {target}"));
        let socket = self.udp_socket(target).await.map_err(|error| own(&error))?;
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
        let socket = self.datagrams(server, budget).await?;
        self.transcript.iter().for_each(|transcript| transcript.sent(request));
        budget.spend(Stage::Send, socket.send(request)).await?;
        let mut answer = vec![0; Self::DATAGRAM];
        let length = budget.spend(Stage::Answer, socket.recv(&mut answer)).await?;
        answer.truncate(length);
        self.transcript.iter().for_each(|transcript| transcript.received(&answer));
        Ok(answer)
    }

    async fn udp_socket(&self, target: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(self.local(target)).await?;
        self.mark(&SockRef::from(&socket))?;
        Ok(socket)
    }

    /// Whether this kernel has SCTP.
    pub(super) fn has_sctp() -> bool {
        Socket::new(Domain::IPV4, Type::STREAM, Some(socket2::Protocol::SCTP)).is_ok()
    }

    fn stream_socket(&self, protocol: Protocol, target: SocketAddr) -> io::Result<TcpSocket> {
        let socket = match (protocol, target) {
            (Protocol::Sctp, _) => sctp_socket(target),
            (_, SocketAddr::V4(_)) => TcpSocket::new_v4(),
            (_, SocketAddr::V6(_)) => TcpSocket::new_v6(),
        }?;
        self.mark(&SockRef::from(&socket))?;
        if self.path.source.is_some() {
            socket.bind(self.local(target))?;
        }
        Ok(socket)
    }

    /// The own address: the configured one, or any of the target's family.
    pub(super) fn local(&self, target: SocketAddr) -> SocketAddr {
        let any = match target {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        SocketAddr::new(self.path.source.unwrap_or(any), 0)
    }

    pub(super) fn mark(&self, socket: &SockRef<'_>) -> io::Result<()> {
        self.path.mark.map_or(Ok(()), |mark| socket.set_mark(mark.get()))
    }
}

/// tokio connects a stream socket of any protocol, and makes only those of TCP.
fn sctp_socket(target: SocketAddr) -> io::Result<TcpSocket> {
    let domain = Domain::for_address(target);
    let socket = Socket::new(domain, Type::STREAM, Some(socket2::Protocol::SCTP))?;
    socket.set_nonblocking(true)?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

/// What goes wrong before anything is sent says nothing about the server.
pub(super) fn own(error: &io::Error) -> Failure {
    Failure::Inconclusive(error.to_string())
}
