//! Stretches of time as people write them.

use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::*;

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
