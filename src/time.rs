//! The core's own notion of time.
//!
//! The pure layers never read a clock: every input carries `now`. The type is ours rather than
//! [`std::time::Instant`] so that a test or a fuzzer can construct any moment, a record of
//! inputs can be written down and replayed, and the driver may use a clock that goes on counting
//! while the machine is suspended (`CLOCK_BOOTTIME`), which `std`'s does not on Linux.
//!
//! ```
//! use piranha::time::Instant;
//! use std::time::Duration;
//!
//! const START: Instant = Instant::from_millis(1_500);
//! let later = START + Duration::from_secs(2);
//! assert_eq!(later.saturating_duration_since(START), Duration::from_secs(2));
//! assert_eq!(START.saturating_duration_since(later), Duration::ZERO);
//! ```

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment, in nanoseconds since an arbitrary epoch that is the same for one run of a program.
///
/// Arithmetic saturates: a moment further away than the type can hold (584 years) is its maximum,
/// never a panic.
///
/// ```
/// use piranha::time::Instant;
/// use std::time::Duration;
///
/// let start = Instant::from_nanos(0);
/// let later = start + Duration::from_millis(3250);
/// assert_eq!(later - start, Duration::from_millis(3250));
/// assert_eq!(start - later, Duration::ZERO);
/// assert_eq!(later.to_string(), "t+3.250s");
/// ```
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Instant(u64);

impl Instant {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);
    /// The latest moment there is; used as "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was, or zero if it lies in the future.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t+{}.{:03}s", self.0 / 1_000_000_000, self.0 / 1_000_000 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_overflowing() {
        assert_eq!(Instant::MAX + Duration::MAX, Instant::MAX);
        assert_eq!(Instant::ZERO - Instant::MAX, Duration::ZERO);
        assert_eq!(Instant::from_millis(u64::MAX), Instant::MAX);
    }
}
