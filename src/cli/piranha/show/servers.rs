//! Services, servers and what operators say of them, in tables.

use super::super::table::{Screen, Table, Tone, short};
use super::{server_tone, service_tone};
use crate::config::QuorumOf;
use crate::control::status::{Balancing, ServerState, ServerStatus, ServiceStatus, Traffic};
use crate::control::{Age, Override, Timestamp};
use crate::net::Weight;

fn plain(text: impl Into<String>) -> (String, Tone) {
    (text.into(), Tone::Plain)
}

/// Every service; below it with `all` every server, else those that are not as they should be.
pub(super) fn services(lvs: &Balancing, screen: Screen, all: bool) -> String {
    let mut headings = vec!["SERVICE", "ADDRESS", "STATE", ">UP", ">WEIGHT", ">CONN"];
    if all {
        headings.extend([">INACT", ">CONN/S", ">IN", ">OUT"]);
    }
    headings.push("WHY");
    let mut table = Table::new(&headings);
    for service in &lvs.services {
        table.row(service_row(service, all));
        for server in service.servers.iter().flatten().filter(|s| all || is_news(s)) {
            table.row(indented(server, all));
        }
    }
    table.render(screen)
}

/// `piranha service list`
pub(in crate::cli::piranha) fn service_list(lvs: &Balancing, screen: Screen) -> String {
    let mut table = Table::new(&[
        "SERVICE",
        "ADDRESS",
        "SCHEDULER",
        "STATE",
        ">UP",
        ">CONN",
        ">INACT",
        ">CONN/S",
        "WHY",
    ]);
    for service in &lvs.services {
        let mut row = vec![
            plain(&service.name),
            plain(service.key.to_string()),
            plain(&service.scheduler),
            (service.state.to_string(), service_tone(service.state)),
            plain(format!("{}/{}", service.counts.up, service.counts.total)),
        ];
        row.extend(load(service.traffic.as_ref(), false));
        row.push(plain(service_reason(service)));
        table.row(row);
    }
    table.render(screen)
}

/// `piranha server list`
pub(in crate::cli::piranha) fn server_list(lvs: &Balancing, screen: Screen) -> String {
    let mut table = Table::new(&[
        "SERVER", "ADDRESS", "STATE", "FOR", ">WEIGHT", ">CONN", ">INACT", ">CONN/S", "WHY",
    ]);
    for service in &lvs.services {
        for server in service.servers.iter().flatten() {
            let mut row = vec![
                plain(format!("{}/{}", service.name, server.name)),
                plain(server.address.to_string()),
                (state(server), server_tone(server.state)),
                plain(server.since.to_string()),
                plain(weight(server)),
            ];
            row.extend(load(server.traffic.as_ref(), false));
            row.push(plain(reason(server)));
            table.row(row);
        }
    }
    table.render(screen)
}

/// `piranha override list`
pub(in crate::cli::piranha) fn override_list(
    overrides: &[Override],
    now: Timestamp,
    screen: Screen,
) -> String {
    let mut table = Table::new(&["SERVER", "WORD", "BY", "FOR", "ENDS IN", "REASON"]);
    for said in overrides {
        let ends = |until: Timestamp| Age(until.since(now)).to_string();
        table.row(vec![
            plain(said.subject()),
            plain(said.word.to_string()),
            plain(&said.author),
            plain(Age(now.since(said.since)).to_string()),
            plain(said.until.map(ends).unwrap_or_default()),
            plain(said.reason.clone().unwrap_or_default()),
        ]);
    }
    table.render(screen)
}

fn service_row(service: &ServiceStatus, all: bool) -> Vec<(String, Tone)> {
    let mut row = vec![
        plain(&service.name),
        plain(service.key.to_string()),
        (service.state.to_string(), service_tone(service.state)),
        plain(format!("{}/{}", service.counts.up, service.counts.total)),
        plain(""),
    ];
    row.extend(some_load(service.traffic.as_ref(), all));
    row.push(plain(service_reason(service)));
    row
}

fn indented(server: &ServerStatus, all: bool) -> Vec<(String, Tone)> {
    let mut row = vec![
        plain(format!("  {}", server.name)),
        plain(server.address.to_string()),
        (state(server), server_tone(server.state)),
        plain(""),
        plain(weight(server)),
    ];
    row.extend(some_load(server.traffic.as_ref(), all));
    row.push(plain(reason(server)));
    row
}

/// Whether a server is worth a line where not all of them are shown.
fn is_news(server: &ServerStatus) -> bool {
    server.state.is_notable() || server.operator.is_some()
}

fn some_load(traffic: Option<&Traffic>, all: bool) -> Vec<(String, Tone)> {
    if all {
        return load(traffic, true);
    }
    vec![plain(traffic.map_or(String::new(), |t| short(u64::from(t.load.active))))]
}

fn load(traffic: Option<&Traffic>, bytes: bool) -> Vec<(String, Tone)> {
    let of = |value: fn(&Traffic) -> Option<u64>| {
        plain(traffic.and_then(value).map(short).unwrap_or_default())
    };
    let mut cells = vec![
        of(|t| Some(u64::from(t.load.active))),
        of(|t| Some(u64::from(t.load.inactive))),
        of(|t| Some(t.rates?.connections)),
    ];
    if bytes {
        cells.extend([of(|t| Some(t.counters.bytes_in)), of(|t| Some(t.counters.bytes_out))]);
    }
    cells
}

/// While it drains, the connections that are left are its state.
fn state(server: &ServerStatus) -> String {
    match (server.state, &server.traffic) {
        (ServerState::Draining, Some(traffic)) => {
            format!("draining, {} left", traffic.load.total())
        }
        (state, _) => state.to_string(),
    }
}

/// The weight in the table, and that of lvs.cf where it is another.
pub(in crate::cli::piranha) fn weight(server: &ServerStatus) -> String {
    let configured = server.configured_weight;
    match server.weight {
        None => "-".to_owned(),
        Some(weight) if weight == configured => Weight::to_string(&weight),
        Some(weight) => format!("{weight} of {configured}"),
    }
}

/// Why a server is what it is: an operator's word, its checks, its part.
pub(in crate::cli::piranha) fn reason(server: &ServerStatus) -> String {
    let said = server.operator.as_ref().map(|said| {
        let why = said.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{} by {}{why}", said.word, said.author)
    });
    let parts = [said, server.reason.clone(), server.backup.then(|| "backup".to_owned())];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Why a service is what it is.
pub(in crate::cli::piranha) fn service_reason(service: &ServiceStatus) -> String {
    let sorry = service.sorry_servers.iter().map(|sorry| format!("sorry server {sorry} answers"));
    let quorum = service.quorum.filter(|quorum| !quorum.is_met);
    let quorum = quorum.map(|q| match q.of {
        QuorumOf::Weight => format!("weight {} of {} needed", q.weight, q.needed),
        QuorumOf::Servers => format!("{} of {} servers needed", q.weight, q.needed),
    });
    sorry.chain(quorum).collect::<Vec<_>>().join("; ")
}
