//! Reading lvs.cf from disk.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config::{self, Config, Diagnostic, Document, Loaded, Severity, Span};

/// The largest file that is read.
const MAX_BYTES: u64 = 16 << 20;

/// A configuration that may be run, with what was remarked about it.
#[derive(Debug)]
pub struct Accepted {
    /// The configuration.
    pub config: Config,
    /// Warnings; no errors.
    pub warnings: Vec<Diagnostic>,
    /// The bytes that spans point into.
    pub text: Vec<u8>,
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
    #[error("{}", first_error(path, text, diagnostics))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Its contents.
        text: Vec<u8>,
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
    let Loaded { config, diagnostics, .. } = config::load(&text);
    match config {
        Some(config) => Ok(Accepted { config, warnings: diagnostics, text }),
        None => Err(ConfigError::Invalid { path: path.to_owned(), text, diagnostics }),
    }
}

/// `lvs.cf:12:9`, where `span` begins in `text`.
#[must_use]
pub fn place(path: &Path, text: &[u8], span: Span) -> String {
    format!("{}:{}", path.display(), Document::parse(text).position(span.start))
}

/// A digest of what the two directors of a pair must have in common: everything but the role and
/// the edit counter. Addresses of the pair, services, servers and checks are in it.
#[must_use]
pub fn digest(config: &Config) -> u64 {
    let mut shared = serde_json::to_value(config).unwrap_or_default();
    if let Some(fields) = shared.as_object_mut() {
        fields.remove("role");
        fields.remove("serial_no");
    }
    hash(shared.to_string().as_bytes())
}

/// The first eight bytes of SHA-256.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
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
fn first_error(path: &Path, text: &[u8], diagnostics: &[Diagnostic]) -> String {
    let mut errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
    let Some(first) = errors.next() else {
        return format!("{}: refused", path.display());
    };
    let place = place(path, text, first.span);
    match errors.count() {
        0 => format!("{place}: {}", first.message),
        more => format!("{place}: {} (and {more} more)", first.message),
    }
}
