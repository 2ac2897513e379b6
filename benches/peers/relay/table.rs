//! The table of results.

use std::collections::BTreeMap;

use crate::load::Work;
use crate::measure::{Memory, Sample};

/// Every sample, by work and contender.
pub(crate) struct Results {
    names: Vec<&'static str>,
    samples: BTreeMap<(Work, &'static str), Vec<Sample>>,
    idle: BTreeMap<&'static str, Memory>,
    calls: BTreeMap<(Work, &'static str), BTreeMap<String, f64>>,
}

/// Whom ours, which comes first, is compared with; last comes the way without a relay.
const PEERS: std::ops::Range<usize> = 1..4;

type Figure = fn(&Sample) -> f64;

const ROWS: [(&str, Work, Figure); 15] = [
    ("new connections/s", Work::Connect, |s| s.rate),
    ("- p50, us", Work::Connect, |s| s.p50),
    ("- p99, us", Work::Connect, |s| s.p99),
    ("- CPU per connection, us", Work::Connect, |s| s.cpu),
    ("requests/s, kept alive", Work::Request, |s| s.rate),
    ("- p50, us", Work::Request, |s| s.p50),
    ("- p99, us", Work::Request, |s| s.p99),
    ("- CPU per request, us", Work::Request, |s| s.cpu),
    ("large transfers, MB/s", Work::Bulk, |s| s.megabytes),
    ("- CPU per gigabyte, ms", Work::Bulk, |s| s.cpu_per_gigabyte),
    ("UDP round trips/s", Work::Datagram, |s| s.rate),
    ("- p50, us", Work::Datagram, |s| s.p50),
    ("- p99, us", Work::Datagram, |s| s.p99),
    ("- CPU per round trip, us", Work::Datagram, |s| s.cpu),
    ("- loss, %", Work::Datagram, |s| s.loss),
];

impl Results {
    pub(crate) const fn new(names: Vec<&'static str>) -> Self {
        Self { names, samples: BTreeMap::new(), idle: BTreeMap::new(), calls: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, work: Work, name: &'static str, sample: Sample) {
        self.samples.entry((work, name)).or_default().push(sample);
    }

    pub(crate) fn idle(&mut self, name: &'static str, memory: Memory) {
        self.idle.insert(name, memory);
    }

    pub(crate) fn calls(&mut self, work: Work, name: &'static str, calls: BTreeMap<String, f64>) {
        self.calls.insert((work, name), calls);
    }

    /// Prints medians and ratios as Markdown.
    pub(crate) fn print(&self, rounds: usize) {
        if rounds > 0 {
            self.print_rounds(rounds);
        }
        self.print_memory();
    }

    fn print_rounds(&self, rounds: usize) {
        println!("Medians of {rounds} rounds, contenders in turn within each.\n");
        self.head();
        for (label, work, figure) in ROWS {
            self.row(label, |name| self.median(work, name, figure));
        }
        self.row("system calls per connection", |name| self.total_calls(Work::Connect, name));
        self.row("system calls per request", |name| self.total_calls(Work::Request, name));
        self.row("system calls per UDP round trip", |name| self.total_calls(Work::Datagram, name));
        self.print_calls();
    }

    fn print_memory(&self) {
        let connections = self.idle.values().map(|memory| memory.connections).max().unwrap_or(0);
        println!("\nMemory for each of {connections} idle connections, bytes.\n");
        self.head();
        self.row("the process", |name| self.memory(name, |m| m.resident));
        self.row("socket buffers, clients and servers too", |name| {
            self.memory(name, |m| m.buffers)
        });
        self.row("kernel objects, clients and servers too", |name| self.memory(name, |m| m.slab));
    }

    fn total_calls(&self, work: Work, name: &'static str) -> Option<f64> {
        self.calls.get(&(work, name))?.get("total").copied()
    }

    /// The system calls of a short connection and of a UDP round trip, each that is made at least
    /// once in twenty.
    fn print_calls(&self) {
        println!();
        for (what, work) in
            [("a short connection", Work::Connect), ("a UDP round trip", Work::Datagram)]
        {
            for (name, calls) in self.calls_of(work) {
                let often = calls.iter().filter(|(call, n)| **n >= 0.05 && *call != "total");
                let often: Vec<_> = often.map(|(call, n)| format!("{call} {n:.2}")).collect();
                println!("- {name}, {what}: {}.", often.join(", "));
            }
        }
    }

    fn calls_of(
        &self,
        wanted: Work,
    ) -> impl Iterator<Item = (&'static str, &BTreeMap<String, f64>)> {
        let calls = self.calls.iter().filter(|(_, calls)| !calls.is_empty());
        calls.filter(move |((work, _), _)| *work == wanted).map(|((_, name), calls)| (*name, calls))
    }

    fn memory(&self, name: &str, figure: fn(&Memory) -> f64) -> Option<f64> {
        self.idle.get(name).map(figure)
    }

    fn median(&self, work: Work, name: &'static str, figure: Figure) -> Option<f64> {
        let samples = self.samples.get(&(work, name))?;
        let mut values: Vec<f64> = samples.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    fn row(&self, label: &str, figure: impl Fn(&'static str) -> Option<f64>) {
        let figures: Vec<_> = self.names.iter().map(|name| figure(name)).collect();
        let ratio = |other: &Option<f64>| match (figures[0], other) {
            (Some(ours), Some(other)) if *other > 0.0 => format!("{:.2}", ours / other),
            _ => "-".to_owned(),
        };
        let shown = figures.iter().map(|f| f.map_or_else(|| "-".to_owned(), show));
        let cells: Vec<_> = shown.chain(figures[PEERS].iter().map(ratio)).collect();
        println!("| {label} | {} |", cells.join(" | "));
    }

    fn head(&self) {
        let names = self.names.iter().map(|name| (*name).to_owned());
        let ratios = self.names[PEERS].iter().map(|name| format!("ours/{name}"));
        let cells: Vec<_> = names.chain(ratios).collect();
        println!("| | {} |", cells.join(" | "));
        println!("|---|{}", "---:|".repeat(cells.len()));
    }
}

fn show(value: f64) -> String {
    match value {
        _ if value.is_nan() => "-".to_owned(),
        _ if value.abs() < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
