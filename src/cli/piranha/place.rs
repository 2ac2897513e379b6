//! Which director a command is about.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::CONFIG_FILE;
use crate::runtime::control::directory;

/// Which director of this machine.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// The configuration file of the director.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_FILE)]
    configfile: PathBuf,
    /// The directory of its control sockets, if it was given one.
    #[arg(long, value_name = "DIR")]
    control: Option<PathBuf>,
}

impl Place {
    /// The directory of its control sockets.
    pub(super) fn directory(&self) -> PathBuf {
        directory(self.control.as_deref(), &self.configfile, Path::new(CONFIG_FILE))
    }
}
