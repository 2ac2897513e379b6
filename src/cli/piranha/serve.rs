//! `piranha serve`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::{CONFIG_FILE, Failure, log};
use crate::runtime::control::directory;
use crate::runtime::web::{Options, Server, state_directory};

/// Serve the GUI and the HTTP API.
///
/// Runs as any user who may use the control sockets; needs no privilege. Where there is no account
/// yet, it prints a token with which the first one is made in the browser.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The address and port for browsers.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3637")]
    listen: SocketAddr,
    /// A unix socket for programs of this machine, with the same API.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The group whose members may use that socket as operators, beside root.
    #[arg(long, value_name = "GROUP", default_value = "piranha")]
    group: String,
    #[command(flatten)]
    state: State,
    /// The configuration file of the director.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_FILE)]
    configfile: PathBuf,
    /// The directory of its control sockets, if it was given one.
    #[arg(long, value_name = "DIR")]
    control: Option<PathBuf>,
    /// A certificate, in PEM; one is made unless given. Read again when it changes.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key, in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// A name by which browsers ask for this server, beside its addresses and the node's name.
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    log: log::LogArguments,
}

/// Where accounts, audit trail and certificate are.
#[derive(Clone, Debug, Args)]
pub(super) struct State {
    /// The directory of accounts, audit trail and certificate [default: `web` in
    /// $STATE_DIRECTORY, which systemd sets, or in /var/lib/piranha].
    #[arg(long = "state", value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl State {
    pub(super) fn directory(&self) -> PathBuf {
        self.directory.clone().unwrap_or_else(state_directory)
    }
}

impl Serve {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let _log = log::init("piranha", self.log);
        let workers =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        workers.block_on(self.serve())?;
        Ok(0)
    }

    /// Starts every service of this process, and stops them all when it is told to end.
    async fn serve(&self) -> Result<(), Failure> {
        let (stop, stopped) = watch::channel(false);
        let mut services = JoinSet::new();

        let pages = Server::bind(&self.options()).await?;
        announce(&pages)?;
        services.spawn(pages.run(stopped.clone()));
        // Further services of this process begin here: each gets `stopped` and ends by it.
        drop(stopped);

        ended().await?;
        // Whoever is gone already needs no word.
        let _all_ended = stop.send(true);
        services.join_all().await;
        Ok(())
    }

    fn options(&self) -> Options {
        let usual = Path::new(CONFIG_FILE);
        let control = directory(self.control.as_deref(), &self.configfile, usual);
        let mut options = Options::new(self.state.directory(), control);
        options.listen = self.listen;
        options.socket.clone_from(&self.socket);
        options.group = Some(self.group.clone());
        options.certificate = self.certificate.clone().zip(self.key.clone());
        options.names.clone_from(&self.names);
        options
    }
}

/// Says where it is, how to know its certificate, and how to make the first account.
fn announce(server: &Server) -> Result<(), Failure> {
    let address = server.address();
    tracing::info!("web: serving https://{address}");
    tracing::info!("web: certificate fingerprint (SHA-256) {}", server.fingerprint());
    if let Some(token) = server.setup_token()? {
        // Not through the log, which others may read.
        eprintln!(
            "There is no account yet. Open https://{address}/setup and enter this token; it is \
             good once, for half an hour:\n{token}"
        );
    }
    Ok(())
}

/// Waits for the signal to end.
async fn ended() -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
