//! States of a pair to draw.

use std::path::PathBuf;
use std::time::Duration;

use super::super::model::{Model, View};
use super::super::update::{Input, update};
use crate::control::protocol::Daemon;
use crate::control::status::{
    Balancing, DataPlane, HeartbeatPath, Heartbeats, Partner, Process, Reading, Replication,
    Revision, ServerState, ServerStatus, ServiceState, ServiceStatus, Status, Traffic,
};
use crate::control::{Age, Event, History, Override, Record, Timestamp, Word};
use crate::failover::{Cause, Role, State, VirtualAddress};
use crate::health::Health;
use crate::ipvs::{Counters, Load, Rates, ServiceKey};
use crate::net::Weight;
use crate::time::Instant;

pub(super) const NOW: Timestamp = Timestamp(1_795_372_245_250);

pub(super) fn age(seconds: u64) -> Age {
    Age(Duration::from_secs(seconds))
}

pub(super) fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn process() -> Process {
    let mut process = Process::new(4711, Duration::from_secs(90_000));
    "1.2.3".clone_into(&mut process.version);
    process
}

/// The half of `pulse`, in good order.
pub(super) fn pulse(role: Role, state: State, partner: State) -> Heartbeats {
    let mut half = Heartbeats::new(process(), role, state);
    (half.since, half.cause) = (age(90_000), Some(Cause::Acquired));
    (half.keepalive, half.dead_time, half.authenticated) = (age(1), age(5), true);
    half.partner = Some(Partner::new(partner, age(1), Some(true)));
    let path = |local: &str, partner: &str| {
        HeartbeatPath::new(local.parse().unwrap(), partner.parse().unwrap(), Some(age(1)))
    };
    half.paths =
        vec![path("192.0.2.11:539", "192.0.2.12:539"), path("[fd00::11]:539", "[fd00::12]:539")];
    half.addresses = vec![VirtualAddress::new("192.0.2.80".parse().unwrap(), "eth0:1")];
    half
}

fn traffic(active: u32) -> Option<Traffic> {
    let load = Load { active, inactive: 3 * active, persistent: 0 };
    let mut counters = Counters::default();
    (counters.connections, counters.bytes_in, counters.bytes_out) =
        (123_456, 12_345_678, 9_876_543_210);
    let rates = Rates { connections: u64::from(active) / 7, ..Rates::default() };
    Some(Traffic::new(load, counters, Some(rates)))
}

pub(super) fn server(name: &str, address: &str, state: ServerState) -> ServerStatus {
    let mut server = ServerStatus::new(name, address.parse().unwrap());
    (server.state, server.health, server.since) = (state, Health::Up, age(4000));
    (server.weight, server.traffic, server.checked) =
        (Some(Weight::ONE), traffic(120), Some(age(2)));
    if state == ServerState::Down {
        (server.weight, server.traffic, server.health) = (None, None, Health::Down);
        server.reason = Some("no answer to connecting within 3 s: the network may drop it".into());
    }
    server
}

pub(super) fn service(name: &str, key: ServiceKey, servers: Vec<ServerStatus>) -> ServiceStatus {
    let mut service = ServiceStatus::new(name, key, "wlc");
    servers.iter().for_each(|server| service.counts.add(server.state));
    service.state = match (service.counts.up, service.counts.down) {
        (0, _) => ServiceState::Down,
        (_, 0) => ServiceState::Up,
        _ => ServiceState::Degraded,
    };
    service.traffic = traffic(120 * service.counts.up);
    service.servers = Some(servers);
    service
}

fn web(second: ServerState) -> ServiceStatus {
    let mut draining = server("web3", "10.0.0.3:80", ServerState::Draining);
    (draining.weight, draining.traffic) = (Some(Weight::ZERO), traffic(2));
    let mut said = Override::new("web", "web3", Word::Drain { deadline: None }, "ann", NOW);
    said.reason = Some("new disk".to_owned());
    draining.operator = Some(said);
    let key = ServiceKey::tcp("192.0.2.80:80".parse().unwrap());
    let first = server("web1", "10.0.0.1:80", ServerState::Up);
    service("web", key, vec![first, server("web2", "10.0.0.2:80", second), draining])
}

fn dns() -> ServiceStatus {
    let key = ServiceKey::udp("[2001:db8::80]:53".parse().unwrap());
    service("dns", key, vec![server("ns1", "[fd00::53]:53", ServerState::Up)])
}

fn lvs(services: Vec<ServiceStatus>) -> Balancing {
    let path = PathBuf::from("/etc/sysconfig/ha/lvs.cf");
    let revision = Revision::new(path, "e9791b5eed350131".to_owned(), age(7300));
    let mut half = Balancing::new(process(), DataPlane::new("kernel", None), revision);
    half.overrides = services
        .iter()
        .flat_map(|service| service.servers.iter().flatten())
        .filter_map(|server| server.operator.clone())
        .collect();
    half.services = services;
    half.replication = Some(Replication::new(true, age(1), None));
    half
}

fn known(pulse: Heartbeats, lvs: Balancing) -> Status {
    Status::new("lb1".to_owned(), NOW, Reading::Known(pulse), Reading::Known(lvs))
}

pub(super) fn healthy() -> Status {
    let half = pulse(Role::Primary, State::Active, State::Standby);
    known(half, lvs(vec![web(ServerState::Up), dns()]))
}

pub(super) fn server_down() -> Status {
    let half = pulse(Role::Primary, State::Active, State::Standby);
    known(half, lvs(vec![dns(), web(ServerState::Down)]))
}

pub(super) fn standby() -> Status {
    let half = pulse(Role::Backup, State::Standby, State::Active);
    known(half, lvs(vec![web(ServerState::Up), dns()]))
}

pub(super) fn partner_dead() -> Status {
    let mut half = pulse(Role::Primary, State::Active, State::Standby);
    half.partner = Some(Partner::new(State::Standby, age(42), Some(true)));
    half.paths.iter_mut().for_each(|path| path.age = Some(age(42)));
    known(half, lvs(vec![web(ServerState::Up), dns()]))
}

pub(super) fn nobody() -> Status {
    let reason = "cannot reach /run/piranha/pulse.sock: there is no such socket".to_owned();
    let pulse = Reading::Unknown { reason: reason.clone() };
    Status::new("lb1".to_owned(), NOW, pulse, Reading::Unknown { reason })
}

pub(super) fn crowd() -> Status {
    let shop = |place: u8| {
        let servers = (1..=20).map(|number| {
            let state =
                if (place, number) == (7, 13) { ServerState::Down } else { ServerState::Up };
            server(&format!("app{number}"), &format!("10.0.{place}.{number}:8080"), state)
        });
        let key = ServiceKey::tcp(format!("192.0.2.{place}:443").parse().unwrap());
        service(&format!("shop{place}"), key, servers.collect())
    };
    let half = pulse(Role::Primary, State::Active, State::Standby);
    known(half, lvs((1..=10).map(shop).collect()))
}

pub(super) fn events() -> Vec<Record> {
    let mut history = History::new(16);
    let address = "10.0.0.2:80".parse().unwrap();
    let (service, server) = ("web".to_owned(), "web2".to_owned());
    let reason = "3 checks failed: connection refused".to_owned();
    let (from, to) = (Health::Falling, Health::Down);
    history.add(Timestamp(NOW.0 - 60_000), Event::Reloaded { changes: 3 });
    history.add(
        Timestamp(NOW.0 - 9_000),
        Event::Health { service, server, address, from, to, reason },
    );
    let text = "the clock of this machine jumped".to_owned();
    history.add(Timestamp(NOW.0 - 2_000), Event::Warning { text });
    history.after(0).cloned().collect()
}

/// A model that has heard `status` and the events, and looks at `view`.
pub(super) fn model(view: View, status: Status) -> Model {
    let mut model = Model::new(at(1000), Duration::from_secs(1), view, false);
    hear(&mut model, 1000, status);
    let _nothing_to_do = update(&mut model, at(1000), Input::Events(Daemon::Lvs, events()));
    model
}

pub(super) fn hear(model: &mut Model, second: u64, status: Status) {
    let action = update(model, at(second), Input::Status(Box::new(status)));
    assert_eq!(action, None);
}
