//! `piranha sync`

mod files;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::control::ControlArguments;
use crate::cli::log::LogArguments;
use crate::cli::{CONFIG_FILE, Failure, log, on_one_thread};
use crate::control::peer::PORT;
use crate::runtime::configuration;
use crate::runtime::peer::{self, Settings};

/// The commands about the state both nodes have in common.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Keep the connection to the partner: a daemon, which runs on both nodes.
    Serve(Serve),
    #[command(flatten)]
    Files(files::Command),
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Serve(serve) => serve.run(),
            Self::Files(command) => command.run(),
        }
    }
}

/// What the daemon needs to know.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The configuration file of the director.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_FILE)]
    configfile: PathBuf,
    #[command(flatten)]
    control: ControlArguments,
    /// Where to listen for the partner, ADDRESS or ADDRESS:PORT; several times for several.
    /// [default: this node's private or public address of lvs.cf, port 3638]
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    listen: Vec<SocketAddr>,
    /// The directory of the node's key and of what it knows of its partner.
    /// [default: /var/lib/piranha/peer]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    log: LogArguments,
}

impl Serve {
    fn run(self) -> Result<u8, Failure> {
        let _written_at_the_end = log::init("piranha", self.log);
        on_one_thread(async move {
            let serving = peer::serve(self.settings()?, log::observer()).await?;
            for address in serving.addresses() {
                tracing::info!("peer: listening for the partner on {address}");
            }
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            Ok(0)
        })
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let usual = Path::new(CONFIG_FILE);
        let state = peer::state_directory(self.state.as_deref(), &self.configfile, usual);
        let control = self.control.options(&self.configfile);
        let listen = if self.listen.is_empty() { self.usual()? } else { self.listen.clone() };
        Ok(Settings::new(self.configfile.clone(), control, state, listen))
    }

    fn usual(&self) -> Result<Vec<SocketAddr>, Failure> {
        let accepted = configuration::read(&self.configfile)?;
        let address = peer::usual_address(&accepted.config);
        let none = "lvs.cf has no address of this node: give one with --listen";
        Ok(vec![address.ok_or_else(|| Failure::new(none))?])
    }
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT));
    address.or_else(|_| text.parse()).map_err(|_malformed| format!("`{text}` is no address"))
}
