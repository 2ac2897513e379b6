//! nanny, the checker on its own: one check loop against one server, as a process.

mod partner;
mod table;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

pub use self::partner::{Partner, watch_partner};
pub use self::table::{Table, service};
use super::agent::{Gauge, Reading};
use super::checks::Runner;
use crate::health::{
    Check, Failure, Health, LoadFormula, LoadMonitor, LoadWeight, MonitorConfig, Output, Override,
    Reason, Stage,
};
use crate::net::Weight;

/// What nanny checks, and how.
#[non_exhaustive]
#[derive(Clone)]
pub struct Settings {
    /// The server.
    pub target: SocketAddr,
    /// The check.
    pub check: Arc<dyn Check>,
    /// When to check, and what follows from the results.
    pub monitor: MonitorConfig,
    /// The table that follows; by default events are all that happens.
    pub table: Option<Table>,
    /// What measures the load, for the weight; nothing by default.
    pub load: Option<LoadMonitor>,
    /// How many times its weight a server may get, with [`LoadFormula::Historical`].
    pub scale: u32,
}

impl Settings {
    /// Checks `target` with `check`.
    #[must_use]
    pub fn new(target: SocketAddr, check: Arc<dyn Check>, monitor: MonitorConfig) -> Self {
        Self { target, check, monitor, table: None, load: None, scale: LoadFormula::SCALE }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("target", &self.target)
            .field("monitor", &self.monitor)
            .finish_non_exhaustive()
    }
}

/// Something worth a line. [`Event::on`] prints it, where 0.8.6 had a line, in its words.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The signals are listened for and the checks begin.
    Started,
    /// The server takes connections from now on.
    Available(Why),
    /// The server takes no connections from now on.
    Unavailable(Why),
    /// The health changed and that had no effect: not yet, or because of an override.
    Health(Health, Reason),
    /// A check ended.
    Checked(Result<(), Failure>),
    /// The load cannot be measured, so the weight stays; told when it could before.
    Unmeasured(Failure),
    /// What the table holds from now on, or that of an `lvs` with the same settings would.
    Weight(Option<Weight>),
    /// An administrator decided, by SIGUSR1, SIGUSR2 or SIGHUP.
    Glasses(Override),
    /// SIGTERM or SIGINT came.
    Stopping,
}

/// What made a server available or not.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Why {
    /// Its checks.
    Checks(Reason),
    /// An administrator.
    Forced,
    /// An administrator no longer interferes, and this is what the checks say.
    NoLongerForced,
}

impl Event {
    /// The line for this event of `server`.
    #[must_use]
    pub fn on(&self, server: SocketAddr) -> impl fmt::Display {
        match self {
            Self::Started => format!("checking {server}"),
            Self::Available(why) => format!("[ active ] making {server} available ({why})"),
            Self::Unavailable(Why::Checks(reason)) => {
                format!("[inactive] shutting down {server} due to connection failure: {reason}")
            }
            Self::Unavailable(why) => format!("[inactive] shutting down {server}: {why}"),
            Self::Health(health, reason) => format!("{server} is {health}: {reason}"),
            Self::Checked(Ok(())) => format!("{server} passed a check"),
            Self::Checked(Err(failure)) => format!("{server} failed a check: {failure}"),
            Self::Unmeasured(failure) => {
                format!("the load of {server} cannot be measured: {failure}")
            }
            Self::Weight(None) => format!("{server} is not in the table"),
            Self::Weight(Some(weight)) => format!("{server} has weight {weight}"),
            Self::Glasses(Override::None) => format!("removing glasses: {server} is as checked"),
            Self::Glasses(Override::ForceDown) => {
                format!("opaque glasses on: {server} is forced down")
            }
            Self::Glasses(Override::ForceUp) => {
                format!("rose-colored glasses on: {server} is forced up")
            }
            Self::Glasses(word) => format!("{server} is {word}"),
            Self::Stopping => format!("no longer checking {server}"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checks(reason) => reason.fmt(f),
            Self::Forced => f.write_str("forced by a signal"),
            Self::NoLongerForced => f.write_str("no longer forced"),
        }
    }
}

/// Checks until SIGTERM or SIGINT, and tells `report` what happens. SIGUSR1 forces the server
/// down, SIGUSR2 up, SIGHUP leaves it to the checks again. At the end the server leaves the table,
/// unless it is quiesced.
///
/// # Errors
/// If a signal cannot be listened for or the table not be changed, or with the error of `report`.
///
/// # Panics
/// Outside a tokio runtime with timers and I/O.
pub async fn run(
    settings: Settings,
    mut report: impl FnMut(&Event) -> io::Result<()>,
) -> io::Result<()> {
    let mut signals = Signals::listen()?;
    report(&Event::Started)?;
    let (results, mut checked) = mpsc::channel(1);
    let (sender, mut outputs) = mpsc::channel(16);
    let check = Arc::new(Observed { check: settings.check, results });
    let runner = Runner::spawn((), settings.target, check, settings.monitor, sender);
    let (sender, mut readings) = mpsc::channel(1);
    let _gauge = settings.load.clone().map(|load| {
        let (server, timing) = (settings.target.ip(), (Duration::ZERO, load.interval));
        Gauge::spawn((), load.source, server, timing, sender)
    });
    let mut standing = Standing::new(&settings.monitor, settings.load.as_ref(), settings.scale);
    let mut table = settings.table;
    let mut narrator = Narrator::default();
    loop {
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Some(forced) => {
                    report(&Event::Glasses(forced))?;
                    runner.set_override(forced);
                    narrator.forced(forced).map_or(Ok(()), |event| report(&event))?;
                }
                None => break,
            },
            Some(result) = checked.recv() => report(&Event::Checked(result))?,
            Some(((), output)) = outputs.recv() => match output {
                Output::Weight(weight) => standing.checked = weight,
                output => narrator.output(output).map_or(Ok(()), |event| report(&event))?,
            },
            Some(((), reading)) = readings.recv() => {
                standing.measured(reading).map_or(Ok(()), |event| report(&event))?;
            }
        }
        if let Some(weight) = standing.change() {
            if let Some(table) = &mut table {
                table.set(weight).await?;
            }
            report(&Event::Weight(weight))?;
        }
    }
    if let Some(table) = &mut table {
        table.leave().await?;
    }
    report(&Event::Stopping)
}

/// Checks once, within `limit`.
///
/// # Errors
/// Why the check did not pass.
pub async fn once(target: SocketAddr, check: &dyn Check, limit: Duration) -> Result<(), Failure> {
    let timed_out = Failure::TimedOut { stage: Stage::Check, after: limit };
    let probe = check.probe(target, limit);
    tokio::time::timeout(limit, probe).await.unwrap_or(Err(timed_out))
}

/// A check whose results can be listened to.
struct Observed {
    check: Arc<dyn Check>,
    results: mpsc::Sender<Result<(), Failure>>,
}

#[async_trait]
impl Check for Observed {
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure> {
        let result = self.check.probe(target, limit).await;
        // A listener that is behind misses a line, and the check goes on.
        let _ = self.results.try_send(result.clone());
        result
    }
}

/// The weight that follows from the checks and the load.
struct Standing {
    checked: Option<Weight>,
    load: Option<LoadWeight>,
    /// Whether the load could be measured the last time.
    measures: bool,
    full: Weight,
    quiesce: bool,
    held: Option<Weight>,
}

impl Standing {
    fn new(monitor: &MonitorConfig, load: Option<&LoadMonitor>, scale: u32) -> Self {
        let full = monitor.weight();
        Self {
            checked: None,
            load: load.map(|load| LoadWeight::new(load.formula, full).with_scale(scale)),
            measures: true,
            full,
            quiesce: monitor.quiesce(),
            held: None,
        }
    }

    /// Takes a reading down; a failure is told once.
    fn measured(&mut self, reading: Result<Reading, Failure>) -> Option<Event> {
        let measured = std::mem::replace(&mut self.measures, reading.is_ok());
        match (reading, &mut self.load) {
            (Ok(Reading::Load(load)), Some(weight)) => weight.handle_load(load),
            (Ok(Reading::Report(report)), Some(weight)) => weight.handle_report(&report),
            (Ok(_), None) => {}
            (Err(failure), _) => return measured.then_some(Event::Unmeasured(failure)),
        }
        None
    }

    /// The weight, if it is another one than the last time.
    fn change(&mut self) -> Option<Option<Weight>> {
        let wanted = match (&self.load, self.checked) {
            (Some(load), Some(weight)) => load.steer().apply(weight, self.full, self.quiesce),
            (_, weight) => weight,
        };
        (wanted != self.held).then(|| {
            self.held = wanted;
            wanted
        })
    }
}

/// Turns the outputs of a monitor into events.
#[derive(Default)]
struct Narrator {
    healthy: bool,
    forced: Override,
    available: bool,
}

impl Narrator {
    fn output(&mut self, output: Output) -> Option<Event> {
        match output {
            Output::Changed { to, reason, .. } => {
                self.healthy = to.is_in();
                let change = self.settle(Why::Checks(reason.clone()));
                Some(change.unwrap_or(Event::Health(to, reason)))
            }
            // What comes of it is up to the load too.
            Output::Weight(_) | Output::Override(_) => None,
            Output::Probe { .. } | Output::Cancel { .. } => None,
        }
    }

    fn forced(&mut self, forced: Override) -> Option<Event> {
        self.forced = forced;
        self.settle(match forced {
            Override::None => Why::NoLongerForced,
            _ => Why::Forced,
        })
    }

    fn settle(&mut self, why: Why) -> Option<Event> {
        let available = match self.forced {
            Override::None => self.healthy,
            Override::ForceUp => true,
            _ => false,
        };
        let before = std::mem::replace(&mut self.available, available);
        match (before, available) {
            (false, true) => Some(Event::Available(why)),
            (true, false) => Some(Event::Unavailable(why)),
            (true, true) | (false, false) => None,
        }
    }
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    usr1: Signal,
    usr2: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            usr1: signal(SignalKind::user_defined1())?,
            usr2: signal(SignalKind::user_defined2())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The override a signal asks for; `None` to stop.
    pub(super) async fn next(&mut self) -> Option<Override> {
        tokio::select! {
            _ = self.terminate.recv() => None,
            _ = self.interrupt.recv() => None,
            _ = self.usr1.recv() => Some(Override::ForceDown),
            _ = self.usr2.recv() => Some(Override::ForceUp),
            _ = self.hangup.recv() => Some(Override::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(from: Health, to: Health, reason: Reason) -> Output {
        Output::Changed { from, to, reason }
    }

    fn failed(streak: u32) -> Reason {
        Reason::Failed { failure: Failure::Refused, streak, needed: 2 }
    }

    #[test]
    fn each_event_has_its_line() {
        use Health::{Down, Falling, Rising, Unknown, Up};
        let passed = |streak, needed| Reason::Passed { streak, needed };
        let mut narrator = Narrator::default();
        let events = [
            narrator.output(changed(Unknown, Up, passed(1, 1))),
            Some(Event::Weight(Some(Weight::ONE))),
            narrator.output(changed(Up, Falling, failed(1))),
            narrator.output(changed(Falling, Down, failed(2))),
            Some(Event::Weight(None)),
            narrator.output(changed(Down, Rising, passed(1, 3))),
            Some(Event::Glasses(Override::ForceUp)),
            narrator.forced(Override::ForceUp),
            narrator.output(changed(Rising, Up, passed(3, 3))),
            Some(Event::Glasses(Override::ForceDown)),
            narrator.forced(Override::ForceDown),
            Some(Event::Glasses(Override::None)),
            narrator.forced(Override::None),
            Some(Event::Checked(Err(Failure::Refused))),
            Some(Event::Stopping),
        ];
        let server = "[2001:db8::1]:80".parse().unwrap();
        let lines =
            events.map(|event| event.map_or_else(String::new, |e| e.on(server).to_string()));
        insta::assert_snapshot!(lines.join("\n"));
    }
}
