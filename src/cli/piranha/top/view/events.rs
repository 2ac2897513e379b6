//! What has happened, the newest first.

use super::canvas::{Canvas, Cell, plain};
use crate::cli::piranha::table::Tone;
use crate::cli::piranha::top::model::Model;
use crate::control::Record;

pub(super) fn draw(model: &Model, canvas: &mut Canvas<'_>) {
    let count = model.told().count();
    if count == 0 {
        return canvas.line(&[plain("nothing has happened that is remembered")]);
    }
    let place = model.event_cursor();
    let height = canvas.room().saturating_sub(5);
    let begin = place.saturating_sub(height / 2).min(count.saturating_sub(height));
    let shown = model.told().enumerate().skip(begin).take(height);
    for (at, (_, record)) in shown {
        let mark = if at == place { "> " } else { "  " };
        let (text, tone) = line(record);
        canvas.line(&[plain(mark), (text, tone)]);
    }
    // All of the one that is meant, which may be longer than a line.
    if let Some((_, record)) = model.told().nth(place) {
        canvas.skip();
        canvas.text(&format!("{} {}", record.at, line(record).0), 0, Tone::Plain, 4);
    }
}

/// The last events, in at most `height` lines.
pub(super) fn last(model: &Model, height: usize, canvas: &mut Canvas<'_>) {
    for (_, record) in model.events.iter().rev().take(height) {
        canvas.line(&[line(record)]);
    }
}

fn line(record: &Record) -> Cell {
    let event = &record.event;
    let why = event.why().map(|why| format!(" ({why})")).unwrap_or_default();
    let tone = if event.is_warning() { Tone::Warning } else { Tone::Plain };
    let mark = if event.is_warning() { '!' } else { ' ' };
    let text = format!("{} {mark} {}: {event}{why}", record.at.time_of_day(), event.subsystem());
    (text, tone)
}
