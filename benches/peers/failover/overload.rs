//! A pair of ours and a pair of keepalived's, side by side on one overloaded machine: nothing dies,
//! so nothing should change hands.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use piranha::runtime::isolation::isolate;
use rustix::process::{Pid, Signal};

use crate::Outcome;
use crate::case::{Case, Event};
use crate::contender::{Contender, Director, vip};
use crate::wire::Wire;

/// Of heartbeats and advertisements.
const INTERVAL: Duration = Duration::from_millis(100);

/// Services of our pair, and servers of each: 10,000 checks on each director.
const SERVICES: u16 = 10;
const SERVERS: u16 = 1000;

/// How often each server is checked.
const EVERY: Duration = Duration::from_secs(5);

const RELOAD_EVERY: Duration = Duration::from_secs(1);

/// How often an `lvs` is killed: on the standby, and in every second turn on both.
const KILL_EVERY: Duration = Duration::from_secs(15);

/// From the start of the pairs to that of the load, and from its end to that of the daemons.
const REST: Duration = Duration::from_secs(10);

/// How long the thread sleeps that shows what the machine does to everybody.
const NAP: Duration = Duration::from_millis(5);

/// Files that are written and synchronised in turns, each by a process of its own.
const WRITERS: usize = 2;

/// Runs both pairs for `minutes` under load, and prints what became of them.
pub(crate) fn run(minutes: u64) -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let pairs = [Contender::Pulse, Contender::Keepalived]
        .map(|contender| Pair::start(contender, directory.path()));
    let [ours, theirs] = pairs;
    let pairs = [ours?, theirs?];
    thread::sleep(REST);
    let begun = pairs.iter().map(Pair::log_ends).collect::<Outcome<Vec<_>>>()?;
    let load = Load::start(directory.path())?;
    let machine = Sleeper::start();
    torment(&pairs, Duration::from_secs(60 * minutes))?;
    let stall = machine.finish();
    drop(load);
    thread::sleep(REST);
    println!("{minutes} minutes, {} processors.\n", cores());
    println!(
        "| pair | taken for dead while alive | changes of hands | longest silence on the wire |"
    );
    println!("|---|---|---|---|");
    for (pair, begun) in pairs.into_iter().zip(begun) {
        println!("{}", pair.finish(begun)?);
    }
    println!("\nA real-time thread that does nothing but sleep was at most {stall:.1?} late.");
    Ok(())
}

/// What the machine itself does to whoever is to run at once: nobody on it can be quicker.
struct Sleeper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Sleeper {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let _as_pulse_does = isolate();
            let mut longest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let due = Instant::now() + NAP;
                thread::sleep(NAP);
                longest = longest.max(due.elapsed());
            }
            longest
        });
        Self { stop, thread }
    }

    fn finish(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Reloads, and kills what may die, until the time is up.
fn torment(pairs: &[Pair; 2], time: Duration) -> Outcome<()> {
    let end = Instant::now() + time;
    let (mut kill, mut turn) = (Instant::now() + KILL_EVERY, 0);
    while Instant::now() < end {
        thread::sleep(RELOAD_EVERY);
        for director in pairs.iter().flat_map(|pair| &pair.directors) {
            director.signal(Signal::HUP)?;
        }
        if kill <= Instant::now() {
            kill += KILL_EVERY;
            turn += 1;
            let victims = if turn % 2 == 0 { 0 } else { 1 };
            pairs
                .iter()
                .flat_map(|pair| &pair.directors[victims..])
                .try_for_each(Director::kill_lvs)?;
        }
    }
    Ok(())
}

/// Two directors that should stay as they are.
struct Pair {
    contender: Contender,
    directors: [Director; 2],
    capture: Child,
    heard: PathBuf,
    _wire: Wire,
}

impl Pair {
    fn start(contender: Contender, directory: &Path) -> Outcome<Self> {
        let directory = directory.join(contender.to_string());
        fs::create_dir(&directory)?;
        let wire = Wire::new()?;
        for number in [1, 2] {
            fs::create_dir(directory.join(number.to_string()))?;
            let namespace = wire.namespace(number)?;
            serve(namespace.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 7079)))??);
        }
        let heard = directory.join("heard.pcap");
        let capture = capture(&wire, &heard)?;
        let start = |number: u8| {
            let config = config(contender, number);
            Director::start(contender, &config, number, &wire.station(number), &directory)
        };
        let first = start(1)?;
        first.await_log(contender.active_phrase())?;
        let second = start(2)?;
        second.await_standby()?;
        Ok(Self { contender, directors: [first, second], capture, heard, _wire: wire })
    }

    fn log_ends(&self) -> Outcome<[u64; 2]> {
        let [first, second] = &self.directors;
        Ok([fs::metadata(first.log())?.len(), fs::metadata(second.log())?.len()])
    }

    /// Its row of the table.
    fn finish(mut self, begun: [u64; 2]) -> Outcome<String> {
        let mut news = String::new();
        for (director, begun) in self.directors.iter().zip(begun) {
            let mut log = File::open(director.log())?;
            log.seek(SeekFrom::Start(begun))?;
            log.read_to_string(&mut news)?;
        }
        end(&mut self.capture, Signal::TERM);
        let silence = longest_silence(&fs::read(&self.heard)?, self.contender == Contender::Pulse);
        let taken = news.lines().filter(|line| line.contains(self.contender.active_phrase()));
        let (taken, false_ones) = match self.contender {
            // Nobody dies but lvs, which keepalived does not have: each of its changes is a false one.
            Contender::Keepalived => (taken.clone().count(), taken.count()),
            _ => {
                let dead = |line: &&str| {
                    line.contains("activating lvs, was standby") && line.contains("(partner dead)")
                };
                (taken.count(), news.lines().filter(dead).count())
            }
        };
        let Silence { lasted, from, since } = silence;
        let lasted = lasted.as_secs_f64() * 1000.0;
        let [.., host] = from;
        let row = format!("| {} | {false_ones} | {taken} | {lasted:.0} ms", self.contender);
        Ok(format!("{row}, of {host} after {:.1} s |", since.as_secs_f64()))
    }
}

/// Accepts for as long as the process lives.
fn serve(listener: TcpListener) {
    thread::spawn(move || for _checked in listener.incoming() {});
}

fn config(contender: Contender, number: u8) -> String {
    let case = Case { event: Event::Death, interval: INTERVAL, vips: SERVICES };
    if contender == Contender::Keepalived {
        return contender.config(number, &case);
    }
    let role = if number == 1 { "primary" } else { "backup" };
    let mut text = format!(
        "role = {role}\nprimary = 10.78.0.1\nbackup = 10.78.0.2\nbackup_active = 1\n\
         heartbeat_port = 5390\nkeepalive = 100ms\ndeadtime = 350ms\ndataplane = relay\n"
    );
    for service in 1..=SERVICES {
        let _infallible = write!(
            text,
            "virtual v{service} {{\nactive = 1\naddress = {} eth0\nport = 8080\ncheck = connect\n\
             timeout = {}ms\n",
            vip(service),
            EVERY.as_millis()
        );
        for server in 0..SERVERS {
            let [high, low] = server.to_be_bytes();
            let [_, third] = service.to_be_bytes();
            let _infallible = write!(
                text,
                "server s{server} {{\nactive = 1\naddress = 127.{}.{third}.{low}\nport = 7079\n}}\n",
                80 + high
            );
        }
        text.push_str("}\n");
    }
    text
}

/// What the kernel hears on the bridge between the two, with its own time stamps.
fn capture(wire: &Wire, file: &Path) -> Outcome<Child> {
    let child = Command::new("ip")
        .args(["netns", "exec", &wire.bridge(), "tcpdump", "-n", "-s", "96", "-i", "wire", "-w"])
        .arg(file)
        .arg("udp port 5390 or ip proto 112")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child)
}

/// A time without a word.
#[derive(Default)]
struct Silence {
    lasted: Duration,
    /// The address whose words were missing; none if those of both were.
    from: [u8; 4],
    /// From the first word of all.
    since: Duration,
}

/// The longest time without a word: of each of the two where both speak all the time, else of
/// both.
fn longest_silence(capture: &[u8], both_speak: bool) -> Silence {
    let mut last: Vec<([u8; 4], Duration)> = Vec::new();
    let mut first = None;
    let mut longest = Silence::default();
    let mut rest = capture.get(24..).unwrap_or_default();
    while let Some((header, following)) = rest.split_first_chunk::<16>() {
        let number = |place: usize| {
            let bytes = [0, 1, 2, 3].map(|byte| header[place + byte]);
            u32::from_ne_bytes(bytes)
        };
        let at = Duration::new(number(0).into(), 0) + Duration::from_micros(number(4).into());
        let Some((frame, following)) = following.split_at_checked(number(8) as usize) else {
            break;
        };
        rest = following;
        // The source stands behind the Ethernet header and the first twelve bytes of IPv4's.
        let Some(source) = frame.get(26..).and_then(<[u8]>::first_chunk::<4>) else { continue };
        let source = if both_speak { *source } else { [0; 4] };
        let first = *first.get_or_insert(at);
        match last.iter_mut().find(|(known, _)| *known == source) {
            Some((from, before)) => {
                let lasted = at.saturating_sub(*before);
                if lasted > longest.lasted {
                    let since = before.saturating_sub(first);
                    longest = Silence { lasted, from: *from, since };
                }
                *before = at;
            }
            None => last.push((source, at)),
        }
    }
    longest
}

/// Processes that leave no processor and no disk to others.
struct Load(Vec<Child>);

impl Load {
    fn start(directory: &Path) -> Outcome<Self> {
        let mut load = Self(Vec::new());
        for _ in 0..2 * cores() {
            load.0.push(shell("while :; do :; done")?);
        }
        for writer in 0..WRITERS {
            let file = directory.join(format!("written{writer}"));
            let write = format!("dd if=/dev/zero of={} bs=1M count=256 conv=fsync", file.display());
            load.0.push(shell(&format!("while :; do {write} 2>/dev/null; done"))?);
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            end(child, Signal::KILL);
        }
    }
}

/// Starts `script` in a process group of its own.
fn shell(script: &str) -> Outcome<Child> {
    Ok(Command::new("sh").args(["-c", script]).process_group(0).spawn()?)
}

/// Ends the process group of `child`, or `child` if it has none of its own.
fn end(child: &mut Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let group = rustix::process::kill_process_group(pid, signal);
        let _already_gone = group.or_else(|_none| rustix::process::kill_process(pid, signal));
    }
    let _already_waited_for = child.wait();
}
