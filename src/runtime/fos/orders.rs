//! What can be asked of failover services.

use tokio::sync::mpsc;

use super::{Doing, Group, check};
use crate::config::Failover;
use crate::control::protocol::{Problem, ProblemCode, Replicas, Scope, TableStatus};
use crate::control::status::{
    Balancing, DataPlane, Process, Revision, ServiceState, ServiceStatus,
};
use crate::control::supervision::Report;
use crate::control::{Age, Overrides, TargetError};
use crate::runtime::clock;
use crate::runtime::configuration;
use crate::runtime::director::Order;

impl Group {
    pub(super) fn on_order(&mut self, order: Order, reports: &mpsc::UnboundedSender<Report>) {
        match order {
            // They are few: all are told, however many were asked for.
            Order::Status { scope, answer } => {
                let _gone = answer.send(self.status(&scope));
            }
            Order::Operate { answer, .. } | Order::Clear { answer, .. } => {
                let _gone = answer.send(Err(no_servers()));
            }
            Order::Table { answer } => drop(answer.send(TableStatus::default())),
            Order::Counters { answer } => drop(answer.send(Vec::new())),
            // Of no server anything is said, on either node.
            Order::Replicas { answer, .. } => {
                let _gone = answer.send(Replicas::new(String::new(), Some(Overrides::default())));
            }
            Order::Replicate { answer, .. } => {
                let _gone = answer.send(Ok(Replicas::new(String::new(), None)));
            }
            Order::Replicated { answer, .. } => drop(answer.send(())),
            Order::Trials { target, answer } => {
                let _gone = answer.send(Err(TargetError::NoSuchServer(target)));
            }
            Order::Settled { answer } => drop(answer.send(false)),
            Order::TestNotify { only, answer } => match &self.notifier {
                Some(notifier) => notifier.test(only, answer),
                None => drop(answer.send(Vec::new())),
            },
            Order::Reload { accepted, answer } => {
                let reloaded = self.reload(accepted, reports).map(|()| 0);
                let _gone = answer.send(reloaded.map_err(|error| refused(&error)));
            }
            Order::Check { accepted, answer } => {
                let checked = check(&self.path, &accepted).map_err(|error| refused(&error));
                let _gone = answer.send(checked.map(|()| accepted));
            }
        }
    }

    fn status(&self, scope: &Scope) -> Balancing {
        let now = clock::now();
        let process = Process::new(std::process::id(), now - self.started);
        let failure = match &self.doing {
            Doing::Failed(reason) => Some(reason.clone()),
            _ => None,
        };
        let digest = format!("{:016x}", configuration::digest(&self.config));
        let mut revision = Revision::new(self.path.clone(), digest, Age(now - self.loaded));
        revision.refused.clone_from(&self.refused);
        let mut half = Balancing::new(process, DataPlane::new("fos", failure), revision);
        let wanted = self.config.active_failovers();
        let wanted = wanted.filter(|one| scope.covers(&one.service.name));
        half.services = wanted.map(|failover| self.service(failover)).collect();
        half
    }

    fn service(&self, failover: &Failover) -> ServiceStatus {
        let service = &failover.service;
        let mut status = ServiceStatus::new(&service.name, service.key(), "fos");
        status.state = match self.doing {
            Doing::Nothing => ServiceState::Elsewhere,
            Doing::Starting => ServiceState::Starting,
            Doing::Running => ServiceState::Up,
            Doing::Failed(_) => ServiceState::Down,
        };
        status
    }
}

fn no_servers() -> Problem {
    let message = "failover services have no real servers";
    Problem::new(ProblemCode::State, message, "see `piranha failover` for what moves them")
}

fn refused(error: &super::GroupError) -> Problem {
    let mend = "mend the file and reload; what ran is still running";
    Problem::new(ProblemCode::Configuration, error.to_string(), mend)
}
