//! `piranha config`: lvs.cf without a daemon.
//!
//! | command | exit code |
//! |---|---|
//! | `check` | 0 usable, 1 not (with `--strict`: or a warning) |
//! | `explain` | 0 explained, 1 there is no such thing |
//! | `show` | 0 shown, 1 the file has errors |
//! | `fmt` | 0 done, 1 the file has errors; with `--check`: or would change |
//! | `diff` | 0 the same, 1 different, 2 could not compare |
//! | `init` | 0 written, 1 not |
//! | `import` | 0 all of it is expressed, 3 not all (see standard error), 1 nothing was written |
//!
//! A wrong command line ends with 2, as everywhere.

mod check;
mod diff;
mod explain;
mod fmt;
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
