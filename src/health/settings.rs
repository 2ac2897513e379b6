use std::time::Duration;

use serde::{Deserialize, Serialize};

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
        }
    }
}

/// How a server that comes back is eased in, so that a scheduler that looks at connection counts
/// does not throw every new client at the one server that has none.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SlowStart {
    /// Piranha's since 2001: a 32nd of the weight (at least 1), doubled each 20 s until it is
    /// full. Invisible at weight 1.
    #[default]
    Historical,
    /// The full weight at once.
    Off,
    /// Ten equal steps over this time, at least 1 from the beginning.
    Ramp(Duration),
}

impl SlowStart {
    /// The weight of a server of weight `full`, `elapsed` after it was admitted. Never falls as
    /// time passes, is at least 1 unless `full` is 0, and ends at exactly `full`.
    #[must_use]
    pub fn weight_at(self, full: Weight, elapsed: Duration) -> Weight {
        self.weight_in_step(full, self.step_at(elapsed))
    }

    /// When, counted from the admission, the weight will next be another one than at `elapsed`.
    /// `None` once it is full.
    #[must_use]
    pub fn next_change(self, full: Weight, elapsed: Duration) -> Option<Duration> {
        let step = self.step_at(elapsed);
        let weight = self.weight_in_step(full, step);
        (step + 1..=Self::LAST_STEP)
            .find(|&later| self.weight_in_step(full, later) != weight)
            .map(|later| self.step_length().saturating_mul(later))
    }

    /// No slow start takes more steps: 2^31 doubled up from 1.
    const LAST_STEP: u32 = 32;
    const RAMP_STEPS: u32 = 10;

    fn step_length(self) -> Duration {
        match self {
            Self::Historical => Duration::from_secs(20),
            Self::Off => Duration::ZERO,
            Self::Ramp(time) => time / Self::RAMP_STEPS,
        }
    }

    fn step_at(self, elapsed: Duration) -> u32 {
        elapsed
            .as_nanos()
            .checked_div(self.step_length().as_nanos())
            .and_then(|step| u32::try_from(step).ok())
            .map_or(Self::LAST_STEP, |step| step.min(Self::LAST_STEP))
    }

    fn weight_in_step(self, full: Weight, step: u32) -> Weight {
        let target = u64::from(full.get());
        let weight = match self {
            Self::Historical => (target >> 5).max(1) << step,
            Self::Off => target,
            Self::Ramp(_) if step >= Self::RAMP_STEPS => target,
            Self::Ramp(_) => (target * u64::from(step) / u64::from(Self::RAMP_STEPS)).max(1),
        };
        u32::try_from(weight.min(target))
            .ok()
            .and_then(|weight| Weight::new(weight).ok())
            .unwrap_or(full)
    }
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
            .with_quiesce(raw.quiesce))
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
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn course(slow_start: SlowStart, full: u32) -> Vec<(u64, u32)> {
        let full = Weight::new(full).unwrap();
        let mut elapsed = Duration::ZERO;
        let mut course = vec![(0, slow_start.weight_at(full, elapsed).get())];
        while let Some(next) = slow_start.next_change(full, elapsed) {
            elapsed = next;
            course.push((next.as_secs(), slow_start.weight_at(full, elapsed).get()));
        }
        course
    }

    #[test]
    fn the_historical_slow_start_doubles_a_32nd_each_20_seconds() {
        let doubled = [(0, 31), (20, 62), (40, 124), (60, 248), (80, 496), (100, 992)];
        assert_eq!(course(SlowStart::Historical, 992), doubled);
        assert_eq!(course(SlowStart::Historical, 5), [(0, 1), (20, 2), (40, 4), (60, 5)]);
        assert_eq!(course(SlowStart::Historical, 1), [(0, 1)]);
    }

    #[test]
    fn a_ramp_takes_ten_steps_and_leaves_out_those_that_change_nothing() {
        let ramp = SlowStart::Ramp(Duration::from_secs(100));
        assert_eq!(course(ramp, 1000).len(), 11);
        assert_eq!(course(ramp, 4), [(0, 1), (50, 2), (80, 3), (100, 4)]);
        assert_eq!(course(SlowStart::Ramp(Duration::ZERO), 7), [(0, 7)]);
        assert_eq!(course(SlowStart::Off, 7), [(0, 7)]);
    }

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
    }

    proptest! {
        #[test]
        fn a_slow_start_only_rises_and_ends_at_the_full_weight(
            full in 0..=Weight::MAX.get(),
            ramp in proptest::option::of(0..10_000_000_u64),
        ) {
            let slow_start = ramp.map_or(SlowStart::Historical, |ms| {
                SlowStart::Ramp(Duration::from_millis(ms))
            });
            let course = course(slow_start, full);
            prop_assert!(course.len() <= 33);
            prop_assert!(course.is_sorted_by(|a, b| a.0 <= b.0 && a.1 < b.1));
            prop_assert_eq!(course.last().unwrap().1, full);
            prop_assert!(full == 0 || course[0].1 > 0);
        }
    }
}
