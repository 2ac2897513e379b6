//! The relay beside haproxy and nginx: same clients, same servers, one machine, one run.
//!
//! `benches/peers/relay/run` builds this and starts it; see there for the options. It starts what
//! it measures, talks to nothing but loopback, and ends all of it by pid.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a benchmark does its own input and output, and without one it is worth nothing"
)]

mod backend;
mod contender;
mod load;
mod measure;
mod open;
mod soak;
mod strace;
mod table;
mod udp;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use contender::Contender;
use load::{Plan, Work};
use measure::Sample;
use piranha::runtime::relay::descriptor_room;
use table::Results;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How much of everything is done.
struct Settings {
    rounds: usize,
    connections: usize,
    requests: usize,
    megabytes: usize,
    datagrams: usize,
    idle: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rounds: 3,
            connections: 20_000,
            requests: 150_000,
            megabytes: 4096,
            datagrams: 200_000,
            idle: 10_000,
        }
    }
}

/// Clients at the same time.
const CLIENTS: usize = 64;

/// Large transfers at the same time.
const TRANSFERS: usize = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve"] => backend::serve(),
        ["soak-relay", servers @ ..] => soak::relay(servers),
        ["open-relay", vip, servers @ ..] => open::relay(vip, servers),
        ["open-clients", target, count] => open::clients(target, count),
        ["--open", count] => count.parse().map_err(Into::into).and_then(open::run),
        ["--soak", seconds] => seconds.parse().map_err(Into::into).and_then(soak::run),
        options => settings(options).and_then(|settings| compare(&settings)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay benchmark: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings(options: &[&str]) -> Outcome<Settings> {
    let mut settings = Settings::default();
    for pair in options.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("{} needs a number", pair[0]).into());
        };
        let value = value.parse()?;
        match *name {
            "--rounds" => settings.rounds = value,
            "--connections" => settings.connections = value,
            "--requests" => settings.requests = value,
            "--megabytes" => settings.megabytes = value,
            "--datagrams" => settings.datagrams = value,
            "--idle" => settings.idle = value,
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    Ok(settings)
}

/// Runs every kind of work against every contender, taking turns, and prints the table.
fn compare(settings: &Settings) -> Outcome<()> {
    let servers = backend::Backend::start()?;
    let contenders = contender::all(&servers)?;
    let mut results = Results::new(contenders.iter().map(|c| c.name).collect());
    for contender in &contenders {
        // As many as the relay accepts with the descriptors a process may have here.
        let count = settings.idle.min(descriptor_room());
        let memory = measure_idle(contender, count)?;
        eprintln!("{:8} {memory}", contender.name);
        results.idle(contender.name, memory);
    }
    let counted = if settings.rounds > 0 { contenders.as_slice() } else { &[] };
    for contender in counted {
        for (work, calls) in count_calls(contender, settings)? {
            results.calls(work, contender.name, calls);
        }
    }
    for round in 1..=settings.rounds {
        for (work, plan) in plans(settings) {
            for contender in &contenders {
                let sample = measure_tcp(contender, plan)?;
                eprintln!("round {round} {work:?} {:8} {sample}", contender.name);
                results.add(work, contender.name, sample);
            }
        }
        for contender in contenders.iter().filter(|contender| contender.udp.is_some()) {
            let sample = measure_udp(contender, settings.datagrams)?;
            eprintln!("round {round} Datagram {:8} {sample}", contender.name);
            results.add(Work::Datagram, contender.name, sample);
        }
    }
    results.print(settings.rounds);
    Ok(())
}

/// System calls for each unit of three kinds of work, counted over a tenth of a round.
fn count_calls(
    contender: &Contender,
    settings: &Settings,
) -> Outcome<Vec<(Work, BTreeMap<String, f64>)>> {
    let mut counted = Vec::new();
    for (work, plan) in &plans(settings)[..2] {
        let plan = Plan { total: plan.total / 10, ..*plan };
        let run = || load::run(contender.tcp, plan).map(drop);
        counted.push((*work, strace::count(contender, plan.total, run)?));
    }
    if let Some(target) = contender.udp {
        let total = settings.datagrams / 10;
        let run = || udp::run(target, total).map(drop);
        counted.push((Work::Datagram, strace::count(contender, total, run)?));
    }
    Ok(counted)
}

fn plans(settings: &Settings) -> [(Work, Plan); 3] {
    let transfer = settings.megabytes * 1_000_000 / TRANSFERS;
    [
        (
            Work::Connect,
            Plan { clients: CLIENTS, total: settings.connections, keep: false, size: 128 },
        ),
        (Work::Request, Plan { clients: CLIENTS, total: settings.requests, keep: true, size: 128 }),
        (Work::Bulk, Plan { clients: TRANSFERS, total: TRANSFERS, keep: true, size: transfer }),
    ]
}

fn measure_tcp(contender: &Contender, plan: Plan) -> Outcome<Sample> {
    let before = contender.cpu();
    let run = load::run(contender.tcp, plan)?;
    Ok(Sample::new(run, contender.cpu() - before))
}

fn measure_udp(contender: &Contender, datagrams: usize) -> Outcome<Sample> {
    let before = contender.cpu();
    let target = contender.udp.ok_or("no UDP")?;
    let seen = udp::run(target, datagrams)?;
    Ok(Sample::new(seen.run, contender.cpu() - before))
}

/// Opens connections, each with one request, lets them lie, and looks at the memory.
fn measure_idle(contender: &Contender, count: usize) -> Outcome<measure::Memory> {
    let before = measure::Memory::now(contender);
    let open = load::open(contender.tcp, count)?;
    // Buffers of the requests are given back at the next turn of a timer.
    std::thread::sleep(Duration::from_secs(2));
    let memory = measure::Memory::now(contender).since(&before, open.len());
    drop(open);
    std::thread::sleep(Duration::from_secs(1));
    Ok(memory)
}
