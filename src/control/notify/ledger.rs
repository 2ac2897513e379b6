use std::collections::BTreeMap;
use std::time::Duration;

use super::{Notice, Problem};
use crate::time::Instant;

/// The most problems that are kept in mind; those beyond are told once and not again.
const MOST: usize = 10_000;

/// The problems that last, each with when it is told of again.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    repeat: Option<Duration>,
    lasting: BTreeMap<Problem, Lasting>,
}

#[derive(Clone, Debug)]
struct Lasting {
    notice: Notice,
    due: Instant,
}

impl Ledger {
    /// How often a problem that lasts is due again; `None` is never.
    pub fn set_repeat(&mut self, now: Instant, repeat: Option<Duration>) {
        if self.repeat == repeat {
            return;
        }
        self.repeat = repeat;
        let due = due(now, repeat);
        self.lasting.values_mut().for_each(|lasting| lasting.due = due);
    }

    /// Notes what `notice` says about a problem.
    pub fn handle_notice(&mut self, now: Instant, notice: &Notice) {
        let Some((problem, lasts)) = Problem::of(&notice.event) else {
            return;
        };
        if !lasts {
            self.lasting.remove(&problem);
        } else if self.lasting.len() < MOST || self.lasting.contains_key(&problem) {
            let notice = Notice { repeated: true, ..notice.clone() };
            self.lasting.insert(problem, Lasting { notice, due: due(now, self.repeat) });
        }
    }

    /// Forgets problems of what is not configured any more.
    pub fn retain(&mut self, keep: impl Fn(&Problem) -> bool) {
        self.lasting.retain(|problem, _| keep(problem));
    }

    /// What is to be told of again now.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Notice> {
        let repeat = self.repeat;
        let over = self.lasting.values_mut().filter(|lasting| lasting.due <= now);
        over.map(|lasting| {
            lasting.due = due(now, repeat);
            lasting.notice.clone()
        })
        .collect()
    }

    /// When the next one is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = self.lasting.values().map(|lasting| lasting.due).min();
        due.filter(|&due| due != Instant::MAX)
    }
}

fn due(now: Instant, repeat: Option<Duration>) -> Instant {
    repeat.map_or(Instant::MAX, |repeat| now + repeat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Event;

    fn quorum(service: &str, is_met: bool) -> Notice {
        let service = service.to_owned();
        Notice::new(
            Duration::ZERO,
            Event::Quorum { service, is_met, weight: 0, needed: 1, of: Default::default() },
        )
    }

    #[test]
    fn a_problem_is_told_again_until_it_is_over() {
        let hour = Duration::from_secs(3600);
        let start = Instant::from_millis(5);
        let mut ledger = Ledger::default();
        ledger.set_repeat(start, Some(hour));
        ledger.handle_notice(start, &quorum("web", false));
        ledger.handle_notice(start, &quorum("mail", false));
        assert_eq!(ledger.poll_timeout(), Some(start + hour));
        assert!(ledger.handle_timeout(start + hour / 2).is_empty());
        ledger.handle_notice(start + hour / 2, &quorum("mail", true));
        let again = ledger.handle_timeout(start + hour);
        assert_eq!(again, [Notice { repeated: true, ..quorum("web", false) }]);
        assert_eq!(ledger.poll_timeout(), Some(start + hour * 2));
        ledger.retain(|_| false);
        assert_eq!(ledger.poll_timeout(), None);
    }

    #[test]
    fn nothing_is_told_again_unless_asked_for() {
        let mut ledger = Ledger::default();
        ledger.handle_notice(Instant::ZERO, &quorum("web", false));
        assert_eq!(ledger.poll_timeout(), None);
        ledger.set_repeat(Instant::from_millis(1), Some(Duration::from_secs(1)));
        assert_eq!(ledger.poll_timeout(), Some(Instant::from_millis(1001)));
    }
}
