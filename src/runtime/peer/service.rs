//! What is asked of the program itself, over `peer.sock`.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;

use super::identity::Identity;
use super::state::Peer;
use super::{audit, dial, pairing, store, sync};
use crate::control::peer::{Code, Offer, PeerCall};
use crate::control::protocol::{Call, Daemon, Done, Problem, ProblemCode};
use crate::health::Pin;
use crate::runtime::clock;
use crate::runtime::control::{
    Caller, Chronicle, Client, ClientError, Serve, now, text, wrong_daemon,
};

/// What serves `peer.sock`.
pub(super) fn of(peer: &Arc<Peer>) -> Arc<dyn Serve> {
    Arc::new(Service(Arc::clone(peer)))
}

struct Service(Arc<Peer>);

#[async_trait]
impl Serve for Service {
    fn daemon(&self) -> Daemon {
        Daemon::Peer
    }

    async fn serve(&self, caller: &Caller, call: Call, _: &Chronicle) -> Result<String, Problem> {
        let Call::Peer(call) = call else { return Err(wrong_daemon(Daemon::Peer, Daemon::Pulse)) };
        may_ask(caller, &call)?;
        let peer = &self.0;
        match call {
            PeerCall::PairStatus => text(&peer.status()),
            PeerCall::PairNew => text(&offer(peer)?),
            PeerCall::PairJoin { address, code, fingerprint } => {
                let code = code.parse::<Code>().map_err(|error| bad_code(&error))?;
                pairing::join(peer, address, code, fingerprint).await?;
                text(&peer.status())
            }
            PeerCall::PairRemove => text(&remove(peer).await?),
            PeerCall::PairRotate => text(&rotate(peer).await?),
            PeerCall::NextKey { key } => text(&expect(peer, key)?),
            PeerCall::KeepAudit { entries } => text(&audit::keep(peer, &entries)?),
            PeerCall::PartnerAudit { most } => text(&audit::last(peer, most)?),
            PeerCall::Files { also } => text(&sync::files(peer, also).await?),
            PeerCall::File { name } => text(&sync::file(peer, name).await?),
            PeerCall::Take { files } => text(&sync::take(peer, files).await?),
            PeerCall::SyncStatus => text(&sync::status(peer).await?.0),
            PeerCall::SyncRun { direction, dry_run } => {
                text(&sync::run(peer, direction, dry_run).await?)
            }
            PeerCall::SyncLater => text(&sync::owe(peer).map_err(|error| failed(&error))?),
            PeerCall::SyncResolve { name, mine } => text(&sync::resolve(peer, &name, mine).await?),
            PeerCall::Farewell => text(&farewell(peer, &caller.user)?),
        }
    }
}

/// Who is paired with whom is the owner's to say; what concerns the partner is the partner's.
fn may_ask(caller: &Caller, call: &PeerCall) -> Result<(), Problem> {
    let changes_pair = matches!(
        call,
        PeerCall::PairNew | PeerCall::PairJoin { .. } | PeerCall::PairRemove | PeerCall::PairRotate
    );
    let wrong =
        |message: &str, mend: &str| Err(Problem::new(ProblemCode::NotAllowed, message, mend));
    if changes_pair && !caller.is_owner {
        return wrong("only root pairs nodes", "be root");
    }
    if call.is_for_partner_only() && !caller.is_partner {
        return wrong("only the partner says that", "ask for `pair rotate` or `pair remove`");
    }
    Ok(())
}

fn offer(peer: &Peer) -> Result<Offer, Problem> {
    let code = Code::new(store::random().map_err(|error| failed(&error))?);
    let until = peer.trust.offer(code.clone(), clock::now(), now());
    tracing::info!("peer: a code for pairing is offered until {until}");
    Ok(Offer::new(&code, until, peer.identity().pin, peer.addresses.clone()))
}

async fn remove(peer: &Arc<Peer>) -> Result<Done, Problem> {
    let told = tell(peer, PeerCall::Farewell).await;
    let Some(partner) = peer.trust.forget().map_err(|error| failed(&error))? else {
        return Err(dial::alone());
    };
    peer.owe(None).map_err(|error| failed(&error))?;
    let there = match told {
        Ok(()) => "which forgot this one too".to_owned(),
        Err(error) => format!("which could not be told ({error}): `piranha pair remove` there too"),
    };
    Ok(Done::new(format!("no longer paired with {}, {there}", partner.node)))
}

/// The partner knows the new key before it is used, and both until it has seen it.
async fn rotate(peer: &Arc<Peer>) -> Result<Done, Problem> {
    let directory = &peer.settings.state;
    let next = Identity::make().and_then(|next| next.prepare(directory).map(|()| next));
    let next = next.map_err(|error| failed(&error))?;
    if peer.trust.partner().is_some() {
        let told = tell(peer, PeerCall::NextKey { key: next.pin }).await;
        told.map_err(|error| {
            let message = format!("the partner cannot be told, so the key stays: {error}");
            Problem::new(ProblemCode::State, message, "rotate when the partner can be reached")
        })?;
    }
    Identity::take_over(directory).map_err(|error| failed(&error))?;
    let done = format!("the key of this node is {}", next.pin);
    peer.set_identity(next);
    // Seen, it is the only one there.
    let _later = tell(peer, PeerCall::PairStatus).await;
    Ok(Done::new(done))
}

fn expect(peer: &Peer, key: Pin) -> Result<Done, Problem> {
    peer.trust.expect_key(key).map_err(|error| failed(&error))?;
    Ok(Done::new("expected"))
}

fn farewell(peer: &Peer, author: &str) -> Result<Done, Problem> {
    peer.trust.forget().map_err(|error| failed(&error))?;
    peer.owe(None).map_err(|error| failed(&error))?;
    peer.warn(format!(
        "{author} has ended the pairing: this node has no partner to synchronise with"
    ));
    Ok(Done::new("forgotten"))
}

/// Asks something of the program on the partner, whatever the answer is.
async fn tell(peer: &Peer, call: PeerCall) -> Result<(), ClientError> {
    let mut client = Client::connect(&peer.gates(), Daemon::Peer).await?;
    let limit = std::time::Duration::from_secs(10);
    client.call::<serde::de::IgnoredAny>(Call::Peer(call), limit).await.map(drop)
}

fn bad_code(error: &dyn std::error::Error) -> Problem {
    Problem::new(ProblemCode::BadRequest, error.to_string(), "type it as it was printed")
}

fn failed(error: &io::Error) -> Problem {
    Problem::new(ProblemCode::System, error.to_string(), "mend the state directory")
}
