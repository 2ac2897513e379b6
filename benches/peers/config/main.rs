//! Reading a large lvs.cf beside `keepalived -t` on the equivalent file: time and memory of whole
//! processes, in turn, on one machine.
//!
//! `benches/peers/config/run` builds this and starts it; see there for the options.
#![allow(clippy::disallowed_methods, reason = "a benchmark does its own input and output")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How large the files are, and how often they are read.
struct Settings {
    virtuals: u32,
    servers: u32,
    rounds: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["load", file] => load(Path::new(file)),
        ["compare", options @ ..] => settings(options).and_then(|settings| compare(&settings)),
        _ => {
            Err("usage: config_peers load FILE | compare [--virtuals N] [--servers N] [--rounds N]"
                .into())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("config_peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings(options: &[&str]) -> Outcome<Settings> {
    let mut settings = Settings { virtuals: 10_000, servers: 10, rounds: 5 };
    for pair in options.chunks(2) {
        match *pair {
            ["--virtuals", count] => settings.virtuals = count.parse()?,
            ["--servers", count] => settings.servers = count.parse()?,
            ["--rounds", count] => settings.rounds = count.parse()?,
            _ => return Err(format!("unknown option: {}", pair.join(" ")).into()),
        }
    }
    Ok(settings)
}

/// What is measured: read, parse, lower and check.
fn load(file: &Path) -> Outcome<()> {
    let start = Instant::now();
    let text = fs::read(file)?;
    let loaded = piranha::config::load(&text);
    let elapsed = start.elapsed();
    let config = loaded.config.ok_or("the file has errors")?;
    let servers: usize = config.virtuals.iter().map(|service| service.servers.len()).sum();
    println!("{} virtuals, {servers} servers in {elapsed:?}", config.virtuals.len());
    Ok(())
}

fn compare(settings: &Settings) -> Outcome<()> {
    let directory = std::env::temp_dir().join(format!("config-peers-{}", std::process::id()));
    fs::create_dir(&directory)?;
    let compared = measure(settings, &directory);
    fs::remove_dir_all(&directory)?;
    println!("{}", compared?);
    Ok(())
}

fn measure(settings: &Settings, directory: &Path) -> Outcome<String> {
    let (ours, theirs) = (directory.join("lvs.cf"), directory.join("keepalived.conf"));
    fs::write(&ours, lvs_cf(settings))?;
    fs::write(&theirs, keepalived_conf(settings))?;
    let (mut our_samples, mut their_samples) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds.max(1) {
        let program = std::env::current_exe()?;
        our_samples.push(timed(
            Command::new("/usr/bin/time").arg("-f").arg(FORMAT).arg(program).arg("load").arg(&ours),
        )?);
        their_samples.push(timed(
            Command::new("/usr/bin/time")
                .arg("-f")
                .arg(FORMAT)
                .args(["keepalived", "-t", "-f"])
                .arg(&theirs),
        )?);
    }
    let megabytes = |path: &Path| fs::metadata(path).map(|data| data.len() as f64 / 1e6);
    let (ours, theirs) = (
        Row::new("piranha", megabytes(&ours)?, &our_samples),
        Row::new("`keepalived -t`", megabytes(&theirs)?, &their_samples),
    );
    Ok(table(settings, &ours, &theirs))
}

/// Seconds, seconds of CPU in user and system mode, kilobytes.
const FORMAT: &str = "%e %U %S %M";

/// One run of one program.
#[derive(Clone, Copy)]
struct Sample {
    seconds: f64,
    cpu: f64,
    megabytes: f64,
}

fn timed(command: &mut Command) -> Outcome<Sample> {
    let output = command.output()?;
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("{command:?} failed: {report}").into());
    }
    let figures = report.lines().last().unwrap_or_default().split(' ').map(str::parse);
    match *figures.collect::<Result<Vec<f64>, _>>()? {
        [seconds, user, system, kilobytes] => {
            Ok(Sample { seconds, cpu: user + system, megabytes: kilobytes / 1024.0 })
        }
        _ => Err(format!("no figures from time: {report}").into()),
    }
}

/// What the table shows of one program.
struct Row {
    name: &'static str,
    file: f64,
    median: Sample,
}

impl Row {
    fn new(name: &'static str, file: f64, samples: &[Sample]) -> Self {
        let median = |figure: fn(&Sample) -> f64| {
            let mut figures: Vec<f64> = samples.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        let median = Sample {
            seconds: median(|s| s.seconds),
            cpu: median(|s| s.cpu),
            megabytes: median(|s| s.megabytes),
        };
        Self { name, file, median }
    }
}

fn table(settings: &Settings, ours: &Row, theirs: &Row) -> String {
    let mut table = format!(
        "{} virtual services of {} servers, medians of {} runs\n\n\
         | | file, MB | time, s | CPU, s | memory, MB |\n|---|---|---|---|---|\n",
        settings.virtuals, settings.servers, settings.rounds
    );
    for Row { name, file, median } in [ours, theirs] {
        let Sample { seconds, cpu, megabytes } = median;
        let _infallible =
            writeln!(table, "| {name} | {file:.1} | {seconds:.2} | {cpu:.2} | {megabytes:.0} |");
    }
    let ratio =
        |figure: fn(&Sample) -> f64| figure(&theirs.median) / figure(&ours.median).max(0.01);
    let _infallible = writeln!(
        table,
        "| ratio | | {:.1} | {:.1} | {:.1} |",
        ratio(|s| s.seconds),
        ratio(|s| s.cpu),
        ratio(|s| s.megabytes)
    );
    table
}

/// The address of a service or server.
fn address(net: u32, number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits((net << 24) + number)
}

fn lvs_cf(settings: &Settings) -> String {
    let mut text = String::from(
        "primary = 192.0.2.11\nbackup_active = 1\nbackup = 192.0.2.12\nkeepalive = 6\ndeadtime = 18\nnetwork = direct\n",
    );
    for v in 0..settings.virtuals {
        let vip = address(10, v + 1);
        let _infallible = write!(
            text,
            "virtual service{v} {{\n     active = 1\n     address = {vip} eth0:1\n     vip_nmask = 255.255.255.255\n     \
             port = 80\n     send = \"GET / HTTP/1.0\\r\\n\\r\\n\"\n     expect = \"HTTP\"\n     scheduler = wlc\n     \
             protocol = tcp\n     timeout = 6\n     reentry = 15\n     quiesce_server = 0\n"
        );
        for s in 0..settings.servers {
            let server = address(11, v * settings.servers + s + 1);
            let _infallible = write!(
                text,
                "     server s{s} {{\n         address = {server}\n         active = 1\n         weight = 1\n     }}\n"
            );
        }
        text.push_str("}\n");
    }
    text
}

fn keepalived_conf(settings: &Settings) -> String {
    let mut text = String::from("global_defs {\n    router_id bench\n}\n");
    for v in 0..settings.virtuals {
        let vip = address(10, v + 1);
        let _infallible = write!(
            text,
            "virtual_server {vip} 80 {{\n    delay_loop 6\n    lb_algo wlc\n    lb_kind DR\n    protocol TCP\n"
        );
        for s in 0..settings.servers {
            let server = address(11, v * settings.servers + s + 1);
            let _infallible = write!(
                text,
                "    real_server {server} 80 {{\n        weight 1\n        TCP_CHECK {{\n            connect_timeout 6\n        }}\n    }}\n"
            );
        }
        text.push_str("}\n");
    }
    text
}
