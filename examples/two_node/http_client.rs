//! HTTP clients that put load on the VIP and write down what became of every request.
//!
//! Each request has a connection of its own, as the director schedules connections, and is made
//! exactly once: a client that tried again on its own would hide what the example measures.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::ledger::{Failure, Ledger, Outcome, Sender};

/// The longest answer a client reads.
const ANSWER_LIMIT: usize = 64 * 1024;
/// The prober's pause between two requests: the resolution with which gaps are measured.
const PROBE_PACE: Duration = Duration::from_millis(1);

/// The load: how many clients ask for what, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The web service: the VIP and its port.
    pub(crate) vip: SocketAddr,
    /// Clients working at the same time, the prober not counted.
    pub(crate) clients: usize,
    /// The time from one request of a client to its next.
    pub(crate) pace: Duration,
    /// What the clients ask for; the prober asks for `/`.
    pub(crate) path: String,
    /// How long a client waits for a connection and the whole answer together.
    pub(crate) timeout: Duration,
}

/// Clients at work. They stop, after the request each is in, when this is dropped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Sends the clients and the prober to work.
    ///
    /// # Errors
    /// When a thread cannot be started; those started before have stopped again.
    pub(crate) fn start(settings: &Settings, ledger: &Arc<Ledger>) -> io::Result<Self> {
        let mut load = Self { stop: Arc::default(), threads: Vec::new() };
        let probes = Settings { pace: PROBE_PACE, path: "/".to_owned(), ..settings.clone() };
        load.add(Sender::Prober, Duration::ZERO, probes, ledger)?;
        for index in 0..settings.clients {
            // Spread over the pace: clients that all asked at once would come in bursts.
            let delay = spread(settings.pace, index, settings.clients);
            load.add(Sender::Client, delay, settings.clone(), ledger)?;
        }
        Ok(load)
    }

    /// Lets every client finish its request and go home.
    pub(crate) fn stop(self) {
        drop(self);
    }

    fn add(
        &mut self,
        sender: Sender,
        delay: Duration,
        settings: Settings,
        ledger: &Arc<Ledger>,
    ) -> io::Result<()> {
        let (stop, ledger) = (Arc::clone(&self.stop), Arc::clone(ledger));
        let thread = thread::Builder::new().name(format!("{sender:?}")).spawn(move || {
            thread::sleep(delay);
            while !stop.load(Ordering::Relaxed) {
                let started = Instant::now();
                let outcome = get(settings.vip, &settings.path, settings.timeout);
                ledger.record(sender, started, Instant::now(), outcome);
                thread::sleep(settings.pace.saturating_sub(started.elapsed()));
            }
        })?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A client that panicked has nothing more to say than the requests it made.
            let _ = thread.join();
        }
    }
}

fn spread(pace: Duration, index: usize, count: usize) -> Duration {
    let part = |number| u32::try_from(number).unwrap_or(u32::MAX);
    pace * part(index) / part(count.max(1))
}

/// Makes one request and returns the name of the server that answered it.
///
/// # Errors
/// Why there was no proper answer within `timeout`.
pub(crate) fn get(server: SocketAddr, path: &str, timeout: Duration) -> Outcome {
    let deadline = Instant::now() + timeout;
    let answer = exchange(server, path, deadline).map_err(|error| classify(&error))?;
    understand(&answer)
}

fn exchange(server: SocketAddr, path: &str, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, left(deadline)?)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    read_to_end(&mut stream, deadline)
}

/// Reads until the server closes, which it does because the request asked for it.
fn read_to_end(stream: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut buffer = vec![0; 4096];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(answer);
        }
        answer.extend_from_slice(&buffer[..count]);
        if answer.len() > ANSWER_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// The time until `deadline`, which must not be zero: to a socket that means no timeout at all.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

fn classify(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Failure::Reset,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Failure::TimedOut,
        io::ErrorKind::InvalidData => Failure::BadAnswer,
        _ => Failure::Other,
    }
}

/// Takes the server's name out of a complete answer with status 200.
fn understand(answer: &[u8]) -> Outcome {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(answer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err(Failure::CutShort),
        Err(_) => return Err(Failure::BadAnswer),
    };
    if head.code != Some(200) {
        return Err(Failure::BadAnswer);
    }
    let field = |name: &str| {
        let found = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        let text = found.and_then(|field| str::from_utf8(field.value).ok());
        text.ok_or(Failure::BadAnswer)
    };
    let announced: usize = field("content-length")?.parse().or(Err(Failure::BadAnswer))?;
    match (answer.len() - length).cmp(&announced) {
        std::cmp::Ordering::Less => Err(Failure::CutShort),
        std::cmp::Ordering::Equal => field("x-server").map(str::to_owned),
        std::cmp::Ordering::Greater => Err(Failure::BadAnswer),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::web_server;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// Starts a server on a free port; its thread lives as long as the test process.
    fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || web_server::serve(&listener, "web7"));
        address
    }

    /// A server that answers its only client with `answer`, whatever was asked.
    fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let _ = client.read(&mut [0; 1024]);
            let _ = client.write_all(answer);
        });
        address
    }

    #[test]
    fn an_answer_names_its_server() {
        assert_eq!(get(start(), "/", TIMEOUT), Ok("web7".to_owned()));
        assert_eq!(get(start(), "/bytes/5000", TIMEOUT), Ok("web7".to_owned()));
    }

    #[test]
    fn every_way_to_fail_has_its_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(get(nobody, "/", TIMEOUT), Err(Failure::Refused));
        assert_eq!(get(start(), "/none", TIMEOUT), Err(Failure::BadAnswer));
        let brief = Duration::from_millis(20);
        assert_eq!(get(start(), "/slow/5000", brief), Err(Failure::TimedOut));
        assert_eq!(get(answering(b""), "/", TIMEOUT), Err(Failure::CutShort));
        assert_eq!(get(answering(b"HTTP/1.1 200 "), "/", TIMEOUT), Err(Failure::CutShort));
        let half = b"HTTP/1.1 200 OK\r\nX-Server: a\r\nContent-Length: 9\r\n\r\nhalf";
        assert_eq!(get(answering(half), "/", TIMEOUT), Err(Failure::CutShort));
        let rubbish = b"\x01\x02\x03\x04\r\n\r\n";
        assert_eq!(get(answering(rubbish), "/", TIMEOUT), Err(Failure::BadAnswer));
        let nameless = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(get(answering(nameless), "/", TIMEOUT), Err(Failure::BadAnswer));
    }

    #[test]
    fn clients_and_prober_work_until_they_are_stopped() {
        let ledger = Arc::new(Ledger::new());
        ledger.begin_phase("all");
        let settings = Settings {
            vip: start(),
            clients: 2,
            pace: Duration::from_millis(2),
            path: "/bytes/100".to_owned(),
            timeout: TIMEOUT,
        };
        let load = Load::start(&settings, &ledger).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let busy = || {
            let [all] = &ledger.phases()[..] else {
                return false;
            };
            all.clients.sent >= 10 && all.prober.sent >= 10
        };
        while !busy() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(busy());
        load.stop();
        ledger.end_phase();
        let [all] = &ledger.phases()[..] else {
            panic!("one phase");
        };
        assert_eq!((all.clients.failed, all.prober.failed), (0, 0), "{all:?}");
        assert_eq!(all.servers.get("web7"), Some(&(all.clients.sent + all.prober.sent)));
    }
}
