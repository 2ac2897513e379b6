use std::fmt;

use serde::{Deserialize, Serialize};

/// A stretch of a file, in byte offsets: `start..end`.
///
/// Empty at `start` where something is missing rather than wrong.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes from `start` up to, not including, `end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The span so many bytes further on.
    #[must_use]
    pub(crate) const fn shifted(self, by: usize) -> Self {
        Self::new(self.start + by, self.end + by)
    }

    /// From the start of this span to the end of `last`.
    #[must_use]
    pub(crate) const fn to(self, last: Self) -> Self {
        Self::new(self.start, last.end)
    }
}

/// A place in a file as editors count: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters; a byte that is not UTF-8 counts as one.
    pub column: usize,
}

impl fmt::Display for Position {
    /// `12:9`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where the lines of a text begin. Lines end with LF, CRLF, or a CR alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineIndex {
    starts: Vec<u32>,
}

impl LineIndex {
    /// Records that a line begins at `start`; to be called in ascending order.
    pub(crate) fn push(&mut self, start: usize) {
        self.starts.push(u32::try_from(start).unwrap_or(u32::MAX));
    }

    /// Offset of the first byte of the line that holds `offset`.
    pub(crate) fn line_start(&self, offset: usize) -> usize {
        self.starts[..self.count_to(offset)].last().map_or(0, |&start| start as usize)
    }

    /// Line and column of `offset` in `text`.
    pub(crate) fn position(&self, text: &[u8], offset: usize) -> Position {
        let offset = offset.min(text.len());
        let before = &text[self.line_start(offset)..offset];
        Position {
            line: self.count_to(offset).max(1),
            column: String::from_utf8_lossy(before).chars().count() + 1,
        }
    }

    fn count_to(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start as usize <= offset)
    }
}

/// Offset of the end of the line that starts at `start`, and of the start of the next one.
pub(crate) fn line_end(text: &[u8], start: usize) -> (usize, usize) {
    let rest = &text[start..];
    match rest.iter().position(|&byte| matches!(byte, b'\n' | b'\r')) {
        None => (text.len(), text.len()),
        Some(at) if rest[at..].starts_with(b"\r\n") => (start + at, start + at + 2),
        Some(at) => (start + at, start + at + 1),
    }
}
