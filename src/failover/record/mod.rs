//! Recording what a machine of either protocol was told and decided, and replaying it.
//!
//! A [`Recorder`] stands before a machine and passes everything through. Each input goes
//! to a [`Sink`] with its moment and the outputs it brought; from time to time, and after entries
//! were lost, the whole machine does, so that a recording can begin in the middle. A [`Disguise`]
//! makes lines of entries that hold no secret; [`Replay`] plays lines to a machine of the present
//! version and compares. The format is in `docs/recording.md`.

mod disguise;
mod machine;
mod replay;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::guard::Fault;
use super::pulse::{Config, Pulse};
use super::vrrp;
use super::{
    ActionError, ActionId, Command, Heartbeat, Output, PathCounters, PathId, Payload, State, Status,
};
use crate::time::Instant;

pub use disguise::Disguise;
pub use machine::{Machine, Recordable};
pub use replay::{Difference, Played, Replay, ReplayError};

/// The version of the format that is written, and the only one that is read.
pub const FORMAT: u32 = 1;

/// Inputs between two copies of the whole machine.
const COPY_EVERY: u32 = 5000;

/// One thing a machine was told, as the methods of [`Heartbeat`] and those for a configuration tell
/// it.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// [`Heartbeat::handle_datagram`].
    Datagram {
        /// The path it came on.
        path: PathId,
        /// Who sent it.
        source: SocketAddr,
        /// Its bytes; in a line the tag is that of a key everybody knows, and the password one that
        /// is no secret ([`Disguise`]).
        bytes: Payload,
    },
    /// [`Heartbeat::handle_timeout`].
    Timeout,
    /// [`Heartbeat::handle_completion`].
    Completion {
        /// The action.
        id: ActionId,
        /// Why it failed, if it did.
        error: Option<ActionError>,
    },
    /// [`Heartbeat::handle_command`].
    Command(Command),
    /// [`Heartbeat::handle_data_plane`].
    DataPlane(bool),
    /// [`Heartbeat::handle_guards`].
    Guards(Vec<Fault>),
    /// [`Heartbeat::handle_warmth`].
    Warmth(bool),
    /// [`Pulse::handle_config`], which was not refused.
    Config {
        /// The new configuration; in a line without its keys.
        config: Box<Config>,
        /// The numbers of its keys, in a line.
        keys: Vec<u32>,
    },
    /// [`Vrrp::handle_config`](vrrp::Vrrp::handle_config), which was not refused.
    Router {
        /// The new configuration; in a line without its password.
        config: Box<vrrp::Config>,
        /// The number of its password, in a line, if it has one.
        keys: Vec<u32>,
    },
}

/// An input with what it brought.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Step {
    /// When, by the machine's own clock.
    pub at: Instant,
    /// What the machine was told.
    pub input: Input,
    /// What it wanted done, as far as it was asked.
    pub outputs: Vec<Output>,
    /// The next input came before it had been asked for everything; the rest is with that one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undrained: bool,
}

/// What a [`Recorder`] gives to its [`Sink`]; keys and passwords are still in it.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Entry {
    /// The machine as it is before the next step.
    Begin {
        /// When.
        at: Instant,
        /// How many steps before this one are missing.
        lost: u64,
        /// The machine.
        machine: Machine,
    },
    /// The next step.
    Step(Box<Step>),
}

/// One line of a recording. It holds no key and no password.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The machine as it is before the next step.
    Begin {
        /// [`FORMAT`].
        format: u32,
        /// The version of piranha that recorded it.
        piranha: String,
        /// When, by the machine's own clock.
        at: Instant,
        /// How many steps before this one are missing.
        lost: u64,
        /// The numbers of its keys: of the one that seals, then of the one accepted besides; or
        /// that of its password.
        keys: Vec<u32>,
        /// The machine: `machine` is one of the pulse protocol, `router` one of VRRP.
        #[serde(flatten)]
        machine: Machine,
    },
    /// The next step.
    Step(Box<Step>),
}

/// Where entries go.
pub trait Sink: Send {
    /// Takes an entry without waiting for anything; false if it is lost.
    fn take(&mut self, entry: Entry) -> bool;
}

/// A machine whose inputs and outputs are recorded.
///
/// Without a sink it only passes them through.
pub struct Recorder<M = Pulse> {
    machine: M,
    tape: Option<Tape>,
}

struct Tape {
    sink: Box<dyn Sink>,
    step: Option<Box<Step>>,
    /// Steps since the last copy of the machine; none if there has to be one first.
    since: Option<u32>,
    lost: u64,
}

impl<M: Recordable> Recorder<M> {
    /// `machine` unrecorded.
    #[must_use]
    pub const fn new(machine: M) -> Self {
        Self { machine, tape: None }
    }

    /// `machine`, all of whose inputs from now on go to `sink`.
    #[must_use]
    pub fn recording(machine: M, sink: Box<dyn Sink>) -> Self {
        Self { machine, tape: Some(Tape { sink, step: None, since: None, lost: 0 }) }
    }

    /// The machine.
    #[must_use]
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// Changes the configuration of the machine.
    ///
    /// # Errors
    /// As the machine has; nothing was changed, and nothing is recorded.
    pub fn handle_config(&mut self, now: Instant, config: M::Config) -> Result<(), M::Refusal> {
        self.begin(now, || M::input(config.clone()));
        let changed = self.machine.configure(now, config);
        if let (Err(_), Some(tape)) = (&changed, &mut self.tape) {
            tape.step = None;
        }
        changed
    }

    fn begin(&mut self, at: Instant, input: impl FnOnce() -> Input) {
        if let Some(tape) = &mut self.tape {
            let drained = tape.end(true);
            if drained && tape.since.is_none_or(|since| since >= COPY_EVERY) {
                tape.copy(at, &self.machine);
            }
            tape.step = tape.since.is_some().then(|| {
                let outputs = Vec::new();
                Box::new(Step { at, input: input(), outputs, undrained: false })
            });
            tape.lost += u64::from(tape.step.is_none());
        }
    }
}

impl Tape {
    /// Hands on the step under way; true if there was none, so that all its outputs are known.
    fn end(&mut self, undrained: bool) -> bool {
        let Some(mut step) = self.step.take() else {
            return true;
        };
        step.undrained = undrained;
        if self.sink.take(Entry::Step(step)) {
            self.since = self.since.map(|since| since.saturating_add(1));
        } else {
            (self.since, self.lost) = (None, self.lost + 1);
        }
        false
    }

    fn copy(&mut self, at: Instant, machine: &impl Recordable) {
        let begin = Entry::Begin { at, lost: self.lost, machine: machine.copy() };
        let taken = self.sink.take(begin);
        self.since = taken.then_some(0);
        if taken {
            self.lost = 0;
        }
    }
}

impl<M: Recordable> Heartbeat for Recorder<M> {
    fn handle_datagram(&mut self, now: Instant, path: PathId, source: SocketAddr, datagram: &[u8]) {
        self.begin(now, || Input::Datagram { path, source, bytes: datagram.into() });
        self.machine.handle_datagram(now, path, source, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.begin(now, || Input::Timeout);
        self.machine.handle_timeout(now);
    }

    fn handle_completion(&mut self, now: Instant, id: ActionId, result: Result<(), ActionError>) {
        self.begin(now, || Input::Completion { id, error: result.clone().err() });
        self.machine.handle_completion(now, id, result);
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        self.begin(now, || Input::Command(command));
        self.machine.handle_command(now, command);
    }

    fn handle_data_plane(&mut self, now: Instant, usable: bool) {
        self.begin(now, || Input::DataPlane(usable));
        self.machine.handle_data_plane(now, usable);
    }

    fn handle_guards(&mut self, now: Instant, faults: &[Fault]) {
        self.begin(now, || Input::Guards(faults.to_vec()));
        self.machine.handle_guards(now, faults);
    }

    fn handle_warmth(&mut self, now: Instant, warm: bool) {
        self.begin(now, || Input::Warmth(warm));
        self.machine.handle_warmth(now, warm);
    }

    fn last_words(&self, path: PathId) -> Option<Payload> {
        self.machine.last_words(path)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.machine.poll_output();
        if let Some(tape) = &mut self.tape {
            match (&output, &mut tape.step) {
                (Some(output), Some(step)) => step.outputs.push(output.clone()),
                (None, Some(_)) => {
                    tape.end(false);
                }
                (_, None) => {}
            }
        }
        output
    }

    fn state(&self) -> State {
        self.machine.state()
    }

    fn status(&self, now: Instant) -> Status {
        self.machine.status(now)
    }

    fn update_status(&self, now: Instant, status: &mut Status) {
        self.machine.update_status(now, status);
    }

    fn path_counters(&self, now: Instant, path: PathId) -> PathCounters {
        self.machine.path_counters(now, path)
    }
}
