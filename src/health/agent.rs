//! What an agent on a real server says of it: HAProxy's agent-check protocol.
//!
//! An agent answers each connection with one line and closes it: words with blanks, tabs or commas
//! between, in any order and any case, such as `75% up` or `drain #kernel update`. The words are
//! those of HAProxy's configuration manual, `agent-check`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What one line of an agent says. What it does not mention stays as it was.
///
/// [`Display`](fmt::Display) writes the line, without an end: `75% maxconn:30 ready up`.
///
/// ```
/// use piranha::health::{AgentMode, AgentReport, AgentState};
///
/// let report = AgentReport::decode(b"50% drain, UP # tonight's backup\r\n")?;
/// assert_eq!((report.percent, report.mode), (Some(50), Some(AgentMode::Drain)));
/// assert_eq!(report.state, Some(AgentState::Up));
/// assert_eq!(report.to_string(), "50% drain up #tonight's backup");
/// # Ok::<(), piranha::health::AgentError>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AgentReport {
    /// `NN%`: the weight as a share of the configured one, at most
    /// [`MAX_PERCENT`](Self::MAX_PERCENT). 0 takes no new connections, as `drain` does.
    pub percent: Option<u16>,
    /// `maxconn:NN`: how many connections the server wants at most; 0 for any number.
    pub max_connections: Option<u32>,
    /// `ready`, `drain` or `maint`.
    pub mode: Option<AgentMode>,
    /// `up`, `down`, `fail` or `stopped`.
    pub state: Option<AgentState>,
    /// What stands behind `#`: why. Printable, at most [`MAX_REASON`](Self::MAX_REASON) characters.
    pub reason: Option<String>,
}

/// What the administrator of a server wants of it, told by its agent.
#[allow(clippy::exhaustive_enums, reason = "the words of a protocol that is fixed")]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentMode {
    /// `ready`: takes connections.
    #[default]
    Ready,
    /// `drain`: takes no new connections; those it has go on.
    Drain,
    /// `maint`: takes none at all.
    Maint,
}

/// Whether the service on a server works, told by its agent.
#[allow(clippy::exhaustive_enums, reason = "the words of a protocol that is fixed")]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentState {
    /// `up`: it does, if the checks of the director say so too.
    #[default]
    Up,
    /// `down`: it does not.
    Down,
    /// `fail`: it is there and fails its tests.
    Fail,
    /// `stopped`: it was stopped on purpose.
    Stopped,
}

/// Why a line of an agent cannot be used. None of it counts.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AgentError {
    /// The line has no end within the bound.
    #[error("its line is longer than {} bytes", AgentReport::MAX_LINE)]
    TooLong,
    /// There is nothing on the line.
    #[error("it said nothing")]
    Empty,
    /// A word that is none of the protocol's.
    #[error("it said {0:?}, which means nothing to HAProxy's agent-check either")]
    UnknownWord(String),
    /// The number of a percentage or of `maxconn:` is not one, or too large.
    #[error("it said {0:?}: the number is none, or too large")]
    BadNumber(String),
}

impl AgentReport {
    /// The most bytes of a line, its end not counted.
    pub const MAX_LINE: usize = 512;
    /// The most characters kept of a reason.
    pub const MAX_REASON: usize = 80;
    /// The greatest percentage: what takes HAProxy from its least weight to its greatest.
    pub const MAX_PERCENT: u16 = 25_600;

    /// Reads the first line of `bytes`, which ends with a carriage return, a line feed, or the
    /// last byte.
    ///
    /// # Errors
    /// [`AgentError`]; a line counts as a whole or not at all.
    pub fn decode(bytes: &[u8]) -> Result<Self, AgentError> {
        let end = bytes.iter().position(|&byte| byte == b'\r' || byte == b'\n');
        let line = &bytes[..end.unwrap_or(bytes.len())];
        if line.len() > Self::MAX_LINE {
            return Err(AgentError::TooLong);
        }
        let line = String::from_utf8_lossy(line);
        let (words, reason) = match line.split_once('#') {
            Some((words, reason)) => (words, printable(reason)),
            None => (&*line, None),
        };
        let mut report = Self { reason, ..Self::default() };
        for word in words.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
            report.take(&word.to_ascii_lowercase())?;
        }
        if report == Self::default() { Err(AgentError::Empty) } else { Ok(report) }
    }

    fn take(&mut self, word: &str) -> Result<(), AgentError> {
        let bad = || AgentError::BadNumber(excerpt(word));
        if let Some(number) = word.strip_suffix('%') {
            let percent = digits(number).and_then(|number| u16::try_from(number).ok());
            let percent = percent.filter(|&percent| percent <= Self::MAX_PERCENT);
            self.percent = Some(percent.ok_or_else(bad)?);
        } else if let Some(number) = word.strip_prefix("maxconn:") {
            self.max_connections = Some(digits(number).ok_or_else(bad)?);
        } else if let Some(mode) = AgentMode::ALL.into_iter().find(|mode| mode.word() == word) {
            self.mode = Some(mode);
        } else if let Some(state) = AgentState::ALL.into_iter().find(|s| s.word() == word) {
            self.state = Some(state);
        } else {
            return Err(AgentError::UnknownWord(excerpt(word)));
        }
        Ok(())
    }
}

impl fmt::Display for AgentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            self.percent.map(|percent| format!("{percent}%")),
            self.max_connections.map(|most| format!("maxconn:{most}")),
            self.mode.map(|mode| mode.word().to_owned()),
            self.state.map(|state| state.word().to_owned()),
            self.reason.as_deref().and_then(printable).map(|reason| format!("#{reason}")),
        ];
        f.write_str(&Vec::from_iter(words.into_iter().flatten()).join(" "))
    }
}

impl AgentMode {
    const ALL: [Self; 3] = [Self::Ready, Self::Drain, Self::Maint];

    /// The word of the protocol.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}

impl AgentState {
    const ALL: [Self; 4] = [Self::Up, Self::Down, Self::Fail, Self::Stopped];

    /// The word of the protocol.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Fail => "fail",
            Self::Stopped => "stopped",
        }
    }
}

/// A number without a sign.
fn digits(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// A text that cannot break or forge a line; `None` if nothing is left.
fn printable(text: &str) -> Option<String> {
    let shown = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let bounded: String = shown.take(AgentReport::MAX_REASON).collect();
    let bounded = bounded.trim();
    (!bounded.is_empty()).then(|| bounded.to_owned())
}

fn excerpt(word: &str) -> String {
    word.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn any_report() -> impl Strategy<Value = AgentReport> {
        let mode = prop_oneof![Just(AgentMode::Ready), Just(AgentMode::Drain)];
        let state = prop_oneof![Just(AgentState::Up), Just(AgentState::Fail)];
        let parts = (
            option::of(0..=AgentReport::MAX_PERCENT),
            option::of(any::<u32>()),
            option::of(mode),
            option::of(state),
            option::of("[a-z]([ -~]{0,70}[a-z])?"),
        );
        parts.prop_map(|(percent, max_connections, mode, state, reason)| AgentReport {
            percent,
            max_connections,
            mode,
            state,
            reason,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(report in any_report()) {
            prop_assume!(report != AgentReport::default());
            let line = format!("{report}\n");
            prop_assert!(line.len() <= AgentReport::MAX_LINE);
            prop_assert_eq!(AgentReport::decode(line.as_bytes()), Ok(report));
        }

        #[test]
        fn any_bytes_are_read_or_refused_and_what_is_read_can_be_written(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            if let Ok(report) = AgentReport::decode(&bytes) {
                let line = report.to_string();
                prop_assert!(!line.contains(char::is_control));
                prop_assert_eq!(AgentReport::decode(line.as_bytes()), Ok(report));
            }
        }
    }

    #[test]
    fn only_the_first_line_counts() {
        for end in ["", "\r", "\n", "\r\n", "\ndown", "\rmaint"] {
            let line = format!("\t30%,,MAXCONN:7{end}");
            let report = AgentReport::decode(line.as_bytes()).unwrap();
            assert_eq!(report.to_string(), "30% maxconn:7");
        }
    }

    #[test]
    fn a_line_with_anything_else_in_it_counts_for_nothing() {
        let refused = |line: &str| AgentReport::decode(line.as_bytes()).unwrap_err();
        assert_eq!(refused(" \r\n"), AgentError::Empty);
        assert_eq!(refused("up 50 %"), AgentError::UnknownWord("50".to_owned()));
        assert_eq!(refused("HTTP/1.1 400"), AgentError::UnknownWord("http/1.1".to_owned()));
        for number in ["%", "-1%", "+1%", "25601%", "99999999999%", "maxconn:", "maxconn:x"] {
            assert_eq!(refused(number), AgentError::BadNumber(number.to_owned()));
        }
        assert_eq!(AgentReport::decode(&[b' '; 513]), Err(AgentError::TooLong));
    }
}
