//! What operators do: to servers, to the pair, to the running configuration.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Action, Answer, Context, told};
use crate::control::Word;
use crate::control::protocol::{Daemon, Operation, Servers};
use crate::control::status::Failover;
use crate::net::Weight;
use crate::runtime::control::now;
use crate::runtime::web::app::refused;
use crate::web::audit::cut;
use crate::web::problem::Problem;

/// The most servers that are operated at once.
const MANY: usize = 500;

#[derive(Deserialize)]
struct Said {
    state: String,
    weight: Option<Weight>,
    deadline: Option<u64>,
    expires: Option<u64>,
    reason: Option<String>,
    #[serde(default)]
    save: bool,
    #[serde(default)]
    force: bool,
}

impl Said {
    fn word(&self) -> Result<Word, Problem> {
        match (self.state.as_str(), self.weight) {
            ("drain", _) => {
                let deadline = self.deadline.map(|after| now().after(Duration::from_secs(after)));
                Ok(Word::Drain { deadline })
            }
            ("disable", _) => Ok(Word::Disable),
            ("weight", Some(weight)) => Ok(Word::Weight(weight)),
            ("weight", None) => Err(Problem::bad_request("`weight` is missing")),
            _ => Err(Problem::bad_request("`state` is drain, disable or weight")),
        }
    }
}

pub(super) async fn put(context: &Context) -> Answer {
    let said: Said = context.json()?;
    say(context, &said, said.word()?, vec![target(context)]).await
}

#[derive(Deserialize)]
struct Many {
    servers: Vec<String>,
    #[serde(flatten)]
    said: Said,
}

/// The same of several servers, or of all servers of a service. Whether that leaves a service
/// without one is judged by `lvs`, for all of them together.
pub(super) async fn put_many(context: &Context) -> Answer {
    let Many { servers, said } = context.json()?;
    if servers.is_empty() || servers.len() > MANY {
        return Err(Problem::bad_request(format!("`servers` are 1 to {MANY}")));
    }
    // A bare name may mean a server in several services.
    if servers.iter().any(|server| !server.contains('/')) {
        return Err(Problem::bad_request("each of `servers` is SERVICE/SERVER or SERVICE/*"));
    }
    let word = if said.state == "ready" { Word::Ready } else { said.word()? };
    say(context, &said, word, servers).await
}

/// Says `word` of `targets`, of which there is one at least.
async fn say(context: &Context, said: &Said, word: Word, mut targets: Vec<String>) -> Answer {
    let all = targets.join(", ");
    // Alone, it would mean the service as one, of which less can be said than of its servers.
    if targets.len() == 1 && targets[0].ends_with("/*") {
        targets.push(targets[0].clone());
    }
    let mut operation = Operation::new(targets.remove(0), word);
    operation.further = targets;
    operation.reason = Some(by(context, said.reason.as_deref()));
    operation.until = said.expires.map(|after| now().after(Duration::from_secs(after)));
    operation.save = said.save;
    operation.force = said.force;
    let name = format!("server.{}", said.state);
    let action = Action {
        name: &name,
        target: Some(&all),
        reason: said.reason.as_deref(),
        change: json!({ "word": word, "until": operation.until, "save": said.save }),
        ..Action::default()
    };
    let done = async {
        let mut lvs = context.app.client(Daemon::Lvs).await?;
        lvs.operate(operation).await.map_err(refused)
    };
    told(context, &context.noted(&action, done.await)?)
}

pub(super) async fn clear(context: &Context) -> Answer {
    let target = target(context);
    let action = Action { name: "server.ready", target: Some(&target), ..Action::default() };
    let done = async {
        let mut lvs = context.app.client(Daemon::Lvs).await?;
        lvs.clear_overrides(Some(&target)).await.map_err(refused)
    };
    told(context, &context.noted(&action, done.await)?)
}

/// What came of a check that was asked for; it changes nothing, so only the log has it.
pub(super) async fn check(context: &Context) -> Answer {
    let mut lvs = context.app.client(Daemon::Lvs).await?;
    let checked = lvs.check(&target(context)).await.map_err(refused)?;
    told(context, &checked)
}

#[derive(Deserialize)]
struct HandOver {
    #[serde(default)]
    dry_run: bool,
    reason: Option<String>,
}

pub(super) async fn failover(context: &Context) -> Answer {
    let HandOver { dry_run, reason } = context.json()?;
    if dry_run {
        let verdict = context.app.status(Servers::None).await.verdict;
        let would = verdict.failover == Failover::WouldSucceed;
        return told(context, &json!({ "would_succeed": would, "verdict": verdict }));
    }
    let reason = reason.as_deref();
    let action = Action { name: "cluster.failover", reason, ..Action::default() };
    let done = async {
        let mut pulse = context.app.client(Daemon::Pulse).await?;
        pulse.hand_over(Some(&by(context, reason))).await.map_err(refused)
    };
    told(context, &context.noted(&action, done.await)?)
}

#[derive(Deserialize)]
struct Maintenance {
    on: bool,
    reason: Option<String>,
}

pub(super) async fn maintenance(context: &Context) -> Answer {
    let Maintenance { on, reason } = context.json()?;
    let reason = reason.as_deref();
    let name = if on { "node.maintenance" } else { "node.ready" };
    let target = Some(context.app.node.as_str());
    let action = Action { name, target, reason, ..Action::default() };
    let done = async {
        let mut pulse = context.app.client(Daemon::Pulse).await?;
        pulse.maintenance(on, Some(&by(context, reason))).await.map_err(refused)
    };
    told(context, &context.noted(&action, done.await)?)
}

pub(super) async fn reload(context: &Context) -> Answer {
    let action = Action { name: "config.reload", ..Action::default() };
    let done = async {
        let mut lvs = context.app.client(Daemon::Lvs).await?;
        lvs.reload().await.map_err(refused)
    };
    told(context, &context.noted(&action, done.await)?)
}

fn target(context: &Context) -> String {
    let parameter = |name| context.parameters.get(name);
    format!("{}/{}", parameter("service"), parameter("server"))
}

/// The reason with its author: the daemons know only the user of this server.
fn by(context: &Context, reason: Option<&str>) -> String {
    let name = context.caller.as_ref().map_or("", |caller| &caller.name);
    match reason.map(str::trim).filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("{} ({name})", cut(reason)),
        None => format!("({name})"),
    }
}
