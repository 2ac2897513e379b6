//! A director as a program would embed it: lvs.cf, data plane, checks and heartbeat in one
//! process. Its events go to standard output, a JSON value a line.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use piranha::control::Event;
use piranha::control::supervision::{Report, Request};
use piranha::failover::Command;
use piranha::runtime::configuration;
use piranha::runtime::director::Director;
use piranha::runtime::heartbeat::{Control, Observer};
use piranha::runtime::node::Node;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Result, other};

/// How long connections may go on after a stop.
const DRAIN: Duration = Duration::from_millis(300);

/// Runs a director until SIGTERM. SIGUSR1 hands the service over, SIGHUP reads the file again.
pub(crate) fn run(config: &Path) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(direct(config))
}

async fn direct(path: &Path) -> Result<()> {
    let observer: Observer = Arc::new(|event: Event| {
        if let Ok(line) = serde_json::to_string(&event) {
            println!("{line}");
        }
    });
    let config = configuration::read(path)?.config;
    let director = Director::start(path.to_owned(), Arc::clone(&observer)).await?;
    let mut link = director.spawn();
    let Some(Report::Configured(terms)) = link.reports.recv().await else {
        return Err(other("the director did not get ready"));
    };
    let node = Node::new(&config, *terms, link, false, observer)?;
    let control = node.control();
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
