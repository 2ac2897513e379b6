//! Machines that can be recorded.

use serde::{Deserialize, Serialize};

use crate::failover::pulse::{self, Pulse};
use crate::failover::vrrp::{self, Vrrp};
use crate::failover::{Cause, Heartbeat};
use crate::time::Instant;

use super::Input;

/// A machine of either protocol, whole.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Machine {
    /// Of the pulse protocol.
    #[serde(rename = "machine")]
    Pulse(Box<Pulse>),
    /// Of VRRP.
    #[serde(rename = "router")]
    Vrrp(Box<Vrrp>),
}

/// A machine whose inputs and outputs can be recorded.
pub trait Recordable: Heartbeat + Clone {
    /// What it can be told instead of its configuration.
    type Config: Clone;
    /// Why it goes on with the old one.
    type Refusal;

    /// Changes the configuration.
    ///
    /// # Errors
    /// Why it was refused; nothing was changed.
    fn configure(&mut self, now: Instant, config: Self::Config) -> Result<(), Self::Refusal>;

    /// What a recording has of that.
    fn input(config: Self::Config) -> Input;

    /// The machine as it is.
    fn copy(&self) -> Machine;
}

impl Recordable for Pulse {
    type Config = pulse::Config;
    type Refusal = pulse::ConfigError;

    fn configure(&mut self, now: Instant, config: Self::Config) -> Result<(), Self::Refusal> {
        self.handle_config(now, config)
    }

    fn input(config: Self::Config) -> Input {
        Input::Config { config: Box::new(config), keys: Vec::new() }
    }

    fn copy(&self) -> Machine {
        Machine::Pulse(Box::new(self.clone()))
    }
}

impl Recordable for Vrrp {
    type Config = vrrp::Config;
    type Refusal = vrrp::ConfigError;

    fn configure(&mut self, now: Instant, config: Self::Config) -> Result<(), Self::Refusal> {
        self.handle_config(now, config)
    }

    fn input(config: Self::Config) -> Input {
        Input::Router { config: Box::new(config), keys: Vec::new() }
    }

    fn copy(&self) -> Machine {
        Machine::Vrrp(Box::new(self.clone()))
    }
}

impl Machine {
    /// The machine by what all of them can do.
    #[must_use]
    pub fn as_heartbeat(&self) -> &dyn Heartbeat {
        match self {
            Self::Pulse(machine) => &**machine,
            Self::Vrrp(machine) => &**machine,
        }
    }

    /// The same, to tell it something.
    pub fn as_heartbeat_mut(&mut self) -> &mut dyn Heartbeat {
        match self {
            Self::Pulse(machine) => &mut **machine,
            Self::Vrrp(machine) => &mut **machine,
        }
    }

    /// What brought its present state about.
    pub(super) fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Pulse(machine) => machine.cause(),
            Self::Vrrp(machine) => machine.cause(),
        }
    }

    /// Whether this machine and `other` are in the same condition.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pulse(one), Self::Pulse(other)) => one.is_same(other),
            (Self::Vrrp(one), Self::Vrrp(other)) => one.is_same(other),
            _ => false,
        }
    }
}
