//! Whether a director is ready to take a service back that another one serves well.

use std::time::Duration;

use crate::control::Event;
use crate::time::Instant;

/// Waiting is over after this: a server whose checks never come to a verdict, or a sync daemon that
/// does not start, must not keep the primary from its service for good.
const LIMIT: Duration = Duration::from_secs(300);

/// What a director has come to know since its start.
#[derive(Debug)]
pub(super) struct Warmth {
    start: Instant,
    warm: bool,
}

impl Warmth {
    pub(super) const fn new(start: Instant) -> Self {
        Self { start, warm: false }
    }

    pub(super) const fn is_warm(&self) -> bool {
        self.warm
    }

    /// Says it once, when nothing is missing any more or the wait is over. Servers that a reload
    /// adds later do not count.
    pub(super) fn update(&mut self, now: Instant, checked: bool, synced: bool) -> Option<Event> {
        let over = now - self.start >= LIMIT;
        if self.warm || !(over || checked && synced) {
            return None;
        }
        self.warm = true;
        let missing = match (checked, synced) {
            (true, true) => None,
            (false, true) => Some("not every server had a verdict of its checks"),
            (true, false) => Some("connections of the other director may be unknown"),
            (false, false) => Some("servers had no verdict, and connections may be unknown"),
        };
        Some(Event::Warm { missing: missing.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_and_only_when_checks_and_connections_are_known() {
        let mut warmth = Warmth::new(Instant::ZERO);
        let now = Instant::from_millis(500);
        assert_eq!(warmth.update(now, true, false), None);
        assert_eq!(warmth.update(now, false, true), None);
        assert!(!warmth.is_warm());
        assert_eq!(warmth.update(now, true, true), Some(Event::Warm { missing: None }));
        assert!(warmth.is_warm());
        assert_eq!(warmth.update(now, true, true), None);
        assert_eq!(warmth.update(now, false, true), None);
        assert!(warmth.is_warm());
    }

    #[test]
    fn waiting_for_what_never_comes_has_an_end_that_says_what_is_missing() {
        let mut warmth = Warmth::new(Instant::ZERO);
        assert_eq!(warmth.update(Instant::ZERO + LIMIT / 2, false, false), None);
        let told = warmth.update(Instant::ZERO + LIMIT, true, false);
        assert!(told.is_some_and(|event| event.is_warning()));
        assert!(warmth.is_warm());
    }
}
