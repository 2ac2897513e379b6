//! Stretches of time, and moments, as people write them.

use std::time::Duration;

use crate::control::Timestamp;

const DAY: u64 = 86_400_000;

/// Reads `90`, `90s`, `15m`, `2h` or `3d`.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        unit => return Err(format!("`{unit}` is no unit: use s, m, h or d")),
    };
    let number: u64 = digits.parse().map_err(|_no| "a number and a unit, such as 90s or 2h")?;
    number
        .checked_mul(seconds)
        .filter(|&seconds| seconds <= 366 * 86400)
        .map(Duration::from_secs)
        .ok_or_else(|| "more than a year".to_owned())
}

/// A moment that somebody wrote down, in UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Moment {
    /// Milliseconds since 1970 at the beginning of the day; without one the next day counts on
    /// which the time is still to come.
    day: Option<u64>,
    /// Milliseconds of the day.
    time: u64,
}

impl Moment {
    /// When it is, seen from `now`.
    pub(super) fn after(self, now: Timestamp) -> Timestamp {
        let today = now.0 - now.0 % DAY;
        let next = if today + self.time > now.0 { today } else { today + DAY };
        Timestamp(self.day.unwrap_or(next) + self.time)
    }
}

/// Reads `18:30`, `18:30:15`, or the same behind `2026-11-22T` or `2026-11-22 `, with or without
/// `Z`.
pub(super) fn parse_moment(text: &str) -> Result<Moment, String> {
    let wrong = || "a time such as 18:30 or 2026-11-22T18:30, in UTC".to_owned();
    let whole = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = match whole.split_once(['T', ' ']) {
        Some((date, time)) => (Some(date), time),
        None => (None, whole),
    };
    let day = date.map(|date| day(date).ok_or_else(wrong)).transpose()?;
    Ok(Moment { day, time: time_of_day(time).ok_or_else(wrong)? })
}

/// The numbers that `separator` stands between, two digits each but for the first one.
fn numbers(text: &str, separator: char) -> Option<Vec<u64>> {
    text.split(separator).map(|digits| digits.parse().ok()).collect()
}

fn time_of_day(text: &str) -> Option<u64> {
    match numbers(text, ':')?[..] {
        [hours @ 0..24, minutes @ 0..60] => Some((hours * 60 + minutes) * 60_000),
        [hours @ 0..24, minutes @ 0..60, seconds @ 0..60] => {
            Some((hours * 3600 + minutes * 60 + seconds) * 1000)
        }
        _ => None,
    }
}

/// The beginning of a day of this century, by counting: its calendar is [`Timestamp`]'s.
fn day(text: &str) -> Option<u64> {
    let [year @ 2000..2100, 1..=12, 1..=31] = numbers(text, '-')?[..] else { return None };
    let begin = (year - 1970) * 365 + (year - 1969) / 4;
    (begin..begin + 366).map(|day| day * DAY).find(|&day| Timestamp(day).date() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_and_a_time_or_the_next_time_it_is_so_late() {
        let now = Timestamp(1_795_372_245_250);
        assert_eq!(now.to_string(), "2026-11-22T18:30:45.250Z");
        let at = |text| parse_moment(text).map(|moment| moment.after(now).to_string());
        assert_eq!(at("18:31").unwrap(), "2026-11-22T18:31:00.000Z");
        assert_eq!(at("18:30").unwrap(), "2026-11-23T18:30:00.000Z");
        assert_eq!(at("2028-02-29T00:00:01Z").unwrap(), "2028-02-29T00:00:01.000Z");
        assert_eq!(at("2026-12-31 23:59").unwrap(), "2026-12-31T23:59:00.000Z");
        for wrong in ["", "24:00", "12", "2027-02-29T12:00", "26-11-22T12:00", "T12:00", "1:2:3:4"]
        {
            assert!(parse_moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_stretch_of_time_has_a_number_and_perhaps_a_unit() {
        let seconds = |text| parse(text).map(|span| span.as_secs());
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("15m"), Ok(900));
        assert_eq!(seconds("2h"), Ok(7200));
        assert_eq!(seconds("1d"), Ok(86400));
        for wrong in ["", "h", "1w", "-1", "1.5h", "400d", "99999999999999999999s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
