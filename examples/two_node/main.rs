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
    if json {
        println!("{}", report.to_json()?);
    } else {
        println!("\n{report}");
    }
    Ok(report.held())
}

fn play(timeline: &Timeline, cast: &Cast) -> Result<Report> {
    let (watchdog, ledger) = (Watchdog::start()?, Arc::new(Ledger::new()));
    let timeout = Duration::from_secs(1);
    let vip = parse(WEB)?;
    await_answer(vip)?;
    let started = ledger.begin_phase("calm");
    let settings = http_client::Settings {
        vip,
        clients: 4,
        pace: Duration::from_millis(20),
        path: "/bytes/1000".to_owned(),
        timeout,
    };
    let load = http_client::Load::start(&settings, &ledger)?;
    thread::sleep(Duration::from_secs(1));

    let transfer = |server, mode, size| {
        let server = parse(server)?;
        let patience = Duration::from_secs(3);
        let request = ftp_client::Request {
            server,
            mode,
            size,
            patience,
        };
        io::Result::Ok(thread::spawn(move || ftp_client::fetch(request)))
    };
    use ftp_client::Mode::{Active, ExtendedActive, ExtendedPassive, Passive};
    let transfers = [
        transfer(FTP, Passive, 1_000_000)?,
        transfer(FTP, ExtendedPassive, 1_000_001)?,
        transfer(FTP, Active, 1_000_002)?,
        transfer(FTP, ExtendedActive, 1_000_003)?,
        transfer(FTP6, ExtendedPassive, 1_000_004)?,
        transfer(FTP6, ExtendedActive, 1_000_005)?,
    ];
    thread::sleep(Duration::from_millis(400));
    let kill = ledger.begin_phase("web1 and ftp1 killed");
    for name in ["web1", "ftp1"] {
        cast.kill(name)?;
        let status = cast.wait(name, timeout)?;
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
    thread::sleep(Duration::from_millis(500));
    ledger.begin_phase("recovered");
    let mut report = Report::default();
    for transfer in transfers {
        let file = transfer.join().or(Err("a transfer panicked"))?;
        report.files.push(file);
    }
    let end = ledger.end_phase();
    load.stop();
    cast.signal("ftp2", Signal::TERM)?;

    let gap = ledger.longest_gap(kill, end);
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
    let forgotten = ledger.forgotten();
    report.promises.push(Promise::new(
        "every request is accounted for",
        forgotten == 0,
        format!("{forgotten} forgotten"),
    ));
    let took = format!("{:?}", timeline.began().elapsed());
    report
        .promises
        .push(Promise::new("the story ends", true, took));
    Ok(report)
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
