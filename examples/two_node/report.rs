//! The closing table: what was promised, what the clients saw, and whether the two agree.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::ftp_client;
use crate::ledger::{Count, Gap, PhaseSummary, Share};
use crate::stall::Stalls;
use crate::units::{millis, serialize_millis};

/// Everything the run has to show.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Requests per phase.
    pub(crate) phases: Vec<PhaseSummary>,
    /// The moments at which the service changed hands.
    pub(crate) takeovers: Vec<Takeover>,
    /// Answers per server against the weights, where they were judged.
    pub(crate) shares: Vec<PhaseShares>,
    /// FTP transfers.
    pub(crate) files: Vec<ftp_client::Report>,
    /// Everything else that had to be so.
    pub(crate) promises: Vec<Promise>,
}

/// The shares of one phase.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PhaseShares {
    /// The phase's name.
    pub(crate) phase: String,
    /// The servers' shares in it.
    pub(crate) servers: Vec<Share>,
}

/// How a promise fared.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It was kept.
    Held,
    /// It was kept once the time in which the machine itself stood still is taken off.
    HeldButForStalls,
    /// It was not kept.
    Broken,
}

impl From<bool> for Verdict {
    fn from(held: bool) -> Self {
        if held { Self::Held } else { Self::Broken }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Held => "ok",
            Self::HeldButForStalls => "ok but for stalls",
            Self::Broken => "BROKEN",
        })
    }
}

/// A change of hands, as the clients saw it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Takeover {
    /// What caused it.
    pub(crate) cause: String,
    /// The longest time without a completed request.
    #[serde(rename = "gap_ms", serialize_with = "serialize_millis")]
    pub(crate) gap: Duration,
    /// The longest gap promised.
    #[serde(rename = "allowed_ms", serialize_with = "serialize_millis")]
    pub(crate) allowed: Duration,
    /// The longest time the machine stood still during the gap.
    #[serde(rename = "stalled_ms", serialize_with = "serialize_millis")]
    pub(crate) stalled: Duration,
    /// Whether the promise was kept.
    pub(crate) verdict: Verdict,
}

impl Takeover {
    /// Judges a gap. Service that did not come back, or of which there is no record, broke the
    /// promise; a gap that is too long by no more than the longest stall within it did not.
    pub(crate) fn judge(cause: &str, gap: Option<Gap>, allowed: Duration, stalls: Stalls) -> Self {
        let length = gap.map_or(Duration::ZERO, Gap::length);
        let verdict = match gap {
            Some(gap) if !gap.recovered => Verdict::Broken,
            None => Verdict::Broken,
            Some(_) if length <= allowed => Verdict::Held,
            Some(_) if length.saturating_sub(stalls.longest) <= allowed => {
                Verdict::HeldButForStalls
            }
            Some(_) => Verdict::Broken,
        };
        let cause = cause.to_owned();
        Self { cause, gap: length, allowed, stalled: stalls.longest, verdict }
    }
}

/// Something that had to be so.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Promise {
    /// What had to be so.
    pub(crate) what: String,
    /// Whether it was.
    pub(crate) verdict: Verdict,
    /// What was seen.
    pub(crate) seen: String,
}

impl Promise {
    /// A promise, whether it held, and what was seen.
    pub(crate) fn new(what: &str, held: bool, seen: impl Into<String>) -> Self {
        Self { what: what.to_owned(), verdict: held.into(), seen: seen.into() }
    }
}

impl Report {
    /// Whether every promise held: what the exit code says.
    pub(crate) fn held(&self) -> bool {
        let takeovers = self.takeovers.iter().map(|takeover| takeover.verdict);
        let promises = self.promises.iter().map(|promise| promise.verdict);
        takeovers.chain(promises).all(|verdict| verdict != Verdict::Broken)
            && self.shares.iter().flat_map(|phase| &phase.servers).all(|share| share.held)
            && self.files.iter().all(|file| file.whole)
    }
}

impl fmt::Display for Report {
    /// The tables, as plain text of at most 100 columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = [
            phases_table(&self.phases),
            takeovers_table(&self.takeovers),
            shares_table(&self.shares),
            files_table(&self.files),
            promises_table(&self.promises),
        ];
        for table in tables.iter().filter(|table| !table.rows.is_empty()) {
            writeln!(f, "{table}")?;
        }
        let last = if self.held() { "Every promise held." } else { "A PROMISE WAS BROKEN." };
        writeln!(f, "{last}")
    }
}

/// Rows of text whose columns line up: numbers flush right, words flush left.
struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn width(&self, column: usize) -> usize {
        let widest = self.cells(column).map(|cell| cell.chars().count()).max();
        self.header[column].chars().count().max(widest.unwrap_or(0))
    }

    fn holds_numbers(&self, column: usize) -> bool {
        self.cells(column).all(is_number)
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        let cells = self.rows.iter().filter_map(move |row| row.get(column));
        cells.map(String::as_str)
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let pad = |(column, cell): (usize, &str)| {
            let width = self.width(column);
            if self.holds_numbers(column) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        };
        let line = cells.enumerate().map(pad).collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.line(self.header.iter().copied());
        writeln!(f, "{header}\n{}", "-".repeat(header.chars().count()))?;
        for row in &self.rows {
            writeln!(f, "{}", self.line(row.iter().map(String::as_str)))?;
        }
        Ok(())
    }
}

/// Whether `cell` is a number, alone or with a unit: `12`, `0.5 s`, `33.3 %`.
fn is_number(cell: &str) -> bool {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    number.parse::<f64>().is_ok() && unit.len() <= 2
}

fn phases_table(phases: &[PhaseSummary]) -> Table {
    let row = |phase: &PhaseSummary| {
        let reasons = phase.reasons.iter();
        let reasons: Vec<_> = reasons.map(|(why, n)| format!("{n} {}", why.words())).collect();
        let Count { sent, failed } = phase.clients;
        vec![
            phase.name.clone(),
            format!("{:.1} s", phase.length.as_secs_f64()),
            sent.to_string(),
            failed.to_string(),
            phase.prober.sent.to_string(),
            phase.prober.failed.to_string(),
            format!("{:.1} ms", millis(phase.slowest)),
            reasons.join(", "),
        ]
    };
    Table {
        header: vec![
            "phase", "length", "requests", "failed", "probes", "failed", "slowest", "failures",
        ],
        rows: phases.iter().map(row).collect(),
    }
}

fn takeovers_table(takeovers: &[Takeover]) -> Table {
    let row = |takeover: &Takeover| {
        vec![
            takeover.cause.clone(),
            format!("{:.1} ms", millis(takeover.gap)),
            format!("{:.1} ms", millis(takeover.allowed)),
            format!("{:.1} ms", millis(takeover.stalled)),
            takeover.verdict.to_string(),
        ]
    };
    Table {
        header: vec!["change of hands", "longest gap", "promised", "machine stood still", ""],
        rows: takeovers.iter().map(row).collect(),
    }
}

fn shares_table(shares: &[PhaseShares]) -> Table {
    let row = |phase: &str, share: &Share| {
        vec![
            phase.to_owned(),
            share.server.clone(),
            share.weight.to_string(),
            share.answers.to_string(),
            format!("{:.1} %", share.expected * 100.0),
            format!("{:.1} %", share.seen * 100.0),
            Verdict::from(share.held).to_string(),
        ]
    };
    let rows = |shares: &PhaseShares| {
        let rows = shares.servers.iter().map(|share| row(&shares.phase, share));
        rows.collect::<Vec<_>>()
    };
    Table {
        header: vec!["phase", "server", "weight", "answers", "by weight", "seen", "verdict"],
        rows: shares.iter().flat_map(rows).collect(),
    }
}

fn files_table(files: &[ftp_client::Report]) -> Table {
    let row = |file: &ftp_client::Report| {
        let whole = if file.whole { "yes" } else { "NO" };
        let failure = file.failure.as_deref();
        vec![
            file.file.clone(),
            file.mode.to_string(),
            file.bytes.to_string(),
            file.resumes.to_string(),
            format!("{:.1} s", file.elapsed.as_secs_f64()),
            format!("{:.0} ms", millis(file.longest_pause)),
            format!("{:016x}", file.fingerprint),
            failure.map_or_else(|| whole.to_owned(), |why| format!("{whole}: {why}")),
        ]
    };
    Table {
        header: vec!["file", "mode", "bytes", "resumed", "took", "paused", "fingerprint", "whole"],
        rows: files.iter().map(row).collect(),
    }
}

fn promises_table(promises: &[Promise]) -> Table {
    let row = |promise: &Promise| {
        let Promise { what, verdict, seen } = promise;
        vec![what.clone(), verdict.to_string(), seen.clone()]
    };
    Table { header: vec!["promise", "verdict", "seen"], rows: promises.iter().map(row).collect() }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::ledger::Failure;

    const MS: Duration = Duration::from_millis(1);

    fn takeover(gap: u32, recovered: bool, stall: u32) -> Verdict {
        let from = Instant::now();
        let gap = Gap { from, to: from + gap * MS, recovered };
        let stalls = Stalls { longest: stall * MS, total: stall * MS };
        Takeover::judge("test", Some(gap), 20 * MS, stalls).verdict
    }

    #[test]
    fn a_stall_excuses_no_more_than_its_own_length() {
        assert_eq!(takeover(20, true, 0), Verdict::Held);
        assert_eq!(takeover(21, true, 0), Verdict::Broken);
        assert_eq!(takeover(31, true, 11), Verdict::HeldButForStalls);
        assert_eq!(takeover(31, true, 10), Verdict::Broken);
        assert_eq!(takeover(5, false, 0), Verdict::Broken);
    }

    fn report() -> Report {
        let from = Instant::now();
        let gap = Gap { from, to: from + 31 * MS, recovered: true };
        let stalls = Stalls { longest: 18 * MS, total: 20 * MS };
        Report {
            phases: vec![PhaseSummary {
                name: "active director killed".to_owned(),
                length: 2500 * MS,
                clients: Count { sent: 120, failed: 7 },
                prober: Count { sent: 1900, failed: 240 },
                slowest: 12 * MS,
                reasons: [(Failure::Refused, 240), (Failure::Reset, 7)].into(),
                servers: [("web1".to_owned(), 10)].into(),
            }],
            takeovers: vec![Takeover::judge("hand-over", Some(gap), 20 * MS, stalls)],
            shares: vec![PhaseShares {
                phase: "calm".to_owned(),
                servers: vec![Share {
                    server: "web1".to_owned(),
                    weight: 2,
                    answers: 1234,
                    expected: 0.5,
                    seen: 0.4987,
                    held: true,
                }],
            }],
            files: vec![ftp_client::Report {
                file: "file-4000000.bin".to_owned(),
                mode: ftp_client::Mode::Passive,
                bytes: 4_000_000,
                resumes: 1,
                whole: true,
                fingerprint: 0xfeed,
                elapsed: 4100 * MS,
                longest_pause: 250 * MS,
                failure: None,
            }],
            promises: vec![Promise::new("a drained server gets nothing", true, "0 answers")],
        }
    }

    #[test]
    fn the_tables_line_up_and_fit_100_columns() {
        let text = report().to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains("active director killed   2.5 s       120       7"), "{text}");
        assert!(text.contains("240 refused, 7 reset"), "{text}");
        assert!(text.contains("ok but for stalls"), "{text}");
        assert!(text.ends_with("Every promise held.\n"), "{text}");
    }

    #[test]
    fn one_broken_promise_breaks_the_report() {
        let mut broken = report();
        broken.files[0].whole = false;
        assert!(!broken.held());
        let mut broken = report();
        broken.shares[0].servers[0].held = false;
        assert!(!broken.held());
        let mut broken = report();
        broken.promises.push(Promise::new("the sky is blue", false, "grey"));
        assert!(broken.to_string().ends_with("A PROMISE WAS BROKEN.\n"));
    }

    #[test]
    fn json_carries_durations_in_milliseconds() {
        let json: serde_json::Value = serde_json::to_value(report()).unwrap();
        assert_eq!(json["takeovers"][0]["gap_ms"], 31.0);
        assert_eq!(json["takeovers"][0]["verdict"], "held_but_for_stalls");
        assert_eq!(json["phases"][0]["reasons"]["refused"], 240);
        assert_eq!(json["files"][0]["mode"], "PASV");
    }
}
