//! `piranha config`: lvs.cf, without a daemon and through `lvs`.
//!
//! | command | exit code |
//! |---|---|
//! | `check` | 0 usable, 1 not (with `--strict`: or a warning) |
//! | `explain` | 0 explained, 1 there is no such thing |
//! | `show` | 0 shown, 1 the file has errors |
//! | `fmt` | 0 done, 1 the file has errors; with `--check`: or would change |
//! | `diff` | 0 the same, 1 different, 2 could not compare |
//! | `init` | 0 written, 1 not |
//! | `apply`, `restore` | 0 in force, or with `--dry-run` it could be; 1 not, and nothing was changed |
//! | `confirm`, `undo`, `reload` | 0 done, 1 not |
//! | `history` | 0 shown, 1 not |
//! | `import` | 0 all of it is expressed, 3 not all (see standard error), 1 nothing was written |
//!
//! A wrong command line ends with 2, as everywhere.

mod apply;
mod check;
mod diff;
mod explain;
mod fmt;
mod history;
mod import;
mod init;
mod input;
mod output;
mod show;

use std::path::PathBuf;

use clap::Subcommand;

use super::Failure;
use crate::cli::CONFIG_FILE;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say whether a configuration can be used, and everything that is wrong with it.
    Check(check::Check),
    /// Explain a directive of lvs.cf, or the code of a diagnostic such as E0102.
    Explain(explain::Explain),
    /// Show the settings in force, defaults included, and where each comes from.
    Show(show::Show),
    /// Lay a configuration out in the common way; comments and words stay.
    Fmt(fmt::Fmt),
    /// Compare what two configurations mean, or one with what runs.
    Diff(diff::Diff),
    /// Write a first configuration with comments.
    Init(init::Init),
    /// Put a configuration in force, and take it back unless it is confirmed in time.
    Apply(apply::Apply),
    /// Keep the change that waits to be confirmed.
    Confirm(apply::Confirm),
    /// Take the change back that waits to be confirmed, or else the last one.
    Undo(apply::Undo),
    /// List the revisions there were, or print one.
    History(history::History),
    /// Put an earlier revision in force again.
    Restore(apply::Restore),
    /// Have the file read again as it is.
    Reload(apply::Reload),
    /// Express the configuration of another program as lvs.cf.
    Import(import::Import),
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Check(command) => command.run(),
            Self::Explain(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Fmt(command) => command.run(),
            Self::Diff(command) => command.run(),
            Self::Init(command) => command.run(),
            Self::Apply(command) => command.run(),
            Self::Confirm(command) => command.run(),
            Self::Undo(command) => command.run(),
            Self::History(command) => command.run(),
            Self::Restore(command) => command.run(),
            Self::Reload(command) => command.run(),
            Self::Import(command) => command.run(),
        }
    }

    /// The exit code for a failure.
    pub(super) const fn trouble(&self) -> u8 {
        match self {
            Self::Diff(_) => 2,
            _ => 1,
        }
    }
}

/// The file a command is about.
#[derive(Debug, clap::Args)]
struct File {
    /// The configuration file; - is standard input.
    #[arg(value_name = "FILE", default_value = CONFIG_FILE)]
    file: PathBuf,
}
