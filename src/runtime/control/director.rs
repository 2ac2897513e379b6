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
use crate::control::protocol::{Call, Checked, Daemon, Done, Operated, Problem, ProblemCode};
use crate::runtime::director::Order;

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

/// Serves the control socket of `lvs`, asking the director behind `orders`.
///
/// # Errors
/// The operating system's, when the socket or its thread cannot be made.
pub fn serve_director(
    options: &Options,
    feed: Feed,
    orders: mpsc::Sender<Order>,
) -> io::Result<Served> {
    start(options, feed, Arc::new(Director { orders, trials: Semaphore::new(TRIALS) }))
}

struct Director {
    orders: mpsc::Sender<Order>,
    /// Places for clients that have servers checked.
    trials: Semaphore,
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
            Call::Status { servers, service } => {
                let order = |answer| Order::Status { servers, service, answer };
                text(&self.ask(order).await?)
            }
            Call::Reload => {
                tracing::info!("lvs: {} asks for a reload", caller.user);
                let reloaded = self.ask(|answer| Order::Reload { answer }).await?;
                let changes = reloaded.map_err(|error| {
                    let mend = "mend the file and reload; what ran is still running";
                    Problem::new(ProblemCode::Configuration, error.to_string(), mend)
                })?;
                text(&Done::new(format!("reloaded, {changes} changes to the table")))
            }
            Call::Operate(operation) => {
                let author = caller.user.clone();
                let order = |answer| Order::Operate { author, operation, answer };
                let operated = self.ask(order).await??;
                text(&self.replicated(operated).await)
            }
            Call::Check { target } => {
                tracing::info!("lvs: {} asks for a check of {target}", caller.user);
                text(&self.check(target).await?)
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
            _ => Err(wrong_daemon(Daemon::Lvs, Daemon::Pulse)),
        }
    }
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
