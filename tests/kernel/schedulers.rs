//! The kernel's schedulers beside ours: what happens to a virtual service, and then whom each
//! connection went to, pick for pick.
//!
//! What the kernel chose is left in the lab's results and kept in `tests/scheduler/vectors`, where
//! `tests/scheduler` compares ours with it on any machine.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use piranha::ipvs::kernel::Timeouts;
use piranha::ipvs::{Destination, Forwarding, SchedulerFlags, Service, ServiceKey, Thresholds};
use piranha::net::{Family, FirewallMark, Protocol, Weight};
use piranha::runtime::kernel::{Client, Namespace};
use piranha::scheduler::{Flow, Options};

use crate::lab::{lab, results, sh, wait_for};
use crate::packets::{Kind, Packet, Void};

#[path = "../scheduler/corners.rs"]
mod corners;
#[path = "../scheduler/courses.rs"]
mod courses;
#[path = "../scheduler/replay.rs"]
mod replay;
#[path = "../scheduler/tables.rs"]
mod tables;

use courses::letters;
use replay::{Case, Event};

const DIRECTOR: &str = "/run/netns/director";

/// Long enough for the whole test.
const LONG: Duration = Duration::from_secs(900);

/// What the director chose for each client and destination.
type Seen = HashMap<(SocketAddr, SocketAddr), SocketAddr>;

struct Director {
    void: Void,
    client: Client,
    namespace: Namespace,
}

impl Director {
    fn new() -> Self {
        let void = Void::new();
        let client = Client::in_namespace(DIRECTOR).unwrap();
        let mut director = Self { void, client, namespace: Namespace::open(DIRECTOR).unwrap() };
        director.keep_ended_connections(LONG);
        director
    }

    /// How long a connection is kept that has been finished, or that is UDP, from the next packet on.
    fn keep_ended_connections(&mut self, time: Duration) {
        self.void.settle();
        self.client.set_timeouts(Timeouts::new(LONG, time, time)).unwrap();
    }

    fn seen(&self) -> Seen {
        self.void.settle();
        let connections = self.namespace.connections().unwrap();
        connections.into_iter().map(|c| ((c.client, c.vip), c.destination)).collect()
    }

    fn forgets(&self, flows: &[Flow]) {
        let is_gone = || {
            let seen = self.seen();
            flows.iter().all(|flow| !seen.contains_key(&(flow.source, flow.destination)))
        };
        // A listing made while entries go may miss one that stays, so it takes two.
        wait_for("the end of the connections", || is_gone() && is_gone());
    }
}

fn service(key: ServiceKey, scheduler: &str, options: Options) -> Service {
    let flag = |set, flag| if set { flag } else { SchedulerFlags::NONE };
    let flags =
        flag(options.fallback, SchedulerFlags::FLAG_1) | flag(options.port, SchedulerFlags::FLAG_2);
    Service::new(key).with_scheduler(scheduler.parse().unwrap()).with_scheduler_flags(flags)
}

fn destination(address: SocketAddr, weight: u32, thresholds: Thresholds) -> Destination {
    let weight = Weight::new(weight).unwrap();
    Destination::new(address)
        .with_forwarding(Forwarding::Direct)
        .with_weight(weight)
        .with_thresholds(thresholds)
}

/// One case in the kernel.
struct Play {
    name: String,
    case: Case,
    key: ServiceKey,
    next: usize,
    listed: Vec<SocketAddr>,
    flows: Vec<Flow>,
    seen: Seen,
}

impl Play {
    fn new(director: &mut Director, key: ServiceKey, name: String, case: Case) -> Self {
        director.client.add_service(service(key, case.scheduler, case.options)).unwrap();
        Self { name, case, key, next: 0, listed: Vec::new(), flows: Vec::new(), seen: Seen::new() }
    }

    /// Plays on until some connections are to end, and gives those.
    fn until_some_end(&mut self, director: &mut Director) -> Vec<Flow> {
        let mut ending = Vec::new();
        while let Some(&event) = self.case.events.get(self.next) {
            match event {
                Event::Close(which) => ending.push(self.flows[which]),
                _ if !ending.is_empty() => break,
                _ => self.handle(director, event),
            }
            self.next += 1;
        }
        ending
    }

    fn handle(&mut self, director: &mut Director, event: Event) {
        let Director { void, client, .. } = director;
        let is_udp = self.case.protocol == Protocol::Udp;
        match event {
            Event::Connect(flow) => {
                // Less than what the wire holds.
                if self.flows.len().is_multiple_of(64) {
                    void.settle();
                }
                let kinds = if is_udp { &[Kind::Datagram][..] } else { &[Kind::Syn, Kind::Ack] };
                kinds.iter().for_each(|&kind| void.send(Packet { flow, kind }));
                self.flows.push(flow);
            }
            Event::Finish(which) => void.send(Packet { flow: self.flows[which], kind: Kind::Fin }),
            Event::Close(_) => unreachable!("taken out before"),
            Event::Add(address, weight, thresholds) => {
                void.settle();
                let destination = destination(address, weight, thresholds);
                client.add_destination(self.key, destination).unwrap();
                self.listed.push(address);
            }
            Event::Edit(address, weight, thresholds) => {
                void.settle();
                let destination = destination(address, weight, thresholds);
                client.edit_destination(self.key, destination).unwrap();
            }
            Event::Remove(address) => {
                void.settle();
                client.remove_destination(self.key, address).unwrap();
                self.listed.retain(|listed| *listed != address);
            }
        }
    }

    /// Whether a packet of the client still reaches the server.
    fn is_carried(&self, flow: &Flow) -> bool {
        let chosen = self.seen.get(&(flow.source, flow.destination));
        chosen.is_some_and(|server| self.listed.contains(server))
    }

    /// Another packet, which gives a connection the time it has left.
    fn last_packet(&self, flow: Flow) -> Packet {
        let is_udp = self.case.protocol == Protocol::Udp;
        Packet { flow, kind: if is_udp { Kind::Datagram } else { Kind::Fin } }
    }

    fn choices(&self) -> Vec<Option<SocketAddr>> {
        let choice = |flow: &Flow| self.seen.get(&(flow.source, flow.destination)).copied();
        self.flows.iter().map(choice).collect()
    }

    fn difference(&self) -> Option<String> {
        let (theirs, ours) = (letters(&self.choices()), letters(&replay::choices(&self.case)));
        let differs = theirs.chars().zip(ours.chars()).position(|(a, b)| a != b);
        let at = differs.or_else(|| (theirs.len() != ours.len()).then_some(0))?;
        Some(format!("{}: connection {at}\n  kernel {theirs}\n  ours   {ours}", self.name))
    }
}

/// A service by mark for what is sent to 10.8.`third`.0/`length`.
fn marked(third: usize, length: u8) -> ServiceKey {
    let mark = u32::try_from(third + 1).unwrap();
    sh(&format!(
        "ip netns exec director iptables-legacy -t mangle -A PREROUTING -d 10.8.{third}.0/{length} \\
             -j MARK --set-mark {mark}"
    ));
    ServiceKey::mark(FirewallMark::new(mark).unwrap(), Family::Ipv4)
}

/// All at once, so that they wait together for connections to end. Case `n` has 10.8.n.0/24.
fn play(director: &mut Director, cases: Vec<(String, Case)>) -> Vec<Play> {
    let cases = cases.into_iter().enumerate();
    let mut plays: Vec<_> = cases
        .map(|(number, (name, case))| Play::new(director, marked(number, 24), name, case))
        .collect();
    loop {
        let ending: Vec<_> = plays.iter_mut().map(|play| play.until_some_end(director)).collect();
        look(director, &mut plays);
        if ending.iter().all(Vec::is_empty) {
            return plays;
        }
        end(director, &plays, &ending);
    }
}

fn look(director: &Director, plays: &mut [Play]) {
    let seen = director.seen();
    for play in plays {
        let known = play.flows.iter().map(|flow| (flow.source, flow.destination));
        let found = known.filter_map(|flow| Some((flow, *seen.get(&flow)?)));
        play.seen.extend(found);
    }
}

fn end(director: &mut Director, plays: &[Play], ending: &[Vec<Flow>]) {
    director.keep_ended_connections(Duration::from_secs(1));
    let mut flows = Vec::new();
    for (play, ending) in plays.iter().zip(ending) {
        for &flow in ending.iter().filter(|flow| play.is_carried(flow)) {
            director.void.send(play.last_packet(flow));
            flows.push(flow);
        }
    }
    director.keep_ended_connections(LONG);
    director.forgets(&flows);
}

/// Leaves the kernel's choices in the results, and compares.
fn judge(plays: &[Play], file: &str) {
    let mut vectors = String::new();
    for play in plays {
        writeln!(vectors, "{}: {}", play.name, letters(&play.choices())).unwrap();
    }
    fs::write(results().join(file), vectors).unwrap();
    let differences: Vec<_> = plays.iter().filter_map(Play::difference).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn each_scheduler_chooses_as_the_kernels_does() {
    let _lab = lab();
    let plays = play(&mut Director::new(), courses::cases());
    judge(&plays, "courses");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn each_slot_of_a_hashing_scheduler_has_the_server_it_has_in_the_kernel() {
    let _lab = lab();
    let mut director = Director::new();
    let mut plays = Vec::new();
    for (number, (name, case)) in tables::tables().into_iter().enumerate() {
        let key = match case.events.last() {
            Some(Event::Connect(flow)) if case.scheduler != "dh" => {
                ServiceKey::udp(flow.destination)
            }
            _ => marked(number * 16, 20),
        };
        let mut play = Play::new(&mut director, key, name, case);
        assert!(play.until_some_end(&mut director).is_empty());
        plays.push(play);
    }
    look(&director, &mut plays);
    judge(&plays, "tables");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn in_corners_where_kernels_differ_this_one_is_of_a_known_kind() {
    let _lab = lab();
    let corners = corners::corners();
    let cases = corners.iter().map(|corner| (corner.name.into(), corner.case.clone())).collect();
    let mut found = String::new();
    let mut unknown = Vec::new();
    for (corner, play) in corners.iter().zip(play(&mut Director::new(), cases)) {
        let theirs = letters(&play.choices());
        writeln!(found, "{}: {theirs}", corner.name).unwrap();
        if !corner.is_of_a_kernel(&theirs) {
            unknown.push(format!("{}: {theirs}", corner.name));
        }
        assert!(corner.is_ours(&letters(&replay::choices(&corner.case))), "{}", corner.name);
    }
    fs::write(results().join("corners"), found).unwrap();
    assert!(unknown.is_empty(), "{unknown:?}");
}
