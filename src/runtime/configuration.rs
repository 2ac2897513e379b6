//! Reading lvs.cf from disk.
//!
//! ```
//! use piranha::runtime::configuration;
//!
//! let error = configuration::read("/nonexistent/lvs.cf".as_ref()).unwrap_err();
//! assert!(error.to_string().starts_with("cannot read /nonexistent/lvs.cf: "), "{error}");
//! // The same bytes are the same file, wherever it is.
//! assert_eq!(configuration::fingerprint(b"primary = 192.0.2.1\n").len(), 64);
//! ```

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config::{
    self, Config, Diagnostic, Document, Included, Loaded, Severity, Span, Virtual,
};

pub(in crate::runtime) mod machine;
mod write;

#[cfg(test)]
mod tests;

pub use machine::Machine;
pub use write::{Original, WriteError, open};

/// The largest file that is read.
const MAX_BYTES: u64 = 16 << 20;

/// A configuration that may be run, with what was remarked about it.
#[derive(Debug)]
pub struct Accepted {
    /// The configuration.
    pub config: Config,
    /// Warnings; no errors.
    pub warnings: Vec<Diagnostic>,
    /// The file as it was written. Spans point into it, or into one of `included`.
    pub document: Document,
    /// The files it includes.
    pub included: Vec<Included>,
    /// The [`fingerprint`] of the file, without those it includes.
    pub hash: String,
}

impl Accepted {
    /// What was read from the file at `path`, if it may be run.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`].
    pub fn new(path: &Path, loaded: Loaded) -> Result<Self, ConfigError> {
        let Loaded { document, included, config, diagnostics, .. } = loaded;
        match config {
            Some(config) => {
                let hash = fingerprint(document.as_bytes());
                Ok(Self { config, warnings: diagnostics, document, included, hash })
            }
            None => {
                let (path, document) = (path.to_owned(), Box::new(document));
                Err(ConfigError::Invalid { path, document, included, diagnostics })
            }
        }
    }

    /// `lvs.cf:12:9`, where `span` begins; `path` is what was read.
    #[must_use]
    pub fn place(&self, path: &Path, span: Span) -> String {
        place(path, &self.document, &self.included, span)
    }
}

/// Why a configuration cannot be run. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file has errors.
    #[error("{}", first_error(path, document, included, diagnostics))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Its contents.
        document: Box<Document>,
        /// The files it includes.
        included: Vec<Included>,
        /// All diagnostics, warnings included.
        diagnostics: Vec<Diagnostic>,
    },
}

/// Reads and checks the configuration at `path`.
///
/// # Errors
/// [`ConfigError`] if it cannot be read or has errors.
pub fn read(path: &Path) -> Result<Accepted, ConfigError> {
    let text =
        read_bounded(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    Accepted::new(path, load(path, &text))
}

/// Reads `text` as what the file at `path` could say, with the files it includes.
#[must_use]
pub fn load(path: &Path, text: &[u8]) -> Loaded {
    config::load_in(&path.to_string_lossy(), text, &Machine::default())
}

/// SHA-256 in hexadecimal: what a revision of a file goes by.
#[must_use]
pub fn fingerprint(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn place(path: &Path, document: &Document, included: &[Included], span: Span) -> String {
    match included.iter().find(|file| file.contains(span)) {
        Some(file) => {
            format!("{}:{}", file.name, file.document.position(file.local(span).start))
        }
        None => format!("{}:{}", path.display(), document.position(span.start)),
    }
}

/// A digest of what the two directors of a pair must have in common: everything but the role and
/// the edit counter. Addresses of the pair, services, servers and checks are in it; where in the
/// file they stand is not, nor are comments.
#[must_use]
pub fn digest(config: &Config) -> u64 {
    let mut shared = config.clone();
    (shared.role, shared.serial_no) = (None, None);
    let failovers = shared.failovers.iter_mut().map(|failover| &mut failover.service);
    shared.virtuals.iter_mut().chain(failovers).for_each(forget_spans);
    // Not through a `Value`: a tree of thousands of servers takes longer than all else of a reload.
    let mut hasher = Hasher(Sha256::new());
    // Nothing of a configuration fails to serialize, and the hasher takes everything.
    let _ = serde_json::to_writer(&mut hasher, &shared);
    first_eight(&hasher.0.finalize())
}

/// Where in the file blocks stand means nothing.
fn forget_spans(service: &mut Virtual) {
    service.span = Span::default();
    service.servers.iter_mut().for_each(|server| server.span = Span::default());
}

struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first eight bytes of SHA-256.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    first_eight(&Sha256::digest(bytes))
}

fn first_eight(digest: &[u8]) -> u64 {
    digest.iter().take(8).fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 16 MiB"));
    }
    Ok(text)
}

/// `lvs.cf:12:9: message (and 2 more)`: all of it that fits on one line of a log.
fn first_error(
    path: &Path,
    document: &Document,
    included: &[Included],
    diagnostics: &[Diagnostic],
) -> String {
    let mut errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
    let Some(first) = errors.next() else {
        return format!("{}: refused", path.display());
    };
    let place = place(path, document, included, first.span);
    match errors.count() {
        0 => format!("{place}: {}", first.message),
        more => format!("{place}: {} (and {more} more)", first.message),
    }
}
