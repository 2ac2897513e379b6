use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Event, Timestamp};

/// An event with its place in the history of one daemon.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// Its number: the first event of a daemon's life is 1, and none is left out.
    pub number: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// The last events of a daemon: a bounded memory, from which the oldest fall out.
#[derive(Clone, Debug)]
pub struct History {
    records: VecDeque<Record>,
    capacity: usize,
    last: u64,
}

impl History {
    /// Remembers `capacity` events, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { records: VecDeque::new(), capacity: capacity.max(1), last: 0 }
    }

    /// Adds what happened at `at`, and returns it with its number.
    pub fn add(&mut self, at: Timestamp, event: Event) -> &Record {
        if self.records.len() == self.capacity {
            self.records.pop_front();
        }
        self.last += 1;
        let number = self.last;
        self.records.push_back(Record { number, at, event });
        // Just put there.
        &self.records[self.records.len() - 1]
    }

    /// What is remembered of the events after number `after`, the oldest first.
    pub fn after(&self, after: u64) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.number > after)
    }

    /// How many events after number `after` have been forgotten.
    #[must_use]
    pub fn forgotten_after(&self, after: u64) -> u64 {
        let oldest = self.records.front().map_or(self.last + 1, |record| record.number);
        oldest.saturating_sub(after.saturating_add(1))
    }

    /// The number of the last event; 0 before the first.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Event {
        Event::Warning { text: text.to_owned() }
    }

    #[test]
    fn the_oldest_events_are_forgotten_and_counted() {
        let mut history = History::new(3);
        for (at, text) in (1..).zip(["a", "b", "c", "d", "e"]) {
            history.add(Timestamp(at), event(text));
        }
        let numbers: Vec<_> = history.after(0).map(|record| record.number).collect();
        assert_eq!(numbers, [3, 4, 5]);
        assert_eq!(history.forgotten_after(0), 2);
        assert_eq!(history.forgotten_after(2), 0);
        assert_eq!(history.after(4).count(), 1);
        assert_eq!(history.forgotten_after(u64::MAX), 0);
    }

    #[test]
    fn an_empty_history_has_forgotten_nothing() {
        assert_eq!(History::new(0).forgotten_after(0), 0);
    }
}
