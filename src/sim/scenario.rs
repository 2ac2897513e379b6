//! What a seed stands for.

use std::time::Duration;

use super::random::Random;

/// Who plays against whom.
#[allow(clippy::exhaustive_enums, reason = "every pair there can be")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pair {
    /// Version 2 on both.
    V2,
    /// Version 1 on both.
    V1,
    /// Ours as primary in version 1, Piranha 0.8.6 as backup.
    OriginalBackup,
    /// Piranha 0.8.6 as primary, ours as backup in version 1.
    OriginalPrimary,
}

/// The least and the most that something takes.
#[allow(clippy::exhaustive_structs, reason = "a pair of durations")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// The least.
    pub min: Duration,
    /// The most.
    pub max: Duration,
}

/// One run: the pair, its timers, its world and what goes wrong in it. Chances are in percent.
#[allow(clippy::exhaustive_structs, reason = "a test writes down the run it wants")]
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where all randomness of the run comes from.
    pub seed: u64,
    /// Who plays.
    pub pair: Pair,
    /// Whether version 2 is authenticated.
    pub keyed: bool,
    /// Whether a primary asks for the service back.
    pub failback: bool,
    /// Heartbeat paths, 1 or 2.
    pub paths: u8,
    /// Both directors' keepalive.
    pub keepalive: Duration,
    /// Both directors' dead time.
    pub dead_time: Duration,
    /// When each director starts, counted from the beginning.
    pub starts: [Duration; 2],
    /// How long a datagram travels. A wide span reorders.
    pub delay: Span,
    /// How late a director's timer may be.
    pub lateness: Duration,
    /// How long bringing the addresses up takes.
    pub acquire: Span,
    /// How long taking them down takes.
    pub release: Span,
    /// Chance that a datagram is lost.
    pub loss: u64,
    /// Chance that it comes twice.
    pub duplicate: u64,
    /// Chance that one byte of it is changed on the way.
    pub corrupt: u64,
    /// Chance that a datagram delivered earlier, in whichever run, comes again after it.
    pub replay: u64,
    /// Chance that bringing addresses up or taking them down fails.
    pub failure: u64,
    /// One of crash, pause, partition, data plane failure and command happens about this often;
    /// never if zero.
    pub fault_interval: Duration,
    /// Whether guards that fail and maintenance are among them.
    pub guards: bool,
    /// When everything that goes wrong stops.
    pub faults_end: Duration,
    /// How much faster than time each director's clock runs, in parts per million.
    pub drift: [i32; 2],
    /// Whether clocks that jump ahead are among the faults: of machines that were moved, or slept.
    pub jumps: bool,
    /// Whether the configuration changes while directors run, first on one of them: timers,
    /// priority, addresses, paths (from the next start on) and keys. That is no fault: nothing may
    /// come of it.
    pub reloads: bool,
    /// Chance that an action takes [`hang`](Self::hang) instead.
    pub hangs: u64,
    /// How long the kernel takes when it hangs.
    pub hang: Span,
    /// Whoever does not answer for so long is taken to have failed, and does what was asked later.
    pub answer_limit: Duration,
    /// How long a director that started is cold; never if zero.
    pub cold: Duration,
    /// Chance beside [`loss`](Self::loss) that what each director sends is lost.
    pub lopsided: [u64; 2],
    /// Chance beside that for each path.
    pub path_loss: [u64; 2],
    /// Whether somebody removes addresses that are up among the faults. Whoever holds them puts
    /// them back, within the time of an acquisition.
    pub removals: bool,
}

impl Scenario {
    /// A pair of version 2 with 100 ms keepalive and 300 ms dead time in a world where nothing
    /// goes wrong and hardly anything takes time.
    #[must_use]
    pub const fn calm(seed: u64) -> Self {
        let millis = Duration::from_millis;
        Self {
            seed,
            pair: Pair::V2,
            keyed: cfg!(feature = "auth"),
            failback: false,
            paths: 2,
            keepalive: millis(100),
            dead_time: millis(300),
            starts: [Duration::ZERO; 2],
            delay: Span { min: Duration::from_micros(100), max: Duration::from_micros(500) },
            lateness: Duration::ZERO,
            acquire: Span { min: millis(1), max: millis(2) },
            release: Span { min: millis(1), max: millis(2) },
            loss: 0,
            duplicate: 0,
            corrupt: 0,
            replay: 0,
            failure: 0,
            fault_interval: Duration::ZERO,
            guards: false,
            faults_end: millis(2000),
            drift: [0; 2],
            jumps: false,
            reloads: false,
            hangs: 0,
            hang: Span { min: Duration::ZERO, max: Duration::ZERO },
            answer_limit: Duration::from_secs(5),
            cold: Duration::ZERO,
            lopsided: [0; 2],
            path_loss: [0; 2],
            removals: false,
        }
    }

    /// The run that `seed` stands for: a fault mix of its own, so that some seeds are hostile in
    /// everything and others in one thing only.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5ce7_a210);
        let pair = match random.below(8) {
            0 => Pair::V1,
            1 => Pair::OriginalBackup,
            2 => Pair::OriginalPrimary,
            _ => Pair::V2,
        };
        let keepalive = Duration::from_millis([10, 50, 100, 1000][pick(random.below(4))]);
        let ratio = [3, 4, 6][pick(random.below(3))];
        let mut scenario = Self {
            pair,
            keyed: cfg!(feature = "auth") && random.chance(60),
            failback: pair == Pair::V2 && random.chance(20),
            paths: [1, 2][pick(random.below(2))],
            keepalive,
            dead_time: keepalive * ratio,
            delay: Span {
                min: keepalive / 1000,
                max: keepalive / [4, 10, 100][pick(random.below(3))],
            },
            lateness: keepalive / 50,
            acquire: slow(&mut random, keepalive),
            release: slow(&mut random, keepalive),
            faults_end: keepalive * 150,
            ..Self::calm(seed)
        };
        scenario.draw_starts(&mut random);
        scenario.draw_faults(&mut random);
        scenario.guards = random.chance(50);
        scenario.draw_wider(&mut random);
        // 0.8.6 puts nothing back.
        scenario.removals = random.chance(30) && !scenario.has_original();
        scenario
    }

    /// The same run without what was added to the simulator later, for seeds that were found
    /// before.
    #[must_use]
    pub fn as_of_old(self) -> Self {
        Self {
            guards: false,
            drift: [0; 2],
            jumps: false,
            reloads: false,
            hangs: 0,
            cold: Duration::ZERO,
            lopsided: [0; 2],
            path_loss: [0; 2],
            removals: false,
            ..self
        }
    }

    fn draw_starts(&mut self, random: &mut Random) {
        let apart = match random.below(4) {
            0 => Duration::ZERO,
            1 => self.dead_time * 3,
            _ => self.keepalive * 3 / 4,
        };
        let later = random.duration(Duration::ZERO, apart);
        self.starts[pick(random.below(2))] = later;
    }

    fn draw_faults(&mut self, random: &mut Random) {
        let mut some = |most| {
            if random.chance(50) { random.below(most) } else { 0 }
        };
        self.loss = some(40);
        self.duplicate = some(20);
        self.corrupt = some(10);
        self.replay = if self.pair == Pair::V2 { some(30) } else { 0 };
        // 0.8.6 does not notice that an address could not be set, so there is nothing to check.
        self.failure = if self.has_original() { 0 } else { some(30) };
        if random.chance(70) {
            self.fault_interval = self.keepalive * [5, 15, 40][pick(random.below(3))];
        }
    }

    /// What the first faults left out. Each is in some seeds only, so that it is also seen alone.
    fn draw_wider(&mut self, random: &mut Random) {
        if random.chance(50) {
            let mut drift = || i32::try_from(random.below(40_001)).unwrap_or(0) - 20_000;
            self.drift = [drift(), drift()];
        }
        self.jumps = random.chance(30);
        // 0.8.6 reads its file again by restarting.
        self.reloads = !self.has_original() && random.chance(50);
        self.answer_limit = (self.acquire.max + self.release.max) * 2;
        let limit = self.answer_limit;
        self.hang = Span { min: limit / 2, max: limit * [1, 3][pick(random.below(2))] };
        let hangs = random.chance(30) && !self.has_original();
        self.hangs = if hangs { random.below(20) } else { 0 };
        if random.chance(40) {
            self.cold = self.dead_time * [1, 4][pick(random.below(2))];
        }
        let mut some = |most| if random.chance(20) { random.below(most) } else { 0 };
        self.lopsided = [some(80), some(80)];
        self.path_loss = [some(90), some(90)];
    }

    /// Whether one of the pair is Piranha 0.8.6.
    #[must_use]
    pub const fn has_original(&self) -> bool {
        matches!(self.pair, Pair::OriginalBackup | Pair::OriginalPrimary)
    }

    /// Whether both start together with nothing but the network against them, so that the primary
    /// has to end active. The starts are less than a keepalive apart; against 0.8.6, which does
    /// not give the primary a head start, nothing may be lost either.
    #[must_use]
    pub fn primary_must_win(&self) -> bool {
        let apart = self.starts[0].abs_diff(self.starts[1]);
        let silence = self.dead_time + self.keepalive;
        let losses = self.lopsided.iter().chain(&self.path_loss).sum::<u64>() + self.loss;
        self.fault_interval.is_zero()
            && self.failure + self.hangs == 0
            && apart + self.lateness + self.drifted(silence) < self.keepalive
            && (!self.has_original() || losses + self.corrupt == 0)
    }

    /// By how much two clocks differ at most after `span`.
    #[must_use]
    pub fn drifted(&self, span: Duration) -> Duration {
        let millionths: u32 = self.drift.iter().map(|drift| drift.unsigned_abs()).sum();
        span * millionths / 1_000_000
    }

    /// The same with all timers `times` slower, for what is promised of them.
    #[must_use]
    pub(super) fn slower(&self, times: u32) -> Self {
        let times = times.max(1);
        let (keepalive, dead_time) = (self.keepalive * times, self.dead_time * times);
        Self { keepalive, dead_time, ..self.clone() }
    }

    /// How long both may hold the addresses although they hear each other: until the next
    /// heartbeat of the one that stays (a keepalive), through a handshake if one of them
    /// restarted (four journeys), until an acquisition that was under way is over and undone.
    #[must_use]
    pub fn overlap_bound(&self) -> Duration {
        let keepalives = if self.has_original() { 2 } else { 1 };
        self.keepalive * keepalives
            + self.delay.max * 4
            + self.acquire.max
            + self.release.max * 2
            + self.lateness * 4
            + self.drifted(self.keepalive * keepalives)
    }

    /// How long after the last disturbance an overlap may still begin: a dead time until a silent
    /// peer is taken for dead, one for the retry of a node that failed, one for a hand-over that
    /// is taken back, and what the actions take.
    #[must_use]
    pub fn aftermath(&self) -> Duration {
        let timers = self.dead_time * 3 + self.keepalive * 2;
        timers + self.drifted(timers) + self.overlap_bound()
    }

    /// How long after the faults stopped the pair may need until one is active and the other on
    /// standby: a start (a dead time and a keepalive), a retry, the patience with an idle peer
    /// and a hand-over that fails (a dead time each), failback (two), what the actions take, and what hangs.
    #[must_use]
    pub fn settle_bound(&self) -> Duration {
        let timers = self.dead_time * 6 + self.keepalive * 4;
        let hang = if self.hangs > 0 { self.hang.max * 2 } else { Duration::ZERO };
        timers + self.drifted(timers) + hang + self.overlap_bound() * 2
    }
}

/// Actions take from nothing to half of a keepalive, or up to three keepalives where they are
/// slow.
fn slow(random: &mut Random, keepalive: Duration) -> Span {
    let max = if random.chance(25) { keepalive * 3 } else { keepalive / 2 };
    Span { min: Duration::from_micros(50), max }
}

/// A small number as an index.
fn pick(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
