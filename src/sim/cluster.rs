//! Two directors in virtual time, and the checkers that watch them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::time::Duration;

use crate::failover::{ActionError, ActionId, Command, Heartbeat, State};
use crate::time::Instant;

use super::machines::standard_machine;
use super::node::{Ear, Node, Player};
use super::random::Random;
use super::recording::Recording;
use super::scenario::Scenario;
use super::settings::Settings;

/// One of the two directors: 0 is the primary, 1 the backup.
pub type NodeId = usize;

/// Makes machines of one's own: which director's, with which boot id, starting when by its clock.
type Factory = Box<dyn FnMut(&Scenario, NodeId, u64, Instant) -> Box<dyn Heartbeat>>;

/// Plays the run that `seed` stands for.
///
/// # Errors
/// The first [`Violation`], with the last steps before it.
pub fn run(seed: u64) -> Result<(), Violation> {
    let scenario = Scenario::from_seed(seed);
    Cluster::new(scenario.clone()).play().or_else(|_| {
        let mut again = Cluster::new(scenario);
        again.trace = Some(VecDeque::new());
        again.play()
    })
}

/// A broken promise.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Violation {
    /// The run.
    pub seed: u64,
    /// When it broke.
    pub at: Instant,
    /// Which promise.
    pub what: String,
    /// The last steps before, where they were recorded.
    pub trace: Vec<String>,
}

impl std::error::Error for Violation {}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "{} {}", self.at, self.what)?;
        write!(
            f,
            "seed {0:#x}; replay it with\n  PIRANHA_SIM_SEED={0:#x} \
             cargo test --features sim,auth --test sim -- --nocapture replay",
            self.seed
        )
    }
}

/// The simulated pair with its network, its kernels and its checkers.
pub struct Cluster {
    pub(super) scenario: Scenario,
    pub(super) random: Random,
    /// Where what a director is told and decides goes.
    recordings: [Option<Recording>; 2],
    /// Makes the machines, unless they are the standard ones.
    factory: Option<Factory>,
    pub(super) now: Instant,
    sequence: u64,
    agenda: BinaryHeap<Reverse<Entry>>,
    pub(super) nodes: [Node; 2],
    /// Whether datagrams sent by a node are dropped.
    pub(super) cut: [bool; 2],
    pub(super) faulty: bool,
    /// How many times slower than at first the timers were at most.
    pub(super) slowest: u32,
    /// The last moment at which something was wrong.
    pub(super) disturbed: Instant,
    /// Until when a kernel hangs.
    pub(super) hung_until: Instant,
    pub(super) overlap: Option<Instant>,
    outage: Option<Instant>,
    longest_outage: Duration,
    /// What was delivered, for an attacker to replay.
    pub(super) delivered: Vec<Datagram>,
    /// The state every director has to keep once the pair settled.
    pub(super) settled: Option<[State; 2]>,
    pub(super) trace: Option<VecDeque<String>>,
}

#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) to: NodeId,
    pub(super) path: u8,
    pub(super) bytes: Vec<u8>,
    /// It has to change nothing.
    pub(super) worthless: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Input {
    Datagram(Datagram),
    Timeout,
    Completion(ActionId, Result<(), ActionError>),
    Command(Command),
    DataPlane(bool),
    /// Whether a guard fails.
    Guards(bool),
    Warmth(bool),
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Deliver(Datagram),
    Finish { node: NodeId, epoch: u64 },
    Wake { node: NodeId, wake: u64 },
    Boot { node: NodeId },
    Resume { node: NodeId },
    PlaneUp { node: NodeId },
    Guards { node: NodeId, fail: bool },
    Warm { node: NodeId, epoch: u64 },
    GiveUp { node: NodeId, epoch: u64, id: ActionId },
    Reload { node: NodeId, settings: Settings },
    MaintenanceOver { node: NodeId },
    PutBack { node: NodeId, epoch: u64 },
    Heal,
    Fault,
    FaultsEnd,
}

struct Entry {
    at: Instant,
    sequence: u64,
    event: Event,
}

/// Outputs one input may cause; far above what the rules can produce.
pub(super) const OUTPUTS_MAX: usize = 64;

/// Datagrams a paused director's socket holds.
pub(super) const INBOX_MAX: usize = 32;

/// Where a director's clock may begin.
const EPOCH_MAX: Duration = Duration::from_secs(1000);

/// Steps shown with a violation.
const TRACE_MAX: usize = 80;

impl Cluster {
    /// The pair that `scenario` describes, before its first moment.
    #[must_use]
    pub fn new(scenario: Scenario) -> Self {
        Self::build(scenario, None)
    }

    /// The same with machines of one's own: another protocol, or one broken on purpose to see
    /// that the checkers notice.
    #[must_use]
    pub fn with_machines<F>(scenario: Scenario, factory: F) -> Self
    where
        F: FnMut(&Scenario, NodeId, u64, Instant) -> Box<dyn Heartbeat> + 'static,
    {
        Self::build(scenario, Some(Box::new(factory)))
    }

    fn build(scenario: Scenario, factory: Option<Factory>) -> Self {
        let mut cluster = Self {
            random: Random::new(scenario.seed),
            recordings: [None, None],
            factory,
            now: Instant::ZERO,
            sequence: 0,
            agenda: BinaryHeap::new(),
            nodes: [Node::default(), Node::default()],
            cut: [false; 2],
            faulty: true,
            slowest: 1,
            disturbed: Instant::ZERO,
            hung_until: Instant::ZERO,
            overlap: None,
            outage: Some(Instant::ZERO),
            longest_outage: Duration::ZERO,
            delivered: Vec::new(),
            settled: None,
            trace: None,
            scenario,
        };
        for node in 0..2 {
            cluster.nodes[node].settings = Settings::of(&cluster.scenario);
            cluster.nodes[node].clock.drift = cluster.scenario.drift[node];
            if cluster.scenario.drift[node] != 0 {
                let epoch = cluster.random.duration(Duration::ZERO, EPOCH_MAX);
                cluster.nodes[node].clock.epoch = epoch;
            }
            cluster.schedule(cluster.scenario.starts[node], Event::Boot { node });
        }
        cluster.schedule(cluster.scenario.faults_end, Event::FaultsEnd);
        cluster.schedule_fault();
        cluster
    }

    /// Plays the faults to their end and checks that the pair settles and stays settled, whatever
    /// is changed in its configuration.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn play(&mut self) -> Result<(), Violation> {
        self.run_until(Instant::ZERO + self.scenario.faults_end)?;
        let settle = self.scenario.slower(self.slowest).settle_bound();
        self.run_for(settle)?;
        self.check_settled()?;
        if self.scenario.reloads {
            for node in [0, 1, 1, 0] {
                self.reload_one_first(node, self.scenario.keepalive)?;
                self.run_for(self.scenario.dead_time * self.slowest)?;
            }
        }
        self.run_for(self.scenario.dead_time * self.slowest * 3)
    }

    /// Lets `span` pass.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub fn run_for(&mut self, span: Duration) -> Result<(), Violation> {
        self.run_until(self.now + span)
    }

    fn run_until(&mut self, end: Instant) -> Result<(), Violation> {
        while let Some(Reverse(entry)) = self.agenda.peek() {
            if entry.at > end {
                break;
            }
            let Some(Reverse(entry)) = self.agenda.pop() else {
                break;
            };
            self.now = entry.at;
            self.step(entry.event)?;
            self.check_overlap()?;
            self.check_put_back()?;
        }
        self.now = end;
        Ok(())
    }

    /// The present.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The state of a director, [`State::Stopped`] while it does not run.
    #[must_use]
    pub fn state(&self, node: NodeId) -> State {
        self.machine(node).map_or(State::Stopped, Heartbeat::state)
    }

    /// A director's machine, while it runs.
    #[must_use]
    pub fn machine(&self, node: NodeId) -> Option<&dyn Heartbeat> {
        self.nodes[node].player.as_ref().map(Player::machine)
    }

    /// The director whose addresses are up, if it is exactly one.
    #[must_use]
    pub fn owner(&self) -> Option<NodeId> {
        match [0, 1].map(|node| self.is_up(node)) {
            [true, false] => Some(0),
            [false, true] => Some(1),
            [true, true] | [false, false] => None,
        }
    }

    /// Whether a director has addresses up.
    pub(super) const fn is_up(&self, node: NodeId) -> bool {
        !self.nodes[node].kernel.up.is_empty()
    }

    /// The longest time since the last call during which no director had the addresses up.
    pub fn take_longest_outage(&mut self) -> Duration {
        std::mem::take(&mut self.longest_outage)
    }

    /// Has what a director is told and decides recorded, from its next start on. Only version 1
    /// and 2 of the pulse protocol are, not the machines of [`with_machines`](Self::with_machines).
    pub fn record(&mut self, node: NodeId) -> Recording {
        self.recordings[node].get_or_insert_default().clone()
    }

    /// Kills a director; its guard takes the addresses down at once.
    pub fn crash(&mut self, node: NodeId) {
        self.note(|| format!("lb{} crashes", node + 1));
        self.disturbed = self.now;
        self.nodes[node] = self.nodes[node].crashed();
        self.account();
    }

    /// Starts a director that does not run, after `delay`.
    pub fn boot_after(&mut self, node: NodeId, delay: Duration) {
        self.schedule(delay, Event::Boot { node });
    }

    /// Suspends a director, as SIGSTOP or a hypervisor does.
    pub fn pause(&mut self, node: NodeId, span: Duration) {
        self.note(|| format!("lb{} is suspended for {span:?}", node + 1));
        let peer_runs = self.nodes[1 - node].player.is_some();
        let calm = self.now - self.disturbed > self.scenario.dead_time * self.slowest * 2
            && peer_runs
            && !self.nodes[node].paused;
        self.nodes[node].paused_calmly = calm.then_some(self.now);
        self.nodes[node].paused = true;
        self.schedule(span, Event::Resume { node });
    }

    /// Removes the addresses of a director that has them up, as an administrator may by mistake. It
    /// puts them back.
    pub fn rob(&mut self, node: NodeId) {
        if self.nodes[node].kernel.rob() {
            self.note(|| format!("somebody removes the addresses of lb{}", node + 1));
            self.account();
            self.schedule_put_back(node);
        }
    }

    /// Drops what the primary (first) or the backup (second) sends, until told otherwise.
    pub fn cut(&mut self, cut: [bool; 2]) {
        self.note(|| format!("cut {cut:?}"));
        self.disturbed = self.now;
        self.cut = cut;
    }

    /// Gives a director a command.
    ///
    /// # Errors
    /// The [`Violation`] it caused.
    pub fn command(&mut self, node: NodeId, command: Command) -> Result<(), Violation> {
        if self.scenario.has_original() {
            self.disturbed = self.now;
        }
        self.nodes[node].handed |=
            matches!(command, Command::HandOver | Command::Maintenance(true));
        self.feed(node, Input::Command(command))
    }

    /// Breaks a director's data plane, or mends it.
    ///
    /// # Errors
    /// The [`Violation`] it caused.
    pub fn data_plane(&mut self, node: NodeId, usable: bool) -> Result<(), Violation> {
        self.disturbed = self.now;
        self.feed(node, Input::DataPlane(usable))
    }

    /// Lets a guard of a director fail, or mends it.
    ///
    /// # Errors
    /// The [`Violation`] it caused.
    pub fn guards(&mut self, node: NodeId, fail: bool) -> Result<(), Violation> {
        self.feed(node, Input::Guards(fail))
    }

    /// Lets a director know its servers and connections, or no longer.
    ///
    /// # Errors
    /// The [`Violation`] it caused.
    pub fn warmth(&mut self, node: NodeId, warm: bool) -> Result<(), Violation> {
        self.nodes[node].cold = !warm;
        self.feed(node, Input::Warmth(warm))
    }

    fn step(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Deliver(datagram) => self.feed(datagram.to, Input::Datagram(datagram)),
            Event::Finish { node, epoch } => self.finish(node, epoch),
            Event::Wake { node, wake } if self.nodes[node].wake == wake => {
                self.feed(node, Input::Timeout)
            }
            Event::Wake { .. } => Ok(()),
            Event::Boot { node } => self.boot(node),
            Event::Resume { node } => self.resume(node),
            Event::PlaneUp { node } => self.data_plane(node, true),
            Event::Guards { node, fail } if self.faulty || !fail => self.guards(node, fail),
            Event::Warm { node, epoch } if self.nodes[node].epoch == epoch => {
                self.warmth(node, true)
            }
            Event::Guards { .. } | Event::Warm { .. } => Ok(()),
            Event::GiveUp { node, epoch, id } => self.give_up(node, epoch, id),
            Event::Reload { node, settings } if self.faulty => self.reload(node, settings),
            Event::Reload { node, settings } if self.settled.is_some() => {
                self.reload(node, settings)
            }
            Event::Reload { .. } => Ok(()),
            Event::MaintenanceOver { node } => self.command(node, Command::Maintenance(false)),
            Event::PutBack { node, epoch } => {
                self.put_back(node, epoch);
                self.check_claim(node)
            }
            Event::Heal => {
                self.cut([false; 2]);
                Ok(())
            }
            Event::Fault => self.fault(),
            Event::FaultsEnd => self.end_faults(),
        }
    }

    pub(super) fn boot(&mut self, node: NodeId) -> Result<(), Violation> {
        if self.nodes[node].player.is_some() {
            return Ok(());
        }
        self.disturbed = self.now;
        let boot = self.random.bits() | 1;
        self.note(|| format!("lb{} starts, boot id {boot:#x}", node + 1));
        self.nodes[1 - node].ear.floor = self.nodes[1 - node].ear.sent;
        let this = &mut self.nodes[node];
        this.ear = Ear { boot, ..Ear::default() };
        this.paths = this.settings.paths;
        let (now, settings) = (this.clock.at(self.now), this.settings);
        this.player = Some(match &mut self.factory {
            Some(factory) => Player::Other(factory(&self.scenario, node, boot, now)),
            None => {
                let sink = self.recordings[node].clone().map(|entries| Box::new(entries) as _);
                standard_machine(&self.scenario, node, settings, boot, now, sink)
            }
        });
        self.begin_cold(node)?;
        self.feed(node, Input::Timeout)
    }

    fn begin_cold(&mut self, node: NodeId) -> Result<(), Violation> {
        if self.scenario.cold.is_zero() || !self.faulty {
            return Ok(());
        }
        let span = self.random.duration(Duration::ZERO, self.scenario.cold);
        let epoch = self.nodes[node].epoch;
        self.schedule(span, Event::Warm { node, epoch });
        self.warmth(node, false)
    }

    pub(super) fn resume(&mut self, node: NodeId) -> Result<(), Violation> {
        if !std::mem::take(&mut self.nodes[node].paused) {
            return Ok(());
        }
        self.note(|| format!("lb{} resumes", node + 1));
        self.disturbed = self.now;
        // What waits in the sockets comes before the timers, as drivers have to do it.
        let inbox = std::mem::take(&mut self.nodes[node].inbox);
        for input in inbox {
            self.feed(node, input)?;
        }
        self.feed(node, Input::Timeout)?;
        self.nodes[node].ear.wake();
        self.check_wakes_humble(node)?;
        self.read_again(node)
    }

    pub(super) fn schedule_wake(&mut self, node: NodeId, due: Option<Instant>) {
        self.nodes[node].wake += 1;
        if let Some(due) = due {
            let late = self.random.duration(Duration::ZERO, self.scenario.lateness);
            let wake = self.nodes[node].wake;
            let clock = self.nodes[node].clock;
            let wait = clock.wait(due - clock.at(self.now)) + late;
            self.schedule(wait, Event::Wake { node, wake });
        }
    }

    pub(super) fn schedule(&mut self, wait: Duration, event: Event) {
        self.sequence += 1;
        self.agenda.push(Reverse(Entry { at: self.now + wait, sequence: self.sequence, event }));
    }

    /// Keeps the books on how long nobody had the addresses up.
    pub(super) fn account(&mut self) {
        let served = [0, 1].iter().any(|node| self.is_up(*node));
        match (served, self.outage) {
            (true, Some(since)) => {
                self.longest_outage = self.longest_outage.max(self.now - since);
                self.outage = None;
            }
            (false, None) => self.outage = Some(self.now),
            (true, None) | (false, Some(_)) => {}
        }
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            if trace.len() == TRACE_MAX {
                trace.pop_front();
            }
            trace.push_back(format!("{} {}", self.now, line()));
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("scenario", &self.scenario)
            .field("now", &self.now)
            .field("states", &[self.state(0), self.state(1)])
            .finish_non_exhaustive()
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Entry {}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
