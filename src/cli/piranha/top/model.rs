//! What is known, and what of it is looked at.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use super::form::Form;
use super::rows::{Row, Sort, rows};
use super::trend::Trends;
use crate::control::protocol::{Daemon, Servers};
use crate::control::status::{Reading, STALE, Status};
use crate::control::{Record, Timestamp};
use crate::time::Instant;

/// Events that are kept to look at.
const EVENTS: usize = 2000;

/// What can be looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum View {
    Overview,
    Services,
    Servers,
    Cluster,
    Checks,
    Events,
}

impl View {
    pub(super) const ALL: [Self; 6] =
        [Self::Overview, Self::Services, Self::Servers, Self::Cluster, Self::Checks, Self::Events];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Services => "Services",
            Self::Servers => "Servers",
            Self::Cluster => "Cluster",
            Self::Checks => "Checks",
            Self::Events => "Events",
        }
    }

    /// Its place among all of them, from 0.
    pub(super) const fn place(self) -> usize {
        self as usize
    }
}

/// What stands in the last line for a while.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) is_bad: bool,
    pub(super) since: Instant,
}

/// What tells an event from all others.
type EventKey = (Daemon, u64, Timestamp);

fn event_key((daemon, record): &(Daemon, Record)) -> EventKey {
    (*daemon, record.number, record.at)
}

/// All that a picture is drawn from.
pub(super) struct Model {
    pub(super) now: Instant,
    pub(super) view: View,
    pub(super) read_only: bool,
    /// What was last heard, made unknown once it is too old.
    pub(super) status: Option<Status>,
    /// When that was.
    pub(super) heard: Instant,
    /// What stands still, and since when, while paused.
    pub(super) paused: Option<(Option<Status>, Instant)>,
    pub(super) trends: Trends,
    /// The oldest first.
    pub(super) events: VecDeque<(Daemon, Record)>,
    /// The event that is meant; the newest one if none is.
    event: Option<EventKey>,
    /// The row that is meant, by its key, for each view.
    pub(super) selected: [Option<String>; 6],
    /// The services whose servers stand below them, and the rows of which more is told.
    pub(super) expanded: BTreeSet<String>,
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) is_filtering: bool,
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    pub(super) form: Option<Form>,
    pub(super) is_helping: bool,
    pub(super) notice: Option<Notice>,
    interval: Duration,
}

impl Model {
    /// Nothing is known yet; the daemons are to be asked every `interval`.
    pub(super) fn new(now: Instant, interval: Duration, view: View, read_only: bool) -> Self {
        Self {
            now,
            view,
            read_only,
            status: None,
            heard: now,
            paused: None,
            trends: Trends::default(),
            events: VecDeque::new(),
            event: None,
            selected: Default::default(),
            expanded: BTreeSet::new(),
            filter: String::new(),
            is_filtering: false,
            sort: Sort::Trouble,
            is_reversed: false,
            form: None,
            is_helping: false,
            notice: None,
            interval,
        }
    }

    /// What is to be drawn: what stands still while paused, else what was last heard.
    pub(super) fn shown(&self) -> Option<&Status> {
        match &self.paused {
            Some((status, _)) => status.as_ref(),
            None => self.status.as_ref(),
        }
    }

    /// When that is, by the calendar.
    pub(super) fn at(&self) -> Timestamp {
        self.shown().map_or(Timestamp(0), |status| status.at)
    }

    /// The rows of the view, filtered and sorted.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let Some(lvs) = self.shown().and_then(|status| status.lvs.known()) else {
            return Vec::new();
        };
        rows(self, lvs)
    }

    /// The place of the row that is meant; the first one where that is gone.
    pub(super) fn cursor(&self, rows: &[Row<'_>]) -> usize {
        let wanted = self.selected[self.view.place()].as_deref();
        let found = wanted.and_then(|key| rows.iter().position(|row| row.key() == key));
        found.unwrap_or(0)
    }

    /// The events that pass the filter, the newest first.
    pub(super) fn told(&self) -> impl Iterator<Item = &(Daemon, Record)> {
        self.events.iter().rev().filter(|(_, record)| self.passes(&record.event.to_string()))
    }

    /// Whether the filter lets a text through: by its letters, whatever their case.
    pub(super) fn passes(&self, text: &str) -> bool {
        self.filter.is_empty() || text.to_lowercase().contains(&self.filter.to_lowercase())
    }

    /// Which servers have to be asked for, for what is looked at.
    pub(super) fn wanted(&self) -> Servers {
        match self.view {
            View::Servers | View::Checks => Servers::All,
            View::Services if !self.expanded.is_empty() => Servers::All,
            _ => Servers::Notable,
        }
    }

    pub(super) fn is_pulse_known(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.pulse.known().is_some())
    }

    /// Takes in what the daemons say.
    pub(super) fn hear(&mut self, status: Status) {
        self.trends.note(&status);
        self.heard = self.now;
        self.status = Some(status);
    }

    /// What was heard too long ago says nothing of the present.
    pub(super) fn age(&mut self) {
        let silence = self.now - self.heard;
        let Some(status) = &self.status else { return };
        if silence <= STALE + self.interval {
            return;
        }
        let reason = format!("nothing has been heard for {}s", silence.as_secs());
        let unknown = || reason.clone();
        let (pulse, lvs) =
            (Reading::Unknown { reason: unknown() }, Reading::Unknown { reason: unknown() });
        self.status = Some(Status::new(status.node.clone(), status.at, pulse, lvs));
    }

    /// Takes in events; a daemon that is found again tells some twice.
    pub(super) fn note_events(&mut self, daemon: Daemon, records: Vec<Record>) {
        let known: HashSet<_> = self.events.iter().map(event_key).collect();
        let news = records.into_iter().map(|record| (daemon, record));
        self.events.extend(news.filter(|event| !known.contains(&event_key(event))));
        self.events.make_contiguous().sort_by_key(|(_, record)| record.at);
        let excess = self.events.len().saturating_sub(EVENTS);
        self.events.drain(..excess);
    }

    /// The place of the event that is meant, from the newest.
    pub(super) fn event_cursor(&self) -> usize {
        let Some(wanted) = self.event else { return 0 };
        self.told().position(|event| event_key(event) == wanted).unwrap_or(0)
    }

    /// Means another event, so many older.
    pub(super) fn step_events(&mut self, by: isize) {
        let last = self.told().count().saturating_sub(1);
        let place = self.event_cursor().saturating_add_signed(by).min(last);
        // The newest one stays the newest when another comes.
        self.event = if place == 0 { None } else { self.told().nth(place).map(event_key) };
    }

    pub(super) fn tell(&mut self, text: impl Into<String>, is_bad: bool) {
        self.notice = Some(Notice { text: text.into(), is_bad, since: self.now });
    }
}
