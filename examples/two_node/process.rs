//! The members of the cluster: child processes that are this same program in another role.
//!
//! Nothing may be left running when the story is over, however it ends:
//!
//! - dropping [`Cast`] stops and reaps every child;
//! - so does [`Cast::stop_on_interrupt`] when somebody presses Ctrl-C;
//! - and should this program be killed without a chance to do anything, the kernel kills the
//!   children, because each calls [`tie_to_parent`] first thing.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getppid, kill_process, kill_process_group, waitid,
};

/// Tells a child the process that must outlive it.
const PARENT: &str = "TWO_NODE_PARENT";
/// The longest line taken from a child; a longer one arrives in pieces.
const LINE_LIMIT: u64 = 64 * 1024;
/// How long children may take to stop by themselves before they are killed.
const GRACE: Duration = Duration::from_millis(500);
/// How often a child that is being waited for is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Makes this process die with its parent. To be called by a child before anything else.
///
/// # Errors
/// When this process is not the child of the one that started the story, or no longer: it must
/// then end at once, as nobody would stop it later.
pub(crate) fn tie_to_parent() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the line above took effect; then somebody else is the
    // parent now and the signal will not come.
    let expected = std::env::var(PARENT).ok().and_then(|pid| pid.parse().ok());
    let found = getppid().map(Pid::as_raw_pid);
    if expected.is_some() && expected == found {
        return Ok(());
    }
    Err(io::Error::other("this role is played by children of the story only"))
}

/// Where a line of output came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// Takes a line of a child's output: the child's name, the stream, the line without its end.
/// Called on threads of its own, for several children at once.
pub(crate) type OnLine = dyn Fn(&str, Stream, &str) + Send + Sync;

/// The children, by name.
#[derive(Clone)]
pub(crate) struct Cast(Arc<Inner>);

struct Inner {
    nursery: Nursery,
    members: Mutex<Members>,
    on_line: Arc<OnLine>,
}

#[derive(Default)]
struct Members {
    by_name: BTreeMap<String, Member>,
    /// Set when the curtain falls: a child started after that would be left behind.
    closed: bool,
}

impl Cast {
    /// A cast without members; what they will print goes to `on_line`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn new(
        on_line: impl Fn(&str, Stream, &str) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (nursery, members) = (Nursery::start()?, Mutex::default());
        let on_line = Arc::new(on_line);
        Ok(Self(Arc::new(Inner { nursery, members, on_line })))
    }

    /// Starts this program again with `arguments`, under `name`, and returns the process id.
    ///
    /// # Errors
    /// When a process of that name is running, when the cast was stopped, or when the system
    /// refuses.
    pub(crate) fn start(&self, name: &str, arguments: &[&str]) -> io::Result<Pid> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        self.spawn(name, command)
    }

    /// Starts `command`; as [`Cast::start`], for commands with an environment of their own.
    ///
    /// # Errors
    /// As [`Cast::start`].
    pub(crate) fn spawn(&self, name: &str, mut command: Command) -> io::Result<Pid> {
        command
            .env(PARENT, getpid().as_raw_pid().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that Ctrl-C at the terminal reaches the story alone, which
            // then stops its children in order.
            .process_group(0);
        let mut members = self.members();
        if members.closed {
            return Err(io::Error::other("the cast was stopped"));
        }
        if let Some(member) = members.by_name.get_mut(name)
            && member.status()?.is_none()
        {
            return Err(io::Error::other(format!("{name} is running already")));
        }
        let mut member = Member::new(self.0.nursery.spawn(command)?)?;
        let pid = member.pid;
        let (out, error) = (member.child.stdout.take(), member.child.stderr.take());
        // Remembered before anything else can fail, so that it is stopped in any case.
        members.by_name.insert(name.to_owned(), member);
        drop(members);
        self.listen(name, Stream::Out, out)?;
        self.listen(name, Stream::Error, error)?;
        Ok(pid)
    }

    /// The process id of `name`, if it is running.
    pub(crate) fn pid(&self, name: &str) -> Option<Pid> {
        let mut members = self.members();
        let member = members.by_name.get_mut(name)?;
        matches!(member.status(), Ok(None)).then_some(member.pid)
    }

    /// Sends `signal` to `name`, and to it alone.
    ///
    /// # Errors
    /// When it is not running.
    pub(crate) fn signal(&self, name: &str, signal: Signal) -> io::Result<()> {
        self.with_running(name, |pid| kill_process(pid, signal))
    }

    /// Kills `name` and whatever it started, all at once: what a power failure does to a node.
    ///
    /// # Errors
    /// When it is not running.
    pub(crate) fn kill(&self, name: &str) -> io::Result<()> {
        self.with_running(name, |pid| kill_process_group(pid, Signal::KILL))
    }

    /// Waits until `name` has ended, but not longer than `limit`: then the answer is `None`.
    ///
    /// # Errors
    /// When there was never such a child.
    pub(crate) fn wait(&self, name: &str, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let mut members = self.members();
            let member = members.by_name.get_mut(name).ok_or_else(|| unknown(name))?;
            let status = member.status()?;
            drop(members);
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(LOOK);
        }
    }

    /// Stops every child, asking first, and lets no new one start. Returns when all are gone.
    pub(crate) fn stop(&self) {
        self.0.stop();
    }

    /// Stops every child, cleans up, and ends this program when it receives SIGINT, SIGTERM or
    /// SIGHUP.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub(crate) fn stop_on_interrupt(
        &self,
        clean_up: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        // A weak reference, so that waiting for a signal does not keep the children alive.
        let inner = Arc::downgrade(&self.0);
        let signals = Signals::catch()?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let signal = signals.wait();
            if let Some(inner) = inner.upgrade() {
                inner.stop();
            }
            clean_up();
            // What a shell reports for a program that died of the signal.
            std::process::exit(128 + signal.as_raw());
        })?;
        Ok(())
    }

    fn with_running(
        &self,
        name: &str,
        act: impl FnOnce(Pid) -> rustix::io::Result<()>,
    ) -> io::Result<()> {
        let mut members = self.members();
        let member = members.by_name.get_mut(name).ok_or_else(|| unknown(name))?;
        if member.status()?.is_some() {
            return Err(io::Error::other(format!("{name} is not running")));
        }
        Ok(act(member.pid)?)
    }

    fn listen(
        &self,
        name: &str,
        stream: Stream,
        pipe: Option<impl Read + Send + 'static>,
    ) -> io::Result<()> {
        let Some(pipe) = pipe else { return Ok(()) };
        let (name, on_line) = (name.to_owned(), Arc::clone(&self.0.on_line));
        thread::Builder::new().spawn(move || {
            // The pipe breaks when the child ends, which is no news here.
            let _ = read_lines(pipe, |line| on_line(&name, stream, line));
        })?;
        Ok(())
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.members()
    }
}

impl Inner {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        let mut members = self.members();
        members.closed = true;
        for member in members.by_name.values_mut() {
            if matches!(member.status(), Ok(None)) {
                // It may have ended since; then the signal has nothing left to do.
                let _ = kill_process(member.pid, Signal::TERM);
            }
        }
        let deadline = Instant::now() + GRACE;
        while members.any_running() && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        for member in members.by_name.values_mut() {
            // A process that was killed ends; there is nothing to do about one that does not.
            let _ = member.end();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Members {
    fn any_running(&mut self) -> bool {
        let mut members = self.by_name.values_mut();
        members.any(|member| matches!(member.status(), Ok(None)))
    }
}

/// One child and the process group it leads.
struct Member {
    child: Child,
    pid: Pid,
    ended: Option<ExitStatus>,
}

impl Member {
    fn new(child: Child) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("an impossible process id"))?;
        Ok(Self { child, pid, ended: None })
    }

    /// How it ended, or `None` while it runs.
    fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_some() {
            return Ok(self.ended);
        }
        // Looking without reaping: as long as the dead child is not reaped, its number cannot
        // become anybody else's, and the rest of its group can be signalled safely.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid), look)? {
            None => Ok(None),
            Some(_) => self.end().map(Some),
        }
    }

    /// Ends it, if it has not ended, with everything it started, and reaps it.
    fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        // Whether anybody was left to kill makes no difference.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let status = self.child.wait()?;
        self.ended = Some(status);
        Ok(status)
    }
}

fn unknown(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{name} was never started"))
}

/// Passes on each line of `pipe`; what is not UTF-8 arrives with replacement characters.
fn read_lines(pipe: impl Read, mut on_line: impl FnMut(&str)) -> io::Result<()> {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut reader).take(LINE_LIMIT).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        on_line(text.trim_end_matches(['\n', '\r']));
    }
}

/// A thread that starts processes and lives as long as the cast.
///
/// To the kernel, the "parent" in the parent's death signal is the *thread* that created the child
/// (prctl(2), PR_SET_PDEATHSIG): children started by a thread that ends would die with it.
struct Nursery(mpsc::Sender<(Command, mpsc::Sender<io::Result<Child>>)>);

impl Nursery {
    fn start() -> io::Result<Self> {
        let (sender, orders) = mpsc::channel::<(Command, mpsc::Sender<io::Result<Child>>)>();
        thread::Builder::new().name("nursery".to_owned()).spawn(move || {
            for (mut command, reply) in orders {
                // Whoever asked waits for the answer.
                let _ = reply.send(command.spawn());
            }
        })?;
        Ok(Self(sender))
    }

    fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the thread that starts processes is gone");
        let (reply, answer) = mpsc::channel();
        self.0.send((command, reply)).ok().ok_or_else(gone)?;
        answer.recv().ok().ok_or_else(gone)?
    }
}

/// The signals by which a user or a supervisor ends the story.
struct Signals {
    runtime: tokio::runtime::Runtime,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let hang_up = signal(SignalKind::hangup())?;
        drop(guard);
        Ok(Self { runtime, interrupt, terminate, hang_up })
    }

    fn wait(mut self) -> Signal {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.interrupt.recv() => Signal::INT,
                _ = self.terminate.recv() => Signal::TERM,
                _ = self.hang_up.recv() => Signal::HUP,
            }
        })
    }
}

#[cfg(test)]
mod tests;
