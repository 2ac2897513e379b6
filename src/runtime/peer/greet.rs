//! Nodes that connect: who they are, and where they are led.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::state::Peer;
use super::tls::Connection;
use super::{pairing, passage};
use crate::control::peer::{MAX_OPENING, Opening, Refused, Target, VERSION};
use crate::control::protocol::{Problem, ProblemCode};
use crate::runtime::clock;
use crate::runtime::control::MAX_CLIENTS;

/// Nodes that may be on their way to being known at the same time.
const MAX_STRANGERS: usize = 16;

/// How long a node may take until it is known and has said what it wants.
const LIMIT: Duration = Duration::from_secs(5);

/// The pause after a connection could not be accepted, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts nodes for as long as it is polled.
pub(super) async fn accept(peer: Arc<Peer>, listener: TcpListener) {
    let strangers = Arc::new(Semaphore::new(MAX_STRANGERS));
    let known = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(stranger) = Arc::clone(&strangers).try_acquire_owned() else {
            peer.refuse("too_many");
            continue;
        };
        tokio::spawn(welcome(Arc::clone(&peer), stream, from, stranger, Arc::clone(&known)));
    }
}

async fn welcome(
    peer: Arc<Peer>,
    stream: TcpStream,
    from: SocketAddr,
    stranger: OwnedSemaphorePermit,
    known: Arc<Semaphore>,
) {
    keep_alive(&stream);
    let (mut connection, opening) = match meet(&peer, stream).await {
        Ok(met) => met,
        Err(reason) => return peer.refuse(reason),
    };
    let problem = if opening.peer != VERSION {
        peer.refuse("version");
        version(opening.peer)
    } else if opening.to == Target::Pairing {
        return pairing::issue(&peer, connection, from, LIMIT).await;
    } else if !peer.trust.is_partner(connection.theirs) {
        peer.refuse("stranger");
        not_paired()
    } else if let Ok(_place) = known.try_acquire_owned() {
        drop(stranger);
        if let Err(error) = peer.trust.saw_key(connection.theirs) {
            peer.warn(format!("cannot remember the partner's new key: {error}"));
        }
        peer.heard();
        return passage::lead(&peer, connection, &opening).await;
    } else {
        peer.refuse("too_many");
        crate::runtime::control::busy()
    };
    let _gone = tokio::time::timeout(LIMIT, connection.write_line(&Refused::new(problem))).await;
}

/// Comes to know the other end's key and what it wants, or says why not.
async fn meet(peer: &Arc<Peer>, stream: TcpStream) -> Result<(Connection, Opening), &'static str> {
    let known = Arc::clone(peer);
    let admits = Arc::new(move |key| known.trust.admits(key, clock::now()));
    let identity = peer.identity();
    let met = async {
        let accepted = Connection::accept(stream, &identity, admits).await;
        let mut connection = accepted.map_err(|error| reason(&error))?;
        let line = connection.read_line(MAX_OPENING).await.map_err(|_ended| "opening")?;
        let opening = serde_json::from_slice(&line).map_err(|_malformed| "opening")?;
        Ok((connection, opening))
    };
    tokio::time::timeout(LIMIT, met).await.unwrap_or(Err("too_slow"))
}

/// Why a handshake failed, in a word to count by.
fn reason(error: &io::Error) -> &'static str {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_)) => "stranger",
        _ => "handshake",
    }
}

/// Has the kernel find out that the other end is gone without a word.
pub(super) fn keep_alive(stream: &TcpStream) {
    let probes = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    let socket = socket2::SockRef::from(stream);
    // Without, it is found out later.
    let _as_it_is = socket.set_tcp_keepalive(&probes);
    let _as_it_is = socket.set_tcp_user_timeout(Some(Duration::from_secs(20)));
    let _as_it_is = stream.set_nodelay(true);
}

fn version(theirs: u32) -> Problem {
    let message = format!("the nodes speak versions {theirs} and {VERSION} of the connection");
    Problem::new(ProblemCode::State, message, "bring both nodes to one version of piranha")
}

fn not_paired() -> Problem {
    let mend = "pair them: `piranha pair new` on one node, `piranha pair join` on the other";
    Problem::new(ProblemCode::NotAllowed, "the other node does not know this one", mend)
}
