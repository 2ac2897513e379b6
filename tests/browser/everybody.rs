//! By keyboard alone, without colours, in many windows, with many services.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::devtools::Browser;
use super::screens::{log_in, origin};
use crate::daemon::word_server;
use crate::director::{Director, addresses};

const SCREENS: [&str; 7] = [
    "/",
    "/services?open=web",
    "/services/web",
    "/cluster",
    "/config",
    "/config/history?from=1&to=file",
    "/accounts",
];

/// Remembers on the page what the focus was on, and whether one could see it there.
const FOLLOW: &str = "{
    const name = (e) => [e.tagName, e.id, e.getAttribute('href'), e.getAttribute('aria-label') ?? e.textContent.trim().slice(0, 60), e.name].join('|');
    const seen = (e) => e.checkVisibility() && e.getClientRects().length > 0;
    const chosen = (e) => e.type !== 'radio' || e.checked;
    window.reached = new Set();
    window.unseen = new Set();
    window.wanted = () => [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
        .filter((e) => !e.disabled && e.type !== 'hidden' && e.tabIndex >= 0 && chosen(e) && seen(e))
        .map(name);
    document.addEventListener('focusin', ({ target }) => {
        window.reached.add(name(target));
        const style = getComputedStyle(target);
        if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) {
            window.unseen.add(name(target));
        }
    });
}";

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn the_tab_key_reaches_every_action_and_the_focus_can_be_seen() {
    let director = Director::new();
    let origin = origin(&director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "root");
    let mut findings = Vec::new();
    for screen in SCREENS {
        browser.go(&format!("{origin}{screen}"));
        browser.until("document.getElementById('clock').textContent.startsWith('live')");
        browser.worth(FOLLOW);
        let many = browser.worth("window.wanted().length").as_u64().unwrap_or_default();
        for _ in 0..many + 20 {
            browser.press("Tab", 9);
        }
        let missed = "window.wanted().filter((name) => !window.reached.has(name))";
        for what in ["[...window.unseen]", missed] {
            let found = browser.worth(what).as_array().cloned().unwrap_or_default();
            findings.extend(found.iter().map(|name| format!("{screen}: {name} of {what}")));
        }
        assert!(many > 10, "{screen}: {many}");
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn states_have_shapes_that_differ_without_any_colour() {
    let director = Director::new();
    let origin = origin(&director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "vera");
    browser.go(&format!("{origin}/help"));
    let all = "[...document.querySelectorAll('.narrow .state')].map((s) => [s.dataset.state, s.innerText.trim()])";
    let all = browser.worth(all).as_array().cloned().unwrap_or_default();
    let mut shapes = BTreeMap::new();
    for (place, state) in all.iter().enumerate() {
        // All in black, at one place: what differs is the shape.
        browser.worth(&format!(
            "{{ const glyph = document.querySelectorAll('.narrow .state svg')[{place}].cloneNode(true);
                const probe = document.getElementById('probe') ?? document.body.appendChild(Object.assign(document.createElement('div'), {{ id: 'probe' }}));
                Object.assign(probe.style, {{ position: 'fixed', left: 0, top: 0, width: '40px', height: '40px', background: '#fff', color: '#000', zIndex: 99 }});
                Object.assign(glyph.style, {{ width: '40px', height: '40px', display: 'block', '--on-red': '#fff' }});
                probe.replaceChildren(glyph); }}"
        ));
        let drawn = browser.detail((0, 0), 40, 1);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (shape, word) = (text(&state[0]), text(&state[1]));
        assert!(!word.is_empty(), "{shape} has no word");
        let other = shapes.insert(drawn, shape.clone()).filter(|other| *other != shape);
        assert!(other.is_none(), "{shape} looks like {other:?}");
    }
    for expected in ["up", "down", "drain", "off", "falling", "rising", "degraded", "unknown"] {
        assert!(shapes.values().any(|shape| shape == expected), "{expected}: {shapes:?}");
    }
    let words: std::collections::BTreeSet<_> =
        all.iter().map(|state| state[1].to_string()).collect();
    assert_eq!(words.len(), all.len(), "every state has a word of its own: {words:?}");
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn eight_windows_at_once_are_live_and_what_is_done_in_one_is_seen_in_all() {
    let director = Director::new();
    let origin = origin(&director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "oscar");
    let tabs: Vec<_> = (0..8)
        .map(|_| {
            let tab = browser.open();
            browser.go(&format!("{origin}/services/web"));
            browser.until("document.getElementById('clock').textContent.startsWith('live')");
            tab
        })
        .collect();
    browser.turn_to(&tabs[7]);
    browser.worth("document.querySelector('[data-server=s1] [data-act=drain]').click()");
    browser.worth("document.getElementById('act-go').click()");
    for tab in &tabs {
        browser.turn_to(tab);
        browser
            .until("document.querySelector('[data-server=s1] .state').dataset.state === 'drain'");
        let clock = browser.worth("document.getElementById('clock').textContent");
        browser.until(&format!("document.getElementById('clock').textContent !== {clock}"));
        browser.until("document.getElementById('clock').textContent.startsWith('live')");
    }
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}

/// Services and servers of the large one.
const SERVICES: u16 = 200;
const SERVERS: u8 = 20;

/// Ticks that are looked at.
const TICKS: u32 = 12;

/// The most of a processor that one tick may take on the page, in the mean, whatever else the
/// machine does.
const MOST: Duration = Duration::from_millis(300);

/// The longest that the page may be busy with one thing after its start, by the clock on the wall:
/// generous, since this machine may do much else; more than that somebody notices.
const LONGEST: u64 = 1000;

/// How many of the tasks that a browser calls long (50 ms) there may be for each tick.
const LONG_ONES: u64 = 2;

fn large(at: &impl Fn(u8) -> String, servers: &[SocketAddr]) -> String {
    let server = |(number, address): (usize, &SocketAddr)| {
        let (ip, port) = (address.ip(), address.port());
        format!("server r{number} {{\naddress = {ip}\nport = {port}\nactive = 1\n}}\n")
    };
    let servers: String = servers.iter().enumerate().map(server).collect();
    let vip = at(1);
    let service = |number: u16| {
        format!(
            "virtual service-{number} {{\nactive = 1\naddress = {vip} lo\nport = {}\n\
             scheduler = rr\ncheck = connect\nreentry = 10\nrise = 1\n{servers}}}\n",
            10_000 + number
        )
    };
    let services: String = (0..SERVICES).map(service).collect();
    format!(
        "role = primary\nprimary = {}\nheartbeat_port = 5394\nkeepalive = 500ms\ndeadtime = 5\n\
         dataplane = relay\n{services}",
        at(0)
    )
}

/// Connects to one service after the other until it is dropped, so that numbers change.
struct Clients(Arc<AtomicBool>);

impl Clients {
    fn start(vip: String) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        thread::spawn(move || {
            for turn in 0..20_000_u32 {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                // Each service now and then, and a few of them often.
                let few = turn % 2 == 0;
                let port = 10_000 + turn / 2 % if few { 5 } else { u32::from(SERVICES) };
                if let Ok(address) = format!("{vip}:{port}").parse() {
                    let _refused = TcpStream::connect_timeout(&address, Duration::from_secs(1));
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        Self(ended)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Nodes that are in use: what was drawn before and is not shown any more does not count.
fn kept(browser: &mut Browser) -> f64 {
    browser.call("HeapProfiler.collectGarbage", &json!({}));
    browser.metric("Nodes")
}

#[test]
#[ignore = "needs Chromium: tests/run browser"]
fn two_hundred_services_of_twenty_servers_are_followed_with_little_work_and_no_growth() {
    let at = addresses();
    let servers: Vec<_> =
        (0..SERVERS).map(|_| word_server(&format!("{}:0", at(2)), "here")).collect();
    let director = Director::of(&large(&at, &servers));
    let origin = origin(&director);
    let mut browser = Browser::start();
    log_in(&mut browser, &origin, "vera");
    let _ = browser.troubles(&origin);
    browser.go(&format!("{origin}/services"));
    browser.until("document.getElementById('clock').textContent.startsWith('live')");
    assert!(browser.weight() < 150_000, "{} bytes", browser.weight());
    let rows = browser.worth("document.querySelectorAll('tr[data-service]').length");
    assert_eq!(rows, SERVICES);
    browser.until("document.querySelectorAll('#services .state[data-state=up]').length === 200");
    browser.worth(
        "{ window.ticks = 0; window.long = [];
           new MutationObserver(() => { window.ticks += 1; }).observe(document.getElementById('clock'), { childList: true });
           new PerformanceObserver((list) => window.long.push(...list.getEntries().map((task) => Math.round(task.duration)))).observe({ type: 'longtask' }); }",
    );
    let _clients = Clients::start(at(1));
    // By the processor's clock: what others do with it is not counted.
    browser.call("Performance.enable", &json!({ "timeDomain": "threadTicks" }));
    browser.until("window.ticks >= 3");
    // Whoever looks for long tasks sees one.
    browser.worth(
        "setTimeout(() => { const end = performance.now() + 90; while (performance.now() < end); })",
    );
    browser.until("window.long.some((task) => task >= 80)");
    let before = (browser.metric("TaskDuration"), kept(&mut browser));
    let from = browser.worth("window.long = []; window.ticks").as_u64().unwrap_or_default();
    browser.until(&format!("window.ticks >= {}", from + u64::from(TICKS)));
    let ticks = browser.worth("window.ticks").as_u64().unwrap_or_default() - from;
    let spent = browser.metric("TaskDuration") - before.0;
    let nodes = kept(&mut browser);
    let each = Duration::from_secs_f64(spent) / u32::try_from(ticks).unwrap_or(u32::MAX);
    let long = browser.worth("window.long");
    println!("{each:?} for each of {ticks} ticks; tasks above 50 ms: {long}; {nodes} nodes");
    assert!(each > Duration::ZERO && each < MOST, "{each:?}, {long}");
    let durations: Vec<_> =
        long.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    assert!(durations.iter().all(|task| *task < LONGEST), "{long}");
    assert!(durations.len() as u64 <= LONG_ONES * ticks, "{long} in {ticks} ticks");
    assert!(nodes < before.1 * 1.2, "{nodes} after {}", before.1);
    let moved = "[...document.querySelectorAll('[data-n=cps]')].filter((cell) => cell.textContent > '0').length";
    browser.until(&format!("{moved} > 0"));
    assert_eq!(browser.troubles(&origin), Vec::<String>::new());
}
