//! What all requests share.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::courier::Courier;
use super::handle::Last;
use super::random;
use super::store::{Store, StoreError};
use super::tls::Identity;
use super::trail::Trail;
use super::watch::Watch;
use crate::control::peer::PeerCall;
use crate::control::protocol::{Call, Daemon, Servers};
use crate::control::status::Status;
use crate::control::{Client, ClientError, Timestamp};
use crate::runtime::clock;
use crate::runtime::control::{now, status};
use crate::time::Instant;
use crate::web::Role;
use crate::web::audit::{Entry, cut};
use crate::web::problem::Problem;
use crate::web::secret::{Digest, Secret};
use crate::web::session::Sessions;
use crate::web::throttle::Throttle;

/// The token of the first run is good for this long.
const SETUP: Duration = Duration::from_secs(30 * 60);

/// How long the program that keeps the partner's audit trail may take for it.
const AUDIT: Duration = Duration::from_secs(5);

/// What all requests share.
#[derive(Debug)]
pub(super) struct App {
    /// The name of this node.
    pub(super) node: String,
    /// The directory of the control sockets of `pulse` and `lvs`.
    pub(super) control: PathBuf,
    /// The names this server is asked by.
    pub(super) names: Vec<String>,
    /// The name of its cookie: two servers on one host have two, since cookies know no ports.
    pub(super) cookie: String,
    pub(super) identity: Identity,
    pub(super) store: Store,
    pub(super) watch: Arc<Watch>,
    /// The kernel's connections, as last looked at.
    pub(super) connections: Last,
    trail: Trail,
    /// What brings the trail to the partner.
    pub(super) courier: Arc<Courier>,
    sessions: Mutex<Sessions>,
    throttle: Mutex<Throttle>,
    setup: Mutex<Option<(Digest, Instant)>>,
    requests: AtomicU64,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// A user's name, `token:NAME`, or `NAME (socket)`.
    pub(super) name: String,
    pub(super) role: Role,
    /// The session, of who came with a cookie.
    pub(super) session: Option<Secret>,
    /// Whether the password was entered a short while ago, or there is none to enter.
    pub(super) fresh: bool,
}

impl App {
    pub(super) fn new(
        (node, names, cookie): (String, Vec<String>, String),
        control: PathBuf,
        identity: Identity,
        (store, trail, courier): (Store, Trail, Courier),
    ) -> Self {
        let watch = Arc::new(Watch::new(&node, &control));
        Self {
            node,
            control,
            names,
            cookie,
            identity,
            store,
            watch,
            connections: Last::default(),
            trail,
            courier: Arc::new(courier),
            sessions: Mutex::default(),
            throttle: Mutex::default(),
            setup: Mutex::default(),
            requests: AtomicU64::new(0),
        }
    }

    /// The number of a new request.
    pub(super) fn number(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What both daemons know.
    pub(super) async fn status(&self, servers: Servers) -> Status {
        let mut known = status(&self.control, servers, None).await;
        known.node.clone_from(&self.node);
        known
    }

    /// A connection to a daemon.
    pub(super) async fn client(&self, daemon: Daemon) -> Result<Client, Problem> {
        Client::connect(&self.control, daemon).await.map_err(refused)
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an attempt to log in go on, or says how long to wait.
    pub(super) fn attempt(&self, name: &str, address: IpAddr) -> Result<(), Problem> {
        let (now, mut throttle) = (clock::now(), self.throttle());
        if let Some(wait) = throttle.wait(now, name, address) {
            return Err(Problem::throttled(wait.as_secs() + 1));
        }
        throttle.attempted(now, name, address);
        Ok(())
    }

    /// The attempt had the right password.
    pub(super) fn succeeded(&self, name: &str, address: IpAddr) {
        self.throttle().succeeded(name, address);
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is no user yet.
    pub(super) fn is_new(&self) -> Result<bool, Problem> {
        Ok(self.store.read().map_err(stored)?.users.is_empty())
    }

    /// A token for the first run in place of the one there was.
    pub(super) fn new_setup(&self) -> io::Result<Secret> {
        let secret = Secret::new(random()?);
        *self.setup_token() = Some((secret.digest(), clock::now() + SETUP));
        Ok(secret)
    }

    /// Whether `said` is the token of the first run.
    pub(super) fn is_setup(&self, said: &str) -> bool {
        let said = Secret::parse(said.trim());
        match (*self.setup_token(), said) {
            (Some((digest, ends)), Some(said)) => clock::now() < ends && said.digest() == digest,
            _ => false,
        }
    }

    /// The token was used: it is worth nothing any more.
    pub(super) fn end_setup(&self) {
        *self.setup_token() = None;
    }

    fn setup_token(&self) -> MutexGuard<'_, Option<(Digest, Instant)>> {
        self.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of `secret`, if it is good: its account is still as it was at the login.
    pub(super) fn caller(&self, secret: Secret, passive: bool) -> Result<Option<Caller>, Problem> {
        let accounts = self.store.read().map_err(stored)?;
        let now = clock::now();
        let mut sessions = self.sessions();
        let Some(session) = sessions.get(now, &secret, passive) else { return Ok(None) };
        let user = accounts.user(&session.user).filter(|user| user.stamp() == session.stamp);
        let Some(user) = user else {
            sessions.end(&secret);
            return Ok(None);
        };
        let (name, role, fresh) = (user.name.clone(), user.role, session.is_fresh(now));
        Ok(Some(Caller { name, role, session: Some(secret), fresh }))
    }

    /// The holder of an API token.
    pub(super) fn holder(&self, secret: &Secret) -> Result<Option<Caller>, Problem> {
        let accounts = self.store.read().map_err(stored)?;
        let caller = |token: &crate::web::account::Token| Caller {
            name: format!("token:{}", token.name),
            role: token.role,
            session: None,
            fresh: true,
        };
        Ok(accounts.token(secret, now()).map(caller))
    }

    /// Notes something in the audit trail and the log.
    pub(super) fn note(&self, entry: Note<'_>) {
        let Note { actor, source, action, target, reason, change, result, request } = entry;
        let entry = Entry {
            at: now(),
            node: self.node.clone(),
            actor: cut(actor),
            source: source.to_owned(),
            action: action.to_owned(),
            target: target.map(cut),
            reason: reason.map(cut),
            change,
            result: cut(result),
            request,
        };
        let (who, what) = (&entry.actor, entry.target.as_deref().unwrap_or_default());
        tracing::info!("web: {who} from {source}: {action} {what:?}: {}", entry.result);
        if let Err(error) = self.trail.add(&entry) {
            tracing::error!("web: the audit trail cannot be written: {error}");
        }
        if let Err(error) = self.courier.add(&entry) {
            tracing::error!("web: the audit trail cannot be kept for the partner: {error}");
        }
    }

    /// The last entries of the audit trails of both nodes, the latest first; of the partner as far
    /// as they have come here.
    pub(super) async fn audit(&self, most: usize) -> Result<Vec<Entry>, Problem> {
        let mut entries = self.trail.last(most).map_err(Problem::system)?;
        let there = self.partner_audit(most).await.unwrap_or_default();
        entries.extend(there.iter().filter_map(|line| serde_json::from_str::<Entry>(line).ok()));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        entries.truncate(most);
        Ok(entries)
    }

    async fn partner_audit(&self, most: usize) -> Result<Vec<String>, ClientError> {
        let mut peer = Client::connect(&self.control, Daemon::Peer).await?;
        peer.call(Call::Peer(PeerCall::PartnerAudit { most }), AUDIT).await
    }
}

/// What [`App::note`] notes.
pub(super) struct Note<'a> {
    pub(super) actor: &'a str,
    pub(super) source: &'a str,
    pub(super) action: &'a str,
    pub(super) target: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    pub(super) change: serde_json::Value,
    pub(super) result: &'a str,
    pub(super) request: u64,
}

/// What a daemon had against it.
pub(super) fn refused(error: ClientError) -> Problem {
    match error {
        ClientError::Refused(problem) => problem.into(),
        error => Problem::unreachable(error),
    }
}

/// What was wrong with the accounts.
pub(super) fn stored(error: StoreError) -> Problem {
    match error {
        StoreError::Refused(error) => error.into(),
        error => Problem::system(error),
    }
}

/// The clock of sessions beside that of people.
pub(super) fn both_clocks() -> (Instant, Timestamp) {
    (clock::now(), now())
}

/// What all connections hold.
pub(super) type Shared = Arc<App>;
