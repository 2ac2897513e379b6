//! What changes by what comes in.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::form::{Form, Wish};
use super::model::{Model, View};
use super::rows::Row;
use crate::control::Record;
use crate::control::protocol::{Daemon, Operation};
use crate::control::status::{Reading, Status};
use crate::failover::State;
use crate::time::Instant;

/// How long a notice stands in the last line.
const NOTICE: Duration = Duration::from_secs(8);

/// Rows that PgUp and PgDn go by.
const PAGE: isize = 10;

/// Something that came in.
#[derive(Debug)]
pub(super) enum Input {
    Key(KeyEvent),
    /// Time has passed, or the terminal has another size.
    Tick,
    Status(Box<Status>),
    Events(Daemon, Vec<Record>),
    /// So many events were lost.
    Lost(Daemon, u64),
    /// What came of an action.
    Outcome(Result<String, String>),
    /// There are no more keys.
    End,
}

/// Something that is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Action {
    Quit,
    Operate(Operation),
    HandOver { reason: Option<String> },
}

/// Takes `input` in at `now`; what is to be done follows from it.
pub(super) fn update(model: &mut Model, now: Instant, input: Input) -> Option<Action> {
    model.now = now;
    model.notice = model.notice.take().filter(|notice| now - notice.since < NOTICE);
    let action = match input {
        Input::Key(key) if key.kind == KeyEventKind::Release => None,
        Input::Key(key) => on_key(model, key),
        Input::Tick => None,
        Input::Status(status) => {
            model.hear(*status);
            None
        }
        Input::Events(daemon, records) => {
            model.note_events(daemon, records);
            None
        }
        Input::Lost(daemon, lost) => {
            model.tell(format!("{lost} events of {daemon} came too fast"), true);
            None
        }
        Input::Outcome(Ok(done)) => {
            model.tell(done, false);
            None
        }
        Input::Outcome(Err(refused)) => {
            model.tell(refused, true);
            None
        }
        Input::End => Some(Action::Quit),
    };
    model.age();
    action
}

fn on_key(model: &mut Model, key: KeyEvent) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Some(Action::Quit);
    }
    if let Some(form) = model.form.take() {
        return on_form_key(model, form, key);
    }
    if model.is_helping {
        model.is_helping = false;
        return None;
    }
    if model.is_filtering {
        on_filter_key(model, key.code);
        return None;
    }
    on_view_key(model, key.code)
}

fn on_form_key(model: &mut Model, mut form: Form, key: KeyEvent) -> Option<Action> {
    let action = match key.code {
        KeyCode::Esc => return None,
        KeyCode::Enter => form.confirm(),
        KeyCode::Backspace => {
            form.erase();
            None
        }
        KeyCode::Tab | KeyCode::Down | KeyCode::Up | KeyCode::BackTab => {
            form.move_on();
            None
        }
        KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            form.erase_all();
            None
        }
        KeyCode::Char(letter) => {
            form.type_in(letter);
            None
        }
        _ => None,
    };
    if action.is_none() {
        model.form = Some(form);
    } else {
        model.tell("asked; waiting for the answer", false);
    }
    action
}

fn on_filter_key(model: &mut Model, code: KeyCode) {
    match code {
        KeyCode::Enter => model.is_filtering = false,
        KeyCode::Esc => {
            model.is_filtering = false;
            model.filter.clear();
        }
        KeyCode::Backspace => drop(model.filter.pop()),
        KeyCode::Char(letter) => model.filter.push(letter),
        _ => {}
    }
}

fn on_view_key(model: &mut Model, code: KeyCode) -> Option<Action> {
    match code {
        KeyCode::Char('q') => return Some(Action::Quit),
        KeyCode::Char('?') => model.is_helping = true,
        KeyCode::Char('/') => model.is_filtering = true,
        KeyCode::Esc => model.filter.clear(),
        KeyCode::Char('s') => model.sort = model.sort.next(),
        KeyCode::Char('S') => model.is_reversed = !model.is_reversed,
        KeyCode::Char('p') => pause(model),
        KeyCode::Char(digit @ '1'..='6') => {
            model.view = View::ALL[digit as usize - '1' as usize];
        }
        KeyCode::Tab | KeyCode::Right => turn(model, 1),
        KeyCode::BackTab | KeyCode::Left => turn(model, View::ALL.len() - 1),
        KeyCode::Up | KeyCode::Char('k') => step(model, -1),
        KeyCode::Down | KeyCode::Char('j') => step(model, 1),
        KeyCode::PageUp => step(model, -PAGE),
        KeyCode::PageDown => step(model, PAGE),
        KeyCode::Home => step(model, isize::MIN),
        KeyCode::End => step(model, isize::MAX),
        KeyCode::Enter => expand(model),
        KeyCode::Char('d') => ask(model, Wish::Drain),
        KeyCode::Char('r') => ask(model, Wish::Ready),
        KeyCode::Char('x') => ask(model, Wish::Disable),
        KeyCode::Char('w') => ask(model, Wish::Weight),
        KeyCode::Char('F') => ask_failover(model),
        _ => {}
    }
    None
}

fn turn(model: &mut Model, by: usize) {
    model.view = View::ALL[(model.view.place() + by) % View::ALL.len()];
}

fn pause(model: &mut Model) {
    model.paused = match model.paused.take() {
        Some(_) => None,
        None => Some((model.status.clone(), model.now)),
    };
}

/// Means another row, so many further down.
fn step(model: &mut Model, by: isize) {
    if model.view == View::Events {
        return model.step_events(by);
    }
    let rows = model.rows();
    let last = rows.len().saturating_sub(1);
    let place = model.cursor(&rows).saturating_add_signed(by).min(last);
    let key = rows.get(place).map(Row::key);
    model.selected[model.view.place()] = key;
}

/// Shows more of what is meant, or less again.
fn expand(model: &mut Model) {
    let rows = model.rows();
    let Some(key) = rows.get(model.cursor(&rows)).map(Row::key) else { return };
    if model.view == View::Overview {
        model.selected[View::Services.place()] = Some(key.clone());
        model.view = View::Services;
        model.expanded.insert(key);
        return;
    }
    if !model.expanded.remove(&key) {
        model.expanded.insert(key);
    }
}

/// Asks before a server is operated.
fn ask(model: &mut Model, wish: Wish) {
    let rows = model.rows();
    let meant = rows.get(model.cursor(&rows));
    let form = meant.and_then(|row| Some(Form::of_server(wish, row, row.server?)));
    open(model, form.ok_or("no server is chosen: choose one in the views Servers or Checks"));
}

fn ask_failover(model: &mut Model) {
    let form = match &model.status {
        Some(Status { pulse: Reading::Known(pulse), .. }) if pulse.state != State::Active => {
            Err("this node does not hold the service: ask the one that does")
        }
        Some(status) if status.pulse.known().is_some() => Ok(Form::of_failover(status)),
        _ => Err("pulse does not answer: nobody could do it"),
    };
    open(model, form);
}

fn open(model: &mut Model, form: Result<Form, &str>) {
    match form {
        _ if model.read_only => model.tell("read-only: nothing is changed from here", true),
        _ if model.paused.is_some() => model.tell("paused: press p first, this is old", true),
        Ok(form) => model.form = Some(form),
        Err(why) => model.tell(why, true),
    }
}
