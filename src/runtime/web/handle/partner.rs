//! Files of both nodes, through `piranha sync serve`.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::page::{framed, render};
use super::{Action, Answer, Context, told};
use crate::control::peer::{PairStatus, PartnerStatus, PeerCall, SyncFile, SyncStep};
use crate::control::protocol::{Call, Daemon};
use crate::control::revisions::Remark;
use crate::control::sync::Direction;
use crate::runtime::accord::{Brought, Objection};
use crate::runtime::web::app::refused;
use crate::web::page::Files;
use crate::web::problem::Problem;

/// Files go over the network and are checked on the other side.
const LIMIT: Duration = Duration::from_secs(60);

/// Why a partner that is in lvs.cf was not asked.
const NOT_PAIRED: &str = "this node is not paired with it, or runs no `piranha sync serve`";

async fn ask<T: DeserializeOwned>(context: &Context, call: PeerCall) -> Result<T, Problem> {
    let mut peer = context.app.client(Daemon::Peer).await?;
    peer.call(Call::Peer(call), LIMIT).await.map_err(refused)
}

/// What became of a change on the partner: `null` where there is none.
pub(super) async fn told_of(context: &Context, brought: Option<Brought>) -> Value {
    let Some(brought) = brought else {
        let snapshot = context.app.watch.latest().await;
        let pulse = snapshot.as_ref().and_then(|snapshot| snapshot.status.pulse.known());
        // Without a partner in lvs.cf there is nobody who should have it.
        return match pulse {
            Some(pulse) if !pulse.paths.is_empty() => json!(Brought::failed(NOT_PAIRED)),
            _ => Value::Null,
        };
    };
    json!(brought)
}

/// The partner, when it was last spoken with, and why it cannot be reached; `None` where this node is
/// paired with none.
pub(super) async fn known(context: &Context) -> Option<PartnerStatus> {
    ask::<PairStatus>(context, PeerCall::PairStatus).await.ok()?.partner
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

impl From<Objection> for Problem {
    fn from(objection: Objection) -> Self {
        let mend = format!("{}; or change this node alone (`force_local`)", objection.mend());
        let mut problem = Self::new(409, objection.code(), objection.to_string(), mend);
        if let Objection::Refused { remarks, .. } = objection {
            problem.diagnostics = remarks.iter().map(diagnostic).collect();
        }
        problem
    }
}

fn diagnostic(remark: &Remark) -> Value {
    let Remark { file, code, severity, message, help, span, .. } = remark;
    json!({
        "file": file,
        "code": code,
        "severity": severity,
        "message": message,
        "help": help,
        "line": span.start.line,
        "column": span.start.column,
        "end_line": span.end.line,
        "end_column": span.end.column,
    })
}
