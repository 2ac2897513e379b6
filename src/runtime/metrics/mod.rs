//! The listener for metrics and health: plain HTTP, read only, on a thread of its own.
//!
//! It asks both daemons over their control sockets, at most once a second however often it is asked
//! itself. Clients are few, have little time, and share what they are sent, so that none of them
//! costs the director more than a status does. docs/metrics.md says what is answered.

mod answer;
mod request;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use self::answer::{Answer, Source};
use self::request::{MAX_HEAD, Parsed};
use super::heartbeat::Observer;
use crate::config::Config;
use crate::control::Event;

/// Clients at the same time; one more is cut off.
const MAX_CLIENTS: usize = 16;

/// How long a client may take to ask and to read the answer.
const LIMIT: Duration = Duration::from_secs(10);

/// When an address that could not be listened on is tried again: it may be one that moves.
const RETRY: Duration = Duration::from_secs(5);

/// The pause after a client could not be accepted, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener of a director. Clones are the same one; the last one that goes takes it away.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    observer: Observer,
    /// What the thread is told, once there is one: a director that offers no metrics needs none.
    wanted: OnceLock<watch::Sender<Vec<SocketAddr>>>,
}

impl Metrics {
    /// Listens nowhere yet. What it will tell is asked of the daemons whose control sockets are in
    /// `directory`; `observer` hears where it cannot listen.
    #[must_use]
    pub fn new(directory: PathBuf, observer: Observer) -> Self {
        Self(Arc::new(Inner { directory, observer, wanted: OnceLock::new() }))
    }

    /// Listens where `config` says, and nowhere else. Addresses this node does not have are passed
    /// over until it has them.
    pub fn configure(&self, config: &Config) {
        let wanted = config.metrics.clone();
        match self.0.wanted.get() {
            Some(sender) => drop(sender.send_replace(wanted)),
            None if wanted.is_empty() => {}
            None => self.start(wanted),
        }
    }

    fn start(&self, wanted: Vec<SocketAddr>) {
        let (sender, receiver) = watch::channel(wanted);
        let source = Arc::new(Source::new(self.0.directory.clone()));
        let host = Host { source, observer: Arc::clone(&self.0.observer), open: BTreeMap::new() };
        match spawn(host, receiver) {
            // Nobody else starts it: whoever configures is one.
            Ok(()) => drop(self.0.wanted.set(sender)),
            Err(error) => {
                let text = format!("no thread for metrics: {error}; none are offered");
                (self.0.observer)(Event::Warning { text });
            }
        }
    }
}

fn spawn(host: Host, wanted: watch::Receiver<Vec<SocketAddr>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        runtime.block_on(host.run(wanted));
    })?;
    Ok(())
}

/// Who listens.
struct Host {
    source: Arc<Source>,
    observer: Observer,
    open: BTreeMap<SocketAddr, AbortHandle>,
}

impl Host {
    async fn run(mut self, mut wanted: watch::Receiver<Vec<SocketAddr>>) {
        loop {
            let addresses = wanted.borrow_and_update().clone();
            self.close_others(&addresses);
            let failures = self.open(&addresses).await;
            self.tell(&addresses, &failures);
            loop {
                let waits = self.open.len() < addresses.len();
                tokio::select! {
                    changed = wanted.changed() => match changed {
                        Ok(()) => break,
                        Err(_no_director_left) => return,
                    },
                    () = tokio::time::sleep(RETRY), if waits => {
                        let _told_already = self.open(&addresses).await;
                    }
                }
            }
        }
    }

    fn close_others(&mut self, wanted: &[SocketAddr]) {
        self.open.retain(|address, task| {
            let stays = wanted.contains(address);
            if !stays {
                task.abort();
            }
            stays
        });
    }

    /// Listens on those of `wanted` that it does not listen on yet; returns why not.
    async fn open(&mut self, wanted: &[SocketAddr]) -> Vec<(SocketAddr, io::Error)> {
        let mut failures = Vec::new();
        for &address in wanted {
            if self.open.contains_key(&address) {
                continue;
            }
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let task = tokio::spawn(accept(listener, Arc::clone(&self.source)));
                    self.open.insert(address, task.abort_handle());
                }
                Err(error) => failures.push((address, error)),
            }
        }
        failures
    }

    /// An address of the other node is no trouble as long as there is one of this.
    fn tell(&self, wanted: &[SocketAddr], failures: &[(SocketAddr, io::Error)]) {
        let none = self.open.is_empty() && !wanted.is_empty();
        for (address, error) in failures {
            if none || error.kind() != io::ErrorKind::AddrNotAvailable {
                let text = format!("no metrics on {address}: {error}");
                (self.observer)(Event::Warning { text });
            }
        }
    }
}

async fn accept(listener: TcpListener, source: Arc<Source>) {
    let room = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let source = Arc::clone(&source);
        tokio::spawn(async move {
            // Who is too slow is cut off, whatever it was about.
            let _ended = tokio::time::timeout(LIMIT, serve(stream, &source)).await;
            drop(place);
        });
    }
}

/// Answers one request and ends.
async fn serve(mut stream: TcpStream, source: &Source) -> io::Result<()> {
    let parsed = read(&mut stream).await?;
    let (answer, with_body) = match parsed {
        Parsed::Get { path, format } => (source.answer(&path, format).await, true),
        Parsed::Head { path, format } => (source.answer(&path, format).await, false),
        Parsed::OtherMethod => (Answer::other_method(), true),
        Parsed::TooLong => (Answer::too_long(), true),
        Parsed::Bad | Parsed::Partial => (Answer::bad(), true),
    };
    stream.write_all(answer.head().as_bytes()).await?;
    if with_body {
        stream.write_all(answer.body()).await?;
    }
    stream.shutdown().await
}

async fn read(stream: &mut TcpStream) -> io::Result<Parsed> {
    let mut head = Vec::with_capacity(1024);
    loop {
        let room = (MAX_HEAD - head.len()) as u64;
        let read = (&mut *stream).take(room).read_buf(&mut head).await?;
        match request::parse(&head) {
            Parsed::Partial if read == 0 => {
                return Ok(if room == 0 { Parsed::TooLong } else { Parsed::Bad });
            }
            Parsed::Partial => {}
            parsed => return Ok(parsed),
        }
    }
}
