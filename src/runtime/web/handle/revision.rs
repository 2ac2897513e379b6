//! Changing lvs.cf: reviewed, applied, confirmed or taken back, and what it was.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::config::{in_file, off, path, settings};
use super::page::{framed, render};
use super::{Action, Answer, Context, partner, told};
use crate::config::difference;
use crate::control::protocol::Daemon;
use crate::control::revisions::{Application, Applied, Confirmation, Draft, Revisions};
use crate::control::{Age, Client};
use crate::runtime::accord::{self, Brought};
use crate::runtime::configuration::fingerprint;
use crate::runtime::web::app::refused;
use crate::runtime::web::gate::text;
use crate::web::audit::cut;
use crate::web::lines::{compare as by_line, near};
use crate::web::page::{Comparison, Config, Past};
use crate::web::problem::Problem;

/// Lines shown beside one that differs.
const AROUND: usize = 3;

/// What stands for the file itself instead of a revision.
const FILE: &str = "file";

#[derive(Deserialize)]
struct Sent {
    text: String,
}

/// What `lvs` says about a draft.
pub(super) async fn review(context: &Context) -> Answer {
    let Sent { text } = context.json()?;
    let mut lvs = context.app.client(Daemon::Lvs).await?;
    let review = lvs.review_config(Draft::Text(text)).await.map_err(refused)?;
    told(context, &review)
}

#[derive(Deserialize)]
struct Wanted {
    text: Option<String>,
    revision: Option<String>,
    confirm_within: Option<u64>,
    reason: Option<String>,
    #[serde(default = "yes")]
    partner: bool,
    #[serde(default)]
    force_local: bool,
    #[serde(default)]
    force: bool,
}

const fn yes() -> bool {
    true
}

impl Wanted {
    fn application(&self, context: &Context) -> Result<Application, Problem> {
        let draft = match (&self.text, &self.revision) {
            (Some(text), None) => Draft::Text(text.clone()),
            (None, Some(revision)) => Draft::Revision(revision.clone()),
            _ => return Err(Problem::bad_request("there has to be `text` or `revision`")),
        };
        let mut wanted = Application::new(draft);
        wanted.base = base(context, self.force)?;
        wanted.confirm = match self.confirm_within {
            None => Confirmation::Auto,
            Some(0) => Confirmation::Never,
            Some(seconds) => Confirmation::Within(Age(Duration::from_secs(seconds))),
        };
        wanted.reason =
            self.reason.as_deref().map(str::trim).filter(|why| !why.is_empty()).map(cut);
        wanted.on_behalf_of = Some(context.caller()?.name.clone());
        wanted.force = self.force;
        Ok(wanted)
    }

    const fn is_for_this_node(&self) -> bool {
        self.force_local || !self.partner
    }
}

/// What the draft was made from. Nobody overwrites a file without having seen it, but by force.
fn base(context: &Context, force: bool) -> Result<Option<String>, Problem> {
    match text(&context.headers, "if-match").map(str::trim) {
        Some("*") => Ok(None),
        Some(tag) => Ok(Some(tag.trim_start_matches("W/").trim_matches('"').to_owned())),
        None if force => Ok(None),
        None => Err(Problem::no_base()),
    }
}

pub(super) async fn apply(context: &Context) -> Answer {
    let wanted: Wanted = context.json()?;
    let application = wanted.application(context)?;
    let action = Action {
        name: "config.apply",
        target: wanted.revision.as_deref(),
        reason: wanted.reason.as_deref(),
        change: json!({ "base": application.base, "force": wanted.force }),
        ..Action::default()
    };
    let (applied, brought) =
        context.noted(&action, on_both(context, &wanted, application).await)?;
    let mut answer = json!(applied);
    answer["partner"] = partner::told_of(context, brought).await;
    told(context, &answer)
}

/// Puts it in force here and, where the partner agrees, there.
async fn on_both(
    context: &Context,
    wanted: &Wanted,
    application: Application,
) -> Result<(Applied, Option<Brought>), Problem> {
    let control = &context.app.control;
    let mut lvs = context.app.client(Daemon::Lvs).await?;
    check(&mut lvs, &application).await?;
    let agreement = if wanted.is_for_this_node() {
        None
    } else {
        accord::agree(control, &application.draft).await?
    };
    let applied = lvs.apply_config(application.clone()).await.map_err(refused)?;
    let brought = match agreement {
        Some(agreement) => {
            let Application { reason, on_behalf_of, .. } = application;
            let node = agreement.node().to_owned();
            let brought = agreement.put_in_force(control, &applied, reason, on_behalf_of).await;
            Some(brought.kept(&node)?)
        }
        None if wanted.is_for_this_node() => accord::leave(control).await,
        None => None,
    };
    Ok((applied, brought))
}

/// Refuses what this node refuses, before the partner is asked: it could change nothing.
async fn check(lvs: &mut Client, wanted: &Application) -> Result<(), Problem> {
    let review = lvs.review_config(wanted.draft.clone()).await.map_err(refused)?;
    let is_stale = wanted.base.is_some() && wanted.base != review.base;
    if review.usable && !is_stale {
        return Ok(());
    }
    // It says why in its own words, and changes nothing.
    lvs.apply_config(wanted.clone()).await.map(drop).map_err(refused)
}

#[derive(Deserialize)]
struct Kept {
    #[serde(default = "yes")]
    partner: bool,
}

pub(super) async fn confirm(context: &Context) -> Answer {
    let Kept { partner } = context.json()?;
    let action = Action { name: "config.confirm", ..Action::default() };
    let name = context.caller()?.name.as_str();
    let done = async {
        let mut lvs = context.app.client(Daemon::Lvs).await?;
        lvs.confirm_config(Some(name)).await.map_err(refused)
    };
    let mut answer = json!(context.noted(&action, done.await)?);
    if partner {
        let brought = accord::confirm(&context.app.control, Some(name)).await;
        answer["partner"] = partner::told_of(context, brought).await;
    }
    told(context, &answer)
}

#[derive(Deserialize)]
struct Undone {
    reason: Option<String>,
    #[serde(default = "yes")]
    partner: bool,
}

pub(super) async fn undo(context: &Context) -> Answer {
    let Undone { reason, partner } = context.json()?;
    let reason = reason.as_deref().map(cut);
    let action = Action { name: "config.undo", reason: reason.as_deref(), ..Action::default() };
    let name = context.caller()?.name.as_str();
    let done = async {
        let mut lvs = context.app.client(Daemon::Lvs).await?;
        lvs.undo_config(reason.as_deref(), Some(name)).await.map_err(refused)
    };
    let mut answer = json!(context.noted(&action, done.await)?);
    if partner {
        let control = &context.app.control;
        let brought = accord::undo(control, reason.as_deref(), Some(name)).await;
        answer["partner"] = partner::told_of(context, brought).await;
    }
    told(context, &answer)
}

pub(super) async fn list(context: &Context) -> Answer {
    told(context, &history(context).await?)
}

async fn history(context: &Context) -> Result<Revisions, Problem> {
    let mut lvs = context.app.client(Daemon::Lvs).await?;
    lvs.config_history().await.map_err(refused)
}

/// A revision, with its hash as its entity tag: it never changes.
pub(super) async fn one(context: &Context) -> Answer {
    let mut lvs = context.app.client(Daemon::Lvs).await?;
    let name = context.parameters.get("id");
    let known = lvs.config_text(name).await.map_err(refused)?;
    let mut reply = told(context, &known)?;
    reply.set("etag", &format!("\"{}\"", known.revision.hash));
    Ok(reply)
}

pub(super) async fn compare(context: &Context) -> Answer {
    let asked = |name| context.query.get(name).ok_or_else(|| Problem::bad_request(missing(name)));
    let found = comparison(context, asked("from")?, asked("to")?).await?;
    told(context, &found)
}

fn missing(name: &str) -> String {
    format!("`{name}` is missing")
}

/// By meaning, where both can be read, and line by line.
async fn comparison(context: &Context, from: &str, to: &str) -> Result<Value, Problem> {
    let path = path(context).await?;
    let (before, after) = (said(context, from).await?, said(context, to).await?);
    let (from, to) = (from.to_owned(), to.to_owned());
    let compared = off(move || {
        let meant = |text: &str| settings(&path, text.as_bytes()).ok();
        let changes = meant(&before).zip(meant(&after)).map(|(before, after)| {
            let changes = difference(&before, &after);
            changes
                .iter()
                .map(|change| json!({ "change": change, "text": change.to_string() }))
                .collect::<Vec<_>>()
        });
        let lines = near(by_line(&before, &after), AROUND);
        json!({ "from": from, "to": to, "changes": changes, "lines": lines })
    });
    compared.await
}

/// What a revision says, or the file.
async fn said(context: &Context, name: &str) -> Result<String, Problem> {
    if name == FILE {
        let bytes = in_file(context, path(context).await?).await?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let mut lvs = context.app.client(Daemon::Lvs).await?;
    Ok(lvs.config_text(name).await.map_err(refused)?.text)
}

/// The editor, over what is in the file or a revision.
pub(super) async fn config_page(context: &Context) -> Answer {
    let (snapshot, frame) = framed(context, "Configuration", "config").await?;
    let path = path(context).await?;
    let bytes = in_file(context, path.clone()).await?;
    let base = fingerprint(&bytes);
    let file = String::from_utf8(bytes).map_err(|_bytes| not_text())?;
    let wanted = context.query.get("revision").filter(|wanted| !wanted.is_empty());
    let text = match wanted {
        Some(revision) => said(context, revision).await?,
        None => file,
    };
    let standing = snapshot.status.lvs.known().and_then(|lvs| lvs.configuration.standing.clone());
    let page = Config {
        frame,
        path: path.display().to_string(),
        base,
        text,
        revision: wanted.map(ToOwned::to_owned),
        standing: standing.unwrap_or_default(),
    };
    render(&page, None)
}

fn not_text() -> Problem {
    let mend = "iconv(1) makes it so; until then edit it with another program";
    Problem::new(422, "configuration", "the file is not in UTF-8", mend)
}

/// The revisions, the latest first, and two of them compared.
pub(super) async fn history_page(context: &Context) -> Answer {
    let (_, frame) = framed(context, "History", "config").await?;
    let known = history(context).await?;
    let asked = |name| context.query.get(name).filter(|value: &&str| !value.is_empty());
    let compared = match (asked("from"), asked("to")) {
        (Some(from), Some(to)) => {
            let found = comparison(context, from, to).await?;
            Some(Comparison::new(&found))
        }
        _ => None,
    };
    render(&Past::new(frame, known, compared), None)
}
