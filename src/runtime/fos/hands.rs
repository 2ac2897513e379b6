//! What starts and stops services, one command after the other.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::config::{Config, Failover};
use crate::runtime::checks::program::{self, describe};

/// How long a command may take to start or stop a service.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// What came of starting services.
pub(super) enum Outcome {
    /// All that were to be started are.
    Started,
    /// One could not be started, in words.
    Failed(String),
}

/// A task that brings the services to what is wanted, and never runs two commands at once.
pub(super) struct Hands {
    wanted: watch::Sender<Wanted>,
    outcomes: mpsc::UnboundedReceiver<(u64, Outcome)>,
    done: watch::Receiver<u64>,
}

#[derive(Clone, Default)]
struct Wanted {
    /// Counts what was wanted so far.
    number: u64,
    /// The services that are to run.
    running: Vec<Failover>,
    /// All there are: where none is to run, each is stopped, whether or not it was started.
    known: Vec<Failover>,
}

impl Hands {
    pub(super) fn start(config: &Config) -> Self {
        let known = config.active_failovers().cloned().collect();
        let (wanted, receiver) = watch::channel(Wanted { known, ..Wanted::default() });
        let (outcome_sender, outcomes) = mpsc::unbounded_channel();
        let (done_sender, done) = watch::channel(0);
        tokio::spawn(work(receiver, outcome_sender, done_sender));
        Self { wanted, outcomes, done }
    }

    /// All services of `config` are to run.
    pub(super) fn go(&self, config: &Config) {
        let services: Vec<_> = config.active_failovers().cloned().collect();
        self.wanted.send_modify(|wanted| {
            wanted.number += 1;
            wanted.running.clone_from(&services);
            wanted.known = services;
        });
    }

    /// No service is to run.
    pub(super) fn stop(&self) {
        self.wanted.send_modify(|wanted| {
            wanted.number += 1;
            wanted.running.clear();
        });
    }

    /// Whether what was wanted last is so within `limit`.
    pub(super) async fn stopped(&mut self, limit: Duration) -> bool {
        let number = self.wanted.borrow().number;
        let done = self.done.wait_for(|&done| done >= number);
        matches!(tokio::time::timeout(limit, done).await, Ok(Ok(_)))
    }

    /// What came of the last wish to start.
    pub(super) async fn outcome(&mut self) -> Outcome {
        loop {
            let Some((number, outcome)) = self.outcomes.recv().await else {
                return std::future::pending().await;
            };
            if number == self.wanted.borrow().number {
                return outcome;
            }
        }
    }
}

async fn work(
    mut wanted: watch::Receiver<Wanted>,
    outcomes: mpsc::UnboundedSender<(u64, Outcome)>,
    done: watch::Sender<u64>,
) {
    let mut running: Vec<Failover> = Vec::new();
    while wanted.changed().await.is_ok() {
        let now = wanted.borrow_and_update().clone();
        if now.running.is_empty() {
            let gone = running.iter().filter(|old| !names(&now.known, old));
            let all: Vec<_> = now.known.iter().chain(gone).cloned().collect();
            stop(&all).await;
            running.clear();
            done.send_replace(now.number);
            continue;
        }
        let gone: Vec<_> = running.extract_if(.., |old| !names(&now.running, old)).collect();
        stop(&gone).await;
        let new: Vec<_> = now.running.iter().filter(|s| !names(&running, s)).cloned().collect();
        // Whatever else is wanted now matters more than a service that takes its time to start.
        let outcome = tokio::select! {
            outcome = start(&new, &mut running) => outcome,
            changed = wanted.changed() => {
                if changed.is_err() { return; }
                wanted.mark_changed();
                continue;
            }
        };
        done.send_replace(now.number);
        let _ = outcomes.send((now.number, outcome));
    }
}

fn names(services: &[Failover], one: &Failover) -> bool {
    services.iter().any(|other| other.service.name == one.service.name)
}

/// Starts in the order of the file; one that fails counts as running, so that it is stopped.
async fn start(services: &[Failover], running: &mut Vec<Failover>) -> Outcome {
    for failover in services {
        running.push(failover.clone());
        if let Some(command) = &failover.start_cmd {
            let name = &failover.service.name;
            if let Err(reason) = run(name, "start_cmd", command).await {
                return Outcome::Failed(format!("{name}: start_cmd: {reason}"));
            }
        }
    }
    Outcome::Started
}

/// Stops in the opposite order. One that cannot be stopped keeps no other from it.
async fn stop(services: &[Failover]) {
    for failover in services.iter().rev() {
        if let Some(command) = &failover.stop_cmd {
            let _ = run(&failover.service.name, "stop_cmd", command).await;
        }
    }
}

async fn run(name: &str, what: &str, command: &str) -> Result<(), String> {
    let arguments = command.split_ascii_whitespace().map(str::to_owned);
    let environment = ("PIRANHA_SERVICE", name);
    let ended = program::trusted(arguments, None, environment, COMMAND_LIMIT).await;
    let result = match ended {
        Err(failure) => Err(failure.to_string()),
        Ok(ended) if ended.timed_out => Err(format!("killed after {COMMAND_LIMIT:?}")),
        Ok(ended) if ended.status.success() => Ok(()),
        Ok(ended) => Err(describe(ended.status)),
    };
    match &result {
        Ok(()) => tracing::info!("fos: {name}: {what} {command} done"),
        Err(reason) => tracing::warn!("fos: {name}: {what} {command}: {reason}"),
    }
    result
}
