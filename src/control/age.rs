use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How old something is; in JSON whole milliseconds.
///
/// ```
/// use piranha::control::Age;
/// use std::time::Duration;
///
/// assert_eq!(Age(Duration::from_millis(340)).to_string(), "0.3s");
/// assert_eq!(Age(Duration::from_secs(59)).to_string(), "59s");
/// assert_eq!(Age(Duration::from_secs(3725)).to_string(), "1h 2m");
/// assert_eq!(Age(Duration::from_secs(12 * 86400)).to_string(), "12d 0h");
/// ```
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(from = "u64", into = "u64")]
pub struct Age(pub Duration);

impl From<u64> for Age {
    fn from(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl From<Age> for u64 {
    fn from(age: Age) -> Self {
        Self::try_from(age.0.as_millis()).unwrap_or(Self::MAX)
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
        match seconds {
            0..10 => write!(f, "{}.{}s", seconds, self.0.subsec_millis() / 100),
            10..60 => write!(f, "{seconds}s"),
            60..3600 => write!(f, "{minutes}m {}s", seconds % 60),
            3600..86400 => write!(f, "{hours}h {}m", minutes % 60),
            _ => write!(f, "{days}d {}h", hours % 24),
        }
    }
}

/// A moment by the calendar, in milliseconds since 1970-01-01 00:00 UTC.
///
/// For what people read and what outlives a boot. Nothing is decided by it that a wrong clock
/// could make unsafe.
///
/// ```
/// use piranha::control::Timestamp;
///
/// let moment = Timestamp(1_795_372_245_250);
/// assert_eq!(moment.to_string(), "2026-11-22T18:30:45.250Z");
/// ```
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment `duration` later; the last there is where that is further than the type holds.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::from(Age(duration))))
    }

    /// How long `earlier` was before, or nothing if it was not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// `HH:MM:SS` of the day, UTC.
    #[must_use]
    pub fn time_of_day(self) -> String {
        let seconds = self.0 / 1000 % 86400;
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// `YYYY-MM-DD`, UTC.
    #[must_use]
    pub fn date(self) -> String {
        let (year, month, day) = civil(self.0 / 86_400_000);
        format!("{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339, UTC, with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}.{:03}Z", self.date(), self.time_of_day(), self.0 % 1000)
    }
}

/// Year, month and day of a day counted from 1970-01-01. Years begin in March here, so that the
/// leap day is the last one.
const fn civil(days: u64) -> (u64, u64, u64) {
    let since_era = days + 719_468;
    let (era, day_of_era) = (since_era / 146_097, since_era % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar_over_leap_days_and_centuries() {
        let date = |seconds: u64| Timestamp(seconds * 1000).date();
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(951_868_800), "2000-03-01");
        assert_eq!(date(1_709_164_800), "2024-02-29");
        assert_eq!(date(4_107_542_400), "2100-03-01");
    }

    #[test]
    fn no_age_and_no_moment_overflows() {
        assert_eq!(u64::from(Age(Duration::MAX)), u64::MAX);
        assert_eq!(Timestamp(5).after(Duration::MAX), Timestamp(u64::MAX));
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert!(!Timestamp(u64::MAX).to_string().is_empty());
    }
}
