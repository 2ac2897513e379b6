//! Pairing, as the handshake of [`control::peer::pairing`](crate::control::peer::pairing) has it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::dial::{self, Unreached};
use super::state::Peer;
use super::store;
use super::tls::Connection;
use super::trust::Partner;
use crate::control::peer::pairing::{Issuer, Joiner, Message, Paired, PairingError};
use crate::control::peer::{Code, MAX_OPENING, Opening, Refused, Target};
use crate::control::protocol::{Problem, ProblemCode};
use crate::health::Pin;
use crate::runtime::clock;
use crate::runtime::control::now;

/// Why two nodes are not paired.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Pairing(#[from] PairingError),
    #[error("{}", .0.message)]
    Refused(Problem),
    #[error("it shows the key {0}, not the one that was given")]
    OtherKey(Pin),
}

/// Serves a node that wants to be paired, if a code is offered.
pub(super) async fn issue(
    peer: &Arc<Peer>,
    mut connection: Connection,
    from: SocketAddr,
    limit: Duration,
) {
    let issued = tokio::time::timeout(limit, answer(peer, &mut connection, from)).await;
    let problem = match issued {
        Ok(Ok(partner)) => {
            peer.heard();
            return tracing::info!("peer: paired with {} ({})", partner.node, partner.address);
        }
        Ok(Err(Failure::Refused(problem))) => problem,
        Ok(Err(failure)) => {
            peer.warn(format!("{} failed to pair with this node: {failure}", from.ip()));
            let mend = "see that the code is typed as it was printed; after five attempts, or ten \
                        minutes, `piranha pair new` makes another one";
            Problem::new(ProblemCode::NotAllowed, failure.to_string(), mend)
        }
        Err(_late) => return peer.refuse("too_slow"),
    };
    peer.refuse("pairing");
    let refused = Refused::new(problem);
    let _gone = tokio::time::timeout(limit, connection.write_line(&refused)).await;
}

async fn answer(
    peer: &Arc<Peer>,
    connection: &mut Connection,
    from: SocketAddr,
) -> Result<Partner, Failure> {
    let session = connection.session(peer.identity().pin)?;
    let mut issuer = Issuer::new(session, peer.node.clone(), store::random()?);
    let challenge = issuer.handle_hello(&receive(connection).await?)?;
    connection.write_line(&challenge).await?;
    let proof = receive(connection).await?;
    let code = peer.trust.take_attempt(clock::now()).ok_or_else(no_offer)?;
    let judged = off_thread(move || issuer.handle_proof(&code, &proof)).await?;
    let (answer, paired) = judged?;
    let port = paired.port.unwrap_or(crate::control::peer::PORT);
    let partner = partner(paired, SocketAddr::new(from.ip(), port));
    peer.trust.set_partner(partner.clone())?;
    connection.write_line(&answer).await?;
    Ok(partner)
}

/// Pairs this node with the one at `address` that offers `code`.
pub(super) async fn join(
    peer: &Arc<Peer>,
    address: SocketAddr,
    code: Code,
    fingerprint: Option<Pin>,
) -> Result<(), Problem> {
    let joined = dial::within(async { Ok(ask(peer, address, code, fingerprint).await) });
    let partner = match joined.await {
        Ok(Ok(partner)) => partner,
        Ok(Err(Failure::Refused(problem))) => return Err(problem),
        Ok(Err(failure)) => return Err(not_paired(address, &failure)),
        Err(late @ (Unreached::Late | Unreached::Failed(_))) => {
            return Err(not_paired(address, &late));
        }
    };
    let (node, known) = (partner.node.clone(), peer.trust.set_partner(partner));
    known.map_err(|error| {
        let message =
            format!("{node} takes this node for its partner, which cannot be noted: {error}");
        Problem::new(ProblemCode::System, message, "mend the state directory and pair again")
    })?;
    peer.heard();
    tracing::info!("peer: paired with {node} ({address})");
    Ok(())
}

async fn ask(
    peer: &Arc<Peer>,
    address: SocketAddr,
    code: Code,
    fingerprint: Option<Pin>,
) -> Result<Partner, Failure> {
    // Whoever it is proves that it has the code before it is believed.
    let mut connection = dial::node(peer, address, Arc::new(|_key| true)).await?;
    if let Some(other) =
        fingerprint.map(|_| connection.theirs).filter(|key| Some(*key) != fingerprint)
    {
        return Err(Failure::OtherKey(other));
    }
    connection.write_line(&Opening::new(Target::Pairing, "")).await?;
    let session = connection.session(peer.identity().pin)?;
    let port = peer.addresses.first().map_or(crate::control::peer::PORT, SocketAddr::port);
    let mut joiner = Joiner::new(code, session, peer.node.clone(), port, store::random()?);
    connection.write_line(&joiner.hello()).await?;
    let challenge = receive(&mut connection).await?;
    let proved = off_thread(move || {
        let proof = joiner.handle_challenge(&challenge);
        (joiner, proof)
    });
    let (joiner, proof) = proved.await?;
    connection.write_line(&proof?).await?;
    let paired = joiner.handle_proof(&receive(&mut connection).await?)?;
    Ok(partner(paired, address))
}

/// The next message, or why the other end goes no further.
async fn receive(connection: &mut Connection) -> Result<Message, Failure> {
    let line = connection.read_line(MAX_OPENING).await?;
    if let Ok(Refused { error, .. }) = serde_json::from_slice(&line) {
        return Err(Failure::Refused(error));
    }
    serde_json::from_slice(&line).map_err(|_malformed| PairingError::Unexpected.into())
}

/// Runs what takes long where nobody waits for it.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

fn partner(paired: Paired, address: SocketAddr) -> Partner {
    Partner { node: paired.node, keys: vec![paired.key], address, since: now() }
}

fn no_offer() -> Failure {
    let mend = "`piranha pair new` on that node offers one for ten minutes";
    Failure::Refused(Problem::new(
        ProblemCode::NotAllowed,
        "the other node offers no code, or no longer",
        mend,
    ))
}

fn not_paired(address: SocketAddr, failure: &dyn std::error::Error) -> Problem {
    let message = format!("not paired with {address}: {failure}");
    let mend = "see that `piranha sync serve` runs there, that the code is the one `piranha pair \
                new` printed there within ten minutes, and that nothing filters the port";
    Problem::new(ProblemCode::State, message, mend)
}
