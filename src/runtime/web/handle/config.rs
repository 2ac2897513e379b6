//! The configuration: what it is, what is wrong with a draft, and what a draft would change.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Context};
use crate::config::{
    Code, Descriptor, Directive, Loaded, Section, by_file, difference, effective, load_in, note,
};
use crate::control::protocol::{Daemon, Servers};
use crate::runtime::configuration::{self, Machine};
use crate::runtime::web::app::refused;
use crate::runtime::web::gate::text;
use crate::runtime::web::reply::Reply;
use crate::web::problem::Problem;

#[derive(Deserialize)]
struct Draft {
    text: String,
}

/// The file, with what a revision goes by as its entity tag.
pub(super) async fn raw(context: &Context) -> Answer {
    let path = path(context).await?;
    let text = in_file(context, path.clone()).await?;
    let tag = format!("\"{}\"", configuration::fingerprint(&text));
    if self::text(&context.headers, "if-none-match") == Some(&tag) {
        return Ok(Reply::done().status(http::StatusCode::NOT_MODIFIED));
    }
    let told = json!({ "path": path, "text": String::from_utf8_lossy(&text) });
    let mut reply = Reply::json(&told)?;
    reply.set("etag", &tag);
    Ok(reply)
}

pub(super) async fn validate(context: &Context) -> Answer {
    let Draft { text } = context.json()?;
    let path = path(context).await?;
    let (errors, diagnostics) = off(move || {
        let loaded = load(&path, text.as_bytes());
        let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        (errors, diagnostics(&path, &loaded))
    })
    .await?;
    Reply::json(&json!({ "ok": errors == 0, "errors": errors, "diagnostics": diagnostics }))
}

/// What the draft would change in what the file says.
pub(super) async fn diff(context: &Context) -> Answer {
    let Draft { text } = context.json()?;
    let path = path(context).await?;
    let before = in_file(context, path.clone()).await?;
    let changes = off(move || {
        let changes = difference(&settings(&path, &before)?, &settings(&path, text.as_bytes())?);
        Ok::<_, Problem>(
            changes
                .iter()
                .map(|change| json!({ "change": change, "text": change.to_string() }))
                .collect::<Vec<_>>(),
        )
    });
    Reply::json(&json!({ "changes": changes.await?? }))
}

/// What a directive or a diagnostic means.
pub(super) fn explain(context: &Context) -> Answer {
    let name = context.parameters.get("name");
    if let Some(code) = Code::ALL.iter().find(|code| code.as_str().eq_ignore_ascii_case(name)) {
        let (severity, meaning) = (code.severity(), code.meaning());
        return Reply::json(&json!({ "code": code, "severity": severity, "meaning": meaning }));
    }
    let directive = Directive::from_name(name).ok_or_else(Problem::not_found)?;
    let rows = Descriptor::ALL.iter().filter(|row| row.directive == directive).map(|row| {
        json!({
            "directive": row.directive,
            "scope": row.scope,
            "meaning": row.doc,
            "note": note(row.directive, row.scope),
            "value": row.value(),
            "default": row.default,
            "example": row.example(),
        })
    });
    Reply::json(&json!({ "directives": rows.collect::<Vec<_>>() }))
}

/// Every directive in every place it can stand in, in the order of the manual.
pub(super) fn directives() -> Answer {
    let rows = Descriptor::ALL.iter().map(|row| {
        json!({
            "directive": row.directive,
            "scope": row.scope,
            "meaning": row.doc,
            "value": row.value(),
            "words": row.words(),
            "default": row.default,
            "repeatable": row.directive.is_repeatable(),
            "escaped": row.is_escaped(),
        })
    });
    Reply::json(&json!({ "directives": rows.collect::<Vec<_>>() }))
}

/// What `text` comes to as the file at `path`, which must have no errors.
pub(super) fn settings(path: &Path, text: &[u8]) -> Result<Section, Problem> {
    let loaded = load(path, text);
    effective(&loaded).ok_or_else(|| with_errors(path, &loaded))
}

/// What is wrong with a configuration that has errors.
pub(super) fn with_errors(path: &Path, loaded: &Loaded) -> Problem {
    let mend = "mend the lines in `diagnostics`";
    let mut problem = Problem::new(422, "configuration", "the configuration has errors", mend);
    problem.diagnostics = diagnostics(path, loaded);
    problem
}

/// The file that `lvs` runs.
pub(super) async fn path(context: &Context) -> Result<PathBuf, Problem> {
    let mut lvs = context.app.client(Daemon::Lvs).await?;
    let known = lvs.balancing(Servers::None, None).await.map_err(refused)?;
    Ok(known.configuration.path)
}

/// What is in the file at `path`; from the records of `lvs` where this user may not read it, and they
/// have it.
pub(super) async fn in_file(context: &Context, path: PathBuf) -> Result<Vec<u8>, Problem> {
    let unread = match read(path).await {
        Ok(bytes) => return Ok(bytes),
        Err(problem) => problem,
    };
    let mut lvs = context.app.client(Daemon::Lvs).await?;
    let Some(hash) = lvs.config_history().await.map_err(refused)?.file else { return Err(unread) };
    let known = lvs.config_text(&hash).await.map_err(|_not_recorded| unread)?;
    Ok(known.text.into_bytes())
}

async fn read(path: PathBuf) -> Result<Vec<u8>, Problem> {
    let name = path.display().to_string();
    let text = off(move || fs::read(path)).await?;
    text.map_err(|error| Problem::system(format!("cannot read {name}: {error}")))
}

/// Reads `text` as what would be in the file at `path`, with the files it includes.
pub(super) fn load(path: &Path, text: &[u8]) -> Loaded {
    load_in(&path.to_string_lossy(), text, &Machine::default())
}

fn diagnostics(path: &Path, loaded: &Loaded) -> Vec<Value> {
    let name = path.to_string_lossy();
    let Loaded { document, included, diagnostics, .. } = loaded;
    let mut told = Vec::new();
    for (file, document, about) in by_file(&name, document, included, diagnostics) {
        told.extend(about.iter().map(|diagnostic| {
            let (start, end) =
                (document.position(diagnostic.span.start), document.position(diagnostic.span.end));
            json!({
                "file": file,
                "code": diagnostic.code,
                "severity": diagnostic.severity,
                "message": diagnostic.message,
                "help": diagnostic.help,
                "line": start.line,
                "column": start.column,
                "end_line": end.line,
                "end_column": end.column,
            })
        }));
    }
    told
}

/// Does what takes a while off the threads that serve.
pub(super) async fn off<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::system)
}
