//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::pictures::small;
use super::states::{at, crowd, healthy, hear, model, nobody, server_down, standby};
use crate::cli::piranha::top::model::{Model, View};
use crate::cli::piranha::top::update::{Action, Input, update};
use crate::control::Word;
use crate::control::protocol::{Operation, Servers};
use crate::net::Weight;

fn press(model: &mut Model, code: KeyCode) -> Option<Action> {
    let now = model.now;
    update(model, now, Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// Presses the keys of a text one after the other; nothing is to be done before the last.
fn type_in(model: &mut Model, text: &str) {
    for letter in text.chars() {
        assert_eq!(press(model, KeyCode::Char(letter)), None);
    }
}

fn operation(target: &str, word: Word, reason: Option<&str>) -> Option<Action> {
    let mut operation = Operation::new(target, word);
    operation.reason = reason.map(ToOwned::to_owned);
    Some(Action::Operate(operation))
}

#[test]
fn a_server_is_drained_with_a_reason_and_only_after_enter() {
    let mut model = model(View::Servers, healthy());
    press(&mut model, KeyCode::Char('s'));
    type_in(&mut model, "dnew disk");
    assert!(small(&model).contains("Drain web/web1"), "{}", small(&model));
    assert!(small(&model).contains("no new connections"));
    let asked = press(&mut model, KeyCode::Enter);
    assert_eq!(asked, operation("web/web1", Word::Drain { deadline: None }, Some("new disk")));
    assert!(model.form.is_none());
}

#[test]
fn escape_changes_nothing() {
    let mut model = model(View::Servers, healthy());
    type_in(&mut model, "xq");
    assert_eq!(press(&mut model, KeyCode::Esc), None);
    assert!(model.form.is_none());
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert_eq!(press(&mut model, KeyCode::Char('q')), Some(Action::Quit));
}

#[test]
fn a_weight_must_be_one() {
    let mut model = model(View::Servers, healthy());
    press(&mut model, KeyCode::Char('s'));
    press(&mut model, KeyCode::Char('w'));
    press(&mut model, KeyCode::Backspace);
    type_in(&mut model, "ten");
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(small(&model).contains("`ten` is no weight"), "{}", small(&model));
    for _ in 0..3 {
        press(&mut model, KeyCode::Backspace);
    }
    type_in(&mut model, "10");
    let weight = Word::Weight(Weight::new(10).unwrap());
    assert_eq!(press(&mut model, KeyCode::Enter), operation("web/web1", weight, None));
}

#[test]
fn a_failover_needs_the_name_of_the_node() {
    let mut model = model(View::Cluster, healthy());
    type_in(&mut model, "Fyes");
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(small(&model).contains("type lb1 to confirm, or Esc"), "{}", small(&model));
    for _ in 0..3 {
        press(&mut model, KeyCode::Backspace);
    }
    type_in(&mut model, "lb1");
    press(&mut model, KeyCode::Tab);
    type_in(&mut model, "kernel");
    let reason = Some("kernel".to_owned());
    assert_eq!(press(&mut model, KeyCode::Enter), Some(Action::HandOver { reason }));
}

#[test]
fn a_standby_cannot_pass_on_what_it_does_not_hold() {
    for status in [standby(), nobody()] {
        let mut model = model(View::Cluster, status);
        press(&mut model, KeyCode::Char('F'));
        assert!(model.form.is_none() && model.notice.as_ref().is_some_and(|one| one.is_bad));
    }
}

#[test]
fn read_only_and_paused_refuse_whatever_would_change_something() {
    let refuses = |model: &mut Model| {
        for key in ['d', 'r', 'x', 'w', 'F'] {
            assert_eq!(press(model, KeyCode::Char(key)), None);
            assert!(model.form.is_none());
            assert_eq!(press(model, KeyCode::Enter), None);
        }
    };
    let mut reading = model(View::Servers, healthy());
    reading.read_only = true;
    refuses(&mut reading);
    assert!(small(&reading).contains("read-only"));
    let mut paused = model(View::Servers, healthy());
    press(&mut paused, KeyCode::Char('p'));
    refuses(&mut paused);
}

#[test]
fn a_pause_stands_still_says_so_and_ends() {
    let mut model = model(View::Overview, healthy());
    press(&mut model, KeyCode::Char('p'));
    hear(&mut model, 1012, server_down());
    let picture = small(&model);
    assert!(picture.contains("PAUSED, 12s old") && picture.contains("healthy"), "{picture}");
    press(&mut model, KeyCode::Char('p'));
    assert!(small(&model).contains("DEGRADED"));
}

#[test]
fn a_filter_leaves_what_it_names_and_escape_brings_all_back() {
    let mut model = model(View::Servers, crowd());
    let all = model.rows().len();
    type_in(&mut model, "/SHOP7/app13");
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.rows().len(), 1);
    press(&mut model, KeyCode::Esc);
    assert_eq!((model.rows().len(), all), (200, 200));
}

#[test]
fn trouble_stands_first_and_what_is_meant_stays_meant() {
    let mut model = model(View::Servers, crowd());
    assert_eq!(model.rows()[0].key(), "shop7/app13");
    press(&mut model, KeyCode::Down);
    let meant = |model: &Model| {
        let rows = model.rows();
        rows[model.cursor(&rows)].key()
    };
    let before = meant(&model);
    for _ in 0..5 {
        press(&mut model, KeyCode::Char('s'));
        press(&mut model, KeyCode::Char('S'));
        assert_eq!(meant(&model), before);
    }
    press(&mut model, KeyCode::End);
    press(&mut model, KeyCode::PageDown);
    assert_ne!(meant(&model), before);
}

#[test]
fn servers_are_asked_for_only_where_they_are_looked_at() {
    let mut model = model(View::Overview, healthy());
    assert_eq!(model.wanted(), Servers::Notable);
    press(&mut model, KeyCode::Enter);
    assert_eq!((model.view, model.wanted()), (View::Services, Servers::All));
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.wanted(), Servers::Notable);
    press(&mut model, KeyCode::Char('5'));
    assert_eq!(model.wanted(), Servers::All);
}

#[test]
fn no_key_in_any_view_panics_whatever_is_known() {
    let keys = "123456sSp/?drxwFjkabc".chars().map(KeyCode::Char);
    let keys: Vec<_> = keys
        .chain([KeyCode::Up, KeyCode::Down, KeyCode::Tab, KeyCode::BackTab, KeyCode::Enter])
        .chain([KeyCode::Esc, KeyCode::Home, KeyCode::End, KeyCode::PageUp, KeyCode::Backspace])
        .collect();
    for status in [healthy(), nobody(), crowd()] {
        let mut model = model(View::Overview, status);
        // A walk that comes to every pair of keys.
        for place in 0..keys.len() * keys.len() {
            let key =
                keys[if place % 2 == 0 { place / 2 % keys.len() } else { place * 7 % keys.len() }];
            press(&mut model, key);
            let _drawn = small(&model);
        }
        let _quiet = update(&mut model, at(5000), Input::Tick);
    }
}
