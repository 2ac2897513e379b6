//! What stands over the picture: questions and help.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

use super::canvas::{Canvas, plain};
use crate::cli::piranha::table::Tone;
use crate::cli::piranha::top::form::Form;
use crate::cli::piranha::top::glyph::{Glyphs, Looks, word};
use crate::control::status::ServerState;

/// How wide a question is.
const WIDTH: u16 = 70;

const KEYS: [(&str, &str); 11] = [
    ("1-6, Tab, left, right", "views"),
    ("up, down, PgUp, PgDn, Home, End", "choose a row"),
    ("Enter", "more of it: servers of a service, details of a server"),
    ("/", "only rows with this text; Esc shows all again"),
    ("s, S", "sort by something else, the other way round"),
    ("p", "pause, and go on"),
    ("d, r, x", "drain, ready, disable the server that is chosen"),
    ("w", "give it another weight"),
    ("F", "pass the service to the partner"),
    ("?", "this help"),
    ("q", "quit"),
];

pub(super) fn form(form: &Form, area: Rect, looks: Looks, buffer: &mut Buffer) {
    let lines = form.effects.len() + form.fields.len() + 5;
    let inner = framed(&form.title, lines, area, looks, buffer);
    let mut canvas = Canvas::new(buffer, inner, looks);
    for effect in &form.effects {
        let tone = if effect.starts_with('!') { Tone::Bad } else { Tone::Plain };
        canvas.line(&[(effect.clone(), tone)]);
    }
    canvas.skip();
    for (place, field) in form.fields.iter().enumerate() {
        let (mark, cursor) = if place == form.focus { ("> ", "_") } else { ("  ", "") };
        canvas.line(&[plain(format!("{mark}{}: {}{cursor}", field.label, tail(&field.text)))]);
    }
    match &form.complaint {
        Some(complaint) => canvas.line(&[(complaint.clone(), Tone::Bad)]),
        None => canvas.skip(),
    }
    canvas.line(&[plain("Enter does it, Esc does not, Tab next field")]);
}

/// The end of a long text: where it is typed.
fn tail(text: &str) -> String {
    let most = usize::from(WIDTH) / 2;
    text.chars().skip(text.chars().count().saturating_sub(most)).collect()
}

pub(super) fn help(area: Rect, looks: Looks, buffer: &mut Buffer) {
    let inner = framed("Help", KEYS.len() + 4, area, looks, buffer);
    let mut canvas = Canvas::new(buffer, inner, looks);
    for (key, meaning) in KEYS {
        canvas.line(&[plain(format!("{key:<32}{meaning}"))]);
    }
    use ServerState::{Disabled, Down, Draining, Falling, Rising, Unknown, Up, Waiting};
    let legend = |state: ServerState| format!("{} {}  ", looks.server(state), word(state));
    let states = [Up, Rising, Falling, Down, Draining, Disabled, Waiting, Unknown];
    canvas.skip();
    canvas.line(&[plain(states[..4].iter().map(|&state| legend(state)).collect::<String>())]);
    canvas.line(&[plain(states[4..].iter().map(|&state| legend(state)).collect::<String>())]);
}

/// An empty frame in the middle of `area`; returns what is inside.
fn framed(title: &str, lines: usize, area: Rect, looks: Looks, buffer: &mut Buffer) -> Rect {
    let height = u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let width = (WIDTH + 4).min(area.width);
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 2;
    let frame = Rect::new(x, y, width, height);
    Clear.render(frame, buffer);
    let mut block = Block::bordered().title(format!(" {title} "));
    if looks.glyphs == Glyphs::Ascii {
        block = block.border_set(ASCII);
    }
    let inner = block.inner(frame);
    block.render(frame, buffer);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

const ASCII: ratatui::symbols::border::Set<'static> = ratatui::symbols::border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};
