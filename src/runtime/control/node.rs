//! What `pulse` does for clients.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc, watch};

use super::feed::{Chronicle, Feed};
use super::server::{Caller, Options, Serve, Served, start};
use super::session::text;
use crate::control::protocol::{Call, Daemon, Done, Problem, ProblemCode};
use crate::control::status::{Declined, HeartbeatPath, Heartbeats, Partner, Process};
use crate::control::{Age, Counters, Event, Record};
use crate::failover::{Command, State, Transition};
use crate::runtime::announced::Announced;
use crate::runtime::clock;
use crate::runtime::heartbeat::{Control, Meters, Snapshot};
use crate::time::Instant;

/// How long a command may take before its client is told that nothing came of it.
const COMMAND_LIMIT: Duration = Duration::from_secs(15);

/// Serves the control socket of `pulse`: what `snapshots` say is told, commands go to `control`.
///
/// # Errors
/// The operating system's, when the socket or its thread cannot be made.
pub fn serve_node(
    options: &Options,
    feed: Feed,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    control: mpsc::Sender<Control>,
    traffic: Traffic,
) -> io::Result<Served> {
    start(options, feed, Arc::new(Node { snapshots, control, traffic, started: clock::now() }))
}

/// What `pulse` counts while it runs, for the control socket to read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Traffic {
    /// What goes over the heartbeat paths.
    pub meters: Arc<Meters>,
    /// Announcements to the neighbours.
    pub announced: Announced,
}

impl Traffic {
    /// These.
    #[must_use]
    pub const fn new(meters: Arc<Meters>, announced: Announced) -> Self {
        Self { meters, announced }
    }
}

struct Node {
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    traffic: Traffic,
    control: mpsc::Sender<Control>,
    started: Instant,
}

#[async_trait]
impl Serve for Node {
    fn daemon(&self) -> Daemon {
        Daemon::Pulse
    }

    async fn serve(
        &self,
        caller: &Caller,
        call: Call,
        events: &Chronicle,
    ) -> Result<String, Problem> {
        match call {
            Call::Status(_) => text(&self.status()?),
            Call::Counters => text(&self.counters(events)),
            Call::HandOver { reason } => {
                tracing::info!("pulse: {} asks for a hand-over{}", caller.user, because(reason));
                text(&self.command(Command::HandOver, events).await?)
            }
            Call::Maintenance { on, reason } => {
                let what = if on { "maintenance" } else { "the end of maintenance" };
                tracing::info!("pulse: {} asks for {what}{}", caller.user, because(reason));
                text(&self.command(Command::Maintenance(on), events).await?)
            }
            Call::Peer(_) => Err(wrong_daemon(Daemon::Pulse, Daemon::Peer)),
            _ => Err(wrong_daemon(Daemon::Pulse, Daemon::Lvs)),
        }
    }
}

impl Node {
    fn snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        self.snapshots.borrow().clone().ok_or_else(|| {
            let message = "pulse has not begun to listen for heartbeats";
            Problem::new(ProblemCode::State, message, "try again in a moment")
        })
    }

    fn status(&self) -> Result<Heartbeats, Problem> {
        let snapshot = self.snapshot()?;
        let now = clock::now();
        let process = Process::new(std::process::id(), now - self.started);
        Ok(heartbeats(&snapshot, now, process))
    }

    fn counters(&self, events: &Chronicle) -> Counters {
        let mut counters = events.counters();
        counters.paths = self.traffic.meters.read();
        counters.announcements = self.traffic.announced.read();
        counters
    }

    /// Gives a command and waits for what comes of it.
    async fn command(&self, command: Command, events: &Chronicle) -> Result<Done, Problem> {
        let (_, mut news) = events.subscribe(u64::MAX);
        let mut snapshots = self.snapshots.clone();
        snapshots.mark_unchanged();
        self.control.try_send(Control::Command(command)).map_err(|_full_or_closed| {
            let message = "pulse is busy with earlier commands, or stopping";
            Problem::new(ProblemCode::Busy, message, "try again in a moment")
        })?;
        let outcome = async {
            tokio::select! {
                biased;
                outcome = ended(&mut news) => outcome,
                done = maintained(&mut snapshots, command) => Ok(done),
            }
        };
        tokio::time::timeout(COMMAND_LIMIT, outcome).await.unwrap_or_else(|_late| {
            let message = format!("nothing came of it within {COMMAND_LIMIT:?}");
            Err(Problem::new(ProblemCode::TimedOut, message, "see `piranha status`"))
        })
    }
}

fn because(reason: Option<String>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

/// Waits for the event that ends a hand-over.
async fn ended(news: &mut broadcast::Receiver<Record>) -> Result<Done, Problem> {
    loop {
        let event = match news.recv().await {
            Ok(record) => record.event,
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        };
        match event {
            Event::Declined { reason } => {
                let mend = "see `piranha readiness` for what would have to be mended";
                return Err(Problem::new(ProblemCode::State, reason.to_string(), mend));
            }
            Event::Transition(Transition { to: State::Standby, .. }) => {
                return Ok(Done::new("the partner has the service; this node is standby"));
            }
            Event::Transition(Transition {
                to: to @ (State::Failed | State::Stopped),
                cause,
                ..
            }) => {
                let message = format!("this node is {to} now: {cause}");
                return Err(Problem::new(ProblemCode::State, message, "see the log of pulse"));
            }
            _ => {}
        }
    }
}

/// Waits until a node that holds nothing is in maintenance, or out of it, as it was told. What
/// else a command does shows as an event.
async fn maintained(
    snapshots: &mut watch::Receiver<Option<Arc<Snapshot>>>,
    command: Command,
) -> Done {
    let Command::Maintenance(on) = command else { return std::future::pending().await };
    loop {
        if snapshots.changed().await.is_err() {
            return std::future::pending().await;
        }
        let snapshot = snapshots.borrow_and_update().clone();
        let Some(status) = snapshot.as_ref().map(|snapshot| &snapshot.status) else { continue };
        let holds_nothing =
            matches!(status.state, State::Standby | State::Starting | State::Failed);
        if status.maintenance == on && (!on || holds_nothing) {
            return Done::new(if on {
                "this node is in maintenance"
            } else {
                "this node is ready"
            });
        }
    }
}

/// What a snapshot says at `now`.
fn heartbeats(snapshot: &Snapshot, now: Instant, process: Process) -> Heartbeats {
    let status = &snapshot.status;
    let mut half = Heartbeats::new(process, status.role, status.state);
    half.age = Age(now - snapshot.taken);
    half.since = Age(now - status.since);
    half.cause.clone_from(&status.cause);
    half.authenticated = status.authenticated;
    half.faults.clone_from(&status.faults);
    half.maintenance = status.maintenance;
    half.declined = status
        .declined
        .as_ref()
        .map(|declined| Declined::new(Age(now - declined.at), declined.reason.clone()));
    if let Some(terms) = &snapshot.terms {
        half.keepalive = Age(terms.keepalive);
        half.dead_time = Age(terms.dead_time);
        half.digest = format!("{:016x}", terms.digest);
        half.addresses.clone_from(&terms.addresses);
    }
    half.partner = status.peer.as_ref().map(|peer| {
        let mut partner = Partner::new(peer.state, Age(now - peer.heard), peer.same_configuration);
        partner.unfit = peer.unfit;
        partner
    });
    let heard = |place| status.paths.get(place).copied().flatten().map(|at| Age(now - at));
    let paths = snapshot.paths.iter().enumerate();
    half.paths = paths.map(|(n, &(own, peer))| HeartbeatPath::new(own, peer, heard(n))).collect();
    half.rejected = status.rejected.iter().cloned().collect();
    half
}

/// The answer to a call that the other daemon serves.
pub(in crate::runtime) fn wrong_daemon(this: Daemon, other: Daemon) -> Problem {
    let message = format!("{this} does not serve this call");
    Problem::new(ProblemCode::WrongDaemon, message, format!("ask {other}, on {other}.sock"))
}
