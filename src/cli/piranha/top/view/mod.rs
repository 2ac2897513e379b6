//! What the model looks like.

mod canvas;
mod cluster;
mod events;
mod overlay;
mod overview;
mod servers;
mod services;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::canvas::{Canvas, Cell, plain};
use super::glyph::Looks;
use super::model::{Model, View};
use crate::cli::piranha::show::{self, tone};
use crate::cli::piranha::table::Tone;
use crate::control::Age;
use crate::control::status::{Heartbeats, Reading, Status};

/// The smallest picture: less is not enough for the tables.
const SMALLEST: (u16, u16) = (80, 24);

/// Lines above the view: node, verdict, views, and one that keeps them apart.
const HEADER: u16 = 4;

/// Draws all of it.
pub(super) fn draw(model: &Model, looks: Looks, buffer: &mut Buffer) {
    let area = buffer.area;
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return too_small(area, looks, buffer);
    }
    let below = area.height - HEADER - 1;
    let header = Rect { height: HEADER, ..area };
    let body = Rect { y: area.y + HEADER, height: below, ..area };
    let footer = Rect { y: area.bottom() - 1, height: 1, ..area };
    draw_header(model, &mut Canvas::new(buffer, header, looks));
    draw_body(model, &mut Canvas::new(buffer, body, looks));
    draw_footer(model, &mut Canvas::new(buffer, footer, looks));
    if let Some(form) = &model.form {
        overlay::form(form, body, looks, buffer);
    } else if model.is_helping {
        overlay::help(body, looks, buffer);
    }
}

fn too_small(area: Rect, looks: Looks, buffer: &mut Buffer) {
    let (width, height) = SMALLEST;
    let mut canvas = Canvas::new(buffer, area, looks);
    canvas.line(&[plain(format!("piranha top needs {width}x{height},"))]);
    canvas.line(&[plain(format!("and this is {}x{}", area.width, area.height))]);
    canvas.line(&[plain("make it larger; q quits")]);
}

fn draw_header(model: &Model, canvas: &mut Canvas<'_>) {
    let looks = canvas.looks();
    let Some(status) = model.shown() else {
        canvas.line(&[plain("piranha top")]);
        canvas.line(&[plain("? nothing is known yet: waiting for the daemons")]);
        return views(model, canvas);
    };
    let mut nodes = vec![plain(format!("{} ", status.node))];
    match &status.pulse {
        Reading::Known(pulse) => nodes.extend(pair(pulse, looks)),
        Reading::Unknown { .. } => nodes.push(("? UNKNOWN".to_owned(), Tone::Bad)),
    }
    canvas.line(&nodes);
    canvas.line(&verdict(model, status, looks));
    views(model, canvas);
}

/// Both nodes, with shape and word.
fn pair(pulse: &Heartbeats, looks: Looks) -> Vec<Cell> {
    let state = |state: crate::failover::State| {
        format!("{} {}", looks.node(state), state.to_string().to_uppercase())
    };
    let mut cells = vec![
        plain(format!("{} ", pulse.role.to_string().to_uppercase())),
        plain(format!("{} for {}", state(pulse.state), pulse.since)),
    ];
    if pulse.maintenance {
        cells.push((" IN MAINTENANCE".to_owned(), Tone::Warning));
    }
    match &pulse.partner {
        _ if pulse.paths.is_empty() => cells.push(plain("   no partner")),
        None => cells.push(("   partner ? never heard".to_owned(), Tone::Warning)),
        Some(partner) if pulse.hears_partner() => {
            cells.push(plain(format!("   partner {} {} ago", state(partner.state), partner.age)));
        }
        Some(partner) => {
            let text = format!("   partner ? UNKNOWN, last heard {} ago", partner.age);
            cells.push((text, Tone::Warning));
        }
    }
    cells
}

/// The answers to the two questions, and how old they are.
fn verdict(model: &Model, status: &Status, looks: Looks) -> Vec<Cell> {
    let verdict = &status.verdict;
    let mut cells = Vec::new();
    if let Some((_, since)) = model.paused {
        cells.push((format!("PAUSED, {} old: ", Age(model.now - since)), Tone::Warning));
    }
    let (health, failover) = show::answers(verdict);
    let shape = looks.grade(verdict.health);
    cells.push((format!("{shape} {health}; {failover}"), tone(verdict.health)));
    cells.push(plain(format!("   {} UTC", model.at().time_of_day())));
    cells
}

/// The names of the views; the one that is looked at stands in brackets.
fn views(model: &Model, canvas: &mut Canvas<'_>) {
    let name = |view: View| {
        let (number, name) = (view.place() + 1, view.name());
        if view == model.view { format!("[{number} {name}]") } else { format!(" {number} {name} ") }
    };
    let mut cells: Vec<_> = View::ALL.iter().map(|&view| plain(name(view))).collect();
    if !model.filter.is_empty() || model.is_filtering {
        cells.push(plain(format!("  /{}", model.filter)));
    }
    canvas.line(&cells);
}

fn draw_body(model: &Model, canvas: &mut Canvas<'_>) {
    let Some(status) = model.shown() else { return };
    match model.view {
        View::Overview => overview::draw(model, status, canvas),
        View::Services => services::draw(model, status, canvas),
        View::Servers => servers::draw(model, status, canvas),
        View::Checks => servers::draw_checks(model, status, canvas),
        View::Cluster => cluster::draw(model, status, canvas),
        View::Events => events::draw(model, canvas),
    }
}

/// Why there is no table.
fn unknown(reason: &str, canvas: &mut Canvas<'_>) {
    canvas.text(&format!("? UNKNOWN: {reason}"), 0, Tone::Bad, usize::MAX);
}

fn draw_footer(model: &Model, canvas: &mut Canvas<'_>) {
    let cell = if let Some(notice) = &model.notice {
        let tone = if notice.is_bad { Tone::Bad } else { Tone::Good };
        (notice.text.clone(), tone)
    } else if model.is_filtering {
        plain(format!("/{}_   Enter keeps it, Esc clears it", model.filter))
    } else {
        plain(hints(model))
    };
    canvas.line(&[cell]);
}

fn hints(model: &Model) -> String {
    let order = if model.is_reversed { " reversed" } else { "" };
    let sort = format!("s sort ({}{order})", model.sort.name());
    let keys = match model.view {
        View::Overview | View::Services => format!("Enter servers  {sort}  F failover"),
        View::Servers | View::Checks if model.read_only => sort,
        View::Servers | View::Checks => {
            format!("d drain  r ready  x disable  w weight  Enter more  {sort}")
        }
        View::Cluster => "F failover".to_owned(),
        View::Events => "arrows".to_owned(),
    };
    let read_only = if model.read_only { "READ-ONLY  " } else { "" };
    format!("{read_only}? help  q quit  {keys}  / filter  p pause")
}
