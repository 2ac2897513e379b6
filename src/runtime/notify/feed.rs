//! A notifier in a process of its own, and the thread that feeds it.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::engine::Engine;
use super::setup::Setup;
use super::{Order, QUEUE};
use crate::config::Config;
use crate::control::Event;
use crate::control::notify::Notice;
use crate::control::supervision::MAX_LINE;
use crate::runtime::clock;
use crate::time::Instant;

/// The pause before a notifier that died is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Runs as the notifier of the process at the other end of standard input, by the lvs.cf at
/// `path`, which means `config` now: until that end is closed, and then until everybody is told.
/// Returns at once where nobody is to be told.
///
/// An end without a farewell is told of as well: it means that the process died. Signals that
/// stop a process are not for this one, which has to tell of the stop.
///
/// # Errors
/// The operating system's, when standard input cannot be read.
pub async fn serve(path: PathBuf, config: &Config) -> io::Result<()> {
    if !config.is_notifying() {
        return Ok(());
    }
    let _ignored =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let input = Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let (sender, orders) = mpsc::channel(QUEUE);
    let mut engine = Engine::new(Some(path), Arc::default());
    engine.configure(Setup::of(config));
    tokio::spawn(read_orders(input, sender));
    engine.run(orders).await;
    Ok(())
}

async fn read_orders(input: Receiver, orders: mpsc::Sender<Order>) {
    let mut reader = BufReader::new(input);
    let mut line = Vec::new();
    let mut last = Order::Lost;
    loop {
        line.clear();
        let read = (&mut reader).take(MAX_LINE as u64).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(length) if length > 0) {
            break;
        }
        let Ok(order) = serde_json::from_slice(&line) else { break };
        if matches!(order, Order::Farewell) {
            last = order;
            break;
        }
        if orders.send(order).await.is_err() {
            return;
        }
    }
    let _ = orders.send(last).await;
}

/// The side that has the events.
pub(super) struct Feed {
    program: PathBuf,
    arguments: Vec<OsString>,
    dropped: Arc<AtomicU64>,
    running: Option<Running>,
    /// Whether there is anything to tell, as far as is known.
    wanted: bool,
    next_start: Instant,
    /// What a process that starts later must know: the role, and the state.
    begun: Option<Notice>,
    state: Option<Notice>,
}

struct Running {
    child: Child,
    input: ChildStdin,
}

impl Feed {
    pub(super) const fn new(
        program: PathBuf,
        arguments: Vec<OsString>,
        wanted: bool,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        Self {
            program,
            arguments,
            dropped,
            running: None,
            wanted,
            next_start: Instant::ZERO,
            begun: None,
            state: None,
        }
    }

    /// Passes orders on until they end. A process that dies is replaced at once: the next thing to
    /// tell may be the death of this one.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::End(done)) => return self.end(done).await,
                    Some(order) => self.on_order(order).await,
                    None => return,
                },
                () = ended(self.running.as_mut()) => self.replace().await,
            }
        }
    }

    async fn on_order(&mut self, order: Order) {
        self.wanted |= matches!(order, Order::Reload);
        if self.wanted {
            self.pass_on(&order).await;
        }
        self.remember(order);
        super::tell_of_dropped(&self.dropped);
    }

    fn remember(&mut self, order: Order) {
        let Order::Notice(notice) = order else {
            return;
        };
        match notice.event {
            Event::Started { .. } => self.begun = Some(notice),
            Event::Transition(_) => self.state = Some(notice),
            _ => {}
        }
    }

    /// Writes `order`, to a process that is started for it if need be.
    async fn pass_on(&mut self, order: &Order) {
        self.replace().await;
        if let Some(running) = &mut self.running {
            // One that died meanwhile is replaced next.
            let _ = write(&mut running.input, order).await;
        }
    }

    /// Sees to it that a process runs if there is anything to tell.
    async fn replace(&mut self) {
        self.bury();
        if self.running.is_none() && self.wanted {
            self.start().await;
        }
    }

    /// A process that found nothing to tell has ended in order, and none is wanted any more.
    fn bury(&mut self) {
        let Some(running) = &mut self.running else {
            return;
        };
        let Ok(Some(status)) = running.child.try_wait() else {
            return;
        };
        self.running = None;
        self.wanted = !status.success();
        if self.wanted {
            tracing::warn!("pulse: the process that tells of events ended: {status}");
        }
    }

    /// Starts a process, once in [`RESTART_PAUSE`] at most, and tells it where things stand.
    async fn start(&mut self) {
        clock::sleep_until(self.next_start).await;
        self.next_start = clock::now() + RESTART_PAUSE;
        // A process group of its own: what ends this process from the terminal must be told of.
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn();
        let spawned = child.and_then(|mut child| {
            let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(Running { child, input })
        });
        match spawned {
            Ok(mut running) => {
                for order in self.story() {
                    let _ = write(&mut running.input, &order).await;
                }
                self.running = Some(running);
            }
            Err(error) => tracing::warn!("pulse: nobody is told of events: {error}"),
        }
    }

    /// What a process must know that did not see it. The state is told again: it may not have been
    /// told by one that died.
    fn story(&self) -> Vec<Order> {
        let Some(state) = &self.state else {
            return self.begun.iter().cloned().map(Order::Notice).collect();
        };
        let role = self.begun.iter().filter_map(|notice| match notice.event {
            Event::Started { role, .. } => Some(Order::Role(role)),
            _ => None,
        });
        role.chain([Order::Notice(state.clone())]).collect()
    }

    /// Says farewell, and waits until everybody is told.
    async fn end(self, done: Option<oneshot::Sender<()>>) {
        if let Some(Running { mut child, mut input }) = self.running {
            let _ = write(&mut input, &Order::Farewell).await;
            drop(input);
            let _ = child.wait().await;
        }
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}

/// Waits for the end of a process that runs.
async fn ended(running: Option<&mut Running>) {
    match running {
        Some(running) => drop(running.child.wait().await),
        None => std::future::pending().await,
    }
}

async fn write(input: &mut ChildStdin, order: &Order) -> io::Result<()> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    input.write_all(&line).await
}
