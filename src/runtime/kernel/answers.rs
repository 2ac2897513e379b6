//! From replies to what a caller asked for.

use std::collections::HashSet;

use crate::ipvs::Table;
use crate::ipvs::kernel::{
    Daemon, DestinationStatus, Info, KernelError, Reason, Reply, Request, ServiceStatus, Timeouts,
};

/// A service with its destinations, as the kernel has them.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The service.
    pub service: ServiceStatus,
    /// Its destinations, the newest first.
    pub destinations: Vec<DestinationStatus>,
}

/// What one request was answered.
pub(super) type Answer = Result<Vec<Reply>, KernelError>;

/// Each service once: a table that changes while it is listed may show one twice.
pub(super) fn services(replies: Vec<Reply>) -> Vec<ServiceStatus> {
    let mut seen = HashSet::new();
    let services = replies.into_iter().filter_map(|reply| match reply {
        Reply::Service(status) => Some(*status),
        _ => None,
    });
    services.filter(|status| seen.insert(status.service.key())).collect()
}

/// Each destination once.
pub(super) fn destinations(replies: Vec<Reply>) -> Vec<DestinationStatus> {
    let mut seen = HashSet::new();
    let destinations = replies.into_iter().filter_map(|reply| match reply {
        Reply::Destination(status) => Some(*status),
        _ => None,
    });
    destinations.filter(|status| seen.insert(status.destination.address())).collect()
}

pub(super) fn daemons(replies: Vec<Reply>) -> Vec<Daemon> {
    let daemons = replies.into_iter().filter_map(|reply| match reply {
        Reply::Daemon(daemon) => Some(daemon),
        _ => None,
    });
    daemons.collect()
}

pub(super) fn timeouts(replies: Vec<Reply>) -> Vec<Timeouts> {
    let timeouts = replies.into_iter().filter_map(|reply| match reply {
        Reply::Timeouts(timeouts) => Some(timeouts),
        _ => None,
    });
    timeouts.collect()
}

pub(super) fn infos(replies: Vec<Reply>) -> Vec<Info> {
    let infos = replies.into_iter().filter_map(|reply| match reply {
        Reply::Info(info) => Some(info),
        _ => None,
    });
    infos.collect()
}

/// The one item the request is answered with.
pub(super) fn one<T>(request: &Request, items: Vec<T>) -> Result<T, KernelError> {
    let missing = || KernelError::new(request, request.attempted(), Reason::NoAnswer);
    items.into_iter().next().ok_or_else(missing)
}

/// Services with the answers to the listings of their destinations, in the same order.
pub(super) fn join(
    services: Vec<ServiceStatus>,
    answers: Vec<Answer>,
) -> Result<Vec<Listed>, KernelError> {
    let pairs = services.into_iter().zip(answers);
    let listed =
        pairs.map(|(service, answer)| Ok(Listed { service, destinations: destinations(answer?) }));
    listed.collect()
}

pub(super) fn table(listed: &[Listed]) -> Table {
    let mut table = Table::new();
    for one in listed {
        let entry = table.insert(one.service.service.clone());
        for status in &one.destinations {
            entry.insert(status.destination);
        }
    }
    table
}
