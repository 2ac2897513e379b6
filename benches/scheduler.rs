//! What one pick costs, by scheduler and number of servers, and what a change of the pool costs.
//!
//! ```text
//! cargo bench --bench scheduler
//! cargo bench --bench scheduler -- pick/
//! ```
//!
//! `scan/` is the same pick found by looking at every server, with the same answers; `connection/`
//! opens and closes the connection too; `churn/` changes a weight before each, and `rebuild/` takes
//! a server out and puts it back.

#![allow(clippy::expect_used, reason = "a benchmark of nothing is worth nothing")]

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use piranha::ipvs::Thresholds;
use piranha::net::Weight;
use piranha::scheduler::{self, Flow, Pool, Scheduler, Server, ServerId, Servers};

const SIZES: [u16; 4] = [10, 100, 1000, 10_000];

/// Weights from 1 to 10 and some connections on each server, so that no scheduler has it easy.
/// They come under rr, which costs nothing to tell of each.
fn pool(scheduler: Box<dyn Scheduler>, size: u16) -> Pool {
    let mut pool = Pool::new(scheduler::by_name("rr").expect("registered"));
    for server in 0..size {
        let address = address(server);
        let id = pool.add(address, weight(server), Thresholds::NONE);
        (0..server % 1000 * 13 % 11).for_each(|_| pool.open(id));
    }
    pool.set_scheduler(scheduler);
    pool
}

fn named(name: &str, size: u16) -> Pool {
    pool(scheduler::by_name(name).expect("registered"), size)
}

fn address(server: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + u32::from(server)), 80))
}

fn weight(number: u16) -> Weight {
    Weight::new(u32::from(number % 1000 * 7 % 10 + 1)).expect("small")
}

/// 256 clients of 16 destinations, round and round.
struct Clients {
    flows: Vec<Flow>,
    next: u8,
}

impl Clients {
    fn new() -> Self {
        let address = |net, host| SocketAddr::from(([198, 51, net, host], 1024));
        let flow = |host| Flow { source: address(100, host), destination: address(7, host % 16) };
        Self { flows: (0..=u8::MAX).map(flow).collect(), next: 0 }
    }

    fn next(&mut self) -> &Flow {
        self.next = self.next.wrapping_add(1);
        &self.flows[usize::from(self.next)]
    }
}

/// The plain way to the same server: look at each, keep the first with the least cost.
struct Scan {
    cost: fn(&Server) -> (u64, u64),
}

impl Scheduler for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn pick(&mut self, _flow: &Flow, servers: &Servers) -> Option<usize> {
        let eligible = servers.as_slice().iter().enumerate().filter(|(_, s)| s.is_eligible());
        let costs = eligible.map(|(position, server)| (position, (self.cost)(server)));
        let cheaper = |one: (usize, (u64, u64)), other: (usize, (u64, u64))| {
            if other.1.0 * one.1.1 < one.1.0 * other.1.1 { other } else { one }
        };
        costs.reduce(cheaper).map(|(position, _)| position)
    }

    fn start(&mut self, _servers: &Servers) {}
}

type Rule = (&'static str, fn(&Server) -> (u64, u64));

const RULES: [Rule; 5] = [
    ("lc", |s| (s.overhead(), 1)),
    ("wlc", |s| (s.overhead(), s.weight().get().into())),
    ("sed", |s| (u64::from(s.load().active) + 1, s.weight().get().into())),
    ("nq", |s| match u64::from(s.load().active) {
        0 => (0, 1),
        active => (active + 1, s.weight().get().into()),
    }),
    ("fo", |s| (1, s.weight().get().into())),
];

fn run(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    mut pool: Pool,
    mut work: impl FnMut(&mut Pool, &Flow),
) {
    let mut clients = Clients::new();
    let size = pool.servers().len();
    group.bench_function(BenchmarkId::new(name, size), |b| {
        b.iter(|| work(&mut pool, black_box(clients.next())));
    });
}

fn pick(c: &mut Criterion) {
    let mut group = c.benchmark_group("pick");
    for (name, size) in all() {
        run(&mut group, name, named(name, size), |pool, flow| {
            black_box(pool.pick(flow));
        });
    }
    group.finish();
}

fn scan(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan");
    for ((name, cost), size) in RULES.into_iter().flat_map(|rule| SIZES.map(|size| (rule, size))) {
        run(&mut group, name, pool(Box::new(Scan { cost }), size), |pool, flow| {
            black_box(pool.pick(flow));
        });
    }
    group.finish();
}

/// A whole connection: picked, opened, closed.
fn connection(c: &mut Criterion) {
    let mut group = c.benchmark_group("connection");
    for (name, size) in all() {
        run(&mut group, name, named(name, size), |pool, flow| {
            black_box(place(pool, flow));
        });
    }
    group.finish();
}

/// One server in turn gets another weight, and a connection is placed.
fn churn(c: &mut Criterion) {
    let mut group = c.benchmark_group("churn");
    for (name, size) in all() {
        let pool = named(name, size);
        let ids = ids(&pool);
        let mut turn = 0_u16;
        run(&mut group, name, pool, move |pool, flow| {
            turn = turn.wrapping_add(1);
            pool.edit(ids[usize::from(turn) % ids.len()], weight(turn / 3), Thresholds::NONE);
            black_box(place(pool, flow));
        });
    }
    group.finish();
}

/// The oldest server goes and comes back in front.
fn rebuild(c: &mut Criterion) {
    let mut group = c.benchmark_group("rebuild");
    for (name, size) in all() {
        let mut turn = 0;
        run(&mut group, name, named(name, size), move |pool, _| {
            let oldest = pool.servers().as_slice().last().expect("not empty");
            let (id, address, weight) = (oldest.id(), oldest.address(), weight(turn));
            turn = turn.wrapping_add(1);
            pool.remove(id);
            pool.add(address, weight, Thresholds::NONE);
        });
    }
    group.finish();
}

fn all() -> impl Iterator<Item = (&'static str, u16)> {
    scheduler::names().flat_map(|name| SIZES.map(|size| (name, size)))
}

fn ids(pool: &Pool) -> Vec<ServerId> {
    pool.servers().as_slice().iter().map(Server::id).collect()
}

fn place(pool: &mut Pool, flow: &Flow) -> Option<ServerId> {
    let server = pool.pick(flow)?;
    pool.open(server);
    pool.close(server);
    Some(server)
}

fn brief() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(100), Duration::from_millis(400));
    Criterion::default().warm_up_time(warm_up).measurement_time(measurement).sample_size(20)
}

criterion_group!(name = benches; config = brief(); targets = pick, scan, connection, churn, rebuild);
criterion_main!(benches);
