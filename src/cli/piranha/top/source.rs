//! The daemons: asked again and again, listened to, and told what to do.
#![allow(clippy::disallowed_methods, reason = "each daemon is listened to by a task")]

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::super::place::{Place, refused};
use super::update::{Action, Input};
use crate::cli::Failure;
use crate::control::protocol::{Daemon, Operated, Scope, Servers};
use crate::control::{Client, ClientError, Heard};

/// How often a daemon that is gone is looked for again.
const LOOK: Duration = Duration::from_secs(1);

/// Both daemons of a director.
#[derive(Clone)]
pub(super) struct Source {
    place: Place,
    inputs: mpsc::Sender<Input>,
}

impl Source {
    /// What the daemons of `place` say comes in through `inputs`.
    pub(super) const fn new(place: Place, inputs: mpsc::Sender<Input>) -> Self {
        Self { place, inputs }
    }

    /// Begins to ask every `interval`, for these servers, and to listen.
    pub(super) fn spawn(&self, wanted: watch::Receiver<Servers>, interval: Duration) {
        tokio::spawn(self.clone().poll(wanted, interval));
        tokio::spawn(self.clone().listen(Daemon::Pulse));
        tokio::spawn(self.clone().listen(Daemon::Lvs));
    }

    /// Has a daemon do something; what came of it comes in later.
    pub(super) fn carry_out(&self, action: Action) {
        let Self { place, inputs } = self.clone();
        tokio::spawn(async move {
            let outcome = done(&place, action).await.map_err(|Failure(why)| why.replace('\n', ";"));
            let _ended = inputs.send(Input::Outcome(outcome)).await;
        });
    }

    async fn poll(self, mut wanted: watch::Receiver<Servers>, interval: Duration) {
        loop {
            let servers = *wanted.borrow_and_update();
            let status = self.place.status(Scope::of(servers)).await;
            if self.inputs.send(Input::Status(Box::new(status))).await.is_err() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                changed = wanted.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Passes on what happens. A daemon that is started again is found again.
    async fn listen(self, daemon: Daemon) {
        while !self.inputs.is_closed() {
            let _gone = self.hear(daemon).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn hear(&self, daemon: Daemon) -> Result<(), ClientError> {
        let mut client = self.place.client(daemon).await?;
        let past = client.follow(0).await?.events;
        let mut input = Input::Events(daemon, past);
        while self.inputs.send(input).await.is_ok() {
            input = match client.next_event().await? {
                Heard::Event(record) => Input::Events(daemon, vec![record]),
                Heard::Lost(lost) => Input::Lost(daemon, lost),
            };
        }
        Ok(())
    }
}

/// What the daemons say at this moment, with what has happened so far.
pub(super) async fn look(place: &Place, servers: Servers) -> Vec<Input> {
    let mut inputs = vec![Input::Status(Box::new(place.status(Scope::of(servers)).await))];
    for daemon in [Daemon::Pulse, Daemon::Lvs] {
        let past = async { place.client(daemon).await?.events(0).await };
        if let Ok(past) = past.await {
            inputs.push(Input::Events(daemon, past.events));
        }
    }
    inputs
}

async fn done(place: &Place, action: Action) -> Result<String, Failure> {
    match action {
        Action::Quit => Ok(String::new()),
        Action::Operate(operation) => {
            let word = operation.word;
            let mut lvs = place.connect(Daemon::Lvs).await?;
            let operated = lvs.operate(operation).await.map_err(refused)?;
            Ok(format!("{}: {word}", names(&operated)))
        }
        Action::HandOver { reason } => {
            let mut pulse: Client = place.connect(Daemon::Pulse).await?;
            Ok(pulse.hand_over(reason.as_deref()).await.map_err(refused)?.done)
        }
    }
}

fn names(operated: &Operated) -> String {
    let servers = operated.servers.iter();
    let names: Vec<_> = servers.map(|one| format!("{}/{}", one.service, one.server)).collect();
    names.join(", ")
}
