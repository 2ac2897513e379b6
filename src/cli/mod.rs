//! Argument grammars and printers of the binaries.
//!
//! Each has a `main` that the binary of its name calls. Other programs can show what is wrong with
//! an lvs.cf as `piranha config check` does:
//!
//! ```
//! use piranha::cli::diagnostic::{Colors, render};
//!
//! let text = b"primary = 192.0.2.11\nkeepalive = often\n";
//! let loaded = piranha::config::load(text);
//! let shown = render("lvs.cf", text, &loaded.diagnostics, Colors::Off);
//! assert!(shown.contains("lvs.cf:2:13"), "{shown}");
//! ```

mod control;
pub mod diagnostic;
pub mod ipvsadm;
mod log;
pub mod lvs;
#[cfg(test)]
mod manual;
pub mod nanny;
pub mod piranha;
pub mod pulse;

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::config::{Config, Diagnostic, Document, Included, by_file};
use crate::runtime::configuration::{self, ConfigError};
use crate::runtime::privileges::{self, Duty, Programs};

/// Where Red Hat's packages kept lvs.cf, and ours do.
const CONFIG_FILE: &str = "/etc/sysconfig/ha/lvs.cf";

/// How long the end of a daemon waits for those who are told of it.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// Why a program ends with an error, in the words it prints.
#[derive(Debug)]
struct Failure(String);

impl Failure {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl<E: Display> From<E> for Failure
where
    E: std::error::Error,
{
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Gives away the privileges that a daemon with the configuration at `config` does not need. Must come before
/// anything that starts a thread, the log among it.
fn confine(duty: Duty, config: &Path) -> io::Result<()> {
    // One that cannot be read is told of when it is to be run.
    let commands = configuration::read(config).is_ok_and(|read| read.config.runs_commands());
    let programs = if commands { Programs::Unconfined } else { Programs::Confined };
    privileges::confine(duty, programs)
}

/// Tells the log what came of it.
fn warn_of(confined: io::Result<()>) {
    if let Err(error) = confined {
        tracing::warn!("root's privileges could not be given away: {error}");
    }
}

/// Prints why `program` failed, if it did.
fn finish(program: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(reason)) => {
            eprintln!("{program}: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `future` to its end on this thread.
fn on_one_thread<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// Reads the configuration and prints all that is to be said about it.
fn read_config(path: &Path) -> Result<Config, Failure> {
    match configuration::read(path) {
        Ok(accepted) => {
            print_diagnostics(path, &accepted.document, &accepted.included, &accepted.warnings);
            Ok(accepted.config)
        }
        Err(ConfigError::Invalid { document, included, diagnostics, .. }) => {
            print_diagnostics(path, &document, &included, &diagnostics);
            Err(Failure::new(format!(
                "{}: the configuration has errors; nothing was changed",
                path.display()
            )))
        }
        Err(error) => Err(error.into()),
    }
}

fn print_diagnostics(
    path: &Path,
    document: &Document,
    included: &[Included],
    diagnostics: &[Diagnostic],
) {
    let name = path.display().to_string();
    for (name, document, about) in by_file(&name, document, included, diagnostics) {
        eprintln!("{}", diagnostic::render(name, document.as_bytes(), &about, log::colors()));
    }
}

/// The program `name` beside the one that is running.
fn sibling(name: &str) -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}
