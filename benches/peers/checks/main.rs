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
use servers::Servers;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is checked, how often, and for how long that is watched.
#[derive(Clone, Copy)]
struct Settings {
    servers: u32,
    every: Duration,
    seconds: u64,
    keepalived: bool,
    /// Again with twice as many servers, until they are too many for keepalived.
    climb: bool,
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
    let mut settings =
        Settings { servers: 10_200, every, seconds: 60, keepalived: false, climb: false };
    let mut words = options.iter().copied();
    while let Some(option) = words.next() {
        let mut number =
            || -> Outcome<u64> { Ok(words.next().ok_or("a number is missing")?.parse()?) };
        match option {
            "--servers" => settings.servers = number()?.try_into()?,
            "--seconds" => settings.seconds = number()?.max(30),
            "--every" => settings.every = Duration::from_millis(number()?),
            "--keepalived" => settings.keepalived = true,
            "--climb" => (settings.keepalived, settings.climb) = (true, true),
            _ => return Err(format!("unknown option: {option}").into()),
        }
    }
    Ok(settings)
}

/// Measures once, or with ever more servers for as long as keepalived bears them.
fn compare(settings: &Settings) -> Outcome<()> {
    let mut settings = *settings;
    while bears(&settings)? && settings.climb {
        settings.servers *= 2;
        println!();
    }
    Ok(())
}

/// Measures with so many servers; whether the last to be measured made the checks it was to make.
fn bears(settings: &Settings) -> Outcome<bool> {
    println!(
        "{} servers, a TCP connect every {:?}, watched for {} s\n",
        settings.servers, settings.every, settings.seconds
    );
    println!("{HEADER}");
    let due = f64::from(settings.servers) / settings.every.as_secs_f64();
    let ours = measure(settings, Kind::Piranha { kernel: settings.keepalived })?;
    println!("{}", ours.row("piranha", due));
    if !settings.keepalived {
        return Ok(ours.bears(due));
    }
    let theirs = measure(settings, Kind::Keepalived)?;
    println!("{}", theirs.row("keepalived", due));
    println!("{}", theirs.ratio(&ours));
    if !theirs.bears(due) {
        println!("\nkeepalived does not bear {} servers here", settings.servers);
    }
    Ok(theirs.bears(due))
}

const HEADER: &str = "\
| | CPU, % of a core | memory, MB (at the start) | probes/s | late: median, 99 %, worst, ms | all up after, s | all died: first, median, last out, s |
|---|---|---|---|---|---|---|";

/// What was measured of one contender.
struct Figures {
    cpu: f64,
    memory: f64,
    memory_at_start: f64,
    probes: f64,
    late: [f64; 3],
    up: f64,
    outs: [f64; 3],
}

impl Figures {
    /// Whether nearly all the checks that were `due` in a second were made.
    fn bears(&self, due: f64) -> bool {
        self.probes >= due * 0.95
    }

    fn row(&self, name: &str, due: f64) -> String {
        let Self { cpu, memory, memory_at_start, probes, up, .. } = self;
        let ([late, late_99, latest], [first, median, last]) = (self.late, self.outs);
        format!(
            "| {name} | {cpu:.1} | {memory:.0} ({memory_at_start:.0}) | {probes:.0} of {due:.0} | \
             {late:.1}, {late_99:.1}, {latest:.1} | {up:.1} | {first:.2}, {median:.2}, {last:.2} |"
        )
    }

    /// How many times as much this is as `other`; whose server was out first is chance.
    fn ratio(&self, other: &Self) -> String {
        let [late, late_99, latest] = [0, 1, 2].map(|n| self.late[n] / other.late[n]);
        let [median, last] = [1, 2].map(|n| self.outs[n] / other.outs[n]);
        format!(
            "| keepalived / piranha | {:.2} | {:.2} | {:.2} | {late:.1}, {late_99:.1}, {latest:.1} | {:.2} | \
             -, {median:.2}, {last:.2} |",
            self.cpu / other.cpu,
            self.memory / other.memory,
            self.probes / other.probes,
            self.up / other.up,
        )
    }
}

fn measure(settings: &Settings, kind: Kind) -> Outcome<Figures> {
    let mut servers = Servers::start(settings.servers)?;
    let begun = Instant::now();
    let contender = Contender::start(kind, settings, servers.port())?;
    // The first checks, and the servers that come in, are not what goes on.
    let up = contender.wait_for_up(settings.servers, begun + Duration::from_secs(120))?;
    sleep(settings.every * 2);
    servers.forget()?;
    let memory_at_start = contender.memory()?;
    let (cpu, from) = (contender.cpu()?, Instant::now());
    sleep(Duration::from_secs(settings.seconds));
    let (cpu, elapsed) = (contender.cpu()? - cpu, from.elapsed().as_secs_f64());
    let memory = contender.memory()?;
    let arrivals = servers.arrivals(settings.every)?;
    let died = Instant::now();
    servers.kill();
    let outs = contender.wait_for_down(settings.servers, died + Duration::from_secs(90))?;
    Ok(Figures {
        cpu: cpu.as_secs_f64() * 100.0 / elapsed,
        memory,
        memory_at_start,
        probes: arrivals.count as f64 / elapsed,
        late: [50, 99, 100].map(|percent| arrivals.late(percent)),
        up: (up - begun).as_secs_f64(),
        outs: outs_since(&outs, died),
    })
}

fn outs_since(outs: &[Instant], died: Instant) -> [f64; 3] {
    let at = |index: usize| outs.get(index).map_or(f64::NAN, |out| (*out - died).as_secs_f64());
    [at(0), at(outs.len() / 2), at(outs.len().saturating_sub(1))]
}
