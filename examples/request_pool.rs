//! Requests of a program's own, spread over servers by a scheduler: no virtual service, no daemon.
//!
//! Three servers listen on loopback addresses. Twelve threads ask them for something, one line at a
//! time, through a client that keeps connections open and lets wrr decide whose turn it is. In the
//! middle one server is taken out softly and another stops answering; no request is lost.
//!
//! ```text
//! cargo run --example request_pool
//! ```

#![allow(clippy::disallowed_methods, reason = "an example opens sockets")]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use piranha::ipvs::Thresholds;
use piranha::net::Weight;
use piranha::scheduler::{self, Flow, Pool, ServerId};

/// Threads that ask, and requests of each.
const CLIENTS: usize = 12;
const REQUESTS: usize = 50;

/// Asks one of several servers, and keeps connections for the next time.
struct Client {
    state: Mutex<State>,
}

struct State {
    pool: Pool,
    idle: BTreeMap<ServerId, Vec<Connection>>,
}

type Connection = BufReader<TcpStream>;

impl Client {
    fn new(scheduler: &str) -> Option<Self> {
        let pool = Pool::new(scheduler::by_name(scheduler)?);
        Some(Self { state: Mutex::new(State { pool, idle: BTreeMap::new() }) })
    }

    fn add(&self, address: SocketAddr, weight: Weight) -> ServerId {
        self.state().pool.add(address, weight, Thresholds::NONE)
    }

    /// No new requests for `server`; those on their way go on.
    fn quiesce(&self, server: ServerId) {
        let mut state = self.state();
        state.pool.edit(server, Weight::ZERO, Thresholds::NONE);
        state.idle.remove(&server);
    }

    /// Sends a line and gives the answer. A server that fails gets no more, and the request goes to
    /// another.
    fn ask(&self, line: &str) -> io::Result<String> {
        loop {
            let (server, address, kept) = self.choose()?;
            let answer = exchange(address, kept, line);
            let mut state = self.state();
            state.pool.close(server);
            match answer {
                Ok((answer, connection)) => {
                    state.idle.entry(server).or_default().push(connection);
                    return Ok(answer);
                }
                Err(_) => {
                    drop(state);
                    self.quiesce(server);
                }
            }
        }
    }

    /// The scheduler's choice, which counts as busy from now on, and a connection to it if there is
    /// one.
    fn choose(&self) -> io::Result<(ServerId, SocketAddr, Option<Connection>)> {
        let mut state = self.state();
        let server = state.pool.pick(&Flow::default());
        let server = server.ok_or_else(|| io::Error::other("no server may take a request"))?;
        state.pool.open(server);
        let address = state.pool.get(server).map(scheduler::Server::address);
        let address = address.ok_or_else(|| io::Error::other("the server is gone"))?;
        let kept = state.idle.get_mut(&server).and_then(Vec::pop);
        Ok((server, address, kept))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn exchange(
    address: SocketAddr,
    kept: Option<Connection>,
    line: &str,
) -> io::Result<(String, Connection)> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => BufReader::new(TcpStream::connect(address)?),
    };
    connection.get_mut().write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    if connection.read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((answer.trim_end().to_owned(), connection))
}

/// A server that answers each line with its name, until it is told to fail.
struct NamedServer {
    address: SocketAddr,
    fails: Arc<AtomicBool>,
}

impl NamedServer {
    fn start(name: &'static str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self { address: listener.local_addr()?, fails: Arc::default() };
        let fails = Arc::clone(&server.fails);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let fails = Arc::clone(&fails);
                thread::spawn(move || serve(&stream, name, &fails));
            }
        });
        Ok(server)
    }
}

fn serve(stream: &TcpStream, name: &str, fails: &AtomicBool) -> io::Result<()> {
    for line in BufReader::new(stream).lines() {
        line?;
        if fails.load(Ordering::Relaxed) {
            return Ok(());
        }
        { stream }.write_all(format!("{name}\n").as_bytes())?;
    }
    Ok(())
}

/// How many answers came from whom: at first, and when `small` was quiesced and `old` had failed.
type Shares = BTreeMap<String, usize>;

fn run() -> io::Result<(Shares, Shares)> {
    let big = NamedServer::start("big")?;
    let small = NamedServer::start("small")?;
    let old = NamedServer::start("old")?;
    let client = Client::new("wrr").ok_or_else(|| io::Error::other("no such scheduler"))?;
    let weight = |weight| Weight::new(weight).map_err(io::Error::other);
    client.add(big.address, weight(4)?);
    let softly = client.add(small.address, weight(1)?);
    client.add(old.address, weight(1)?);

    let before = ask_from_all_sides(&client)?;
    client.quiesce(softly);
    old.fails.store(true, Ordering::Relaxed);
    let after = ask_from_all_sides(&client)?;
    Ok((before, after))
}

fn ask_from_all_sides(client: &Client) -> io::Result<Shares> {
    let ask = || (0..REQUESTS).map(|_| client.ask("who are you?")).collect::<io::Result<Vec<_>>>();
    let answers = thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a client panicked")))
        };
        threads.into_iter().map(join).collect::<io::Result<Vec<_>>>()
    })?;
    let mut shares = Shares::new();
    for name in answers.into_iter().flatten() {
        *shares.entry(name).or_default() += 1;
    }
    Ok(shares)
}

fn main() -> io::Result<()> {
    let (before, after) = run()?;
    println!("{} requests each time, weights big 4, small 1, old 1", CLIENTS * REQUESTS);
    println!("all three up:                {before:?}");
    println!("small quiesced, old failing: {after:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_is_lost_and_who_is_out_answers_none() {
        let (before, after) = run().unwrap();
        let shares = |shares: &[(&str, usize)]| -> Shares {
            shares.iter().map(|&(name, share)| (name.to_owned(), share)).collect()
        };
        assert_eq!(before, shares(&[("big", 400), ("small", 100), ("old", 100)]));
        assert_eq!(after, shares(&[("big", 600)]));
    }
}
