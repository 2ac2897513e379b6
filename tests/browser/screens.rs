//! Every screen in both themes and three widths, and what one does there.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::devtools::Browser;
use crate::daemon::until;
use crate::director::Director;
use crate::site::{PASSWORD, Site};

const SCREENS: [&str; 16] = [
    "/",
    "/services",
    "/services?open=web",
    "/services/web",
    "/services/web/connections",
    "/ipvsadm",
    "/kiosk",
    "/cluster",
    "/events",
    "/config",
    "/config/history?from=1&to=file",
    "/files",
    "/system",
    "/accounts",
    "/audit",
    "/help",
];

pub(super) fn origin(director: &Director) -> String {
    origin_of(&director.site)
}

pub(super) fn origin_of(site: &Site) -> String {
    format!("https://localhost:{}", site.client.address.port())
}

/// Logs in by the form, as a person does.
pub(super) fn log_in(browser: &mut Browser, origin: &str, user: &str) {
    browser.go(&format!("{origin}/login"));
    browser.worth("document.querySelector('[name=user]').focus()");
    browser.types(user);
    browser.worth("document.querySelector('[name=password]').focus()");
    browser.types(PASSWORD);
    browser.press("Enter", 13);
    browser.until("location.pathname === '/' && document.readyState === 'complete'");
}

/// Serious and critical findings of axe-core, where it is there.
fn axe(browser: &mut Browser) -> Vec<String> {
    let Some(path) = std::env::var_os("PIRANHA_AXE") else { return Vec::new() };
    let source = std::fs::read_to_string(PathBuf::from(path)).expect("axe-core is there");
    browser.worth(&format!("{source}; true"));
    let found = browser.worth(
        "axe.run().then(result => result.violations
            .filter(found => ['serious', 'critical'].includes(found.impact))
            .map(found => `${found.id}: ${found.nodes.map(node => node.html).join(' ; ')}`))",
    );
    let found = found.as_array().cloned().unwrap_or_default();
    found.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

fn keep_picture(browser: &mut Browser, name: &str) {
    let Some(directory) = std::env::var_os("PIRANHA_SCREENS") else { return };
    let picture = browser.picture();
    let path = PathBuf::from(directory).join(format!("{name}.png.base64"));
    std::fs::write(path, picture).expect("a writable directory");
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn every_screen_is_clean_in_both_themes_and_three_widths() {
    let director = Director::new();
    let origin = origin(&director);
    let mut browser = Browser::start();
    let mut findings = Vec::new();
    log_in(&mut browser, &origin, "root");
    for theme in ["light", "dark"] {
        for width in [1440, 768, 360] {
            browser.screen(width, theme);
            for screen in SCREENS {
                browser.go(&format!("{origin}{screen}"));
                browser.until("document.getElementById('clock').textContent.startsWith('live')");
                let place = format!("{screen} {theme} {width}");
                let name = screen.replace(['/', '?', '=', '&'], "-");
                keep_picture(&mut browser, &format!("{width}-{theme}{name}"));
                let mut note = |what: String| findings.push(format!("{place}: {what}"));
                browser.troubles(&origin).into_iter().for_each(&mut note);
                axe(&mut browser).into_iter().for_each(&mut note);
                let wide = browser.worth("document.documentElement.scrollWidth - innerWidth");
                if wide.as_i64() > Some(0) {
                    note(format!("{wide} pixels too wide"));
                }
                let bare = browser.worth(
                    "[...document.querySelectorAll('.state')].filter(s => !s.innerText.trim()).length",
                );
                if bare != 0 {
                    note(format!("{bare} states without a word"));
                }
                // What axe-core itself does against the policy is its own affair.
                let _ = browser.troubles(&origin);
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn the_first_view_weighs_little_and_numbers_move_without_a_reload() {
    let director = Director::new();
    let origin = origin(&director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "vera");
    let _ = browser.troubles(&origin);
    browser.go(&format!("{origin}/services"));
    browser.until("document.getElementById('clock').textContent.startsWith('live')");
    assert!(browser.weight() < 150_000, "{} bytes", browser.weight());
    browser.worth("window.mark = 1");
    let time = browser.worth("document.getElementById('clock').textContent");
    browser.until(&format!("document.getElementById('clock').textContent !== {time}"));
    assert_eq!(browser.worth("window.mark"), 1, "it was not loaded again");
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn a_server_is_drained_by_keyboard_in_two_steps_and_the_dialog_gives_the_focus_back() {
    let director = Director::new();
    let origin = origin(&director);
    let oscar = director.site.log_in("oscar");
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "oscar");
    browser.go(&format!("{origin}/services?open=web"));
    browser.until("document.getElementById('clock').textContent.startsWith('live')");
    let drain = "document.querySelector('[data-server=s1] [data-act=drain]')";
    browser.worth(&format!("{drain}.focus()"));
    browser.press("Enter", 13);
    browser.until("document.getElementById('act').open");
    assert!(
        browser
            .worth("document.getElementById('act-words').textContent")
            .to_string()
            .contains("No new connections")
    );
    browser.press("Escape", 27);
    browser.until("!document.getElementById('act').open");
    browser.until(&format!("document.activeElement === {drain}"));

    browser.press("Enter", 13);
    browser.worth("document.getElementById('act-reason').focus()");
    browser.types("<b>new disk</b>");
    browser.press("Enter", 13);
    browser.until("!document.getElementById('act').open");
    browser.until("document.querySelector('[data-server=s1] .state').dataset.state === 'drain'");
    assert_eq!(browser.worth("document.querySelectorAll('main td b').length - document.querySelectorAll('main .state b, main .upof b').length"), 0);
    until("the API says so", || {
        let server = director.site.get(&oscar, "/api/v1/services/web/servers/s1");
        server["state"] == "draining"
    });
    browser.worth("document.querySelector('[data-server=s2] [data-act=disable]').click()");
    browser
        .until("document.getElementById('act').open && document.getElementById('act-go').disabled");
    assert_eq!(browser.worth("document.getElementById('act-last').hidden"), json!(false));
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn a_page_whose_server_or_daemons_are_gone_shows_nothing_as_up() {
    let director = Director::new();
    let origin = origin(&director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "vera");
    browser.go(&format!("{origin}/services/web"));
    browser.until("document.querySelectorAll('table .state[data-state=up]').length === 3");
    let Director { site, config, pulse, _files: files } = director;
    pulse.signal("INT");
    browser.until("document.querySelectorAll('main .state[data-state=up]').length === 0");
    let again = crate::daemon::Daemon::pulse(&config);
    browser.until("document.querySelectorAll('table .state[data-state=up]').length === 3");
    drop(site);
    browser.until("document.getElementById('clock').textContent.startsWith('stale')");
    browser.until("document.querySelectorAll('.state[data-state=up]').length === 0");
    assert_eq!(browser.worth("document.getElementById('stale').hidden"), json!(false));
    drop((again, files, pulse));
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn without_scripts_one_logs_in_and_reads() {
    let director = Director::new();
    let origin = origin(&director);
    let mut browser = Browser::start();
    browser.call("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    log_in(&mut browser, &origin, "vera");
    for (path, expected) in [("/", "been active for"), ("/services", "web"), ("/events", "lvs")] {
        browser.go(&format!("{origin}{path}"));
        let text = browser.worth("document.body.innerText").to_string();
        assert!(text.contains(expected) && text.contains("UP") || path == "/events", "{text}");
    }
}

/// Puts the clocks of a page ahead by `window.ahead` milliseconds, and starts them on another day.
const CLOCKS: &str = "{
    window.ahead = 0;
    const [since, date] = [performance.now.bind(performance), Date.now];
    performance.now = () => since() + window.ahead;
    Date.now = () => date() - 1_000_000_000_000 + window.ahead;
}";

/// A screen on the wall of four times 1080 lines, whose clock is wrong and was stopped for a while.
#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn a_kiosk_in_4k_needs_no_hand_and_believes_the_server_and_not_its_own_clock() {
    let director = Director::new();
    let origin = origin(&director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "vera");
    browser.screen_of((3840, 2160), "dark");
    browser.call("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": CLOCKS }));
    browser.go(&format!("{origin}/kiosk"));
    let live = "document.getElementById('clock').textContent.startsWith('live')";
    browser.until(live);
    keep_picture(&mut browser, "3840-dark-kiosk");
    let year = browser.worth("new Date(Date.now()).getFullYear()");
    assert!(year.as_i64().is_some_and(|year| year < 2000), "{year}");
    // The time on it is that of the server, to the minute.
    let minutes = "{ const [h, m] = document.getElementById('clock').textContent.match(/\\d\\d/g).map(Number); h * 60 + m }";
    let shown = browser.worth(minutes).as_u64().unwrap_or_default();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let right = now.as_secs() / 60 % 1440;
    assert!((right + 1440 - shown) % 1440 <= 2, "{shown} of {right}");

    let size = "parseFloat(getComputedStyle(document.body).fontSize)";
    assert!(browser.worth(size).as_f64().is_some_and(|size| size >= 30.0), "legible from afar");
    for (what, expected) in [
        ("document.querySelectorAll('nav, button, input, form').length", json!(0)),
        ("document.documentElement.scrollWidth - innerWidth <= 0", json!(true)),
        ("document.documentElement.scrollHeight - innerHeight <= 0", json!(true)),
    ] {
        assert_eq!(browser.worth(what), expected, "{what}");
    }
    let nodes = browser.worth("document.querySelectorAll('*').length").as_u64().unwrap_or_default();
    for _ in 0..3 {
        // Ten minutes in which nothing came are said to be stale, until something comes.
        browser.worth("{ window.was = false;
            new MutationObserver(() => { window.was ||= document.body.classList.contains('stale-page'); })
                .observe(document.body, { attributes: true }); }");
        browser.until("window.was || (window.ahead += 600_000, false)");
        browser.until(&format!("{live} && !document.body.classList.contains('stale-page')"));
        browser.until("document.querySelectorAll('main .state[data-state=up]').length > 0");
    }
    let after = browser.worth("document.querySelectorAll('*').length").as_u64().unwrap_or_default();
    assert!(after <= nodes + 20, "{after} after {nodes}");
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}
