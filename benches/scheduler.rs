//! What one pick costs, by scheduler and number of servers.
//!
//! ```text
//! cargo bench --bench scheduler
//! ```

#![allow(clippy::expect_used, reason = "a benchmark of nothing is worth nothing")]

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use piranha::ipvs::Thresholds;
use piranha::net::Weight;
use piranha::scheduler::{self, Flow, Pool, ServerId};

const SIZES: [u16; 3] = [10, 100, 1000];

/// Weights from 1 to 10 and some connections on each server, so that no scheduler has it easy.
fn pool(name: &str, size: u16) -> Pool {
    let scheduler = scheduler::by_name(name).expect("registered");
    let mut pool = Pool::new(scheduler);
    for server in 0..size {
        let address = SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + u32::from(server)), 80));
        let weight = Weight::new(u32::from(server) * 7 % 10 + 1).expect("small");
        let id = pool.add(address, weight, Thresholds::NONE);
        (0..server * 13 % 11).for_each(|_| pool.open(id));
    }
    pool
}

fn pick(c: &mut Criterion) {
    let mut group = c.benchmark_group("pick");
    for name in scheduler::names() {
        for size in SIZES {
            let mut pool = pool(name, size);
            let flow = Flow::default();
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| pool.pick(black_box(&flow)));
            });
        }
    }
    group.finish();
}

/// A whole connection: picked, opened, closed.
fn connection(c: &mut Criterion) {
    let mut group = c.benchmark_group("connection");
    for name in scheduler::names() {
        for size in SIZES {
            let mut pool = pool(name, size);
            let flow = Flow::default();
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| place(&mut pool, black_box(&flow)));
            });
        }
    }
    group.finish();
}

fn place(pool: &mut Pool, flow: &Flow) -> Option<ServerId> {
    let server = pool.pick(flow)?;
    pool.open(server);
    pool.close(server);
    Some(server)
}

criterion_group!(benches, pick, connection);
criterion_main!(benches);
