//! The whole `lvs` in front of the kernel's IPVS, and keepalived beside it.
//!
//! `benches/peers/control/run` builds this and starts it; see there for the options. It starts what
//! it measures and ends all of it by pid.
#![allow(clippy::disallowed_methods, reason = "a benchmark does its own input and output")]

mod contender;
mod memory;
mod traffic;
mod watch;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use contender::{Contender, Kind, Layout};
use traffic::{Hammer, Servers};
use watch::Table;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Servers of each service.
const SERVERS: u32 = 4;

/// How long anything may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is compared.
struct Settings {
    services: u32,
    reloads: u32,
    their_reloads: u32,
    /// Without keepalived.
    alone: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["serve", address] => traffic::serve(address),
        ["hammer", address] => traffic::hammer(address),
        ["compare", options @ ..] => settings(options).and_then(|settings| compare(&settings)),
        ["memory", servers] => number(servers).and_then(|n| memory::measure(n, true)),
        ["here", servers] => number(servers).and_then(|n| memory::measure(n, false)),
        _ => Err("started by benches/peers/control/run".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("control benchmark: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Outcome<u32> {
    Ok(text.parse()?)
}

fn settings(options: &[&str]) -> Outcome<Settings> {
    let mut settings = Settings { services: 1000, reloads: 100, their_reloads: 10, alone: false };
    let mut words = options.iter().copied();
    while let Some(option) = words.next() {
        let mut next = || number(words.next().ok_or("a number is missing")?);
        match option {
            "--services" => settings.services = next()?,
            "--reloads" => settings.reloads = next()?,
            "--their-reloads" => settings.their_reloads = next()?,
            "--alone" => settings.alone = true,
            _ => return Err(format!("unknown option: {option}").into()),
        }
    }
    Ok(settings)
}

/// What one contender did.
struct Figures {
    unchecked: Duration,
    checked: Duration,
    /// Sorted.
    reloads: Vec<Duration>,
    /// Kernel writes of all reloads, where it tells.
    writes: Option<usize>,
    asked: u64,
    lost: u64,
    megabytes: f64,
}

impl Figures {
    fn median(&self) -> Option<Duration> {
        self.reloads.get(self.reloads.len() / 2).copied()
    }

    fn worst(&self) -> Option<Duration> {
        self.reloads.last().copied()
    }
}

fn compare(settings: &Settings) -> Outcome<()> {
    println!("\n{} services of {SERVERS} servers, each checked every 30 s\n", settings.services);
    let ours = measure(Kind::Lvs, settings, settings.reloads)?;
    let theirs = match settings.alone {
        true => None,
        false => Some(measure(Kind::Keepalived, settings, settings.their_reloads)?),
    };
    println!("| | ours | keepalived | ratio |\n|---|---:|---:|---:|");
    let row = |what: &str, unit: &str, of: &dyn Fn(&Figures) -> Option<f64>| {
        let (ours, theirs) = (of(&ours), theirs.as_ref().and_then(of));
        let ratio = ours.zip(theirs).map(|(ours, theirs)| theirs / ours);
        println!("| {what}, {unit} | {} | {} | {} |", cell(ours), cell(theirs), cell(ratio));
    };
    row("start to the whole table, servers in before their first check", "s", &|figures| {
        Some(figures.unchecked.as_secs_f64())
    });
    row("start to the whole table, each server checked first", "s", &|figures| {
        Some(figures.checked.as_secs_f64())
    });
    row("reload of one changed weight, median", "ms", &|figures| figures.median().map(millis));
    row("reload of one changed weight, worst", "ms", &|figures| figures.worst().map(millis));
    row("reloads", "count", &|figures| Some(figures.reloads.len() as f64));
    row("kernel writes of all reloads", "count", &|figures| figures.writes.map(|n| n as f64));
    row("requests to another service meanwhile", "count", &|figures| Some(figures.asked as f64));
    row("of them lost", "count", &|figures| Some(figures.lost as f64));
    row("memory", "MB", &|figures| Some(figures.megabytes));
    Ok(())
}

fn cell(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.fract() == 0.0 => format!("{value:.0}"),
        Some(value) if value.is_finite() => format!("{value:.1}"),
        Some(_) => String::new(),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn measure(kind: Kind, settings: &Settings, reloads: u32) -> Outcome<Figures> {
    let _servers = Servers::start()?;
    let mut table = Table::empty()?;
    let layout = Layout { services: settings.services, checked_first: false, weight: 1 };
    let begun = Instant::now();
    let contender = Contender::start(kind, &layout)?;
    let unchecked = table.wait_for_servers(&layout)? - begun;
    drop(contender);

    let mut table = Table::empty()?;
    let mut layout = Layout { checked_first: true, ..layout };
    let begun = Instant::now();
    let contender = Contender::start(kind, &layout)?;
    let checked = table.wait_for_servers(&layout)? - begun;
    let written = contender.writes();
    let hammer = Hammer::start(&Layout::service(0))?;
    let mut took = Vec::new();
    for round in 0..reloads {
        layout.weight = 2 + round % 2;
        contender.write(&layout)?;
        let begun = Instant::now();
        contender.reload()?;
        took.push(table.wait_for_weight(&layout)? - begun);
    }
    let (asked, lost) = hammer.finish()?;
    took.sort_unstable();
    let writes = contender.writes().zip(written).map(|(after, before)| after - before);
    let megabytes = contender.megabytes();
    Ok(Figures { unchecked, checked, reloads: took, writes, asked, lost, megabytes })
}
