//! Files both nodes have in common: how they stand, and bringing them to where they are older.
//!
//! Files are only ever fetched: who is to get some is asked to [`take`](take()) them, checks what comes as
//! it would its own, and puts it in place. What is decided is [`control::sync`](crate::control::sync)'s.

mod local;
mod owed;
mod take;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use self::local::Local;
pub(super) use self::owed::{load as load_owed, note as owe, remember as remember_owed};
pub(super) use self::take::take;
use super::state::Peer;
use super::store;
use crate::control::peer::{FileState, FileText, PeerCall, SyncFile, SyncStep, Wanted};
use crate::control::protocol::{Call, Daemon, Done, Problem, ProblemCode};
use crate::control::revisions::Revisions;
use crate::control::sync::{Action, CONFIG, Direction, Standing, Version, decide, judge};
use crate::runtime::checks::base64;
use crate::runtime::control::{Client, ClientError};

/// How long the partner may take for a file, or for taking some and reading them.
const LIMIT: Duration = Duration::from_secs(60);

/// How often both nodes are compared, so that each remembers what they have in common.
const INTERVAL: Duration = Duration::from_secs(15);

/// The pause before a partner that could not be reached, or is not there yet, is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Compares both nodes from time to time for as long as it is polled.
pub(super) async fn remember(peer: Arc<Peer>) {
    loop {
        // A partner that cannot be reached is told of by who asks it something.
        let compared = peer.trust.partner().is_some() && status(&peer).await.is_ok();
        if compared {
            owed::pay(&peer).await;
        }
        let in_step = compared && peer.owed().is_none();
        tokio::time::sleep(if in_step { INTERVAL } else { PAUSE }).await;
    }
}

/// The files of this node, and these others.
pub(super) async fn files(peer: &Arc<Peer>, also: Vec<String>) -> Result<Vec<FileState>, Problem> {
    let mut files = on_disk(peer, move |local| Ok(local.states(&also))).await?;
    if let Some(config) = files.iter_mut().find(|file| file.name == CONFIG) {
        config.on_trial = is_on_trial(peer).await;
    }
    Ok(files)
}

/// Whether lvs.cf here waits to be confirmed. Where no `lvs` says so, it does not.
async fn is_on_trial(peer: &Peer) -> bool {
    let asked = async {
        let mut lvs = Client::connect(&peer.settings.control.directory, Daemon::Lvs).await?;
        lvs.config_history().await
    };
    asked.await.is_ok_and(|known: Revisions| known.standing.pending.is_some())
}

/// One of them.
pub(super) async fn file(peer: &Arc<Peer>, name: String) -> Result<FileText, Problem> {
    on_disk(peer, move |local| {
        let contents = local.read(&name).map_err(|why| excluded(&name, &why))?;
        let contents = contents.ok_or_else(|| excluded(&name, "it is not there"))?;
        let version = local::version(&name, &contents);
        Ok(FileText::new(version, contents.mode, base64::encode(&contents.bytes)))
    })
    .await
}

/// How the files stand, and whether lvs.cf waits to be confirmed on either node. What is the same is
/// remembered, unless it may go back by itself.
pub(super) async fn status(peer: &Arc<Peer>) -> Result<(Vec<SyncFile>, bool), Problem> {
    let names = |files: Vec<FileState>| files.into_iter().map(|file| file.name).collect();
    let also = names(files(peer, Vec::new()).await?);
    let there: Vec<FileState> = ask(peer, PeerCall::Files { also }).await?;
    let here = files(peer, names(there.clone())).await?;
    let on_trial = here.iter().chain(&there).any(|file| file.on_trial);
    let _alone = peer.remembering();
    let mut bases = Bases::load(peer)?;
    let stand = compare(here, there, &bases.0);
    let stays =
        |file: &&SyncFile| file.standing == Standing::Same && !(on_trial && file.name == CONFIG);
    let same = stand.iter().filter(stays);
    bases.note(peer, same.map(|file| (file.name.clone(), file.here.clone())))?;
    Ok((stand, on_trial))
}

/// Brings what is newer to the other node, or says what would be.
pub(super) async fn run(
    peer: &Arc<Peer>,
    direction: Direction,
    dry_run: bool,
) -> Result<Vec<SyncStep>, Problem> {
    let (stand, _) = status(peer).await?;
    let with_action = stand.into_iter().map(|file| {
        let action = decide(file.standing, direction);
        (file, action)
    });
    carry_out(peer, with_action.collect(), dry_run).await
}

/// Makes one file the same on both nodes.
pub(super) async fn resolve(
    peer: &Arc<Peer>,
    name: &str,
    mine: bool,
) -> Result<Vec<SyncStep>, Problem> {
    let (mut stand, _) = status(peer).await?;
    stand.retain(|file| file.name == name);
    let Some(file) = stand.pop() else {
        return Err(excluded(name, "no lvs.cf of the pair names it"));
    };
    if let Some(why) = &file.excluded {
        return Err(excluded(name, why));
    }
    let action = match (file.standing, mine) {
        (Standing::Same, _) => Action::Nothing,
        (_, true) => Action::Push,
        (_, false) => Action::Pull,
    };
    carry_out(peer, vec![(file, action)], false).await
}

/// Pulls and pushes, each all at once, and remembers what is the same then.
async fn carry_out(
    peer: &Arc<Peer>,
    files: Vec<(SyncFile, Action)>,
    dry_run: bool,
) -> Result<Vec<SyncStep>, Problem> {
    let wanted = |action: Action| -> Vec<Wanted> {
        let those = files.iter().filter(|(_, wanted)| *wanted == action);
        those.map(|(file, _)| wanted_for(file, action)).collect()
    };
    let (pull, push) = (wanted(Action::Pull), wanted(Action::Push));
    let mut problems = BTreeMap::new();
    if !dry_run && !pull.is_empty() {
        problems.extend(take(peer, pull).await.err().map(|why| (Action::Pull as u8, why)));
    }
    if !dry_run && !push.is_empty() {
        let told = ask::<Done>(peer, PeerCall::Take { files: push }).await;
        problems.extend(told.err().map(|why| (Action::Push as u8, why)));
    }
    if !dry_run {
        let _remembered = status(peer).await?;
    }
    let steps = files.into_iter().filter(|(_, action)| *action != Action::Nothing);
    let steps = steps.map(|(file, action)| {
        let mut step = SyncStep::new(file.name, file.standing, action);
        step.problem = problems.get(&(action as u8)).map(|why| why.message.clone());
        step
    });
    Ok(steps.collect())
}

/// What the one that gets the file is asked to take.
fn wanted_for(file: &SyncFile, action: Action) -> Wanted {
    let (name, here, there) = (file.name.clone(), file.here.clone(), file.there.clone());
    match action {
        Action::Push => Wanted::new(name, there, here),
        _ => Wanted::new(name, here, there),
    }
}

/// The files of both nodes side by side.
fn compare(
    here: Vec<FileState>,
    there: Vec<FileState>,
    bases: &BTreeMap<String, Version>,
) -> Vec<SyncFile> {
    let by_name = |files: Vec<FileState>| -> BTreeMap<String, FileState> {
        files.into_iter().map(|file| (file.name.clone(), file)).collect()
    };
    let (here, there) = (by_name(here), by_name(there));
    let names: BTreeSet<_> = here.keys().chain(there.keys()).cloned().collect();
    let stand = |name: String| {
        let (own, theirs) = (here.get(&name), there.get(&name));
        let version = |file: Option<&FileState>| file.and_then(|file| file.version.clone());
        let why = |file: Option<&FileState>, node: &str| {
            Some(format!("{node}: {}", file?.excluded.as_ref()?))
        };
        let excluded = why(own, "here").or_else(|| why(theirs, "there"));
        let (own, theirs) = (version(own), version(theirs));
        let standing = match excluded {
            Some(_) => Standing::Excluded,
            None => judge(bases.get(&name), own.as_ref(), theirs.as_ref()),
        };
        let mut file = SyncFile::new(name, standing, own, theirs);
        file.excluded = excluded;
        file
    };
    names.into_iter().map(stand).collect()
}

/// What both nodes last had in common.
struct Bases(BTreeMap<String, Version>);

impl Bases {
    fn load(peer: &Peer) -> Result<Self, Problem> {
        let known = store::read_json(&peer.settings.state.join("synced.json"));
        Ok(Self(known.map_err(|error| state(&error))?.unwrap_or_default()))
    }

    /// Remembers what both have in common now; `None` is a file that neither has.
    fn note(
        &mut self,
        peer: &Peer,
        files: impl Iterator<Item = (String, Option<Version>)>,
    ) -> Result<(), Problem> {
        let before = self.0.clone();
        for (name, version) in files {
            match version {
                Some(version) => drop(self.0.insert(name, version)),
                None => drop(self.0.remove(&name)),
            }
        }
        if self.0 == before {
            return Ok(());
        }
        let path = peer.settings.state.join("synced.json");
        store::write_json(&path, &self.0).map_err(|error| state(&error))
    }
}

/// Asks the program on the partner.
async fn ask<T: DeserializeOwned>(peer: &Peer, call: PeerCall) -> Result<T, Problem> {
    let asked = async {
        let mut client = Client::connect(&peer.gates(), Daemon::Peer).await?;
        client.call(Call::Peer(call), LIMIT).await
    };
    asked.await.map_err(|error| match error {
        ClientError::Refused(problem) => problem,
        error => Problem::new(ProblemCode::State, error.to_string(), "see `piranha pair status`"),
    })
}

/// Does what waits for a disk where nobody waits for it.
async fn on_disk<T: Send + 'static>(
    peer: &Arc<Peer>,
    work: impl FnOnce(Local) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let config = peer.settings.config.clone();
    let read = move || {
        let local = Local::load(&config).map_err(|error| {
            let message = format!("cannot read {}: {error}", config.display());
            Problem::new(ProblemCode::System, message, "see that `piranha sync serve` may read it")
        })?;
        work(local)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result,
        Err(error) => Err(state(&error)),
    }
}

fn excluded(name: &str, why: &str) -> Problem {
    let mend = "see `piranha sync status` for what is synchronised";
    Problem::new(ProblemCode::NoSuchObject, format!("{name}: {why}"), mend)
}

fn state(error: &dyn std::error::Error) -> Problem {
    let mend = "mend the state directory of `piranha sync serve`";
    Problem::new(ProblemCode::System, error.to_string(), mend)
}
