//! Which director a command is about.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{CONFIG_FILE, Failure};
use crate::control::metrics::Scene;
use crate::control::protocol::{Daemon, Problem, ProblemCode, Scope, Servers};
use crate::control::status::{Balancing, Status};
use crate::control::{Client, ClientError};
use crate::runtime::control::{self, directory};
use crate::runtime::peer::partner_directory;

/// Which director of this machine.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// The configuration file of the director.
    #[arg(short, long, value_name = "FILE", default_value = CONFIG_FILE)]
    configfile: PathBuf,
    /// The directory of its control sockets, if it was given one.
    #[arg(long, value_name = "DIR")]
    control: Option<PathBuf>,
    /// Which node of the pair: `local`, `partner`, or its name.
    #[arg(long, value_name = "NODE", default_value = LOCAL)]
    node: String,
    /// Print JSON.
    #[arg(short, long)]
    pub(super) json: bool,
}

/// This node.
const LOCAL: &str = "local";

/// The other one.
const PARTNER: &str = "partner";

impl Place {
    /// What both daemons know, as far as `scope` goes.
    pub(super) async fn status(&self, scope: Scope) -> Status {
        control::status_of(&self.directory(), scope).await
    }

    /// The same with all servers, and what both daemons have counted.
    pub(super) async fn scene(&self) -> Scene {
        control::scene(&self.directory()).await
    }

    /// What `lvs` knows.
    pub(super) async fn balancing(&self, servers: Servers) -> Result<Balancing, Failure> {
        let mut lvs = self.connect(Daemon::Lvs).await?;
        lvs.balancing(servers, None).await.map_err(refused)
    }

    /// A connection to one of its daemons.
    pub(super) async fn connect(&self, daemon: Daemon) -> Result<Client, Failure> {
        self.client(daemon).await.map_err(refused)
    }

    /// The same, for who can do without.
    pub(super) async fn client(&self, daemon: Daemon) -> Result<Client, ClientError> {
        let client = Client::connect(&self.directory(), daemon).await?;
        let node = &client.hello().node;
        if [LOCAL, PARTNER, node].contains(&self.node.as_str()) {
            return Ok(client);
        }
        let message = format!("there is no node `{}` here: the partner is {node}", self.node);
        Err(Problem::new(ProblemCode::NoSuchObject, message, "say --node partner").into())
    }

    /// The other node of the pair.
    pub(super) fn partner(&self) -> Self {
        Self { node: PARTNER.to_owned(), ..self.clone() }
    }

    /// The configuration file of the director.
    pub(super) fn file(&self) -> &Path {
        &self.configfile
    }

    /// The directory of the control sockets of the node that is meant.
    pub(super) fn directory(&self) -> PathBuf {
        let own = directory(self.control.as_deref(), &self.configfile, Path::new(CONFIG_FILE));
        if self.is_own() { own } else { partner_directory(&own) }
    }

    /// Whether that is this node.
    pub(super) fn is_own(&self) -> bool {
        self.node == LOCAL || self.node == control::node_name()
    }
}

/// What a daemon had against it, with what would mend it.
pub(super) fn refused(error: ClientError) -> Failure {
    match error {
        ClientError::Refused(problem) => {
            Failure::new(format!("{}\n  mend: {}", problem.message, problem.mend))
        }
        error => error.into(),
    }
}
