//! The sockets on this node that lead to the daemons of the partner.

use std::io;
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::dial;
use super::state::Peer;
use crate::control::peer::Target;
use crate::control::protocol::Daemon;
use crate::runtime::control::{self, Door, MAX_CLIENTS, Options, Served, busy, turn_away};

/// Opens the socket that leads to `daemon` on the partner; who may use the sockets of this node
/// may use it.
pub(super) fn open(
    peer: &Arc<Peer>,
    control: &Options,
    daemon: Daemon,
) -> io::Result<(AbortHandle, Served)> {
    let options = Options { directory: peer.gates(), group: control.group.clone() };
    let (listener, door, served) = control::open(&options, daemon)?;
    let listener = UnixListener::from_std(listener)?;
    let task = tokio::spawn(accept(Arc::clone(peer), listener, door, daemon.into()));
    Ok((task.abort_handle(), served))
}

async fn accept(peer: Arc<Peer>, listener: UnixListener, door: Door, to: Target) {
    let room = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let (peer, place) = (Arc::clone(&peer), Arc::clone(&room).try_acquire_owned());
        tokio::spawn(async move {
            match (door.let_in(&stream), place) {
                (Ok(caller), Ok(_place)) => through(&peer, stream, to, &caller.user).await,
                (Ok(_), Err(_full)) => turn_away(stream, busy()).await,
                (Err(problem), _) => turn_away(stream, problem).await,
            }
        });
    }
}

/// Connects a client with the partner until either ends.
async fn through(peer: &Arc<Peer>, mut client: UnixStream, to: Target, user: &str) {
    match dial::partner(peer, to, user).await {
        Ok(mut partner) => {
            let _ended = tokio::io::copy_bidirectional(&mut client, &mut partner.stream).await;
        }
        Err(problem) => turn_away(client, problem).await,
    }
}
