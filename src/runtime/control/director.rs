//! What `lvs` does for clients.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::feed::{Chronicle, Feed};
use super::node::wrong_daemon;
use super::server::{Caller, Options, Serve, Served, start};
use super::session::text;
use crate::control::protocol::{
    Call, Checked, Daemon, Done, Notified, Operated, Problem, ProblemCode,
};
use crate::runtime::director::Order;
use crate::runtime::revisions::Keeper;

/// How long a director may take for an order, a reload of a large configuration included.
const LIMIT: Duration = Duration::from_secs(60);

/// How long an answer waits for the partner to know of it too. It does not have to: what is
/// said is brought there whenever it can be reached.
const REPLICATION_LIMIT: Duration = Duration::from_secs(2);

/// Clients that may have servers checked at the same time.
const TRIALS: usize = 4;

/// Servers that one call may have checked.
const TRIED: usize = 16;

/// How long a client keeps its place at least, so that nobody floods a server with checks.
const TRIAL_PAUSE: Duration = Duration::from_millis(250);

/// The longest name of somebody on whose behalf a client speaks, in characters.
const MAX_NAME: usize = 64;

/// Serves the control socket of `lvs`, asking the director behind `orders`, and the `keeper` of its
/// configuration where there is one.
///
/// # Errors
/// The operating system's, when the socket or its thread cannot be made.
pub fn serve_director(
    options: &Options,
    feed: Feed,
    orders: mpsc::Sender<Order>,
    keeper: Option<Keeper>,
) -> io::Result<Served> {
    let (trials, tests) = (Semaphore::new(TRIALS), Semaphore::new(1));
    start(options, feed, Arc::new(Director { orders, keeper, trials, tests }))
}

struct Director {
    orders: mpsc::Sender<Order>,
    /// Places for clients that have servers checked.
    trials: Semaphore,
    /// The place for a client that has the notifications tried.
    tests: Semaphore,
    keeper: Option<Keeper>,
}

#[async_trait]
impl Serve for Director {
    fn daemon(&self) -> Daemon {
        Daemon::Lvs
    }

    async fn serve(
        &self,
        caller: &Caller,
        call: Call,
        events: &Chronicle,
    ) -> Result<String, Problem> {
        match call {
            Call::Counters => {
                let mut counters = events.counters();
                counters.services = self.ask(|answer| Order::Counters { answer }).await?;
                text(&counters)
            }
            Call::Status(scope) => {
                let order = |answer| Order::Status { scope, answer };
                let mut balancing = self.ask(order).await?;
                balancing.configuration.standing = self.keeper.as_ref().map(Keeper::standing);
                text(&balancing)
            }
            Call::Table => text(&self.ask(|answer| Order::Table { answer }).await?),
            Call::Reload => {
                tracing::info!("lvs: {} asks for a reload", caller.user);
                let order = |answer| Order::Reload { accepted: None, answer };
                let changes = self.ask(order).await??;
                text(&Done::new(format!("reloaded, {changes} changes to the table")))
            }
            Call::Operate(operation) => {
                if operation.save {
                    self.check_settled()?;
                }
                let author = caller.user.clone();
                let order = |answer| Order::Operate { author, operation, answer };
                let operated = self.ask(order).await??;
                text(&self.replicated(operated).await)
            }
            Call::Check { target } => {
                tracing::info!("lvs: {} asks for a check of {target}", caller.user);
                text(&self.check(target).await?)
            }
            Call::TestNotify { only } => {
                tracing::info!("lvs: {} asks for a test of the notifications", caller.user);
                text(&self.test_notify(only).await?)
            }
            Call::ClearOverrides { target } => {
                let author = caller.user.clone();
                let order = |answer| Order::Clear { author, target, answer };
                let operated = self.ask(order).await??;
                text(&self.replicated(operated).await)
            }
            Call::Replicas { unless } => {
                text(&self.ask(|answer| Order::Replicas { unless, answer }).await?)
            }
            Call::Replicate { words } => {
                text(&self.ask(|answer| Order::Replicate { words, answer }).await??)
            }
            Call::Replicated { digest, problem } => {
                self.ask(|answer| Order::Replicated { digest, problem, answer }).await?;
                text(&Done::new("noted"))
            }
            Call::Peer(_) => Err(wrong_daemon(Daemon::Lvs, Daemon::Peer)),
            Call::ReviewConfig { draft } => text(&self.keeper()?.review(draft).await?),
            Call::ApplyConfig(wanted) => {
                let author = author(caller, wanted.on_behalf_of.as_deref());
                text(&self.keeper()?.apply(author, wanted).await?)
            }
            Call::ConfirmConfig { on_behalf_of } => {
                let author = author(caller, on_behalf_of.as_deref());
                text(&self.keeper()?.confirm(author).await?)
            }
            Call::UndoConfig { reason, on_behalf_of } => {
                let author = author(caller, on_behalf_of.as_deref());
                text(&self.keeper()?.undo(author, reason).await?)
            }
            Call::ConfigHistory => text(&self.keeper()?.history().await?),
            Call::ConfigText { revision } => text(&self.keeper()?.text(revision).await?),
            _ => Err(wrong_daemon(Daemon::Lvs, Daemon::Pulse)),
        }
    }
}

/// Whose doing it is.
fn author(caller: &Caller, on_behalf_of: Option<&str>) -> String {
    let Some(name) = on_behalf_of else { return caller.user.clone() };
    let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    format!("{name} via {}", caller.user)
}

impl Director {
    /// Waits a moment for the partner to have it too.
    async fn replicated(&self, mut operated: Operated) -> Operated {
        let settled = self.ask(|answer| Order::Settled { answer });
        let settled = tokio::time::timeout(REPLICATION_LIMIT, settled).await;
        operated.replicated = matches!(settled, Ok(Ok(true)));
        operated
    }

    /// Runs the checks here, on the thread of the control socket: none of the director's waits.
    async fn check(&self, target: String) -> Result<Checked, Problem> {
        let place = self.trials.try_acquire();
        let _place = place.map_err(|_full| {
            let message = format!("{TRIALS} clients have servers checked already");
            Problem::new(ProblemCode::Busy, message, "try again in a moment")
        })?;
        let trials = self.ask(|answer| Order::Trials { target, answer }).await?;
        let trials = trials.map_err(|error| {
            let mend = "see `piranha server list` for what there is";
            Problem::new(ProblemCode::NoSuchObject, error.to_string(), mend)
        })?;
        if trials.len() > TRIED {
            let message =
                format!("that means {} servers, and {TRIED} are checked at most", trials.len());
            let mend = "name the service too: SERVICE/SERVER";
            return Err(Problem::new(ProblemCode::NoSuchObject, message, mend));
        }
        let pause = tokio::time::sleep(TRIAL_PAUSE);
        let running: Vec<_> = trials.into_iter().map(|trial| tokio::spawn(trial.run())).collect();
        let mut checks = Vec::new();
        for trial in running {
            let panicked = |_| Problem::new(ProblemCode::System, "the check panicked", "report it");
            checks.push(trial.await.map_err(panicked)?);
        }
        pause.await;
        Ok(Checked::new(checks))
    }

    /// One at a time: each tells everybody.
    async fn test_notify(&self, only: Option<String>) -> Result<Notified, Problem> {
        let place = self.tests.try_acquire();
        let _place = place.map_err(|_taken| {
            let message = "another test of the notifications is under way";
            Problem::new(ProblemCode::Busy, message, "try again in a moment")
        })?;
        let told = self.ask(|answer| Order::TestNotify { only, answer }).await?;
        Ok(Notified::new(told.into_iter().map(Into::into).collect()))
    }

    fn keeper(&self) -> Result<&Keeper, Problem> {
        self.keeper.as_ref().ok_or_else(|| {
            let message = "nobody keeps the configuration of this director";
            Problem::new(ProblemCode::State, message, "edit the file and reload")
        })
    }

    /// Refuses what writes into a file that may be about to be rolled back.
    fn check_settled(&self) -> Result<(), Problem> {
        let pending = self.keeper.as_ref().and_then(|keeper| keeper.standing().pending);
        pending.map_or(Ok(()), |pending| {
            let message = format!("revision {} waits to be confirmed", pending.revision);
            Err(Problem::new(ProblemCode::State, message, "confirm or undo it first"))
        })
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Problem> {
        let (sender, answer) = oneshot::channel();
        let asked = async {
            self.orders.send(order(sender)).await.ok()?;
            answer.await.ok()
        };
        match tokio::time::timeout(LIMIT, asked).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => {
                Err(Problem::new(ProblemCode::State, "lvs is stopping", "ask again when it runs"))
            }
            Err(_) => {
                let message = format!("lvs did not come to it within {LIMIT:?}");
                Err(Problem::new(ProblemCode::TimedOut, message, "see the log of lvs"))
            }
        }
    }
}
