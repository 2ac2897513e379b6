use std::time::Duration;

use serde::{Deserialize, Serialize};

const BUCKETS: usize = 13;

/// The upper bounds of the buckets of a [`Histogram`], each with its text in seconds; what is
/// longer counts in one bucket more.
pub const BOUNDS: [(Duration, &str); BUCKETS] = [
    (Duration::from_millis(1), "0.001"),
    (Duration::from_micros(2500), "0.0025"),
    (Duration::from_millis(5), "0.005"),
    (Duration::from_millis(10), "0.01"),
    (Duration::from_millis(25), "0.025"),
    (Duration::from_millis(50), "0.05"),
    (Duration::from_millis(100), "0.1"),
    (Duration::from_millis(250), "0.25"),
    (Duration::from_millis(500), "0.5"),
    (Duration::from_secs(1), "1.0"),
    (Duration::from_millis(2500), "2.5"),
    (Duration::from_secs(5), "5.0"),
    (Duration::from_secs(10), "10.0"),
];

/// How long something took, and how often: counted in buckets with the bounds of [`BOUNDS`].
///
/// ```
/// use piranha::control::Histogram;
/// use std::time::Duration;
///
/// let mut took = Histogram::default();
/// took.observe(Duration::from_millis(3));
/// took.observe(Duration::from_secs(60));
/// assert_eq!(took.count(), 2);
/// assert_eq!(took.cumulative().last(), Some(1), "one took longer than every bound");
/// ```
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Histogram {
    counts: [u64; BUCKETS + 1],
    #[serde(rename = "sum_us")]
    sum: u64,
}

impl Histogram {
    /// Counts one that took `duration`.
    pub fn observe(&mut self, duration: Duration) {
        let place = BOUNDS.iter().position(|(bound, _)| duration <= *bound).unwrap_or(BUCKETS);
        self.counts[place] = self.counts[place].saturating_add(1);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.sum = self.sum.saturating_add(micros);
    }

    /// Counts what `other` has counted too.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How often it was counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// How long all of them took together.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_micros(self.sum)
    }

    /// For each of [`BOUNDS`], how many took no longer.
    pub fn cumulative(&self) -> impl Iterator<Item = u64> {
        let shorter = self.counts.iter().take(BUCKETS);
        shorter.scan(0_u64, |sum, count| {
            *sum = sum.saturating_add(*count);
            Some(*sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_duration_is_in_the_buckets_whose_bound_it_does_not_exceed(
            micros in prop::collection::vec(0_u64..20_000_000, 0..50),
        ) {
            let mut histogram = Histogram::default();
            let durations: Vec<_> = micros.into_iter().map(Duration::from_micros).collect();
            durations.iter().for_each(|duration| histogram.observe(*duration));
            for ((bound, _), count) in BOUNDS.iter().zip(histogram.cumulative()) {
                let within = durations.iter().filter(|duration| *duration <= bound).count();
                prop_assert_eq!(count, within as u64);
            }
            prop_assert_eq!(histogram.count(), durations.len() as u64);
            prop_assert_eq!(histogram.sum(), durations.iter().sum::<Duration>());
        }
    }

    #[test]
    fn the_text_of_a_bound_is_the_bound() {
        for (bound, text) in BOUNDS {
            let seconds: f64 = text.parse().unwrap();
            assert_eq!(Duration::from_secs_f64(seconds), bound);
        }
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn nothing_overflows() {
        let mut histogram = Histogram::default();
        histogram.observe(Duration::MAX);
        let full = Histogram { counts: [u64::MAX; BUCKETS + 1], sum: u64::MAX };
        histogram.merge(&full);
        histogram.observe(Duration::ZERO);
        assert_eq!(histogram.count(), u64::MAX);
    }
}
