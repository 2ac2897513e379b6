//! A check by an external program.
//!
//! Each run has a thread of its own: capabilities and `no_new_privs` are properties of the thread that
//! forks and pass to what it starts, so setting them there needs no code between fork and exec. The thread
//! holds the process until it is reaped, so that its group can be killed without ever hitting
//! another one that got the same number. Limits (`prlimit`) are set from outside right after the
//! start: what the program does before is bounded by the time it has.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process_group, pidfd_open, prlimit,
};
use rustix::thread::set_no_new_privs;
use tokio::sync::oneshot;

use super::network::Budget;
use super::send_expect::Wanted;
use super::{CheckError, Dialer, account};
use crate::health::{Check, Excerpt, Failure, ProgramSpec, Stage};
use crate::runtime::privileges;

/// The most of an output that is looked at, that of 0.8.6. The rest is read and dropped.
const OUTPUT: usize = 4095;
/// Limits of a program: address space, size of a file it writes, open files.
const LIMITS: [(Resource, u64); 4] = [
    (Resource::As, 1 << 30),
    (Resource::Fsize, 16 << 20),
    (Resource::Nofile, 256),
    (Resource::Core, 0),
];
/// Processes of its user, where that is one of its own.
const PROCESSES: u64 = 64;
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Passes if a program says so.
pub(super) struct Program {
    spec: ProgramSpec,
    account: Option<account::Account>,
    wanted: Wanted,
    dialer: Dialer,
    /// The servers whose program runs at this moment.
    running: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

impl Program {
    pub(super) fn new(spec: &ProgramSpec, dialer: Dialer) -> Result<Self, CheckError> {
        if spec.arguments.is_empty() {
            return Err(CheckError::NoProgram);
        }
        let account = spec.user.as_deref().map(account::find).transpose()?;
        let wanted = Wanted::new(&spec.expect)?;
        Ok(Self { spec: spec.clone(), account, wanted, dialer, running: Arc::default() })
    }

    fn command(&self, server: SocketAddr) -> Command {
        owned_by(confined(self.spec.arguments_for(server)), self.account)
    }

    fn judge(&self, ended: &Ended) -> Result<(), Failure> {
        ended.check_status()?;
        let output = ended.output.strip_suffix(b"\n").unwrap_or(&ended.output);
        self.wanted.judge(output, true).unwrap_or(Ok(()))
    }
}

#[async_trait]
impl Check for Program {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let server = self.dialer.target(target);
        let Some(turn) = Turn::take(&self.running, server) else {
            let reason = "the program of the last check has not ended yet";
            return Err(Failure::Inconclusive(reason.to_owned()));
        };
        let command = self.command(server);
        self.dialer.note(|| format!("running {command:?}"));
        let trust = Trust::Confined { own_user: self.account.is_some() };
        let run = Run { command, trust, limit: Budget::margin(limit) };
        let ended = run.on_a_thread(turn).await?;
        self.dialer.note(|| describe(ended.status));
        self.dialer.transcript().iter().for_each(|transcript| transcript.received(&ended.output));
        if ended.timed_out {
            return Err(Failure::TimedOut { stage: Stage::Check, after: limit });
        }
        self.judge(&ended)
    }
}

/// Runs a program with the limits of a check's, as `account` or else as the user of this process,
/// and returns what it printed; of much, the beginning. Dropping the future kills the program.
///
/// # Errors
/// Why it could not be started, or did not end within `limit` with status 0.
pub(in crate::runtime) async fn output(
    arguments: impl Iterator<Item = String>,
    account: Option<account::Account>,
    limit: Duration,
) -> Result<Vec<u8>, Failure> {
    let command = owned_by(confined(arguments), account);
    let trust = Trust::Confined { own_user: account.is_some() };
    let ended = Run { command, trust, limit: Budget::margin(limit) }.on_a_thread(()).await?;
    if ended.timed_out {
        return Err(Failure::TimedOut { stage: Stage::Check, after: limit });
    }
    ended.check_status()?;
    Ok(ended.output)
}

/// Runs a program of the administrator's, which may leave a daemon behind and become another
/// user; as `account`, with `environment`. It is killed with all it started when `limit` is over.
///
/// # Errors
/// Why it could not be run.
pub(in crate::runtime) async fn trusted(
    arguments: impl Iterator<Item = String>,
    account: Option<account::Account>,
    environment: (&str, &str),
    limit: Duration,
) -> Result<Ended, Failure> {
    let mut command = owned_by(confined(arguments), account);
    command.env(environment.0, environment.1);
    Run { command, trust: Trust::Full, limit }.on_a_thread(()).await
}

/// A program that gets nothing of this process but its user.
fn confined(mut arguments: impl Iterator<Item = String>) -> Command {
    let mut command = Command::new(arguments.next().unwrap_or_default());
    command.args(arguments).env_clear().env("PATH", PATH).env("LANG", "C").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    command
}

/// The same, run as `account` where there is one.
fn owned_by(mut command: Command, account: Option<account::Account>) -> Command {
    if let Some(account) = account {
        // The standard library drops the supplementary groups of root with it.
        command.uid(account.user).gid(account.group);
    }
    command
}

/// Why a program that could not be started says nothing of the server, or that it is missing.
fn inconclusive(error: &io::Error) -> Failure {
    Failure::Inconclusive(error.to_string())
}

/// Two ends of a pipe: the second hangs up when the first is dropped.
fn cancellation() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((write, read))
}

/// The right to run the program for one server, given back when it is dropped.
struct Turn {
    running: Arc<Mutex<BTreeSet<SocketAddr>>>,
    server: SocketAddr,
}

impl Turn {
    fn take(running: &Arc<Mutex<BTreeSet<SocketAddr>>>, server: SocketAddr) -> Option<Self> {
        let free = lock(running).insert(server);
        free.then(|| Self { running: Arc::clone(running), server })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.server);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a run ended.
pub(in crate::runtime) struct Ended {
    pub(in crate::runtime) status: ExitStatus,
    pub(in crate::runtime) output: Vec<u8>,
    pub(in crate::runtime) errors: Vec<u8>,
    pub(in crate::runtime) timed_out: bool,
}

impl Ended {
    fn check_status(&self) -> Result<(), Failure> {
        if self.status.success() {
            return Ok(());
        }
        let said = if self.errors.is_empty() { &self.output } else { &self.errors };
        let status = describe(self.status);
        Err(Failure::Program { status, said: Excerpt::new(said.trim_ascii()) })
    }
}

/// How far a program is trusted.
#[derive(Clone, Copy, PartialEq)]
enum Trust {
    /// Within limits and without new privileges; nothing it started outlives it.
    Confined { own_user: bool },
    /// As if it had been started by hand.
    Full,
}

impl Trust {
    /// Leaves the calling thread what the program may have that it starts, which inherits it.
    fn give_away(self) -> io::Result<()> {
        match self {
            Self::Full => Ok(()),
            // With its user a program loses all capabilities; changing that takes some.
            Self::Confined { own_user: true } => Ok(set_no_new_privs(true)?),
            Self::Confined { own_user: false } => {
                set_no_new_privs(true)?;
                privileges::confine_program()
            }
        }
    }
}

/// One run of the program, on a thread of its own.
struct Run {
    command: Command,
    trust: Trust,
    limit: Duration,
}

impl Run {
    /// Carries it out while the caller waits; `turn` is given back when it has ended.
    async fn on_a_thread(self, turn: impl Send + 'static) -> Result<Ended, Failure> {
        let (_cancel, cancelled) = cancellation().map_err(|error| inconclusive(&error))?;
        let (report, reported) = oneshot::channel();
        let work = move || {
            let result = self.carry_out(&cancelled);
            drop(turn);
            // Nobody listens any more where the check was cancelled.
            let _ = report.send(result);
        };
        let thread = thread::Builder::new().name("check".to_owned()).spawn(work);
        thread.map_err(|error| inconclusive(&error))?;
        reported.await.map_err(|_gone| Failure::Other("the check broke".to_owned()))?
    }

    fn carry_out(mut self, cancelled: &OwnedFd) -> Result<Ended, Failure> {
        let deadline = Instant::now() + self.limit;
        self.trust.give_away().map_err(|error| inconclusive(&error))?;
        let mut child = self.command.spawn().map_err(|error| not_started(&error))?;
        let pid = Pid::from_child(&child);
        if let Trust::Confined { own_user } = self.trust {
            self.confine(pid, own_user);
        }
        let outputs = Outputs::of(&mut child);
        let ended = outputs.and_then(|mut outputs| {
            let timed_out = outputs.wait(pid, cancelled, deadline)?;
            Ok((outputs, timed_out))
        });
        if self.trust != Trust::Full || !matches!(ended, Ok((_, false))) {
            // The process is not reaped yet, so the number of its group is still its own.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let status = child.wait().map_err(|error| inconclusive(&error))?;
        let (mut outputs, timed_out) = ended.map_err(|error| inconclusive(&error))?;
        outputs.drain();
        let [output, errors] = outputs.0.map(|output| output.kept);
        Ok(Ended { status, output, errors, timed_out })
    }

    fn confine(&self, pid: Pid, own_user: bool) {
        let seconds = self.limit.as_secs() + 1;
        let own = own_user.then_some((Resource::Nproc, PROCESSES));
        let limits = LIMITS.into_iter().chain([(Resource::Cpu, seconds)]).chain(own);
        for (resource, limit) in limits {
            let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
            // It fails for a process that has ended, and for a lower limit that holds already.
            let _ = prlimit(Some(pid), resource, limit);
        }
    }
}

fn not_started(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
            Failure::Inconclusive(format!("the program cannot be started: {error}"))
        }
        _ => inconclusive(error),
    }
}

/// Standard output and standard error.
struct Outputs([Output; 2]);

struct Output {
    pipe: Option<Box<dyn Readable>>,
    kept: Vec<u8>,
}

trait Readable: Read + AsFd + Send {}
impl<T: Read + AsFd + Send> Readable for T {}

impl Outputs {
    fn of(child: &mut Child) -> io::Result<Self> {
        let output = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Readable>);
        let errors = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Readable>);
        for pipe in [&output, &errors].into_iter().flatten() {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(Self([output, errors].map(|pipe| Output { pipe, kept: Vec::new() })))
    }

    /// Reads until the program ends, which is `false`, or its time is over or the check cancelled.
    fn wait(&mut self, pid: Pid, cancelled: &OwnedFd, deadline: Instant) -> io::Result<bool> {
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(true);
            }
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut ready: Vec<_> = self.0.iter().filter_map(Output::watched).collect();
            ready.push(PollFd::new(&process, PollFlags::IN));
            ready.push(PollFd::new(cancelled, PollFlags::IN));
            match poll(&mut ready, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [.., ended, hung_up] = ready.as_slice() else {
                return Ok(true);
            };
            let (ended, hung_up) = (!ended.revents().is_empty(), !hung_up.revents().is_empty());
            if ended || hung_up {
                return Ok(hung_up);
            }
            self.0.iter_mut().for_each(Output::read_some);
        }
    }

    /// Reads what is still in the pipes of a program that has ended.
    fn drain(&mut self) {
        for output in &mut self.0 {
            while output.kept.len() < OUTPUT && output.pipe.is_some() {
                let before = output.kept.len();
                output.read_some();
                if output.kept.len() == before {
                    break;
                }
            }
        }
    }
}

impl Output {
    fn watched(&self) -> Option<PollFd<'_>> {
        self.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN))
    }

    /// Reads once. What has no room is dropped, so that the program is not held up.
    fn read_some(&mut self) {
        let mut piece = [0; 4096];
        let Some(pipe) = &mut self.pipe else {
            return;
        };
        match pipe.read(&mut piece) {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                let room = OUTPUT - self.kept.len();
                self.kept.extend_from_slice(&piece[..length.min(room)]);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.pipe = None,
        }
    }
}

/// How a program ended, in a few words.
pub(in crate::runtime) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}
