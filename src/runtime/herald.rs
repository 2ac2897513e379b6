//! Tells the service manager what a director does.
//!
//! On a thread of its own, which asks the daemons as any client does: the heartbeat's thread tells
//! the manager only that it lives.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use super::control;
use super::systemd::Manager;
use crate::control::protocol::{Daemon, Events, Scope};
use crate::control::status::Reading;
use crate::control::{Client, ClientError, Event, Record, Timestamp};
use crate::failover::State;

/// How often the status line is made anew.
const PACE: Duration = Duration::from_secs(5);

/// How often is looked whether something that is waited for has come about.
const LOOK: Duration = Duration::from_millis(100);

/// How long a reload may take before it counts as over, whatever became of it.
const RELOAD_LIMIT: Duration = Duration::from_secs(60);

/// The end that is told what begins.
#[derive(Debug)]
pub struct Herald {
    manager: Manager,
    reloads: mpsc::UnboundedSender<Timestamp>,
}

impl Herald {
    /// Tells `manager` of the daemons whose control sockets are in `directory`: that they are ready
    /// as soon as the state of this director is known, and from then on what they do.
    ///
    /// # Errors
    /// The operating system's, when there is no thread to be had.
    pub fn start(manager: Manager, directory: PathBuf) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (reloads, receiver) = mpsc::unbounded_channel();
        let teller = Teller { manager: manager.clone(), directory, told: None };
        std::thread::Builder::new().name("herald".to_owned()).spawn(move || {
            runtime.block_on(teller.run(receiver));
        })?;
        Ok(Self { manager, reloads })
    }

    /// A reload begins now; what becomes of it is found out.
    pub fn reloading(&self) {
        self.manager.reloading();
        // Without the thread nobody tells the end of it, and the manager's own limit ends it.
        let _gone = self.reloads.send(control::now());
    }

    /// The daemon begins to stop.
    pub fn stopping(&self) {
        self.manager.stopping();
    }
}

struct Teller {
    manager: Manager,
    directory: PathBuf,
    told: Option<String>,
}

impl Teller {
    async fn run(mut self, mut reloads: mpsc::UnboundedReceiver<Timestamp>) {
        while !self.is_settled().await {
            tokio::time::sleep(LOOK).await;
        }
        self.manager.ready();
        loop {
            self.tell_status().await;
            tokio::select! {
                reload = reloads.recv() => match reload {
                    Some(begun) => self.follow_reload(begun).await,
                    None => return,
                },
                () = tokio::time::sleep(PACE) => {}
            }
        }
    }

    /// Whether this director has found its part: not while it listens for its partner.
    async fn is_settled(&self) -> bool {
        let status = control::status_of(&self.directory, Scope::overview().at_most(0)).await;
        status.pulse.known().is_some_and(|pulse| pulse.state != State::Starting)
    }

    async fn tell_status(&mut self) {
        let status = control::status_of(&self.directory, Scope::overview().at_most(0)).await;
        let line = match &status.pulse {
            Reading::Known(_) => status.line(),
            Reading::Unknown { .. } => return,
        };
        if self.told.as_ref() != Some(&line) {
            self.manager.status(&line);
            self.told = Some(line);
        }
    }

    async fn follow_reload(&self, begun: Timestamp) {
        let ended = async {
            let mut seen = 0;
            while !self.reload_ended(begun, &mut seen).await {
                tokio::time::sleep(LOOK).await;
            }
        };
        // It is not told as failed: the manager knows only services that failed, and this one runs.
        let _late = tokio::time::timeout(RELOAD_LIMIT, ended).await;
        self.manager.ready();
    }

    /// Whether `lvs` has decided on a reload since `begun`, after the event number `seen`.
    async fn reload_ended(&self, begun: Timestamp, seen: &mut u64) -> bool {
        let Ok(events) = self.events(*seen).await else { return false };
        // A new life of `lvs` counts from 1 again, and has read the file.
        let restarted = events.last < *seen;
        *seen = events.last;
        let decided = |record: &Record| {
            let of_reload =
                matches!(record.event, Event::Reloaded { .. } | Event::ReloadFailed { .. });
            of_reload && record.at >= begun
        };
        restarted || events.events.iter().any(decided)
    }

    async fn events(&self, after: u64) -> Result<Events, ClientError> {
        Client::connect(&self.directory, Daemon::Lvs).await?.events(after).await
    }
}
