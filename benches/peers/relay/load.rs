//! The clients: one thread, all connections at once.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Outcome;
use crate::measure::Run;

/// Bytes of a request; the first eight are the size of the answer.
pub(crate) const REQUEST: usize = 64;

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Kinds of work.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Work {
    Connect,
    Request,
    Bulk,
    Datagram,
}

/// What the clients do.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// At the same time.
    pub(crate) clients: usize,
    /// Requests of all of them together.
    pub(crate) total: usize,
    /// Whether a connection serves for more than one request.
    pub(crate) keep: bool,
    /// Bytes of an answer.
    pub(crate) size: usize,
}

pub(crate) fn request(size: usize) -> [u8; REQUEST] {
    let mut request = [b'r'; REQUEST];
    request[..8].copy_from_slice(&(size as u64).to_le_bytes());
    request
}

pub(crate) fn requested(request: &[u8; REQUEST]) -> usize {
    let (size, _) = request.split_first_chunk::<8>().expect("64 bytes");
    usize::try_from(u64::from_le_bytes(*size)).expect("64 bits")
}

/// Carries `plan` out against `target`. An error of any connection is an error of the whole.
pub(crate) fn run(target: SocketAddr, plan: Plan) -> Outcome<Run> {
    Load::new(target, plan)?.run()
}

/// Opens `count` connections with one request each.
pub(crate) fn open(target: SocketAddr, count: usize) -> Outcome<Vec<std::net::TcpStream>> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = std::net::TcpStream::connect(target)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&request(128))?;
        stream.read_exact(&mut [0; 128])?;
        open.push(stream);
    }
    Ok(open)
}

struct Load {
    poll: Poll,
    target: SocketAddr,
    plan: Plan,
    clients: Vec<Client>,
    begun: usize,
    latencies: Vec<Duration>,
    buffer: Box<[u8]>,
}

struct Client {
    stream: Option<TcpStream>,
    started: Instant,
    asked: bool,
    left: usize,
}

impl Load {
    fn new(target: SocketAddr, plan: Plan) -> Outcome<Self> {
        Ok(Self {
            poll: Poll::new()?,
            target,
            plan,
            clients: Vec::new(),
            begun: 0,
            latencies: Vec::with_capacity(plan.total),
            buffer: vec![0; 256 * 1024].into_boxed_slice(),
        })
    }

    fn run(mut self) -> Outcome<Run> {
        let started = Instant::now();
        for index in 0..self.plan.clients.min(self.plan.total) {
            let client = Client { stream: None, started, asked: false, left: 0 };
            self.clients.push(client);
            self.next(index)?;
        }
        let mut events = Events::with_capacity(512);
        while self.latencies.len() < self.plan.total {
            self.poll.poll(&mut events, Some(PATIENCE))?;
            if events.is_empty() {
                return Err(format!("{}: nothing has happened for long", self.target).into());
            }
            for event in &events {
                self.turn(event.token().0)?;
            }
        }
        let bytes = self.plan.total * self.plan.size;
        Ok(Run::new(started.elapsed(), self.latencies, bytes, 0))
    }

    /// Begins the client's next request, if there is one.
    fn next(&mut self, index: usize) -> Outcome<()> {
        let client = &mut self.clients[index];
        client.asked = false;
        client.left = self.plan.size;
        if !self.plan.keep {
            client.stream = None;
        }
        if self.begun == self.plan.total {
            client.stream = None;
            return Ok(());
        }
        self.begun += 1;
        client.started = Instant::now();
        match &client.stream {
            Some(_) => self.turn(index),
            None => self.connect(index),
        }
    }

    fn connect(&mut self, index: usize) -> Outcome<()> {
        let mut stream = TcpStream::connect(self.target)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(index), both)?;
        self.clients[index].stream = Some(stream);
        Ok(())
    }

    fn turn(&mut self, index: usize) -> Outcome<()> {
        let client = &mut self.clients[index];
        let Some(stream) = &mut client.stream else {
            return Ok(());
        };
        if !client.asked {
            match stream.write(&request(self.plan.size)) {
                Ok(REQUEST) => client.asked = true,
                Ok(_) => return Err("a request was cut".into()),
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) => return Err(format!("{}: {error}", self.target).into()),
            }
            return Ok(());
        }
        while client.left > 0 {
            let size = client.left.min(self.buffer.len());
            match stream.read(&mut self.buffer[..size]) {
                Ok(0) => return Err("an answer was cut".into()),
                Ok(count) => client.left -= count,
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) => return Err(format!("{}: {error}", self.target).into()),
            }
        }
        self.latencies.push(client.started.elapsed());
        self.next(index)
    }
}

fn would_block(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
