//! What has to be in order on this node, looked at all the time on a thread of its own.
//!
//! [`watch`] looks at links (as the kernel tells of them), files, processes, commands and
//! references, and has [`failover::guard`](crate::failover::guard) judge. The heartbeat's driver
//! takes the faults from [`Watch::changed`]; it never waits for a look.

#[cfg(feature = "kernel")]
mod drivers;
#[cfg_attr(not(feature = "kernel"), path = "links_missing.rs")]
mod links;
mod references;
mod track;

use std::io;
use std::net::IpAddr;

use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinSet;

use super::heartbeat::Observer;
use super::{clock, isolation};
use crate::control::Event;
use crate::failover::guard::{Fault, Guard, Guards, Spec};

/// The guards of a node that are being watched, until this is dropped.
#[derive(Debug)]
pub struct Watch {
    spec: channel::Sender<Spec>,
    faults: channel::Receiver<Vec<Fault>>,
}

/// Begins to watch what `spec` names. `own` are the addresses this node sends heartbeats from.
/// Links, files and processes have been looked at once when it returns; references and commands
/// count as in order until they were.
///
/// # Errors
/// The operating system's, when there is no thread to be had.
pub fn watch(spec: Spec, own: Vec<IpAddr>, observer: Observer) -> io::Result<Watch> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut watcher = Watcher { guards: Guards::new(&spec), own, observer, told: Vec::new() };
    watcher.look(&spec);
    let (fault_sender, faults) = channel::channel(watcher.told.clone());
    let (spec_sender, spec_receiver) = channel::channel(spec);
    std::thread::Builder::new().name("guards".to_owned()).spawn(move || {
        // An answer of a reference that is looked at late is taken for none.
        isolation::follow();
        runtime.block_on(watcher.run(spec_receiver, fault_sender));
    })?;
    Ok(Watch { spec: spec_sender, faults })
}

impl Watch {
    /// Watches what `spec` names from now on. What it names still keeps its verdict.
    pub fn set(&self, spec: Spec) {
        self.spec.send_if_modified(|known| {
            let news = *known != spec;
            *known = spec;
            news
        });
    }

    /// The guards that fail now.
    #[must_use]
    pub fn faults(&mut self) -> Vec<Fault> {
        self.faults.borrow_and_update().clone()
    }

    /// Waits until other guards fail than when they were last asked for, and tells which. Safe to
    /// drop.
    pub async fn changed(&mut self) -> Vec<Fault> {
        if self.faults.changed().await.is_err() {
            // The thread is gone; what it said last is all there is.
            std::future::pending::<()>().await;
        }
        self.faults()
    }
}

/// What was seen.
enum Observation {
    Guard(Guard, Result<(), String>),
    Reference(IpAddr, bool),
}

type Report = mpsc::UnboundedSender<Observation>;

struct Watcher {
    guards: Guards,
    own: Vec<IpAddr>,
    observer: Observer,
    told: Vec<Fault>,
}

impl Watcher {
    async fn run(mut self, mut spec: channel::Receiver<Spec>, faults: channel::Sender<Vec<Fault>>) {
        loop {
            let present = spec.borrow_and_update().clone();
            self.guards.set(&present);
            tokio::select! {
                changed = spec.changed() => if changed.is_err() { return },
                () = self.watch(&present, &faults) => {}
            }
        }
    }

    /// Watches what `spec` names, for ever.
    async fn watch(&mut self, spec: &Spec, faults: &channel::Sender<Vec<Fault>>) {
        let (report, mut observations) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        self.start(spec, &report, &mut tasks);
        loop {
            self.tell();
            faults.send_if_modified(|known| {
                let news = *known != self.told;
                known.clone_from(&self.told);
                news
            });
            tokio::select! {
                Some(seen) = observations.recv() => self.observe(seen),
                () = clock::sleep_until_or_forever(self.guards.poll_timeout()) => {
                    self.guards.handle_timeout(clock::now());
                }
            }
        }
    }

    fn start(&self, spec: &Spec, report: &Report, tasks: &mut JoinSet<()>) {
        if links::concerns(spec) {
            tasks.spawn(links::watch(spec.clone(), self.own.clone(), report.clone()));
        }
        for file in &spec.files {
            tasks.spawn(track::file(file.clone(), spec.interval, report.clone()));
        }
        for name in &spec.processes {
            tasks.spawn(track::process(name.clone(), spec.interval, report.clone()));
        }
        for command in &spec.commands {
            let user = spec.command_user.clone();
            tasks.spawn(track::command(command.clone(), user, spec.interval, report.clone()));
        }
        for address in &spec.references {
            tasks.spawn(references::watch(*address, spec.clone(), report.clone()));
        }
    }

    /// One look at what can be seen at once.
    fn look(&mut self, spec: &Spec) {
        let links = links::look(spec, &self.own);
        let files = spec.files.iter();
        let files = files.map(|file| (Guard::File(file.clone()), track::look_at_file(file)));
        let processes = spec.processes.iter();
        let processes = processes
            .map(|name| (Guard::Process(name.clone()), track::look_for_process(name).map(drop)));
        for (guard, seen) in links.into_iter().chain(files).chain(processes) {
            self.guards.handle_observation(clock::now(), &guard, seen);
        }
        self.tell();
    }

    fn observe(&mut self, seen: Observation) {
        let now = clock::now();
        match seen {
            Observation::Guard(guard, seen) => self.guards.handle_observation(now, &guard, seen),
            Observation::Reference(address, answers) => {
                self.guards.handle_reference(now, address, answers);
            }
        }
    }

    /// Tells the log which guards fail, or do so no more, since the last time.
    fn tell(&mut self) {
        let faults = self.guards.faults();
        let names = |all: &[Fault], guard: &Guard| all.iter().any(|fault| fault.guard == *guard);
        for fault in faults.iter().filter(|fault| !names(&self.told, &fault.guard)) {
            (self.observer)(Event::GuardFailed { fault: fault.clone() });
        }
        for fault in self.told.iter().filter(|fault| !names(&faults, &fault.guard)) {
            (self.observer)(Event::GuardMended { guard: fault.guard.clone() });
        }
        self.told = faults;
    }
}
