//! States and verdicts in keepalived's words, so that scripts written for it go on working:
//! the arguments of its notify scripts, and the lines of its notify FIFO.

use std::fmt;
use std::net::SocketAddr;

use crate::failover::{Role, State};
use crate::ipvs::ServiceKey;

/// What keepalived calls the state of an instance.
#[allow(clippy::exhaustive_enums, reason = "scripts know these four")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Instance {
    /// This director holds the service.
    Master,
    /// This director could take it.
    Backup,
    /// This director could not.
    Fault,
    /// This director is stopped.
    Stop,
}

impl Instance {
    /// What `state` is called; nothing while it is on its way to another.
    #[must_use]
    pub const fn of(state: State) -> Option<Self> {
        match state {
            State::Active => Some(Self::Master),
            State::Standby => Some(Self::Backup),
            State::Failed => Some(Self::Fault),
            State::Stopped => Some(Self::Stop),
            State::Starting | State::Acquiring | State::Releasing => None,
        }
    }

    /// The four arguments of a notify script: type, name, state and priority.
    #[must_use]
    pub fn arguments(self, name: &str, role: Role) -> [String; 4] {
        ["INSTANCE".to_owned(), name.to_owned(), self.to_string(), priority(role).to_string()]
    }

    /// The line in a notify FIFO, with its end.
    #[must_use]
    pub fn line(self, name: &str, role: Role) -> String {
        format!("INSTANCE \"{name}\" {self} {}\n", priority(role))
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Stop => "STOP",
        })
    }
}

/// What stands for the priority that keepalived's instances have and directors do not: a primary
/// wins over a backup.
#[must_use]
pub const fn priority(role: Role) -> u8 {
    match role {
        Role::Primary => 200,
        Role::Backup => 100,
    }
}

/// The line for a real server that went up or down, with its end.
#[must_use]
pub fn server_line(server: SocketAddr, service: ServiceKey, is_up: bool) -> String {
    let end = endpoint(server, protocol(service));
    format!("RS {end} {} {}\n", name(service), verdict(is_up))
}

/// The line for a virtual service that went up or down, with its end.
#[must_use]
pub fn service_line(service: ServiceKey, is_up: bool) -> String {
    format!("VS {} {}\n", name(service), verdict(is_up))
}

fn name(service: ServiceKey) -> String {
    match service {
        ServiceKey::Address { address, .. } => endpoint(address, protocol(service)),
        ServiceKey::Mark { mark, .. } => format!("FWM {mark}"),
    }
}

fn endpoint(address: SocketAddr, protocol: &str) -> String {
    format!("[{}]:{protocol}:{}", address.ip(), address.port())
}

/// A mark says nothing of the protocol; TCP is what its servers are checked over.
fn protocol(service: ServiceKey) -> &'static str {
    use crate::net::Protocol;
    match service {
        ServiceKey::Address { protocol: Protocol::Udp, .. } => "udp",
        ServiceKey::Address { protocol: Protocol::Sctp, .. } => "sctp",
        _ => "tcp",
    }
}

const fn verdict(is_up: bool) -> &'static str {
    if is_up { "UP" } else { "DOWN" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Protocol;

    #[test]
    fn states_and_verdicts_are_lines_that_keepalived_writes() {
        let line = Instance::of(State::Active).unwrap().line("VI_1", Role::Primary);
        assert_eq!(line, "INSTANCE \"VI_1\" MASTER 200\n");
        let arguments = Instance::Fault.arguments("VI_1", Role::Backup);
        assert_eq!(arguments, ["INSTANCE", "VI_1", "FAULT", "100"]);
        let service = ServiceKey::Address {
            protocol: Protocol::Tcp,
            address: "192.0.2.80:80".parse().unwrap(),
        };
        assert_eq!(service_line(service, false), "VS [192.0.2.80]:tcp:80 DOWN\n");
        assert_eq!(
            server_line("[2001:db8::1]:8080".parse().unwrap(), service, true),
            "RS [2001:db8::1]:tcp:8080 [192.0.2.80]:tcp:80 UP\n"
        );
    }
}
