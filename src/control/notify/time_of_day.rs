use std::time::Duration;

const SECONDS_OF_DAY: u64 = 24 * 60 * 60;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// 1 January 1970 was a Thursday.
const DAYS_OF_WEEK: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A point of the wall clock in UTC, for people and receivers to read.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeOfDay {
    /// The year, such as 2026.
    pub year: u64,
    /// The month, 1 to 12.
    pub month: u64,
    /// The day of the month, 1 to 31.
    pub day: u64,
    /// Seconds of the day.
    pub second: u64,
    /// Milliseconds of the second.
    pub millisecond: u32,
    /// Days since a Thursday.
    weekday: u64,
}

impl TimeOfDay {
    /// The point this long after the beginning of 1970.
    #[must_use]
    pub const fn of(since_1970: Duration) -> Self {
        let days = since_1970.as_secs() / SECONDS_OF_DAY;
        // Years that begin in March have their leap day at the end; 400 of them have as many days
        // as any other 400.
        let days_since_march_of_0 = days + 719_468;
        let era = days_since_march_of_0 / 146_097;
        let day_of_era = days_since_march_of_0 % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_since_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_since_march + 2) / 5 + 1;
        let january_or_february = month_since_march >= 10;
        let month = if january_or_february { month_since_march - 9 } else { month_since_march + 3 };
        let year = era * 400 + year_of_era + if january_or_february { 1 } else { 0 };
        Self {
            year,
            month,
            day,
            second: since_1970.as_secs() % SECONDS_OF_DAY,
            millisecond: since_1970.subsec_millis(),
            weekday: days % 7,
        }
    }

    /// `2026-11-22T19:05:00.123Z` (RFC 3339, section 5.6).
    #[must_use]
    pub fn rfc_3339(self) -> String {
        let Self { year, month, day, millisecond, .. } = self;
        format!("{year:04}-{month:02}-{day:02}T{}.{millisecond:03}Z", self.clock())
    }

    /// `Sun, 22 Nov 2026 19:05:00 +0000` (RFC 5322, section 3.3).
    #[must_use]
    pub fn rfc_5322(self) -> String {
        let weekday = DAYS_OF_WEEK.iter().zip(0..).find(|(_, place)| *place == self.weekday);
        let month = MONTHS.iter().zip(1..).find(|(_, place)| *place == self.month);
        let weekday = weekday.map_or("Thu", |(name, _)| name);
        let month = month.map_or("Jan", |(name, _)| name);
        let Self { year, day, .. } = self;
        format!("{weekday}, {day} {month} {year:04} {} +0000", self.clock())
    }

    /// `19:05:00`
    fn clock(self) -> String {
        let Self { second, .. } = self;
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_the_wall_clock_are_those_that_date_prints() {
        let shown = |seconds| {
            let time = TimeOfDay::of(Duration::from_secs(seconds));
            (time.rfc_3339(), time.rfc_5322())
        };
        let expected = [
            (0, "1970-01-01T00:00:00.000Z", "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_827_696, "2000-02-29T12:34:56.000Z", "Tue, 29 Feb 2000 12:34:56 +0000"),
            (1_798_761_599, "2026-12-31T23:59:59.000Z", "Thu, 31 Dec 2026 23:59:59 +0000"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z", "Mon, 1 Mar 2100 00:00:00 +0000"),
        ];
        for (seconds, rfc_3339, rfc_5322) in expected {
            assert_eq!(shown(seconds), (rfc_3339.to_owned(), rfc_5322.to_owned()));
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let date = |day: u64| {
            let time = TimeOfDay::of(Duration::from_secs(day * SECONDS_OF_DAY));
            (time.year, time.month, time.day)
        };
        for day in 0..80_000 {
            let ((y, m, d), next) = (date(day), date(day + 1));
            let following = [(y, m, d + 1), (y, m + 1, 1), (y + 1, 1, 1)];
            assert!(following.contains(&next), "{next:?} follows {:?}", (y, m, d));
            assert!(d >= 28 || next == (y, m, d + 1));
        }
    }
}
