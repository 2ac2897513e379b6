//! Pages and API beside real daemons.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::GzDecoder;
use serde_json::json;

use crate::client::{Answer, Asked, Client};
use crate::daemon::until;
use crate::director::Director;
use crate::site::Session;

const PAGES: [&str; 12] = [
    "/",
    "/services",
    "/services?open=web&problems=0&sort=state&q=s1",
    "/services/web",
    "/services/web/connections",
    "/ipvsadm",
    "/kiosk",
    "/system",
    "/cluster",
    "/events",
    "/accounts",
    "/help",
];

#[test]
fn every_page_names_node_state_and_verdict_and_shows_a_viewer_nothing_to_act_with() {
    let director = Director::new();
    let before = std::fs::read(&director.config).unwrap();
    let (vera, oscar) = (director.site.log_in("vera"), director.site.log_in("oscar"));
    for path in PAGES {
        let page = director.page(&vera, path);
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
        let title = page.split("<title>").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
        assert!(title.contains("PRIMARY ACTIVE · NO PARTNER"), "{path}: {title}");
        for act in ["data-act", "<dialog", "method=\"post\" action=\"/api"] {
            assert!(!page.contains(act), "{path} has {act}");
        }
        for inline in [" style=", "<style", " onclick", "javascript:"] {
            assert!(!page.contains(inline), "{path} has {inline}");
        }
        assert!(!page.contains("http://") && !page.contains("https://"), "{path}");
        let acts = director.page(&oscar, path).contains("data-act=\"drain\"");
        assert_eq!(acts, path.contains("web") && !path.contains("connections"), "{path}");
    }
    assert_eq!(std::fs::read(&director.config).unwrap(), before, "looking changes nothing");
    let page = director.page(&vera, "/services");
    assert!(page.contains("UP") && page.contains("<b>2</b> of 2"), "{page}");
    assert!(director.page(&vera, "/services?problems=1").contains("0 of 1 shown"));
    assert!(director.page(&vera, "/services?q=nothing").contains("0 of 1 shown"));
}

const NASTY: &str = "<img src=x onerror=alert(1)>\"'&\\";

#[test]
fn an_operator_drains_a_server_with_a_reason_that_is_shown_as_it_was_written() {
    let director = Director::new();
    let (root, oscar) = (director.site.log_in("root"), director.site.log_in("oscar"));
    let path = "/api/v1/services/web/servers/s1/override";
    let put = oscar.sends(Asked::new("PUT", path));
    let drained = put.json(&json!({ "state": "drain", "expires": 600, "reason": NASTY }));
    let answer = director.site.client.ask(&drained);
    assert_eq!(answer.status, 200, "{answer:?}");
    until("the page shows it", || director.page(&oscar, "/services/web").contains("DRAIN"));
    let page = director.page(&oscar, "/services/web");
    assert!(!page.contains("<img"), "{page}");
    assert!(page.contains("&#60;img src=x onerror=alert(1)&#62;"), "{page}");
    assert!(page.contains("data-act=\"ready\""), "it can be taken back");
    assert!(page.contains("data-last"), "the other one is the last");

    let last = oscar.sends(Asked::new("PUT", "/api/v1/services/web/servers/s2/override"));
    let refused = director.site.client.ask(&last.json(&json!({ "state": "disable" })));
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("last_server")));

    let entries = director.site.get(&root, "/api/v1/audit")["entries"].clone();
    assert_eq!(
        (&entries[1]["action"], &entries[1]["reason"]),
        (&json!("server.drain"), &json!(NASTY))
    );
    assert_eq!(entries[0]["result"], "last_server");
    let clear = oscar.sends(Asked::new("DELETE", path));
    assert_eq!(director.site.client.ask(&clear).status, 200);
    until("it is up again", || {
        let server = director.site.get(&oscar, "/api/v1/services/web/servers/s1");
        server["state"] == "up"
    });
}

#[test]
fn what_is_said_of_several_servers_is_said_of_all_or_of_none() {
    let director = Director::new();
    let oscar = director.site.log_in("oscar");
    let put = |body: &serde_json::Value| {
        director.site.client.ask(&oscar.sends(Asked::new("PUT", "/api/v1/overrides")).json(body))
    };
    let both = json!(["web/s1", "web/s2"]);
    let refused = put(&json!({ "servers": both, "state": "disable" }));
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("last_server")));
    let unknown = put(&json!({ "servers": ["web/s1", "web/s9"], "state": "drain", "force": true }));
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let whole = put(&json!({ "servers": ["web/*"], "state": "disable" }));
    assert_eq!((whole.status, &whole.json()["code"]), (409, &json!("last_server")));
    for servers in [json!([]), json!(["s1"])] {
        let refused = put(&json!({ "servers": servers, "state": "drain", "force": true }));
        assert_eq!(refused.status, 400, "{servers}: {refused:?}");
    }
    assert_eq!(director.site.get(&oscar, "/api/v1/overrides")["overrides"], json!([]));
    let done = put(&json!({ "servers": both, "state": "drain", "force": true, "reason": "disks" }));
    assert_eq!(done.json()["servers"].as_array().map(Vec::len), Some(2), "{done:?}");
    let said = director.site.get(&oscar, "/api/v1/overrides")["overrides"].clone();
    assert_eq!(said.as_array().map(Vec::len), Some(2), "{said}");
    assert_eq!(put(&json!({ "servers": both, "state": "ready" })).status, 200);
    assert_eq!(director.site.get(&oscar, "/api/v1/overrides")["overrides"], json!([]));
}

#[test]
fn a_service_as_a_whole_is_all_its_servers_in_one_act_whatever_is_said() {
    let director = Director::new();
    let (root, oscar) = (director.site.log_in("root"), director.site.log_in("oscar"));
    let put = |body: &serde_json::Value| {
        let asked = oscar.sends(Asked::new("PUT", "/api/v1/overrides")).json(body);
        let answer = director.site.client.ask(&asked);
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
        assert_eq!(answer.json()["servers"].as_array().map(Vec::len), Some(2), "{answer:?}");
    };
    let said = || director.site.get(&oscar, "/api/v1/overrides")["overrides"].clone();
    for (state, weight) in [("weight", json!(7)), ("drain", json!(null)), ("disable", json!(null))]
    {
        put(&json!({
            "servers": ["web/*", "web/s1"], "state": state, "weight": weight, "force": true,
            "reason": "all of it",
        }));
        let said = said();
        let said = said.as_array().unwrap();
        assert_eq!(said.len(), 2, "each server has its own word: {said:?}");
        assert!(said.iter().all(|one| one["server"] != "" && one["reason"] == "all of it (oscar)"));
    }
    let audit = director.site.get(&root, "/api/v1/audit")["entries"][0].clone();
    assert_eq!(
        (&audit["action"], &audit["target"]),
        (&json!("server.disable"), &json!("web/*, web/s1"))
    );
    // The command says it of the service as one, which `ready` for all servers ends too.
    let piranha = std::process::Command::new(env!("CARGO_BIN_EXE_piranha"))
        .args(["service", "disable", "web", "--control"])
        .arg(director.config.with_extension("control"))
        .output()
        .unwrap();
    assert!(piranha.status.success(), "{piranha:?}");
    assert_eq!(said().as_array().map(Vec::len), Some(3));
    put(&json!({ "servers": ["web/*"], "state": "ready" }));
    assert_eq!(said(), json!([]));
    until("all are up again", || {
        let service = director.site.get(&oscar, "/api/v1/services/web");
        service["counts"]["up"] == 2
    });
}

#[test]
fn services_are_told_as_a_table_that_a_spreadsheet_takes_for_text() {
    let director = Director::new();
    let oscar = director.site.log_in("oscar");
    let path = "/api/v1/services/web/servers/s1/override";
    let drained = json!({ "state": "drain", "reason": "=1+1, \"now\"" });
    let drained = director.site.client.ask(&oscar.sends(Asked::new("PUT", path)).json(&drained));
    assert_eq!(drained.status, 200, "{drained:?}");
    let asked = Asked::new("GET", "/api/v1/services.csv").with("cookie", &oscar.cookie);
    let answer = director.site.client.ask(&asked);
    assert_eq!(
        (answer.status, answer.field("content-type")),
        (200, "text/csv; charset=utf-8; header=present")
    );
    assert!(answer.field("content-disposition").ends_with(".csv\""), "{answer:?}");
    let lines: Vec<_> = answer.body.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 3, "{}", answer.body);
    assert!(lines[0].starts_with("observed_at,node,service,"), "{}", answer.body);
    assert!(lines[1].contains(",drain,\"'=1+1, \"\"now\"\" (oscar)\","), "{}", answer.body);
    assert!(director.page(&oscar, "/services").contains("href=\"/api/v1/services.csv\""));
}

#[test]
fn the_table_and_the_connections_of_a_service_are_told_with_their_age() {
    let director = Director::new();
    let vera = director.site.log_in("vera");
    let table = director.site.get(&vera, "/api/v1/ipvsadm");
    let text = table["text"].as_str().unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.lines().nth(2).unwrap().ends_with(":8080 rr"), "{text}");
    let told = director.site.get(&vera, "/api/v1/services/web/connections");
    assert_eq!(told["servers"].as_array().map(Vec::len), Some(2), "{told}");
    assert!(told["connections"].is_null() && told["unknown"].as_str().is_some(), "{told}");
    let asked = vera.sends(Asked::new("GET", "/api/v1/services/nothing/connections"));
    assert_eq!(director.site.client.ask(&asked).status, 404);
}

#[test]
fn a_support_bundle_has_what_helps_and_no_secret_and_who_is_told_can_be_tried() {
    let director = Director::new();
    let root = director.site.log_in("root");
    let (secret, fifo) = ("correct battery staple", director.config.with_extension("fifo"));
    let text = std::fs::read_to_string(&director.config).unwrap();
    let text = format!("# mail of admin@example.net\nnotify_fifo = {}\n{text}", fifo.display());
    let text =
        text.replace("check = connect", &format!("check = connect\n    send = \"{secret}\""));
    std::fs::write(&director.config, &text).unwrap();
    let bundle = Asked::new("GET", "/api/v1/support-bundle");
    let answer = director.site.client.ask(&root.sends(bundle));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.field("content-disposition").starts_with("attachment"), "{answer:?}");
    let told = answer.json();
    assert_eq!(told["status"]["pulse"]["known"]["state"], "active");
    assert!(
        told["configuration"]["text"].as_str().is_some_and(|text| text.contains("virtual web"))
    );
    assert!(told["table"]["table"].is_array() && told["events"].is_array(), "{told}");
    let cookie = root.cookie.split('=').nth(1).unwrap();
    for hidden in [secret, "admin@example.net", cookie, "argon2", "PRIVATE KEY"] {
        assert!(!answer.body.contains(hidden), "{hidden}");
    }
    // It is told by what is in force.
    let reload = root.sends(Asked::new("POST", "/api/v1/config/reload")).json(&json!({}));
    assert_eq!(director.site.client.ask(&reload).status, 200);
    let test = root.sends(Asked::new("POST", "/api/v1/notify/test")).json(&json!({}));
    let told = director.site.client.ask(&test).json();
    assert_eq!(told["told"][0]["directive"], "notify_fifo", "{told}");
    let entries = director.site.get(&root, "/api/v1/audit")["entries"].clone();
    assert_eq!(entries[0]["action"], "notify.test");
}

#[test]
fn pages_come_short_to_who_can_read_that_and_whole_to_others() {
    let director = Director::new();
    let vera = director.site.log_in("vera");
    let asked = Asked::new("GET", "/services").with("cookie", &vera.cookie);
    let whole = director.site.client.ask(&asked);
    assert_eq!((whole.status, whole.field("content-encoding")), (200, ""));
    let short = director.site.client.ask(&asked.clone().with("accept-encoding", "br, gzip"));
    assert_eq!(short.field("content-encoding"), "gzip");
    let length = |answer: &Answer| answer.field("content-length").parse::<usize>().unwrap();
    assert!(length(&short) * 2 < length(&whole), "{} of {}", length(&short), length(&whole));
    let refused = director.site.client.ask(&asked.with("accept-encoding", "gzip;q=0"));
    assert_eq!(refused.field("content-encoding"), "");
}

#[test]
fn nothing_is_shown_as_up_when_the_daemons_are_gone_and_all_is_again_when_they_are_back() {
    let director = Director::new();
    let vera = director.site.log_in("vera");
    let Director { site, config, pulse, _files: files } = director;
    let page = || {
        let asked = Asked::new("GET", "/services/web").with("cookie", &vera.cookie);
        site.client.ask(&asked).body
    };
    pulse.signal("INT");
    let (ended, log) = pulse.end();
    assert!(ended.success(), "{log}");
    until("nothing is up", || !page().contains("data-state=\"up\""));
    assert!(page().contains("UNKNOWN") && page().contains(">web<"), "the service keeps its name");
    let again = crate::daemon::Daemon::pulse(&config);
    until("it is up again", || page().contains("data-state=\"up\""));
    drop((again, files));
}

/// Reads the stream of this user until `found` says that it has enough.
fn listen(client: &Client, session: &Session, found: impl Fn(&str) -> bool) -> String {
    let mut stream = client.connect();
    let asked = format!(
        "GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\ncookie: {}\r\n\r\n",
        session.cookie
    );
    stream.write_all(asked.as_bytes()).unwrap();
    let (mut text, mut chunk) = (String::new(), [0; 4096]);
    while !found(&text) {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => text += &String::from_utf8_lossy(&chunk[..read]),
        }
    }
    text
}

#[test]
fn the_stream_begins_with_everything_and_goes_on_with_what_changes_until_the_session_ends() {
    let director = Director::new();
    let (root, vera) = (director.site.log_in("root"), director.site.log_in("vera"));
    let text =
        listen(&director.site.client, &vera, |text| text.matches("event: ping").count() >= 2);
    assert!(text.contains("text/event-stream") && text.contains("event: snapshot"), "{text}");
    assert!(text.find("event: snapshot") < text.find("event: ping"), "{text}");

    let client = director.site.client.clone();
    let begun = AtomicBool::new(false);
    let hears = |text: &str| {
        begun.fetch_or(text.contains("event: snapshot"), Ordering::Relaxed);
        false
    };
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| listen(&client, &vera, hears));
        until("it listens", || begun.load(Ordering::Relaxed));
        let put = root.sends(Asked::new("PUT", "/api/v1/services/web/servers/s1/override"));
        let drained = put.json(&json!({ "state": "weight", "weight": 7 }));
        assert_eq!(director.site.client.ask(&drained).status, 200);
        until("the weight is in force", || {
            let server = director.site.get(&root, "/api/v1/services/web/servers/s1");
            server["weight"] == 7
        });
        // Its account changes, so its session is over, and with it the stream.
        let put = root.sends(Asked::new("PUT", "/api/v1/users/vera"));
        let changed = put.json(&json!({ "password": "another horse" }));
        assert_eq!(director.site.client.ask(&changed).status, 204);
        let heard = listening.join().unwrap();
        assert!(heard.contains("event: event"), "{heard}");
    });
}

#[test]
fn the_stream_comes_short_to_who_can_read_that_message_by_message() {
    let director = Director::new();
    let vera = director.site.log_in("vera");
    let mut stream = director.site.client.connect();
    let asked = format!(
        "GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\naccept-encoding: gzip\r\ncookie: {}\r\n\r\n",
        vera.cookie
    );
    stream.write_all(asked.as_bytes()).unwrap();
    let (mut came, mut chunk) = (Vec::new(), [0; 4096]);
    // A message that is not whole yet is read with the next ones.
    let told = |came: &[u8]| {
        let head = came.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        let mut text = Vec::new();
        let _unfinished = GzDecoder::new(&unchunked(&came[head..])[..]).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    while told(&came).matches("event: ping").count() < 2 {
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "{}", told(&came));
        came.extend(&chunk[..read]);
        let text = String::from_utf8_lossy(&came);
        assert!(text.contains("content-encoding: gzip") && came.len() < 1 << 20, "{text}");
    }
    assert!(told(&came).starts_with("event: snapshot\n"), "{}", told(&came));
}

/// What chunks carry (RFC 9112, 7.1), as far as they are whole.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&bytes[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        let Some(chunk) = bytes.get(end + 2..end + 2 + length) else { break };
        whole.extend(chunk);
        bytes = bytes.get(end + 4 + length..).unwrap_or_default();
    }
    whole
}

#[test]
fn a_draft_is_judged_compared_and_explained_and_the_file_stays() {
    let director = Director::new();
    let root = director.site.log_in("root");
    let before = std::fs::read_to_string(&director.config).unwrap();
    let raw = director.site.client.ask(&root.sends(Asked::new("GET", "/api/v1/config/raw")));
    assert_eq!(raw.json()["text"], before);
    let known = Asked::new("GET", "/api/v1/config/raw").with("if-none-match", raw.field("etag"));
    assert_eq!(director.site.client.ask(&root.sends(known)).status, 304);

    let post = |path: &str, text: &str| {
        let asked = root.sends(Asked::new("POST", path)).json(&json!({ "text": text }));
        director.site.client.ask(&asked)
    };
    let wrong = before.replace("scheduler = rr", "schedular = rr");
    let judged = post("/api/v1/config/validate", &wrong).json();
    assert_eq!(
        (&judged["ok"], &judged["diagnostics"][0]["code"]),
        (&json!(false), &json!("E0102"))
    );
    let line = 1 + before.lines().position(|line| line.contains("scheduler")).unwrap();
    assert_eq!(judged["diagnostics"][0]["line"], line);
    let refused = post("/api/v1/config/diff", &wrong);
    assert_eq!((refused.status, &refused.json()["diagnostics"][0]["code"]), (422, &json!("E0102")));

    let changed = before.replace("scheduler = rr", "scheduler = wlc");
    let changes = post("/api/v1/config/diff", &changed).json()["changes"].clone();
    assert_eq!(changes.as_array().map(Vec::len), Some(1), "{changes}");
    assert!(changes[0]["text"].as_str().unwrap().contains("scheduler rr to wlc"), "{changes}");
    let explained = director.site.get(&root, "/api/v1/config/explain/deadtime");
    assert_eq!(explained["directives"][0]["directive"], "deadtime");
    assert_eq!(std::fs::read_to_string(&director.config).unwrap(), before);
}

#[test]
fn history_and_nodes_are_told() {
    let director = Director::new();
    let vera = director.site.log_in("vera");
    let path = "/api/v1/history?service=web&series=up&range=60";
    until("there is some history", || {
        let told = director.site.client.ask(&vera.sends(Asked::new("GET", path)));
        told.status == 200 && told.body.contains("2.0")
    });
    let nodes = director.site.get(&vera, "/api/v1/nodes");
    assert_eq!(nodes["nodes"][0]["pulse"]["known"]["state"], "active");
    let events = director.site.get(&vera, "/api/v1/events?after=0");
    assert!(events["events"].as_array().is_some_and(|events| !events.is_empty()));
    let described = director.site.get(&vera, "/api/v1/openapi.json");
    assert_eq!(described["openapi"], "3.1.0");
}
