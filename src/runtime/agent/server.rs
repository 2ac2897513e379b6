//! `nanny agent`: what runs on a real server and answers directors.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::{AccessList, Meter, Sampler};
use crate::health::{AgentMode, AgentReport, AgentState, Failure, Override};
use crate::runtime::checks::program;
use crate::runtime::clock;
use crate::runtime::nanny::Signals;

/// Clients that are answered at the same time; further ones are turned away.
const CLIENTS: usize = 64;
/// How long a client may take to read the line.
const CLIENT_TIME: Duration = Duration::from_secs(2);
/// The most that is read of what a client sends, which nothing looks at.
const CLIENT_TALK: u64 = 4096;
/// The pause after a connection could not be accepted for want of resources.
const PAUSE: Duration = Duration::from_millis(100);

/// What an agent measures, and whom it tells.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; nowhere in particular, which is every address, if there is none.
    pub addresses: Vec<SocketAddr>,
    /// The port for every address.
    pub port: u16,
    /// Who may ask.
    pub allowed: AccessList,
    /// What is taken for the load.
    pub meter: Meter,
    /// How often it is measured, and how long a program may take.
    pub interval: Duration,
    /// A program that says with status 0 that the server is fit.
    pub readiness: Option<Vec<String>>,
    /// A file that drains the server while it exists.
    pub drain_file: Option<PathBuf>,
    /// Whether `ready` is said where nothing is to be drained. HAProxy needs it to take back a
    /// drain of this agent, and then takes back those of its own console too.
    pub says_ready: bool,
}

impl Settings {
    /// On every address with this port, for everybody, with the load average each five seconds.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self {
            addresses: Vec::new(),
            port,
            allowed: AccessList::default(),
            meter: Meter::default(),
            interval: Duration::from_secs(5),
            readiness: None,
            drain_file: None,
            says_ready: true,
        }
    }
}

/// Something worth a line.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// Directors can ask here.
    Listening(SocketAddr),
    /// What it says from now on; told when more than the percentage changed.
    Says(AgentReport),
    /// The load cannot be measured; told when it could before.
    Unmeasured(Failure),
    /// SIGTERM or SIGINT came.
    Stopping,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening(address) => write!(f, "agent on {address}"),
            Self::Says(report) => write!(f, "saying: {report}"),
            Self::Unmeasured(failure) => write!(f, "the load cannot be measured: {failure}"),
            Self::Stopping => f.write_str("agent stops; directors keep what they know"),
        }
    }
}

/// Answers until SIGTERM or SIGINT, and tells `report` what happens. SIGUSR1 drains the server,
/// SIGUSR2 says that it is ready and up whatever else says, SIGHUP leaves it to the drain file and
/// the readiness program again.
///
/// # Errors
/// If an address cannot be listened on or a signal not be listened for, or with the error of
/// `report`.
///
/// # Panics
/// Outside a tokio runtime with timers and I/O.
pub async fn serve(
    settings: Settings,
    mut report: impl FnMut(&Event) -> io::Result<()>,
) -> io::Result<()> {
    let mut signals = Signals::listen()?;
    let listeners = listen(&settings).await?;
    let (line, said) = watch::channel(String::new());
    let mut voice = Voice { line, says_ready: settings.says_ready, ..Voice::new() };
    let (samples, mut sampled) = mpsc::channel(1);
    let sampling = tokio::spawn(keep_sampling(settings.clone(), samples));
    let clients = Arc::new(Semaphore::new(CLIENTS));
    for listener in listeners {
        report(&Event::Listening(listener.local_addr()?))?;
        let (allowed, said) = (settings.allowed.clone(), said.clone());
        tokio::spawn(accept(listener, allowed, said, Arc::clone(&clients)));
    }
    loop {
        let events = tokio::select! {
            biased;
            signal = signals.next() => match signal {
                Some(forced) => voice.force(forced),
                None => break,
            },
            Some(sample) = sampled.recv() => voice.sampled(sample),
        };
        events.iter().try_for_each(&mut report)?;
    }
    sampling.abort();
    report(&Event::Stopping)
}

/// What an agent with these settings would say now.
pub async fn sample(settings: &Settings) -> AgentReport {
    let mut sampler = Sampler::new(settings.meter.clone());
    let sample = Sample::take(settings, &mut sampler).await;
    sample.report(Override::None, settings.says_ready)
}

async fn listen(settings: &Settings) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for &address in &settings.addresses {
        listeners.push(bind(address).await?);
    }
    if listeners.is_empty() {
        let six = bind((Ipv6Addr::UNSPECIFIED, settings.port).into()).await;
        listeners.push(match six {
            // No IPv6 here.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                bind((Ipv4Addr::UNSPECIFIED, settings.port).into()).await?
            }
            six => six?,
        });
    }
    Ok(listeners)
}

async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
    TcpListener::bind(address).await.map_err(named)
}

async fn keep_sampling(settings: Settings, samples: mpsc::Sender<Sample>) {
    let mut sampler = Sampler::new(settings.meter.clone());
    let mut due = clock::now();
    loop {
        clock::sleep_until(due).await;
        let sample = Sample::take(&settings, &mut sampler).await;
        if samples.send(sample).await.is_err() {
            return;
        }
        due = clock::now().max(due + settings.interval);
    }
}

/// What was found out about this machine at one moment.
#[derive(Clone, Debug)]
struct Sample {
    percent: Result<u16, Failure>,
    readiness: Result<(), Failure>,
    drain: bool,
}

impl Sample {
    async fn take(settings: &Settings, sampler: &mut Sampler) -> Self {
        let limit = settings.interval;
        let readiness = match &settings.readiness {
            Some(program) => program::output(program.iter().cloned(), None, limit).await.map(drop),
            None => Ok(()),
        };
        let percent = sampler.percent(limit).await;
        let drain = settings.drain_file.as_ref().is_some_and(|file| file.exists());
        Self { percent, readiness, drain }
    }

    fn report(&self, forced: Override, says_ready: bool) -> AgentReport {
        let drain = match forced {
            Override::None => self.drain.then_some("drain file"),
            Override::ForceDown | Override::Drain | Override::Disabled => {
                Some("drained by a signal")
            }
            Override::ForceUp => None,
        };
        let unfit = self.readiness.as_ref().err().filter(|_| forced != Override::ForceUp);
        AgentReport {
            percent: self.percent.as_ref().ok().copied(),
            mode: match drain {
                Some(_) => Some(AgentMode::Drain),
                None => says_ready.then_some(AgentMode::Ready),
            },
            state: Some(if unfit.is_some() { AgentState::Fail } else { AgentState::Up }),
            reason: unfit.map(Failure::to_string).or_else(|| drain.map(str::to_owned)),
            ..AgentReport::default()
        }
    }
}

/// What is said, and what it follows from.
struct Voice {
    line: watch::Sender<String>,
    says_ready: bool,
    forced: Override,
    sample: Option<Sample>,
    said: AgentReport,
    measured: bool,
}

impl Voice {
    fn new() -> Self {
        Self {
            line: watch::Sender::default(),
            says_ready: true,
            forced: Override::None,
            sample: None,
            said: AgentReport::default(),
            measured: true,
        }
    }

    fn force(&mut self, forced: Override) -> Vec<Event> {
        self.forced = forced;
        self.speak().into_iter().collect()
    }

    fn sampled(&mut self, sample: Sample) -> Vec<Event> {
        let trouble = sample.percent.as_ref().err().filter(|_| self.measured).cloned();
        self.measured = sample.percent.is_ok();
        self.sample = Some(sample);
        trouble.map(Event::Unmeasured).into_iter().chain(self.speak()).collect()
    }

    fn speak(&mut self) -> Option<Event> {
        let report = self.sample.as_ref()?.report(self.forced, self.says_ready);
        self.line.send_replace(format!("{report}\n"));
        let mut known = std::mem::replace(&mut self.said, report.clone());
        known.percent = report.percent;
        (known != report).then_some(Event::Says(report))
    }
}

async fn accept(
    listener: TcpListener,
    allowed: AccessList,
    said: watch::Receiver<String>,
    clients: Arc<Semaphore>,
) {
    loop {
        let Ok((stream, client)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let Ok(turn) = Arc::clone(&clients).try_acquire_owned() else {
            continue;
        };
        if allowed.allows(client.ip()) {
            let said = said.clone();
            tokio::spawn(async move {
                let _ = timeout(CLIENT_TIME, answer(stream, said)).await;
                drop(turn);
            });
        }
    }
}

/// Says the line, and waits for the client to go, so that what it sent does not turn the end into
/// a reset that overtakes the line.
async fn answer(mut stream: TcpStream, mut said: watch::Receiver<String>) -> io::Result<()> {
    let line = match said.wait_for(|line| !line.is_empty()).await {
        Ok(line) => line.clone(),
        Err(_stopping) => return Ok(()),
    };
    stream.write_all(line.as_bytes()).await?;
    stream.shutdown().await?;
    let mut talk = stream.take(CLIENT_TALK);
    let mut piece = [0; 512];
    while talk.read(&mut piece).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(percent: Result<u16, Failure>, fit: bool, drain: bool) -> Sample {
        let readiness = if fit { Ok(()) } else { Err(Failure::Other("no disk".to_owned())) };
        Sample { percent, readiness, drain }
    }

    #[test]
    fn what_is_said_follows_from_the_sample_and_the_signals() {
        use Override::{ForceDown, ForceUp, None};
        for (fit, drain, forced, line) in [
            (true, false, None, "50% ready up"),
            (false, false, None, "50% ready fail #no disk"),
            (true, true, None, "50% drain up #drain file"),
            (true, false, ForceDown, "50% drain up #drained by a signal"),
            (false, true, ForceUp, "50% ready up"),
        ] {
            let report = sample(Ok(50), fit, drain).report(forced, true);
            assert_eq!(report.to_string(), line);
        }
        assert_eq!(sample(Ok(1), true, false).report(None, false).to_string(), "1% up");
    }

    #[test]
    fn a_load_that_cannot_be_measured_is_told_once_and_left_out() {
        let mut voice = Voice::new();
        let failing = || sample(Err(Failure::Refused), true, false);
        let [Event::Unmeasured(_), Event::Says(said)] = &voice.sampled(failing())[..] else {
            panic!("two events");
        };
        assert_eq!(said.to_string(), "ready up");
        assert_eq!(voice.sampled(failing()), []);
        assert_eq!(voice.sampled(sample(Ok(7), true, false)), [], "a percentage is no event");
        assert_eq!(*voice.line.borrow(), "7% ready up\n");
    }
}
