//! The UDP clients: each keeps a window of datagrams on the way.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use socket2::SockRef;

use crate::Outcome;
use crate::measure::{self, Run};

const CLIENTS: usize = 32;

/// Datagrams each client has on the way.
const WINDOW: usize = 8;

/// After so long a silence what is on the way counts as lost.
const SILENCE: Duration = Duration::from_millis(200);

/// How long what counts as lost may still come at the end.
const GRACE: Duration = Duration::from_millis(500);

struct Client {
    socket: UdpSocket,
    on_the_way: usize,
    /// When it last counted what was on the way as lost. What was sent before and comes after all
    /// is late.
    gave_up: Option<Duration>,
}

/// What became of the clients' datagrams.
#[derive(Default)]
struct Answers {
    latencies: Vec<Duration>,
    lost: usize,
}

/// What the clients saw, and how many answers their own sockets had no room for.
pub(crate) struct Seen {
    pub(crate) run: Run,
    pub(crate) overruns: usize,
}

/// Sends `total` datagrams of 64 bytes to `target` and waits for their echo.
pub(crate) fn run(target: SocketAddr, total: usize) -> Outcome<Seen> {
    let mut poll = Poll::new()?;
    let mut clients = (0..CLIENTS).map(|index| client(&poll, index, target));
    let mut clients = clients.by_ref().collect::<Outcome<Vec<_>>>()?;
    let started = Instant::now();
    let mut events = Events::with_capacity(CLIENTS);
    let mut sent = 0;
    let mut answers = Answers { latencies: Vec::with_capacity(total), lost: 0 };
    clients.iter_mut().for_each(|client| client.refill(started, &mut sent, total));
    while answers.latencies.len() + answers.lost < total {
        poll.poll(&mut events, Some(SILENCE))?;
        if events.is_empty() {
            answers.lost += clients.iter_mut().map(|client| client.give_up(started)).sum::<usize>();
            clients.iter_mut().for_each(|client| client.refill(started, &mut sent, total));
        }
        for event in &events {
            let client = &mut clients[event.token().0];
            client.drain(started, &mut answers)?;
            client.refill(started, &mut sent, total);
        }
    }
    let elapsed = started.elapsed();
    let overruns = match answers.lost {
        0 => 0,
        _ => await_late(&mut clients, started, &mut answers)?,
    };
    let run = Run::new(elapsed, answers.latencies, total * 64, answers.lost);
    Ok(Seen { run, overruns })
}

/// Waits for what was given up too early. Returns what the clients' sockets had no room for.
fn await_late(clients: &mut [Client], started: Instant, answers: &mut Answers) -> Outcome<usize> {
    std::thread::sleep(GRACE);
    clients.iter_mut().try_for_each(|client| client.drain(started, answers))?;
    let ports = clients.iter().map(|client| Ok(client.socket.local_addr()?.port()));
    Ok(measure::overruns(&ports.collect::<Outcome<Vec<_>>>()?))
}

fn client(poll: &Poll, index: usize, target: SocketAddr) -> Outcome<Client> {
    let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    SockRef::from(&socket).set_recv_buffer_size(measure::RECEIVE_BUFFER)?;
    socket.connect(target)?;
    poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
    Ok(Client { socket, on_the_way: 0, gave_up: None })
}

impl Client {
    /// The datagram carries when it was sent.
    fn refill(&mut self, started: Instant, sent: &mut usize, total: usize) {
        while self.on_the_way < WINDOW && *sent < total {
            let mut datagram = [0; 64];
            let now = u64::try_from(started.elapsed().as_nanos()).expect("a short run");
            datagram[..8].copy_from_slice(&now.to_le_bytes());
            let _ = self.socket.send(&datagram);
            self.on_the_way += 1;
            *sent += 1;
        }
    }

    /// Counts what is on the way as lost.
    fn give_up(&mut self, started: Instant) -> usize {
        self.gave_up = Some(started.elapsed());
        std::mem::take(&mut self.on_the_way)
    }

    fn drain(&mut self, started: Instant, answers: &mut Answers) -> Outcome<()> {
        let mut datagram = [0; 64];
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(_) => {
                    let (stamp, _) = datagram.split_first_chunk::<8>().expect("64 bytes");
                    let sent = Duration::from_nanos(u64::from_le_bytes(*stamp));
                    answers.latencies.push(started.elapsed().saturating_sub(sent));
                    match self.gave_up.is_some_and(|gave_up| sent < gave_up) {
                        true => answers.lost = answers.lost.saturating_sub(1),
                        false => self.on_the_way = self.on_the_way.saturating_sub(1),
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
