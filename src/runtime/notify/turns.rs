//! Programs that run one at a time, each for the latest there is to tell.

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::command::Manner;
use super::setup::Hooks;
use crate::control::notify::keepalived::Instance;

/// What a program is run with.
#[derive(Clone, Debug)]
struct Run {
    /// What the log calls it.
    label: &'static str,
    command: String,
    arguments: Vec<String>,
    event: String,
    manner: Manner,
}

impl Run {
    async fn carry_out(self) {
        let Self { label, command, arguments, event, manner } = self;
        match manner.run(&command, &arguments, &event).await {
            Ok(ended) => tracing::info!("notify: {label} {command}: {ended}"),
            Err(reason) => tracing::warn!("notify: {label} {command}: {reason}"),
        }
    }
}

/// A program that is told of the state: if it changes several times while the program runs, of
/// the last one only.
#[derive(Debug)]
pub(super) struct Follower {
    command: String,
    manner: Manner,
    latest: watch::Sender<Option<Run>>,
}

impl Follower {
    /// Runs in `tasks` until it is dropped, and then to the end of what was told last.
    pub(super) fn start(command: &str, manner: &Manner, tasks: &mut JoinSet<()>) -> Self {
        let (latest, mut receiver) = watch::channel::<Option<Run>>(None);
        tasks.spawn(async move {
            while receiver.changed().await.is_ok() {
                let latest = receiver.borrow_and_update().clone();
                if let Some(run) = latest {
                    run.carry_out().await;
                }
            }
        });
        Self { command: command.to_owned(), manner: manner.clone(), latest }
    }

    pub(super) fn tell(&self, arguments: &[String], event: &str) {
        let run = Run {
            label: "notify_command",
            command: self.command.clone(),
            arguments: arguments.to_vec(),
            event: event.to_owned(),
            manner: self.manner.clone(),
        };
        self.latest.send_replace(Some(run));
    }
}

/// Which of the two hooks the state of the node asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Active,
    Inactive,
}

impl Side {
    const fn label(self) -> &'static str {
        match self {
            Self::Active => "active_cmd",
            Self::Inactive => "inactive_cmd",
        }
    }
}

/// `active_cmd` and `inactive_cmd`: whatever the state did in between, the last one that runs is
/// that of the side the node is on. Only the first, that of the start, is never left out.
#[derive(Debug)]
pub(super) struct Sides {
    hooks: Hooks,
    manner: Manner,
    wanted: watch::Sender<Wanted>,
}

#[derive(Clone, Debug, Default)]
struct Wanted {
    first: Option<Run>,
    side: Option<Side>,
    latest: Option<Run>,
}

impl Sides {
    pub(super) fn start(hooks: Hooks, manner: Manner, tasks: &mut JoinSet<()>) -> Self {
        let (wanted, receiver) = watch::channel(Wanted::default());
        tasks.spawn(follow(receiver));
        Self { hooks, manner, wanted }
    }

    /// Other commands, from the next change on.
    pub(super) fn configure(&mut self, hooks: Hooks, manner: Manner) {
        (self.hooks, self.manner) = (hooks, manner);
    }

    /// The node starts, and is inactive.
    pub(super) fn begin(&self, event: &str) {
        let first = self.run(Side::Inactive, event);
        let side = Some(Side::Inactive);
        self.wanted.send_replace(Wanted { first, side, latest: None });
    }

    /// The node is on `side` now, because of `event`.
    pub(super) fn turn(&self, side: Side, event: &str) {
        self.wanted.send_if_modified(|wanted| {
            let changed = wanted.side.replace(side) != Some(side);
            if changed {
                wanted.latest = self.run(side, event);
            }
            changed
        });
    }

    fn run(&self, side: Side, event: &str) -> Option<Run> {
        let command = match side {
            Side::Active => &self.hooks.active,
            Side::Inactive => &self.hooks.inactive,
        };
        Some(Run {
            label: side.label(),
            command: command.clone()?,
            arguments: Vec::new(),
            event: event.to_owned(),
            manner: self.manner.clone(),
        })
    }
}

async fn follow(mut wanted: watch::Receiver<Wanted>) {
    let (mut begun, mut done) = (false, None);
    while wanted.changed().await.is_ok() {
        let first = wanted.borrow().first.clone().filter(|_| !begun);
        if let Some(first) = first {
            (begun, done) = (true, Some(Side::Inactive));
            first.carry_out().await;
        }
        let Wanted { side, latest, .. } = wanted.borrow_and_update().clone();
        if std::mem::replace(&mut done, side) != side
            && let Some(run) = latest
        {
            run.carry_out().await;
        }
    }
}

impl From<Instance> for Side {
    fn from(instance: Instance) -> Self {
        match instance {
            Instance::Master => Self::Active,
            Instance::Backup | Instance::Fault | Instance::Stop => Self::Inactive,
        }
    }
}
