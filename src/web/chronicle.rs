//! The events of both daemons in one list, each with a number of its own.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use crate::control::protocol::Daemon;
use crate::control::{Record, Timestamp};

/// Events that are remembered.
const MEMORY: usize = 2000;

/// An event as pages and programs are told of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Told {
    /// Greater than that of any event told before, as long as this server runs.
    pub(crate) id: u64,
    pub(crate) node: String,
    /// Whether that is this node, whatever both are called.
    #[serde(skip)]
    pub(crate) is_own: bool,
    pub(crate) daemon: Daemon,
    pub(crate) subsystem: &'static str,
    /// Whether somebody should look at it now.
    pub(crate) warning: bool,
    #[serde(serialize_with = "calendar")]
    pub(crate) at: Timestamp,
    /// In words.
    pub(crate) text: String,
    /// What brought it about.
    pub(crate) why: Option<String>,
    /// As data.
    pub(crate) event: Value,
}

fn calendar<S: serde::Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

/// The last events.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    told: VecDeque<Told>,
    last: u64,
}

impl Chronicle {
    /// Adds what `daemon` told, of the node of this name, which is this one or the partner.
    pub(crate) fn add(
        &mut self,
        (node, is_own): (&str, bool),
        daemon: Daemon,
        record: &Record,
    ) -> Told {
        self.last += 1;
        let event = &record.event;
        let told = Told {
            id: self.last,
            node: node.to_owned(),
            is_own,
            daemon,
            subsystem: event.subsystem(),
            warning: event.is_warning(),
            at: record.at,
            text: event.to_string(),
            why: event.why(),
            event: serde_json::to_value(event).unwrap_or_default(),
        };
        // Both tell from their memory first: what happened earlier goes before.
        let place = self.told.partition_point(|before| before.at <= told.at);
        self.told.insert(place, told.clone());
        if self.told.len() > MEMORY {
            self.told.pop_front();
        }
        told
    }

    /// What is remembered with a number greater than `after`, the oldest first.
    pub(crate) fn after(&self, after: u64) -> impl Iterator<Item = &Told> {
        self.told.iter().filter(move |told| told.id > after)
    }

    /// The last `most`, the latest first.
    pub(crate) fn latest(&self, most: usize) -> impl Iterator<Item = &Told> {
        self.told.iter().rev().take(most)
    }

    /// The number of the last event.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Event, History};

    #[test]
    fn events_of_both_daemons_stand_in_the_order_in_which_they_happened() {
        let (mut pulse, mut lvs) = (History::new(9), History::new(9));
        let mut all = Chronicle::default();
        let warning = |text: &str| Event::Warning { text: text.to_owned() };
        let one = pulse.add(Timestamp(1), warning("a")).clone();
        let three = pulse.add(Timestamp(3), warning("c")).clone();
        let two = lvs.add(Timestamp(2), warning("b")).clone();
        for (daemon, record) in [(Daemon::Pulse, one), (Daemon::Pulse, three), (Daemon::Lvs, two)] {
            all.add(("lb1", true), daemon, &record);
        }
        let texts: Vec<_> = all.after(0).map(|told| told.text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "c"]);
        assert_eq!(all.after(2).map(|told| told.text.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(all.latest(1).next().map(|told| told.id), Some(2));
    }
}
