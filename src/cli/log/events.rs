//! What becomes a log line of an event.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::repeats::Repeats;
use crate::control::{Age, Event};
use crate::failover::Transition;
use crate::runtime::clock;
use crate::runtime::heartbeat::Observer;
use crate::time::Instant;

/// The field of a log line that carries its event as JSON.
pub(super) const EVENT: &str = "event";

/// The field that says for how long what an event ended had been so, in milliseconds.
pub(super) const LASTED: &str = "lasted_ms";

/// Servers of which is remembered since when they are what they are.
const MAX_SERVERS: usize = 1 << 17;

/// Logs each event as one line: what happened, for how long it had been otherwise, and why.
pub(in crate::cli) fn observer() -> Observer {
    let log = Mutex::new(Log::new(clock::now()));
    Arc::new(move |event: Event| {
        log.lock().unwrap_or_else(PoisonError::into_inner).take(clock::now(), &event);
    })
}

struct Log {
    /// Since when this director has been in its state.
    since: Instant,
    servers: HashMap<(String, SocketAddr), Instant>,
    repeats: Repeats,
}

impl Log {
    fn new(now: Instant) -> Self {
        Self { since: now, servers: HashMap::new(), repeats: Repeats::default() }
    }

    fn take(&mut self, now: Instant, event: &Event) {
        for (text, count) in self.repeats.over(now) {
            tracing::warn!("{text} ({count} more times)");
        }
        let lasted = self.lasted(now, event);
        let line = line(event, lasted);
        if !may_be_left_out(event) || self.repeats.is_new(now, &line) {
            write(event, lasted, &line);
        }
    }

    /// For how long what the event ends had been so.
    fn lasted(&mut self, now: Instant, event: &Event) -> Option<Duration> {
        match event {
            Event::Transition(_) => Some(now - std::mem::replace(&mut self.since, now)),
            Event::Health { service, address, .. } => {
                if self.servers.len() >= MAX_SERVERS {
                    // Servers of configurations long gone: what is told next has no duration.
                    self.servers.clear();
                }
                let since = self.servers.insert((service.clone(), *address), now);
                since.map(|since| now - since)
            }
            _ => None,
        }
    }
}

/// What may come again and again for as long as something is wrong. Changes are never left out.
const fn may_be_left_out(event: &Event) -> bool {
    matches!(
        event,
        Event::Warning { .. }
            | Event::AddressRestored { .. }
            | Event::AddressConflict { .. }
            | Event::LoadUnknown { .. }
    )
}

fn line(event: &Event, lasted: Option<Duration>) -> String {
    let subsystem = event.subsystem();
    let reason = event.why().map(|why| format!(" ({why})")).unwrap_or_default();
    let before = match (event, lasted.map(Age)) {
        // It ends with the state before.
        (Event::Transition(Transition { .. }), Some(lasted)) => format!(" for {lasted}"),
        (Event::Health { from, .. }, Some(lasted)) => format!(", was {from} for {lasted}"),
        (Event::Health { from, .. }, None) => format!(", was {from}"),
        _ => String::new(),
    };
    format!("{subsystem}: {event}{before}{reason}")
}

fn write(event: &Event, lasted: Option<Duration>, line: &str) {
    let json = serde_json::to_string(event).unwrap_or_default();
    let lasted_ms = lasted.map(|lasted| u64::from(Age(lasted)));
    if event.is_warning() {
        tracing::warn!(event = json, lasted_ms, "{line}");
    } else {
        tracing::info!(event = json, lasted_ms, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::{Cause, State};
    use crate::health::Health;

    fn health(from: Health, to: Health) -> Event {
        Event::Health {
            service: "web".to_owned(),
            server: "s1".to_owned(),
            address: ([10, 0, 0, 1], 80).into(),
            from,
            to,
            reason: "connection refused".to_owned(),
        }
    }

    #[test]
    fn a_change_says_what_was_before_and_for_how_long_and_keeps_the_historical_phrase() {
        let mut log = Log::new(Instant::ZERO);
        let at = |seconds: u64| Instant::from_millis(seconds * 1000);
        let mut told = |seconds, event: &Event| {
            let lasted = log.lasted(at(seconds), event);
            line(event, lasted)
        };
        let up = health(Health::Rising, Health::Up);
        assert_eq!(
            told(5, &up),
            "nanny: [ active ] making 10.0.0.1:80 available (web/s1), was rising \
             (connection refused)"
        );
        let down = health(Health::Falling, Health::Down);
        assert_eq!(
            told(65, &down),
            "nanny: [inactive] shutting down 10.0.0.1:80 (web/s1), was falling for 1m 0s \
             (connection refused)"
        );
        let took = Transition::new(State::Standby, State::Acquiring, Cause::PeerDead);
        assert_eq!(
            told(3725, &Event::Transition(took)),
            "pulse: activating lvs, was standby for 1h 2m (partner dead)"
        );
    }
}
