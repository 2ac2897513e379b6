use std::collections::HashMap;
use std::time::Duration;

use crate::time::Instant;

/// For how long a line is not written again.
const PAUSE: Duration = Duration::from_secs(60);

/// Lines that are remembered; more different ones are no repeats.
const MAX_LINES: usize = 256;

/// Lines that were written a short time ago, and how often they were left out since.
#[derive(Debug, Default)]
pub(super) struct Repeats(HashMap<String, Repeat>);

#[derive(Debug)]
struct Repeat {
    until: Instant,
    left_out: u64,
}

impl Repeats {
    /// Whether `line` is to be written. One that is not is counted.
    pub(super) fn is_new(&mut self, now: Instant, line: &str) -> bool {
        if let Some(repeat) = self.0.get_mut(line) {
            repeat.left_out += 1;
            return false;
        }
        if self.0.len() < MAX_LINES {
            self.0.insert(line.to_owned(), Repeat { until: now + PAUSE, left_out: 0 });
        }
        true
    }

    /// The lines whose pause is over, with how often they were left out; forgets them.
    pub(super) fn over(&mut self, now: Instant) -> Vec<(String, u64)> {
        let over = self.0.extract_if(|_, repeat| repeat.until <= now);
        over.filter(|(_, repeat)| repeat.left_out > 0)
            .map(|(line, repeat)| (line, repeat.left_out))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_repeats_is_written_once_and_counted() {
        let mut repeats = Repeats::default();
        let at = |seconds: u64| Instant::from_millis(seconds * 1000);
        assert!(repeats.is_new(at(0), "a"));
        assert!(repeats.is_new(at(0), "b"));
        for second in 1..60 {
            assert!(repeats.over(at(second)).is_empty());
            assert!(!repeats.is_new(at(second), "a"));
        }
        assert_eq!(repeats.over(at(60)), [("a".to_owned(), 59)]);
        assert!(repeats.is_new(at(60), "a"));
        assert!(repeats.over(at(200)).is_empty(), "nothing was left out since");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut repeats = Repeats::default();
        for number in 0..10_000 {
            assert!(repeats.is_new(Instant::ZERO, &number.to_string()));
        }
        assert_eq!(repeats.0.len(), MAX_LINES);
    }
}
