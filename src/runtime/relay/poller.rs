//! epoll(7) as the workers use it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::time::Timespec;

/// Events taken from the kernel at a time.
const EVENTS: usize = 512;

/// What a socket is watched for. Every change is told once (edge-triggered).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Interest {
    /// Connections to accept, told to one of the pollers that wait for them rather than to all
    /// (`EPOLLEXCLUSIVE`).
    Accept,
    /// Something to read.
    Read,
    /// Something to read, or room to write.
    Both,
}

impl Interest {
    const fn flags(self) -> EventFlags {
        let read = EventFlags::ET.union(EventFlags::IN);
        match self {
            Self::Accept => read.union(EventFlags::EXCLUSIVE),
            Self::Read => read.union(EventFlags::RDHUP),
            Self::Both => read.union(EventFlags::RDHUP).union(EventFlags::OUT),
        }
    }
}

/// What has become of a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// What it was registered under.
    pub(super) token: u64,
    flags: EventFlags,
}

impl Event {
    pub(super) const fn is_readable(self) -> bool {
        self.flags.intersects(EventFlags::IN.union(EventFlags::PRI))
    }

    pub(super) const fn is_writable(self) -> bool {
        self.flags.contains(EventFlags::OUT)
    }

    /// The peer will send no more.
    pub(super) const fn is_read_closed(self) -> bool {
        self.flags.contains(EventFlags::HUP)
            || self.flags.contains(EventFlags::IN.union(EventFlags::RDHUP))
    }

    pub(super) const fn is_error(self) -> bool {
        self.flags.contains(EventFlags::ERR)
    }

    /// There is no connection, or none any more.
    pub(super) const fn is_broken(self) -> bool {
        self.flags.intersects(EventFlags::ERR.union(EventFlags::HUP))
    }
}

/// An epoll instance. What is closed leaves it by itself, unless the socket is shared.
pub(super) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    pub(super) fn add(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        let data = EventData::new_u64(token);
        Ok(epoll::add(&self.epoll, source, data, interest.flags())?)
    }

    /// Changes the interest; what is the case already is told again.
    pub(super) fn modify(
        &self,
        source: impl AsFd,
        token: u64,
        interest: Interest,
    ) -> io::Result<()> {
        let data = EventData::new_u64(token);
        Ok(epoll::modify(&self.epoll, source, data, interest.flags())?)
    }

    /// For sockets that others have open too: closing one copy does not end the watching.
    pub(super) fn remove(&self, source: impl AsFd) {
        // Fails only if it is not watched.
        let _ = epoll::delete(&self.epoll, source);
    }

    /// Waits for events, at most for `limit`, and puts them into `events` in place of the former.
    pub(super) fn wait(&self, events: &mut Events, limit: Option<Duration>) -> io::Result<()> {
        events.list.clear();
        // A limit too long for the type is no limit.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match epoll::wait(&self.epoll, spare_capacity(&mut events.list), limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Room for events.
pub(super) struct Events {
    list: Vec<epoll::Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self { list: Vec::with_capacity(EVENTS) }
    }
}

impl Events {
    pub(super) fn iter(&self) -> impl Iterator<Item = Event> {
        self.list.iter().map(|&epoll::Event { flags, data }| Event { token: data.u64(), flags })
    }
}

/// Ends another thread's wait.
pub(super) struct Waker {
    counter: OwnedFd,
}

impl Waker {
    pub(super) fn new(poller: &Poller, token: u64) -> io::Result<Self> {
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        poller.add(&counter, token, Interest::Read)?;
        Ok(Self { counter })
    }

    pub(super) fn wake(&self) {
        // The counter is never read: each addition is an event of its own. It overflows after
        // 2^64 of them.
        let _ = rustix::io::write(&self.counter, &1_u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(poller: &Poller) -> Vec<u64> {
        let mut events = Events::default();
        poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().map(|event| event.token).collect()
    }

    #[test]
    fn every_wake_is_told_once() {
        let poller = Poller::new().unwrap();
        let waker = Waker::new(&poller, 7).unwrap();
        assert!(tokens(&poller).is_empty());
        for _ in 0..3 {
            waker.wake();
            assert_eq!(tokens(&poller), [7]);
            assert!(tokens(&poller).is_empty());
        }
    }
}
