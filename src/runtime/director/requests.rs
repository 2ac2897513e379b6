//! What the heartbeat and clients want of a director.

use std::time::Duration;

use tokio::sync::mpsc;

use super::reload::refused;
use super::{Director, Order, Trial};
use crate::control::Event;
use crate::control::supervision::{Report, Request};
use crate::failover::{ActionError, VirtualAddress};
use crate::ipvs::Table;

impl Director {
    pub(super) async fn on_request(
        &mut self,
        request: Request,
        reports: &mpsc::UnboundedSender<Report>,
    ) {
        match request {
            Request::Acquire { id, addresses } => {
                let result = self.acquire(&addresses).await;
                let _ = reports.send(Report::Done { id, result });
                self.tend().await;
            }
            Request::Release { id, addresses } => {
                self.release(&addresses).await;
                let _ = reports.send(Report::Done { id, result: Ok(()) });
                self.tend().await;
            }
            Request::Held { addresses } => self.on_held(&addresses).await,
            Request::Reload => {
                let _told_as_event = self.on_reload(None, None, reports).await;
            }
            // Whoever holds the addresses announces them; the end is the caller's.
            Request::Announce { .. } | Request::Stop { .. } => {}
        }
    }

    /// Goes on as an earlier `lvs` did: nothing is new to anybody but this process.
    async fn on_held(&mut self, addresses: &[VirtualAddress]) {
        let plane = self.table.backend_mut();
        if addresses.is_empty() {
            plane.release(addresses).await;
        } else if let Err(error) = plane.acquire(addresses).await {
            self.tell(Event::Warning { text: error.to_string() });
        }
        self.tend().await;
    }

    pub(super) async fn on_order(&mut self, order: Order, reports: &mpsc::UnboundedSender<Report>) {
        match order {
            Order::Status { scope, answer } => {
                let _gone = answer.send(self.tell_status(&scope));
            }
            Order::Table { answer } => {
                let _gone = answer.send(self.table_status());
            }
            Order::Counters { answer } => {
                let _gone = answer.send(self.counters());
            }
            Order::Operate { author, operation, answer } => {
                let outcome = self.operate(&author, operation, reports).await;
                let _gone = answer.send(outcome);
            }
            Order::Clear { author, target, answer } => {
                let _gone = answer.send(self.clear(&author, target.as_deref()).await);
            }
            Order::Replicas { unless, answer } => {
                let _gone = answer.send(self.replicas(unless.as_deref()));
            }
            Order::Replicate { words, answer } => {
                let _gone = answer.send(self.take_replicas(words).await);
            }
            Order::Replicated { digest, problem, answer } => {
                self.on_replicated(digest, problem);
                let _gone = answer.send(());
            }
            Order::Settled { answer } => self.settle(answer),
            Order::Trials { target, answer } => {
                let _gone = answer.send(Trial::along(&self.config, &self.ways, &target));
            }
            Order::TestNotify { only, answer } => match &self.notifier {
                Some(notifier) => notifier.test(only, answer),
                None => drop(answer.send(Vec::new())),
            },
            Order::Reload { accepted, answer } => {
                let reloaded = self.on_reload(accepted, None, reports).await;
                let _gone = answer.send(reloaded.map_err(|error| refused(&error)));
            }
            Order::Check { accepted, answer } => {
                let checked = self.check_acceptable(&accepted).map_err(|error| refused(&error));
                let _gone = answer.send(checked.map(|()| accepted));
            }
        }
    }

    async fn acquire(&mut self, wanted: &[VirtualAddress]) -> Result<(), ActionError> {
        self.table.backend_mut().acquire(wanted).await?;
        self.tell(Event::Acquired { addresses: wanted.to_vec() });
        Ok(())
    }

    async fn release(&mut self, addresses: &[VirtualAddress]) {
        self.table.backend_mut().release(addresses).await;
        self.tell(Event::Released { addresses: addresses.to_vec() });
    }

    /// Gives every address up and waits, at most `drain`, for connections that would end with
    /// this process. A table that outlives the process is left as it is.
    pub(super) async fn stop(mut self, drain: Duration) {
        let addresses = self.terms().addresses;
        let plane = self.table.backend_mut();
        plane.release(&addresses).await;
        self.tend().await;
        let plane = self.table.backend_mut();
        plane.drain(drain).await;
        if self.release {
            self.tear_down().await;
        }
        self.table.backend_mut().shutdown();
        let known = self.watch.remembered();
        if !known.is_empty() {
            self.memory.write_now(&known);
        }
    }

    /// The addresses are gone, so that no connection of theirs reaches this machine any more.
    async fn tear_down(&mut self) {
        let removed = self.table.whole(&Table::new()).await;
        let left = removed.is_err();
        self.warn_of(removed);
        let news = self.table.backend_mut().tear_down().await;
        news.into_iter().for_each(|event| self.tell(event));
        if !left {
            tracing::info!("lvs: the table has been taken down, as asked (--release)");
        }
    }
}
