use std::collections::VecDeque;
use std::time::Duration;

use super::Notice;
use crate::time::Instant;

/// The most notices that wait; further ones are counted.
const MOST_WAITING: usize = 1000;

/// The most notices of one message.
const MOST_IN_MESSAGE: usize = 100;

/// After so many failures in a row what waits is given up.
const MOST_TRIES: u32 = 8;

/// The pause after a first failure; it doubles with each one up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause after a failure.
const MAX_PAUSE: Duration = Duration::from_secs(600);

/// When one receiver gets which messages: several notices go together, what cannot be delivered is
/// tried again, and there is a limit to how often anything is sent at all.
#[derive(Clone, Debug)]
pub struct Outlet {
    pace: Pace,
    waiting: VecDeque<Notice>,
    /// When the next message may go, if anything waits.
    due: Option<Instant>,
    /// What was handed out, until it is known what came of it.
    in_flight: Option<Message>,
    failures: u32,
    /// When the latest messages went, as far as they count.
    sent: VecDeque<Instant>,
    left_out: u64,
}

/// How often an [`Outlet`] sends.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// How long a notice waits for others.
    pub group: Duration,
    /// The most messages within a [`span`](Self::span); 0 is no limit.
    pub limit: u32,
    /// What `limit` is about.
    pub span: Duration,
}

impl Pace {
    /// A notice waits for `group`, and at most `limit` messages go within each `span`.
    #[must_use]
    pub const fn new(group: Duration, limit: u32, span: Duration) -> Self {
        Self { group, limit, span }
    }
}

/// What a receiver gets at once.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What happened, in order; at least one.
    pub notices: Vec<Notice>,
    /// How many more happened that nobody was told of.
    pub left_out: u64,
}

impl Outlet {
    /// Nothing waits yet.
    #[must_use]
    pub const fn new(pace: Pace) -> Self {
        Self {
            pace,
            waiting: VecDeque::new(),
            due: None,
            in_flight: None,
            failures: 0,
            sent: VecDeque::new(),
            left_out: 0,
        }
    }

    /// Something is to be told.
    pub fn handle_notice(&mut self, now: Instant, notice: Notice) {
        if self.waiting.len() == MOST_WAITING {
            self.left_out += 1;
            return;
        }
        self.waiting.push_back(notice);
        self.due.get_or_insert(now + self.pace.group);
    }

    /// What came of the last message: on a failure it waits again, in front of what came since.
    pub fn handle_result(&mut self, now: Instant, delivered: bool) {
        let Some(message) = self.in_flight.take() else {
            return;
        };
        self.note_sent(now);
        if delivered {
            self.failures = 0;
            self.due = (!self.waiting.is_empty()).then(|| now + self.pace.group);
            return;
        }
        self.failures += 1;
        self.left_out += message.left_out;
        if self.failures == MOST_TRIES {
            self.left_out += message.notices.len() as u64;
            self.failures = 0;
        } else {
            message.notices.into_iter().rev().for_each(|notice| self.waiting.push_front(notice));
        }
        let pause = MIN_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1)).min(MAX_PAUSE);
        self.due = (!self.waiting.is_empty()).then(|| now + pause);
    }

    /// Everything that waits is due now, whatever the pace: there is no later.
    pub fn flush(&mut self, now: Instant) {
        self.pace.limit = 0;
        self.due = (!self.waiting.is_empty()).then_some(now);
    }

    /// The message that is due; none while one is under way.
    #[must_use]
    pub fn poll_output(&mut self, now: Instant) -> Option<Message> {
        if self.in_flight.is_some() || self.poll_timeout().is_none_or(|due| due > now) {
            return None;
        }
        let count = self.waiting.len().min(MOST_IN_MESSAGE);
        let notices = self.waiting.drain(..count).collect();
        let message = Message { notices, left_out: std::mem::take(&mut self.left_out) };
        self.in_flight = Some(message.clone());
        Some(message)
    }

    /// When to ask for the next message.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = self.due.filter(|_| self.in_flight.is_none())?;
        let limit = usize::try_from(self.pace.limit).unwrap_or(usize::MAX);
        let counts = self.sent.len().checked_sub(limit).filter(|_| limit > 0);
        let free = counts.and_then(|first| self.sent.get(first)).map(|&sent| sent + self.pace.span);
        Some(free.map_or(due, |free| due.max(free)))
    }

    fn note_sent(&mut self, now: Instant) {
        self.sent.push_back(now);
        let limit = usize::try_from(self.pace.limit).unwrap_or(usize::MAX);
        while self.sent.len() > limit {
            self.sent.pop_front();
        }
    }
}

impl Message {
    /// What happened, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let first = self.notices.first().map(|notice| notice.event.to_string()).unwrap_or_default();
        match self.notices.len() as u64 + self.left_out {
            0 | 1 => first,
            all => format!("{first} (and {} more)", all - 1),
        }
    }

    /// What happened, one line for each event, with the times in UTC.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text: String = self.notices.iter().map(line).collect();
        if self.left_out > 0 {
            text +=
                &format!("{} more events are not told of here; the log has them.\n", self.left_out);
        }
        text
    }
}

fn line(notice: &Notice) -> String {
    let time = super::TimeOfDay::of(notice.at).rfc_3339();
    let again = if notice.repeated { "still: " } else { "" };
    let Notice { event, .. } = notice;
    let why = event.why().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{time} {}: {again}{event}{why}\n", event.subsystem())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::control::Event;

    const GROUP: Duration = Duration::from_secs(10);
    const HOUR: Duration = Duration::from_secs(3600);

    fn notice(changes: usize) -> Notice {
        Notice::new(Duration::ZERO, Event::Reloaded { changes })
    }

    fn outlet(limit: u32) -> Outlet {
        Outlet::new(Pace::new(GROUP, limit, HOUR))
    }

    #[test]
    fn events_that_come_together_are_one_message() {
        let (mut outlet, start) = (outlet(0), Instant::from_millis(1));
        outlet.handle_notice(start, notice(1));
        outlet.handle_notice(start + GROUP / 2, notice(2));
        assert_eq!(outlet.poll_output(start + GROUP / 2), None);
        let message = outlet.poll_output(start + GROUP).unwrap();
        assert_eq!(message.notices, [notice(1), notice(2)]);
        assert!(message.summary().ends_with("(and 1 more)"));
        outlet.handle_result(start + GROUP, true);
        assert_eq!(outlet.poll_timeout(), None);
    }

    #[test]
    fn what_fails_is_tried_again_ever_later_and_given_up_in_the_end() {
        let (mut outlet, mut now) = (outlet(0), Instant::from_millis(1));
        outlet.handle_notice(now, notice(1));
        let mut pauses = Vec::new();
        while let Some(due) = outlet.poll_timeout() {
            pauses.push((due - now).as_secs());
            now = due;
            assert_eq!(outlet.poll_output(now).unwrap().notices, [notice(1)]);
            outlet.handle_result(now, false);
        }
        assert_eq!(pauses, [10, 5, 10, 20, 40, 80, 160, 320]);
        outlet.handle_notice(now, notice(2));
        let message = outlet.poll_output(now + GROUP).unwrap();
        assert_eq!((message.notices, message.left_out), (vec![notice(2)], 1));
    }

    proptest! {
        #[test]
        fn no_event_is_lost_unsaid_and_no_hour_has_more_messages_than_allowed(
            limit in 1..4_u32,
            inputs in proptest::collection::vec((0..2000_u64, any::<bool>()), 1..60),
        ) {
            let (mut outlet, mut now) = (outlet(limit), Instant::from_millis(1));
            let (mut told, mut left_out, mut sent) = (Vec::new(), 0, Vec::<Instant>::new());
            for (place, (pause, delivered)) in inputs.iter().enumerate() {
                now += Duration::from_secs(*pause);
                outlet.handle_notice(now, notice(place));
                if let Some(message) = outlet.poll_output(now) {
                    let recent = sent.iter().filter(|&&sent| now - sent < HOUR).count();
                    prop_assert!(recent < limit as usize);
                    sent.push(now);
                    if *delivered {
                        left_out += message.left_out;
                        told.extend(message.notices.iter().map(|n| n.event.to_string()));
                    }
                    outlet.handle_result(now, *delivered);
                }
            }
            outlet.flush(now);
            while let Some(message) = outlet.poll_output(now) {
                left_out += message.left_out;
                told.extend(message.notices.iter().map(|n| n.event.to_string()));
                outlet.handle_result(now, true);
                outlet.flush(now);
            }
            prop_assert_eq!(told.len() as u64 + left_out + outlet.left_out, inputs.len() as u64);
            let mut once = told.clone();
            once.dedup();
            prop_assert_eq!(once, told);
        }
    }
}
