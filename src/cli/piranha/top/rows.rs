//! The rows of tables of services and servers: which, and in which order.

use std::cmp::Ordering;

use super::model::{Model, View};
use crate::control::status::{Balancing, ServerState, ServerStatus, ServiceState, ServiceStatus};

/// What rows are in the order of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sort {
    /// What needs attention first.
    Trouble,
    /// As in lvs.cf.
    File,
    Name,
    Connections,
    Rate,
}

impl Sort {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Trouble => Self::File,
            Self::File => Self::Name,
            Self::Name => Self::Connections,
            Self::Connections => Self::Rate,
            Self::Rate => Self::Trouble,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Trouble => "trouble",
            Self::File => "file",
            Self::Name => "name",
            Self::Connections => "connections",
            Self::Rate => "rate",
        }
    }
}

/// A service, or a server of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) service: &'a ServiceStatus,
    pub(super) server: Option<&'a ServerStatus>,
}

impl Row<'_> {
    /// What it is called in commands: `SERVICE` or `SERVICE/SERVER`.
    pub(super) fn key(&self) -> String {
        match self.server {
            Some(server) => format!("{}/{}", self.service.name, server.name),
            None => self.service.name.clone(),
        }
    }

    fn name(&self) -> (&str, &str) {
        (&self.service.name, self.server.map_or("", |server| &server.name))
    }

    fn trouble(&self) -> u8 {
        match self.server {
            Some(server) => server_trouble(server.state),
            None => service_trouble(self.service.state),
        }
    }

    fn connections(&self) -> u64 {
        let traffic = self.server.map_or(self.service.traffic, |server| server.traffic);
        traffic.map_or(0, |traffic| u64::from(traffic.load.active))
    }

    fn rate(&self) -> u64 {
        let traffic = self.server.map_or(self.service.traffic, |server| server.traffic);
        traffic.and_then(|traffic| traffic.rates).map_or(0, |rates| rates.connections)
    }

    fn compare(&self, other: &Self, sort: Sort) -> Ordering {
        match sort {
            Sort::File => Ordering::Equal,
            Sort::Trouble => self.trouble().cmp(&other.trouble()),
            Sort::Name => self.name().cmp(&other.name()),
            Sort::Connections => other.connections().cmp(&self.connections()),
            Sort::Rate => other.rate().cmp(&self.rate()),
        }
    }
}

/// The rows of the view that `model` looks at.
pub(super) fn rows<'a>(model: &Model, lvs: &'a Balancing) -> Vec<Row<'a>> {
    let services = lvs.services.iter().map(|service| Row { service, server: None });
    match model.view {
        View::Overview => ordered(model, services.filter(|row| is_wanted(model, row)).collect()),
        View::Services => {
            let wanted = services.filter(|row| is_wanted(model, row));
            let wanted = ordered(model, wanted.collect());
            wanted.into_iter().flat_map(|row| with_servers(model, row)).collect()
        }
        View::Servers | View::Checks => {
            let servers = services.flat_map(servers);
            ordered(model, servers.filter(|row| model.passes(&row_text(row))).collect())
        }
        View::Cluster | View::Events => Vec::new(),
    }
}

/// A service is looked for by its own words and by those of its servers.
fn is_wanted(model: &Model, row: &Row<'_>) -> bool {
    model.passes(&row_text(row)) || servers(*row).any(|row| model.passes(&row_text(&row)))
}

fn row_text(row: &Row<'_>) -> String {
    match row.server {
        Some(server) => format!("{} {} {}", row.key(), server.address, server.state),
        None => format!("{} {} {}", row.service.name, row.service.key, row.service.state),
    }
}

fn with_servers<'a>(model: &Model, row: Row<'a>) -> Vec<Row<'a>> {
    if !model.expanded.contains(&row.service.name) {
        return vec![row];
    }
    let mut below = vec![row];
    below.extend(ordered(model, servers(row).collect()));
    below
}

fn servers(row: Row<'_>) -> impl Iterator<Item = Row<'_>> {
    let service = row.service;
    service.servers.iter().flatten().map(move |server| Row { service, server: Some(server) })
}

fn ordered<'a>(model: &Model, mut rows: Vec<Row<'a>>) -> Vec<Row<'a>> {
    rows.sort_by(|one, other| one.compare(other, model.sort));
    if model.is_reversed {
        rows.reverse();
    }
    rows
}

const fn server_trouble(state: ServerState) -> u8 {
    match state {
        ServerState::Down => 0,
        ServerState::Falling => 1,
        ServerState::Rising => 2,
        ServerState::Unknown => 3,
        ServerState::Draining => 4,
        ServerState::Disabled => 5,
        ServerState::Waiting => 6,
        ServerState::Up => 7,
    }
}

const fn service_trouble(state: ServiceState) -> u8 {
    match state {
        ServiceState::Down => 0,
        ServiceState::Sorry => 1,
        ServiceState::Degraded => 2,
        ServiceState::Starting => 3,
        ServiceState::Elsewhere => 4,
        ServiceState::Up => 5,
    }
}
