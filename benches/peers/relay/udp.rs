//! The UDP clients: each keeps a window of datagrams on the way.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::Outcome;
use crate::measure::Run;

const CLIENTS: usize = 32;

/// Datagrams each client has on the way.
const WINDOW: usize = 8;

/// After so long a silence what is on the way counts as lost.
const SILENCE: Duration = Duration::from_millis(200);

struct Client {
    socket: UdpSocket,
    on_the_way: usize,
}

/// Sends `total` datagrams of 64 bytes to `target` and waits for their echo.
pub(crate) fn run(target: SocketAddr, total: usize) -> Outcome<Run> {
    let mut poll = Poll::new()?;
    let mut clients = (0..CLIENTS).map(|index| client(&poll, index, target));
    let mut clients = clients.by_ref().collect::<Outcome<Vec<_>>>()?;
    let started = Instant::now();
    let mut events = Events::with_capacity(CLIENTS);
    let (mut sent, mut latencies, mut lost) = (0, Vec::with_capacity(total), 0);
    clients.iter_mut().for_each(|client| client.refill(started, &mut sent, total));
    while latencies.len() + lost < total {
        poll.poll(&mut events, Some(SILENCE))?;
        if events.is_empty() {
            lost += clients.iter_mut().map(|c| std::mem::take(&mut c.on_the_way)).sum::<usize>();
            clients.iter_mut().for_each(|client| client.refill(started, &mut sent, total));
        }
        for event in &events {
            let client = &mut clients[event.token().0];
            client.drain(started, &mut latencies)?;
            client.refill(started, &mut sent, total);
        }
    }
    // The silence in which losses are noticed is not the relay's.
    Ok(Run::new(started.elapsed(), latencies, total * 64, lost))
}

fn client(poll: &Poll, index: usize, target: SocketAddr) -> Outcome<Client> {
    let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.connect(target)?;
    poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
    Ok(Client { socket, on_the_way: 0 })
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

    fn drain(&mut self, started: Instant, latencies: &mut Vec<Duration>) -> Outcome<()> {
        let mut datagram = [0; 64];
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(_) => {
                    let (stamp, _) = datagram.split_first_chunk::<8>().expect("64 bytes");
                    let sent = Duration::from_nanos(u64::from_le_bytes(*stamp));
                    latencies.push(started.elapsed().saturating_sub(sent));
                    self.on_the_way = self.on_the_way.saturating_sub(1);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
