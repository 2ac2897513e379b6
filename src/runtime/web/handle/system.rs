//! The programs of this node, and what helps who has to help: a bundle, and a test of who is told.

use serde::Deserialize;
use serde_json::json;

use super::config::{in_file, path};
use super::page::{framed, render};
use super::{Action, Answer, Context, told};
use crate::control::protocol::{Daemon, Servers};
use crate::control::redact::Redactor;
use crate::runtime::control::now;
use crate::runtime::web::app::refused;
use crate::runtime::web::reply::Reply;
use crate::web::page::{Certificate, Program, System};
use crate::web::problem::Problem;

pub(super) async fn page(context: &Context) -> Answer {
    let (snapshot, frame) = framed(context, "System", "system").await?;
    let status = &snapshot.status;
    let programs = vec![
        Program::new(("pulse", "heartbeats and addresses"), &status.pulse, |said| &said.process),
        Program::new(("lvs", "checks and the data plane"), &status.lvs, |said| &said.process),
    ];
    let plane = status.lvs.known().map(|lvs| lvs.data_plane.clone());
    let identity = &context.app.identity;
    let certificate = Certificate {
        fingerprint: identity.fingerprint(),
        is_given: identity.is_given(),
        ends: identity.ends(),
        now: now(),
    };
    render(&System { frame, programs, plane, certificate }, None)
}

/// What somebody needs who is to help, without secrets and without comments of lvs.cf.
pub(super) async fn bundle(context: &Context) -> Answer {
    let action = Action { name: "support.bundle", ..Action::default() };
    let made = context.noted(&action, collect(context).await)?;
    let mut reply = Reply::new("application/json", made);
    let node = &context.app.node;
    let name = format!("attachment; filename=\"piranha-{node}.json\"");
    reply.set("content-disposition", &name);
    Ok(reply)
}

async fn collect(context: &Context) -> Result<String, Problem> {
    let file = async { in_file(context, path(context).await?).await };
    let (text, unread) = match file.await {
        Ok(bytes) => (String::from_utf8_lossy(&bytes).into_owned(), None),
        Err(problem) => (String::new(), Some(problem.title)),
    };
    let redactor = Redactor::new([text.as_str()], []);
    let events: Vec<_> = context.app.watch.chronicle().after(0).cloned().collect();
    let table = async {
        let mut lvs = context.app.client(Daemon::Lvs).await?;
        lvs.table().await.map_err(refused)
    };
    let table =
        table.await.map_or_else(|problem| json!({ "unknown": problem.title }), |t| json!(t));
    let bundle = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "node": context.app.node,
        "at": now().to_string(),
        "status": context.app.status(Servers::All).await,
        "table": table,
        "events": events,
        "configuration": { "text": redactor.configuration(&text), "unknown": unread },
    });
    let bundle = serde_json::to_string_pretty(&bundle).map_err(Problem::system)?;
    Ok(redactor.text(&bundle))
}

#[derive(Deserialize)]
struct Wanted {
    only: Option<String>,
}

/// Has `lvs` tell everybody whom its configuration names that this is a test.
pub(super) async fn test_alerts(context: &Context) -> Answer {
    let Wanted { only } = context.json()?;
    let action = Action { name: "notify.test", target: only.as_deref(), ..Action::default() };
    let tried = async {
        let mut lvs = context.app.client(Daemon::Lvs).await?;
        lvs.test_notify(only.as_deref()).await.map_err(refused)
    };
    told(context, &context.noted(&action, tried.await)?)
}
