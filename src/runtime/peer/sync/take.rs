//! Fetching files from the partner and putting them in place: all of them, or none.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::local::{self, Local, Texts};
use super::tree::{Contents, MAX_BYTES};
use super::{Bases, ask, excluded, on_disk};
use crate::control::peer::{FileText, PeerCall, Wanted};
use crate::control::protocol::{Daemon, Done, Problem, ProblemCode};
use crate::control::sync::{CONFIG, with_role_of};
use crate::runtime::checks::base64;
use crate::runtime::control::{Client, ClientError};
use crate::runtime::peer::state::Peer;

/// The most files one request names, and their bytes together.
const MAX_FILES: usize = 200;
const MAX_TOTAL: u64 = 64 << 20;

/// A file to be put in place; without contents it is removed.
struct Change {
    wanted: Wanted,
    path: PathBuf,
    before: Option<Contents>,
    after: Option<Contents>,
}

/// Fetches the files and puts them in place, if they are still what `wanted` says on both sides
/// and lvs.cf with them has no error; has `lvs` read it again.
pub(in crate::runtime::peer) async fn take(
    peer: &Arc<Peer>,
    wanted: Vec<Wanted>,
) -> Result<Done, Problem> {
    if wanted.len() > MAX_FILES {
        let message = format!("more than {MAX_FILES} files at once");
        return Err(Problem::new(ProblemCode::BadRequest, message, "take fewer"));
    }
    // Of two that write at the same time neither would know what the other did.
    let _alone = peer.taking.lock().await;
    let mut fetched = BTreeMap::new();
    let mut total = 0;
    for file in &wanted {
        if let Some(contents) = fetch(peer, file).await? {
            total += contents.bytes.len() as u64;
            fetched.insert(file.name.clone(), contents);
        }
        if total > MAX_TOTAL {
            return Err(Problem::new(ProblemCode::BadRequest, "more than 64 MiB", "take fewer"));
        }
    }
    let count = wanted.len();
    let placed = on_disk(peer, move |local| place(&local, wanted, fetched)).await?;
    if let Err(refused) = reload(peer).await {
        on_disk(peer, move |local| put_back(&local, &placed)).await?;
        // What is in the file is in force again, and `lvs` shall know.
        let _as_before = reload(peer).await;
        return Err(refused);
    }
    let versions =
        placed.iter().map(|change| (change.wanted.name.clone(), change.wanted.there.clone()));
    {
        let _alone = peer.remembering();
        Bases::load(peer)?.note(peer, versions)?;
    }
    tracing::info!("peer: took {count} files from the partner");
    Ok(Done::new(format!("{count} files")))
}

/// What the partner has; `None` where that is nothing.
async fn fetch(peer: &Peer, wanted: &Wanted) -> Result<Option<Contents>, Problem> {
    let Some(there) = &wanted.there else { return Ok(None) };
    let name = wanted.name.clone();
    let text: FileText = ask(peer, PeerCall::File { name }).await?;
    let bytes = base64::decode(&text.base64).filter(|bytes| bytes.len() as u64 <= MAX_BYTES);
    let bytes = bytes.ok_or_else(|| excluded(&wanted.name, "what came is no file"))?;
    let contents = Contents { bytes, mode: text.mode };
    // What came is looked at, not what was said of it.
    if local::version(&wanted.name, &contents) != *there {
        return Err(moved(&wanted.name));
    }
    Ok(Some(contents))
}

/// Checks everything, and then puts it in place, lvs.cf last.
fn place(
    local: &Local,
    wanted: Vec<Wanted>,
    mut fetched: BTreeMap<String, Contents>,
) -> Result<Vec<Change>, Problem> {
    let mut texts = Texts::new();
    for file in &wanted {
        let mut after = fetched.remove(&file.name);
        let at = if file.name == CONFIG {
            let theirs = after.as_mut().ok_or_else(|| excluded(CONFIG, "it is never removed"))?;
            let ours = local.read(CONFIG).map_err(|why| excluded(CONFIG, &why))?;
            let ours = ours.ok_or_else(|| excluded(CONFIG, "it is not there"))?;
            theirs.mode = ours.mode;
            let kept = with_role_of(&ours.bytes, &theirs.bytes);
            theirs.bytes = kept.map_err(|why| excluded(CONFIG, &why.to_string()))?;
            local.config.clone()
        } else {
            local.tree.root().join(&file.name)
        };
        texts.insert(at, after.as_ref().map(|contents| contents.bytes.clone()));
        fetched.extend(after.map(|contents| (file.name.clone(), contents)));
    }
    let then = local.with(&texts).map_err(|reason| {
        let message = format!("the configuration would have errors: {reason}");
        Problem::new(ProblemCode::Configuration, message, "mend it where it comes from")
    })?;
    let mut changes = Vec::new();
    for file in wanted {
        changes.push(change(local, &then, file, &mut fetched)?);
    }
    changes.sort_by_key(|change| change.wanted.name == CONFIG);
    for done in 0..changes.len() {
        if let Err(error) = put(local, &changes[done], &changes[done].after) {
            put_back(local, &changes[..done])?;
            return Err(not_written(&changes[done].wanted.name, &error));
        }
    }
    Ok(changes)
}

/// A file that either configuration names, and that is what it was said to be.
fn change(
    local: &Local,
    then: &Local,
    wanted: Wanted,
    fetched: &mut BTreeMap<String, Contents>,
) -> Result<Change, Problem> {
    let path = then.path(&wanted.name).or_else(|_| local.path(&wanted.name));
    let path = path.map_err(|why| excluded(&wanted.name, &why))?;
    let before =
        local.tree.read(&path).map_err(|error| excluded(&wanted.name, &error.to_string()))?;
    let is = before.as_ref().map(|contents| local::version(&wanted.name, contents));
    if is != wanted.here {
        return Err(moved(&wanted.name));
    }
    let after = fetched.remove(&wanted.name);
    Ok(Change { wanted, path, before, after })
}

fn put(local: &Local, change: &Change, contents: &Option<Contents>) -> io::Result<()> {
    local.tree.write(&change.path, contents.as_ref())
}

/// Puts what was there back in place.
fn put_back(local: &Local, changes: &[Change]) -> Result<(), Problem> {
    for change in changes.iter().rev() {
        put(local, change, &change.before)
            .map_err(|error| not_written(&change.wanted.name, &error))?;
    }
    Ok(())
}

/// Has `lvs` read the configuration. One that does not run reads it when it starts.
async fn reload(peer: &Peer) -> Result<(), Problem> {
    let control = &peer.settings.control.directory;
    let Ok(mut lvs) = Client::connect(control, Daemon::Lvs).await else { return Ok(()) };
    match lvs.reload().await {
        Err(ClientError::Refused(problem)) => Err(problem),
        _ => Ok(()),
    }
}

fn moved(name: &str) -> Problem {
    let message = format!("{name} was changed meanwhile");
    Problem::new(ProblemCode::State, message, "look at `piranha sync status` and try again")
}

fn not_written(name: &str, error: &io::Error) -> Problem {
    let message = format!("cannot write {name}: {error}");
    let mend = "see that `piranha sync serve` may write in the directory of lvs.cf";
    Problem::new(ProblemCode::System, message, mend)
}
