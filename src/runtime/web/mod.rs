//! The server of the GUI and of the HTTP API.
//!
//! It runs unprivileged beside `pulse` and `lvs` and asks them over their control sockets, as any
//! other program may: killing it delays no heartbeat. `gate` is the one way in; `door` bounds who
//! connects; `handle` has what is done, by the table [`ROUTES`](crate::web::ROUTES).

mod app;
mod courier;
mod door;
mod gate;
mod handle;
pub(crate) mod password;
mod past;
mod reply;
mod squeeze;
pub(crate) mod store;
mod tls;
mod trail;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;

use self::app::{App, Shared};
use self::courier::Courier;
use self::past::Past;
use self::store::Store;
use self::tls::{Files, Identity};
use self::trail::Trail;
use crate::runtime::control::{node_name, now};
use crate::web::Role;
use crate::web::account::Token;
use crate::web::secret::Secret;

/// Where the server listens, what it keeps and whom it asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The address for browsers: 127.0.0.1:3637 unless chosen. Port 0 is any free one.
    pub listen: SocketAddr,
    /// The unix socket for programs of this machine; none unless chosen.
    pub socket: Option<PathBuf>,
    /// The group whose members may use it as operators; root and the own user are admins.
    pub group: Option<String>,
    /// The name of this node, that of the system unless given: two directors in one program need
    /// it to be told apart.
    pub node: Option<String>,
    /// The directory of accounts, audit trail and certificate: only the own user may read it.
    pub state: PathBuf,
    /// The directory of the control sockets of `pulse` and `lvs`.
    pub control: PathBuf,
    /// A certificate and its key, in PEM; one is made unless given.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Further names by which browsers ask for this server, beside addresses and the node's name.
    pub names: Vec<String>,
}

impl Options {
    /// A server on loopback that keeps its files in `state` and asks the daemons in `control`.
    #[must_use]
    pub fn new(state: PathBuf, control: PathBuf) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 3637));
        let (socket, group, node, certificate) = (None, None, None, None);
        Self { listen, socket, group, node, state, control, certificate, names: Vec::new() }
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot listen there.
    #[error("cannot listen on {place}: {source}")]
    Listen {
        /// The address or socket.
        place: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The certificate cannot be made or used.
    #[error("no certificate: {0}")]
    Certificate(io::Error),
    /// The accounts or the audit trail cannot be kept.
    #[error("{0}")]
    State(String),
}

/// A server that listens and does not serve yet.
#[derive(Debug)]
pub struct Server {
    app: Shared,
    past: Arc<Past>,
    listener: TcpListener,
    socket: Option<door::Socket>,
    local: SocketAddr,
}

impl Server {
    /// Listens as `options` say. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]; nothing listens then.
    pub async fn bind(options: &Options) -> Result<Self, StartError> {
        let state = |error: &dyn std::fmt::Display| StartError::State(error.to_string());
        let store = Store::open(&options.state).map_err(|error| state(&error))?;
        let trail = Trail::open(&options.state).map_err(|error| state(&error))?;
        let courier = Courier::open(&options.state).map_err(|error| state(&error))?;
        let names = names(&options.names);
        let files = Files::find(options.certificate.clone(), &options.state, &names);
        let identity = files.and_then(Identity::load).map_err(StartError::Certificate)?;
        let at = options.listen;
        let listener = TcpListener::bind(at).await.map_err(listen(&at))?;
        let local = listener.local_addr().map_err(listen(&at))?;
        let socket = options.socket.as_deref().map(|path| {
            let bound = door::Socket::bind(path, options.group.as_deref());
            bound.map_err(listen(&path.display()))
        });
        let socket = socket.transpose()?;
        let cookie = format!("__Host-piranha-{}", local.port());
        let control = options.control.clone();
        let node = options.node.clone().unwrap_or_else(node_name);
        let app = App::new((node, names, cookie), control, identity, (store, trail, courier));
        let past = Arc::new(Past::new(&options.state));
        *app.watch.history() = past.read();
        Ok(Self { app: Arc::new(app), past, listener, socket, local })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.local
    }

    /// The SHA-256 of its certificate, as browsers show it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.app.identity.fingerprint()
    }

    /// A new token with which the first admin is made, where there is no user yet: good for half
    /// an hour, and once. One given out before is worth nothing any more.
    ///
    /// # Errors
    /// When the accounts cannot be read, or there are no random numbers.
    pub fn setup_token(&self) -> io::Result<Option<String>> {
        let is_new = self.app.is_new().map_err(|problem| io::Error::other(problem.title))?;
        if !is_new {
            return Ok(None);
        }
        Ok(Some(self.app.new_setup()?.text()))
    }

    /// Serves until `stop` is true, then lets answers under way end.
    pub async fn run(self, stop: Receiver<bool>) {
        let mut watch = JoinSet::new();
        watch.spawn(Arc::clone(&self.app.watch).run());
        watch.spawn(Arc::clone(&self.past).keep(Arc::clone(&self.app.watch)));
        watch.spawn(Arc::clone(&self.app.courier).run(self.app.control.clone()));
        let mut parts = JoinSet::new();
        parts.spawn(door::network(Arc::clone(&self.app), self.listener, stop.clone()));
        if let Some(socket) = self.socket {
            parts.spawn(socket.serve(Arc::clone(&self.app), stop));
        }
        parts.join_all().await;
        if let Err(reason) = self.past.save(&self.app.watch) {
            tracing::warn!("web: the history of the graphs is not written: {reason}");
        }
    }
}

/// The default place of accounts, audit trail and certificate: what systemd gives, else below
/// /var/lib.
#[must_use]
pub fn state_directory() -> PathBuf {
    let given = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new("/var/lib/piranha").to_owned()).join("web")
}

/// A new API token, good for `life`, and the text that its holder gets.
pub(crate) fn new_token(
    name: &str,
    role: Role,
    author: &str,
    life: Duration,
) -> io::Result<(Token, String)> {
    let (secret, created) = (Secret::new(random()?), now());
    let (digest, expires) = (secret.digest(), Some(created.after(life)));
    let (name, author) = (name.to_owned(), author.to_owned());
    let token = Token { name, role, digest, author, created, expires };
    Ok((token, format!("{}{}", gate::TOKEN, secret.text())))
}

fn names(further: &[String]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), node_name()];
    let system = rustix::system::uname();
    names.push(system.nodename().to_string_lossy().into_owned());
    names.extend(further.iter().cloned());
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}

fn listen<P: ToString>(place: &P) -> impl FnOnce(io::Error) -> StartError + use<P> {
    let place = place.to_string();
    move |source| StartError::Listen { place, source }
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    // So few bytes come whole, or not at all.
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}
