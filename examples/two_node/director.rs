//! A director as a program would embed it: lvs.cf, data plane, checks and heartbeat in one
//! process. Its events go to standard output, a JSON value a line.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use piranha::control::Event;
use piranha::control::supervision::{Report, Request};
use piranha::failover::Command;
use piranha::runtime::announced::Announced;
use piranha::runtime::configuration;
use piranha::runtime::control::{
    Feed, Options, Served, Traffic, feed, history_directory, serve_director, serve_node,
};
use piranha::runtime::director::Director;
use piranha::runtime::heartbeat::{Control, Observer};
use piranha::runtime::node::Node;
use piranha::runtime::revisions::{Keeper, Store};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Result, other};

/// How long connections may go on after a stop.
const DRAIN: Duration = Duration::from_millis(300);

/// Runs a director until SIGTERM. SIGUSR1 hands the service over, SIGHUP reads the file again.
/// With a directory for them it has the control sockets of the daemons.
pub(crate) fn run(config: &Path, control: Option<&Path>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(direct(config, control))
}

async fn direct(path: &Path, directory: Option<&Path>) -> Result<()> {
    let printer: Observer = Arc::new(|event: Event| {
        if let Ok(line) = serde_json::to_string(&event) {
            println!("{line}");
        }
    });
    // Two daemons would have a history each.
    let (balancing, lvs_feed) = feed(Arc::clone(&printer));
    let (beating, pulse_feed) = feed(printer);
    let config = configuration::read(path)?.config;
    let director = Director::start(path.to_owned(), Arc::clone(&balancing)).await?;
    let lvs = directory.map(|directory| offer(&director, path, directory, lvs_feed, balancing));
    let _lvs = lvs.transpose()?;
    let mut link = director.spawn();
    let Some(Report::Configured(terms)) = link.reports.recv().await else {
        return Err(other("the director did not get ready"));
    };
    let node = Node::new(&config, *terms, link, false, beating)?;
    let control = node.control();
    let traffic = Traffic::new(node.meters(), Announced::default());
    let pulse = directory.map(|directory| {
        serve_node(&options(directory), pulse_feed, node.snapshots(), control.clone(), traffic)
    });
    let _pulse = pulse.transpose()?;
    tokio::spawn(async move {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hand_over = signal(SignalKind::user_defined1())?;
        let mut reload = signal(SignalKind::hangup())?;
        loop {
            let message = tokio::select! {
                _ = terminate.recv() => Control::Command(Command::Stop),
                _ = hand_over.recv() => Control::Command(Command::HandOver),
                _ = reload.recv() => Control::Reload,
            };
            if control.send(message).await.is_err() {
                return std::io::Result::Ok(());
            }
        }
    });
    let mut link = node.run().await;
    let _ = link.requests.send(Request::Stop { drain: DRAIN });
    while link.reports.recv().await.is_some() {}
    Ok(())
}

fn options(directory: &Path) -> Options {
    Options { directory: directory.to_owned(), group: None }
}

/// The control socket of `lvs`, with the keeper of the file behind it.
fn offer(
    director: &Director,
    path: &Path,
    directory: &Path,
    feed: Feed,
    observer: Observer,
) -> Result<Served> {
    let (options, orders) = (options(directory), director.control());
    let store = Store::new(history_directory(&options, path));
    let (file, in_force) = (path.to_owned(), director.in_force());
    let keeper = Keeper::spawn(file, store, orders.clone(), in_force, observer, false);
    Ok(serve_director(&options, feed, orders, Some(keeper))?)
}
