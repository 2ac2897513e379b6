//! Files of both nodes, through `piranha sync serve`.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::page::{framed, render};
use super::{Action, Answer, Context, told};
use crate::control::peer::{PairStatus, PeerCall, SyncFile, SyncStep};
use crate::control::protocol::{Call, Daemon};
use crate::control::sync::{Action as Way, Direction};
use crate::runtime::web::app::refused;
use crate::web::page::Files;
use crate::web::problem::Problem;

/// Files go over the network and are checked on the other side.
const LIMIT: Duration = Duration::from_secs(60);

async fn ask<T: DeserializeOwned>(context: &Context, call: PeerCall) -> Result<T, Problem> {
    let mut peer = context.app.client(Daemon::Peer).await?;
    peer.call(Call::Peer(call), LIMIT).await.map_err(refused)
}

/// Brings what is newer here to the partner, and says what came of it: `null` where there is no
/// partner to bring it to.
pub(super) async fn bring(context: &Context) -> Value {
    let snapshot = context.app.watch.latest().await;
    let pulse = snapshot.as_ref().and_then(|snapshot| snapshot.status.pulse.known());
    if pulse.is_some_and(|pulse| pulse.paths.is_empty()) {
        return Value::Null;
    }
    let call = PeerCall::SyncRun { direction: Direction::Push, dry_run: false };
    let steps = match ask::<PairStatus>(context, PeerCall::PairStatus).await {
        Ok(pair) if pair.partner.is_none() => return Value::Null,
        Ok(_) => ask::<Vec<SyncStep>>(context, call).await,
        Err(problem) => Err(problem),
    };
    match steps {
        Ok(steps) => {
            let left =
                steps.iter().find(|step| step.problem.is_some() || step.action == Way::Leave);
            let why = left.map(|step| match &step.problem {
                Some(why) => format!("{}: {why}", step.name),
                None => format!("{}: {}", step.name, step.standing),
            });
            json!({ "done": why.is_none(), "why": why, "steps": steps })
        }
        Err(problem) => json!({ "done": false, "why": problem.title, "steps": [] }),
    }
}

pub(super) async fn files(context: &Context) -> Answer {
    let pair: PairStatus = ask(context, PeerCall::PairStatus).await?;
    let files: Vec<SyncFile> = ask(context, PeerCall::SyncStatus).await?;
    told(context, &json!({ "partner": pair.partner, "files": files }))
}

#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    direction: Direction,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn synchronise(context: &Context) -> Answer {
    let Run { direction, dry_run } = context.json()?;
    let call = PeerCall::SyncRun { direction, dry_run };
    if dry_run {
        let steps: Vec<SyncStep> = ask(context, call).await?;
        return told(context, &json!({ "steps": steps }));
    }
    let change = json!({ "direction": direction });
    let action = Action { name: "sync.run", change, ..Action::default() };
    let steps: Vec<SyncStep> = context.noted(&action, ask(context, call).await)?;
    told(context, &json!({ "steps": steps }))
}

#[derive(Deserialize)]
struct Resolved {
    name: String,
    mine: bool,
}

pub(super) async fn resolve(context: &Context) -> Answer {
    let Resolved { name, mine } = context.json()?;
    let (target, change) = (Some(name.as_str()), json!({ "mine": mine }));
    let action = Action { name: "sync.resolve", target, change, ..Action::default() };
    let call = PeerCall::SyncResolve { name: name.clone(), mine };
    let steps: Vec<SyncStep> = context.noted(&action, ask(context, call).await)?;
    told(context, &json!({ "steps": steps }))
}

/// How files stand on both nodes; or why that is not known.
pub(super) async fn page(context: &Context) -> Answer {
    let (_, frame) = framed(context, "Files", "files").await?;
    let pair = ask::<PairStatus>(context, PeerCall::PairStatus).await;
    let files = match &pair {
        Ok(pair) if pair.partner.is_some() => ask(context, PeerCall::SyncStatus).await,
        _ => Ok(Vec::new()),
    };
    render(&Files::new(frame, pair, files), None)
}
