//! What the clients saw: every request with its start, its end and its outcome.
//!
//! The story divides its run into named phases; the ledger answers, per phase, how many requests
//! were sent and failed and which servers answered, and, for any window of time, how long the
//! service was away as seen by a client.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::units::serialize_millis;

/// Requests remembered, which is far more than a story makes; later ones are only counted.
const RECORD_LIMIT: usize = 1_000_000;

/// Who sent a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sender {
    /// One of the clients that make up the load.
    Client,
    /// The one client that asks as often as it can, so that gaps are measured finely.
    Prober,
}

/// Why a request failed, as far as a client can tell.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    /// Nobody listens on the VIP.
    Refused,
    /// The connection was reset.
    Reset,
    /// The connection ended before the answer did.
    CutShort,
    /// No connection, or no complete answer, within the time a client waits.
    TimedOut,
    /// An answer that is not what was asked for.
    BadAnswer,
    /// Anything else, for instance no free local port.
    Other,
}

impl Failure {
    /// The reason in the words of the report.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::CutShort => "cut short",
            Self::TimedOut => "timed out",
            Self::BadAnswer => "bad answer",
            Self::Other => "other",
        }
    }
}

/// How a request ended: the name of the server that answered, or why none did.
pub(crate) type Outcome = Result<String, Failure>;

#[derive(Clone, Copy, Debug)]
struct Record {
    sender: Sender,
    start: Instant,
    end: Instant,
    /// The server's place in [`Pages::servers`].
    outcome: Result<usize, Failure>,
}

#[derive(Clone, Debug)]
struct Phase {
    name: String,
    from: Instant,
    to: Option<Instant>,
}

#[derive(Debug, Default)]
struct Pages {
    records: Vec<Record>,
    forgotten: u64,
    servers: Vec<String>,
    phases: Vec<Phase>,
}

impl Pages {
    fn server_number(&mut self, name: String) -> usize {
        let known = self.servers.iter().position(|server| *server == name);
        known.unwrap_or_else(|| {
            self.servers.push(name);
            self.servers.len() - 1
        })
    }

    fn close_phase(&mut self, now: Instant) {
        if let Some(phase) = self.phases.last_mut() {
            phase.to.get_or_insert(now);
        }
    }
}

/// Requests of one sort, sent and failed. A request counts as sent once its outcome is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Count {
    /// All of them.
    pub(crate) sent: u64,
    /// Those that got no proper answer.
    pub(crate) failed: u64,
}

/// What happened in one phase.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PhaseSummary {
    /// The phase's name.
    pub(crate) name: String,
    /// How long it lasted.
    #[serde(rename = "length_ms", serialize_with = "serialize_millis")]
    pub(crate) length: Duration,
    /// Requests of the load.
    pub(crate) clients: Count,
    /// Requests of the prober, which never stops asking, so that failures here are a measure of
    /// time and not of harm.
    pub(crate) prober: Count,
    /// The longest a successful request took, from connecting to the end of the answer.
    #[serde(rename = "slowest_ms", serialize_with = "serialize_millis")]
    pub(crate) slowest: Duration,
    /// Failures of clients and prober by reason.
    pub(crate) reasons: BTreeMap<Failure, u64>,
    /// Answers by server, clients and prober together, since the director schedules both.
    pub(crate) servers: BTreeMap<String, u64>,
}

impl PhaseSummary {
    fn new(phase: &Phase, to: Instant) -> Self {
        Self {
            name: phase.name.clone(),
            length: to.saturating_duration_since(phase.from),
            clients: Count::default(),
            prober: Count::default(),
            slowest: Duration::ZERO,
            reasons: BTreeMap::new(),
            servers: BTreeMap::new(),
        }
    }

    /// A phase that never was.
    pub(crate) fn empty() -> Self {
        let now = Instant::now();
        Self::new(&Phase { name: String::new(), from: now, to: None }, now)
    }

    fn add(&mut self, record: &Record, servers: &[String]) {
        let count = match record.sender {
            Sender::Client => &mut self.clients,
            Sender::Prober => &mut self.prober,
        };
        count.sent += 1;
        match record.outcome {
            Ok(server) => {
                self.slowest = self.slowest.max(record.end - record.start);
                let name = servers.get(server).cloned().unwrap_or_default();
                *self.servers.entry(name).or_default() += 1;
            }
            Err(failure) => {
                count.failed += 1;
                *self.reasons.entry(failure).or_default() += 1;
            }
        }
    }
}

/// A time without service, as a client sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Gap {
    /// When the last request before it completed; the window's start if none did before.
    pub(crate) from: Instant,
    /// When the first request after it completed; the window's end if none did by then.
    pub(crate) to: Instant,
    /// Whether service came back: false if no request completed after the gap began.
    pub(crate) recovered: bool,
}

impl Gap {
    /// How long it lasted.
    pub(crate) fn length(self) -> Duration {
        self.to.saturating_duration_since(self.from)
    }
}

/// The shared record of all requests. Writing costs one short lock and 56 bytes. Reading goes
/// through all of it, and the clients wait meanwhile, so it is best done between measurements.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Pages>);

impl Ledger {
    /// An empty ledger, with no phase begun.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Writes down a request that went from `start` to `end`.
    pub(crate) fn record(&self, sender: Sender, start: Instant, end: Instant, outcome: Outcome) {
        let mut pages = self.pages();
        if pages.records.len() == RECORD_LIMIT {
            pages.forgotten += 1;
            return;
        }
        let outcome = outcome.map(|name| pages.server_number(name));
        pages.records.push(Record { sender, start, end, outcome });
    }

    /// Ends the current phase, if there is one, and begins another. Returns the moment.
    pub(crate) fn begin_phase(&self, name: &str) -> Instant {
        let mut pages = self.pages();
        let now = Instant::now();
        pages.close_phase(now);
        let name = name.to_owned();
        pages.phases.push(Phase { name, from: now, to: None });
        now
    }

    /// Ends the current phase. Returns the moment.
    pub(crate) fn end_phase(&self) -> Instant {
        let now = Instant::now();
        self.pages().close_phase(now);
        now
    }

    /// Requests that were not written down because the ledger was full. Not zero means that
    /// every other figure is too low.
    pub(crate) fn forgotten(&self) -> u64 {
        self.pages().forgotten
    }

    /// All phases in order. A request belongs to the phase in which it *ended*, because that is
    /// when its outcome was decided: one that a dying director broke counts for the failover,
    /// however early it was sent.
    pub(crate) fn phases(&self) -> Vec<PhaseSummary> {
        let pages = self.pages();
        let now = Instant::now();
        let mut summaries = Vec::with_capacity(pages.phases.len());
        for phase in &pages.phases {
            let to = phase.to.unwrap_or(now);
            let mut summary = PhaseSummary::new(phase, to);
            for record in &pages.records {
                if phase.from <= record.end && record.end < to {
                    summary.add(record, &pages.servers);
                }
            }
            summaries.push(summary);
        }
        summaries
    }

    /// The longest gap that touches the window; `None` if the window has no length and no request
    /// ever succeeded.
    ///
    /// A gap lasts from the completion of one successful request to the completion of the next,
    /// whoever sent them. Its ends may lie outside the window: cutting it off there would hide
    /// the part of an outage that began just before the story took note. A gap therefore is never
    /// zero; with the prober asking every millisecond, it is an undisturbed service's 1 to 2 ms.
    ///
    /// The window has to end while clients are at work: their going home looks like an outage.
    pub(crate) fn longest_gap(&self, from: Instant, to: Instant) -> Option<Gap> {
        let successes = self.successes();
        let first = successes.partition_point(|end| *end <= from).saturating_sub(1);
        let last = successes.partition_point(|end| *end < to);
        let inside = successes.get(first..=last.min(successes.len().saturating_sub(1)));
        let inside = inside.unwrap_or_default();

        let between =
            inside.windows(2).map(|pair| Gap { from: pair[0], to: pair[1], recovered: true });
        let before = inside.first().filter(|first| **first > from);
        let before = before.map(|first| Gap { from, to: *first, recovered: true });
        let after = inside.last().copied().unwrap_or(from);
        let after = (after < to).then_some(Gap { from: after, to, recovered: false });
        between.chain(before).chain(after).max_by_key(|gap| gap.length())
    }

    /// The answers of each server to requests that ended in the window.
    pub(crate) fn answers(&self, from: Instant, to: Instant) -> BTreeMap<String, u64> {
        let pages = self.pages();
        let mut answers = BTreeMap::new();
        for record in &pages.records {
            let Ok(server) = record.outcome else { continue };
            if from <= record.end && record.end < to {
                let name = pages.servers.get(server).cloned().unwrap_or_default();
                *answers.entry(name).or_default() += 1;
            }
        }
        answers
    }

    /// When the successful requests completed, in order.
    fn successes(&self) -> Vec<Instant> {
        let pages = self.pages();
        let successful = pages.records.iter().filter(|record| record.outcome.is_ok());
        let mut ends: Vec<_> = successful.map(|record| record.end).collect();
        // Several threads write, so the records are nearly but not quite in order.
        ends.sort_unstable();
        ends
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A record is pushed in one step, so a panic elsewhere cannot have left half of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One server's part of the answers, against what its weight promised.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Share {
    /// The server.
    pub(crate) server: String,
    /// Its weight.
    pub(crate) weight: u32,
    /// Its answers.
    pub(crate) answers: u64,
    /// The part of all answers its weight promises, 0 to 1.
    pub(crate) expected: f64,
    /// The part of all answers it gave, 0 to 1.
    pub(crate) seen: f64,
    /// Whether the two differ by no more than the tolerance.
    pub(crate) held: bool,
}

/// Compares answers with weights. `tolerance` is absolute: 0.02 allows 31 to 35 % for a server
/// that should have 33 %. A server of weight 0 must not have answered at all, tolerance or not;
/// a server that is not in `weights` counts as one of weight 0.
pub(crate) fn shares(
    answers: &BTreeMap<String, u64>,
    weights: &BTreeMap<String, u32>,
    tolerance: f64,
) -> Vec<Share> {
    let total: u64 = answers.values().sum();
    let total_weight: u64 = weights.values().map(|weight| u64::from(*weight)).sum();
    let mut names: Vec<&String> = weights.keys().chain(answers.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let share = |name: &String| {
        let answers = answers.get(name).copied().unwrap_or_default();
        let weight = weights.get(name).copied().unwrap_or_default();
        let expected = ratio(u64::from(weight), total_weight);
        let seen = ratio(answers, total);
        let held = match weight {
            0 => answers == 0,
            _ => (expected - seen).abs() <= tolerance,
        };
        Share { server: name.clone(), weight, answers, expected, seen, held }
    };
    names.into_iter().map(share).collect()
}

/// `part` of `whole`, zero for no part of nothing.
#[allow(clippy::cast_precision_loss, reason = "counts of requests stay far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A ledger with successful requests at these milliseconds, and its time zero.
    fn ledger(successes: &[u32]) -> (Ledger, Instant) {
        let (ledger, zero) = (Ledger::new(), Instant::now());
        for at in successes {
            ledger.record(Sender::Prober, zero, zero + *at * MS, Ok("web1".to_owned()));
        }
        (ledger, zero)
    }

    fn longest(successes: &[u32], from: u32, to: u32) -> Option<(u128, u128, bool)> {
        let (ledger, zero) = ledger(successes);
        let gap = ledger.longest_gap(zero + from * MS, zero + to * MS)?;
        let millis = |at: Instant| (at - zero).as_millis();
        Some((millis(gap.from), millis(gap.to), gap.recovered))
    }

    #[test]
    fn the_longest_gap_lies_between_two_successes() {
        assert_eq!(longest(&[1, 2, 40, 41], 0, 50), Some((2, 40, true)));
    }

    #[test]
    fn a_gap_is_whole_even_if_the_window_sees_only_a_part() {
        assert_eq!(longest(&[1, 2, 40, 41], 20, 21), Some((2, 40, true)));
        assert_eq!(longest(&[1, 2, 40, 41, 42], 30, 42), Some((2, 40, true)));
        assert_eq!(longest(&[1, 2, 3, 40], 2, 10), Some((3, 40, true)));
    }

    #[test]
    fn a_gap_outside_the_window_does_not_count() {
        assert_eq!(longest(&[1, 50, 51, 53, 90], 50, 53), Some((51, 53, true)));
    }

    #[test]
    fn service_that_never_returns_is_a_gap_up_to_the_windows_end() {
        assert_eq!(longest(&[1, 2], 0, 50), Some((2, 50, false)));
        assert_eq!(longest(&[], 10, 50), Some((10, 50, false)));
        assert_eq!(longest(&[60], 10, 50), Some((10, 60, true)));
        assert_eq!(longest(&[], 10, 10), None);
    }

    #[test]
    fn the_order_in_which_threads_write_does_not_matter() {
        assert_eq!(longest(&[41, 1, 40, 2], 0, 42), Some((2, 40, true)));
    }

    #[test]
    fn a_record_is_as_small_as_the_documentation_says() {
        assert!(size_of::<Record>() <= 56);
    }

    #[test]
    fn failures_never_end_a_gap() {
        let (ledger, zero) = ledger(&[1, 40]);
        ledger.record(Sender::Client, zero, zero + 20 * MS, Err(Failure::Refused));
        let gap = ledger.longest_gap(zero, zero + 40 * MS).unwrap();
        assert_eq!(gap.length(), 39 * MS);
    }

    #[test]
    fn a_request_counts_in_the_phase_in_which_it_ended() {
        let ledger = Ledger::new();
        let before = Instant::now();
        let first = ledger.begin_phase("calm");
        let second = ledger.begin_phase("storm");
        let end = ledger.end_phase();
        ledger.record(Sender::Client, before, first, Ok("web1".to_owned()));
        ledger.record(Sender::Prober, before, second, Err(Failure::Reset));
        ledger.record(Sender::Client, before, end, Ok("web2".to_owned()));
        let [calm, storm] = &ledger.phases()[..] else {
            panic!("two phases");
        };
        assert_eq!(calm.clients, Count { sent: 1, failed: 0 });
        assert_eq!(calm.slowest, first - before);
        assert_eq!(calm.servers.get("web1"), Some(&1));
        assert_eq!(storm.prober, Count { sent: 1, failed: 1 });
        assert_eq!(storm.clients, Count::default());
        assert_eq!(storm.slowest, Duration::ZERO);
        assert_eq!(storm.reasons.get(&Failure::Reset), Some(&1));
    }

    #[test]
    fn shares_are_measured_against_weights() {
        let answers = [("a", 61), ("b", 39), ("c", 0)].map(|(n, c)| (n.to_owned(), c)).into();
        let weights = [("a", 2), ("b", 1), ("c", 0)].map(|(n, w)| (n.to_owned(), w)).into();
        let held = |tolerance| -> Vec<bool> {
            shares(&answers, &weights, tolerance).iter().map(|share| share.held).collect()
        };
        assert_eq!(held(0.10), [true, true, true]);
        assert_eq!(held(0.01), [false, false, true]);
    }

    #[test]
    fn one_answer_of_a_drained_server_is_one_too_many() {
        let answers = [("a", 1_000_000), ("c", 1)].map(|(n, c)| (n.to_owned(), c)).into();
        let weights = [("a", 1), ("c", 0)].map(|(n, w)| (n.to_owned(), w)).into();
        let [a, c] = &shares(&answers, &weights, 0.5)[..] else {
            panic!("two servers");
        };
        assert!(a.held && !c.held);
    }
}
