//! Tries the rooms of this example against each other, without a director in between.
#![allow(
    clippy::disallowed_methods,
    reason = "an example is a driver: it has clocks, sockets and processes"
)]

mod content;
mod ftp_client;
mod ftp_server;
mod ftp_wire;
mod http_client;
mod ledger;
mod process;
mod report;
mod slots;
mod stall;
mod timeline;
mod units;
mod web_server;

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ftp_client::Fetching;
use ledger::Ledger;
use process::Cast;
use report::{Promise, Report, Takeover};
use rustix::process::Signal;
use stall::Watchdog;
use timeline::Timeline;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["web", listen, name] => role(|| web_server::run(parse(listen)?, name)),
        ["ftp", listen, name, rate] => role(|| ftp(listen, name, rate)),
        _ => story(arguments.contains(&"--json"), arguments.contains(&"--hold")),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("two_node: {error}");
            ExitCode::from(2)
        }
    }
}

fn role(play: impl FnOnce() -> io::Result<()>) -> Result<bool> {
    process::tie_to_parent()?;
    play()?;
    Ok(true)
}

fn parse(address: &str) -> io::Result<SocketAddr> {
    address.parse().map_err(io::Error::other)
}

fn ftp(listen: &str, name: &str, rate: &str) -> io::Result<()> {
    let name = name.to_owned();
    let bytes_per_second = Some(rate.parse().map_err(io::Error::other)?).filter(|rate| *rate > 0);
    ftp_server::run(
        parse(listen)?,
        ftp_server::Settings {
            name,
            bytes_per_second,
        },
    )
}

const WEB: &str = "127.0.0.11:8011";
const FTP: &str = "127.0.0.21:2121";
const FTP6: &str = "[::1]:2121";

fn story(json: bool, hold: bool) -> Result<bool> {
    let timeline = Arc::new(Timeline::new(json));
    let lines = Arc::clone(&timeline);
    let cast = Cast::new(move |name, stream, line| {
        lines.event(name, "output", line, &format!("{stream:?}"));
    })?;
    cast.stop_on_interrupt()?;
    let rate = if hold { "0" } else { "1000000" };
    for (name, arguments) in [
        ("web1", &["web", WEB, "web1"][..]),
        ("ftp1", &["ftp", FTP, "ftp1", rate][..]),
        ("ftp2", &["ftp", FTP6, "ftp2", rate][..]),
    ] {
        let pid = cast.start(name, arguments)?;
        timeline.event(name, "process", &format!("started, pid {pid}"), "boot");
    }
    if hold {
        thread::sleep(Duration::from_secs(3600));
    }
    let report = play(&timeline, &cast)?;
    cast.stop();
    timeline.close(&report);
    Ok(report.held())
}

fn play(timeline: &Timeline, cast: &Cast) -> Result<Report> {
    let (watchdog, ledger) = (Watchdog::start()?, Arc::new(Ledger::new()));
    await_answer(parse(WEB)?)?;
    let started = ledger.begin_phase("calm");
    let load = http_client::Load::start(&load(parse(WEB)?), &ledger)?;
    thread::sleep(Duration::from_secs(1));
    let transfers = start_transfers()?;
    await_progress(&transfers)?;
    thread::sleep(Duration::from_millis(300));

    let killed = ledger.begin_phase("web1 and ftp1 killed");
    kill_and_restart(timeline, cast)?;
    thread::sleep(Duration::from_millis(500));

    ledger.begin_phase("recovered");
    let mut report = Report::default();
    for transfer in transfers {
        report.files.push(transfer.finish()?);
    }
    let end = ledger.end_phase();
    load.stop();
    cast.signal("ftp2", Signal::TERM)?;

    let gap = ledger.longest_gap(killed, end);
    let stalls = gap
        .map(|gap| watchdog.between(gap.from, gap.to))
        .unwrap_or_default();
    timeline.event(
        "",
        "clock",
        &format!("stalled {:?} in all", stalls.total),
        "watchdog",
    );
    let allowed = Duration::from_millis(150);
    report.takeovers.push(Takeover::judge(
        "web1 killed and restarted",
        gap,
        allowed,
        stalls,
    ));
    let weights = BTreeMap::from([("web1".to_owned(), 1), ("web2".to_owned(), 0)]);
    report.shares = ledger::shares(&ledger.answers(started, end), &weights, 0.02);
    report.phases = ledger.phases();
    report.promises = promises(timeline, &ledger);
    Ok(report)
}

fn load(vip: SocketAddr) -> http_client::Settings {
    http_client::Settings {
        vip,
        clients: 4,
        pace: Duration::from_millis(20),
        path: "/bytes/1000".to_owned(),
        timeout: Duration::from_secs(1),
    }
}

fn start_transfers() -> Result<Vec<Fetching>> {
    use ftp_client::Mode::{Active, ExtendedActive, ExtendedPassive, Passive};
    let plans = [
        (FTP, Passive, 1_000_000),
        (FTP, ExtendedPassive, 1_000_001),
        (FTP, Active, 1_000_002),
        (FTP, ExtendedActive, 1_000_003),
        (FTP6, ExtendedPassive, 1_000_004),
        (FTP6, ExtendedActive, 1_000_005),
    ];
    let patience = Duration::from_secs(3);
    let mut transfers = Vec::new();
    for (server, mode, size) in plans {
        let server = parse(server)?;
        transfers.push(Fetching::start(ftp_client::Request {
            server,
            mode,
            size,
            patience,
        })?);
    }
    Ok(transfers)
}

fn await_progress(transfers: &[Fetching]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while transfers.iter().any(|transfer| transfer.bytes() == 0) {
        if Instant::now() > deadline {
            return Err("a transfer did not begin".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn kill_and_restart(timeline: &Timeline, cast: &Cast) -> Result<()> {
    for name in ["web1", "ftp1"] {
        cast.kill(name)?;
        let status = cast.wait(name, Duration::from_secs(1))?;
        timeline.event(name, "process", "killed", &format!("{status:?}"));
    }
    thread::sleep(Duration::from_millis(100));
    cast.start("web1", &["web", WEB, "web1"])?;
    cast.start("ftp1", &["ftp", FTP, "ftp1", "1000000"])?;
    timeline.event(
        "web1",
        "process",
        "back",
        &format!("{:?}", cast.pid("web1")),
    );
    Ok(())
}

fn promises(timeline: &Timeline, ledger: &Ledger) -> Vec<Promise> {
    let forgotten = ledger.forgotten();
    let took = format!("{:.1} s", timeline.began().elapsed().as_secs_f64());
    vec![
        Promise::new(
            "every request is accounted for",
            forgotten == 0,
            format!("{forgotten} forgotten"),
        ),
        Promise::new("the story ends", true, took),
    ]
}

fn await_answer(server: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match http_client::get(server, "/", Duration::from_secs(1)) {
            Ok(_) => return Ok(()),
            Err(failure) if Instant::now() > deadline => return Err(failure.words().into()),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}
