//! The table of results.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::case::{Case, Sample};
use crate::contender::Contender;

#[derive(Default)]
pub(crate) struct Results(BTreeMap<(Case, Contender), Vec<Sample>>);

impl Results {
    pub(crate) fn add(&mut self, case: &Case, contender: Contender, sample: Sample) {
        self.0.entry((*case, contender)).or_default().push(sample);
    }

    /// Prints least, median and greatest as Markdown, and the ratio of the medians.
    pub(crate) fn print(&self, rounds: usize) {
        println!("Milliseconds, least / median / greatest of {rounds} rounds.\n");
        println!(
            "| case | director | gap the client saw | of keepalived's | since the last word | two owners |"
        );
        println!("|---|---|---|---|---|---|");
        for ((case, contender), samples) in &self.0 {
            let gaps = Spread::of(samples.iter().map(|sample| sample.gap));
            let owners = spread(samples.iter().filter_map(|sample| sample.two_owners));
            let silences = spread(samples.iter().filter_map(|sample| sample.silence));
            let ratio = self.peer(case).map_or_else(String::new, |peer| {
                format!("{:.2}", gaps.median.as_secs_f64() / peer.as_secs_f64())
            });
            println!("| {case} | {contender} | {gaps} | {ratio} | {silences} | {owners} |");
        }
    }

    fn peer(&self, case: &Case) -> Option<Duration> {
        let samples = self.0.get(&(*case, Contender::Keepalived))?;
        Some(Spread::of(samples.iter().map(|sample| sample.gap)).median)
    }
}

/// Nothing where there is nothing.
fn spread(times: impl Iterator<Item = Duration>) -> String {
    let times: Vec<_> = times.collect();
    if times.is_empty() { String::new() } else { Spread::of(times.into_iter()).to_string() }
}

struct Spread {
    least: Duration,
    median: Duration,
    greatest: Duration,
}

impl Spread {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.collect();
        times.sort_unstable();
        let at = |index: usize| times.get(index).copied().unwrap_or_default();
        let last = times.len().saturating_sub(1);
        Self { least: at(0), median: at(times.len() / 2), greatest: at(last) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let [least, median, greatest] = [self.least, self.median, self.greatest].map(milliseconds);
        write!(f, "{least:.1} / {median:.1} / {greatest:.1}")
    }
}
