//! Very many connections at the same time, and what they take in memory.
//!
//! A connection costs a relay two descriptors. Where a process may not have enough of them, the
//! connections are divided among several relays, each with servers and clients of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use piranha::ipvs::{Destination, Op, Service, ServiceKey};
use piranha::runtime::relay::{Relay, RelayConfig, descriptor_room};

use crate::backend::{Backend, SERVERS};
use crate::measure::Memory;
use crate::{Outcome, load, soak};

const PORT: u16 = 7080;

/// How long everything lies still before memory is looked at.
const STILL: Duration = Duration::from_secs(3);

/// Opens `count` connections, first without a relay between, then with, and prints the memory.
pub(crate) fn run(count: usize) -> Outcome<()> {
    let groups = count.div_ceil(descriptor_room());
    let servers = (0..groups).map(|_| Backend::start()).collect::<Outcome<Vec<_>>>()?;
    let each = count / groups;
    println!(
        "{} connections through {groups} relay processes, {each} each: a process may have {} descriptors",
        groups * each,
        crate::measure::descriptors()
    );
    let direct: Vec<_> = servers.iter().map(|servers| servers.tcp[0]).collect();
    let (direct, _) = measure(&direct, each, Vec::new())?;
    let relays = servers.iter().enumerate().map(|(number, servers)| {
        Member::start(&["open-relay".to_owned(), vip(number)], &servers.tcp)
    });
    let relays = relays.collect::<Outcome<Vec<_>>>()?;
    let vips = (0..groups).map(|number| Ok(vip(number).parse()?));
    let vips = vips.collect::<Outcome<Vec<SocketAddr>>>()?;
    let (relayed, answered) = measure(&vips, each, relays.iter().map(|r| r.child.id()).collect())?;
    print(&direct, &relayed);
    match answered == groups * each {
        true => Ok(()),
        false => Err(format!("{answered} connections answered a second request").into()),
    }
}

fn vip(number: usize) -> String {
    format!("127.77.1.{}:{PORT}", number + 1)
}

/// What `each` connections to each of `targets` take, and how many of them answer once more.
fn measure(targets: &[SocketAddr], each: usize, pids: Vec<u32>) -> Outcome<(Memory, usize)> {
    let before = Memory::of(pids.clone());
    let clients = targets.iter().map(|target| {
        Member::start(&["open-clients".to_owned(), target.to_string(), each.to_string()], &[])
    });
    let mut clients = clients.collect::<Outcome<Vec<_>>>()?;
    std::thread::sleep(STILL);
    let memory = Memory::of(pids).since(&before, targets.len() * each);
    let answered = clients.iter_mut().map(Member::ask_again).collect::<Outcome<Vec<_>>>()?;
    drop(clients);
    std::thread::sleep(STILL);
    Ok((memory, answered.into_iter().sum()))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn print(direct: &Memory, relayed: &Memory) {
    println!("\n| | each, bytes | all, MB |\n|---|---:|---:|");
    let row = |what: &str, each: f64| {
        println!("| {what} | {each:.0} | {:.0} |", each * relayed.connections as f64 / 1e6);
    };
    row("relay processes", relayed.resident);
    row("kernel objects, clients and servers too", relayed.slab);
    row("- of the same connections without a relay", direct.slab);
    row("- the relay's part", relayed.slab - direct.slab);
    row("all of the machine's kernel objects", relayed.all_slab);
    row("- of the same connections without a relay", direct.all_slab);
    row("socket buffers, clients and servers too", relayed.buffers);
    row("relay and its part of the kernel", relayed.resident + relayed.slab - direct.slab);
}

/// A process that says when it is ready and ends with its standard input.
struct Member {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Member {
    fn start(words: &[String], servers: &[SocketAddr]) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(words)
            .args(servers.iter().map(SocketAddr::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut member = Self { child, output };
        match member.line()?.trim() {
            "ready" => Ok(member),
            _ => Err(format!("{} did not start", words.join(" ")).into()),
        }
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line)
    }

    /// Has every connection asked once more. Returns how many answered.
    fn ask_again(&mut self) -> Outcome<usize> {
        let input = self.child.stdin.as_mut().ok_or("no input")?;
        input.write_all(b"again\n")?;
        Ok(self.line()?.trim().parse()?)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Relays `vip` to `servers` until standard input ends.
pub(crate) fn relay(vip: &str, servers: &[&str]) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let vip: SocketAddr = vip.parse()?;
        let relay = Relay::new(RelayConfig::default())?;
        let key = ServiceKey::tcp(vip);
        soak::apply(&relay, Op::AddService(Service::new(key))).await?;
        for server in &servers[..SERVERS] {
            let server = Destination::new(server.parse()?);
            soak::apply(&relay, Op::AddDestination(key, server)).await?;
        }
        relay.acquire(vip.ip()).await?;
        println!("ready");
        std::io::stdin().read_to_end(&mut Vec::new())?;
        Ok(())
    })
}

/// Opens `count` connections and holds them until standard input ends; asks over each once more
/// for every line there.
pub(crate) fn clients(target: &str, count: &str) -> Outcome<()> {
    let open = load::open(target.parse()?, count.parse()?)?;
    println!("ready");
    for line in std::io::stdin().lines() {
        line?;
        println!("{}", open.iter().filter(|stream| answers(stream)).count());
    }
    Ok(())
}

fn answers(mut stream: &TcpStream) -> bool {
    stream.write_all(&load::request(128)).is_ok() && stream.read_exact(&mut [0; 128]).is_ok()
}
