//! Two real directors, each with its pages: who is active, switching over, and the pictures of the
//! documentation.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::devtools::Browser;
use super::screens::{log_in, origin_of};
use crate::client::Asked;
use crate::daemon::{read_from, until, word_server};
use crate::director::{Pair, addresses, service};
use crate::site::{Session, Site};

const PAGES: [&str; 6] = ["/", "/services", "/services/web", "/cluster", "/events", "/help"];

/// What every page says of its node, by word and by the band across the top.
fn is_shown_as(browser: &mut Browser, state: &str) {
    let band = state.to_lowercase();
    browser.until(&format!(
        "document.querySelector('.top .badge').innerText.includes('{state}') && \
         document.querySelector('.top').classList.contains('band-{band}') && \
         document.title.includes(' {state} ')"
    ));
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn both_nodes_say_on_every_page_who_is_active_and_a_switch_over_swaps_them() {
    let at = addresses();
    let server = word_server(&format!("{}:0", at(3)), "here");
    let pair = Pair::new(&at, &service("web", &at(2), &[("s1", server)]));
    let origins = pair.sites.each_ref().map(origin_of);
    let mut browser = Browser::start();
    let tabs = [browser.open(), browser.open()];
    for ((tab, origin), state) in tabs.iter().zip(&origins).zip(["ACTIVE", "STANDBY"]) {
        browser.turn_to(tab);
        log_in(&mut browser, origin, "oscar");
        for page in PAGES {
            browser.go(&format!("{origin}{page}"));
            is_shown_as(&mut browser, state);
        }
        browser.go(&format!("{origin}/cluster"));
        browser.worth("window.mark = 1");
    }
    let edge = "getComputedStyle(document.querySelector('.top')).borderTopStyle";
    assert_eq!(browser.worth(edge), "double", "the band of the standby has another shape");
    let button = "document.querySelector('[data-act=failover]')";
    assert_eq!(
        browser.worth(&format!("{button} === null")),
        json!(true),
        "there is nothing to pass"
    );

    browser.turn_to(&tabs[0]);
    browser.until(&format!("{button} !== null && !{button}.disabled"));
    browser.until("document.querySelector('.verdict').innerText.includes('READY')");
    browser.worth(&format!("{button}.click()"));
    browser.until("document.getElementById('act').open");
    assert_eq!(browser.worth("document.getElementById('act-go').disabled"), json!(true));
    let node = browser.worth("document.body.dataset.node");
    browser.worth("document.getElementById('act-name').focus()");
    browser.types(node.as_str().unwrap_or_default());
    browser.until("!document.getElementById('act-go').disabled");
    browser.worth("document.getElementById('act-go').click()");
    browser.until("!document.getElementById('act').open");
    for (tab, state) in tabs.iter().zip(["STANDBY", "ACTIVE"]) {
        browser.turn_to(tab);
        is_shown_as(&mut browser, state);
        assert_eq!(browser.worth("window.mark"), 1, "without a reload");
    }
    for origin in &origins {
        let others: Vec<_> = browser.troubles(origin);
        let own = |trouble: &String| origins.iter().any(|own| trouble.contains(own));
        assert!(others.iter().all(own), "{others:?}");
    }
}

/// The most bytes of a picture; how many it has depends on the fonts that are there.
const SMALL: usize = 200_000;

/// A picture: its name, the size and theme of the screen, the page, and what is done there first.
type Picture = (&'static str, (u32, u32), &'static str, &'static str, &'static str);

const PICTURES: [Picture; 6] = [
    ("overview-light", (960, 620), "light", "/", ""),
    ("overview-dark", (960, 620), "dark", "/", ""),
    ("service", (1100, 860), "light", "/services/web", ""),
    ("config", (1240, 620), "dark", "/config", CHANGED),
    ("history", (1000, 640), "light", "/config/history?from=1&to=3", ""),
    ("phone", (390, 780), "light", "/services/web", ""),
];

/// A draft with two changes.
const CHANGED: &str = "{
    const draft = document.getElementById('draft');
    draft.value = draft.value.replace('scheduler = rr', 'scheduler = wlc').replace('deadtime = 3', 'deadtime = 5');
    draft.dispatchEvent(new Event('input'));
    document.getElementById('reason').value = 'longer connections since the new shop';
}";

/// A server that keeps each connection for a while.
fn slow_server(address: &str) -> SocketAddr {
    let listener = TcpListener::bind(address).expect("a free loopback address");
    let local = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(1500));
                let _gone = stream.write_all(&[b'x'; 4096]);
            });
        }
    });
    local
}

/// Clients for so long, now more of them and now fewer.
fn clients(vips: Vec<String>, lasting: Duration) {
    thread::spawn(move || {
        let begun = Instant::now();
        for turn in 0_u64.. {
            if begun.elapsed() > lasting {
                return;
            }
            let vip = format!(
                "{}:8080",
                vips[usize::from(turn % 5 == 0) + usize::from(turn % 9 == 0) % vips.len()]
            );
            thread::spawn(move || drop(read_from(&vip)));
            thread::sleep(Duration::from_millis(40 + 25 * (turn / 60 % 4)));
        }
    });
}

/// Three services: one is well, of one a server is drained, of one a server is down.
fn scene(at: &impl Fn(u8) -> String) -> Pair {
    let servers: Vec<_> =
        (5..13).map(|place| slow_server(&format!("{}:8081", at(place)))).collect();
    let gone = SocketAddr::new(servers[7].ip(), 8099);
    let services = [
        service(
            "web",
            &at(2),
            &[
                ("web1", servers[0]),
                ("web2", servers[1]),
                ("web3", servers[2]),
                ("web4", servers[3]),
            ],
        ),
        service("shop", &at(3), &[("shop1", servers[4]), ("shop2", servers[5]), ("shop3", gone)]),
        service("mail", &at(4), &[("mail1", servers[6]), ("mail2", servers[7])]),
    ];
    Pair::new(at, &services.concat())
}

fn told(
    site: &Site,
    session: &Session,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &Value,
) {
    let mut asked = session.sends(Asked::new(method, path)).json(body);
    for (name, value) in fields {
        asked = asked.with(name, value);
    }
    let answer = site.client.ask(&asked);
    assert!(answer.status < 300, "{path}: {answer:?}");
}

/// Two revisions more, each with its reason.
fn past(site: &Site, root: &Session) {
    let api = "/api/v1/config";
    let revisions =
        || site.get(root, &format!("{api}/revisions"))["revisions"].as_array().map_or(0, Vec::len);
    until("the first revision is recorded", || revisions() == 1);
    for (from, to, why) in [
        ("timeout = 2", "timeout = 3", "checks timed out during backups"),
        (
            "        active = 1\n    }\n    server web2",
            "        active = 1\n        weight = 3\n    }\n    server web2",
            "web1 has new hardware",
        ),
    ] {
        let raw = site.client.ask(&root.sends(Asked::new("GET", &format!("{api}/raw"))));
        let text = raw.json()["text"].as_str().unwrap_or_default().replacen(from, to, 1);
        let body = json!({ "text": text, "confirm_within": 0, "partner": false, "reason": why });
        told(
            site,
            root,
            "POST",
            &format!("{api}/apply"),
            &[("if-match", raw.field("etag"))],
            &body,
        );
    }
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn the_pictures_of_the_documentation_are_made_of_a_live_pair_and_small() {
    let directory = std::env::var_os("PIRANHA_SCREENSHOTS").map(PathBuf::from);
    let at = addresses();
    let pair = scene(&at);
    for site in &pair.sites {
        past(site, &site.log_in("root"));
    }
    let site = &pair.sites[0];
    let root = site.log_in("root");
    let said = json!({ "state": "drain", "reason": "new disk" });
    told(site, &root, "PUT", "/api/v1/services/web/servers/web3/override", &[], &said);
    clients((2..5).map(&at).collect(), Duration::from_secs(180));
    // The line of the last minute wants a minute.
    thread::sleep(Duration::from_secs(if directory.is_some() { 62 } else { 1 }));
    let origin = origin_of(site);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "root");
    let words = disguises(&mut browser, &at);
    for (name, size, theme, page, before) in PICTURES {
        browser.screen_of(size, theme);
        browser.go(&format!("{origin}{page}"));
        browser.until("document.getElementById('clock').textContent.startsWith('live')");
        if !before.is_empty() {
            browser.worth(before);
            browser.until("document.querySelectorAll('#changes li').length > 1");
        }
        if page == "/services/web" {
            browser.until("document.querySelectorAll('#graphs figure path').length === 4");
        }
        let picture = decode(&disguised(&mut browser, &words));
        let bytes = picture.len();
        assert!(picture.starts_with(b"\x89PNG"), "{name}");
        if let Some(directory) = &directory {
            let file = directory.join(format!("{name}.png"));
            std::fs::write(file, picture).expect("a writable directory");
        }
        assert!(bytes < SMALL, "{name}: {bytes} bytes");
    }
}

/// Words of this machine, and what stands for them in the documentation.
fn disguises(browser: &mut Browser, at: &impl Fn(u8) -> String) -> Vec<(String, String)> {
    let node = browser.worth("document.body.dataset.node").as_str().unwrap_or_default().to_owned();
    let origin = browser.worth("location.origin").as_str().unwrap_or_default().to_owned();
    browser.go(&format!("{origin}/config"));
    let file = browser.worth("document.getElementById('draft').dataset.file");
    let file = file.as_str().unwrap_or_default().to_owned();
    let mut words: Vec<_> =
        (0..16).map(|place| (at(place), format!("192.0.2.{}", 10 + place))).collect();
    words.extend([(file, "/etc/sysconfig/ha/lvs.cf".to_owned()), (node, "lb1".to_owned())]);
    // None is to be taken for the beginning of a longer one.
    words.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    words
}

/// A picture of the page with these words put for others: pages are drawn anew at any moment, so
/// that may take some attempts.
fn disguised(browser: &mut Browser, words: &[(String, String)]) -> String {
    let shown = |browser: &mut Browser| {
        let text = browser.worth("document.body.innerText").to_string();
        words.iter().any(|(from, _)| text.contains(from))
    };
    for _ in 0..30 {
        browser.worth(&format!(
            "{{ const words = {};
                const put = (text) => words.reduce((made, [from, to]) => made.replaceAll(from, to), text);
                const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                while (walk.nextNode()) {{ walk.currentNode.data = put(walk.currentNode.data); }}
                const draft = document.getElementById('draft');
                if (draft) {{ draft.value = put(draft.value); }} }}",
            json!(words)
        ));
        let picture = browser.picture();
        if !shown(browser) {
            return picture;
        }
    }
    panic!("the page is drawn anew all the time");
}

/// Base64 (RFC 4648).
fn decode(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => Some(u32::from(letter - b'A')),
        b'a'..=b'z' => Some(u32::from(letter - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(letter - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let letters: Vec<_> = text.bytes().filter_map(value).collect();
    let bytes = letters.chunks(4).flat_map(|four| {
        let whole = four.iter().fold(0, |whole, six| whole << 6 | six) << (6 * (4 - four.len()));
        whole.to_be_bytes().into_iter().skip(1).take(four.len() - 1).collect::<Vec<_>>()
    });
    bytes.collect()
}
