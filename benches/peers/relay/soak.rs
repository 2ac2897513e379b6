//! The relay alone under churn of servers, weights and clients: nothing may leak.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use piranha::ipvs::relay::ServiceStatus;
use piranha::ipvs::{Backend, Destination, Op, Service, ServiceKey};
use piranha::net::Weight;
use piranha::runtime::relay::{Relay, RelayConfig};

use crate::Outcome;
use crate::backend::{self, SERVERS};
use crate::load::{self, Plan};
use crate::{measure, udp};

const VIP: &str = "127.77.0.4:7080";

/// How often a server or a weight changes.
const CHANGE: Duration = Duration::from_millis(20);

/// UDP round trips in one round of everything.
const DATAGRAMS: usize = 10_000;

/// What the relay's line with its datagrams begins with.
const RELAYED: &str = "datagrams: ";

/// How often the state is printed.
const REPORT: Duration = Duration::from_secs(10);

/// What memory may grow by after the first quarter, beside a tenth.
const SLACK: f64 = 2.0 * 1024.0 * 1024.0;

/// Runs clients of every kind against a relay for so many seconds, and fails unless everything
/// balances at the end and memory has stayed.
pub(crate) fn run(seconds: u64) -> Outcome<()> {
    let servers = backend::Backend::start()?;
    let mut relay = Soaked::start(&servers)?;
    let target: SocketAddr = VIP.parse()?;
    let started = Instant::now();
    let mut total = Totals::default();
    let mut next_report = REPORT;
    let mut warm = None;
    while started.elapsed() < Duration::from_secs(seconds) {
        total.add(target)?;
        if warm.is_none() && started.elapsed() >= Duration::from_secs(seconds) / 4 {
            warm = Some(relay.resident());
        }
        if started.elapsed() >= next_report {
            next_report += REPORT;
            println!(
                "{:4} s  {:5.0} KiB  {total:?}",
                started.elapsed().as_secs(),
                relay.resident() / 1024.0
            );
        }
    }
    let (warm, end) = (warm.unwrap_or(f64::MAX), relay.resident());
    println!("clients: {total:?}");
    println!(
        "memory: {:.0} KiB after a quarter, {:.0} KiB at the end",
        warm / 1024.0,
        end / 1024.0
    );
    let relayed = relay.finish()?;
    account(&total, &relayed, &servers)?;
    if end > warm * 1.1 + SLACK {
        return Err("memory has grown".into());
    }
    Ok(())
}

/// Fails unless every lost datagram is counted somewhere: by the relay, or by the kernel at the
/// sockets of servers and clients.
fn account(total: &Totals, relayed: &Relayed, servers: &backend::Backend) -> Outcome<()> {
    let ports: Vec<u16> = servers.udp.iter().map(SocketAddr::port).collect();
    let at_servers = measure::overruns(&ports);
    let explained = relayed.lost + at_servers + total.overruns;
    println!(
        "datagrams: {} sent, {} answered, {} lost: {} by the relay, {at_servers} in the receive \
         buffers of the servers, {} in those of the clients",
        total.datagrams, total.answered, total.lost, relayed.lost, total.overruns
    );
    println!("the relay: {} to servers, {} back to clients", relayed.forth, relayed.back);
    match total.lost == explained && relayed.back == total.answered + total.overruns {
        true => Ok(()),
        false => Err("some datagrams are counted nowhere".into()),
    }
}

/// What the clients have done.
#[derive(Debug, Default)]
struct Totals {
    connections: usize,
    requests: usize,
    transfers: usize,
    aborted: usize,
    idle: usize,
    datagrams: usize,
    answered: usize,
    lost: usize,
    /// Of these, what the clients' own sockets had no room for.
    overruns: usize,
}

impl Totals {
    /// Some of everything.
    fn add(&mut self, target: SocketAddr) -> Outcome<()> {
        load::run(target, Plan { clients: 64, total: 3000, keep: false, size: 128 })?;
        self.connections += 3000;
        load::run(target, Plan { clients: 64, total: 10_000, keep: true, size: 4096 })?;
        self.requests += 10_000;
        load::run(target, Plan { clients: 8, total: 16, keep: false, size: 20_000_000 })?;
        self.transfers += 16;
        (0..300).try_for_each(|_| abort(target))?;
        self.aborted += 300;
        self.idle += load::open(target, 300)?.len();
        let seen = udp::run(target, DATAGRAMS)?;
        self.datagrams += DATAGRAMS;
        self.answered += seen.run.done();
        self.lost += seen.run.lost();
        self.overruns += seen.overruns;
        Ok(())
    }
}

/// Asks for much and goes away in the middle of it: a reset.
fn abort(target: SocketAddr) -> Outcome<()> {
    let mut stream = TcpStream::connect(target)?;
    stream.write_all(&load::request(1_000_000))?;
    stream.read_exact(&mut [0; 1000])?;
    Ok(())
}

/// The process that has the relay.
struct Soaked {
    child: Child,
    output: Option<JoinHandle<Option<Relayed>>>,
}

/// The relay's datagrams.
struct Relayed {
    forth: usize,
    back: usize,
    lost: usize,
}

impl Relayed {
    fn parse(line: &str) -> Option<Self> {
        let numbers = line.strip_prefix(RELAYED)?.split(' ').map(str::parse);
        let numbers: Vec<usize> = numbers.collect::<Result<_, _>>().ok()?;
        let [forth, back, lost] = numbers[..] else {
            return None;
        };
        Some(Self { forth, back, lost })
    }
}

/// Shows what the relay prints, and keeps what it says about datagrams.
fn show(lines: impl Iterator<Item = String>) -> Option<Relayed> {
    let mut relayed = None;
    for line in lines {
        match Relayed::parse(&line) {
            Some(found) => relayed = Some(found),
            None => println!("{line}"),
        }
    }
    relayed
}

impl Soaked {
    fn start(servers: &backend::Backend) -> Outcome<Self> {
        let addresses = servers.tcp.iter().chain(&servers.udp).map(SocketAddr::to_string);
        let mut child = Command::new(std::env::current_exe()?)
            .arg("soak-relay")
            .args(addresses)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        lines.next().ok_or("the relay did not start")??;
        let output = std::thread::spawn(move || show(lines.map_while(Result::ok)));
        Ok(Self { child, output: Some(output) })
    }

    fn resident(&self) -> f64 {
        measure::resident(self.child.id())
    }

    /// Has it stop, print its counters and judge them.
    fn finish(&mut self) -> Outcome<Relayed> {
        drop(self.child.stdin.take());
        if !self.child.wait()?.success() {
            return Err("the counters do not balance".into());
        }
        let relayed = self.output.take().and_then(|output| output.join().ok()).flatten();
        relayed.ok_or_else(|| "the relay said nothing about its datagrams".into())
    }
}

impl Drop for Soaked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Relays and changes servers and weights until standard input ends; then everything must
/// balance.
pub(crate) fn relay(servers: &[&str]) -> Outcome<()> {
    let servers: Vec<SocketAddr> =
        servers.iter().map(|server| server.parse()).collect::<Result<_, _>>()?;
    let (tcp, udp) = servers.split_at(SERVERS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(churn(tcp, udp))
}

async fn churn(tcp: &[SocketAddr], udp: &[SocketAddr]) -> Outcome<()> {
    let vip: SocketAddr = VIP.parse()?;
    let mut config = RelayConfig::default();
    // The clients' flows end within the soak, so that memory can be seen not to grow.
    config.udp_idle_timeout = Duration::from_secs(5);
    let relay = Relay::new(config)?;
    let services = [(ServiceKey::tcp(vip), tcp), (ServiceKey::udp(vip), udp)];
    for (key, servers) in services {
        apply(&relay, Op::AddService(Service::new(key))).await?;
        for server in servers {
            apply(&relay, Op::AddDestination(key, Destination::new(*server))).await?;
        }
    }
    relay.acquire(vip.ip()).await?;
    println!("ready");
    let (ended, mut end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ended.send(())
    });
    let mut dice = 1_u64;
    let mut changes = 0_u64;
    while tokio::time::timeout(CHANGE, &mut end).await.is_err() {
        for (key, servers) in services {
            change(&relay, key, servers, &mut dice).await?;
            changes += 1;
        }
    }
    println!("{changes} changes of servers and weights");
    relay.release(vip.ip()).await;
    relay.drain(Duration::from_secs(10)).await;
    balance(&relay)
}

/// Gives a server other than the first another weight, or takes it out, or puts it back.
async fn change(
    relay: &Relay,
    key: ServiceKey,
    servers: &[SocketAddr],
    dice: &mut u64,
) -> Outcome<()> {
    *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let number = usize::try_from(*dice >> 33)?;
    let server = servers[1 + number % (servers.len() - 1)];
    let weight = Weight::new(u32::try_from(number / 8 % 4)?)?;
    let destination = Destination::new(server).with_weight(weight);
    let present = relay.status().into_iter().find(|status| status.key == key);
    let present = present.is_some_and(|s| s.destinations.iter().any(|d| d.address == server));
    let op = match present {
        false => Op::AddDestination(key, destination),
        true if number.is_multiple_of(5) => Op::RemoveDestination(key, server),
        true => Op::EditDestination(key, destination),
    };
    apply(relay, op).await
}

pub(crate) async fn apply(relay: &Relay, op: Op) -> Outcome<()> {
    for applied in relay.clone().apply(&[op]).await? {
        applied?;
    }
    Ok(())
}

/// Prints every counter and fails unless those of present connections are zero.
fn balance(relay: &Relay) -> Outcome<()> {
    let mut left = relay.connections();
    for service in relay.status() {
        let ServiceStatus { key, counters, losses, refused, .. } = &service;
        println!("{key}: {counters:?}, {losses:?}, refused {refused}");
        if counters.packets_in > 0 {
            println!(
                "{RELAYED}{} {} {}",
                counters.packets_in,
                counters.packets_out,
                losses.total()
            );
        }
        for server in service.destinations {
            println!("  {} {:?} failures {}", server.address, server.load, server.failures);
            left += usize::try_from(server.load.total())?;
        }
    }
    match left {
        0 => Ok(()),
        _ => Err(format!("{left} connections are still counted").into()),
    }
}
