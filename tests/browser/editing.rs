//! lvs.cf in the browser: the editor, the forms, the review, and the way back.

use serde_json::json;

use super::devtools::Browser;
use super::screens::{log_in, origin};
use crate::daemon::until;
use crate::director::Director;

fn file(director: &Director) -> String {
    std::fs::read_to_string(&director.config).unwrap()
}

/// The editor as an admin has it, once it has said what it thinks of the file.
fn editor(director: &Director) -> (Browser, String) {
    let origin = origin(director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "root");
    browser.go(&format!("{origin}/config"));
    browser.until("document.getElementById('sum').textContent.includes('is what is in force')");
    (browser, origin)
}

/// Puts one text for another in the draft, as typing does.
fn replace(browser: &mut Browser, from: &str, to: &str) {
    let (from, to) = (json!(from), json!(to));
    browser.worth(&format!(
        "{{ const draft = document.getElementById('draft');
            const at = draft.value.indexOf({from});
            draft.focus();
            draft.setSelectionRange(at, at + {from}.length); }}"
    ));
    browser.types(to.as_str().unwrap_or_default());
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn an_error_is_marked_where_it_is_and_cannot_be_applied_and_a_change_is_told_and_can() {
    let director = Director::new();
    let before = file(&director);
    let (mut browser, origin) = editor(&director);
    assert_eq!(browser.worth("document.getElementById('draft').value"), json!(before));
    replace(&mut browser, "scheduler = rr", "scheduler = nothing");
    browser.until("document.querySelectorAll('#findings .error').length === 1");
    assert_eq!(browser.worth("document.getElementById('apply').disabled"), json!(true));
    assert_eq!(browser.worth("document.querySelector('#marks mark').textContent"), "nothing");
    let line = before.lines().position(|line| line.contains("scheduler")).unwrap() + 1;
    let marked = "document.querySelector('#gutter .marked').textContent.trim()";
    assert_eq!(browser.worth(marked), json!(line.to_string()));

    replace(&mut browser, "scheduler = nothing", "scheduler = wlc");
    browser.until("document.getElementById('changes').textContent.includes('scheduler rr to wlc')");
    browser.until("!document.getElementById('apply').disabled");
    browser.worth("document.getElementById('apply').focus()");
    browser.press("Enter", 13);
    browser.until("document.getElementById('sum').textContent.includes('is in force')");
    assert_eq!(file(&director), before.replace("scheduler = rr", "scheduler = wlc"));
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn a_form_changes_the_draft_and_what_is_on_trial_counts_down_and_is_taken_back() {
    let director = Director::new();
    let before = file(&director);
    let (mut browser, origin) = editor(&director);
    browser.worth("document.getElementById('tab-forms').click()");
    browser.until("document.querySelector('#settings [data-directive=deadtime]') !== null");
    browser.worth(
        "{ const field = document.querySelector('#settings [data-directive=deadtime]');
           field.value = '450ms';
           field.dispatchEvent(new Event('change')); }",
    );
    browser.until("document.getElementById('sum').textContent.includes('goes back by itself')");
    let draft = before.replace("deadtime = 300ms", "deadtime = 450ms");
    assert_eq!(browser.worth("document.getElementById('draft').value"), json!(draft));
    browser.until("!document.getElementById('apply').disabled");
    browser.worth("document.getElementById('apply').click()");
    browser.until("document.querySelector('[data-left]') !== null");
    assert_eq!(file(&director), draft);
    let left = browser.worth("document.querySelector('[data-left]').textContent");
    browser.until(&format!("document.querySelector('[data-left]').textContent !== {left}"));
    browser.worth("document.querySelector('[data-post$=undo]').click()");
    browser.until("document.querySelector('[data-left]') === null");
    until("the file is as it was", || file(&director) == before);
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn a_draft_from_a_file_that_was_changed_since_is_refused_and_kept() {
    let director = Director::new();
    let (mut browser, _) = editor(&director);
    replace(&mut browser, "scheduler = rr", "scheduler = wlc");
    browser.until("!document.getElementById('apply').disabled");
    let by_hand = format!("# by somebody else\n{}", file(&director));
    std::fs::write(&director.config, &by_hand).unwrap();
    browser.worth("document.getElementById('apply').click()");
    browser.until("!document.getElementById('apply-fault').hidden");
    let fault = browser.worth("document.getElementById('apply-fault').textContent").to_string();
    assert!(fault.contains("somebody else"), "{fault}");
    assert_eq!(file(&director), by_hand, "nothing was overwritten");
    let draft = browser.worth("document.getElementById('draft').value").to_string();
    assert!(draft.contains("scheduler = wlc"), "{draft}");
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn a_check_that_is_run_shows_its_transcript_and_a_drain_can_be_undone() {
    let director = Director::new();
    let origin = origin(&director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "oscar");
    browser.go(&format!("{origin}/services/web"));
    browser.until("document.getElementById('clock').textContent.startsWith('live')");
    browser.worth("document.querySelector('[data-server=s1] [data-check]').click()");
    browser.until("document.getElementById('told-words').textContent.includes('passed')");
    browser.until("document.getElementById('told-text').textContent.length > 0");
    browser.press("Escape", 27);
    browser.until("!document.getElementById('told').open");

    browser.worth("document.querySelector('[data-server=s1] [data-act=weight]').click()");
    browser.until("document.getElementById('act-share').textContent.includes('50 %')");
    browser.press("Escape", 27);
    browser.until("!document.getElementById('act').open");
    browser.worth("document.querySelector('[data-server=s1] [data-act=drain]').click()");
    browser.until("document.getElementById('act').open");
    browser.worth("document.getElementById('act-go').click()");
    browser.until("document.querySelector('[data-server=s1] .state').dataset.state === 'drain'");
    browser.worth("document.querySelector('#undo button').click()");
    browser.until("document.querySelector('[data-server=s1] .state').dataset.state === 'up'");
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn a_token_is_shown_once_and_a_service_has_a_graph_of_the_last_minutes() {
    let director = Director::new();
    let origin = origin(&director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "root");
    browser.go(&format!("{origin}/accounts"));
    browser.worth("document.querySelector('#add-token [name=name]').value = 'backup'");
    browser.worth("document.querySelector('#add-token button').click()");
    browser.until("!document.getElementById('shown-once').hidden");
    let token = browser.worth("document.getElementById('new-token').textContent");
    assert!(token.as_str().is_some_and(|token| token.starts_with("piranha_")), "{token}");
    browser.go(&format!("{origin}/services/web"));
    let graph = "document.querySelector('#graph-up path')?.getAttribute('d')";
    browser.until(&format!("{graph}?.startsWith('M') ?? false"));
    browser.until("document.querySelector('#graph-up figcaption').textContent.includes('now 2')");
    browser.go(&format!("{origin}/accounts"));
    assert_eq!(browser.worth("document.getElementById('shown-once').hidden"), json!(true));
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn what_stands_several_times_has_a_field_each_and_a_service_is_renamed_in_the_forms() {
    let director = Director::new();
    let before = file(&director);
    let (mut browser, origin) = editor(&director);
    browser.worth("document.getElementById('tab-forms').click()");
    browser.worth("document.getElementById('all').click()");
    let field = |nth: u32| {
        format!("document.querySelector('#settings [data-directive=\"sync_file {nth}\"]')")
    };
    for (nth, path) in [(1, "/etc/one"), (2, "/etc/two")] {
        browser.until(&format!("{} !== null", field(nth)));
        let typed = "field.value = path; field.dispatchEvent(new Event('change'));";
        browser
            .worth(&format!("{{ const field = {}; const path = '{path}'; {typed} }}", field(nth)));
        browser.until(&format!("document.getElementById('draft').value.includes('{path}')"));
    }
    browser.until(&format!("{} !== null", field(3)));
    browser.worth("document.querySelector('[aria-label=\"Remove sync_file, number 1\"]').click()");
    browser.until("!document.getElementById('draft').value.includes('/etc/one')");

    browser.until("document.getElementById('place').options.length > 1");
    browser.worth(
        "{ const place = document.getElementById('place');
           place.value = '[\"web\"]';
           place.dispatchEvent(new Event('change'));
           document.getElementById('new-name').value = 'shop';
           document.getElementById('rename-block').click(); }",
    );
    browser.until("document.getElementById('draft').value.includes('virtual shop {')");
    browser.until("document.getElementById('place').value === '[\"shop\"]'");
    let draft = browser.worth("document.getElementById('draft').value");
    let draft = draft.as_str().unwrap_or_default().replace("virtual shop", "virtual web");
    let kept: Vec<_> = draft.lines().filter(|line| !line.contains("sync_file")).collect();
    assert_eq!(kept.join("\n").trim(), before.trim(), "every other line is as it was");
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}
