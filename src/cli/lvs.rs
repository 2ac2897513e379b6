//! The command line of `lvs`.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use super::control::{self, ControlArguments};
use super::log::LogArguments;
use super::{Failure, finish, log, read_config};
use crate::control::Event;
use crate::control::supervision::{Report, Request};
use crate::failover::{ActionId, VirtualAddress};
use crate::runtime::addresses;
use crate::runtime::control::{Feed, Served, feed, history_directory, serve_director, state_file};
use crate::runtime::director::{Director, StartError, Store};
use crate::runtime::fos::Group;
use crate::runtime::heartbeat::{Link, Observer};
use crate::runtime::metrics::Metrics;
use crate::runtime::notify::Notifier;
use crate::runtime::privileges::{self, Duty, Programs};
use crate::runtime::relay::raise_descriptor_limit;
use crate::runtime::revisions::{self, Keeper};
use crate::runtime::supervisor;
use crate::runtime::systemd::{Manager, Watchdog};

/// The data plane and the health checks of a director.
///
/// `pulse` starts it. Started by hand it brings the addresses of its configuration up by itself,
/// at once and without asking a partner. SIGHUP has the configuration read again.
#[derive(Debug, Parser)]
#[command(name = "lvs", version)]
struct Arguments {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = super::CONFIG_FILE)]
    configfile: PathBuf,
    /// Stay in the foreground. Always so in this version: run it under a supervisor such as
    /// systemd.
    #[arg(short, long)]
    nodaemon: bool,
    /// The same, for the scripts that say so.
    #[arg(long)]
    nofork: bool,
    /// Check the configuration and what the data plane can do, change nothing, and end.
    #[arg(short, long, visible_alias = "norun")]
    test_start: bool,
    /// How long connections may go on after SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain: u64,
    /// Load what is edited in the configuration file as soon as it is quiet and has no errors.
    #[arg(long)]
    watch: bool,
    /// Take the services of the configuration out of the kernel's table at an orderly end, with
    /// their connections. Without this they stay there for the next start.
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    control: ControlArguments,
    #[command(flatten)]
    log: LogArguments,
    /// Take orders from the pulse at the other end of standard input.
    #[arg(long, hide = true)]
    supervised: bool,
}

impl Arguments {
    fn confine(&self) -> io::Result<()> {
        if self.supervised {
            // The pulse that started it has decided for both.
            return privileges::confine(Duty::Director, Programs::Unconfined);
        }
        super::confine(Duty::Director, &self.configfile)
    }
}

#[cfg(test)]
pub(super) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs `lvs` with the arguments of this process: 0 after an orderly stop, 1 when it could not
/// start, 2 for a wrong command line.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.supervised {
        supervisor::die_with_parent();
    }
    let confined = arguments.confine();
    let _written_at_the_end = log::init("lvs", arguments.log);
    super::warn_of(confined);
    if let Err(error) = raise_descriptor_limit() {
        tracing::warn!(%error, "cannot raise the number of file descriptors; fewer connections fit");
    }
    finish("lvs", super::on_one_thread(run(arguments)))
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.supervised {
        // pulse has printed what is to be said about the configuration.
        let notifier = Notifier::start()?;
        let (observer, feed) = feed(notifier.observer(log::observer()));
        let (link, _served) = start(arguments, &notifier, &observer, feed).await?;
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        supervisor::serve_link(link, StdUnixStream::from(input)).await?;
        notifier.finish(super::LAST_WORDS).await;
        return Ok(());
    }
    if !arguments.test_start {
        control::settle(&arguments.control, &arguments.configfile);
    }
    read_config(&arguments.configfile)?;
    if arguments.test_start {
        return check(&arguments.configfile).await;
    }
    let drain = Duration::from_secs(arguments.drain);
    let manager = Manager::from_environment();
    let notifier = Notifier::start()?;
    let (observer, feed) = feed(notifier.observer(telling(manager.clone())));
    let (link, _served) = start(arguments, &notifier, &observer, feed).await?;
    let link = addresses::keep(link, addresses::Options::default(), observer)?;
    let result = alone(link, drain, manager.as_ref()).await;
    notifier.finish(super::LAST_WORDS).await;
    result
}

/// Logs each event, and tells the service manager what becomes of a reload.
fn telling(manager: Option<Manager>) -> Observer {
    let log = log::observer();
    Arc::new(move |event: Event| {
        if matches!(event, Event::Reloaded { .. } | Event::ReloadFailed { .. }) {
            manager.iter().for_each(Manager::ready);
        }
        log(event);
    })
}

async fn check(path: &Path) -> Result<(), Failure> {
    match Director::check(path, &log::observer()).await {
        Err(StartError::Failover(path)) => Ok(Group::check(&path).map(drop)?),
        checked => Ok(checked?),
    }
}

/// The director or the failover services, with a control socket and the keeper of the file.
async fn start(
    arguments: Arguments,
    notifier: &Notifier,
    observer: &Observer,
    feed: Feed,
) -> Result<(Link, Option<Served>), Failure> {
    let path = arguments.configfile;
    let options = arguments.control.options(&path);
    let metrics = Metrics::new(options.directory.clone(), observer.clone());
    let store = Store::new(state_file(&options, &path));
    let started = Director::start_with(path.clone(), Some(store), observer.clone()).await;
    let (link, orders, in_force) = match started {
        Err(StartError::Failover(path)) => {
            let group = Group::start(path, observer.clone()).await?;
            let (orders, in_force) = (group.control(), group.in_force());
            let group = group.with_notifier(notifier.clone()).with_metrics(metrics);
            (group.spawn(), orders, in_force)
        }
        director => {
            let director = director?.with_notifier(notifier.clone()).with_metrics(metrics);
            let director = watched(director).with_release(arguments.release);
            let (orders, in_force) = (director.control(), director.in_force());
            (director.spawn(), orders, in_force)
        }
    };
    let history = revisions::Store::new(history_directory(&options, &path));
    let keeper =
        Keeper::spawn(path, history, orders.clone(), in_force, observer.clone(), arguments.watch);
    let served = serve_director(&options, feed, orders, Some(keeper));
    Ok((link, control::or_warn(served, &options, observer)))
}

/// With the watchdog of the service manager, where that is for this process: pulse is watched
/// itself where it runs this.
fn watched(director: Director) -> Director {
    let manager = Manager::from_environment();
    match manager.as_ref().and_then(Watchdog::from_environment) {
        Some(watchdog) => director.with_watchdog(watchdog),
        None => director,
    }
}

/// Runs until a signal ends it.
async fn alone(mut link: Link, drain: Duration, manager: Option<&Manager>) -> Result<(), Failure> {
    let mut held = Vec::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        let request = tokio::select! {
            _ = interrupt.recv() => Request::Stop { drain },
            _ = terminate.recv() => Request::Stop { drain },
            _ = hangup.recv() => Request::Reload,
            report = link.reports.recv() => match report {
                Some(report) => {
                    if matches!(report, Report::Done { id: ActionId(0), result: Ok(()) }) {
                        manager.into_iter().for_each(Manager::ready);
                    }
                    for request in follow(report, &mut held)? {
                        let _ = link.requests.send(request);
                    }
                    continue;
                }
                None => return Ok(()),
            },
        };
        match request {
            Request::Stop { .. } => manager.into_iter().for_each(Manager::stopping),
            Request::Reload => manager.into_iter().for_each(Manager::reloading),
            _ => {}
        }
        // The end of the reports, above, says when there is nobody to send to.
        let _ = link.requests.send(request);
    }
}

/// Without pulse, the addresses follow the configuration.
fn follow(report: Report, held: &mut Vec<VirtualAddress>) -> Result<Vec<Request>, Failure> {
    match report {
        Report::Configured(terms) => {
            let before = std::mem::replace(held, terms.addresses);
            let gone: Vec<_> = before.iter().filter(|a| !held.contains(a)).cloned().collect();
            let mut requests = Vec::new();
            if !gone.is_empty() {
                requests.push(Request::Release { id: ActionId(1), addresses: gone });
            }
            if before.is_empty() || before != *held {
                requests.push(Request::Acquire { id: ActionId(0), addresses: held.clone() });
            }
            Ok(requests)
        }
        Report::Done { id: ActionId(0), result } => {
            result?;
            Ok(vec![Request::Announce { addresses: held.clone() }])
        }
        Report::Done { result, .. } => Ok(result.map(|()| Vec::new())?),
        Report::Warm(_) => Ok(Vec::new()),
        Report::Broken { reason } => Err(Failure::new(reason)),
    }
}
