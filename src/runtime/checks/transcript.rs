use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A bounded record of what a check sent and got, for a person to read. Clones share it.
///
/// Secrets are not in it: a check says what it shows in their place.
#[derive(Clone, Debug)]
pub struct Transcript {
    begun: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
}

/// One line of a [`Transcript`]. Prints as `0.004s > "PING\r\n"`.
#[derive(Clone, Debug)]
pub struct Line {
    /// Time since the record began.
    at: Duration,
    mark: char,
    text: String,
}

impl Default for Transcript {
    fn default() -> Self {
        Self { begun: Instant::now(), lines: Arc::default() }
    }
}

impl Transcript {
    /// The most lines that are kept: the first ones.
    pub const MAX_LINES: usize = 200;
    /// The most bytes of one piece that are shown.
    pub const MAX_BYTES: usize = 400;

    /// What was recorded so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        self.push('*', text.into());
    }

    pub(super) fn sent(&self, bytes: &[u8]) {
        self.push('>', shown(bytes));
    }

    pub(super) fn received(&self, bytes: &[u8]) {
        self.push('<', shown(bytes));
    }

    fn push(&self, mark: char, text: String) {
        let at = self.begun.elapsed();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < Self::MAX_LINES {
            lines.push(Line { at, mark, text });
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s {} {}", self.at.as_secs_f64(), self.mark, self.text)
    }
}

fn shown(bytes: &[u8]) -> String {
    let kept = &bytes[..bytes.len().min(Transcript::MAX_BYTES)];
    let rest = bytes.len() - kept.len();
    let more = if rest > 0 { format!(" and {rest} bytes more") } else { String::new() };
    format!("\"{}\"{more}", kept.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_record_is_bounded_in_lines_and_in_their_length() {
        let transcript = Transcript::default();
        for _ in 0..1000 {
            transcript.received(&[b'\n'; 10_000]);
        }
        let lines = transcript.lines();
        assert_eq!(lines.len(), Transcript::MAX_LINES);
        let line = lines[0].to_string();
        assert!(line.len() < 900 && line.ends_with("and 9600 bytes more"), "{line}");
        assert!(!line.contains('\n'));
    }
}
