//! TCP connections in the making, without a task, a timer or an allocation for each.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::crew::Flight;
use super::slab::{Slab, Slot};
use crate::health::Failure;
use crate::runtime::checks::Dialer;
use crate::runtime::checks::dialer::own;
use crate::runtime::checks::network::failure;

/// Events that are taken at a time.
const EVENTS: usize = 64;

/// Connections in the making.
pub(super) struct Sockets {
    epoll: Arc<AsyncFd<OwnedFd>>,
    attempts: Slab<Attempt>,
}

/// A connection in the making; dropping it gives it up.
#[derive(Debug)]
struct Attempt {
    socket: Socket,
    target: SocketAddr,
    flight: Flight,
}

impl Sockets {
    #[allow(
        deprecated,
        reason = "the successor needs `unsafe` code; the descriptor is open and owned here"
    )]
    pub(super) fn new() -> io::Result<Self> {
        let epoll = AsyncFd::new(epoll::create(CreateFlags::CLOEXEC)?)?;
        Ok(Self { epoll: Arc::new(epoll), attempts: Slab::default() })
    }

    /// Readable when [`reap`](Self::reap) finds something.
    pub(super) fn readiness(&self) -> Arc<AsyncFd<OwnedFd>> {
        Arc::clone(&self.epoll)
    }

    /// Begins to connect to `server`.
    ///
    /// # Errors
    /// What was found out at once.
    pub(super) fn connect(
        &mut self,
        flight: Flight,
        dialer: &Dialer,
        server: SocketAddr,
    ) -> Result<Slot, Failure> {
        let target = dialer.target(server);
        let socket = socket(dialer, server).map_err(|error| own(&error))?;
        match socket.connect(&SockAddr::from(target)) {
            Ok(()) => {}
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {}
            Err(error) => return Err(failure(&error)),
        }
        let slot = self.attempts.insert(Attempt { socket, target, flight });
        self.watch(slot).map_err(|error| {
            self.give_up(slot);
            own(&error)
        })?;
        Ok(slot)
    }

    pub(super) fn give_up(&mut self, slot: Slot) {
        self.attempts.remove(slot);
    }

    /// Takes what has come to an end, at most [`EVENTS`] of them; returns whether there may be
    /// more.
    pub(super) fn reap(&mut self, mut ended: impl FnMut(Flight, Result<(), Failure>)) -> bool {
        let mut room = [const { MaybeUninit::uninit() }; EVENTS];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // What is ready stays so until it is taken, so an interruption loses nothing.
        let Ok((events, _)) = epoll::wait(self.epoll.get_ref(), &mut room, Some(&now)) else {
            return false;
        };
        for event in &*events {
            if let Some(attempt) = self.attempts.remove(Slot::from_bits(event.data.u64())) {
                ended(attempt.flight, attempt.end());
            }
        }
        events.len() == EVENTS
    }

    fn watch(&self, slot: Slot) -> io::Result<()> {
        let Some(attempt) = self.attempts.get(slot) else { return Ok(()) };
        let data = EventData::new_u64(slot.to_bits());
        Ok(epoll::add(self.epoll.get_ref(), &attempt.socket, data, EventFlags::OUT)?)
    }
}

impl Attempt {
    /// What became of it. A connection to itself counts as refused, see `Dialer::connect`.
    fn end(&self) -> Result<(), Failure> {
        match self.socket.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Err(failure(&error)),
        }
        // A reset, so that no TIME-WAIT entry stays: nothing was sent that could be lost.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
        let local = self.socket.local_addr().ok().and_then(|local| local.as_socket());
        if local == Some(self.target) { Err(Failure::Refused) } else { Ok(()) }
    }
}

fn socket(dialer: &Dialer, server: SocketAddr) -> io::Result<Socket> {
    let (domain, kind) = (Domain::for_address(dialer.target(server)), Type::STREAM);
    let socket = Socket::new(domain, kind.nonblocking().cloexec(), None)?;
    dialer.mark(&(&socket).into())?;
    let local = dialer.local(server)?;
    if !local.ip().is_unspecified() {
        socket.bind(&local.into())?;
    }
    Ok(socket)
}
