use std::fs;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::health::{Failure, Load, LoadFormula};
use crate::runtime::checks::program;

/// What an agent takes for the load of the machine it runs on.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Meter {
    /// The 1-minute load average for each processor, by [`LoadFormula::percent_left`].
    #[default]
    Average,
    /// The share of processor time in use since the last time it was looked at.
    Processors,
    /// TCP sockets in use, over IPv4 and IPv6, of so many.
    Connections(u32),
    /// The number that a program prints (see [`Load::in_output`]), of so much. The program has the
    /// limits of a check's.
    Command(Vec<String>, f64),
}

/// Measures this machine again and again.
#[derive(Debug)]
pub struct Sampler {
    meter: Meter,
    ticks: Ticks,
}

/// Processor time since the start of the machine.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Ticks {
    busy: u64,
    all: u64,
}

impl Sampler {
    /// Nothing is measured yet.
    #[must_use]
    pub fn new(meter: Meter) -> Self {
        Self { meter, ticks: Ticks::default() }
    }

    /// The share of the machine's strength that is left, 1 to 100 percent.
    ///
    /// # Errors
    /// Why it is not known: the program failed or took longer than `limit`, or the kernel does
    /// not tell.
    pub async fn percent(&mut self, limit: Duration) -> Result<u16, Failure> {
        match &self.meter {
            Meter::Average => {
                let load = first_number(&read("/proc/loadavg")?)?;
                let processors = available_parallelism().map_or(1, usize::from);
                let share = Load::new(load / f64::from(u32::try_from(processors).unwrap_or(1)));
                Ok(LoadFormula::percent_left(share.unwrap_or(Load::IDLE)))
            }
            Meter::Processors => {
                let now = ticks(&read("/proc/stat")?)?;
                let before = std::mem::replace(&mut self.ticks, now);
                Ok(LoadFormula::percent_unused(used(before, now)))
            }
            Meter::Connections(full) => {
                let used = sockets(&read("/proc/net/sockstat")?) + sockets(&six());
                Ok(LoadFormula::percent_unused(used / f64::from(*full)))
            }
            Meter::Command(arguments, full) => {
                let output = program::output(arguments.iter().cloned(), None, limit).await?;
                let load = Load::in_output(&output);
                let load = load.map_err(|error| Failure::Other(error.to_string()))?;
                Ok(LoadFormula::percent_unused(load.get() / full))
            }
        }
    }
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Other(format!("{path}: {error}")))
}

/// Missing where the kernel has no IPv6.
fn six() -> String {
    read("/proc/net/sockstat6").unwrap_or_default()
}

fn first_number(loadavg: &str) -> Result<f64, Failure> {
    let first = loadavg.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
    first.ok_or_else(|| Failure::Other("/proc/loadavg has no number".to_owned()))
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn ticks(stat: &str) -> Result<Ticks, Failure> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "));
    let counts = line.unwrap_or_default().split_ascii_whitespace().take(8);
    let counts: Vec<u64> = counts.map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, idle, rest @ ..] = counts.as_slice() else {
        return Err(Failure::Other("/proc/stat has no processor time".to_owned()));
    };
    let waiting = rest.first().copied().unwrap_or(0);
    let all = user + nice + system + idle + rest.iter().sum::<u64>();
    Ok(Ticks { busy: all.saturating_sub(idle + waiting), all })
}

fn used(before: Ticks, now: Ticks) -> f64 {
    let count = |ticks: u64| u32::try_from(ticks).unwrap_or(u32::MAX);
    let all = count(now.all.saturating_sub(before.all));
    let busy = count(now.busy.saturating_sub(before.busy));
    if all == 0 { 0.0 } else { f64::from(busy) / f64::from(all) }
}

/// `TCP: inuse 5 orphan 0 ...`
fn sockets(sockstat: &str) -> f64 {
    let mut lines = sockstat.lines().map(|line| line.split_ascii_whitespace());
    let line = lines.find_map(|mut words| words.next()?.starts_with("TCP").then_some(words));
    let number = line.and_then(|mut words| words.nth(1)?.parse().ok());
    number.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_counts_since_the_last_look() {
        let before = ticks("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1\n").unwrap();
        let now = ticks("cpu  150 0 150 750 150 0 0 0 0 0\n").unwrap();
        assert_eq!(before, Ticks { busy: 200, all: 1000 });
        assert_eq!((used(before, now), used(now, now)), (0.5, 0.0));
        assert!(ticks("").is_err() && ticks("cpu  1 2\n").is_err());
    }

    #[test]
    fn sockets_in_use_are_counted() {
        assert_eq!(sockets("sockets: used 9\nTCP: inuse 5 orphan 0 tw 2\nUDP: inuse 1\n"), 5.0);
        assert_eq!(sockets("TCP6: inuse 7\nUDP6: inuse 1\n"), 7.0);
        assert_eq!(sockets(""), 0.0);
    }

    #[tokio::test]
    async fn every_meter_works_on_this_machine() {
        let command = vec!["echo".to_owned(), "30".to_owned()];
        let meters = [
            Meter::Average,
            Meter::Processors,
            Meter::Connections(1_000_000),
            Meter::Command(command.clone(), 40.0),
        ];
        for meter in meters {
            let percent = Sampler::new(meter.clone()).percent(Duration::from_secs(20)).await;
            assert!((1..=100).contains(&percent.unwrap()), "{meter:?}");
        }
        let mut sampler = Sampler::new(Meter::Command(command, 40.0));
        assert_eq!(sampler.percent(Duration::from_secs(20)).await, Ok(25));
    }
}
