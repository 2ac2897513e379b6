//! lvs.cf: the editor, its history, and its files on both nodes.

use askama::Template;
use serde_json::Value;

use super::frame::Frame;
use super::glyph::Glyph;
use crate::control::peer::{PairStatus, SyncFile};
use crate::control::revisions::{Revisions, Standing};
use crate::control::sync;
use crate::web::problem::Problem;

/// The editor.
#[derive(Debug, Template)]
#[template(path = "config.html")]
pub(crate) struct Config {
    pub(crate) frame: Frame,
    pub(crate) path: String,
    /// The hash of the file the draft is made from.
    pub(crate) base: String,
    /// What the draft begins with.
    pub(crate) text: String,
    /// The revision that this is, where it is not the file.
    pub(crate) revision: Option<String>,
    pub(crate) standing: Standing,
}

/// What lvs.cf was.
#[derive(Debug, Template)]
#[template(path = "history.html")]
pub(crate) struct Past {
    frame: Frame,
    rows: Vec<RevisionRow>,
    edited: bool,
    trouble: Option<String>,
    compared: Option<Comparison>,
}

/// A revision as a row.
#[derive(Debug)]
pub(crate) struct RevisionRow {
    number: u64,
    hash: String,
    at: String,
    author: String,
    origin: String,
    reason: String,
    in_force: bool,
    /// The revision before it, if that is still there.
    before: Option<u64>,
}

impl Past {
    pub(crate) fn new(frame: Frame, known: Revisions, compared: Option<Comparison>) -> Self {
        let in_force = known.standing.revision;
        let mut before = None;
        let rows = known.revisions.into_iter().map(|revision| RevisionRow {
            number: revision.number,
            hash: revision.hash.chars().take(12).collect(),
            at: format!("{} {}", revision.at.date(), revision.at.time_of_day()),
            author: revision.author,
            origin: revision.origin.to_string(),
            reason: revision.reason.unwrap_or_default(),
            in_force: in_force == Some(revision.number),
            before: before.replace(revision.number),
        });
        let mut rows: Vec<_> = rows.collect();
        rows.reverse();
        let Standing { edited, trouble, .. } = known.standing;
        Self { frame, rows, edited, trouble, compared }
    }

    /// What to compare the file with.
    fn in_force(&self) -> String {
        let row = self.rows.iter().find(|row| row.in_force);
        row.map(|row| row.number.to_string()).unwrap_or_default()
    }
}

/// Two revisions compared.
#[derive(Debug)]
pub(crate) struct Comparison {
    from: String,
    to: String,
    /// By meaning; nothing where one of them has errors.
    changes: Option<Vec<String>>,
    lines: Vec<LineRow>,
}

/// A line that is in one of two texts, or in both.
#[derive(Debug)]
pub(crate) struct LineRow {
    /// `same`, `gone` or `new`.
    mark: String,
    /// The same as a sign.
    sign: &'static str,
    number: String,
    text: String,
    /// Whether lines were left out above it.
    skips: bool,
}

impl Comparison {
    /// Of what the API tells.
    pub(crate) fn new(told: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let changes = told["changes"].as_array();
        let changes = changes.map(|all| all.iter().map(|change| text(&change["text"])).collect());
        let mut last = Some(0);
        let line = |line: &Value| {
            let mark = text(&line["mark"]);
            let place = |name| line[name].as_u64();
            let number = place("after").or_else(|| place("before"));
            let skips = match (mark.as_str(), last) {
                ("gone", _) | (_, None) => false,
                (_, Some(last)) => place("after").is_some_and(|after| after > last + 1),
            };
            last = place("after").or(last);
            let sign = match mark.as_str() {
                "gone" => "−",
                "new" => "+",
                _ => " ",
            };
            let number = number.map(|number| number.to_string()).unwrap_or_default();
            LineRow { mark, sign, number, text: text(&line["text"]), skips }
        };
        let lines = told["lines"].as_array().into_iter().flatten().map(line).collect();
        Self { from: text(&told["from"]), to: text(&told["to"]), changes, lines }
    }
}

/// Files of both nodes.
#[derive(Debug, Template)]
#[template(path = "files.html")]
pub(crate) struct Files {
    frame: Frame,
    /// Why nothing is known, if that is so.
    unknown: Option<Problem>,
    partner: Option<String>,
    trouble: Option<String>,
    rows: Vec<FileRow>,
}

/// A file as a row.
#[derive(Debug)]
pub(crate) struct FileRow {
    name: String,
    glyph: Glyph,
    standing: sync::Standing,
    excluded: String,
}

impl Files {
    pub(crate) fn new(
        frame: Frame,
        pair: Result<PairStatus, Problem>,
        files: Result<Vec<SyncFile>, Problem>,
    ) -> Self {
        let (partner, not_paired) = match pair {
            Ok(pair) => (pair.partner, None),
            Err(problem) => (None, Some(problem)),
        };
        let (files, not_compared) = match files {
            Ok(files) => (files, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        let trouble = partner.as_ref().and_then(|partner| partner.problem.clone());
        let partner = partner.map(|partner| {
            let heard = partner.heard.map_or("not yet".to_owned(), |age| format!("{age} ago"));
            format!("{} at {}, spoken with {heard}", partner.node, partner.address)
        });
        let rows = files.into_iter().map(FileRow::new).collect();
        Self { frame, unknown: not_paired.or(not_compared), partner, trouble, rows }
    }

    /// What a button sends that settles the conflict of `row`.
    fn resolve(row: &FileRow, mine: bool) -> String {
        serde_json::json!({ "name": row.name, "mine": mine }).to_string()
    }

    fn is_conflict(row: &FileRow) -> bool {
        row.standing == sync::Standing::Conflict
    }
}

impl FileRow {
    fn new(file: SyncFile) -> Self {
        use sync::Standing as S;
        let (shape, word) = match file.standing {
            S::Same => ("up", "SAME"),
            S::Conflict => ("down", "CONFLICT"),
            S::Excluded => ("off", "EXCLUDED"),
            S::LocalNewer | S::MissingThere => ("degraded", "NEWER HERE"),
            S::PeerNewer | S::MissingHere => ("degraded", "NEWER THERE"),
        };
        let excluded = file.excluded.unwrap_or_default();
        Self { name: file.name, glyph: Glyph { shape, word }, standing: file.standing, excluded }
    }
}
