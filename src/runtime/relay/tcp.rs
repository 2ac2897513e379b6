//! TCP connections: one accepted, one dialed, and a channel each way between them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use super::cell::{Lease, Place};
use super::ftp::ControlState;
use super::pipes::{Pipe, Pipes};
use super::poller::Event;
use crate::ipvs::Counters;
use crate::scheduler::Flow;
use crate::time::Instant;

/// How much one read copies at most. A read that fills it marks the direction as bulk.
pub(super) const SCRATCH: usize = 16 * 1024;

/// What fits a segment wherever IPv6 or Ethernet goes.
const ONE_SEGMENT: usize = 1220;

/// Rounds of reading and writing one direction gets at most before others have their turn.
const ROUNDS: usize = 16;

/// Bytes after which others have their turn.
const TURN: u64 = 1024 * 1024;

/// What the connections of one worker share.
pub(super) struct Kit {
    pub(super) scratch: Box<[u8]>,
    pub(super) pipes: Pipes,
}

impl Kit {
    /// One worker's among `workers`.
    pub(super) fn new(workers: usize) -> Self {
        Self { scratch: vec![0; SCRATCH].into_boxed_slice(), pipes: Pipes::new(workers) }
    }
}

/// One of a session's two sockets and what epoll last said about it.
pub(super) struct Side {
    pub(super) stream: TcpStream,
    readable: bool,
    writable: bool,
    /// The peer's FIN has been announced: read on until it is reached, no further event comes.
    read_closed: bool,
    /// Whether epoll would tell of room to write.
    write_watched: bool,
    /// Whether `TCP_NODELAY` is set.
    prompt: bool,
    /// Whether `SO_KEEPALIVE` is set.
    kept_alive: bool,
    /// Whether something has been sent.
    used: bool,
}

impl Side {
    /// An accepted socket, which has its listener's options.
    pub(super) const fn accepted(stream: TcpStream) -> Self {
        Self {
            stream,
            readable: false,
            writable: true,
            read_closed: false,
            write_watched: false,
            prompt: true,
            kept_alive: true,
            used: false,
        }
    }

    /// A socket whose connection attempt has begun.
    pub(super) const fn connecting(stream: TcpStream) -> Self {
        Self {
            stream,
            readable: false,
            writable: false,
            read_closed: false,
            write_watched: true,
            prompt: false,
            kept_alive: false,
            used: false,
        }
    }

    /// Whether it must be watched for room to write and is not yet; it counts as watched then.
    pub(super) const fn must_watch_writing(&mut self) -> bool {
        let must = !self.writable && !self.write_watched;
        self.write_watched |= must;
        must
    }

    /// Takes it for readable before epoll has said anything.
    pub(super) const fn assume_readable(&mut self) {
        self.readable = true;
    }

    pub(super) fn keep_alive(&mut self) {
        if !std::mem::replace(&mut self.kept_alive, true) {
            // Without it a dead peer is found out by the idle timeout.
            let _ = SockRef::from(&self.stream).set_keepalive(true);
        }
    }

    /// Sets `TCP_NODELAY` unless what comes next leaves at once in any case: the first bytes of a
    /// connection if they fit one segment.
    fn be_prompt(&mut self, next: usize) {
        if !self.prompt && (self.used || next > ONE_SEGMENT) {
            self.prompt = true;
            // Without it bytes may be late, and none is lost.
            let _ = self.stream.set_nodelay(true);
        }
        self.used = true;
    }

    pub(super) const fn is_writable(&self) -> bool {
        self.writable
    }

    pub(super) fn note(&mut self, event: Event) {
        let failed = event.is_error();
        self.readable |= event.is_readable() || event.is_read_closed() || failed;
        self.writable |= event.is_writable() || failed;
        self.read_closed |= event.is_read_closed();
    }

    /// Reads what fits; `None` if there is nothing to read now.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(buffer) {
                Ok(count) => {
                    // A short read has emptied the socket (epoll(7)): the next byte is an event.
                    self.readable = count == buffer.len() || self.read_closed;
                    return Ok(Some(count));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.readable = false;
                    return nothing_now(error);
                }
            }
        }
    }

    /// Writes what fits, and returns how much that was.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        if !bytes.is_empty() {
            self.be_prompt(bytes.len());
        }
        while self.writable && written < bytes.len() {
            match self.stream.write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.writable = false;
                    nothing_now(error)?;
                }
            }
        }
        Ok(written)
    }
}

fn nothing_now(error: io::Error) -> io::Result<Option<usize>> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(None),
        _ => Err(error),
    }
}

/// Closes with a reset, so that the peer learns that something went wrong.
pub(super) fn reset(stream: TcpStream) {
    // Without the option the peer sees an orderly end instead; there is nothing better to do.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

/// One direction of a session.
///
/// Holds at most one scratch buffer or one pipe of bytes that the far side has not taken yet, and
/// reads no more until it has: back-pressure reaches the sender through its TCP window.
#[derive(Default)]
pub(super) struct Channel {
    pending: Vec<u8>,
    sent: usize,
    pipe: Option<Pipe>,
    bulk: bool,
    ended: bool,
    finished: bool,
    uncounted: u64,
}

impl Channel {
    /// Whether the sender's FIN has been passed on.
    pub(super) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether the sender's FIN has been read.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Bytes passed on since the last call.
    fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted)
    }

    /// Moves bytes until one side blocks, the stream ends or the turn is over. `true` if there is
    /// more to do at once.
    /// `last`: the other direction has ended.
    fn pump(
        &mut self,
        from: &mut Side,
        to: &mut Side,
        kit: &mut Kit,
        last: bool,
    ) -> io::Result<bool> {
        let turn_ends = self.uncounted + TURN;
        for _ in 0..ROUNDS {
            if self.uncounted >= turn_ends {
                break;
            }
            if self.finished || !self.flush(to)? {
                return Ok(false);
            }
            if self.ended {
                match last {
                    true => self.finish_by_closing(),
                    false => self.finish(to),
                }
                self.release_pipe(&mut kit.pipes);
                return Ok(false);
            }
            if !from.readable {
                self.release_pipe(&mut kit.pipes);
                return Ok(false);
            }
            self.fill(from, to, kit)?;
        }
        Ok(true)
    }

    /// Sends what is waiting. `true` if the far side can take more.
    pub(super) fn flush(&mut self, to: &mut Side) -> io::Result<bool> {
        if self.sent < self.pending.len() {
            let count = to.write(&self.pending[self.sent..])?;
            self.sent += count;
            self.uncounted += count as u64;
        }
        if self.sent == self.pending.len() {
            self.pending = Vec::new();
            self.sent = 0;
        }
        while let Some(pipe) = self.pipe.as_mut().filter(|pipe| !pipe.is_empty()) {
            if !to.writable {
                return Ok(false);
            }
            to.be_prompt(usize::MAX);
            match pipe.empty(&to.stream) {
                Ok(count) => self.uncounted += count as u64,
                Err(error) => {
                    to.writable = false;
                    nothing_now(error)?;
                }
            }
        }
        Ok(to.writable && self.pending.is_empty())
    }

    /// Passes the end of the stream on; the other direction goes on.
    pub(super) fn finish(&mut self, to: &Side) {
        // Fails only if the far side is gone, which its own events will tell.
        let _ = to.stream.shutdown(Shutdown::Write);
        self.finished = true;
    }

    /// The other direction has ended too: closing the sockets says so to both sides.
    const fn finish_by_closing(&mut self) {
        self.finished = true;
    }

    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Reads into the scratch buffer, notes the end of the stream, returns how much was read.
    pub(super) fn read(&mut self, from: &mut Side, scratch: &mut [u8]) -> io::Result<usize> {
        if self.ended || !from.readable {
            return Ok(0);
        }
        let count = from.read(scratch)?;
        self.ended = count == Some(0);
        Ok(count.unwrap_or(0))
    }

    fn fill(&mut self, from: &mut Side, to: &mut Side, kit: &mut Kit) -> io::Result<()> {
        if self.bulk && self.pipe.is_none() {
            self.pipe = kit.pipes.take();
        }
        match &mut self.pipe {
            Some(pipe) => match pipe.fill(&from.stream) {
                Ok(count) => self.ended = count == 0,
                Err(error) => {
                    from.readable = false;
                    nothing_now(error)?;
                }
            },
            None => self.copy(from, to, &mut kit.scratch)?,
        }
        Ok(())
    }

    fn copy(&mut self, from: &mut Side, to: &mut Side, scratch: &mut [u8]) -> io::Result<()> {
        let count = self.read(from, scratch)?;
        self.bulk = count == scratch.len();
        let written = to.write(&scratch[..count])?;
        self.uncounted += written as u64;
        self.queue(&scratch[written..count]);
        Ok(())
    }

    fn release_pipe(&mut self, pipes: &mut Pipes) {
        self.bulk = false;
        if let Some(pipe) = self.pipe.take() {
            pipes.give_back(pipe);
        }
    }
}

/// What becomes of a session.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It waits for an event.
    Wait,
    /// It has more to do at once.
    Again,
    /// Both directions have ended.
    Done,
    /// Something is broken: reset both sides.
    Reset,
    /// The server did not take it.
    DialFailed,
}

/// What kind of connection a session is.
pub(super) enum Kind {
    /// A client's connection to a service.
    Plain,
    /// A client's FTP control connection.
    Control(Box<ControlState>),
    /// An FTP data connection. `from_client`: the client made it (passive mode).
    Data { from_client: bool },
}

/// Where a session is in its life.
pub(super) enum Phase {
    /// Waiting for the far side to take the connection.
    Dialing(Dialing),
    /// Both sides are there.
    Relaying,
}

/// A connection attempt.
pub(super) struct Dialing {
    pub(super) flow: Flow,
    /// Servers that have failed this client.
    pub(super) tried: Vec<SocketAddr>,
    pub(super) deadline: Instant,
    /// What the server is to get first.
    pub(super) header: Vec<u8>,
}

impl Dialing {
    /// Its deadline is set when it begins.
    pub(super) const fn new(flow: Flow, tried: Vec<SocketAddr>, header: Vec<u8>) -> Self {
        Self { flow, tried, deadline: Instant::ZERO, header }
    }
}

/// One relayed connection.
pub(super) struct Session {
    /// The connection that came in: the client's, or the server's in active FTP.
    pub(super) accepted: Side,
    /// The connection made for it.
    pub(super) dialed: Side,
    pub(super) forth: Channel,
    pub(super) back: Channel,
    pub(super) phase: Phase,
    pub(super) kind: Kind,
    pub(super) lease: Lease,
    /// A client's; FTP data connections have none.
    place: Option<Place>,
    pub(super) last_active: Instant,
    /// Whether it waits for its turn on the ready list.
    pub(super) queued: bool,
}

impl Session {
    pub(super) fn new(
        accepted: TcpStream,
        dialed: TcpStream,
        lease: Lease,
        kind: Kind,
        dialing: Dialing,
        now: Instant,
    ) -> Self {
        Self {
            accepted: Side::accepted(accepted),
            dialed: Side::connecting(dialed),
            forth: Channel::default(),
            back: Channel::default(),
            phase: Phase::Dialing(dialing),
            kind,
            lease,
            place: None,
            last_active: now,
            queued: false,
        }
    }

    /// Keeps `place` until it ends.
    pub(super) fn with_place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Moves bytes both ways. When one direction breaks, the other still gets its turn: a server
    /// that answers early and closes resets the request's direction, not the answer's.
    pub(super) fn relay(&mut self, kit: &mut Kit) -> Verdict {
        let (forth, back) = (&mut self.forth, &mut self.back);
        let forth_done = forth.pump(&mut self.accepted, &mut self.dialed, kit, back.is_finished());
        let back_done = back.pump(&mut self.dialed, &mut self.accepted, kit, forth.is_finished());
        match (forth_done, back_done) {
            (Ok(forth), Ok(back)) => self.verdict(forth || back),
            (Err(_), _) | (_, Err(_)) => {
                self.count();
                Verdict::Reset
            }
        }
    }

    /// Counts what has passed and judges what is next.
    pub(super) fn verdict(&mut self, more: bool) -> Verdict {
        self.count();
        match (self.forth.is_finished(), self.back.is_finished()) {
            (true, true) => return Verdict::Done,
            (false, false) => {}
            (true, false) | (false, true) => self.lease.deactivate(),
        }
        if more { Verdict::Again } else { Verdict::Wait }
    }

    pub(super) fn count(&mut self) {
        let (forth, back) = (self.forth.take_count(), self.back.take_count());
        if forth + back == 0 {
            return;
        }
        let (bytes_in, bytes_out) = match self.kind {
            Kind::Data { from_client: false } => (back, forth),
            Kind::Plain | Kind::Control(_) | Kind::Data { from_client: true } => (forth, back),
        };
        self.lease.transferred(Counters { bytes_in, bytes_out, ..Counters::default() });
    }

    /// Ends it in order; pipes go back to the pool.
    pub(super) fn close(mut self, pipes: &mut Pipes) {
        self.forth.release_pipe(pipes);
        self.back.release_pipe(pipes);
    }

    /// Ends it with a reset to both sides.
    pub(super) fn abort(mut self, pipes: &mut Pipes) {
        self.forth.release_pipe(pipes);
        self.back.release_pipe(pipes);
        reset(self.accepted.stream);
        reset(self.dialed.stream);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn dialed() -> (Side, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut side = Side::connecting(stream);
        side.writable = true;
        (side, listener.accept().unwrap().0)
    }

    #[test]
    fn nothing_but_a_first_short_write_leaves_without_nodelay() {
        let (mut short, _peer) = dialed();
        short.write(b"first").unwrap();
        assert!(!short.stream.nodelay().unwrap(), "the first bytes leave at once in any case");
        short.write(b"second").unwrap();
        assert!(short.stream.nodelay().unwrap());

        let (mut long, _peer) = dialed();
        long.write(&[0; 2000]).unwrap();
        assert!(long.stream.nodelay().unwrap());
    }
}
