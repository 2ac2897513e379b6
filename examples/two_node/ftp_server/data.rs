//! Data connections: who opens them, and how fast bytes go out.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

/// How long the other side may take to open the data connection, or to accept ours.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one read or write may block before the transfer counts as broken.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the next data connection will come from or go to.
#[derive(Default)]
pub(super) enum Plan {
    /// Neither PASV nor PORT was sent: there is no default in a world with NAT.
    #[default]
    None,
    /// PASV or EPSV: we listen.
    Passive(TcpListener),
    /// PORT or EPRT: we connect there.
    Active(SocketAddr),
}

impl Plan {
    /// Starts listening on `local`, the address the client already reached us at.
    pub(super) fn passive(local: IpAddr) -> io::Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind((local, 0))?;
        let address = listener.local_addr()?;
        Ok((Self::Passive(listener), address))
    }

    /// Opens the data connection between `local` and `peer`, the ends of the control connection.
    pub(super) fn open(self, local: IpAddr, peer: IpAddr) -> io::Result<TcpStream> {
        let stream = match self {
            Self::None => return Err(io::Error::other("no PASV or PORT before the transfer")),
            Self::Passive(listener) => accept_from(&listener, peer)?,
            Self::Active(address) => connect_from(local, address)?,
        };
        stream.set_read_timeout(Some(TRANSFER_TIMEOUT))?;
        stream.set_write_timeout(Some(TRANSFER_TIMEOUT))?;
        Ok(stream)
    }
}

/// Accepts a connection from `peer`. Anybody else's is dropped: a port scanner must not be handed
/// the file meant for the client (RFC 2577, 3).
fn accept_from(listener: &TcpListener, peer: IpAddr) -> io::Result<TcpStream> {
    let deadline = Instant::now() + OPEN_TIMEOUT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // On Linux the receive timeout of a listening socket bounds accept (socket(7)).
        SockRef::from(listener).set_read_timeout(Some(left))?;
        let (stream, from) = listener.accept()?;
        if from.ip() == peer {
            return Ok(stream);
        }
    }
}

/// Connects from the control connection's own address, so that a director in between recognises
/// the data connection as belonging to it.
fn connect_from(local: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(local, 0).into())?;
    socket.connect_timeout(&address.into(), OPEN_TIMEOUT)?;
    Ok(socket.into())
}

/// Spreads a transfer evenly over time.
pub(super) struct Throttle {
    started: Instant,
    bytes_per_second: Option<u64>,
    sent: u64,
}

impl Throttle {
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        let started = Instant::now();
        Self { started, bytes_per_second, sent: 0 }
    }

    /// Bytes to send in one go: about a hundredth of a second's worth, so that a throttled
    /// transfer flows instead of coming in bursts.
    pub(super) fn chunk(&self) -> usize {
        const LARGEST: usize = 64 * 1024;
        let share = self.bytes_per_second.map(|rate| (rate / 100).max(1));
        share.and_then(|share| usize::try_from(share).ok()).unwrap_or(LARGEST).min(LARGEST)
    }

    /// Counts `bytes` as sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// How long to wait before sending more.
    pub(super) fn pause(&self) -> Duration {
        let Some(rate) = self.bytes_per_second else {
            return Duration::ZERO;
        };
        let nanos = u128::from(self.sent) * 1_000_000_000 / u128::from(rate.max(1));
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        due.saturating_sub(self.started.elapsed())
    }
}
