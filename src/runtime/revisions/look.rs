//! A draft looked at, and files as they are at a moment.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::{self, Change, by_file, difference, effective};
use crate::control::protocol::{Problem, ProblemCode};
use crate::control::revisions::Remark;
use crate::runtime::configuration::{self, Accepted, ConfigError, Original, WriteError};

/// What a draft means.
pub(super) struct Looked {
    /// Errors and warnings.
    pub(super) remarks: Vec<Remark>,
    /// What it changes of the text it was compared with; nothing where either has errors.
    pub(super) changes: Vec<Change>,
    /// The draft, if it has no errors.
    pub(super) accepted: Result<Box<Accepted>, ConfigError>,
}

/// Looks at `draft` as what the file at `path` could say, beside what it says `now`.
pub(super) fn look(path: &Path, now: Option<&[u8]>, draft: &[u8]) -> Looked {
    let loaded = configuration::load(path, draft);
    let name = path.to_string_lossy();
    let files = by_file(&name, &loaded.document, &loaded.included, &loaded.diagnostics);
    let remarks = files.iter().flat_map(|(file, document, about)| {
        about.iter().map(|diagnostic| Remark::new(file, document, diagnostic))
    });
    let remarks = remarks.collect();
    let before = now.map(|now| configuration::load(path, now));
    let changes = before.and_then(|before| changes(&before, &loaded)).unwrap_or_default();
    let accepted = Accepted::new(path, loaded).map(Box::new);
    Looked { remarks, changes, accepted }
}

fn changes(before: &config::Loaded, after: &config::Loaded) -> Option<Vec<Change>> {
    Some(difference(&effective(before)?, &effective(after)?))
}

/// What can be told of a file without reading it. Whoever replaces or writes it changes this.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Glance {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Glance {
    pub(super) fn at(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        let changed = (data.ctime(), data.ctime_nsec());
        Some(Self { inode: data.ino(), length: data.len(), changed })
    }
}

/// Reads the file in order to write it.
pub(super) fn open(path: &Path) -> Result<Original, Problem> {
    configuration::open(path).map_err(|error| not_written(&error))
}

/// What a client is told of a file that could not be read or written.
pub(super) fn not_written(error: &WriteError) -> Problem {
    let (code, mend) = match error {
        WriteError::Changed { .. } => {
            (ProblemCode::Stale, "compare with what is in the file now, and apply again")
        }
        _ => (ProblemCode::System, "mend what the message names, and apply again"),
    };
    Problem::new(code, error.to_string(), mend)
}

/// What a client is told of a draft with errors.
pub(super) fn not_accepted(error: &ConfigError) -> Problem {
    let mend = "mend the draft; nothing was changed";
    Problem::new(ProblemCode::Configuration, error.to_string(), mend)
}
