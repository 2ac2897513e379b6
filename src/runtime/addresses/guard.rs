//! The process that takes addresses down when the one that holds them dies.

use std::io::{self, BufRead};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::route::Route;
use crate::wire::rtnetlink::{LinkAddress, Request};

/// The pause before a guard that died is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

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

/// The holder's side: tells the guard what to remove, and starts another when it dies.
pub(super) struct Guard {
    leases: watch::Sender<Vec<Lease>>,
}

impl Guard {
    /// Starts `program`. Must be called within a tokio runtime.
    pub(super) fn start(program: PathBuf) -> io::Result<Self> {
        let (leases, receiver) = watch::channel(Vec::new());
        let running = spawn(&program)?;
        tokio::spawn(attend(program, running, receiver));
        Ok(Self { leases })
    }

    /// What is to be removed when this process dies.
    pub(super) fn tell(&self, leases: Vec<Lease>) {
        self.leases.send_if_modified(|told| {
            let news = *told != leases;
            *told = leases;
            news
        });
    }
}

/// Runs as the guard: reads from standard input which addresses there are, one list in a line, and
/// at its end removes those of the last.
///
/// Blocks its thread: nothing else is to be done. Signals that stop a process are not for it: the holder stops in order and leaves an empty
/// list.
///
/// # Errors
/// The operating system's.
pub async fn guard() -> io::Result<()> {
    let _ignored =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let mut leases: Vec<Lease> = Vec::new();
    for line in io::stdin().lock().lines() {
        leases = serde_json::from_str(&line?)?;
    }
    remove(&leases)
}

fn remove(leases: &[Lease]) -> io::Result<()> {
    let address =
        |lease: &Lease| LinkAddress::new(lease.index, lease.address).with_prefix(lease.prefix);
    let requests: Vec<_> =
        leases.iter().map(|lease| Request::RemoveAddress(address(lease))).collect();
    // One that is gone already is what was wanted.
    Route::open()?.change(&requests).map(|_| ())
}

type Running = (Child, ChildStdin);

/// A process group of its own: what ends the holder from the terminal must not end the guard.
fn spawn(program: &Path) -> io::Result<Running> {
    let mut command = Command::new(program);
    command.arg("--guard").stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
    let mut child = command.spawn()?;
    let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((child, input))
}

async fn attend(program: PathBuf, running: Running, mut leases: watch::Receiver<Vec<Lease>>) {
    let (mut child, mut input) = running;
    loop {
        let told = tell(&mut input, &mut leases).await;
        tokio::select! {
            _ = child.wait() => {}
            changed = leases.changed() => match changed {
                Ok(()) if told.is_ok() => continue,
                Ok(()) => {}
                Err(_) => return,
            },
        }
        tracing::warn!("pulse: the guard of the addresses ended and is started again");
        (child, input) = replace(&program, &mut leases).await;
        tracing::info!("pulse: another guard is on duty");
    }
}

/// Starts a guard, however often that takes, and tells it of the leases.
async fn replace(program: &Path, leases: &mut watch::Receiver<Vec<Lease>>) -> Running {
    loop {
        tokio::time::sleep(RESTART_PAUSE).await;
        if let Ok((child, mut input)) = spawn(program)
            && tell(&mut input, leases).await.is_ok()
        {
            return (child, input);
        }
    }
}

async fn tell(input: &mut ChildStdin, leases: &mut watch::Receiver<Vec<Lease>>) -> io::Result<()> {
    let mut line = serde_json::to_vec(&*leases.borrow_and_update())?;
    line.push(b'\n');
    input.write_all(&line).await
}
