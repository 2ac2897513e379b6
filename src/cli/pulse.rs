//! The command line of `pulse`.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::control::{self, ControlArguments};
use super::log::LogArguments;
use super::{Failure, finish, log, read_config};
use crate::config::Config;
use crate::control::supervision::{Report, Request, Terms};
use crate::failover::Command;
use crate::failover::record::Sink;
use crate::runtime::addresses;
use crate::runtime::announced::Announced;
use crate::runtime::beat::{self, Listener};
use crate::runtime::configuration;
use crate::runtime::control::{Traffic, feed, serve_node};
use crate::runtime::heartbeat::{Control, Link, Observer, Snapshot};
use crate::runtime::herald::Herald;
use crate::runtime::isolation;
use crate::runtime::node::Node;
use crate::runtime::notify::{self, Notifier};
use crate::runtime::privileges::{self, Duty, Programs};
use crate::runtime::recording::Recording;
use crate::runtime::supervisor::{LvsCommand, supervise};
use crate::runtime::systemd::{Manager, Watchdog};

/// How long `lvs` may take to get its table ready: thousands of servers on a machine that is still
/// busy with its start take longer than the 10 s of 0.8.6. One that dies is noticed at once.
const LVS_START: Duration = Duration::from_secs(60);

/// Heartbeats between two directors, and the floating addresses of the active one.
///
/// Starts `lvs` and keeps it running. SIGINT and SIGTERM hand the service over to the partner and
/// stop; a second one stops at once. SIGHUP has the configuration read again. SIGUSR1 hands the
/// service over and goes on as standby.
#[derive(Debug, Parser)]
#[command(name = "pulse", version)]
struct Arguments {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = super::CONFIG_FILE)]
    configfile: PathBuf,
    /// Stay in the foreground. Always so in this version: run it under a supervisor such as
    /// systemd.
    #[arg(short, long)]
    nodaemon: bool,
    /// Exchange heartbeats and decide, but start no lvs and bring no address up.
    #[arg(short, long, visible_alias = "norun")]
    test_start: bool,
    /// Start active, without waiting for the partner.
    #[arg(long)]
    forceactive: bool,
    /// The lvs program [default: lvsd beside pulse, or lvs].
    #[arg(long, visible_alias = "lvsd", value_name = "PATH")]
    lvs: Option<PathBuf>,
    /// How long connections may go on after the service was handed over.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain: u64,
    /// Load what is edited in the configuration file as soon as it is quiet and has no errors.
    #[arg(long)]
    watch: bool,
    /// Take the services of the configuration out of the kernel's table at an orderly end, with
    /// their connections. Without this they stay there for the next start.
    #[arg(long)]
    release: bool,
    /// Record everything pulse is told and decides, for `piranha replay`.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The most that a recording may take, with the file before it.
    #[arg(long, value_name = "MIB", default_value_t = 64, requires = "record",
        value_parser = clap::value_parser!(u64).range(8..=65536))]
    record_limit: u64,
    #[command(flatten)]
    control: ControlArguments,
    #[command(flatten)]
    log: LogArguments,
    /// Be the guard of the addresses of the pulse at the other end of standard input.
    #[arg(long, hide = true)]
    guard: bool,
    /// Tell of the events of the pulse at the other end of standard input.
    #[arg(long, hide = true)]
    notifier: bool,
}

#[cfg(test)]
pub(super) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs `pulse` with the arguments of this process: 0 after an orderly stop, 1 when it could not
/// start or lost its data plane for good, 2 for a wrong command line.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let confined = arguments.confine();
    let _written_at_the_end = log::init("pulse", arguments.log);
    super::warn_of(confined);
    if arguments.guard {
        return finish("pulse", super::on_one_thread(async { Ok(addresses::guard().await?) }));
    }
    if arguments.notifier {
        return finish("pulse", super::on_one_thread(tell(arguments.configfile)));
    }
    finish("pulse", super::on_one_thread(run(arguments)))
}

/// The pulse that is told of has printed what is to be said about the configuration.
async fn tell(path: PathBuf) -> Result<(), Failure> {
    let accepted = configuration::read(&path)?;
    Ok(notify::serve(path, &accepted.config).await?)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    if !arguments.test_start {
        control::settle(&arguments.control, &arguments.configfile);
    }
    let config = read_config(&arguments.configfile)?;
    let mut signals = Signals::new()?;
    let notifier = notifier(&arguments, &config)?;
    let (observer, feed) = feed(notifier.observer(log::observer()));
    let (beat, beats) = beat::pair()?;
    let announced = Announced::default();
    let mut link = link(&arguments, &config, beats, &announced, &observer)?;
    let terms = first_report(&mut link).await?;
    let (recording, sink) = arguments.begin_recording()?.unzip();
    observer(isolation::isolate());
    let manager = Manager::from_environment();
    let watchdog = manager.as_ref().and_then(Watchdog::from_environment);
    let (force, told) = (arguments.forceactive, observer.clone());
    let node = match sink {
        Some(sink) => Node::recorded(&config, terms, link, force, told, sink)?,
        None => Node::new(&config, terms, link, force, told)?,
    };
    let node = node.with_beat(beat);
    let node = match watchdog {
        Some(watchdog) => node.with_watchdog(watchdog),
        None => node,
    };
    let control = node.control();
    let options = arguments.control.options(&arguments.configfile);
    let _served = if arguments.test_start {
        None
    } else {
        let traffic = Traffic::new(node.meters(), announced);
        let served = serve_node(&options, feed, node.snapshots(), control.clone(), traffic);
        control::or_warn(served, &options, &observer)
    };
    let herald = manager.map(|manager| Herald::start(manager, options.directory.clone()));
    let herald = herald.transpose()?;
    let mut reloads = Reloads::new(node.snapshots());
    let running = node.run();
    tokio::pin!(running);
    let link = loop {
        tokio::select! {
            link = &mut running => break link,
            control_message = signals.next() => {
                herald.iter().for_each(|herald| tell_manager(herald, &control_message));
                pass_on(&control, control_message);
            }
            () = reloads.next() => notifier.reload(),
        }
    };
    drain(link, Duration::from_secs(arguments.drain), &mut signals).await;
    notifier.finish(super::LAST_WORDS).await;
    if let Some(recording) = recording {
        recording.finish();
    }
    Ok(())
}

/// A recording, and where the machine puts what goes into it.
type Begun = (Recording, Box<dyn Sink>);

impl Arguments {
    fn confine(&self) -> io::Result<()> {
        match self {
            Self { guard: true, .. } => privileges::confine(Duty::Guard, Programs::Confined),
            // The pulse that started it has decided for both.
            Self { notifier: true, .. } => {
                privileges::confine(Duty::Notifier, Programs::Unconfined)
            }
            _ => super::confine(Duty::Heartbeat, &self.configfile),
        }
    }

    fn begin_recording(&self) -> Result<Option<Begun>, Failure> {
        let Some(path) = &self.record else {
            return Ok(None);
        };
        let begun = Recording::begin(path, self.record_limit << 20);
        let failed = |error| Failure::new(format!("cannot record to {}: {error}", path.display()));
        begun.map(Some).map_err(failed)
    }
}

/// When the configuration was read again and accepted, whoever asked for it.
struct Reloads {
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    terms: Option<Arc<Terms>>,
}

impl Reloads {
    const fn new(snapshots: watch::Receiver<Option<Arc<Snapshot>>>) -> Self {
        Self { snapshots, terms: None }
    }

    async fn next(&mut self) {
        loop {
            if self.snapshots.changed().await.is_err() {
                return std::future::pending().await;
            }
            let snapshot = self.snapshots.borrow_and_update().clone();
            let Some(terms) = snapshot.and_then(|snapshot| snapshot.terms.clone()) else {
                continue;
            };
            let before = self.terms.replace(Arc::clone(&terms));
            if before.is_some_and(|before| !Arc::ptr_eq(&before, &terms)) {
                return;
            }
        }
    }
}

/// Programs run in a process of their own, and so does what reads the file.
fn notifier(arguments: &Arguments, config: &Config) -> Result<Notifier, Failure> {
    let file = arguments.configfile.clone().into_os_string();
    let own = [OsString::from("--notifier"), OsString::from("--configfile"), file];
    let log = arguments.log.options().into_iter().map(OsString::from);
    let own = own.into_iter().chain(log).collect();
    Ok(Notifier::start_process(std::env::current_exe()?, own, config)?)
}

fn link(
    arguments: &Arguments,
    config: &Config,
    beats: Listener,
    announced: &Announced,
    observer: &Observer,
) -> Result<Link, Failure> {
    if arguments.test_start {
        return Ok(Link::rehearsal(Terms::new(config, configuration::digest(config))));
    }
    let program = match &arguments.lvs {
        Some(program) => program.clone(),
        None => lvs_beside()?,
    };
    let command = LvsCommand {
        program: program.clone(),
        config: arguments.configfile.clone(),
        control: Some(arguments.control.options(&arguments.configfile)),
        options: arguments.log.options(),
        watch: arguments.watch,
        release: arguments.release,
    };
    let lvs = supervise(command)
        .map_err(|error| Failure::new(format!("cannot start {}: {error}", program.display())))?;
    let guard = Some(std::env::current_exe()?);
    let options = addresses::Options {
        guard,
        beats: Some(beats),
        isolated: true,
        announced: announced.clone(),
        ..addresses::Options::default()
    };
    Ok(addresses::keep(lvs, options, observer.clone())?)
}

/// The daemon beside this one. Packages install it as `lvsd`, for `lvs` there is a command of LVM.
fn lvs_beside() -> io::Result<PathBuf> {
    let packaged = super::sibling("lvsd")?;
    if packaged.exists() { Ok(packaged) } else { super::sibling("lvs") }
}

async fn first_report(link: &mut Link) -> Result<Terms, Failure> {
    match tokio::time::timeout(LVS_START, link.reports.recv()).await {
        Ok(Some(Report::Configured(terms))) => Ok(*terms),
        Ok(Some(Report::Broken { reason })) => Err(Failure::new(reason)),
        Ok(_) => Err(Failure::new("lvs did not get ready")),
        Err(_) => Err(Failure::new(format!("lvs did not get ready within {LVS_START:?}"))),
    }
}

/// Before it happens: a manager that asked for it waits for the word.
fn tell_manager(herald: &Herald, message: &Control) {
    match message {
        Control::Reload => herald.reloading(),
        Control::Command(Command::Stop) => herald.stopping(),
        _ => {}
    }
}

/// A full queue means that this signal's wish is already being dealt with.
fn pass_on(control: &mpsc::Sender<Control>, message: Control) {
    let _ = control.try_send(message);
}

/// Lets connections end on the node that has already given the service up.
async fn drain(mut link: Link, drain: Duration, signals: &mut Signals) {
    if link.requests.send(Request::Stop { drain }).is_err() {
        return;
    }
    let ended = async { while link.reports.recv().await.is_some() {} };
    tokio::select! {
        () = ended => {}
        () = signals.stop_again() => tracing::warn!("pulse: stopped again: connections are cut"),
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    user: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Control {
        tokio::select! {
            _ = self.interrupt.recv() => Control::Command(Command::Stop),
            _ = self.terminate.recv() => Control::Command(Command::Stop),
            _ = self.hangup.recv() => Control::Reload,
            _ = self.user.recv() => Control::Command(Command::HandOver),
        }
    }

    async fn stop_again(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
