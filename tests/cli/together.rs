//! Both nodes changed from one: two real directors, each with `piranha sync serve` and `piranha serve`.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::client::{Answer, Asked, ask_socket};
use crate::daemon::{Daemon, lvs_of, signal, until};
use crate::peer::{Nodes, at, serve};

const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");
const ONE: &str = "lb1/lvs";
const TWO: &str = "lb2/lvs";
const HEAVIER: (&str, &str) = ("        active = 1\n", "        active = 1\n        weight = 9\n");
/// The partner has a part in it: it is on trial first.
const SLOWER: (&str, &str) = ("deadtime = 400ms", "deadtime = 500ms");

/// Two paired directors with their GUIs, asked as root is on the socket.
struct Pair {
    nodes: Nodes,
    net: u8,
    guis: [Daemon; 2],
}

impl Pair {
    fn new(net: u8) -> Self {
        let nodes = Nodes::apart(net, "");
        nodes.settle();
        let guis = [ONE, TWO].map(|node| gui(&nodes, node));
        let pair = Self { nodes, net, guis };
        for node in [ONE, TWO] {
            until("the first revision is recorded", || !pair.revisions(node).is_empty());
        }
        pair
    }

    fn ask(&self, node: &str, asked: &Asked) -> Answer {
        ask_socket(&self.socket(node), asked)
    }

    fn socket(&self, node: &str) -> PathBuf {
        self.nodes.files.path(node).with_extension("web")
    }

    fn get(&self, node: &str, path: &str) -> Value {
        let answer = self.ask(node, &Asked::new("GET", path));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    fn post(&self, node: &str, path: &str, body: &Value) -> Answer {
        self.ask(node, &Asked::new("POST", path).json(body))
    }

    /// Applies what the file says with `from` as `to`, made from what it says now.
    fn apply(&self, node: &str, change: (&str, &str), further: &Value) -> Answer {
        self.ask(node, &self.application(node, change, further))
    }

    fn application(&self, node: &str, (from, to): (&str, &str), further: &Value) -> Asked {
        let raw = self.ask(node, &Asked::new("GET", "/api/v1/config/raw"));
        let text = raw.json()["text"].as_str().expect("a text").to_owned();
        assert!(text.contains(from), "{from} in {text}");
        let mut body = further.clone();
        body["text"] = text.replace(from, to).into();
        let asked = Asked::new("POST", "/api/v1/config/apply").with("if-match", raw.field("etag"));
        asked.json(&body)
    }

    fn revisions(&self, node: &str) -> Vec<Value> {
        let answer = self.ask(node, &Asked::new("GET", "/api/v1/config/revisions"));
        if answer.status != 200 {
            return Vec::new();
        }
        answer.json()["revisions"].as_array().cloned().unwrap_or_default()
    }

    fn digest(&self, node: &str) -> Value {
        self.get(node, "/api/v1/status")["lvs"]["known"]["configuration"]["digest"].clone()
    }

    fn says(&self, node: &str, text: &str) -> bool {
        self.nodes.text(&format!("{node}.cf")).is_some_and(|file| file.contains(text))
    }

    fn both_say(&self, text: &str) -> bool {
        self.says(ONE, text) && self.says(TWO, text)
    }

    fn on_trial(&self, node: &str) -> bool {
        let known = self.get(node, "/api/v1/config/revisions");
        known["standing"]["pending"].is_object()
    }

    /// Ends the connection of the second node.
    fn cut(&self) {
        let [_, second] = &self.nodes.peers;
        second.signal("KILL");
        let told = || self.nodes.run(ONE, &["pair", "status", "--node", "partner"]);
        until("it cannot be reached", || !told().status.success());
    }

    fn mend(&mut self) {
        self.nodes.peers[1] = serve(&self.nodes.files, TWO, &at(self.net, 2));
    }

    /// Whether both have the same file in force, or both say that they do not.
    fn agree_or_say_so(&self) -> bool {
        let file = |node: &str| {
            let text = self.nodes.text(&format!("{node}.cf")).unwrap_or_default();
            text.lines().filter(|line| !line.starts_with("role")).collect::<Vec<_>>().join("\n")
        };
        let digest = |node: &str| {
            let status = self.nodes.json(node, &["status"]);
            status["lvs"]["known"]["configuration"]["digest"].clone()
        };
        let are_same = file(ONE) == file(TWO) && digest(ONE).is_string();
        if are_same {
            return digest(ONE) == digest(TWO);
        }
        self.nodes.differ(ONE) && self.nodes.differ(TWO)
    }

    /// Whether `lvs` of both says what it runs by.
    fn both_run(&self) -> bool {
        [ONE, TWO].iter().all(|node| {
            let status = self.nodes.json(node, &["status"]);
            status["lvs"]["known"]["configuration"]["digest"].is_string()
        })
    }

    fn owes(&self) -> bool {
        !self.nodes.json(ONE, &["pair", "status"])["owed_since"].is_null()
    }
}

fn gui(nodes: &Nodes, node: &str) -> Daemon {
    let path = |end: &str| nodes.files.path(node).with_extension(end).display().to_string();
    let (config, control, state, socket) = (path("cf"), path("control"), path("gui"), path("web"));
    let mut daemon = Daemon::start(
        PIRANHA,
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "-c",
            &config,
            "--control",
            &control,
            "--state",
            &state,
            "--socket",
            &socket,
        ],
    );
    daemon.expect("certificate fingerprint");
    until("it serves the socket", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    daemon
}

#[test]
fn a_change_made_on_one_node_is_in_force_on_both_with_its_author_and_the_files_that_go_with_it() {
    let pair = Pair::new(130);
    let added = "        active = 1\n        weight = 9\n";
    let applied = pair.apply(ONE, (HEAVIER.0, added), &json!({ "reason": "a new machine" }));
    assert_eq!(applied.status, 200, "{applied:?}");
    let partner = applied.json()["partner"].clone();
    assert_eq!((&partner["done"], &partner["why"]), (&json!(true), &Value::Null), "{partner}");
    assert!(pair.both_say("weight = 9"));
    assert!(pair.says(TWO, "role = backup\n") && pair.says(ONE, "role = primary\n"));
    assert_eq!(pair.digest(ONE), pair.digest(TWO));
    assert_eq!(pair.nodes.stands(TWO, "lvs.cf"), "same");
    let there = pair.revisions(TWO).pop().unwrap();
    assert_eq!((&there["origin"], &there["reason"]), (&json!("applied"), &json!("a new machine")));
    assert!(there["author"].as_str().unwrap().contains('@'), "{there}");

    pair.nodes.files.write("lb2/motd", "hello");
    let listed = pair.apply(TWO, ("keepalive", "sync_file = motd\nkeepalive"), &json!({}));
    assert_eq!(listed.json()["partner"]["done"], true, "{listed:?}");
    assert_eq!(pair.nodes.text("lb1/motd").as_deref(), Some("hello"));
    fs::remove_file(pair.nodes.files.path("lb1/motd")).unwrap();
    let files = pair.get(TWO, "/api/v1/sync")["files"].clone();
    let motd = files.as_array().unwrap().iter().find(|file| file["name"] == "motd").unwrap();
    assert_eq!(motd["standing"], "peer_newer");
    let run = pair.post(TWO, "/api/v1/sync/run", &json!({}));
    assert_eq!(run.status, 200, "{run:?}");
    assert_eq!(pair.nodes.text("lb2/motd"), None, "deletions are mirrored");

    let undone = pair.post(TWO, "/api/v1/config/undo", &json!({}));
    assert_eq!(undone.json()["partner"]["done"], true, "{undone:?}");
    assert!(!pair.says(ONE, "motd") && !pair.says(TWO, "motd"));
    assert_eq!(pair.digest(ONE), pair.digest(TWO));
}

#[test]
fn a_change_on_trial_is_so_on_both_and_goes_back_on_both_unless_it_is_confirmed() {
    let pair = Pair::new(131);
    let tried = |seconds: u64| {
        let applied = pair.apply(ONE, SLOWER, &json!({ "confirm_within": seconds }));
        assert_eq!(applied.status, 200, "{applied:?}");
        let applied = applied.json();
        assert!(applied["pending"].is_object(), "{applied}");
        assert!(applied["partner"]["pending"].is_object(), "{applied}");
    };
    tried(4);
    until("both are as before", || pair.both_say(SLOWER.0));
    until("neither waits", || !pair.on_trial(ONE) && !pair.on_trial(TWO));
    assert_eq!(pair.nodes.stands(ONE, "lvs.cf"), "same");

    tried(600);
    assert!(pair.both_say(SLOWER.1) && pair.on_trial(ONE) && pair.on_trial(TWO));
    let undone = pair.post(ONE, "/api/v1/config/undo", &json!({}));
    assert_eq!(undone.json()["partner"]["done"], true, "{undone:?}");
    assert!(pair.both_say(SLOWER.0) && !pair.on_trial(ONE) && !pair.on_trial(TWO));

    tried(600);
    let confirmed = pair.post(ONE, "/api/v1/config/confirm", &json!({}));
    assert_eq!(confirmed.json()["partner"]["done"], true, "{confirmed:?}");
    assert!(pair.both_say(SLOWER.1) && !pair.on_trial(ONE) && !pair.on_trial(TWO));
    assert_eq!(pair.nodes.stands(TWO, "lvs.cf"), "same");
}

#[test]
fn a_partner_that_could_not_run_it_or_has_another_file_is_asked_and_never_overruled() {
    let pair = Pair::new(132);
    let include = ("keepalive", "include = extra.cf\nkeepalive");
    pair.nodes.files.write("lb1/extra.cf", "failback = 0\n");
    let refused = pair.apply(ONE, include, &json!({}));
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("partner_refuses")));
    let diagnostics = &refused.json()["diagnostics"];
    assert_eq!(diagnostics[0]["code"], "E0320", "{refused:?}");
    assert!(!pair.says(ONE, "extra") && !pair.says(TWO, "extra"), "nothing was changed");

    let draft = pair.nodes.text("lb1/lvs.cf").unwrap().replace(include.0, include.1);
    let draft = pair.nodes.files.write("lb1/draft.cf", &draft).display().to_string();
    let told = pair.nodes.refused(ONE, &["config", "apply", &draft]);
    assert!(told.contains("E0320") && told.contains("--force-local"), "{told}");
    assert!(!pair.says(ONE, "extra"), "nothing was changed");
    let forced = pair.nodes.json(ONE, &["config", "apply", &draft, "--force-local"]);
    assert_eq!(forced["partner"]["done"], false, "{forced}");
    assert!(pair.says(ONE, "extra") && !pair.says(TWO, "extra"));
    assert_eq!(pair.nodes.stands(ONE, "lvs.cf"), "local_newer", "and that is told");
    pair.nodes.ok(ONE, &["sync", "run"]);
    assert!(pair.both_say("extra"));

    pair.nodes.edit("lb2/lvs.cf", "rise = 1\n", "rise = 3\n");
    let stale = pair.apply(ONE, HEAVIER, &json!({}));
    assert_eq!((stale.status, &stale.json()["code"]), (409, &json!("partner_differs")));
    assert!(!pair.says(ONE, "weight") && pair.says(TWO, "rise = 3"));
    let forced = pair.apply(ONE, HEAVIER, &json!({ "force_local": true })).json();
    assert_eq!(forced["partner"]["done"], false, "{forced}");
    let run = pair.post(ONE, "/api/v1/sync/run", &json!({})).json();
    let left = run["steps"].as_array().unwrap().iter().find(|step| step["name"] == "lvs.cf");
    assert_eq!(left.unwrap()["standing"], "conflict", "{run}");
    assert!(pair.says(ONE, "weight = 9") && pair.says(TWO, "rise = 3"), "left as it is");
    let resolve = json!({ "name": "lvs.cf", "mine": true });
    let resolved = pair.post(ONE, "/api/v1/sync/resolve", &resolve).json();
    assert_eq!(resolved["steps"][0]["problem"], Value::Null, "{resolved}");
    assert!(pair.both_say("weight = 9") && !pair.says(TWO, "rise = 3"));
}

#[test]
fn a_partner_that_is_down_gets_it_when_it_is_back_unless_it_was_changed_too() {
    let mut pair = Pair::new(133);
    pair.cut();
    let refused = pair.apply(ONE, HEAVIER, &json!({}));
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("partner_unreachable")));
    assert!(!pair.says(ONE, "weight"), "nothing was changed");
    let forced = pair.apply(ONE, HEAVIER, &json!({ "force_local": true })).json();
    let partner = &forced["partner"];
    assert_eq!((&partner["done"], &partner["owed"]), (&json!(false), &json!(true)), "{forced}");
    assert!(pair.says(ONE, "weight = 9") && pair.owes());
    let told = pair.nodes.ok(ONE, &["pair", "status"]);
    assert!(told.contains("changed here without the partner"), "{told}");
    pair.mend();
    until("it is brought over", || pair.says(TWO, "weight = 9"));
    until("and nothing is owed", || !pair.owes());
    until("and in force", || pair.nodes.weight(TWO) == 9);

    pair.cut();
    let local = json!({ "force_local": true });
    assert_eq!(pair.apply(ONE, ("weight = 9", "weight = 8"), &local).status, 200);
    pair.nodes.edit("lb2/lvs.cf", "weight = 9", "weight = 7");
    assert!(pair.owes());
    pair.mend();
    until("it is told once and left", || !pair.owes());
    assert_eq!(pair.nodes.stands(ONE, "lvs.cf"), "conflict");
    assert!(pair.says(ONE, "weight = 8") && pair.says(TWO, "weight = 7"));
}

#[test]
fn what_happens_and_who_did_it_is_known_on_both_nodes_and_outlives_the_servers() {
    let mut pair = Pair::new(134);
    let events = |pair: &Pair| pair.get(ONE, "/api/v1/events");
    until("the events of both are in one list", || {
        let events = events(&pair)["events"].to_string();
        events.contains("active, was acquiring") && events.contains("standby, was starting")
    });
    assert!(events(&pair)["partner"]["heard_ms"].is_u64(), "{}", events(&pair));

    let page = |pair: &Pair| pair.ask(ONE, &Asked::new("GET", "/events")).body;
    until("its page says that the partner is heard", || page(&pair).contains("heard just now"));

    let drained = json!({ "state": "weight", "weight": 3, "reason": "only on lb2" });
    let path = "/api/v1/services/web/servers/s/override";
    let answer = pair.ask(TWO, &Asked::new("PUT", path).json(&drained));
    assert_eq!(answer.status, 200, "{answer:?}");
    let audited =
        |pair: &Pair| pair.get(ONE, "/api/v1/audit")["entries"].to_string().contains("only on lb2");
    until("the other node has the entry", || audited(&pair));
    until("nothing waits", || pair.get(TWO, "/api/v1/audit")["unsent"] == 0);

    pair.cut();
    until("that is said, with the age of what is known", || {
        let partner = events(&pair)["partner"].clone();
        partner["problem"].is_string() && partner["heard_ms"].is_u64()
    });
    until("and beside its events that it is silent", || {
        let page = page(&pair);
        page.contains("is missing here.") && page.matches("silent for").count() > 1
    });
    let history = Asked::new("GET", "/api/v1/history?service=web&series=up&range=300");
    // A server that has not looked yet knows of no service.
    let has_looked = |pair: &Pair| pair.ask(ONE, &history).status == 200;
    let known = |pair: &Pair| {
        let history = pair.ask(ONE, &history).json();
        let values = history["values"].as_array().into_iter().flatten();
        values.filter(|value| !value.is_null()).count()
    };
    until("there is some history", || has_looked(&pair) && known(&pair) >= 5);
    let before = known(&pair);
    let [first, second] = pair.guis;
    first.signal("TERM");
    let (status, log) = first.end();
    assert_eq!(status.code(), Some(0), "{log}");
    pair.guis = [gui(&pair.nodes, ONE), second];
    until("the next one has looked", || has_looked(&pair));
    assert!(known(&pair) >= before, "it was forgotten");
    assert!(
        audited(&pair),
        "it is on this node's disk, whether the other one can be reached or not"
    );
}

#[test]
fn a_change_that_the_partner_agreed_to_and_cannot_make_is_taken_back_here_and_that_is_told() {
    let pair = Pair::new(135);
    // The partner can run it, and has no room to remember it.
    let history = pair.nodes.files.path("lb2/lvs.control/history");
    let away = history.with_extension("away");
    fs::rename(&history, &away).unwrap();
    fs::write(&history, "no directory").unwrap();
    for (change, confirm) in [(HEAVIER, json!({})), (SLOWER, json!({ "confirm_within": 600 }))] {
        let refused = pair.apply(ONE, change, &confirm);
        assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("partner_failed")));
        let title = refused.json()["title"].to_string();
        assert!(title.contains("taken back") && title.contains("recorded"), "{title}");
        assert!(pair.both_say(change.0) && !pair.on_trial(ONE) && !pair.on_trial(TWO));
        assert_eq!(pair.digest(ONE), pair.digest(TWO));
    }
    let audit = pair.get(ONE, "/api/v1/audit")["entries"].to_string();
    assert!(audit.contains("partner_failed"), "{audit}");
    let undone = pair.revisions(ONE).pop().unwrap();
    assert!(undone["origin"]["undone"].is_u64(), "{undone}");
    assert!(undone["reason"].to_string().contains("could not put it in force"), "{undone}");

    let draft = pair.nodes.text("lb1/lvs.cf").unwrap().replace(HEAVIER.0, HEAVIER.1);
    let draft = pair.nodes.files.write("lb1/draft.cf", &draft).display().to_string();
    let told = pair.nodes.refused(ONE, &["config", "apply", &draft]);
    assert!(told.contains("taken back here") && !told.contains("nothing was changed"), "{told}");
    let same = pair.apply(ONE, (HEAVIER.0, HEAVIER.0), &json!({}));
    assert_eq!(same.status, 200, "what changes nothing takes nothing back: {same:?}");

    fs::remove_file(&history).unwrap();
    fs::rename(&away, &history).unwrap();
    let applied = pair.apply(ONE, HEAVIER, &json!({}));
    assert_eq!(applied.json()["partner"]["done"], true, "{applied:?}");
    assert!(pair.both_say("weight = 9"));
}

#[test]
fn who_is_killed_between_the_two_nodes_leaves_them_the_same_or_said_to_differ() {
    let mut pair = Pair::new(136);
    let mut weight = 1;
    for victim in ["gui", "lvs of the partner", "lvs"] {
        let from = if weight == 1 { HEAVIER.0.to_owned() } else { line(weight) };
        weight += 1;
        let to = line(weight);
        let pid = match victim {
            "gui" => pair.guis[0].pid(),
            "lvs" => lvs_of(pair.nodes.pulses[0].pid()),
            _ => lvs_of(pair.nodes.pulses[1].pid()),
        };
        let (socket, asked) = (pair.socket(ONE), pair.application(ONE, (&from, &to), &json!({})));
        let asked = std::thread::spawn(move || ask_socket(&socket, &asked));
        // Whenever it is killed, before, while or after the partner has it.
        until("it is in the file here", || pair.says(ONE, &to));
        signal(pid, "KILL");
        let said = asked.join().expect("an answer, or none");
        if victim == "gui" {
            let [_, second] = pair.guis;
            pair.guis = [gui(&pair.nodes, ONE), second];
        }
        until("both run again", || pair.both_run());
        until("they have the same, or say so", || pair.agree_or_say_so());
        if said.status == 200 && said.json()["partner"]["done"] == true {
            assert!(pair.both_say(&to), "{victim}: it was said to be done");
        }
        // What is different is brought over as any difference is.
        until("it is brought over", || pair.nodes.run(ONE, &["sync", "run"]).status.success());
        if !pair.both_say(&to) {
            assert!(pair.both_say(&from), "{victim}");
            assert_eq!(pair.apply(ONE, (&from, &to), &json!({})).status, 200, "{victim}");
        }
        until("both have it in force", || {
            pair.both_run()
                && pair.both_say(&to)
                && pair.nodes.weight(TWO) == weight
                && pair.nodes.weight(ONE) == weight
        });
    }
}

/// The server with this weight.
fn line(weight: u64) -> String {
    format!("        active = 1\n        weight = {weight}\n")
}
