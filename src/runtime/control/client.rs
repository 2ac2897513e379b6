//! The client of a control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::place::socket;
use crate::control::metrics::Scene;
use crate::control::protocol::{
    Call, Checked, Daemon, Done, Events, Hello, MAX_MESSAGE, Message, Notified, Operated,
    Operation, Problem, Request, Scope, Servers, TableStatus, Uploaded, VERSION,
};
use crate::control::revisions::{Application, Applied, Draft, Review, RevisionText, Revisions};
use crate::control::status::{Balancing, Heartbeats, Reading, Status};
use crate::control::{Counters, Record};

/// How long a daemon may take for its greeting and a status.
const LIMIT: Duration = Duration::from_secs(5);

/// How long a daemon may take for what changes something.
const LONG_LIMIT: Duration = Duration::from_secs(70);

/// A draft longer than this goes in pieces of so many bytes. Each fits on one line even where
/// every letter of it has to be escaped.
const PIECE: usize = 8 << 10;

/// Why a daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The daemon cannot be reached.
    #[error("cannot reach {}: {}", path.display(), unreachable(source))]
    Unreachable {
        /// Its socket.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The daemon did not answer in time.
    #[error("{daemon} did not answer within {limit:?}")]
    TimedOut {
        /// Which.
        daemon: Daemon,
        /// How long it had.
        limit: Duration,
    },
    /// The daemon speaks another version of the protocol.
    #[error("{daemon} speaks version {theirs} of the control protocol, and this program {VERSION}")]
    Version {
        /// Which.
        daemon: Daemon,
        /// The version it speaks.
        theirs: u32,
    },
    /// What came is not the protocol.
    #[error("not the control protocol: {0}")]
    Protocol(String),
    /// The connection ended.
    #[error("{0} has ended the connection")]
    Ended(Daemon),
    /// The daemon refused. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] Problem),
}

/// A connection to one daemon.
///
/// ```no_run
/// use piranha::control::Client;
/// use piranha::control::protocol::{Daemon, Servers};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut lvs = Client::connect("/run/piranha".as_ref(), Daemon::Lvs).await?;
/// for service in lvs.balancing(Servers::None, None).await?.services {
///     println!("{} is {}", service.name, service.state);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    hello: Hello,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    line: Vec<u8>,
    last_id: u64,
    /// Events that came while an answer was waited for.
    early: std::collections::VecDeque<Heard>,
}

/// What a client that listens hears.
#[allow(clippy::exhaustive_enums, reason = "an event comes or is lost")]
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Something happened.
    Event(Record),
    /// So many events happened that this client was too slow to take.
    Lost(u64),
}

impl Client {
    /// Connects to `daemon`, whose socket is in `directory`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connect(directory: &Path, daemon: Daemon) -> Result<Self, ClientError> {
        let path = socket(directory, daemon);
        let connected = UnixStream::connect(&path).await;
        let stream = connected.map_err(|source| ClientError::Unreachable { path, source })?;
        let (reader, writer) = stream.into_split();
        let hello = Hello::new(daemon, String::new(), 0, String::new());
        let (reader, early) = (BufReader::new(reader), std::collections::VecDeque::new());
        let mut client = Self { hello, reader, writer, line: Vec::new(), last_id: 0, early };
        client.hello = within(LIMIT, daemon, client.greeting()).await?;
        Ok(client)
    }

    /// How the daemon greeted.
    #[must_use]
    pub const fn hello(&self) -> &Hello {
        &self.hello
    }

    /// What `pulse` knows.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn heartbeats(&mut self) -> Result<Heartbeats, ClientError> {
        self.call(Call::Status(Scope::default()), LIMIT).await
    }

    /// What `lvs` knows, of one service or of all, with these servers of each.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn balancing(
        &mut self,
        servers: Servers,
        service: Option<&str>,
    ) -> Result<Balancing, ClientError> {
        let service = service.map(ToOwned::to_owned);
        self.balancing_of(Scope { service, ..Scope::of(servers) }).await
    }

    /// What `lvs` knows, as far as `scope` goes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn balancing_of(&mut self, scope: Scope) -> Result<Balancing, ClientError> {
        self.call(Call::Status(scope), LIMIT).await
    }

    /// What the daemon has counted since it began.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn counters(&mut self) -> Result<Counters, ClientError> {
        self.call(Call::Counters, LIMIT).await
    }

    /// The events that are remembered after number `after`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(&mut self, after: u64) -> Result<Events, ClientError> {
        self.call(Call::Events { after, follow: false }, LIMIT).await
    }

    /// The same; what happens from then on is told by [`next_event`](Self::next_event).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn follow(&mut self, after: u64) -> Result<Events, ClientError> {
        self.call(Call::Events { after, follow: true }, LIMIT).await
    }

    /// Waits for the next event, after [`follow`](Self::follow). May be dropped while it waits.
    ///
    /// # Errors
    /// [`ClientError`]: the daemon is gone, for example.
    pub async fn next_event(&mut self) -> Result<Heard, ClientError> {
        loop {
            if let Some(heard) = self.early.pop_front() {
                return Ok(heard);
            }
            if let Some(heard) = heard(self.receive::<serde::de::IgnoredAny>().await?) {
                return Ok(heard);
            }
        }
    }

    /// Has `lvs` read the configuration again.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with what is wrong with it; what ran is still running.
    pub async fn reload(&mut self) -> Result<Done, ClientError> {
        self.call(Call::Reload, LONG_LIMIT).await
    }

    /// Has `pulse` pass the service to the partner.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason, where this node has not the service or the
    /// partner could not take it.
    pub async fn hand_over(&mut self, reason: Option<&str>) -> Result<Done, ClientError> {
        let reason = reason.map(ToOwned::to_owned);
        self.call(Call::HandOver { reason }, LONG_LIMIT).await
    }

    /// Has `pulse` begin maintenance of its node, or end it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason, where this node has the service and the partner
    /// could not take it.
    pub async fn maintenance(
        &mut self,
        on: bool,
        reason: Option<&str>,
    ) -> Result<Done, ClientError> {
        let reason = reason.map(ToOwned::to_owned);
        self.call(Call::Maintenance { on, reason }, LONG_LIMIT).await
    }

    /// What `lvs` has told its data plane, with the connections of each server.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn table(&mut self) -> Result<TableStatus, ClientError> {
        self.call(Call::Table, LIMIT).await
    }

    /// Says something of servers to `lvs`.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: no such server, for example, or it is the last one.
    pub async fn operate(&mut self, operation: Operation) -> Result<Operated, ClientError> {
        self.call(Call::Operate(operation), LONG_LIMIT).await
    }

    /// Has `lvs` check the servers that `target` means once, now.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where there is no such server, or too many ask for checks.
    pub async fn check(&mut self, target: &str) -> Result<Checked, ClientError> {
        self.call(Call::Check { target: target.to_owned() }, LONG_LIMIT).await
    }

    /// Has `lvs` tell everybody whom its configuration names that this is a test; with `only` those
    /// of one directive.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where another test is under way.
    pub async fn test_notify(&mut self, only: Option<&str>) -> Result<Notified, ClientError> {
        let only = only.map(ToOwned::to_owned);
        self.call(Call::TestNotify { only }, LONG_LIMIT).await
    }

    /// Takes back what was said to `lvs` of `target`, or of all servers.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where there is no such server.
    pub async fn clear_overrides(&mut self, target: Option<&str>) -> Result<Operated, ClientError> {
        let target = target.map(ToOwned::to_owned);
        self.call(Call::ClearOverrides { target }, LONG_LIMIT).await
    }

    /// Has `lvs` look at a draft of lvs.cf; nothing is changed.
    ///
    /// # Errors
    /// [`ClientError`]. Errors in the draft are told in the review.
    pub async fn review_config(&mut self, draft: Draft) -> Result<Review, ClientError> {
        let draft = self.upload(draft).await?;
        self.call(Call::ReviewConfig { draft }, LONG_LIMIT).await
    }

    /// Has `lvs` put a draft in force.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: with errors, or made from what the file is no longer; nothing was
    /// changed.
    pub async fn apply_config(&mut self, mut wanted: Application) -> Result<Applied, ClientError> {
        wanted.draft = self.upload(wanted.draft).await?;
        self.call(Call::ApplyConfig(wanted), LONG_LIMIT).await
    }

    /// Keeps the change of lvs.cf that waits to be confirmed, for `on_behalf_of` where that is not
    /// the user of this process.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where none waits or it is too late.
    pub async fn confirm_config(
        &mut self,
        on_behalf_of: Option<&str>,
    ) -> Result<Done, ClientError> {
        let on_behalf_of = on_behalf_of.map(ToOwned::to_owned);
        self.call(Call::ConfirmConfig { on_behalf_of }, LIMIT).await
    }

    /// Takes the change back that waits to be confirmed, or else the last one.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where there is nothing to go back to.
    pub async fn undo_config(
        &mut self,
        reason: Option<&str>,
        on_behalf_of: Option<&str>,
    ) -> Result<Applied, ClientError> {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        let (reason, on_behalf_of) = (owned(reason), owned(on_behalf_of));
        self.call(Call::UndoConfig { reason, on_behalf_of }, LONG_LIMIT).await
    }

    /// The revisions of lvs.cf that are kept.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn config_history(&mut self) -> Result<Revisions, ClientError> {
        self.call(Call::ConfigHistory, LIMIT).await
    }

    /// What a revision says: its number, or how its hash begins.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where there is no such revision.
    pub async fn config_text(&mut self, revision: &str) -> Result<RevisionText, ClientError> {
        self.call(Call::ConfigText { revision: revision.to_owned() }, LIMIT).await
    }

    /// Sends a draft ahead that does not fit on one line.
    async fn upload(&mut self, draft: Draft) -> Result<Draft, ClientError> {
        let text = match draft {
            Draft::Text(text) if text.len() > PIECE => text,
            short => return Ok(short),
        };
        let mut at = 0;
        while at < text.len() {
            let piece = piece(&text[at..]).to_owned();
            let sent: Uploaded = self.call(Call::Upload { at, text: piece }, LIMIT).await?;
            at = sent.bytes;
        }
        Ok(Draft::Upload)
    }

    /// Asks anything: the answer is what [`Call`] says, or any value that can be read from it.
    /// After an error other than a refusal the connection is of no further use.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn call<T: DeserializeOwned>(
        &mut self,
        call: Call,
        limit: Duration,
    ) -> Result<T, ClientError> {
        let daemon = self.hello.daemon;
        within(limit, daemon, self.ask(call)).await
    }

    async fn ask<T: DeserializeOwned>(&mut self, call: Call) -> Result<T, ClientError> {
        self.last_id += 1;
        let own = self.last_id;
        let request = serde_json::to_vec(&Request { id: own, call });
        let mut line = request.map_err(|error| ClientError::Protocol(error.to_string()))?;
        line.push(b'\n');
        // A daemon that turns a client away closes first: what it said is still to be read.
        let _told_by_reading = self.writer.write_all(&line).await;
        loop {
            match self.receive::<T>().await? {
                Message::Answer { id, result } if id == own => return Ok(result),
                Message::Refusal { id, error } if id.is_none_or(|id| id == own) => {
                    return Err(error.into());
                }
                other => self.early.extend(heard(other)),
            }
        }
    }

    async fn greeting(&mut self) -> Result<Hello, ClientError> {
        match self.receive::<serde::de::IgnoredAny>().await? {
            Message::Hello { hello } if hello.protocol == VERSION => Ok(hello),
            Message::Hello { hello } => {
                Err(ClientError::Version { daemon: hello.daemon, theirs: hello.protocol })
            }
            Message::Refusal { error, .. } => Err(error.into()),
            _ => Err(ClientError::Protocol("no greeting".to_owned())),
        }
    }

    /// Reads one line. What was read of an incomplete one is kept when the future is dropped.
    async fn receive<T: DeserializeOwned>(&mut self) -> Result<Message<T>, ClientError> {
        let daemon = self.hello.daemon;
        let room = MAX_MESSAGE.saturating_sub(self.line.len()) as u64;
        let mut bounded = (&mut self.reader).take(room);
        let read = bounded.read_until(b'\n', &mut self.line).await;
        if read.is_err() || !self.line.ends_with(b"\n") {
            return Err(ClientError::Ended(daemon));
        }
        let line = std::mem::take(&mut self.line);
        serde_json::from_slice(&line).map_err(|error| ClientError::Protocol(error.to_string()))
    }
}

/// Asks both daemons in `directory` and puts together what they say, with these servers.
pub async fn status(directory: &Path, servers: Servers, service: Option<&str>) -> Status {
    let service = service.map(ToOwned::to_owned);
    status_of(directory, Scope { service, ..Scope::of(servers) }).await
}

/// The same, as far as `scope` goes.
pub async fn status_of(directory: &Path, scope: Scope) -> Status {
    let pulse = async {
        let mut client = Client::connect(directory, Daemon::Pulse).await?;
        Ok((client.hello.node.clone(), client.heartbeats().await?))
    };
    let lvs = async {
        let mut client = Client::connect(directory, Daemon::Lvs).await?;
        Ok((client.hello.node.clone(), client.balancing_of(scope).await?))
    };
    let (pulse, lvs) = tokio::join!(pulse, lvs);
    let name =
        name([pulse.as_ref().ok().map(|half| &half.0), lvs.as_ref().ok().map(|half| &half.0)]);
    Status::new(name, super::now(), reading(pulse), reading(lvs))
}

/// The same with what both have counted: all that [metrics](crate::control::metrics) need.
pub async fn scene(directory: &Path) -> Scene {
    let pulse = async {
        let mut client = Client::connect(directory, Daemon::Pulse).await?;
        let known = (client.heartbeats().await?, client.counters().await?);
        Ok((client.hello.node.clone(), known))
    };
    let lvs = async {
        let mut client = Client::connect(directory, Daemon::Lvs).await?;
        let known = (client.balancing(Servers::All, None).await?, client.counters().await?);
        Ok((client.hello.node.clone(), known))
    };
    let (pulse, lvs) = tokio::join!(pulse, lvs);
    let name =
        name([pulse.as_ref().ok().map(|half| &half.0), lvs.as_ref().ok().map(|half| &half.0)]);
    let (pulse, pulse_counters) = apart(pulse);
    let (lvs, lvs_counters) = apart(lvs);
    Scene::new(Status::new(name, super::now(), pulse, lvs), pulse_counters, lvs_counters)
}

/// The node as its daemons call it, or as it calls itself.
fn name(said: [Option<&String>; 2]) -> String {
    said.into_iter().flatten().next().cloned().unwrap_or_else(super::node_name)
}

/// The first [`PIECE`] bytes, whole letters only.
fn piece(text: &str) -> &str {
    let ends = text.char_indices().map(|(start, letter)| start + letter.len_utf8());
    &text[..ends.take_while(|&end| end <= PIECE).last().unwrap_or_default()]
}

fn apart<T>(
    result: Result<(String, (T, Counters)), ClientError>,
) -> (Reading<T>, Option<Counters>) {
    match result {
        Ok((_node, (value, counters))) => (Reading::Known(value), Some(counters)),
        Err(error) => (Reading::Unknown { reason: error.to_string() }, None),
    }
}

fn reading<T>(result: Result<(String, T), ClientError>) -> Reading<T> {
    match result {
        Ok((_node, value)) => Reading::Known(value),
        Err(error) => Reading::Unknown { reason: error.to_string() },
    }
}

fn heard<T>(message: Message<T>) -> Option<Heard> {
    match message {
        Message::Event { event } => Some(Heard::Event(event)),
        Message::Lost { lost } => Some(Heard::Lost(lost)),
        _ => None,
    }
}

async fn within<T>(
    limit: Duration,
    daemon: Daemon,
    asked: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let late = ClientError::TimedOut { daemon, limit };
    tokio::time::timeout(limit, asked).await.unwrap_or(Err(late))
}

fn unreachable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket: the daemon does not run, or with \
                                    another file or --control"
            .to_owned(),
        io::ErrorKind::ConnectionRefused => "the daemon has died".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "permission denied: be root or a member of its group".to_owned()
        }
        _ => error.to_string(),
    }
}
