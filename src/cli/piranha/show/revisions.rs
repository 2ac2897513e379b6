//! Revisions of lvs.cf, and what is said about drafts.

use super::super::table::{Screen, Table, Tone, wrap};
use crate::control::revisions::{Applied, Remark, Revision, Revisions};

/// `piranha config history`
pub(in crate::cli::piranha) fn revision_list(known: &Revisions, screen: Screen) -> String {
    let standing = &known.standing;
    let mut table = Table::new(&["", ">REV", "WHEN", "BY", "HOW", "HASH", "REASON"]);
    for revision in known.revisions.iter().rev() {
        let mark = if standing.revision == Some(revision.number) { "*" } else { "" };
        table.row(row(mark, revision));
    }
    let mut text = table.render(screen);
    if let (Some(pending), Some(left)) = (&standing.pending, standing.left) {
        let line = format!(
            "revision {} is not confirmed: revision {} comes back in {left}; `piranha config \
             confirm` keeps it",
            pending.revision, pending.base
        );
        text += &screen.paint(Tone::Warning, &wrap(&line, 2, screen.width));
    }
    if standing.edited {
        let line = "the file was edited by hand, and that is not in force: `piranha config apply`";
        text += &wrap(line, 2, screen.width);
    }
    text
}

fn row(mark: &str, revision: &Revision) -> Vec<(String, Tone)> {
    let when = format!("{} {}", revision.at.date(), revision.at.time_of_day());
    let hash = revision.hash.chars().take(8).collect();
    let cells = [
        mark.to_owned(),
        revision.number.to_string(),
        when,
        revision.author.clone(),
        revision.origin.to_string(),
        hash,
        revision.reason.clone().unwrap_or_default(),
    ];
    cells.map(|cell| (cell, Tone::Plain)).into()
}

/// What became of a change.
pub(in crate::cli::piranha) fn applied(applied: &Applied, screen: Screen) -> String {
    let number = applied.revision.map(|number| format!("revision {number}"));
    let number = number.unwrap_or_else(|| "the configuration".to_owned());
    let mut text = format!("{number} is in force, {} changes to the table\n", applied.changes);
    for change in &applied.restart {
        text += &wrap(&format!("not yet: {change}"), 2, screen.width);
    }
    if let Some(pending) = &applied.pending {
        let seconds = pending.until.since(pending.since).as_secs();
        let line = format!(
            "confirm it within {seconds} s with `piranha config confirm`, or revision {} comes \
             back",
            pending.base
        );
        text += &screen.paint(Tone::Warning, &wrap(&line, 2, screen.width));
    }
    text
}

/// What there is to say about a draft that is called `name`; the daemon calls it `path`.
pub(in crate::cli::piranha) fn remarks(remarks: &[Remark], path: &str, name: &str) -> String {
    let line = |remark: &Remark| {
        let file = if remark.file == path { name } else { &remark.file };
        let Remark { severity, code, message, .. } = remark;
        let help = remark.help.as_ref().map(|help| format!("  help: {help}\n"));
        let start = remark.span.start;
        format!("{file}:{start}: {severity}[{code}]: {message}\n{}", help.unwrap_or_default())
    };
    remarks.iter().map(line).collect()
}
