//! Two to five routers on one link in virtual time, with every fault there is, from a seed.
#![allow(clippy::unwrap_used, reason = "a test of its own, and a failure is a panic")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::failover::guard::Guard;
use crate::failover::record::{Disguise, Line, Recorder, Replay, Sink};
use crate::failover::{Role, VirtualAddress};
use crate::sim::{Random, Recording};
use crate::wire::ip::Packet;
use crate::wire::vrrp::{HOPS, PROTOCOL};

const SEEDS: u64 = 200;
const FAULTS_END: Duration = Duration::from_secs(20);

/// What the routers have in common.
struct Setting {
    version: Version,
    interval: Duration,
    families: Vec<Family>,
    preempt: bool,
    /// A pair that speaks to each other alone.
    unicast: bool,
    password: Option<Password>,
    /// Of a hundred.
    loss: u64,
    delay: Duration,
}

struct Node {
    priority: u8,
    clock: Clock,
    router: Option<Recorder<Vrrp>>,
    /// Of the router that runs now, if it is recorded.
    recording: Option<Recording>,
    /// Whether the addresses are on this node.
    holds: bool,
    /// Kernel work that is under way belongs to a run of the process.
    run: u64,
    /// Until when the kernel is busy: it does one thing after the other.
    busy: Instant,
    paused: bool,
    missed: Vec<Event>,
    /// What it sends is lost.
    mute: bool,
    /// What is sent to it is lost.
    deaf: bool,
}

/// A clock that began at some moment, and goes faster or slower than time does.
#[derive(Clone, Copy)]
struct Clock {
    ahead: Duration,
    /// What it counts in a million nanoseconds.
    pace: u64,
}

impl Clock {
    const TRUE: u64 = 1_000_000;
    /// Ten times worse than the worst quartz.
    const DRIFT_MAX: u64 = 1000;

    fn new(random: &mut Random) -> Self {
        let pace = Self::TRUE - Self::DRIFT_MAX + random.below(2 * Self::DRIFT_MAX + 1);
        Self { ahead: random.duration(Duration::ZERO, Duration::from_secs(3600)), pace }
    }

    fn reads(&self, time: Instant) -> Instant {
        let counted = u128::from(time.as_nanos()) * u128::from(self.pace) / u128::from(Self::TRUE);
        Instant::from_nanos(u64::try_from(counted).unwrap()) + self.ahead
    }

    /// The first moment at which it reads this.
    fn at(&self, reading: Instant) -> Instant {
        let counted = u128::from(reading.as_nanos()).saturating_sub(self.ahead.as_nanos());
        let time = (counted * u128::from(Self::TRUE)).div_ceil(u128::from(self.pace));
        Instant::from_nanos(u64::try_from(time).unwrap_or(u64::MAX))
    }
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    Packet { path: u8, from: usize, bytes: Vec<u8> },
    Done { run: u64, id: ActionId, up: bool, fails: bool },
    Wake,
}

struct Link {
    seed: u64,
    random: Random,
    setting: Setting,
    now: Instant,
    nodes: Vec<Node>,
    agenda: BinaryHeap<Reverse<(Instant, u64, usize, Event)>>,
    count: u64,
    faulty: bool,
    recorded: bool,
}

fn local(node: usize, family: Family) -> IpAddr {
    let host = u16::try_from(node).unwrap() + 1;
    match family {
        Family::Ipv4 => IpAddr::from([192, 0, 2, host.to_le_bytes()[0]]),
        Family::Ipv6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, host]),
    }
}

impl Link {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let version = if random.chance(30) { Version::V2 } else { Version::V3 };
        let families = match (version, random.below(3)) {
            (Version::V2, _) | (Version::V3, 0) => vec![Family::Ipv4],
            (Version::V3, 1) => vec![Family::Ipv6],
            (Version::V3, _) => vec![Family::Ipv4, Family::Ipv6],
        };
        let units = [1, 3, 10, 100][usize::try_from(random.below(4)).unwrap()];
        let interval = if version == Version::V2 { version.unit() } else { version.unit() * units };
        let count = 2 + random.below(4);
        let setting = Setting {
            version,
            interval,
            families,
            preempt: random.chance(50),
            unicast: count == 2 && random.chance(50),
            password: Password::new(b"word")
                .filter(|_| version == Version::V2 && random.chance(50)),
            loss: random.below(30),
            delay: random.duration(Duration::ZERO, interval / 20),
        };
        let nodes = (0..count).map(|_| Node {
            // Sometimes the same, sometimes the owner.
            priority: [100, 100, 120, 150, 254, 255][usize::try_from(random.below(6)).unwrap()],
            clock: Clock::new(&mut random),
            router: None,
            recording: None,
            holds: false,
            run: 0,
            busy: Instant::ZERO,
            paused: false,
            missed: Vec::new(),
            mute: false,
            deaf: false,
        });
        let nodes = nodes.collect();
        Self {
            seed,
            random,
            setting,
            now: Instant::ZERO,
            nodes,
            agenda: BinaryHeap::new(),
            count: 0,
            faulty: true,
            recorded: false,
        }
    }

    fn start(&mut self, node: usize) {
        if self.nodes[node].router.is_some() {
            return;
        }
        let Setting { version, interval, preempt, .. } = self.setting;
        let role = if node == 0 { Role::Primary } else { Role::Backup };
        let vips = ["198.51.100.9", "fd00::9"].map(|vip| vip.parse::<IpAddr>().unwrap());
        let vips = vips.into_iter().filter(|vip| self.setting.families.contains(&Family::of(*vip)));
        let builder = Config::builder(role, version, 7)
            .interval(interval)
            .preempt(preempt)
            .priority(self.nodes[node].priority)
            .addresses(vips.map(|vip| VirtualAddress::new(vip, "eth0")).collect());
        let paths = self.setting.families.iter();
        let builder = paths.fold(builder, |b, f| b.path(self.path(node, *f)));
        let builder = self.setting.password.into_iter().fold(builder, Builder::password);
        let router = Vrrp::new(self.nodes[node].clock.reads(self.now), builder.build().unwrap());
        self.nodes[node].recording = self.recorded.then(Recording::default);
        self.nodes[node].router = Some(match self.nodes[node].recording.clone() {
            Some(recording) => Recorder::recording(router, Box::new(recording) as Box<dyn Sink>),
            None => Recorder::new(router),
        });
        self.feed(node, |router, now| router.handle_timeout(now));
    }

    fn path(&self, node: usize, family: Family) -> Path {
        match self.setting.unicast {
            true => Path::unicast(local(node, family), local(1 - node, family)),
            false => Path::multicast(local(node, family)),
        }
    }

    /// The guard takes the addresses down with the process.
    fn crash(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        (node.router, node.holds, node.run) = (None, false, node.run + 1);
    }

    fn feed(&mut self, node: usize, input: impl FnOnce(&mut Recorder<Vrrp>, Instant)) {
        let clock = self.nodes[node].clock;
        let Some(router) = &mut self.nodes[node].router else { return };
        input(router, clock.reads(self.now));
        let outputs: Vec<_> = std::iter::from_fn(|| router.poll_output()).collect();
        let due = router.poll_timeout().map(|due| clock.at(due));
        let stopped = router.state() == State::Stopped;
        for output in outputs {
            self.carry_out(node, output);
        }
        self.check(node);
        if let Some(due) = due {
            let late = self.random.duration(Duration::ZERO, Duration::from_millis(1));
            self.schedule(due.max(self.now) + late, node, Event::Wake);
        }
        if stopped {
            self.crash(node);
        }
    }

    /// What must be so whatever happens.
    fn check(&self, node: usize) {
        let Node { router: Some(router), holds, .. } = &self.nodes[node] else { return };
        let state = router.state();
        let right = match state {
            State::Active => *holds,
            State::Starting | State::Standby => !*holds,
            _ => true,
        };
        assert!(right, "{:#x}: node {node} is {state:?}, addresses there: {holds}", self.seed);
        // Only then does it say nothing, and the others may take over.
        let silent = !router.machine().phase.speaks();
        let due = router.poll_timeout();
        assert!(silent || due.is_some(), "{:#x}: node {node} stops speaking", self.seed);
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Send { path, payload } => self.send(node, path, &payload),
            Output::Acquire { id, .. } => self.work(node, id, true),
            Output::Release { id, .. } => self.work(node, id, false),
            Output::Announce { .. } => {
                assert!(self.nodes[node].holds, "{:#x}: announced and not there", self.seed);
            }
            Output::Transition(_) | Output::Declined { .. } => {}
        }
    }

    fn send(&mut self, from: usize, path: PathId, payload: &[u8]) {
        let family = self.setting.families[usize::from(path.0)];
        let source = local(from, family);
        let destination = self.path(from, family).destination();
        let packet = Packet { source, destination, hops: HOPS, protocol: PROTOCOL, payload };
        let bytes = packet.encode().unwrap();
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            let lost = self.faulty && self.random.chance(self.setting.loss);
            if lost || self.nodes[from].mute || self.nodes[to].deaf {
                continue;
            }
            let at = self.now + self.random.duration(Duration::ZERO, self.setting.delay);
            let bytes = bytes.clone();
            self.schedule(at, to, Event::Packet { path: path.0, from, bytes });
        }
    }

    fn work(&mut self, node: usize, id: ActionId, up: bool) {
        let fails = self.faulty && self.random.chance(3);
        let longest = self.setting.interval / 10;
        let start = self.now.max(self.nodes[node].busy);
        let at = start + self.random.duration(Duration::ZERO, longest);
        self.nodes[node].busy = at;
        let run = self.nodes[node].run;
        self.schedule(at, node, Event::Done { run, id, up, fails });
    }

    fn schedule(&mut self, at: Instant, node: usize, event: Event) {
        self.count += 1;
        self.agenda.push(Reverse((at, self.count, node, event)));
    }

    fn step(&mut self, node: usize, event: Event) {
        if self.nodes[node].paused {
            // Sockets and the kernel keep what comes.
            if event != Event::Wake && self.nodes[node].missed.len() < 64 {
                self.nodes[node].missed.push(event);
            }
            return;
        }
        match event {
            Event::Packet { path, from, bytes } => {
                let family = self.setting.families[usize::from(path)];
                let source = (local(from, family), 0).into();
                self.feed(node, |router, now| {
                    router.handle_datagram(now, PathId(path), source, &bytes);
                });
            }
            Event::Done { run, id, up, fails } if run == self.nodes[node].run => {
                let result = if fails { Err(ActionError("EIO".into())) } else { Ok(()) };
                self.nodes[node].holds = if fails { self.nodes[node].holds } else { up };
                self.feed(node, |router, now| router.handle_completion(now, id, result));
            }
            Event::Done { .. } => {}
            Event::Wake => self.feed(node, |router, now| router.handle_timeout(now)),
        }
    }

    fn resume(&mut self, node: usize) {
        self.nodes[node].paused = false;
        for event in std::mem::take(&mut self.nodes[node].missed) {
            self.step(node, event);
        }
        self.step(node, Event::Wake);
    }

    fn fault(&mut self) {
        let node = usize::try_from(self.random.below(self.nodes.len() as u64)).unwrap();
        match self.random.below(16) {
            0 => self.crash(node),
            1 | 2 => self.start(node),
            3 => (self.nodes[node].mute, self.nodes[node].deaf) = (true, true),
            4 | 5 => (self.nodes[node].mute, self.nodes[node].deaf) = (false, false),
            14 => self.nodes[node].mute = true,
            15 => self.nodes[node].deaf = true,
            6 => self.nodes[node].paused = true,
            7 if self.nodes[node].paused => self.resume(node),
            8 => self.command(node, Command::HandOver),
            9 => self.command(node, Command::Stop),
            10 => self.plane(node, false),
            12 => self.guards(node, &[Fault::new(Guard::References, "silent")]),
            13 => self.guards(node, &[]),
            _ => self.plane(node, true),
        }
    }

    fn command(&mut self, node: usize, command: Command) {
        if !self.nodes[node].paused {
            self.feed(node, |router, now| router.handle_command(now, command));
        }
    }

    fn plane(&mut self, node: usize, usable: bool) {
        if !self.nodes[node].paused {
            self.feed(node, |router, now| router.handle_data_plane(now, usable));
        }
    }

    fn guards(&mut self, node: usize, faults: &[Fault]) {
        if !self.nodes[node].paused {
            self.feed(node, |router, now| router.handle_guards(now, faults));
        }
    }

    fn run_until(&mut self, end: Instant) {
        while let Some(Reverse((at, ..))) = self.agenda.peek()
            && *at <= end
        {
            let Some(Reverse((at, _, node, event))) = self.agenda.pop() else { return };
            self.now = at;
            self.step(node, event);
        }
        self.now = end;
    }

    fn end_faults(&mut self) {
        self.faulty = false;
        for node in 0..self.nodes.len() {
            (self.nodes[node].mute, self.nodes[node].deaf) = (false, false);
            if self.nodes[node].paused {
                self.resume(node);
            }
            self.plane(node, true);
            self.guards(node, &[]);
            self.start(node);
        }
    }

    fn owners(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].holds).collect()
    }

    /// The longest anybody waits for the active router.
    fn down_max(&self) -> Duration {
        let routers = self.nodes.iter().filter_map(|node| node.router.as_ref());
        let waits = routers.map(|router| router.machine().config.down_interval());
        // By the slowest clock.
        waits.max().unwrap_or_default() * 1001 / 1000
    }
}

/// After the last fault one wait for a failed router to try again, one for silence; and then the
/// time of an advertisement and of a release.
fn play(seed: u64) {
    play_on(&mut Link::new(seed));
}

fn play_on(link: &mut Link) {
    let seed = link.seed;
    for node in 0..link.nodes.len() {
        if link.random.chance(70) {
            link.start(node);
        }
    }
    while link.now < Instant::ZERO + FAULTS_END {
        let pause = link.setting.interval * 8;
        let pause = link.random.duration(Duration::ZERO, pause);
        link.run_until(link.now + pause);
        link.fault();
    }
    link.end_faults();
    let settled = link.now + link.down_max() * 2 + link.setting.interval * 2;
    link.run_until(settled);
    let owners = link.owners();
    let states = || link.nodes.iter().filter_map(|node| node.router.as_ref()).map(Recorder::state);
    let shown: Vec<_> = states().collect();
    assert_eq!(owners.len(), 1, "{seed:#x}: {shown:?}, addresses on {owners:?}");
    assert_eq!(states().filter(|state| *state == State::Active).count(), 1, "{seed:#x}");
    link.run_until(settled + link.down_max() * 3);
    assert_eq!(link.owners(), owners, "{seed:#x}: and it stays so");
    let nobody_yielded =
        link.nodes.iter().flat_map(|n| &n.router).all(|router| !router.machine().yielded);
    if link.setting.preempt && nobody_yielded {
        let running = link.nodes.iter().filter(|node| node.router.is_some());
        let best = running.map(|node| node.priority).max().unwrap_or_default();
        assert_eq!(link.nodes[owners[0]].priority, best, "{seed:#x}: the best is active");
    }
}

#[test]
fn after_the_faults_exactly_one_router_has_the_addresses_and_keeps_them() {
    (0..SEEDS).for_each(play);
}

#[test]
fn without_faults_one_router_takes_over_in_time_and_two_only_for_as_long_as_a_word_takes() {
    let step = Duration::from_millis(1);
    for seed in 0..SEEDS {
        let mut link = Link::new(seed);
        link.faulty = false;
        (0..link.nodes.len()).for_each(|node| link.start(node));
        link.run_until(link.now + link.down_max() + link.setting.interval);
        let owners = link.owners();
        assert_eq!(owners.len(), 1, "{seed:#x}");
        // Routers whose skew differs by less than a word takes both begin.
        let word = link.setting.delay + link.setting.interval / 5 + step * 2;
        let in_time = link.now + link.down_max() + word;
        link.crash(owners[0]);
        let mut both = Duration::ZERO;
        while link.now < in_time {
            link.run_until(link.now + step);
            both = if link.owners().len() > 1 { both + step } else { Duration::ZERO };
            assert!(both <= word, "{seed:#x}: two for {both:?}");
        }
        assert_eq!(link.owners().len(), 1, "{seed:#x}");
    }
}

#[test]
fn while_nobody_fails_nothing_changes_hands_however_the_clocks_drift() {
    for seed in 0..SEEDS {
        let mut link = Link::new(seed);
        link.faulty = false;
        (0..link.nodes.len()).for_each(|node| link.start(node));
        link.run_until(link.now + link.down_max() * 2 + link.setting.interval * 2);
        let owners = link.owners();
        assert_eq!(owners.len(), 1, "{seed:#x}");
        for _ in 0..200 {
            link.run_until(link.now + link.setting.interval);
            assert_eq!(link.owners(), owners, "{seed:#x}");
        }
    }
}

#[test]
fn nobody_takes_over_before_three_intervals_and_the_skew_have_passed() {
    for seed in 0..SEEDS {
        let mut link = Link::new(seed);
        link.faulty = false;
        (0..link.nodes.len()).for_each(|node| link.start(node));
        link.run_until(link.now + link.down_max() * 2 + link.setting.interval * 2);
        let owner = link.owners()[0];
        link.crash(owner);
        // What is on its way still arrives, and counts from then.
        link.run_until(link.now + link.setting.delay);
        let others = link.nodes.iter().filter_map(|node| {
            let machine = node.router.as_ref()?.machine();
            let heard = machine.heard?;
            Some(node.clock.at(heard.at + machine.config.down_interval_of(heard.interval)))
        });
        let earliest = others.min().unwrap();
        link.run_until(Instant::from_nanos(earliest.as_nanos() - 1));
        assert!(link.owners().is_empty(), "{seed:#x}: too early");
        // A wake-up is up to a millisecond late, and the kernel takes its time.
        let late = Duration::from_millis(1) + link.setting.interval / 10;
        link.run_until(earliest + late);
        assert!(!link.owners().is_empty(), "{seed:#x}: too late");
    }
}

#[test]
fn what_a_router_was_told_and_decided_replays_the_same() {
    for seed in 0..SEEDS / 10 {
        let mut link = Link::new(seed);
        link.recorded = true;
        play_on(&mut link);
        for recording in link.nodes.iter().filter_map(|node| node.recording.as_ref()) {
            let (mut disguise, mut replay) = (Disguise::new(), Replay::new());
            for (number, entry) in recording.entries().into_iter().enumerate() {
                let line = serde_json::to_string(&disguise.line(entry)).unwrap();
                let line: Line = serde_json::from_str(&line).unwrap();
                let played = replay.play(line).unwrap();
                assert_eq!(played.difference, None, "{seed:#x}, entry {number}");
            }
        }
    }
}
