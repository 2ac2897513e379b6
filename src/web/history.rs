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

/// What a saved history begins with.
const MAGIC: &[u8; 16] = b"piranha-history1";

/// The most bytes of a saved history: services that do not fit any more are left out.
pub(crate) const MOST_BYTES: usize = 32 << 20;

/// The most bytes of a name in it.
const LONGEST_NAME: usize = 1024;

/// What is not a saved history, or was cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is no history, or was cut")]
pub(crate) struct Malformed;

impl History {
    /// The history as bytes, at most [`MOST_BYTES`].
    pub(crate) fn save(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, rings) in &self.services {
            let start = bytes.len();
            let Ok(length) = u16::try_from(name.len()) else { continue };
            if name.len() > LONGEST_NAME {
                continue;
            }
            bytes.extend(length.to_be_bytes());
            bytes.extend(name.as_bytes());
            rings.iter().for_each(|ring| ring.save(&mut bytes));
            if bytes.len() > MOST_BYTES {
                bytes.truncate(start);
                break;
            }
        }
        bytes
    }

    /// What was saved, as far as it is not younger than `now`: a clock that was set back makes it
    /// worthless. What is older than is kept goes with the next value.
    ///
    /// # Errors
    /// [`Malformed`].
    pub(crate) fn restore(bytes: &[u8], now: Timestamp) -> Result<Self, Malformed> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(Malformed)?;
        let mut history = Self::default();
        while !rest.is_empty() {
            let length = u16::from_be_bytes(take(&mut rest)?);
            let (name, after) = rest.split_at_checked(length.into()).ok_or(Malformed)?;
            let name = std::str::from_utf8(name).map_err(|_no_text| Malformed)?;
            rest = after;
            let mut rings = <[Ring; SCALES.len()]>::default();
            for (ring, (_, most)) in rings.iter_mut().zip(SCALES) {
                *ring = Ring::restore(&mut rest, most)?;
            }
            let ends = |(ring, (step, _)): (&Ring, (u64, usize))| ring.last.saturating_mul(step);
            let is_past = rings.iter().zip(SCALES).all(|of| ends(of) <= now.0 / 1000);
            if is_past && history.services.len() < SERVICES && name.len() <= LONGEST_NAME {
                history.services.insert(name.to_owned(), rings);
            }
        }
        Ok(history)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (first, after) = rest.split_first_chunk::<N>().ok_or(Malformed)?;
    *rest = after;
    Ok(*first)
}

impl Ring {
    /// The time of the last value, its weight, how many values, and they; NaN is one that is not
    /// known.
    fn save(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.last.to_be_bytes());
        bytes.extend(self.weight.to_be_bytes());
        bytes.extend(u32::try_from(self.values.len()).unwrap_or_default().to_be_bytes());
        for value in &self.values {
            let sample = value.unwrap_or([f32::NAN; SERIES.len()]);
            bytes.extend(sample.iter().flat_map(|number| number.to_be_bytes()));
        }
    }

    fn restore(rest: &mut &[u8], most: usize) -> Result<Self, Malformed> {
        let last = u64::from_be_bytes(take(rest)?);
        let weight = f32::from_be_bytes(take(rest)?);
        let count = u32::from_be_bytes(take(rest)?) as usize;
        if count > most || !weight.is_finite() || weight < 0.0 {
            return Err(Malformed);
        }
        let mut values = VecDeque::with_capacity(count);
        for _ in 0..count {
            let mut sample = Sample::default();
            for number in &mut sample {
                *number = f32::from_be_bytes(take(rest)?);
            }
            values.push_back(sample.iter().all(|number| number.is_finite()).then_some(sample));
        }
        Ok(Self { values, last, weight })
    }

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

    #[test]
    fn a_saved_history_comes_back_with_its_gaps_and_goes_on() {
        let mut history = History::default();
        for second in [100, 101, 104] {
            history.add(Timestamp(second * 1000), &with("web", 3));
        }
        let saved = history.save();
        let mut again = History::restore(&saved, Timestamp(110_000)).unwrap();
        assert_eq!(values(&again, 5, 104), [Some(3.0), Some(3.0), None, None, Some(3.0)]);
        again.add(Timestamp(106_000), &with("web", 4));
        assert_eq!(values(&again, 3, 106), [Some(3.0), None, Some(4.0)], "the pause is a gap");
        let set_back = History::restore(&saved, Timestamp(50_000)).unwrap();
        assert!(set_back.stretch("web", "up", Duration::ZERO, Timestamp(50_000)).is_none());
    }

    #[test]
    fn half_a_history_or_something_else_is_told_and_never_believed() {
        let mut history = History::default();
        history.add(Timestamp(100_000), &with("web", 3));
        let saved = history.save();
        let restore = |bytes: &[u8]| History::restore(bytes, Timestamp(200_000));
        for end in (0..saved.len()).filter(|&end| end != MAGIC.len()) {
            assert!(restore(&saved[..end]).is_err(), "{end}");
        }
        let mut endless = saved.clone();
        let count = MAGIC.len() + 2 + 3 + 8 + 4;
        endless[count..count + 4].fill(0xff);
        assert!(restore(&endless).is_err());
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let mut history = History::default();
        for number in 0..SERVICES {
            let mut rings = <[Ring; SCALES.len()]>::default();
            for (ring, (_, most)) in rings.iter_mut().zip(SCALES) {
                ring.values = std::iter::repeat_n(Some(Sample::default()), most).collect();
            }
            history.services.insert(format!("{number:0>900}"), rings);
        }
        let saved = history.save();
        assert!(saved.len() <= MOST_BYTES);
        let again = History::restore(&saved, Timestamp(u64::MAX)).unwrap();
        assert!(!again.services.is_empty());
    }
}
