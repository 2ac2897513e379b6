//! What happens to the active director.

use std::fmt;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::Outcome;
use crate::contender::{Contender, Director, vip};
use crate::watch::Watch;
use crate::wire::{CLIENT, Wire};

/// What happens.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Event {
    /// The machine dies: its link is cut and its daemons are killed.
    Death,
    /// The daemon is killed on a machine that lives.
    Kill,
    /// Everything of it is killed on a machine that lives.
    KillAll,
    /// The daemon is told to stop.
    Stop,
    /// The daemon is told to hand over, as `piranha failover` does, and goes on as standby.
    HandOver,
    /// The link goes down; the daemons live.
    Link,
    /// The daemon is stopped by SIGSTOP.
    Stall,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Case {
    pub(crate) event: Event,
    /// Of heartbeats, or advertisements.
    pub(crate) interval: Duration,
    /// How many floating addresses.
    pub(crate) vips: u16,
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The longest time without an answer.
    pub(crate) gap: Duration,
    /// From the last word of a director whose link went down to the first answer of the other: the
    /// age of that word, which is chance, is not in it.
    pub(crate) silence: Option<Duration>,
    /// For how long both directors had the first address, where both lived.
    pub(crate) two_owners: Option<Duration>,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gap {:.1?}", self.gap)?;
        self.silence.map_or(Ok(()), |time| write!(f, ", since the last word {time:.1?}"))?;
        self.two_owners.map_or(Ok(()), |time| write!(f, ", two owners {time:.0?}"))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.event {
            Event::Death => "death of the machine",
            Event::Kill => "kill -9 of the daemon",
            Event::KillAll => "kill -9 of all of it",
            Event::Stop => "orderly stop",
            Event::HandOver => "handed over",
            Event::Link => "link down",
            Event::Stall => "daemon stalled (SIGSTOP)",
        })?;
        write!(f, ", {:?}, {} VIP", self.interval, self.vips)?;
        f.write_str(if self.vips == 1 { "" } else { "s" })
    }
}

/// Whose last word is listened for.
const STATION: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);

/// How long a director may take to answer after the event.
const PATIENCE: Duration = Duration::from_secs(15);

/// For how long two owners are looked for.
const AFTERMATH: Duration = Duration::from_secs(4);

impl Case {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let case = |event, milliseconds, vips| Self {
            event,
            interval: Duration::from_millis(milliseconds),
            vips,
        };
        let paces = [1000, 100, 10, 5];
        let deaths = paces.map(|pace| case(Event::Death, pace, 1));
        let stops = paces.map(|pace| case(Event::Stop, pace, 1));
        let handed = [1000, 100, 10].map(|pace| case(Event::HandOver, pace, 1));
        let others = [Event::Kill, Event::KillAll, Event::Link, Event::Stall];
        let others = others.map(|event| case(event, 100, 1));
        let many = [Event::Death, Event::Stop, Event::HandOver];
        let many = many.map(|event| case(event, 100, 500));
        deaths.into_iter().chain(stops).chain(handed).chain(others).chain(many)
    }

    /// Three heartbeats, as VRRP has it; the shortest interval is for links that lose nothing, where
    /// two and a half are enough.
    pub(crate) fn dead_time(&self) -> Duration {
        let halves = if self.interval < Duration::from_millis(10) { 5 } else { 6 };
        self.interval * halves / 2
    }

    /// Runs it once. The event comes at `phase`, a part of an interval, so that a series meets
    /// heartbeats at every age.
    pub(crate) fn run(&self, contender: Contender, phase: f64) -> Outcome<Sample> {
        let directory = tempfile::tempdir()?;
        let wire = Wire::new()?;
        let start = |number: u8| {
            std::fs::create_dir_all(directory.path().join(number.to_string()))?;
            let config = contender.config(number, self);
            Director::start(contender, &config, number, &wire.station(number), directory.path())
        };
        let mut watch = Watch::default();
        for vip in self.watched() {
            watch.ask(&wire.namespace(CLIENT)?, vip)?;
            for director in [1, 2] {
                watch.answer(&wire.namespace(director)?, vip)?;
            }
        }
        watch.hear(&wire.namespace_of_bridge()?, STATION)?;
        let first = start(1)?;
        await_answers(&watch)?;
        let second = start(2)?;
        second.await_standby()?;
        thread::sleep(self.interval * 4 + Duration::from_millis(300));
        await_answers(&watch)?;
        for director in [1, 2] {
            watch.own(&wire.namespace(director)?, vip(1));
        }
        thread::sleep(Duration::from_millis(50) + self.interval.mul_f64(phase));
        let begin = Instant::now();
        self.strike(&wire, &first)?;
        thread::sleep(self.interval * 4 + Duration::from_millis(300));
        await_answers(&watch)?;
        let gap = watch.gap(begin);
        let alive = matches!(self.event, Event::Kill | Event::KillAll | Event::Stall);
        if alive {
            thread::sleep(AFTERMATH);
        }
        drop((first, second));
        let silent = matches!(self.event, Event::Death | Event::Link);
        let silence = silent.then(|| watch.silence(begin)).flatten();
        Ok(Sample { gap, silence, two_owners: alive.then(|| watch.two_owners(begin)) })
    }

    fn watched(&self) -> Vec<Ipv4Addr> {
        let mut numbers = vec![1, self.vips];
        numbers.dedup();
        numbers.into_iter().map(vip).collect()
    }

    fn strike(&self, wire: &Wire, active: &Director) -> Outcome<()> {
        match self.event {
            Event::Death => wire.cut(1).and_then(|()| active.signal_all(Signal::KILL)),
            Event::Kill => active.signal_daemon(Signal::KILL),
            Event::KillAll => active.signal_all(Signal::KILL),
            Event::Stop => active.signal(Signal::TERM),
            Event::HandOver => active.signal(Signal::USR1),
            Event::Link => wire.cut(1),
            Event::Stall => active.signal_daemon(Signal::STOP),
        }
    }
}

fn await_answers(watch: &Watch) -> Outcome<()> {
    let deadline = Instant::now() + PATIENCE;
    while !watch.is_answered_for(Duration::from_millis(200)) {
        if Instant::now() > deadline {
            return Err("nobody answers".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
