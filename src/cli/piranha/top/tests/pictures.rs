//! What is drawn.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::states::{at, crowd, healthy, hear, model, nobody, partner_dead, server_down, standby};
use crate::cli::piranha::top::glyph::{Glyphs, Looks};
use crate::cli::piranha::top::model::{Model, View};
use crate::cli::piranha::top::update::{Input, update};
use crate::cli::piranha::top::{text, view};
use crate::control::status::Status;

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

pub(super) fn picture(model: &Model, (width, height): (u16, u16), glyphs: Glyphs) -> String {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    view::draw(model, Looks { glyphs, is_colored: false }, &mut buffer);
    text(&buffer)
}

pub(super) fn small(model: &Model) -> String {
    picture(model, SIZES[0], Glyphs::Braille)
}

/// What a state looks like in both sizes.
fn golden(name: &str, view: View, status: Status) {
    let model = model(view, status);
    for size in SIZES {
        let text = picture(&model, size, Glyphs::Braille);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), text);
    }
}

#[test]
fn every_state_of_the_pair_has_its_picture() {
    golden("healthy", View::Overview, healthy());
    golden("server_down", View::Overview, server_down());
    golden("standby", View::Overview, standby());
    golden("partner_dead", View::Overview, partner_dead());
    golden("nobody", View::Overview, nobody());
    golden("crowd", View::Overview, crowd());
}

#[test]
fn every_view_has_its_picture() {
    golden("services", View::Services, server_down());
    golden("servers", View::Servers, server_down());
    golden("servers_crowd", View::Servers, crowd());
    golden("cluster", View::Cluster, partner_dead());
    golden("checks", View::Checks, server_down());
    golden("events", View::Events, server_down());
}

#[test]
fn what_is_old_is_never_shown_as_good() {
    let mut model = model(View::Overview, healthy());
    assert!(small(&model).contains("healthy"));
    let _nothing_to_do = update(&mut model, at(1014), Input::Tick);
    for view in View::ALL {
        model.view = view;
        let picture = small(&model);
        assert!(picture.contains("UNKNOWN") && !picture.contains("healthy"), "{picture}");
        assert!(!picture.contains("● UP") && !picture.contains("ACTIVE"), "{picture}");
    }
    hear(&mut model, 1015, healthy());
    assert!(small(&model).contains("healthy"));
}

#[test]
fn a_partner_that_is_silent_is_unknown_whatever_it_last_said() {
    let picture = small(&model(View::Cluster, partner_dead()));
    assert!(picture.contains("Partner   ? UNKNOWN") && !picture.contains("STANDBY"), "{picture}");
}

#[test]
fn a_terminal_that_is_too_small_is_told_so() {
    let model = model(View::Overview, healthy());
    for size in [(79, 24), (80, 23), (10, 3), (1, 1)] {
        let picture = picture(&model, size, Glyphs::Braille);
        assert!(!picture.contains("healthy"));
        assert!(size.0 < 30 || picture.contains("needs 80x24"), "{picture}");
    }
}

#[test]
fn without_unicode_every_picture_is_ascii_and_says_the_same() {
    let states = [healthy(), server_down(), standby(), partner_dead(), nobody(), crowd()];
    for status in states {
        for view in View::ALL {
            let picture = picture(&model(view, status.clone()), SIZES[1], Glyphs::Ascii);
            assert!(picture.is_ascii(), "{picture}");
        }
    }
    let picture = picture(&model(View::Servers, server_down()), SIZES[0], Glyphs::Ascii);
    assert!(picture.contains("X DOWN") && picture.contains("v DRAIN (8 left)"), "{picture}");
}

#[test]
fn no_escape_of_a_server_reaches_the_terminal() {
    let mut status = server_down();
    if let crate::control::status::Reading::Known(lvs) = &mut status.lvs {
        let servers = lvs.services[1].servers.as_mut().unwrap();
        servers[1].reason = Some("\x1b]0;owned\x07\x1b[2J".to_owned());
    }
    for view in View::ALL {
        let picture = small(&model(view, status.clone()));
        assert!(!picture.contains(['\x1b', '\x07']), "{picture:?}");
    }
}
