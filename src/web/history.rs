//! What went through each service: the last quarter of an hour by the second, the last day coarser.

use std::collections::{BTreeMap, VecDeque};

use crate::control::status::{Balancing, ServiceStatus};
use crate::control::{Age, Timestamp};
use std::time::Duration;

/// Services whose history is kept: those beyond have none.
const SERVICES: usize = 500;

/// Seconds between two values, and how many of them are kept.
const SCALES: [(u64, usize); 3] = [(1, 900), (10, 720), (120, 720)];

/// The names of the series.
pub(crate) const SERIES: [&str; 5] = ["cps", "active", "in", "out", "up"];

type Sample = [f32; SERIES.len()];

/// The history of all services.
#[derive(Debug, Default)]
pub(crate) struct History {
    services: BTreeMap<String, [Ring; SCALES.len()]>,
}

/// Values at equal distances; none where nothing was known.
#[derive(Debug, Default)]
struct Ring {
    values: VecDeque<Option<Sample>>,
    /// The time of the last value, in steps since 1970.
    last: u64,
    /// How many samples the last value is the mean of.
    weight: f32,
}

/// A stretch of a series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stretch {
    /// When the first value was.
    pub(crate) from: Timestamp,
    /// The time between two.
    pub(crate) step: Age,
    pub(crate) values: Vec<Option<f32>>,
}

impl History {
    /// Takes what is known of the services at `at`.
    pub(crate) fn add(&mut self, at: Timestamp, known: &Balancing) {
        let second = at.0 / 1000;
        for service in &known.services {
            if self.services.len() >= SERVICES && !self.services.contains_key(&service.name) {
                continue;
            }
            let rings = self.services.entry(service.name.clone()).or_default();
            for (ring, (step, most)) in rings.iter_mut().zip(SCALES) {
                ring.add(second / step, sample(service), most);
            }
        }
        // A service that left is forgotten with the last of its values.
        let oldest = second.saturating_sub(SCALES[2].0 * SCALES[2].1 as u64);
        self.services.retain(|_, rings| rings[0].last >= oldest);
    }

    /// When the last values were taken.
    pub(crate) fn latest(&self) -> Timestamp {
        let last = self.services.values().map(|rings| rings[0].last).max();
        Timestamp(last.unwrap_or(0) * 1000)
    }

    /// The series `series` of `service` over the last `range` before `at`, by the finest scale that
    /// reaches so far back; nothing for a service or series there is not.
    pub(crate) fn stretch(
        &self,
        service: &str,
        series: &str,
        range: Duration,
        at: Timestamp,
    ) -> Option<Stretch> {
        let place = SERIES.iter().position(|name| *name == series)?;
        let rings = self.services.get(service)?;
        let reaches = |(step, most): &(u64, usize)| step * *most as u64 >= range.as_secs();
        let scale = SCALES.iter().position(reaches).unwrap_or(SCALES.len() - 1);
        let ((step, most), ring) = (SCALES[scale], &rings[scale]);
        let wanted = usize::try_from(range.as_secs() / step).unwrap_or(most).clamp(1, most);
        let last = at.0 / 1000 / step;
        let first = last.saturating_sub(wanted as u64 - 1);
        let values = (first..=last).map(|time| ring.at(time).map(|sample| sample[place])).collect();
        let from = Timestamp(first * step * 1000);
        Some(Stretch { from, step: Age(Duration::from_secs(step)), values })
    }
}

impl Ring {
    fn add(&mut self, time: u64, sample: Sample, most: usize) {
        if time < self.last {
            // The clock was set back: what is newer than now is not to be believed.
            self.values.clear();
        }
        if !self.values.is_empty() && time == self.last {
            self.weight += 1.0;
            let weight = self.weight;
            if let Some(Some(mean)) = self.values.back_mut() {
                for (mean, value) in mean.iter_mut().zip(sample) {
                    *mean += (value - *mean) / weight;
                }
            }
            return;
        }
        if !self.values.is_empty() {
            let missed = usize::try_from(time - self.last - 1).unwrap_or(most).min(most);
            self.values.extend(std::iter::repeat_n(None, missed));
        }
        self.values.push_back(Some(sample));
        self.values.drain(..self.values.len().saturating_sub(most));
        (self.last, self.weight) = (time, 1.0);
    }

    fn at(&self, time: u64) -> Option<Sample> {
        let back = usize::try_from(self.last.checked_sub(time)?).ok()?;
        let place = self.values.len().checked_sub(back + 1)?;
        self.values.get(place).copied().flatten()
    }
}

#[expect(clippy::cast_precision_loss, reason = "drawn on a few hundred dots")]
fn sample(service: &ServiceStatus) -> Sample {
    let rates = service.traffic.and_then(|traffic| traffic.rates).unwrap_or_default();
    let active = service.traffic.map_or(0, |traffic| traffic.load.active);
    let up = service.counts.up;
    [
        rates.connections as f32,
        active as f32,
        rates.bytes_in as f32,
        rates.bytes_out as f32,
        up as f32,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::{DataPlane, Process, Revision};
    use crate::ipvs::ServiceKey;
    use crate::net::{Family, FirewallMark};

    fn with(name: &str, up: u32) -> Balancing {
        let process = Process::new(1, Duration::ZERO);
        let revision = Revision::new("lvs.cf".into(), "0".to_owned(), Age::default());
        let mut lvs = Balancing::new(process, DataPlane::new("relay", None), revision);
        let key = ServiceKey::Mark { mark: FirewallMark::new(1).unwrap(), family: Family::Ipv4 };
        let mut service = ServiceStatus::new(name, key, "rr");
        service.counts.up = up;
        lvs.services = vec![service];
        lvs
    }

    fn values(history: &History, range: u64, second: u64) -> Vec<Option<f32>> {
        let range = Duration::from_secs(range);
        history.stretch("web", "up", range, Timestamp(second * 1000)).unwrap().values
    }

    #[test]
    fn each_second_has_its_value_and_a_gap_is_a_gap() {
        let mut history = History::default();
        for (second, up) in [(100, 1), (101, 2), (104, 5)] {
            history.add(Timestamp(second * 1000), &with("web", up));
        }
        assert_eq!(values(&history, 5, 104), [Some(1.0), Some(2.0), None, None, Some(5.0)]);
        assert_eq!(values(&history, 3, 106), [Some(5.0), None, None], "the present is not made up");
        assert!(history.stretch("ftp", "up", Duration::ZERO, Timestamp(0)).is_none());
    }

    #[test]
    fn what_is_coarser_is_the_mean_and_memory_is_bounded() {
        let mut history = History::default();
        for second in 0..90_000 {
            let up = u32::try_from(second % 10).unwrap();
            history.add(Timestamp(second * 1000), &with("web", up));
        }
        let hour = values(&history, 3600, 89_999);
        assert_eq!(hour.len(), 360);
        assert!(hour.iter().all(|value| value.is_some_and(|mean| (mean - 4.5).abs() < 0.01)));
        let rings = &history.services["web"];
        let kept: Vec<_> = rings.iter().map(|ring| ring.values.len()).collect();
        assert_eq!(kept, [900, 720, 720]);
        for number in 0..2 * SERVICES {
            history.add(Timestamp(90_000_000), &with(&number.to_string(), 1));
        }
        assert_eq!(history.services.len(), SERVICES);
        history.add(Timestamp(u64::MAX), &with("0", 1));
        history.add(Timestamp(0), &with("0", 1));
    }
}
