//! The process that takes addresses down when the one that holds them dies or stands still.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::keeper::is_gone;
use super::route::Route;
use crate::runtime::beat::Listener;
use crate::runtime::last_words::{self, Word};
use crate::runtime::{clock, isolation};
use crate::time::Instant;
use crate::wire::rtnetlink::{LinkAddress, Request};

/// The pause before a guard that died is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// What a pipe holds: read like that, no message of it is ever cut.
const PIPE_ROOM: usize = 64 * 1024;

/// What identifies a lease to the kernel.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Lease {
    index: u32,
    address: IpAddr,
    prefix: u8,
}

impl From<&LinkAddress> for Lease {
    fn from(address: &LinkAddress) -> Self {
        Self { index: address.index(), address: address.address(), prefix: address.prefix() }
    }
}

/// What the guard is told, one in a line.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Orders {
    leases: Vec<Lease>,
    /// The devices that were made for them, by index.
    devices: Vec<u32>,
    /// How long the beats of the holder may be missing.
    dead_time: Duration,
}

/// The holder's side: tells the guard what to remove, and starts another when it dies.
pub(super) struct Guard {
    orders: watch::Sender<Orders>,
}

/// How a guard is started.
struct Post {
    program: PathBuf,
    beats: Option<Listener>,
}

impl Guard {
    /// Starts `program`. Must be called within a tokio runtime.
    pub(super) fn start(program: PathBuf, beats: Option<Listener>) -> io::Result<Self> {
        let (orders, receiver) = watch::channel(Orders::default());
        let post = Post { program, beats };
        let running = post.spawn()?;
        tokio::spawn(post.attend(running, receiver));
        Ok(Self { orders })
    }

    /// What is to be removed when this process dies, or does not beat for the dead time.
    pub(super) fn tell(&self, leases: Vec<Lease>, devices: Vec<u32>, dead_time: Duration) {
        let orders = Orders { leases, devices, dead_time };
        self.orders.send_if_modified(|told| {
            let news = *told != orders;
            *told = orders;
            news
        });
    }
}

/// Runs as the guard: reads from standard input which addresses there are, one list in a line, and
/// at its end removes those of the last. Beats of the holder come out of standard output, which is
/// a pipe to read from; when they end for the dead time the addresses are removed too. At the end of
/// the orders, with the addresses gone, it says the last words that came
/// with the last beat.
///
/// Blocks its thread: nothing else is to be done. Signals that stop a process are not for it: the
/// holder stops in order and leaves an empty list.
///
/// # Errors
/// The operating system's.
pub async fn guard() -> io::Result<()> {
    let _ignored =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    // Late it is of no use. Where that is not granted it may be.
    isolation::raise_priority();
    let mut watchman = Watchman::default();
    while watchman.watch()? {}
    watchman.finish()
}

/// The guard's side.
#[derive(Default)]
struct Watchman {
    orders: Orders,
    /// What was read of a line that is not whole yet.
    line: Vec<u8>,
    /// What is to be said when the holder is dead.
    words: Vec<Word>,
    /// When the last beat came; none before the first, and after the addresses were removed for
    /// the lack of them.
    beat: Option<Instant>,
    beats_ended: bool,
}

impl Watchman {
    /// Waits for one thing to happen and acts on it; false at the end of the orders.
    fn watch(&mut self) -> io::Result<bool> {
        let (input, beats) = (io::stdin(), io::stdout());
        let left = self.deadline().map(|deadline| deadline - clock::now());
        let timeout = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        let mut ready = [PollFd::new(&input, PollFlags::IN), PollFd::new(&beats, PollFlags::IN)];
        let watched = if self.beats_ended { 1 } else { 2 };
        match poll(&mut ready[..watched], timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        let [ordered, beaten] = ready.map(|ready| !ready.revents().is_empty());
        if beaten {
            self.listen();
        }
        if ordered && !self.read_orders()? {
            return Ok(false);
        }
        if self.deadline().is_some_and(|deadline| deadline <= clock::now()) {
            self.beat = None;
            tracing::warn!(
                "pulse: it stood still for {:?}: the guard removes its addresses",
                self.orders.dead_time
            );
            remove(&self.orders)?;
        }
        Ok(true)
    }

    /// The holder is dead. Its partner hears of that when nothing answers here any more; where it
    /// is not certain that the addresses are gone, it does not.
    fn finish(&self) -> io::Result<()> {
        let gone = remove(&self.orders)?;
        if !gone || self.orders.leases.is_empty() || self.words.is_empty() {
            return Ok(());
        }
        match last_words::say(&self.words) {
            Ok(()) => tracing::info!("pulse: it is dead: the guard has told the partner"),
            Err(error) => tracing::warn!("pulse: it is dead, and the partner not told: {error}"),
        }
        Ok(())
    }

    /// When the addresses are to be removed unless a beat comes.
    fn deadline(&self) -> Option<Instant> {
        let last = self.beat.filter(|_| !self.orders.leases.is_empty())?;
        Some(last + self.orders.dead_time)
    }

    fn listen(&mut self) {
        let mut beats = vec![0; PIPE_ROOM];
        match rustix::io::read(io::stdout(), &mut beats) {
            Ok(0) => self.beats_ended = true,
            Ok(length) => {
                self.beat = Some(clock::now());
                self.words = last_words::read(&beats[..length]).unwrap_or_default();
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Not a pipe of beats: there are none to wait for.
            Err(_) => self.beats_ended = true,
        }
    }

    fn read_orders(&mut self) -> io::Result<bool> {
        let mut piece = [0; 4096];
        let length = rustix::io::read(io::stdin(), &mut piece)?;
        self.line.extend_from_slice(&piece[..length]);
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            self.orders = serde_json::from_slice(&self.line[..end])?;
            self.line.drain(..=end);
        }
        Ok(length > 0)
    }
}

/// Whether none of them is there any more.
fn remove(orders: &Orders) -> io::Result<bool> {
    let address =
        |lease: &Lease| LinkAddress::new(lease.index, lease.address).with_prefix(lease.prefix);
    let addresses = orders.leases.iter().map(|lease| Request::RemoveAddress(address(lease)));
    let devices = orders.devices.iter().map(|index| Request::RemoveLink(*index));
    let mut route = Route::open()?;
    // One that is gone already is what was wanted.
    let gone = |outcome: io::Result<()>| outcome.err().is_none_or(|error| is_gone(&error));
    Ok(route.change(addresses.chain(devices))?.all(gone))
}

type Running = (Child, ChildStdin);

impl Post {
    /// A process group of its own: what ends the holder from the terminal must not end the guard.
    fn spawn(&self) -> io::Result<Running> {
        let beats = self.beats.as_ref().map(Listener::pipe).transpose()?;
        let mut command = Command::new(&self.program);
        command.arg("--guard").stdin(Stdio::piped()).process_group(0);
        command.stdout(beats.map_or_else(Stdio::null, Stdio::from));
        let mut child = command.spawn()?;
        let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((child, input))
    }

    async fn attend(self, running: Running, mut orders: watch::Receiver<Orders>) {
        let (mut child, mut input) = running;
        loop {
            let told = tell(&mut input, &mut orders).await;
            tokio::select! {
                _ = child.wait() => {}
                changed = orders.changed() => match changed {
                    Ok(()) if told.is_ok() => continue,
                    Ok(()) => {}
                    Err(_) => return,
                },
            }
            tracing::warn!("pulse: the guard of the addresses ended and is started again");
            (child, input) = self.replace(&mut orders).await;
            tracing::info!("pulse: another guard is on duty");
        }
    }

    /// Starts a guard, however often that takes, and gives it its orders.
    async fn replace(&self, orders: &mut watch::Receiver<Orders>) -> Running {
        loop {
            tokio::time::sleep(RESTART_PAUSE).await;
            if let Ok((child, mut input)) = self.spawn()
                && tell(&mut input, orders).await.is_ok()
            {
                return (child, input);
            }
        }
    }
}

async fn tell(input: &mut ChildStdin, orders: &mut watch::Receiver<Orders>) -> io::Result<()> {
    let mut line = serde_json::to_vec(&*orders.borrow_and_update())?;
    line.push(b'\n');
    input.write_all(&line).await
}
