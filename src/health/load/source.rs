use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LoadFormula;

/// `load_monitor`, `load_user`, `load_formula`, `agent_port` and `agent_interval` of a service.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LoadMonitor {
    /// What measures.
    pub source: LoadSource,
    /// What follows from it.
    pub formula: LoadFormula,
    /// How often.
    pub interval: Duration,
}

/// What measures the load of a server.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadSource {
    /// An agent on the server, asked on this port, see [`AgentReport`](crate::health::AgentReport).
    Agent(u16),
    /// A program, of whose output [`Load::in_output`](super::Load::in_output) takes the load.
    Command(LoadCommand),
}

/// A program that measures the load of servers. It is run as a check's program is: without new
/// privileges, with limits on time, memory and output.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct LoadCommand {
    /// The program and its arguments. `%h` as a whole argument stands for the address of the
    /// server.
    pub arguments: Vec<String>,
    /// Whom it runs as, by name or number of `/etc/passwd`, which takes root; the user of this
    /// process where that is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl LoadMonitor {
    /// The default of `agent_port`.
    pub const PORT: u16 = 9539;
    /// The default of `agent_interval`: a load average changes no faster.
    pub const INTERVAL: Duration = Duration::from_secs(10);

    /// Measures with `source`, and leaves the rest at its default.
    #[must_use]
    pub const fn new(source: LoadSource) -> Self {
        Self { source, formula: LoadFormula::Smooth, interval: Self::INTERVAL }
    }

    /// The same with another formula.
    #[must_use]
    pub const fn with_formula(mut self, formula: LoadFormula) -> Self {
        self.formula = formula;
        self
    }

    /// The same with another interval.
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }
}

impl LoadSource {
    /// What the value of `load_monitor` stands for; `None` for `none` and an empty one.
    ///
    /// `uptime` runs `rsh_command SERVER uptime`; `rup`, `ruptime` and any other command get the
    /// address of the server as their last argument, as in 0.8.6, unless `%h` says where it goes.
    /// Commands are split at blanks; there is no shell.
    #[must_use]
    pub fn from_directive(value: &str, rsh_command: &str, agent_port: u16) -> Option<Self> {
        let split = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
        let mut arguments: Vec<String> = match value.trim_ascii() {
            "" | "none" => return None,
            "agent" => return Some(Self::Agent(agent_port)),
            "uptime" => split(&format!("{rsh_command} %h uptime")),
            command => split(command),
        };
        if !arguments.iter().any(|argument| argument == "%h") {
            arguments.push("%h".to_owned());
        }
        Some(Self::Command(LoadCommand { arguments, user: None }))
    }

    /// The same, run as `user` if it is a command.
    #[must_use]
    pub fn with_user(mut self, user: Option<String>) -> Self {
        if let Self::Command(command) = &mut self {
            command.user = user;
        }
        self
    }

    /// What nanny's `--loadcmd` stands for; `None` for `none` and an empty one. As in 0.8.6 a
    /// remote shell, `rsh` or `ssh`, runs `uptime` on the server.
    #[must_use]
    pub fn from_command(command: &str) -> Option<Self> {
        let program = command.split_ascii_whitespace().next()?;
        let value = match program.rsplit('/').next() {
            Some("rsh" | "ssh") => "uptime",
            _ => command,
        };
        Self::from_directive(value, command, LoadMonitor::PORT)
    }

    /// Whom a command runs as, where that is said.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Agent(_) => None,
            Self::Command(command) => command.user.as_deref(),
        }
    }

    /// The program and its arguments for one server; nothing for an agent.
    pub fn arguments_for(&self, server: IpAddr) -> impl Iterator<Item = String> {
        let arguments = match self {
            Self::Agent(_) => &[],
            Self::Command(command) => command.arguments.as_slice(),
        };
        arguments.iter().map(move |argument| match argument.as_str() {
            "%h" => server.to_string(),
            other => other.to_owned(),
        })
    }
}

impl fmt::Display for LoadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(port) => write!(f, "agent on port {port}"),
            Self::Command(command) => write!(f, "`{}`", command.arguments.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_values_keep_their_meaning() {
        let arguments = |value: &str| {
            let source = LoadSource::from_directive(value, "ssh -q", 9539);
            source
                .map(|source| Vec::from_iter(source.arguments_for([10, 0, 0, 1].into())).join(" "))
        };
        assert_eq!(arguments("uptime").as_deref(), Some("ssh -q 10.0.0.1 uptime"));
        assert_eq!(arguments("rup").as_deref(), Some("rup 10.0.0.1"));
        assert_eq!(arguments("ruptime").as_deref(), Some("ruptime 10.0.0.1"));
        assert_eq!(arguments("/bin/load -v").as_deref(), Some("/bin/load -v 10.0.0.1"));
        assert_eq!(arguments("/bin/load %h -v").as_deref(), Some("/bin/load 10.0.0.1 -v"));
        assert_eq!((arguments("none"), arguments(" ")), (None, None));
        let by_nanny = LoadSource::from_command("/usr/bin/ssh -q").map(|source| source.to_string());
        assert_eq!(by_nanny.as_deref(), Some("`/usr/bin/ssh -q %h uptime`"));
        assert_eq!(LoadSource::from_command("none"), None);
        assert_eq!(LoadSource::from_directive("agent", "", 7), Some(LoadSource::Agent(7)));
    }
}
