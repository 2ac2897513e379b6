//! A client that fetches one file through the VIP and proves that it is whole.
//!
//! Each byte is compared with what the file is known to hold, and a broken connection is taken up
//! again where it stopped (REST), so a transfer survives the death of the director that carried
//! it. What counts is the report: how many bytes, how many resumes, and whether the file is whole.

mod connection;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::content::{Content, Fingerprint};
use crate::units::serialize_millis;
use connection::Connection;

/// The pause before trying again: short, so that what is measured is the takeover and not the
/// client's patience, and long enough not to spin.
const RETRY_PAUSE: Duration = Duration::from_millis(5);
/// Connections a transfer may break before it is given up, whatever progress each made.
const RESUME_LIMIT: u32 = 32;

/// Who opens the data connection, and in which form that is agreed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum Mode {
    /// PASV: the client connects, to the address in the reply.
    #[serde(rename = "PASV")]
    Passive,
    /// EPSV: the client connects, to the port in the reply.
    #[serde(rename = "EPSV")]
    ExtendedPassive,
    /// PORT: the server connects.
    #[serde(rename = "PORT")]
    Active,
    /// EPRT: the server connects; the form that knows IPv6.
    #[serde(rename = "EPRT")]
    ExtendedActive,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passive => "PASV",
            Self::ExtendedPassive => "EPSV",
            Self::Active => "PORT",
            Self::ExtendedActive => "EPRT",
        })
    }
}

/// What to fetch, and how long to try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// The FTP service: the VIP and its port.
    pub(crate) server: SocketAddr,
    /// How the data connection is made.
    pub(crate) mode: Mode,
    /// Which file: `file-SIZE.bin`.
    pub(crate) size: u64,
    /// How long the transfer may go without a single new byte before it is given up; also the
    /// longest wait for one reply or one piece of data.
    pub(crate) patience: Duration,
}

/// How a transfer went.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The file's name.
    pub(crate) file: String,
    /// How the data connections were made.
    pub(crate) mode: Mode,
    /// Bytes received and verified.
    pub(crate) bytes: u64,
    /// Connections that broke and were taken up again.
    pub(crate) resumes: u32,
    /// Whether every byte of the file arrived, once, in order, and right.
    pub(crate) whole: bool,
    /// FNV-1a (64 bits) of the bytes received.
    pub(crate) fingerprint: u64,
    /// From the first attempt to the end.
    #[serde(rename = "elapsed_ms", serialize_with = "serialize_millis")]
    pub(crate) elapsed: Duration,
    /// The longest time without a new byte: what the user of the client noticed of a takeover.
    #[serde(rename = "longest_pause_ms", serialize_with = "serialize_millis")]
    pub(crate) longest_pause: Duration,
    /// Why the transfer was given up, if it was.
    pub(crate) failure: Option<String>,
}

/// A transfer under way, on a thread of its own.
pub(crate) struct Fetching {
    bytes: Arc<AtomicU64>,
    thread: JoinHandle<Report>,
}

impl Fetching {
    /// Starts fetching.
    ///
    /// # Errors
    /// When the thread cannot be started. What goes wrong later is in the report.
    pub(crate) fn start(request: Request) -> io::Result<Self> {
        let mut transfer = Transfer::new(request);
        let bytes = Arc::clone(&transfer.bytes_so_far);
        let thread = thread::Builder::new().spawn(move || {
            let failure = transfer.run().err();
            transfer.report(failure)
        })?;
        Ok(Self { bytes, thread })
    }

    /// Verified bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Waits for the end. Patience and the bound on resumes see to it that there is one.
    ///
    /// # Errors
    /// When the transfer panicked.
    pub(crate) fn finish(self) -> io::Result<Report> {
        let report = self.thread.join().ok();
        report.ok_or_else(|| io::Error::other("a transfer panicked"))
    }
}

/// Why an attempt ended before the file was complete.
#[derive(Debug)]
enum Break {
    /// The connection broke or was never made; another attempt may do better.
    Retry(io::Error),
    /// Going on would be wrong: the content or a reply is not what it must be.
    Fatal(String),
}

impl From<io::Error> for Break {
    fn from(error: io::Error) -> Self {
        Self::Retry(error)
    }
}

/// The state that outlives a single connection.
struct Transfer {
    request: Request,
    content: Content,
    fingerprint: Fingerprint,
    bytes: u64,
    /// The same, for those who watch.
    bytes_so_far: Arc<AtomicU64>,
    resumes: u32,
    started: Instant,
    last_progress: Instant,
    longest_pause: Duration,
}

impl Transfer {
    fn new(request: Request) -> Self {
        let now = Instant::now();
        Self {
            request,
            content: Content::of_size(request.size),
            fingerprint: Fingerprint::new(),
            bytes: 0,
            bytes_so_far: Arc::default(),
            resumes: 0,
            started: now,
            last_progress: now,
            longest_pause: Duration::ZERO,
        }
    }

    /// Attempts until the file is complete, patience ends, or something is plainly wrong.
    fn run(&mut self) -> Result<(), String> {
        loop {
            let before = self.bytes;
            let error = match self.attempt() {
                Ok(()) => return Ok(()),
                Err(Break::Fatal(reason)) => return Err(reason),
                Err(Break::Retry(error)) => error,
            };
            if self.bytes > before {
                self.resumes += 1;
            }
            if self.last_progress.elapsed() > self.request.patience {
                return Err(format!("no progress within {:?}: {error}", self.request.patience));
            }
            if self.resumes > RESUME_LIMIT {
                return Err(format!("broke off {} times, last: {error}", self.resumes));
            }
            thread::sleep(RETRY_PAUSE);
        }
    }

    /// One connection: log in, agree on a data connection, take up the file where it stopped.
    fn attempt(&mut self) -> Result<(), Break> {
        let Request { server, mode, patience, size } = self.request;
        let mut control = Connection::open(server, patience)?;
        control.log_in()?;
        let announced = control.size(&self.name())?;
        if announced != size {
            return Err(Break::Fatal(format!("SIZE says {announced}, not {size}")));
        }
        let plan = control.prepare_data(mode)?;
        let mut data = control.retrieve(&self.name(), self.bytes, plan)?;
        self.receive(&mut data)?;
        drop(data);
        if self.bytes < size {
            return Err(Break::Retry(io::ErrorKind::UnexpectedEof.into()));
        }
        // The file is complete already; a control connection that dies now takes nothing away.
        let _ = control.finish();
        Ok(())
    }

    /// Takes in what the data connection brings, until its end.
    fn receive(&mut self, data: &mut impl io::Read) -> Result<(), Break> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = data.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            self.verify(&buffer[..count])?;
        }
    }

    fn verify(&mut self, received: &[u8]) -> Result<(), Break> {
        if let Some(position) = self.content.first_difference(self.bytes, received) {
            return Err(Break::Fatal(format!("the byte at {position} is wrong")));
        }
        self.fingerprint.update(received);
        self.bytes += received.len() as u64;
        self.bytes_so_far.store(self.bytes, Ordering::Relaxed);
        let now = Instant::now();
        self.longest_pause = self.longest_pause.max(now - self.last_progress);
        self.last_progress = now;
        Ok(())
    }

    fn name(&self) -> String {
        format!("file-{}.bin", self.request.size)
    }

    fn report(self, failure: Option<String>) -> Report {
        Report {
            file: self.name(),
            mode: self.request.mode,
            bytes: self.bytes,
            resumes: self.resumes,
            whole: failure.is_none() && self.bytes == self.request.size,
            fingerprint: self.fingerprint.get(),
            elapsed: self.started.elapsed(),
            longest_pause: self.longest_pause,
            failure,
        }
    }
}

#[cfg(test)]
mod tests;
