//! Options for the control sockets, of daemons and of the administrator's command.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CONFIG_FILE, log};
use crate::control::Event;
use crate::runtime::control::{Options, directory, history_directory, now};
use crate::runtime::heartbeat::Observer;
use crate::runtime::revisions::{self, Store};

/// Where a daemon is asked and operated, and by whom.
#[derive(Clone, Debug, Args)]
pub(super) struct ControlArguments {
    /// The directory of the control sockets [default: /run/piranha, or one below it for another
    /// file than the usual one].
    #[arg(long, value_name = "DIR")]
    control: Option<PathBuf>,
    /// The group that may use them beside root.
    #[arg(long, value_name = "GROUP", default_value = "piranha")]
    control_group: String,
}

impl ControlArguments {
    /// What the socket of a daemon that runs the configuration at `config` is like.
    pub(super) fn options(&self, config: &Path) -> Options {
        let directory = directory(self.control.as_deref(), config, Path::new(CONFIG_FILE));
        Options { directory, group: Some(self.control_group.clone()) }
    }
}

/// A daemon without a control socket works, and cannot be asked how.
pub(super) fn or_warn<T>(served: std::io::Result<T>, at: &Options, tell: &Observer) -> Option<T> {
    let directory = at.directory.display();
    let warn = |error| {
        let text = format!("no control socket in {directory}: {error}; `piranha` cannot ask");
        tell(Event::Warning { text });
    };
    served.map_err(warn).ok()
}

/// Takes back what was not confirmed while no daemon ran, before the file is read.
pub(super) fn settle(arguments: &ControlArguments, config: &Path) {
    let history = Store::new(history_directory(&arguments.options(config), config));
    revisions::settle(config, &history, now(), &log::observer());
}
