//! The first lines of a connection between the nodes.

use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::control::protocol::{Daemon, Problem};

/// The longest line of a node that is not known yet, in bytes.
pub const MAX_OPENING: usize = 4096;

/// The longest name of a user or node that is shown.
const MAX_NAME: usize = 64;

/// The first line: what the node that connects wants. Answered with [`Refused`], or with what the
/// target says first.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Opening {
    /// [`VERSION`].
    pub peer: u32,
    /// What it wants to talk to.
    pub to: Target,
    /// The user it asks for, in whose name what follows is done.
    #[serde(default)]
    pub user: String,
}

/// What a connection leads to.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The control socket of `pulse`.
    Pulse,
    /// That of `lvs`.
    Lvs,
    /// That of the program which has the connection.
    Peer,
    /// Pairing, which is all that a stranger may ask for.
    Pairing,
}

impl Target {
    /// The daemon whose socket it is.
    #[must_use]
    pub const fn daemon(self) -> Option<Daemon> {
        match self {
            Self::Pulse => Some(Daemon::Pulse),
            Self::Lvs => Some(Daemon::Lvs),
            Self::Peer => Some(Daemon::Peer),
            Self::Pairing => None,
        }
    }
}

impl From<Daemon> for Target {
    fn from(daemon: Daemon) -> Self {
        match daemon {
            Daemon::Pulse => Self::Pulse,
            Daemon::Lvs => Self::Lvs,
            Daemon::Peer => Self::Peer,
        }
    }
}

impl Opening {
    /// A connection to `to` in the name of `user`.
    pub fn new(to: Target, user: impl Into<String>) -> Self {
        Self { peer: VERSION, to, user: user.into() }
    }

    /// The author of what is done over this connection: the user, whose name is the other node's
    /// word, at the node, whose name is known from pairing.
    #[must_use]
    pub fn author(&self, node: &str) -> String {
        format!("{}@{}", plain(&self.user), plain(node))
    }
}

/// Why a connection leads nowhere; it ends after this line.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refused {
    /// Why, in the form of a control socket's refusal.
    pub error: Problem,
}

impl Refused {
    /// For this problem.
    #[must_use]
    pub const fn new(error: Problem) -> Self {
        Self { error }
    }
}

/// A name somebody else chose, fit for a line of a log.
fn plain(name: &str) -> String {
    let fits = |letter: &char| !letter.is_control() && !letter.is_whitespace() && *letter != '@';
    let name: String = name.chars().filter(fits).take(MAX_NAME).collect();
    if name.is_empty() { "somebody".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_is_a_user_at_a_node_whatever_the_other_node_says() {
        let author = |user: &str| Opening::new(Target::Lvs, user).author("lb2");
        assert_eq!(author("ann"), "ann@lb2");
        assert_eq!(author("root@lb1"), "rootlb1@lb2");
        assert_eq!(author("a\n\u{1b}[2Jb c"), "a[2Jbc@lb2");
        assert_eq!(author(""), "somebody@lb2");
        assert_eq!(author(&"x".repeat(5000)).len(), MAX_NAME + 4);
    }

    #[test]
    fn an_opening_is_one_short_line_that_may_get_more_fields() {
        let line = serde_json::to_string(&Opening::new(Target::Peer, "ann")).unwrap();
        assert_eq!(line, r#"{"peer":1,"to":"peer","user":"ann"}"#);
        let later = r#"{"peer":1,"to":"pairing","since":4}"#;
        let opening: Opening = serde_json::from_str(later).unwrap();
        assert_eq!(opening, Opening::new(Target::Pairing, ""));
    }
}
