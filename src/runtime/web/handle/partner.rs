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
use crate::control::status::Status;
use crate::control::sync::Direction;
use crate::runtime::accord::{Brought, Objection};
use crate::runtime::web::app::refused;
use crate::web::page::{Files, Heard};
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
        // Without a partner in lvs.cf there is nobody who should have it.
        return match snapshot {
            Some(snapshot) if has_partner(&snapshot.status) => json!(Brought::failed(NOT_PAIRED)),
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

/// When the partner was last heard from; `None` where lvs.cf has none.
pub(super) async fn heard(context: &Context, status: &Status) -> Option<Heard> {
    match ask::<PairStatus>(context, PeerCall::PairStatus).await {
        Ok(PairStatus { partner: Some(partner), .. }) => Some(Heard::of(partner)),
        // What it told earlier is still there, and must not pass for all there is.
        Ok(_) | Err(_) if has_partner(status) => Some(Heard::nobody(NOT_PAIRED)),
        Ok(_) | Err(_) => None,
    }
}

/// Why nothing is known of the partner that lvs.cf has.
pub(super) async fn unknown(context: &Context) -> Option<&'static str> {
    let snapshot = context.app.watch.latest().await?;
    has_partner(&snapshot.status).then_some(NOT_PAIRED)
}

/// Whether lvs.cf has a partner, as far as is known.
fn has_partner(status: &Status) -> bool {
    status.pulse.known().is_some_and(|pulse| !pulse.paths.is_empty())
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
