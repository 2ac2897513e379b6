use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FlapLimit, SlowStart};
use crate::net::{OutOfRange, Weight};

/// How a [`Monitor`](super::Monitor) watches one real server.
///
/// ```
/// use piranha::health::{MonitorConfig, SlowStart};
/// use std::time::Duration;
///
/// let config = MonitorConfig::new(Duration::from_secs(2), Duration::from_secs(1))?
///     .with_rise(3)?
///     .with_fall(2)?
///     .with_slow_start(SlowStart::Off);
/// assert_eq!((config.rise(), config.fall()), (3, 2));
/// # Ok::<(), piranha::net::OutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct MonitorConfig {
    interval: Duration,
    timeout: Duration,
    rise: u32,
    fall: u32,
    initial_offset: Duration,
    slow_start: SlowStart,
    weight: Weight,
    quiesce: bool,
    fast_interval: Option<Duration>,
    phase: Duration,
    jitter: Jitter,
    initial_state: InitialState,
    flap_limit: Option<FlapLimit>,
}

impl MonitorConfig {
    /// The least `interval` and `timeout`: below a millisecond timers are no longer exact.
    pub const MIN_PERIOD: Duration = Duration::from_millis(1);
    /// The greatest `interval` and `timeout`: a day.
    pub const MAX_PERIOD: Duration = Duration::from_secs(86_400);

    /// A check each `interval` that has `timeout` to pass; one success admits, one failure takes
    /// out, weight 1, and the rest as in lvs.cf: historical slow start, no quiescing.
    ///
    /// Piranha 0.8.6 has one directive, `timeout`, for both. A timeout may exceed the interval;
    /// a check that outlasts its interval leaves out the next ones, since only one runs at a time.
    ///
    /// # Errors
    /// [`OutOfRange`] unless both are between [`MIN_PERIOD`](Self::MIN_PERIOD) and
    /// [`MAX_PERIOD`](Self::MAX_PERIOD).
    pub fn new(interval: Duration, timeout: Duration) -> Result<Self, OutOfRange> {
        Ok(Self {
            interval: period("check interval", interval)?,
            timeout: period("check timeout", timeout)?,
            rise: 1,
            fall: 1,
            initial_offset: Duration::ZERO,
            slow_start: SlowStart::default(),
            weight: Weight::ONE,
            quiesce: false,
            fast_interval: None,
            phase: Duration::ZERO,
            jitter: Jitter::NONE,
            initial_state: InitialState::Probe,
            flap_limit: None,
        })
    }

    /// The same, with `rise` successes in a row needed to come back after having been taken out.
    /// See [`rise_from_reentry`].
    ///
    /// # Errors
    /// [`OutOfRange`] for 0.
    pub fn with_rise(mut self, rise: u32) -> Result<Self, OutOfRange> {
        self.rise = streak("rise", rise)?;
        Ok(self)
    }

    /// The same, with `fall` failures in a row needed to be taken out.
    ///
    /// # Errors
    /// [`OutOfRange`] for 0.
    pub fn with_fall(mut self, fall: u32) -> Result<Self, OutOfRange> {
        self.fall = streak("fall", fall)?;
        Ok(self)
    }

    /// The same, with the first check `offset` after the start, so that the checks of many
    /// servers do not all run at the same moment. Zero by default.
    #[must_use]
    pub const fn with_initial_offset(mut self, offset: Duration) -> Self {
        self.initial_offset = offset;
        self
    }

    /// The same with another slow start.
    #[must_use]
    pub const fn with_slow_start(mut self, slow_start: SlowStart) -> Self {
        self.slow_start = slow_start;
        self
    }

    /// The same with another full weight.
    #[must_use]
    pub const fn with_weight(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    /// The same, choosing what happens to a server that is taken out: with `quiesce` it stays in
    /// the table with weight 0, so that existing connections go on; without, it is removed.
    #[must_use]
    pub const fn with_quiesce(mut self, quiesce: bool) -> Self {
        self.quiesce = quiesce;
        self
    }

    /// The same, with a check each `fast` instead of each interval while in doubt: before the
    /// first verdict, rising or falling. Without it, or where it is longer than the interval, the
    /// interval holds throughout.
    ///
    /// # Errors
    /// [`OutOfRange`] unless it is between [`MIN_PERIOD`](Self::MIN_PERIOD) and
    /// [`MAX_PERIOD`](Self::MAX_PERIOD).
    pub fn with_fast_interval(mut self, fast: Option<Duration>) -> Result<Self, OutOfRange> {
        self.fast_interval = fast.map(|fast| period("fast check interval", fast)).transpose()?;
        Ok(self)
    }

    /// The same, with the second check `phase` after the first and all others an interval apart:
    /// the first checks of many servers can then follow each other closely, so that a start is
    /// quick, and the others still spread over the interval. Zero, the default, is a whole
    /// interval, and so is anything longer.
    #[must_use]
    pub fn with_phase(mut self, phase: Duration) -> Self {
        self.phase = if phase.is_zero() { phase } else { phase.max(Self::MIN_PERIOD) };
        self
    }

    /// The same, with another jitter.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same, with another opinion of a server that was never checked.
    #[must_use]
    pub const fn with_initial_state(mut self, initial_state: InitialState) -> Self {
        self.initial_state = initial_state;
        self
    }

    /// The same with another limit for servers that come and go, or none.
    #[must_use]
    pub const fn with_flap_limit(mut self, limit: Option<FlapLimit>) -> Self {
        self.flap_limit = limit;
        self
    }

    /// Time from the start of one check to the start of the next.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Time a check has to pass.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Successes in a row to come back.
    #[must_use]
    pub const fn rise(&self) -> u32 {
        self.rise
    }

    /// Failures in a row to be taken out.
    #[must_use]
    pub const fn fall(&self) -> u32 {
        self.fall
    }

    /// Time before the first check.
    #[must_use]
    pub const fn initial_offset(&self) -> Duration {
        self.initial_offset
    }

    /// How a returning server is eased in.
    #[must_use]
    pub const fn slow_start(&self) -> SlowStart {
        self.slow_start
    }

    /// The full weight.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        self.weight
    }

    /// Whether a server that is taken out stays in the table with weight 0.
    #[must_use]
    pub const fn quiesce(&self) -> bool {
        self.quiesce
    }

    /// Time from one check to the next while in doubt; that of [`interval`](Self::interval) where
    /// there is none.
    #[must_use]
    pub const fn fast_interval(&self) -> Option<Duration> {
        self.fast_interval
    }

    /// Time from the first check to the second; zero for an interval.
    #[must_use]
    pub const fn phase(&self) -> Duration {
        self.phase
    }

    /// By how much checks leave their beat.
    #[must_use]
    pub const fn jitter(&self) -> Jitter {
        self.jitter
    }

    /// What a server is taken for before its first check.
    #[must_use]
    pub const fn initial_state(&self) -> InitialState {
        self.initial_state
    }

    /// How often a server may be taken out before it has to prove more; `None` for any number.
    #[must_use]
    pub const fn flap_limit(&self) -> Option<FlapLimit> {
        self.flap_limit
    }
}

impl Default for MonitorConfig {
    /// The defaults of lvs.cf: a check each 10 s with 10 s to pass, re-entry after 180 s.
    fn default() -> Self {
        let timeout = Duration::from_secs(10);
        Self {
            interval: timeout,
            timeout,
            rise: rise_from_reentry(Duration::from_secs(180), timeout),
            fall: 1,
            initial_offset: Duration::ZERO,
            slow_start: SlowStart::default(),
            weight: Weight::ONE,
            quiesce: false,
            fast_interval: None,
            phase: Duration::ZERO,
            jitter: Jitter::NONE,
            initial_state: InitialState::Probe,
            flap_limit: None,
        }
    }
}

/// What a server is taken for that was never checked.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InitialState {
    /// For neither: its first check decides, as with nanny 0.8.6.
    #[default]
    Probe,
    /// For up: it takes connections at once, with its full weight.
    Up,
    /// For down: `rise` successes in a row bring it in.
    Down,
    /// For what is remembered of it, where its driver has a [`Snapshot`](super::Snapshot) to
    /// restore; otherwise as `Probe`.
    Remembered,
}

/// How far checks stray from their beat, so that several directors, or checks and something else
/// that comes at regular times, do not meet a server in step for ever.
///
/// Each check but the first starts later than its beat by some part of the interval, less than
/// `percent` of it. The beat itself does not drift. Which part follows from the seed and the number
/// of the check alone, so that the same inputs give the same course.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "RawJitter", into = "RawJitter")]
pub struct Jitter {
    percent: u32,
    seed: u64,
}

impl Jitter {
    /// Checks keep their beat: the default.
    pub const NONE: Self = Self { percent: 0, seed: 0 };
    /// The most, in percent: two checks stay half an interval apart.
    pub const MAX_PERCENT: u32 = 50;

    /// Up to `percent` of the interval, drawn from `seed`, which should differ from server to
    /// server and from director to director.
    ///
    /// # Errors
    /// [`OutOfRange`] above [`MAX_PERCENT`](Self::MAX_PERCENT).
    pub fn new(percent: u32, seed: u64) -> Result<Self, OutOfRange> {
        if percent > Self::MAX_PERCENT {
            return Err(OutOfRange { what: "jitter of checks", allowed: "0 to 50 percent" });
        }
        Ok(Self { percent, seed })
    }

    /// How late the check of this `number` starts where checks are `period` apart.
    #[must_use]
    pub fn delay(self, number: u64, period: Duration) -> Duration {
        if self.percent == 0 {
            return Duration::ZERO;
        }
        let drawn = mixed(self.seed ^ number.wrapping_mul(GOLDEN)) >> 32;
        let most = period.as_nanos() * u128::from(self.percent) / 100;
        let nanos = (most * u128::from(drawn)) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// 2^64 divided by the golden ratio: its multiples spread evenly over the 64-bit numbers.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014).
const fn mixed(mut value: u64) -> u64 {
    value = value.wrapping_add(GOLDEN);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A part of `interval` for the server with this number in a list, other than those of its
/// neighbours: however many there are, their parts lie evenly in the interval. For
/// [`MonitorConfig::with_phase`].
///
/// ```
/// # use std::time::Duration;
/// # use piranha::health::spread;
/// let interval = Duration::from_secs(8);
/// let mut phases: Vec<_> = (0..8).map(|number| spread(number, interval)).collect();
/// phases.sort();
/// assert!(phases.windows(2).all(|pair| pair[1] - pair[0] > Duration::from_millis(500)));
/// ```
#[must_use]
pub fn spread(number: u64, interval: Duration) -> Duration {
    let part = number.wrapping_add(1).wrapping_mul(GOLDEN) >> 32;
    let nanos = (interval.as_nanos() * u128::from(part)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How many successes in a row Piranha 0.8.6 wants after `reentry` of trouble-free time: the
/// whole intervals that fit into it, and at least one.
///
/// ```
/// # use std::time::Duration;
/// # use piranha::health::rise_from_reentry;
/// let seconds = Duration::from_secs;
/// assert_eq!(rise_from_reentry(seconds(180), seconds(10)), 18);
/// assert_eq!(rise_from_reentry(seconds(6), seconds(2)), 3);
/// assert_eq!(rise_from_reentry(seconds(1), seconds(2)), 1);
/// ```
#[must_use]
pub fn rise_from_reentry(reentry: Duration, interval: Duration) -> u32 {
    let fits = reentry.as_nanos().checked_div(interval.as_nanos()).unwrap_or(1);
    u32::try_from(fits).unwrap_or(u32::MAX).max(1)
}

fn period(what: &'static str, value: Duration) -> Result<Duration, OutOfRange> {
    if (MonitorConfig::MIN_PERIOD..=MonitorConfig::MAX_PERIOD).contains(&value) {
        Ok(value)
    } else {
        Err(OutOfRange { what, allowed: "1 ms to 1 day" })
    }
}

fn streak(what: &'static str, value: u32) -> Result<u32, OutOfRange> {
    if value == 0 { Err(OutOfRange { what, allowed: "1 or more checks" }) } else { Ok(value) }
}

#[derive(Deserialize, Serialize)]
struct Raw {
    interval: Duration,
    timeout: Duration,
    rise: u32,
    fall: u32,
    initial_offset: Duration,
    slow_start: SlowStart,
    weight: Weight,
    quiesce: bool,
    #[serde(default)]
    fast_interval: Option<Duration>,
    #[serde(default)]
    phase: Duration,
    #[serde(default)]
    jitter: Jitter,
    #[serde(default)]
    initial_state: InitialState,
    #[serde(default)]
    flap_limit: Option<FlapLimit>,
}

#[derive(Deserialize, Serialize)]
struct RawJitter {
    percent: u32,
    seed: u64,
}

impl TryFrom<RawJitter> for Jitter {
    type Error = OutOfRange;

    fn try_from(raw: RawJitter) -> Result<Self, OutOfRange> {
        Self::new(raw.percent, raw.seed)
    }
}

impl From<Jitter> for RawJitter {
    fn from(jitter: Jitter) -> Self {
        Self { percent: jitter.percent, seed: jitter.seed }
    }
}

impl TryFrom<Raw> for MonitorConfig {
    type Error = OutOfRange;

    fn try_from(raw: Raw) -> Result<Self, OutOfRange> {
        Ok(Self::new(raw.interval, raw.timeout)?
            .with_rise(raw.rise)?
            .with_fall(raw.fall)?
            .with_initial_offset(raw.initial_offset)
            .with_slow_start(raw.slow_start)
            .with_weight(raw.weight)
            .with_quiesce(raw.quiesce)
            .with_fast_interval(raw.fast_interval)?
            .with_phase(raw.phase)
            .with_jitter(raw.jitter)
            .with_initial_state(raw.initial_state)
            .with_flap_limit(raw.flap_limit))
    }
}

impl From<MonitorConfig> for Raw {
    fn from(config: MonitorConfig) -> Self {
        Self {
            interval: config.interval,
            timeout: config.timeout,
            rise: config.rise,
            fall: config.fall,
            initial_offset: config.initial_offset,
            slow_start: config.slow_start,
            weight: config.weight,
            quiesce: config.quiesce,
            fast_interval: config.fast_interval,
            phase: config.phase,
            jitter: config.jitter,
            initial_state: config.initial_state,
            flap_limit: config.flap_limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_or_streak_of_zero_is_refused() {
        let second = Duration::from_secs(1);
        assert!(MonitorConfig::new(Duration::ZERO, second).is_err());
        assert!(MonitorConfig::new(second, Duration::MAX).is_err());
        let config = MonitorConfig::new(second, second).unwrap();
        assert!(config.with_rise(0).is_err() && config.with_fall(0).is_err());
        let json = serde_json::to_string(&config).unwrap();
        let forged = json.replace("\"fall\":1", "\"fall\":0");
        assert!(serde_json::from_str::<MonitorConfig>(&json).is_ok());
        assert!(serde_json::from_str::<MonitorConfig>(&forged).is_err());
        let forged = json.replace("\"percent\":0", "\"percent\":51");
        assert!(serde_json::from_str::<MonitorConfig>(&forged).is_err());
    }

    #[test]
    fn jitter_stays_below_its_share_and_differs_from_check_to_check() {
        let second = Duration::from_secs(1);
        let jitter = Jitter::new(10, 7).unwrap();
        let delays: std::collections::BTreeSet<_> =
            (0..1000).map(|number| jitter.delay(number, second)).collect();
        assert!(delays.len() > 990);
        assert!(delays.iter().all(|delay| *delay < Duration::from_millis(100)));
        assert!(*delays.last().unwrap() > Duration::from_millis(95));
        assert!(Jitter::new(51, 7).is_err());
    }
}
