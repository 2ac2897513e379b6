//! Health checks of many servers: the whole `lvs`, and keepalived where the kernel has IPVS.
//!
//! `benches/peers/checks/run` builds this and starts it; see there for the options. It starts what
//! it measures, talks to nothing but loopback, and ends all of it by pid.
#![allow(clippy::disallowed_methods, reason = "a benchmark does its own input and output")]

mod contender;
mod servers;

use std::error::Error;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use contender::{Contender, Kind};
use servers::{Arrivals, Servers};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is checked, how often, and for how long that is watched.
#[derive(Clone, Copy)]
struct Settings {
    servers: u32,
    every: Duration,
    seconds: u64,
    keepalived: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve", servers] => servers.parse().map_err(Into::into).and_then(servers::serve),
        options => settings(options).and_then(|settings| compare(&settings)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("check benchmark: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings(options: &[&str]) -> Outcome<Settings> {
    let every = Duration::from_secs(5);
    let mut settings = Settings { servers: 10_200, every, seconds: 60, keepalived: false };
    let mut words = options.iter().copied();
    while let Some(option) = words.next() {
        let mut number =
            || -> Outcome<u64> { Ok(words.next().ok_or("a number is missing")?.parse()?) };
        match option {
            "--servers" => settings.servers = number()?.try_into()?,
            "--seconds" => settings.seconds = number()?.max(30),
            "--every" => settings.every = Duration::from_millis(number()?),
            "--keepalived" => settings.keepalived = true,
            _ => return Err(format!("unknown option: {option}").into()),
        }
    }
    Ok(settings)
}

fn compare(settings: &Settings) -> Outcome<()> {
    println!(
        "{} servers, a TCP connect every {:?}, watched for {} s\n",
        settings.servers, settings.every, settings.seconds
    );
    println!("{HEADER}");
    let ours = Kind::Piranha { kernel: settings.keepalived };
    let kinds = [ours, Kind::Keepalived];
    for &kind in &kinds[..if settings.keepalived { 2 } else { 1 }] {
        println!("{}", measure(settings, kind)?);
    }
    Ok(())
}

const HEADER: &str = "\
| | CPU, % of a core | memory, MB (at the start) | probes/s | late: median, 99 %, worst, ms | all up after, s | all died: first, median, last out, s |
|---|---|---|---|---|---|---|";

fn measure(settings: &Settings, kind: Kind) -> Outcome<String> {
    let mut servers = Servers::start(settings.servers)?;
    let begun = Instant::now();
    let contender = Contender::start(kind, settings, servers.port())?;
    // The first checks, and the servers that come in, are not what goes on.
    let up = contender.wait_for_up(settings.servers, begun + Duration::from_secs(120))?;
    sleep(settings.every * 2);
    servers.forget()?;
    let at_start = contender.memory()?;
    let (cpu, from) = (contender.cpu()?, Instant::now());
    sleep(Duration::from_secs(settings.seconds));
    let (cpu, elapsed) = (contender.cpu()? - cpu, from.elapsed());
    let memory = contender.memory()?;
    let arrivals = servers.arrivals(settings.every)?;
    let died = Instant::now();
    servers.kill();
    let outs = contender.wait_for_down(settings.servers, died + Duration::from_secs(90))?;
    Ok(row(
        kind,
        cpu.as_secs_f64() * 100.0 / elapsed.as_secs_f64(),
        [at_start, memory],
        elapsed,
        &arrivals,
        up - begun,
        &outs_since(&outs, died),
    ))
}

fn outs_since(outs: &[Instant], died: Instant) -> [f64; 3] {
    let at = |index: usize| outs.get(index).map_or(f64::NAN, |out| (*out - died).as_secs_f64());
    [at(0), at(outs.len() / 2), at(outs.len().saturating_sub(1))]
}

fn row(
    kind: Kind,
    cpu: f64,
    [at_start, memory]: [f64; 2],
    elapsed: Duration,
    arrivals: &Arrivals,
    up: Duration,
    [first, median, last]: &[f64; 3],
) -> String {
    format!(
        "| {} | {cpu:.1} | {memory:.0} ({at_start:.0}) | {:.0} | {:.1}, {:.1}, {:.1} | {:.1} | {first:.2}, {median:.2}, {last:.2} |",
        kind.name(),
        arrivals.count as f64 / elapsed.as_secs_f64(),
        arrivals.late(50),
        arrivals.late(99),
        arrivals.late(100),
        up.as_secs_f64(),
    )
}
