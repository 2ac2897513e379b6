use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::net::OutOfRange;
use crate::time::Instant;

/// How often a server may be taken out before it has to prove more to come back.
///
/// A server that is taken out more often than `outs` times in `window` needs twice as many
/// successes in a row as [`rise`](super::MonitorConfig::rise) says, with each further time again
/// twice as many, and never more than 32 times as many. What was long ago is forgotten bit by bit:
/// one time out for each `window / outs`. So a server that flaps is let in more and more rarely, and
/// one that has become sound is forgiven within the window and a little more.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct FlapLimit {
    outs: NonZeroU32,
    window: Duration,
}

impl FlapLimit {
    /// The most doublings.
    const DOUBLINGS: u32 = 5;

    /// `outs` times in `window`.
    ///
    /// # Errors
    /// [`OutOfRange`] for no times, or a window below a second or above a day.
    pub fn new(outs: u32, window: Duration) -> Result<Self, OutOfRange> {
        let seconds = Duration::from_secs;
        let outs = NonZeroU32::new(outs)
            .ok_or(OutOfRange { what: "flap limit", allowed: "1 or more times out" })?;
        if !(seconds(1)..=seconds(86_400)).contains(&window) {
            return Err(OutOfRange { what: "flap window", allowed: "1 second to 1 day" });
        }
        Ok(Self { outs, window })
    }

    /// How often.
    #[must_use]
    pub const fn outs(self) -> u32 {
        self.outs.get()
    }

    /// Within which time.
    #[must_use]
    pub const fn window(self) -> Duration {
        self.window
    }

    /// After which time one time out is forgotten.
    fn leak(self) -> Duration {
        (self.window / self.outs.get()).max(Duration::from_nanos(1))
    }
}

/// How often a server was taken out of late: a bucket with a leak.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Flaps {
    level: u32,
    /// Since when it leaks at this level.
    since: Instant,
}

impl Flaps {
    /// The server is taken out.
    pub(super) fn count(&mut self, now: Instant, limit: FlapLimit) {
        let present = self.at(now, limit);
        let most = limit.outs().saturating_add(FlapLimit::DOUBLINGS);
        let since = if present.level == 0 { now } else { present.since };
        *self = Self { level: present.level.saturating_add(1).min(most), since };
    }

    /// How many times as many successes the server needs.
    pub(super) fn factor(self, now: Instant, limit: FlapLimit) -> u32 {
        let excess = self.at(now, limit).level.saturating_sub(limit.outs());
        1 << excess.min(FlapLimit::DOUBLINGS)
    }

    /// The same, with nothing in the future of `now`.
    pub(super) fn not_after(self, now: Instant) -> Self {
        Self { since: self.since.min(now), ..self }
    }

    fn at(self, now: Instant, limit: FlapLimit) -> Self {
        let leaked = (now - self.since).as_nanos() / limit.leak().as_nanos();
        let leaked = u32::try_from(leaked).unwrap_or(u32::MAX).min(self.level);
        Self { level: self.level - leaked, since: self.since + limit.leak() * leaked }
    }
}

#[derive(Deserialize, Serialize)]
struct Raw {
    outs: u32,
    window: Duration,
}

impl TryFrom<Raw> for FlapLimit {
    type Error = OutOfRange;

    fn try_from(raw: Raw) -> Result<Self, OutOfRange> {
        Self::new(raw.outs, raw.window)
    }
}

impl From<FlapLimit> for Raw {
    fn from(limit: FlapLimit) -> Self {
        Self { outs: limit.outs(), window: limit.window }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn beyond_the_limit_each_time_out_doubles_what_is_needed_up_to_a_bound() {
        let limit = FlapLimit::new(3, Duration::from_secs(600)).unwrap();
        let mut flaps = Flaps::default();
        let factors: Vec<_> = (1000..1010)
            .map(|second| {
                flaps.count(at(second), limit);
                flaps.factor(at(second), limit)
            })
            .collect();
        assert_eq!(factors, [1, 1, 1, 2, 4, 8, 16, 32, 32, 32]);
        let later = |seconds: u64| flaps.factor(at(1009 + seconds), limit);
        assert_eq!([0, 200, 400, 800, 1000].map(later), [32, 16, 8, 2, 1]);
    }

    #[test]
    fn a_limit_of_none_or_a_window_of_none_cannot_be_made() {
        assert!(FlapLimit::new(0, Duration::from_secs(600)).is_err());
        assert!(FlapLimit::new(3, Duration::ZERO).is_err());
        assert!(FlapLimit::new(3, Duration::MAX).is_err());
        assert!(FlapLimit::new(u32::MAX, Duration::from_secs(1)).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_a_server_did_it_is_forgiven_within_a_bound(
            outs in 1..10_u32,
            window in 1..1000_u64,
            times in proptest::collection::vec(0..1000_u64, 0..100),
        ) {
            let limit = FlapLimit::new(outs, Duration::from_secs(window)).unwrap();
            let (mut flaps, mut now) = (Flaps::default(), 0);
            for pause in times {
                now += pause;
                flaps.count(at(now), limit);
                prop_assert!((1..=32).contains(&flaps.factor(at(now), limit)));
            }
            let forgiven = Duration::from_secs(window) * 6;
            prop_assert_eq!(flaps.factor(at(now) + forgiven, limit), 1);
        }
    }
}
