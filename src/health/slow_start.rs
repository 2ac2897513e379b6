use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::Weight;

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
