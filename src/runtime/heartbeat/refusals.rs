use std::time::Duration;

use crate::time::Instant;

/// What is no news: every start of the partner begins with a greeting, and a link may have other
/// virtual routers.
const EXPECTED: [&str; 2] = ["hello", "other_router"];

/// The time between two log lines about refused heartbeats.
const REFUSAL_PAUSE: Duration = Duration::from_secs(10);

/// Heartbeats that were not accepted, for the log: the news at most every [`REFUSAL_PAUSE`], so
/// that a flood of them is one line.
pub(super) struct Refusals {
    told: Vec<(String, u64)>,
    next: Instant,
}

impl Refusals {
    pub(super) const fn new() -> Self {
        Self { told: Vec::new(), next: Instant::ZERO }
    }

    /// What was refused since the last time, by reason, but for what is [`EXPECTED`].
    pub(super) fn news(
        &mut self,
        now: Instant,
        counts: &[(String, u64)],
    ) -> Option<Vec<(String, u64)>> {
        if now < self.next {
            return None;
        }
        self.next = now + REFUSAL_PAUSE;
        if self.told == counts {
            return None;
        }
        let told = std::mem::replace(&mut self.told, counts.to_vec());
        let before =
            |reason: &str| told.iter().find(|(name, _)| name == reason).map_or(0, |(_, n)| *n);
        let counts = self.told.iter().filter(|(reason, _)| !EXPECTED.contains(&reason.as_str()));
        let news = counts.map(|(reason, count)| (reason.clone(), count - before(reason)));
        let news: Vec<_> = news.filter(|(_, count)| *count > 0).collect();
        (!news.is_empty()).then_some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_heartbeats_are_told_once_and_not_for_each_of_a_flood() {
        let counts = |forged| [("bad_tag".to_owned(), forged), ("hello".to_owned(), 9)];
        let mut refusals = Refusals::new();
        let now = Instant::from_millis(1000);
        assert_eq!(refusals.news(now, &counts(2)), Some(vec![("bad_tag".to_owned(), 2)]));
        assert_eq!(refusals.news(now + Duration::from_secs(1), &counts(500)), None);
        let later = now + REFUSAL_PAUSE;
        assert_eq!(refusals.news(later, &counts(502)), Some(vec![("bad_tag".to_owned(), 500)]));
        assert_eq!(refusals.news(later + REFUSAL_PAUSE, &counts(502)), None);
    }
}
