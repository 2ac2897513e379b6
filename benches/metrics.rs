//! The exposition of a director with 1,000 services of 10 servers each: what a scrape costs.
#![allow(missing_docs, reason = "the macro's function")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use piranha::control::metrics::{Format, Scene, render};
use piranha::control::status::{
    Balancing, DataPlane, Process, Reading, Revision, ServerState, ServerStatus, ServiceState,
    ServiceStatus, Status, Traffic,
};
use piranha::control::{Age, Counters, EventCounters, ServerCounters, ServiceCounters, Timestamp};
use piranha::ipvs::{Counters as TrafficCounters, Load, ServiceKey};
use piranha::net::Weight;

const SERVICES: u16 = 1000;
const SERVERS: u8 = 10;

fn traffic(number: u16) -> Traffic {
    let load = Load { active: number.into(), inactive: 3, persistent: 0 };
    let many = u64::from(number) * 1_000_003;
    let mut counters = TrafficCounters::default();
    counters.connections = many;
    (counters.packets_in, counters.packets_out) = (many, many);
    (counters.bytes_in, counters.bytes_out) = (many, many);
    Traffic::new(load, counters, None)
}

fn service(number: u16) -> (ServiceStatus, ServiceCounters) {
    let key = ServiceKey::tcp(([192, 0, 2, 80], number + 1).into());
    let mut status = ServiceStatus::new(format!("service-{number}"), key, "wlc");
    let mut counters = ServiceCounters::new(key);
    (status.state, status.traffic) = (ServiceState::Up, Some(traffic(number)));
    let mut servers = Vec::new();
    for place in 0..SERVERS {
        let address = ([10, 0, 0, place], 8080).into();
        let mut server = ServerStatus::new(format!("server-{place}"), address);
        (server.state, server.weight) = (ServerState::Up, Some(Weight::ONE));
        server.traffic = Some(traffic(number));
        servers.push(server);
        counters.servers.push(ServerCounters::new(address));
        counters.check_durations.observe(Duration::from_millis(place.into()));
    }
    status.servers = Some(servers);
    (status, counters)
}

fn scene() -> Scene {
    let process = Process::new(1, Duration::from_secs(1));
    let revision = Revision::new("lvs.cf".into(), String::new(), Age::default());
    let mut half = Balancing::new(process, DataPlane::new("kernel", None), revision);
    let mut counters = Counters::new(Timestamp(1), EventCounters::default());
    (half.services, counters.services) = (0..SERVICES).map(service).unzip();
    let unknown = Reading::Unknown { reason: "nobody asks".to_owned() };
    let status = Status::new("lb1".to_owned(), Timestamp(2), unknown, Reading::Known(half));
    Scene::new(status, None, Some(counters))
}

fn exposition(c: &mut Criterion) {
    let scene = scene();
    let bytes = render(&scene, Format::Text).len();
    let mut group = c.benchmark_group("metrics");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("1000x10", |b| b.iter(|| render(black_box(&scene), Format::Text)));
    group.finish();
}

criterion_group!(benches, exposition);
criterion_main!(benches);
