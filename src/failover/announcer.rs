//! When the network is told where an address is.
//!
//! Neighbours remember for minutes which station has an address. A new holder tells them at once,
//! a few times against loss, once more when switches and slow neighbours have settled, and then
//! from time to time for those that were away. Each link has a bound on what is sent, so that a
//! takeover of thousands of addresses is no storm; a first burst fits below it.
//!
//! [`Announcer`] is the schedule alone, pure: what an announcement looks like is
//! [`wire::arp`](crate::wire::arp)'s and [`wire::ndisc`](crate::wire::ndisc)'s.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::VirtualAddress;
use crate::time::Instant;

/// How often, and how far apart.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// Announcements of an address in each burst. 5, as Piranha sent.
    pub burst: u32,
    /// The time between two of them. 100 ms.
    pub spacing: Duration,
    /// From the last of the first burst to the second burst. 5 s.
    pub delay: Duration,
    /// From then on, how often each address is announced again; never where not given. 60 s.
    pub refresh: Option<Duration>,
    /// Announcements a second on one link in the long run. 1,000.
    pub rate: u32,
    /// Announcements on one link that may go out at once after a pause. 1,024.
    pub at_once: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            burst: 5,
            spacing: Duration::from_millis(100),
            delay: Duration::from_secs(5),
            refresh: Some(Duration::from_secs(60)),
            rate: 1000,
            at_once: 1024,
        }
    }
}

/// The schedule of all addresses that this node holds.
#[derive(Debug)]
pub struct Announcer {
    schedule: Schedule,
    addresses: BTreeMap<IpAddr, Announced>,
    links: BTreeMap<String, Line>,
    outputs: VecDeque<VirtualAddress>,
}

#[derive(Debug)]
struct Announced {
    address: VirtualAddress,
    next: Instant,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    First { left: u32 },
    Second { left: u32 },
    Refresh,
}

/// Who waits for a link.
#[derive(Debug)]
struct Line {
    bucket: Bucket,
    /// By when they are due: whoever waits longest comes first, so that each is heard once before
    /// one is heard twice.
    waiting: BTreeSet<(Instant, IpAddr)>,
}

impl Announcer {
    /// Nothing to announce yet.
    #[must_use]
    pub const fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            addresses: BTreeMap::new(),
            links: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Begins anew with these addresses: they have come up, or a rival was seen.
    pub fn announce(&mut self, now: Instant, addresses: &[VirtualAddress]) {
        for address in addresses {
            self.forget(address.address);
            let stage = Stage::First { left: self.schedule.burst };
            self.wait(Announced { address: address.clone(), next: now, stage }, now);
        }
        self.handle_timeout(now);
    }

    /// Says no more of these addresses, not even what was already due.
    pub fn withdraw(&mut self, addresses: &[VirtualAddress]) {
        for address in addresses {
            self.forget(address.address);
            self.outputs.retain(|due| due.address != address.address);
        }
    }

    /// The deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut said = Vec::new();
        for line in self.links.values_mut() {
            while line.is_due(now) && line.bucket.take(now, &self.schedule) {
                said.extend(line.waiting.pop_first().map(|(_, address)| address));
            }
        }
        for address in said {
            if let Some(mut announced) = self.addresses.remove(&address) {
                self.outputs.push_back(announced.address.clone());
                announced.advance(now, &self.schedule);
                self.wait(announced, now);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.links.values().filter_map(Line::next).min()
    }

    /// The next address to announce now.
    pub fn poll_output(&mut self) -> Option<VirtualAddress> {
        self.outputs.pop_front()
    }

    /// Lines an address up, unless it has been announced for the last time.
    fn wait(&mut self, announced: Announced, now: Instant) {
        if announced.next == Instant::MAX {
            return;
        }
        let link = announced.address.link().to_owned();
        let line = self.links.entry(link).or_insert_with(|| Line {
            bucket: Bucket::full(now, &self.schedule),
            waiting: BTreeSet::new(),
        });
        line.waiting.insert((announced.next, announced.address.address));
        self.addresses.insert(announced.address.address, announced);
    }

    fn forget(&mut self, address: IpAddr) {
        if let Some(announced) = self.addresses.remove(&address)
            && let Some(line) = self.links.get_mut(announced.address.link())
        {
            line.waiting.remove(&(announced.next, address));
        }
    }
}

impl Line {
    fn is_due(&self, now: Instant) -> bool {
        self.waiting.first().is_some_and(|(next, _)| *next <= now)
    }

    fn next(&self) -> Option<Instant> {
        let (next, _) = self.waiting.first()?;
        Some((*next).max(self.bucket.ready))
    }
}

impl Announced {
    fn advance(&mut self, now: Instant, schedule: &Schedule) {
        let (stage, pause) = match self.stage {
            Stage::First { left: 2.. } | Stage::Second { left: 2.. } => {
                (self.stage.one_less(), Some(schedule.spacing))
            }
            Stage::First { .. } => (Stage::Second { left: schedule.burst }, Some(schedule.delay)),
            Stage::Second { .. } | Stage::Refresh => (Stage::Refresh, schedule.refresh),
        };
        self.stage = stage;
        self.next = pause.map_or(Instant::MAX, |pause| now + pause);
    }
}

impl Stage {
    const fn one_less(self) -> Self {
        match self {
            Self::First { left } => Self::First { left: left - 1 },
            Self::Second { left } => Self::Second { left: left - 1 },
            Self::Refresh => Self::Refresh,
        }
    }
}

/// What may still be sent on a link.
#[derive(Debug)]
struct Bucket {
    left: u32,
    filled: Instant,
    /// When there is room again; in the past while there is.
    ready: Instant,
}

impl Bucket {
    const fn full(now: Instant, schedule: &Schedule) -> Self {
        Self { left: schedule.at_once, filled: now, ready: now }
    }

    fn take(&mut self, now: Instant, schedule: &Schedule) -> bool {
        let each = Duration::from_secs(1) / schedule.rate.max(1);
        let earned = (now - self.filled).as_nanos() / each.as_nanos().max(1);
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(earned).min(schedule.at_once.max(1));
            self.filled = now;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        self.ready = if self.left > 0 { now } else { self.filled + each };
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vips(count: u16) -> Vec<VirtualAddress> {
        let address = |n: u16| IpAddr::from([10, 9, n.to_be_bytes()[0], n.to_be_bytes()[1]]);
        (0..count).map(|n| VirtualAddress::new(address(n), format!("eth0:{n}"))).collect()
    }

    /// Runs for `time` and tells what was announced when.
    fn run(announcer: &mut Announcer, from: Instant, time: Duration) -> Vec<(Duration, IpAddr)> {
        let mut said = Vec::new();
        let mut now = from;
        loop {
            while let Some(address) = announcer.poll_output() {
                said.push((now - from, address.address));
            }
            match announcer.poll_timeout() {
                Some(next) if next <= from + time => now = now.max(next),
                _ => return said,
            }
            announcer.handle_timeout(now);
        }
    }

    #[test]
    fn an_address_is_announced_in_two_bursts_and_then_from_time_to_time() {
        let mut announcer = Announcer::new(Schedule::default());
        let now = Instant::from_millis(1000);
        announcer.announce(now, &vips(1));
        let said = run(&mut announcer, now, Duration::from_secs(130));
        let times: Vec<_> = said.iter().map(|(at, _)| at.as_millis()).collect();
        let expected = [0, 100, 200, 300, 400, 5400, 5500, 5600, 5700, 5800, 65800, 125_800];
        assert_eq!(times, expected);
    }

    #[test]
    fn without_a_refresh_it_ends_after_the_second_burst() {
        let schedule = Schedule { refresh: None, ..Schedule::default() };
        let mut announcer = Announcer::new(schedule);
        announcer.announce(Instant::ZERO, &vips(1));
        assert_eq!(run(&mut announcer, Instant::ZERO, Duration::from_secs(1000)).len(), 10);
        assert_eq!(announcer.poll_timeout(), None);
    }

    #[test]
    fn five_hundred_addresses_are_told_at_once_and_all_once_before_one_twice() {
        let mut announcer = Announcer::new(Schedule::default());
        announcer.announce(Instant::ZERO, &vips(500));
        let said = run(&mut announcer, Instant::ZERO, Duration::ZERO);
        let first: BTreeSet<_> = said.iter().map(|(_, a)| *a).collect();
        assert_eq!((said.len(), first.len()), (500, 500));
    }

    #[test]
    fn a_withdrawn_address_is_not_announced_any_more() {
        let mut announcer = Announcer::new(Schedule::default());
        announcer.announce(Instant::ZERO, &vips(2));
        announcer.withdraw(&vips(1));
        let said = run(&mut announcer, Instant::ZERO, Duration::from_secs(10));
        assert!(said.iter().all(|(_, address)| *address == vips(2)[1].address));
        assert_eq!(said.len(), 10);
    }

    proptest! {
        #[test]
        fn a_link_never_carries_more_than_its_rate(
            count in 1u16..400, rate in 1u32..2000, at_once in 1u32..600,
        ) {
            let schedule = Schedule { rate, at_once, ..Schedule::default() };
            let mut announcer = Announcer::new(schedule);
            announcer.announce(Instant::ZERO, &vips(count));
            let said = run(&mut announcer, Instant::ZERO, Duration::from_secs(2));
            for window in [0, 100, 500, 1000, 2000].map(Duration::from_millis) {
                let within = said.iter().filter(|(at, _)| *at <= window).count() as u128;
                let allowed = u128::from(at_once) + window.as_millis() * u128::from(rate) / 1000;
                prop_assert!(within <= allowed + 1, "{within} in {window:?}, allowed {allowed}");
            }
        }

        #[test]
        fn every_address_is_announced_however_slow_the_link(count in 1u16..50, rate in 20u32..100) {
            let schedule = Schedule { rate, at_once: 1, ..Schedule::default() };
            let mut announcer = Announcer::new(schedule);
            announcer.announce(Instant::ZERO, &vips(count));
            let said = run(&mut announcer, Instant::ZERO, Duration::from_secs(60));
            for vip in vips(count) {
                prop_assert!(said.iter().filter(|(_, a)| *a == vip.address).count() >= 5);
            }
        }
    }
}
