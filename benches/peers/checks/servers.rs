//! The servers: one process that listens on every loopback address, and notes who came when.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Outcome;

/// The address of a server by its number.
pub(crate) fn address(number: u32) -> Ipv4Addr {
    let [_, b, c, d] = number.to_be_bytes();
    Ipv4Addr::new(127, 80 + b, c, d)
}

/// The servers, from outside: a child process.
pub(crate) struct Servers {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    port: u16,
}

/// What the servers saw.
pub(crate) struct Arrivals {
    pub(crate) count: usize,
    /// Milliseconds after the beat, sorted.
    late: Vec<f64>,
}

impl Arrivals {
    pub(crate) fn late(&self, percent: usize) -> f64 {
        let last = self.late.len().saturating_sub(1);
        self.late.get(last * percent / 100).copied().unwrap_or(f64::NAN)
    }
}

impl Servers {
    pub(crate) fn start(servers: u32) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", &servers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or("no standard input")?;
        let mut answers = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        Ok(Self { child, orders, answers, port: line.trim().parse()? })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Begins to note anew.
    pub(crate) fn forget(&mut self) -> Outcome<()> {
        self.ask("forget").map(drop)
    }

    /// Who came since, against a beat of this length.
    pub(crate) fn arrivals(&mut self, every: Duration) -> Outcome<Arrivals> {
        let answer = self.ask(&format!("tell {}", every.as_millis()))?;
        let mut late: Vec<f64> =
            answer.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        late.sort_by(f64::total_cmp);
        Ok(Arrivals { count: late.len(), late })
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn ask(&mut self, order: &str) -> Outcome<String> {
        writeln!(self.orders, "{order}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.kill();
    }
}

type Seen = Arc<Mutex<HashMap<IpAddr, Vec<Instant>>>>;

/// The child: accepts and closes on each address, and answers orders.
pub(crate) fn serve(servers: u32) -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    rustix::net::listen(&listener, 4096)?;
    println!("{}", listener.local_addr()?.port());
    let seen: Seen = Arc::new(Mutex::new(HashMap::with_capacity(servers as usize)));
    let noted = Arc::clone(&seen);
    std::thread::spawn(move || accept(&listener, &noted));
    for order in std::io::stdin().lines() {
        let order = order?;
        match order.split_once(' ') {
            Some((_, every)) => tell(&seen, Duration::from_millis(every.parse()?)),
            None => {
                seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
                println!();
            }
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener, seen: &Seen) {
    for stream in listener.incoming().flatten() {
        let now = Instant::now();
        if let (Ok(SocketAddr::V4(local)), Ok(mut seen)) = (stream.local_addr(), seen.lock()) {
            seen.entry((*local.ip()).into()).or_default().push(now);
        }
    }
}

/// How late each probe was: against the beat of its server that fits the earliest of them.
fn tell(seen: &Seen, every: Duration) {
    let Ok(seen) = seen.lock() else { return };
    let mut line = String::new();
    for moments in seen.values() {
        let Some(&origin) = moments.first() else { continue };
        // In seconds from the beat that begins with the first probe; the beat may be earlier.
        let every = every.as_secs_f64();
        let place = |moment: &Instant| {
            let passed = (*moment - origin).as_secs_f64();
            passed - (passed / every).round() * every
        };
        let earliest = moments.iter().map(place).fold(0.0, f64::min);
        for moment in moments {
            let _ = write!(line, "{:.3} ", (place(moment) - earliest) * 1e3);
        }
    }
    println!("{line}");
}
