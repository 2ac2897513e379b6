//! Playing a recording to a machine of this version.

use crate::failover::pulse;
use crate::failover::vrrp;
use crate::failover::{Cause, Output, State};
use crate::time::Instant;
use crate::wire::pulse::Key;

use super::disguise::{public_key, public_password};
use super::{FORMAT, Input, Line, Machine, Step};

/// Plays lines to a machine, one after the other.
#[derive(Debug, Default)]
pub struct Replay {
    machine: Option<Machine>,
}

/// What a line came to.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Played {
    /// The state before.
    pub before: State,
    /// The state after.
    pub after: State,
    /// What brought the state after about.
    pub cause: Option<Cause>,
    /// The deadline the machine had before, to tell how late a timeout was.
    pub due: Option<Instant>,
    /// What the machine decided.
    pub outputs: Vec<Output>,
    /// What is not as it was recorded.
    pub difference: Option<Difference>,
}

/// What is not as it was recorded.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// It wanted something else done. What it wants is in [`Played::outputs`].
    Outputs(Vec<Output>),
    /// It wants the same done and is in another condition than the machine that was recorded; the
    /// replay goes on with that one.
    Machine,
    /// It refuses a configuration that was accepted.
    Config(pulse::ConfigError),
    /// The same of a router of VRRP.
    Router(vrrp::ConfigError),
}

/// Why a line cannot be played.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// Another format.
    #[error(
        "it is of format {0}, this version reads format {FORMAT}: replay it with the version it names"
    )]
    Format(u32),
    /// There is a step and no machine to take it.
    #[error("there is no machine to begin with: a recording starts with a `begin` line")]
    NoBeginning,
    /// A key that cannot stand for any.
    #[error("there is no key {0} in recordings of this version")]
    Key(u32),
    /// A configuration of one protocol for a machine of the other.
    #[error("it has a configuration of one protocol for a machine of the other")]
    OtherProtocol,
}

impl Replay {
    /// Nothing was played yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Plays `line`.
    ///
    /// # Errors
    /// [`ReplayError`]; nothing was played.
    pub fn play(&mut self, line: Line) -> Result<Played, ReplayError> {
        match line {
            Line::Begin { format, .. } if format != FORMAT => Err(ReplayError::Format(format)),
            Line::Begin { lost, keys, mut machine, .. } => {
                unlock(&mut machine, &keys)?;
                Ok(self.begin(lost, machine))
            }
            Line::Step(step) => self.step(*step),
        }
    }

    fn begin(&mut self, lost: u64, machine: Machine) -> Played {
        let before = self.machine.as_ref().filter(|_| lost == 0);
        let differs = before.is_some_and(|before| !before.is_same(&machine));
        let state = machine.as_heartbeat().state();
        let played = Played {
            before: before.map_or(state, |before| before.as_heartbeat().state()),
            after: state,
            cause: machine.cause().cloned(),
            due: None,
            outputs: Vec::new(),
            difference: differs.then_some(Difference::Machine),
        };
        self.machine = Some(machine);
        played
    }

    fn step(&mut self, step: Step) -> Result<Played, ReplayError> {
        let machine = self.machine.as_mut().ok_or(ReplayError::NoBeginning)?;
        let heartbeat = machine.as_heartbeat();
        let (before, due) = (heartbeat.state(), heartbeat.poll_timeout());
        let refused = apply(machine, step.at, step.input)?;
        let asked = if step.undrained { step.outputs.len() } else { usize::MAX };
        let heartbeat = machine.as_heartbeat_mut();
        let outputs: Vec<_> = std::iter::from_fn(|| heartbeat.poll_output()).take(asked).collect();
        let difference = match refused {
            None if outputs != step.outputs => Some(Difference::Outputs(step.outputs)),
            refused => refused,
        };
        let (after, cause) = (heartbeat.state(), machine.cause().cloned());
        Ok(Played { before, after, cause, due, outputs, difference })
    }
}

fn apply(
    machine: &mut Machine,
    now: Instant,
    input: Input,
) -> Result<Option<Difference>, ReplayError> {
    let heartbeat = machine.as_heartbeat_mut();
    match input {
        Input::Datagram { path, source, bytes } => {
            heartbeat.handle_datagram(now, path, source, &bytes);
        }
        Input::Timeout => heartbeat.handle_timeout(now),
        Input::Completion { id, error } => {
            heartbeat.handle_completion(now, id, error.map_or(Ok(()), Err));
        }
        Input::Command(command) => heartbeat.handle_command(now, command),
        Input::DataPlane(usable) => heartbeat.handle_data_plane(now, usable),
        Input::Guards(faults) => heartbeat.handle_guards(now, &faults),
        Input::Warmth(warm) => heartbeat.handle_warmth(now, warm),
        Input::Config { mut config, keys } => {
            give_keys(&mut config, &keys)?;
            let Machine::Pulse(machine) = machine else { return Err(ReplayError::OtherProtocol) };
            return Ok(machine.handle_config(now, *config).err().map(Difference::Config));
        }
        Input::Router { mut config, keys } => {
            give_password(&mut config, &keys)?;
            let Machine::Vrrp(machine) = machine else { return Err(ReplayError::OtherProtocol) };
            return Ok(machine.handle_config(now, *config).err().map(Difference::Router));
        }
    }
    Ok(None)
}

fn unlock(machine: &mut Machine, numbers: &[u32]) -> Result<(), ReplayError> {
    match machine {
        Machine::Pulse(machine) => give_keys(machine.config_mut(), numbers),
        Machine::Vrrp(machine) => give_password(machine.config_mut(), numbers),
    }
}

fn give_keys(config: &mut pulse::Config, numbers: &[u32]) -> Result<(), ReplayError> {
    let key = |number: &u32| public_key(*number).ok_or(ReplayError::Key(*number));
    let keys: Vec<Key> = numbers.iter().map(key).collect::<Result<_, _>>()?;
    config.set_keys(keys);
    Ok(())
}

fn give_password(config: &mut vrrp::Config, numbers: &[u32]) -> Result<(), ReplayError> {
    let word = |number: &u32| public_password(*number).ok_or(ReplayError::Key(*number));
    *config.password_mut() = numbers.first().map(word).transpose()?;
    Ok(())
}
