//! What the partner is owed: changes that were made here while it could not be reached.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{carry_out, status};
use crate::control::Timestamp;
use crate::control::peer::SyncStep;
use crate::control::protocol::Done;
use crate::control::sync::{Action, CONFIG, Direction, decide};
use crate::runtime::control::now;
use crate::runtime::peer::state::Peer;
use crate::runtime::peer::store;

fn path(state: &Path) -> PathBuf {
    state.join("owed.json")
}

/// Since when the partner is owed something, as the disk has it.
pub(in crate::runtime::peer) fn load(state: &Path) -> io::Result<Option<Timestamp>> {
    store::read_json(&path(state))
}

/// Remembers since when it is, or that it is not.
pub(in crate::runtime::peer) fn remember(state: &Path, since: Option<Timestamp>) -> io::Result<()> {
    match since {
        Some(since) => store::write_json(&path(state), &since),
        None => store::remove(&path(state)),
    }
}

/// Owes the partner what is newer here.
pub(in crate::runtime::peer) fn note(peer: &Peer) -> io::Result<Done> {
    peer.owe(Some(peer.owed().unwrap_or_else(now)))?;
    tracing::info!("peer: the partner gets what was changed here when it can be reached");
    Ok(Done::new("noted"))
}

/// Brings a partner that can be reached what it is owed. What it refuses, or changed itself, is told
/// once and left to an administrator.
pub(super) async fn pay(peer: &Arc<Peer>) {
    if peer.owed().is_none() {
        return;
    }
    let Ok((files, on_trial)) = status(peer).await else { return };
    // What may go back by itself is brought when it is decided.
    if on_trial {
        return;
    }
    let with_action = files.into_iter().map(|file| {
        let action = decide(file.standing, Direction::Push);
        (file, action)
    });
    let Ok(steps) = carry_out(peer, with_action.collect(), false).await else { return };
    if let Err(error) = peer.owe(None) {
        peer.warn(format!("that the partner is owed nothing cannot be remembered: {error}"));
    }
    match steps.iter().find_map(left) {
        Some(why) => peer.warn(format!("the partner did not get what was changed here: {why}")),
        None => tracing::info!("peer: the partner got what was changed here without it"),
    }
}

/// Why a file was not brought there, if it was not.
fn left(step: &SyncStep) -> Option<String> {
    let SyncStep { name, standing, action, problem, .. } = step;
    match problem {
        Some(why) => Some(format!("{name}: {why}")),
        None => (name == CONFIG && *action == Action::Leave).then(|| format!("{name}: {standing}")),
    }
}
