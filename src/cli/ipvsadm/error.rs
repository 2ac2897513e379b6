/// Why a command line is refused before the kernel is asked.
///
/// [`Display`](std::fmt::Display) gives ipvsadm's own words, which scripts look for.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UsageError {
    /// The first option is not a command, or cannot be read: only the hint is printed.
    #[error("Try `{program} -h' or '{program} --help' for more information.")]
    Hint {
        /// The name the program was started by.
        program: String,
    },
    /// An option that does not exist, or whose value is missing or too much.
    #[error("{option}: {problem}")]
    Option {
        /// The word as it was given.
        option: String,
        /// What is wrong about it.
        problem: &'static str,
    },
    /// A value out of range, an option that does not fit the command, one that is missing.
    #[error("{0}")]
    Invalid(String),
    /// Well-formed, but the kernel takes no such value.
    #[error("{0}")]
    Refused(&'static str),
}

impl UsageError {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// What the program exits with: 2 for a mistake in the meaning, 255 for one in the grammar and
    /// for what the kernel would refuse.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Invalid(_) => 2,
            Self::Hint { .. } | Self::Option { .. } | Self::Refused(_) => 255,
        }
    }

    /// Whether a restore ends at such a line. It goes on after an option it cannot read and after
    /// what the kernel refuses, as the original does.
    #[must_use]
    pub const fn ends_restore(&self) -> bool {
        matches!(self, Self::Hint { .. } | Self::Invalid(_))
    }
}
