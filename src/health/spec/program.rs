use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Expect;

/// A check by an external program, without a shell.
///
/// The server passes if the program ends in time with status 0 and prints what is wanted. As in
/// 0.8.6 one line end behind the output does not count, and of the output at most 4095 bytes are
/// looked at. Unlike 0.8.6, a program that prints nothing fails where something is expected, and
/// one that prints something passes where nothing is.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProgramSpec {
    /// The program, looked for in `/usr/sbin:/usr/bin:/sbin:/bin` unless it has a slash, and its
    /// arguments. `%h` and `%p` as whole arguments stand for the server's address and port.
    pub arguments: Vec<String>,
    /// What the output must be.
    pub expect: Expect,
    /// The user it runs as, by name or number; the user of this process by default. Only root
    /// can choose.
    pub user: Option<String>,
}

impl ProgramSpec {
    /// The program and arguments of `command`, split at blanks as 0.8.6 does; `None` if there is
    /// nothing in it.
    #[must_use]
    pub fn new(command: &str, expect: Expect) -> Option<Self> {
        let arguments: Vec<_> = command.split_ascii_whitespace().map(str::to_owned).collect();
        (!arguments.is_empty()).then_some(Self { arguments, expect, user: None })
    }

    /// As the user of this name or number.
    #[must_use]
    pub fn with_user(mut self, user: Option<String>) -> Self {
        self.user = user;
        self
    }

    /// The program and arguments for one server.
    pub fn arguments_for(&self, server: SocketAddr) -> impl Iterator<Item = String> {
        self.arguments.iter().map(move |argument| match argument.as_str() {
            "%h" => server.ip().to_string(),
            "%p" => server.port().to_string(),
            other => other.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_stand_for_address_and_port_as_whole_arguments_only() {
        let spec = ProgramSpec::new("/bin/probe  -a %h:%p %h\t%p x", Expect::Nothing).unwrap();
        let server = "[2001:db8::1]:80".parse().unwrap();
        let arguments: Vec<_> = spec.arguments_for(server).collect();
        assert_eq!(arguments, ["/bin/probe", "-a", "%h:%p", "2001:db8::1", "80", "x"]);
        assert_eq!(ProgramSpec::new(" \t", Expect::Nothing), None);
    }
}
