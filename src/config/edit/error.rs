use crate::config::Position;
use crate::config::directive::{Directive, Scope};

/// Why an edit was not made. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EditError {
    /// There is no such block.
    #[error("there is no `{kind} {name}`")]
    NoSuchBlock {
        /// `virtual`, `failover` or `server`.
        kind: &'static str,
        /// The name that was looked for.
        name: String,
    },
    /// There is more than one block of this name; [`Place::nth`](super::Place::nth) says which.
    #[error("there is more than one `{kind} {name}`")]
    Ambiguous {
        /// `virtual`, `failover` or `server`.
        kind: &'static str,
        /// The name that was looked for.
        name: String,
    },
    /// There is a block of this name already, and names made by edits are unique.
    #[error("there is a `{kind} {name}` already")]
    NameTaken {
        /// `virtual`, `failover` or `server`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// No block can have this name.
    #[error(
        "`{}` cannot be the name of a block: 1 to 255 bytes without control characters, and not both kinds of quotes",
        name.escape_debug()
    )]
    InvalidName {
        /// The name.
        name: String,
    },
    /// The place is not a block.
    #[error("only a block can be added, renamed, moved or removed")]
    NotABlock,
    /// The directive cannot stand there.
    #[error("`{directive}` cannot stand {scope}")]
    Misplaced {
        /// The directive.
        directive: Directive,
        /// Where it was to stand.
        scope: Scope,
    },
    /// The directive does not stand there so many times.
    #[error("`{directive}` does not stand there {nth} times")]
    NoSuchLine {
        /// The directive.
        directive: Directive,
        /// Which of them was meant, counted from 1.
        nth: usize,
    },
    /// The value is not one the directive takes, or one that no quotes can hold.
    #[error("`{directive}` does not take this value: {reason}")]
    InvalidValue {
        /// The directive.
        directive: Directive,
        /// What is wrong with the value.
        reason: String,
    },
    /// The directive is there on a line that cannot be read.
    #[error("line {} cannot be read and must be mended first", position.line)]
    Malformed {
        /// The place.
        position: Position,
    },
    /// Blocks cannot be rearranged in a file whose braces are wrong.
    #[error("the blocks are not in order at line {}, which must be mended first", position.line)]
    Broken {
        /// The place of the first error.
        position: Position,
    },
    /// The file is larger than 16 MiB, or would be.
    #[error("the file is too large to be edited")]
    TooLarge,
}
