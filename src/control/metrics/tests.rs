use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::control::revisions::Standing;
use crate::control::status::{
    Balancing, ConnectionSync, DataPlane, HeartbeatPath, Heartbeats, LoadReading, Partner, Process,
    QuorumStatus, Reading, Replication, Revision, ServerState, ServerStatus, ServiceState,
    ServiceStatus, Traffic,
};
use crate::control::{
    Age, Event, EventCounters, Override, PathTraffic, ServerCounters, ServiceCounters, Timestamp,
    Usage, Word,
};
use crate::failover::{Cause, PathCounters, Role, State, Transition, VirtualAddress};
use crate::ipvs::{Counters as TrafficCounters, Load, ServiceKey};
use crate::net::Weight;

const NOW: Timestamp = Timestamp(1_795_372_245_250);

fn process() -> Process {
    Process::new(7, Duration::from_secs(60))
}

fn heartbeats() -> Heartbeats {
    let mut half = Heartbeats::new(process(), Role::Primary, State::Active);
    half.keepalive = Age(Duration::from_millis(100));
    half.dead_time = Age(Duration::from_millis(350));
    half.addresses = vec![VirtualAddress::new([192, 0, 2, 80].into(), "eth0:1")];
    half.partner = Some(Partner::new(State::Standby, Age(Duration::from_millis(40)), Some(true)));
    let path = |place: u8, age| {
        let own = ([10, 0, place, 1], 539).into();
        let partner = ([10, 0, place, 2], 539).into();
        HeartbeatPath::new(own, partner, Some(Age(Duration::from_millis(age))))
    };
    half.paths = vec![path(0, 40), path(1, 9000), path(2, 41)];
    half.rejected.insert("bad_tag".to_owned(), 3);
    half
}

fn server(address: [u8; 4], state: ServerState) -> ServerStatus {
    let mut server = ServerStatus::new("s", (address, 80).into());
    server.state = state;
    server.weight = Some(Weight::ONE);
    server.traffic = Some(traffic());
    server.certificate_expires = Some(Timestamp(1_800_000_000_000));
    server
}

fn traffic() -> Traffic {
    let load = Load { active: 5, inactive: 2, persistent: 1 };
    let counters = TrafficCounters { connections: 100, bytes_in: 7, ..Default::default() };
    Traffic::new(load, counters, None)
}

fn service(name: &str, port: u16) -> ServiceStatus {
    let key = ServiceKey::tcp(([192, 0, 2, 80], port).into());
    let mut service = ServiceStatus::new(name, key, "wlc");
    service.state = ServiceState::Degraded;
    service.quorum = Some(QuorumStatus::new(true, 1, 1));
    service.traffic = Some(traffic());
    let servers =
        [server([10, 0, 0, 1], ServerState::Up), server([10, 0, 0, 2], ServerState::Down)];
    servers.iter().for_each(|server| service.counts.add(server.state));
    service.servers = Some(servers.into());
    service
}

fn counters(key: ServiceKey) -> ServiceCounters {
    let mut counters = ServiceCounters::new(key);
    counters.check_durations.observe(Duration::from_millis(3));
    let mut server = ServerCounters::new(([10, 0, 0, 1], 80).into());
    (server.passed, server.timed_out, server.downs) = (40, 2, 1);
    server.downtime = Age(Duration::from_millis(1500));
    counters.servers.push(server);
    counters
}

fn events() -> EventCounters {
    let mut events = EventCounters::default();
    let to = |from, to, cause| Event::Transition(Transition::new(from, to, cause));
    events.count(NOW, &to(State::Standby, State::Acquiring, Cause::PeerDead));
    events.count(NOW, &to(State::Acquiring, State::Active, Cause::Acquired));
    events.count(NOW, &Event::Declined { reason: Cause::PeerRefused });
    events.count(NOW, &Event::Reloaded { changes: 1 });
    events
}

/// A director of which everything is known that there can be.
fn scene(services: Vec<ServiceStatus>) -> Scene {
    let mut revision = Revision::new("lvs.cf".into(), "00ff".to_owned(), Age::default());
    let standing = Standing { edited: true, ..Standing::default() };
    revision.standing = Some(standing);
    let mut half = Balancing::new(process(), DataPlane::new("relay", None), revision);
    let mut lvs = Counters::new(NOW, events());
    lvs.services = services.iter().map(|service| counters(service.key)).collect();
    half.services = services;
    half.replication = Some(Replication::new(true, Age::default(), None));
    half.connection_sync = Some(ConnectionSync::new(true, false, None));
    let load = crate::health::Load::new(1.25).unwrap();
    half.loads = vec![LoadReading::new([10, 0, 0, 1].into(), "rup".into(), load, Age::default())];
    half.overrides.push(Override::new("web", "s", Word::Disable, "ann", NOW));
    let usage = Usage { cpu: Age(Duration::from_secs(3)), max_files: Some(64), ..Usage::default() };
    lvs.usage = Some(usage);
    let mut pulse = Counters::new(NOW, events());
    pulse.usage = Some(usage);
    let heard = PathCounters { received: 9, refused: 1, missed: 4 };
    pulse.paths = vec![PathTraffic::new(10, 0, heard); 3];
    pulse.announcements.insert([192, 0, 2, 80].into(), 5);
    let (heartbeats, balancing) = (Reading::Known(heartbeats()), Reading::Known(half));
    let status = Status::new("lb1".to_owned(), NOW, heartbeats, balancing);
    Scene::new(status, Some(pulse), Some(lvs))
}

/// One sample of an exposition.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Reads an exposition as its grammar has it; panics where it is none.
fn parse(text: &str) -> Vec<Sample> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, behind) = rest.split_once("=\"")?;
            let (value, behind) = quoted(behind)?;
            assert!(labels.insert(label.to_owned(), value).is_none(), "{label} twice: {line}");
            rest = behind;
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    loop {
        match letters.next()? {
            (place, '"') => return Some((value, &text[place + 1..])),
            (_, '\\') => value.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            (_, other) => value.push(other),
        }
    }
}

/// The value of the sample with these labels among others.
fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has = |sample: &&Sample| {
        let label =
            |(name, value): &(&str, &str)| sample.labels.get(*name).is_some_and(|own| own == value);
        sample.name == name && labels.iter().all(label)
    };
    samples.iter().find(has).map(|sample| sample.value)
}

#[test]
fn a_full_scene_has_a_sample_of_every_metric_with_its_labels() {
    let samples = parse(&render(&scene(vec![service("web", 80)]), Format::Text));
    for family in families() {
        let own: Vec<_> = samples
            .iter()
            .filter(|sample| {
                let name = sample.name.strip_prefix(family.name());
                name.is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
            })
            .collect();
        assert!(!own.is_empty(), "no sample of {}", family.name());
        for sample in own {
            let labels: BTreeSet<_> =
                sample.labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
            assert_eq!(labels, family.labels().iter().copied().collect(), "{}", family.name());
        }
    }
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    for family in families() {
        let own = ["piranha_", "process_"].iter().any(|front| family.name().starts_with(front));
        assert!(own, "{family:?}");
        let counts = family.kind() == FamilyKind::Counter;
        assert_eq!(family.name().ends_with("_total"), counts, "{family:?}");
        assert!(family.help().ends_with('.') && !family.help().contains('\n'), "{family:?}");
    }
    let names: BTreeSet<_> = families().map(Family::name).collect();
    assert_eq!(names.len(), families().count(), "a name stands twice");
}

#[test]
fn values_are_those_of_the_scene() {
    let samples = parse(&render(&scene(vec![service("web", 80)]), Format::Text));
    let is = |name, labels: &[(&str, &str)], expected: f64| {
        assert_eq!(value(&samples, name, labels), Some(expected), "{name} {labels:?}");
    };
    is("piranha_node_state", &[("state", "active")], 1.0);
    is("piranha_node_state", &[("state", "standby")], 0.0);
    is("piranha_peer_up", &[("path", "public")], 1.0);
    is("piranha_peer_up", &[("path", "private")], 0.0);
    is("piranha_peer_up", &[("path", "3")], 1.0);
    is("piranha_peer_last_heartbeat_timestamp_seconds", &[("path", "public")], 1_795_372_245.21);
    is("piranha_heartbeats_missed_total", &[("path", "private")], 4.0);
    is("piranha_heartbeat_errors_total", &[("reason", "bad_tag")], 3.0);
    is("piranha_failovers_total", &[("cause", "peer_dead")], 1.0);
    is("piranha_health_reason", &[("reason", "path_silent")], 1.0);
    is("piranha_service_state", &[("svc", "web"), ("state", "degraded")], 1.0);
    is("piranha_service_real_servers", &[("state", "down")], 1.0);
    is("piranha_real_server_state", &[("remote_address", "10.0.0.2"), ("state", "down")], 1.0);
    is("piranha_check_runs_total", &[("result", "timeout")], 2.0);
    is("piranha_real_server_downtime_seconds_total", &[], 1.5);
    is("piranha_check_duration_seconds_bucket", &[("le", "0.0025")], 0.0);
    is("piranha_check_duration_seconds_bucket", &[("le", "+Inf")], 1.0);
    is("piranha_overrides", &[("kind", "disable")], 1.0);
    is("piranha_config_pending_changes", &[], 1.0);
    is("piranha_connection_sync_running", &[("role", "master")], 1.0);
    is("piranha_connection_sync_running", &[("role", "backup")], 0.0);
    is("piranha_load_probe_value", &[("remote_address", "10.0.0.1"), ("tool", "rup")], 1.25);
    is("piranha_real_server_certificate_expiry_timestamp_seconds", &[], 1_800_000_000.0);
    is("process_cpu_seconds_total", &[("daemon", "lvs")], 3.0);
}

#[test]
fn half_a_scene_has_no_metric_of_the_other_half() {
    let mut half = scene(vec![service("web", 80)]);
    half.status.lvs = Reading::Unknown { reason: "gone".to_owned() };
    half.lvs = None;
    let samples = parse(&render(&half, Format::Text));
    assert_eq!(value(&samples, "piranha_up", &[("daemon", "lvs")]), Some(0.0));
    assert_eq!(value(&samples, "piranha_node_role", &[("role", "primary")]), Some(1.0));
    assert!(!samples.iter().any(|sample| sample.labels.contains_key("svc")));
}

#[test]
fn open_metrics_calls_counters_without_their_ending_and_says_where_it_ends() {
    let text = render(&scene(vec![service("web", 80)]), Format::OpenMetrics);
    assert!(text.ends_with("\n# EOF\n"));
    assert!(text.contains("\n# TYPE piranha_heartbeats_sent counter\n"));
    assert!(text.contains("\npiranha_heartbeats_sent_total{path=\"public\"} 10\n"));
    assert_eq!(Format::wanted("application/openmetrics-text; version=1.0.0"), Format::OpenMetrics);
    assert_eq!(Format::wanted("*/*"), Format::Text);
}

proptest! {
    #[test]
    fn whatever_services_are_called_no_two_series_are_the_same(
        names in prop::collection::vec("[ab\\\\\"\n{},= ü]{0,3}", 0..6),
    ) {
        let services = names.iter().zip(1..).map(|(name, port)| service(name, port)).collect();
        let samples = parse(&render(&scene(services), Format::Text));
        let mut series = BTreeSet::new();
        for sample in &samples {
            prop_assert!(series.insert((&sample.name, &sample.labels)), "{:?}", sample);
        }
        let told = samples.iter().filter(|sample| sample.name == "piranha_service_info");
        prop_assert_eq!(told.count(), names.len());
    }
}
