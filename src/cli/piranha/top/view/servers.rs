//! All servers: what they do, and what their checks say.

use super::canvas::{Canvas, Cell, Column, numbers, plain, words};
use super::unknown;
use crate::cli::piranha::show::{self, server_tone};
use crate::cli::piranha::table::{Tone, short};
use crate::cli::piranha::top::glyph::{Looks, word};
use crate::cli::piranha::top::model::Model;
use crate::cli::piranha::top::rows::Row;
use crate::control::status::{Reading, ServerState, ServerStatus, Status};

const COLUMNS: [Column; 8] = [
    words("SERVER"),
    words("ADDRESS"),
    words("STATE"),
    words("FOR"),
    numbers("WEIGHT"),
    numbers("CONN"),
    numbers("CONN/S"),
    words("WHY"),
];

const CHECKS: [Column; 5] =
    [words("SERVER"), words("CHECKS SAY"), words("FOR"), words("LAST"), words("WHY")];

/// Lines below the table for the server of which more is told.
const DETAILS: usize = 6;

pub(super) fn draw(model: &Model, status: &Status, canvas: &mut Canvas<'_>) {
    draw_table(model, status, &COLUMNS, row, canvas);
}

pub(super) fn draw_checks(model: &Model, status: &Status, canvas: &mut Canvas<'_>) {
    draw_table(model, status, &CHECKS, check_row, canvas);
}

fn draw_table(
    model: &Model,
    status: &Status,
    columns: &[Column],
    cells: fn(&Row<'_>, &ServerStatus, Looks) -> Vec<Cell>,
    canvas: &mut Canvas<'_>,
) {
    if let Reading::Unknown { reason } = &status.lvs {
        return unknown(reason, canvas);
    }
    let (rows, looks) = (model.rows(), canvas.looks());
    if rows.is_empty() {
        return canvas.line(&[plain("no servers, or none of these")]);
    }
    let cursor = model.cursor(&rows);
    let meant = rows.get(cursor).filter(|row| model.expanded.contains(&row.key()));
    let height = canvas.room() - if meant.is_some() { DETAILS + 1 } else { 0 };
    canvas.table(columns, height, (rows.len(), Some(cursor)), |place| {
        let row = &rows[place];
        row.server.map(|server| cells(row, server, looks)).unwrap_or_default()
    });
    if let Some((row, server)) = meant.and_then(|row| Some((row, row.server?))) {
        canvas.skip();
        details(row, server, canvas);
    }
}

/// What a server does: shape, word, and while it drains the connections that are left.
pub(super) fn state(server: &ServerStatus, looks: Looks) -> (String, Tone) {
    let mut state = format!("{} {}", looks.server(server.state), word(server.state));
    if let (ServerState::Draining, Some(traffic)) = (server.state, &server.traffic) {
        state += &format!(" ({} left)", traffic.load.total());
    }
    (state, server_tone(server.state))
}

fn row(row: &Row<'_>, server: &ServerStatus, looks: Looks) -> Vec<Cell> {
    let traffic = server.traffic;
    vec![
        plain(row.key()),
        plain(server.address.to_string()),
        state(server, looks),
        plain(server.since.to_string()),
        plain(show::weight(server)),
        plain(traffic.map_or(String::new(), |t| short(u64::from(t.load.active)))),
        plain(traffic.and_then(|t| t.rates).map_or(String::new(), |r| short(r.connections))),
        plain(show::reason(server)),
    ]
}

fn check_row(row: &Row<'_>, server: &ServerStatus, looks: Looks) -> Vec<Cell> {
    let health = ServerState::from(server.health);
    let checked = server.checked.map_or("never".to_owned(), |age| format!("{age} ago"));
    vec![
        plain(row.key()),
        (format!("{} {}", looks.server(health), word(health)), server_tone(health)),
        plain(server.since.to_string()),
        plain(checked),
        plain(server.reason.clone().unwrap_or_default()),
    ]
}

/// All that does not fit into a row.
fn details(row: &Row<'_>, server: &ServerStatus, canvas: &mut Canvas<'_>) {
    canvas.title(&format!("{} at {}", row.key(), server.address));
    let health = server.health.to_string();
    let checked = server.checked.map_or("never".to_owned(), |age| format!("{age} ago"));
    canvas.line(&[plain(format!(
        "checks say {health} for {}, last checked {checked}",
        server.since
    ))]);
    if let Some(traffic) = &server.traffic {
        let (load, counted) = (traffic.load, traffic.counters);
        canvas.line(&[plain(format!(
            "{} active and {} inactive connections; {} so far, {} bytes in and {} out",
            load.active,
            load.inactive,
            short(counted.connections),
            short(counted.bytes_in),
            short(counted.bytes_out)
        ))]);
    }
    let why = show::reason(server);
    if !why.is_empty() {
        canvas.text(&why, 0, Tone::Plain, DETAILS);
    }
}
