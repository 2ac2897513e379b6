//! What one pick costs, by scheduler and number of servers, and what a change of the pool costs.
//!
//! ```text
//! cargo bench --bench scheduler
//! cargo bench --bench scheduler -- pick/mh
//! ```
//!
//! `pick` decides and no more; `connection` opens and closes the connection too; `churn` changes a
//! weight before each, and `servers` takes a server out and puts it back. Where there is a plain
//! way to the same answers, looking at every server, it runs in turn with ours as `scan`. At the end
//! stand tables in Markdown: the fastest of 200 short samples, which on a busy machine is the nearest
//! to a quiet one, and the median.

#![allow(clippy::expect_used, reason = "a benchmark of nothing is worth nothing")]
#![allow(clippy::disallowed_methods, reason = "the figures are read back from files")]

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};
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

type Cost = fn(&Server) -> (u64, u64);

/// The cost by which a scheduler picks, of those that go by cost.
fn cost(name: &str) -> Option<Cost> {
    Some(match name {
        "lc" => |s| (s.overhead(), 1),
        "wlc" => |s| (s.overhead(), s.weight().get().into()),
        "sed" => |s| (u64::from(s.load().active) + 1, s.weight().get().into()),
        "nq" => |s| match u64::from(s.load().active) {
            0 => (0, 1),
            active => (active + 1, s.weight().get().into()),
        },
        "fo" => |s| (1, s.weight().get().into()),
        _ => return None,
    })
}

/// What is done again and again to a pool, with a number that counts.
type Work = fn(&mut Pool, &Flow, u16);

const GROUPS: [(&str, Work); 4] =
    [("pick", pick), ("connection", connection), ("churn", churn), ("servers", servers)];

fn pick(pool: &mut Pool, flow: &Flow, _turn: u16) {
    black_box(pool.pick(flow));
}

/// A whole connection: picked, opened, closed.
fn connection(pool: &mut Pool, flow: &Flow, _turn: u16) {
    if let Some(server) = black_box(pool.pick(flow)) {
        pool.open(server);
        pool.close(server);
    }
}

/// One server in turn gets another weight, and a connection is placed.
fn churn(pool: &mut Pool, flow: &Flow, turn: u16) {
    let servers = pool.servers();
    let server = servers.at(usize::from(turn) % servers.len()).map(Server::id);
    pool.edit(server.expect("within"), weight(turn / 3), Thresholds::NONE);
    connection(pool, flow, turn);
}

/// The oldest server goes and comes back in front, and a connection is placed.
fn servers(pool: &mut Pool, flow: &Flow, turn: u16) {
    let oldest = pool.servers().as_slice().last().expect("not empty");
    let (id, address): (ServerId, _) = (oldest.id(), oldest.address());
    pool.remove(id);
    pool.add(address, weight(turn), Thresholds::NONE);
    connection(pool, flow, turn);
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut pool: Pool, work: Work) {
    let mut clients = Clients::new();
    let mut turn = 0_u16;
    let size = pool.servers().len();
    group.bench_function(BenchmarkId::new(name, size), |b| {
        b.iter(|| {
            turn = turn.wrapping_add(1);
            work(&mut pool, black_box(clients.next()), turn);
        });
    });
}

fn run(criterion: &mut Criterion) {
    for (group, work) in GROUPS {
        let mut group = criterion.benchmark_group(group);
        group.sampling_mode(SamplingMode::Flat);
        for (name, size) in scheduler::names().flat_map(|name| SIZES.map(|size| (name, size))) {
            measure(&mut group, name, named(name, size), work);
            if let Some(cost) = cost(name) {
                measure(&mut group, &scan(name), pool(Box::new(Scan { cost }), size), work);
            }
        }
        group.finish();
    }
}

fn scan(name: &str) -> String {
    format!("{name}-scan")
}

/// Nanoseconds for one iteration: the least and the median of all samples.
#[derive(Clone, Copy)]
struct Figure {
    least: f64,
    median: f64,
}

impl Figure {
    /// `None` if it was not measured in this run.
    fn read(directory: &Path, group: &str, name: &str, size: u16) -> Option<Self> {
        let file = directory.join(group).join(name).join(size.to_string()).join("new/sample.json");
        let sample: serde_json::Value =
            serde_json::from_slice(&std::fs::read(file).ok()?).expect("criterion's");
        let numbers = |key: &str| {
            let numbers = sample[key].as_array().expect("a list").clone();
            numbers.into_iter().map(|number| number.as_f64().expect("a number"))
        };
        let mut each: Vec<_> =
            numbers("times").zip(numbers("iters")).map(|(time, count)| time / count).collect();
        each.sort_by(f64::total_cmp);
        Some(Self { least: *each.first()?, median: each[each.len() / 2] })
    }
}

/// Least / median, and with a scan its least and how many times as long that is.
fn cell(directory: &Path, group: &str, name: &str, size: u16) -> Option<String> {
    let ours = Figure::read(directory, group, name, size)?;
    let figure = format!("{} / {}", digits(ours.least), digits(ours.median));
    Some(match Figure::read(directory, group, &scan(name), size) {
        Some(scan) => {
            let ratio = digits(scan.least / ours.least);
            format!("{figure}; scan {}, {ratio}x", digits(scan.least))
        }
        None => figure,
    })
}

/// Three digits that count.
fn digits(number: f64) -> String {
    let decimals = if number < 10.0 { 1 } else { 0 };
    format!("{number:.decimals$}")
}

fn print_tables(directory: &Path) {
    for (group, _) in GROUPS {
        let row = |name| {
            let cells = SIZES.map(|size| cell(directory, group, name, size).unwrap_or_default());
            cells
                .iter()
                .any(|cell| !cell.is_empty())
                .then(|| format!("| {name} | {} |", cells.join(" | ")))
        };
        let rows: Vec<_> = scheduler::names().filter_map(row).collect();
        if !rows.is_empty() {
            let sizes = SIZES.map(|size| size.to_string()).join(" | ");
            println!("\n| {group}, ns | {sizes} |\n|---|---|---|---|---|\n{}", rows.join("\n"));
        }
    }
}

fn main() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("scheduler-bench");
    // Figures of another run are not for this one's tables.
    let _ = std::fs::remove_dir_all(&directory);
    let mut criterion = Criterion::default()
        .output_directory(&directory)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(100))
        .sample_size(200)
        .nresamples(1001)
        .configure_from_args();
    run(&mut criterion);
    print_tables(&directory);
}
