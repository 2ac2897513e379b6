//! `pulse` starts `lvs`, talks to it, and starts it again when it dies.
//!
//! The two share a unix stream: `lvs` finds its end as standard input. When `pulse` dies the
//! kernel ends `lvs` with it (`PR_SET_PDEATHSIG`), and the end of the stream says the same to an
//! `lvs` that runs elsewhere: no address answers without a heartbeat behind it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::clock;
use super::control;
use super::director::Director;
use super::heartbeat::Link;
use super::systemd::VARIABLES;
use crate::control::supervision::{MAX_LINE, Report, Request};
use crate::failover::VirtualAddress;
use crate::time::Instant;

/// The pause before `lvs` is started again; it doubles with each death up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause before `lvs` is started again.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// How long the service is held without an `lvs` where the data plane goes on without it: as long
/// as a first start may take. Servers that die in the meantime stay in the table.
const GRACE: Duration = Duration::from_secs(10);

/// How to start `lvs`.
#[derive(Clone, Debug)]
pub struct LvsCommand {
    /// The program.
    pub program: PathBuf,
    /// The configuration file it is given.
    pub config: PathBuf,
    /// Where its control socket is and who may use it; as it finds best by itself without.
    pub control: Option<control::Options>,
    /// Further options, as how it logs.
    pub options: Vec<String>,
    /// Whether it loads what is edited in the file without being asked.
    pub watch: bool,
    /// Whether it takes its services out of the kernel's table at an orderly end.
    pub release: bool,
}

/// Starts `lvs` and keeps it running until the link is dropped or it was told to stop.
///
/// The first start is not retried: a configuration or a program that cannot work must end
/// `pulse`, not loop. Must be called within a tokio runtime. Heartbeats wait neither for a start nor
/// for what the kernel has to clear away after a death.
///
/// # Errors
/// The operating system's, when the program or a thread cannot be started.
pub fn supervise(lvs: LvsCommand) -> io::Result<Link> {
    let (requests, request_receiver) = mpsc::unbounded_channel();
    let (report_sender, reports) = mpsc::unbounded_channel();
    let (starter, running) = Starter::start(lvs)?;
    let supervisor = Supervisor {
        starter,
        requests: request_receiver,
        reports: report_sender,
        outlived: false,
        grace: None,
        held: Vec::new(),
    };
    tokio::spawn(supervisor.run(running));
    Ok(Link { requests, reports })
}

/// Asks the kernel to end this process with the one that started it.
pub fn die_with_parent() {
    // Without it the end of the stream still tells: only later, when this process next reads it.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

/// Runs `director` for the `pulse` at the other end of `stream`, until that says stop or is gone.
///
/// # Errors
/// The operating system's, when the stream cannot be used.
pub async fn serve(director: Director, stream: StdUnixStream) -> io::Result<()> {
    serve_link(director.spawn(), stream).await
}

/// As [`serve`], for whoever is at the other end of `link`.
///
/// # Errors
/// The operating system's, when the stream cannot be used.
pub async fn serve_link(link: Link, stream: StdUnixStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let (reader, mut writer) = UnixStream::from_std(stream)?.into_split();
    let Link { requests, mut reports } = link;
    tokio::spawn(forward_requests(BufReader::new(reader), requests));
    while let Some(report) = reports.recv().await {
        if write_message(&mut writer, &report).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Ends, and with it the director's requests, at the end of the stream or of its sense.
async fn forward_requests(
    mut reader: BufReader<OwnedReadHalf>,
    requests: mpsc::UnboundedSender<Request>,
) {
    let mut line = Vec::new();
    while let Ok(Some(request)) = read_message(&mut reader, &mut line).await {
        line.clear();
        if requests.send(request).is_err() {
            return;
        }
    }
}

struct Supervisor {
    starter: Starter,
    requests: mpsc::UnboundedReceiver<Request>,
    reports: mpsc::UnboundedSender<Report>,
    /// Whether the data plane goes on when `lvs` is gone.
    outlived: bool,
    /// Until when the next `lvs` must be ready, or the service is given up.
    grace: Option<Instant>,
    /// The addresses that are up, for the next `lvs`.
    held: Vec<VirtualAddress>,
}

/// How it ended, when it has.
type Death = oneshot::Receiver<io::Result<ExitStatus>>;

struct Running {
    end: Death,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// How one life of `lvs` ended.
enum End {
    /// It died, or never came up.
    Died { reason: String, ready: bool, unanswered: Vec<Request> },
    /// Nobody needs it any more.
    Done,
}

impl Supervisor {
    async fn run(mut self, mut running: Running) {
        let mut pause = MIN_PAUSE;
        let mut was_ready = false;
        loop {
            let End::Died { reason, ready, unanswered } = self.serve(running).await else {
                return;
            };
            was_ready |= ready;
            self.on_death(reason, ready, &unanswered);
            if !was_ready {
                return;
            }
            pause = if ready { MIN_PAUSE } else { (pause * 2).min(MAX_PAUSE) };
            let Some(next) = self.restart(pause).await else {
                return;
            };
            running = next;
        }
    }

    /// Passes messages both ways for as long as this `lvs` lives.
    async fn serve(&mut self, running: Running) -> End {
        let Running { end, mut reader, mut writer } = running;
        let mut unanswered = Vec::new();
        let mut ready = false;
        let mut line = Vec::new();
        loop {
            tokio::select! {
                report = read_message::<Report>(&mut reader, &mut line) => {
                    let Ok(Some(report)) = report else { break };
                    line.clear();
                    if let Report::Configured(terms) = &report {
                        self.outlived = terms.outlives_lvs;
                        if !ready && self.outlived {
                            let held = Request::Held { addresses: self.held.clone() };
                            // An end that is closed shows with the next report.
                            let _ = write_message(&mut writer, &held).await;
                        }
                        (ready, self.grace) = (true, None);
                    }
                    if let Report::Done { id, .. } = report {
                        unanswered.retain(|waiting: &Request| waiting.id() != Some(id));
                    }
                    if self.reports.send(report).is_err() {
                        return stop(end, writer).await;
                    }
                }
                request = self.requests.recv() => {
                    let Some(request) = request else { return stop(end, writer).await };
                    self.note(&request);
                    unanswered.extend(request.id().map(|_| request.clone()));
                    let stopping = matches!(request, Request::Stop { .. });
                    if write_message(&mut writer, &request).await.is_err() {
                        break;
                    }
                    if stopping {
                        return await_end(end).await;
                    }
                }
                () = clock::sleep_until_or_forever(self.grace) => {
                    self.grace = None;
                    self.report_death(format!("lvs was not ready within {GRACE:?}"), &[]);
                }
            }
        }
        let reason = describe(end.await);
        End::Died { reason, ready, unanswered }
    }

    /// Remembers what is up, as far as the heartbeat has it so.
    fn note(&mut self, request: &Request) {
        match request {
            Request::Acquire { addresses, .. } => {
                let new = addresses.iter().filter(|new| !self.held.contains(new));
                let new: Vec<_> = new.cloned().collect();
                self.held.extend(new);
            }
            Request::Release { addresses, .. } => {
                self.held.retain(|held| !addresses.contains(held));
            }
            Request::Announce { .. }
            | Request::Held { .. }
            | Request::Reload
            | Request::Stop { .. } => {}
        }
    }

    /// Says that the data plane is lost, unless it goes on for now.
    fn on_death(&mut self, reason: String, ready: bool, unanswered: &[Request]) {
        if self.outlived && ready {
            tracing::warn!("pulse: {reason}; the kernel goes on balancing, lvs is started again");
            self.grace = Some(clock::now() + GRACE);
            unanswered.iter().for_each(|request| self.answer_for_lvs(request, &reason));
        } else {
            self.grace = None;
            self.report_death(reason, unanswered);
        }
    }

    fn report_death(&self, reason: String, unanswered: &[Request]) {
        unanswered.iter().for_each(|request| self.answer_for_lvs(request, &reason));
        let _ = self.reports.send(Report::Broken { reason });
    }

    /// Where the data plane goes on, nothing is asked of `lvs` that it could fail at.
    fn answer_for_lvs(&self, request: &Request, reason: &str) {
        let answer = match request.id() {
            Some(id) if self.grace.is_some() => Some(Report::Done { id, result: Ok(()) }),
            _ => request.orphaned(reason),
        };
        if let Some(answer) = answer {
            let _ = self.reports.send(answer);
        }
    }

    /// Waits, then starts `lvs` again until that works or nobody needs it any more. Requests that
    /// arrive in the meantime concern addresses that went down with the last one.
    async fn restart(&mut self, pause: Duration) -> Option<Running> {
        loop {
            let wake = tokio::time::sleep(pause);
            tokio::pin!(wake);
            loop {
                tokio::select! {
                    () = &mut wake => break,
                    request = self.requests.recv() => self.answer_without_lvs(&request?)?,
                }
            }
            match self.starter.again().await {
                Ok(running) => return Some(running),
                Err(error) => self.on_death(error.to_string(), false, &[]),
            }
        }
    }

    /// `None` when `lvs` is not wanted any more.
    fn answer_without_lvs(&mut self, request: &Request) -> Option<()> {
        self.note(request);
        self.answer_for_lvs(request, "lvs is being restarted");
        (!matches!(request, Request::Stop { .. })).then_some(())
    }
}

/// A thread that starts `lvs` and waits for its end. It lives as long as this process, since the
/// kernel ends `lvs` with the thread that started it; and it is an ordinary one: whoever starts a
/// program waits until that has had a processor and the disk, and whoever takes note of a death is
/// given the clearing of /proc to do, which after thousands of open files takes a second. Either is
/// longer than a dead time.
struct Starter {
    orders: std::sync::mpsc::Sender<oneshot::Sender<io::Result<Running>>>,
}

impl Starter {
    /// Waits for the first start, before which there are no heartbeats.
    fn start(lvs: LvsCommand) -> io::Result<(Self, Running)> {
        let (orders, ordered) = std::sync::mpsc::channel::<oneshot::Sender<_>>();
        let (first, started) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name("starter".to_owned()).spawn(move || {
            let _entered = runtime.enter();
            look_after(&lvs, |running| first.send(running).is_ok());
            for answer in ordered {
                look_after(&lvs, |running| answer.send(running).is_ok());
            }
        })?;
        let running = started.recv().map_err(io::Error::other)??;
        Ok((Self { orders }, running))
    }

    async fn again(&self) -> io::Result<Running> {
        let (answer, started) = oneshot::channel();
        self.orders.send(answer).map_err(|_unsent| io::ErrorKind::BrokenPipe)?;
        started.await.map_err(io::Error::other)?
    }
}

/// Starts `lvs`, hands it over, and waits for its end.
fn look_after(lvs: &LvsCommand, hand_over: impl FnOnce(io::Result<Running>) -> bool) {
    let (ended, end) = oneshot::channel();
    let (mut child, running) = match start(lvs, end) {
        Ok((child, running)) => (Some(child), Ok(running)),
        Err(error) => (None, Err(error)),
    };
    let taken = hand_over(running);
    if let Some(child) = &mut child {
        if !taken {
            // Nobody is there any more who needs it.
            let _ = child.kill();
        }
        let _ = ended.send(child.wait());
    }
}

fn start(lvs: &LvsCommand, end: Death) -> io::Result<(Child, Running)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    // A process group of its own: an interrupt from the terminal is for `pulse`, which then hands
    // over in order.
    let mut command = Command::new(&lvs.program);
    for name in VARIABLES {
        command.env_remove(name);
    }
    let child = command
        .arg("--supervised")
        .arg("--configfile")
        .arg(&lvs.config)
        .args(&lvs.options)
        .args(lvs.watch.then_some("--watch"))
        .args(lvs.release.then_some("--release"))
        .args(lvs.control.iter().flat_map(control::Options::arguments))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .process_group(0)
        .spawn()?;
    let (reader, writer) = UnixStream::from_std(ours)?.into_split();
    Ok((child, Running { end, reader: BufReader::new(reader), writer }))
}

/// Ends an `lvs` whose `pulse` side has gone: the end of the stream tells it.
async fn stop(end: Death, writer: OwnedWriteHalf) -> End {
    drop(writer);
    await_end(end).await
}

async fn await_end(end: Death) -> End {
    let _ = end.await;
    End::Done
}

fn describe(end: Result<io::Result<ExitStatus>, oneshot::error::RecvError>) -> String {
    match end {
        Ok(Ok(status)) => format!("lvs ended: {status}"),
        Ok(Err(error)) => format!("lvs ended: {error}"),
        Err(unknown) => format!("lvs ended: {unknown}"),
    }
}

/// Writes `message` as one line.
///
/// # Errors
/// The operating system's, when the other side is gone.
async fn write_message(writer: &mut OwnedWriteHalf, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// Reads one line as a message; `None` at the end of the stream. `line` keeps what was read of an
/// incomplete line, so that the future may be dropped and made anew.
///
/// # Errors
/// A line that is too long or not a message, or the operating system's.
async fn read_message<T: DeserializeOwned>(
    reader: &mut BufReader<OwnedReadHalf>,
    line: &mut Vec<u8>,
) -> io::Result<Option<T>> {
    let room = (MAX_LINE - line.len()) as u64;
    reader.take(room).read_until(b'\n', line).await?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(line)?)),
        Some(_) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "an incomplete or overlong line"))
        }
    }
}
