//! Operating several servers at once, the picture of a service, its connections, the table.

use serde_json::json;

use super::devtools::Browser;
use super::screens::{log_in, origin};
use crate::client::Asked;
use crate::daemon::until;
use crate::director::Director;

fn operator(director: &Director, path: &str) -> (Browser, String) {
    let origin = origin(director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "oscar");
    browser.go(&format!("{origin}{path}"));
    browser.until("document.getElementById('clock').textContent.startsWith('live')");
    (browser, origin)
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn marked_servers_are_drained_together_after_one_confirmation_and_the_last_ones_are_guarded() {
    let director = Director::new();
    let oscar = director.site.log_in("oscar");
    let (mut browser, origin) = operator(&director, "/services?open=web");
    assert_eq!(browser.worth("document.getElementById('bulk').hidden"), json!(true));
    browser.worth("document.querySelector('.inner [data-mark-all]').click()");
    browser.until("document.getElementById('bulk-count').textContent === '2 servers marked'");
    browser.worth("document.querySelector('[data-bulk=drain]').click()");
    browser.until("document.getElementById('act').open");
    let words = browser.worth("document.getElementById('act').innerText").to_string();
    for expected in ["Drain 2 servers", "web/s1: 0 active", "web/s2", "leaves web without a server"]
    {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    assert_eq!(browser.worth("document.getElementById('act-go').disabled"), json!(true));
    browser.worth("document.getElementById('act-force').click()");
    browser.until("!document.getElementById('act-go').disabled");
    browser.worth("document.getElementById('act-go').click()");
    browser.until("!document.getElementById('act').open");
    browser.until(
        "document.querySelectorAll('tr[data-server] .state[data-state=drain]').length === 2",
    );
    browser.until("document.getElementById('bulk').hidden");
    browser.worth("document.querySelector('#undo button').click()");
    until("both are up again", || {
        let service = director.site.get(&oscar, "/api/v1/services/web");
        service["servers"].to_string().matches("\"state\":\"up\"").count() == 2
    });

    // Marks outlive rows that are drawn anew.
    browser.worth("document.querySelector('[data-server=s1] [data-mark]').click()");
    browser.until("document.getElementById('bulk-count').textContent === '1 server marked'");
    browser.worth("document.querySelector('[data-server=s1]').mark = 'old'");
    browser.until("document.querySelector('[data-server=s1]').mark === undefined");
    browser.until("document.querySelector('[data-server=s1] [data-mark]').checked");
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn a_marked_service_is_all_its_servers_and_what_was_said_of_them_comes_back_when_it_is_undone() {
    let director = Director::new();
    let (root, oscar) = (director.site.log_in("root"), director.site.log_in("oscar"));
    let path = "/api/v1/services/web/servers/s1/override";
    let heavy =
        oscar.sends(Asked::new("PUT", path)).json(&json!({ "state": "weight", "weight": 7 }));
    assert_eq!(director.site.client.ask(&heavy).status, 200);
    let (mut browser, origin) = operator(&director, "/services?open=web");
    browser.worth("document.querySelector('#services > thead [data-mark-all]').click()");
    browser.worth("document.querySelector('[data-server=s1] [data-mark]').click()");
    // It is one of them already.
    browser.until("document.getElementById('bulk-count').textContent === '1 service marked'");
    browser.worth("document.querySelector('[data-bulk=drain]').click()");
    browser.until("document.getElementById('act').open");
    let words = browser.worth("document.getElementById('act').innerText").to_string();
    for expected in ["Drain all servers of web", "2 of them", "leaves web without a server"] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    browser.worth("document.getElementById('act-force').click()");
    browser.worth("document.getElementById('act-reason').value = 'disks'");
    browser.worth("document.getElementById('act-go').click()");
    browser.until("!document.getElementById('act').open");
    browser.until(
        "document.querySelectorAll('tr[data-server] .state[data-state=drain]').length === 2",
    );
    let entry = director.site.get(&root, "/api/v1/audit")["entries"][0].clone();
    assert_eq!(
        (&entry["action"], &entry["target"], &entry["reason"]),
        (&json!("server.drain"), &json!("web/*"), &json!("disks"))
    );
    browser.worth("document.querySelector('#undo button').click()");
    let said = || director.site.get(&oscar, "/api/v1/overrides")["overrides"].clone();
    until("only what was said before is said", || {
        let said = said();
        said.as_array().map(Vec::len) == Some(1)
            && (&said[0]["server"], &said[0]["word"]["weight"]) == (&json!("s1"), &json!(7))
    });
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn columns_of_the_services_are_chosen_by_keyboard_and_stay_so_in_this_browser() {
    let director = Director::new();
    let (mut browser, origin) = operator(&director, "/services");
    let shown = |column: &str| {
        format!(
            "[...document.querySelectorAll('#services [data-col={column}]')]
                .every((cell) => cell.checkVisibility())"
        )
    };
    browser.until(&shown("cps"));
    browser.worth("document.querySelector('#chooser summary').focus()");
    browser.press("Enter", 13);
    browser.until("document.getElementById('chooser').open");
    browser.worth("document.querySelector('#chooser [value=cps]').focus()");
    browser.press(" ", 32);
    browser.until(&format!("!({})", shown("cps")));
    assert_eq!(browser.worth(&shown("active")), json!(true), "the others stay");
    // Rows that are drawn anew, and another page.
    browser.worth("document.querySelector('#services tbody tr').mark = 'old'");
    let oscar = director.site.log_in("oscar");
    let put = oscar.sends(Asked::new("PUT", "/api/v1/services/web/servers/s1/override"));
    let heavy = put.json(&json!({ "state": "weight", "weight": 7 }));
    assert_eq!(director.site.client.ask(&heavy).status, 200);
    browser.until("document.querySelector('#services tbody tr').mark === undefined");
    assert_eq!(browser.worth(&shown("cps")), json!(false));
    browser.go(&format!("{origin}/help"));
    browser.go(&format!("{origin}/services"));
    browser.until(&format!("!({})", shown("cps")));
    browser.worth("document.querySelector('#chooser [value=cps]').click()");
    browser.until(&shown("cps"));
    // Without scripts there is nothing to choose by, and every column.
    browser.call("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.go(&format!("{origin}/services"));
    assert_eq!(browser.worth("document.getElementById('chooser').hidden"), json!(true));
    assert_eq!(browser.worth(&shown("cps")), json!(true));
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn a_service_has_a_picture_which_is_a_list_where_it_has_no_room() {
    let director = Director::new();
    let (mut browser, origin) = operator(&director, "/services/web");
    let shown = |browser: &mut Browser, what: &str| {
        browser
            .worth(&format!("document.querySelector('{what}').getBoundingClientRect().height > 30"))
    };
    browser.screen(1440, "light");
    assert_eq!(shown(&mut browser, "#flow svg"), json!(true));
    let ways = "document.querySelectorAll('#flow .way:not(.shut)').length";
    assert_eq!(browser.worth(ways), 3, "to the scheduler and to both servers");
    browser.screen(360, "light");
    assert_eq!(shown(&mut browser, "#flow svg"), json!(false));
    assert_eq!(shown(&mut browser, "#flow ul"), json!(true));
    let list = browser.worth("document.querySelector('#flow ul').innerText").to_string();
    assert!(
        list.contains("UP") && list.contains("s1") && list.contains("weight 1, 50 %"),
        "{list}"
    );

    browser.go(&format!("{origin}/services/web/connections"));
    let text = browser.worth("document.getElementById('connections').innerText").to_string();
    assert!(text.contains("s1") && text.contains("the relay counts connections"), "{text}");
    browser.go(&format!("{origin}/ipvsadm"));
    let text = browser.worth("document.getElementById('listing').textContent");
    let text = text.as_str().unwrap_or_default();
    assert!(text.starts_with("Prot LocalAddress:Port Scheduler Flags\n"), "{text}");
    assert!(text.contains(":8080 rr\n") && text.matches(" Masq    1 ").count() == 2, "{text}");
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}
