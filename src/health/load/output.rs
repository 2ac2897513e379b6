use std::fmt;

use serde::{Deserialize, Serialize};

/// How busy a server is, as a load average counts: processes that run or wait to run. 0 is idle;
/// from about the number of its processors on a server has more than it can do at once.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Load(f64);

impl Load {
    /// No load.
    pub const IDLE: Self = Self(0.0);
    /// The greatest load there is; what is above counts as this.
    pub const MAX: Self = Self(1e6);

    /// The load `value`, or `None` if it is negative or no number.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        (value >= 0.0).then(|| Self(value.min(Self::MAX.0)))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The load in what a command printed: the first number behind the word `load`, which is the
    /// 1-minute average in what `uptime`, `rup` and `ruptime` print, or else the last number.
    ///
    /// As in 0.8.6 it may be `load`, `load average:` or `load averages:`; a comma may stand for
    /// the decimal point, as some locales have it.
    ///
    /// # Errors
    /// [`OutputError`] where there is no such number.
    pub fn in_output(output: &[u8]) -> Result<Self, OutputError> {
        let output = String::from_utf8_lossy(output);
        let found = match output.split_once("load") {
            Some((_, behind)) => numbers(behind).next(),
            None => numbers(&output).last(),
        };
        found.and_then(Self::new).ok_or(OutputError)
    }
}

/// What a command printed has no number in it that could be a load.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no load in what was printed")]
#[allow(clippy::exhaustive_structs, reason = "there is nothing to say about it")]
pub struct OutputError;

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

impl TryFrom<f64> for Load {
    type Error = OutputError;

    fn try_from(value: f64) -> Result<Self, OutputError> {
        Self::new(value).ok_or(OutputError)
    }
}

impl From<Load> for f64 {
    fn from(load: Load) -> Self {
        load.0
    }
}

/// The decimal numbers in a text. A minus in front belongs to a number, so that it is not taken
/// for another one.
fn numbers(text: &str) -> impl Iterator<Item = f64> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(|c: char| c.is_ascii_digit())?;
        let negative = rest[..start].ends_with('-');
        let (number, behind) = rest[start..].split_at(length(&rest.as_bytes()[start..]));
        rest = behind;
        let value: f64 = number.replace(',', ".").parse().ok()?;
        Some(if negative { -value } else { value })
    })
}

/// How many bytes belong to the number that `text` begins with. A comma is a decimal point if a
/// digit follows at once.
fn length(text: &[u8]) -> usize {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(text);
    match text.get(whole..) {
        Some([b'.' | b',', fraction @ ..]) if digits(fraction) > 0 => whole + 1 + digits(fraction),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(output: &str) -> Option<f64> {
        Load::in_output(output.as_bytes()).ok().map(Load::get)
    }

    #[test]
    fn the_one_minute_average_is_found_in_what_each_command_prints() {
        let uptime = " 18:55:01 up 3 days,  2:10,  1 user,  load average: 0.15, 0.10, 0.05\n";
        assert_eq!(load(uptime), Some(0.15));
        let rup = "     10.0.0.1    up  3 days,  2:10,    load average: 1.25 1.30 1.10\n";
        assert_eq!(load(rup), Some(1.25));
        let ruptime = "web1          up   3+02:10,     5 users,  load 2.40, 2.10, 1.95\n";
        assert_eq!(load(ruptime), Some(2.4));
        assert_eq!(load("web1          down 3+02:10\nno load"), None);
        assert_eq!(load(" up 2 days, load averages: 0,42, 0,40, 0,31"), Some(0.42));
        assert_eq!(load("load average: 7, 8, 9"), Some(7.0));
    }

    #[test]
    fn of_any_other_output_the_last_number_counts() {
        assert_eq!(load("cpu0 3\ncpu1 0.75\n"), Some(0.75));
        assert_eq!(load("42"), Some(42.0));
        for nothing in ["", "ssh: connection refused", "-3", "1 -2.5"] {
            assert_eq!(load(nothing), None, "{nothing}");
        }
        assert_eq!(load(&"9".repeat(400)), Some(Load::MAX.get()));
    }

    proptest! {
        #[test]
        fn any_output_is_read_or_refused(output in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(load) = Load::in_output(&output) {
                prop_assert!((0.0..=Load::MAX.get()).contains(&load.get()));
            }
        }
    }
}
