//! lvs.cf through the API and the pages: reviewed, applied, confirmed, taken back, compared.

use std::fs;

use serde_json::{Value, json};

use crate::client::{Answer, Asked};
use crate::daemon::until;
use crate::director::Director;
use crate::site::Session;

const API: &str = "/api/v1/config";

/// A director whose first revision is recorded, and its admin.
fn director() -> (Director, Session) {
    let director = Director::new();
    let root = director.site.log_in("root");
    until("the first revision is recorded", || revisions(&director, &root).len() == 1);
    (director, root)
}

fn revisions(director: &Director, root: &Session) -> Vec<Value> {
    let known = director.site.get(root, &format!("{API}/revisions"));
    known["revisions"].as_array().cloned().unwrap_or_default()
}

fn file(director: &Director) -> String {
    fs::read_to_string(&director.config).unwrap()
}

/// The file's entity tag.
fn tag(director: &Director, root: &Session) -> String {
    let raw = root.sends(Asked::new("GET", &format!("{API}/raw")));
    director.site.client.ask(&raw).field("etag").to_owned()
}

fn post(director: &Director, root: &Session, call: &str, body: &Value) -> Answer {
    let asked = root.sends(Asked::new("POST", &format!("{API}/{call}")));
    director.site.client.ask(&asked.json(body))
}

fn apply(director: &Director, root: &Session, tag: &str, body: &Value) -> Answer {
    let asked = root.sends(Asked::new("POST", &format!("{API}/apply"))).with("if-match", tag);
    director.site.client.ask(&asked.json(body))
}

/// What the file says with another scheduler, which touches no address.
fn other(director: &Director) -> String {
    file(director).replace("scheduler = rr", "scheduler = wlc")
}

/// What it says with another dead time, which the partner has a part in.
fn risky(director: &Director) -> String {
    file(director).replace("deadtime = 300ms", "deadtime = 400ms")
}

#[test]
fn a_draft_is_applied_by_who_has_seen_the_file_and_by_nobody_else() {
    let (director, root) = director();
    let (before, draft) = (file(&director), other(&director));
    let review = post(&director, &root, "review", &json!({ "text": draft })).json();
    assert_eq!((&review["usable"], &review["confirm"]), (&json!(true), &json!(false)), "{review}");
    let change = review["changes"][0]["text"].as_str().unwrap();
    assert_eq!(change, "service web: scheduler rr to wlc; connections kept");
    assert_eq!(review["changes"].as_array().map(Vec::len), Some(1));

    let body = json!({ "text": draft, "reason": "<b>slow</b> servers" });
    let unseen = post(&director, &root, "apply", &body);
    assert_eq!((unseen.status, &unseen.json()["code"]), (428, &json!("no_base")));
    let stale = apply(&director, &root, &format!("\"{}\"", "0".repeat(64)), &body);
    assert_eq!((stale.status, &stale.json()["code"]), (412, &json!("stale")));
    assert_eq!(file(&director), before, "what is refused changes nothing");

    let first = tag(&director, &root);
    let applied = apply(&director, &root, &first, &body);
    assert_eq!(applied.status, 200, "{applied:?}");
    let applied = applied.json();
    assert_eq!((&applied["revision"], &applied["pending"]), (&json!(2), &Value::Null));
    assert_eq!(applied["partner"], Value::Null, "there is none");
    assert_eq!(file(&director), draft);
    assert_eq!(apply(&director, &root, &first, &json!({ "text": before })).status, 412);

    let revisions = revisions(&director, &root);
    let author = revisions[1]["author"].as_str().unwrap();
    assert!(author.contains("root"), "{author}");
    let page = director.page(&root, "/config/history?from=1&to=2");
    assert!(page.contains("scheduler rr to wlc") && page.contains("class=\"gone\""), "{page}");
    assert!(page.contains("&#60;b&#62;slow") && !page.contains("<b>slow"), "{page}");
    let trail = director.site.get(&root, "/api/v1/audit");
    let entry = trail["entries"].as_array().unwrap().iter().find(|entry| entry["result"] == "done");
    let entry = entry.unwrap();
    let told = (&entry["action"], &entry["actor"], &entry["reason"]);
    assert_eq!(told, (&json!("config.apply"), &json!("root"), &json!("<b>slow</b> servers")));
}

#[test]
fn a_risky_change_that_nobody_confirms_goes_back_and_one_that_is_confirmed_stays() {
    let (director, root) = director();
    let (before, draft) = (file(&director), risky(&director));
    let review = post(&director, &root, "review", &json!({ "text": draft })).json();
    assert_eq!(review["confirm"], true, "{review}");
    let try_it = |seconds: u64| {
        let body = json!({ "text": draft, "confirm_within": seconds });
        let applied = apply(&director, &root, &tag(&director, &root), &body);
        assert_eq!(applied.status, 200, "{applied:?}");
        assert!(applied.json()["pending"].is_object() && applied.json()["partner"].is_null());
    };
    try_it(5);
    assert_eq!(file(&director), draft);
    until("every page says so", || director.page(&root, "/events").contains("data-left="));
    until("it goes back", || file(&director) == before);
    until("and no page says so any more", || !director.page(&root, "/").contains("data-left="));
    assert_eq!(post(&director, &root, "confirm", &json!({})).status, 409, "it is too late");

    try_it(60);
    let oscar = director.site.log_in("oscar");
    until("an operator sees it", || director.page(&oscar, "/").contains("data-left="));
    assert!(!director.page(&oscar, "/").contains("data-post"), "and cannot confirm it");
    assert_eq!(post(&director, &root, "confirm", &json!({})).status, 200);
    assert_eq!(file(&director), draft);
    let undone = post(&director, &root, "undo", &json!({ "reason": "after all" }));
    assert_eq!(undone.status, 200, "{undone:?}");
    assert_eq!(file(&director), before);
}

#[test]
fn a_draft_with_errors_is_told_by_line_and_column_and_is_never_put_in_force() {
    let (director, root) = director();
    let before = file(&director);
    let draft = before.replace("    scheduler = rr\n", "    scheduler = nothing\n");
    let line = draft.lines().position(|line| line.contains("nothing")).unwrap() + 1;
    let review = post(&director, &root, "review", &json!({ "text": draft })).json();
    assert_eq!(review["usable"], false);
    let start = &review["remarks"][0]["span"]["start"];
    assert_eq!((&start["line"], &start["column"]), (&json!(line), &json!(17)), "{review}");
    let validated = post(&director, &root, "validate", &json!({ "text": draft })).json();
    assert_eq!(validated["diagnostics"][0]["code"], review["remarks"][0]["code"]);
    let body = json!({ "text": draft, "force": true, "confirm_within": 0 });
    let refused = apply(&director, &root, &tag(&director, &root), &body);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_eq!(file(&director), before);
    assert_eq!(revisions(&director, &root).len(), 1);
    let both = json!({ "text": draft, "revision": "1" });
    assert_eq!(apply(&director, &root, "*", &both).status, 400);
}

#[test]
fn an_earlier_revision_is_restored_and_the_editor_begins_with_it() {
    let (director, root) = director();
    let (before, draft) = (file(&director), other(&director));
    let body = json!({ "text": draft, "partner": false });
    assert_eq!(apply(&director, &root, &tag(&director, &root), &body).status, 200);
    let page = director.page(&root, "/config?revision=1");
    assert!(page.contains("scheduler = rr") && page.contains("begins as revision 1"), "{page}");
    assert!(director.page(&root, "/config").contains("scheduler = wlc"));
    let one = director.site.get(&root, &format!("{API}/revisions/1"));
    assert_eq!(one["text"], before.as_str());
    let body = json!({ "revision": "1" });
    let restored = apply(&director, &root, &tag(&director, &root), &body);
    assert_eq!(restored.status, 200, "{restored:?}");
    assert_eq!(file(&director), before, "byte for byte");
    assert_eq!(revisions(&director, &root)[2]["origin"], json!({ "restored": 1 }));
    let missing = root.sends(Asked::new("GET", &format!("{API}/revisions/77")));
    assert_eq!(director.site.client.ask(&missing).status, 404);
}

#[test]
fn what_was_edited_by_hand_is_told_compared_and_shown_as_it_was_written() {
    let (director, root) = director();
    let nasty = "# </textarea><img src=x onerror=alert(1)>\"'&\\\n";
    fs::write(&director.config, format!("{nasty}{}", other(&director))).unwrap();
    until("the page says so", || director.page(&root, "/config").contains("edited by hand"));
    let page = director.page(&root, "/config");
    assert!(!page.contains("<img"), "{page}");
    assert!(page.contains("&#60;/textarea&#62;&#60;img"), "{page}");
    let compared = director.site.get(&root, &format!("{API}/compare?from=1&to=file"));
    let words = compared["changes"][0]["text"].as_str().unwrap();
    assert!(words.contains("scheduler rr to wlc"), "{compared}");
    let new = compared["lines"].as_array().unwrap().iter().filter(|line| line["mark"] == "new");
    assert_eq!(new.count(), 2, "{compared}");
    assert!(!director.page(&root, "/config/history?from=1&to=file").contains("<img"));
}

#[test]
fn forms_are_made_from_the_draft_and_change_one_line_of_it() {
    let (director, root) = director();
    let text = file(&director);
    let outline = post(&director, &root, "outline", &json!({ "text": text })).json();
    let service = &outline["sections"][0];
    assert_eq!((&service["name"], &service["sections"][1]["name"]), (&json!("web"), &json!("s2")));
    let settings = service["settings"].as_array().unwrap();
    let of = |name: &str| settings.iter().find(|setting| setting["directive"] == name).unwrap();
    assert_eq!(
        (&of("scheduler")["value"], &of("scheduler")["origin"]),
        (&json!("rr"), &json!("written"))
    );
    assert_eq!(of("persistent").get("line"), None, "{outline}");
    let edit = json!({ "text": text, "action": "set", "service": "web", "server": "s1",
        "directive": "weight", "value": "7" });
    let edited = post(&director, &root, "edit", &edit).json();
    let lines: Vec<_> = edited["text"].as_str().unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), text.lines().count() + 1, "one line is new");
    assert!(
        lines[0] == "# a comment that stays"
            && lines.iter().any(|line| line.trim() == "weight = 7")
    );
    let wrong = json!({ "text": text, "action": "set", "directive": "keepalive", "value": "soon" });
    assert_eq!(post(&director, &root, "edit", &wrong).status, 422);
    let broken = post(&director, &root, "outline", &json!({ "text": "virtual {" }));
    assert_eq!((broken.status, &broken.json()["code"]), (422, &json!("configuration")));
    let directives = director.site.get(&root, &format!("{API}/directives"));
    let rows = directives["directives"].as_array().unwrap();
    let weight = rows.iter().find(|row| row["directive"] == "weight" && row["scope"] == "server");
    assert!(weight.is_some_and(|row| row["meaning"].as_str().is_some_and(|doc| !doc.is_empty())));
    assert_eq!(file(&director), text, "nothing was saved");
}

#[test]
fn another_programs_file_becomes_a_draft_with_a_word_on_what_is_missing() {
    let (director, root) = director();
    let foreign = "virtual=192.0.2.80:80\n\treal=10.0.0.1:80 masq 3\n\tscheduler=rr\n\tno_such=1\n";
    let body = json!({ "text": foreign, "primary": "192.0.2.11" });
    let imported = post(&director, &root, "import", &body).json();
    assert_eq!(imported["from"], "ldirectord");
    assert!(imported["text"].as_str().unwrap().contains("weight = 3"), "{imported}");
    assert!(imported["remarks"].to_string().contains("no_such"), "{imported}");
    let nothing = post(&director, &root, "import", &json!({ "text": "hello" }));
    assert_eq!((nothing.status, &nothing.json()["code"]), (422, &json!("import")));
    let wrong = json!({ "text": foreign, "from": "haproxy" });
    assert_eq!(post(&director, &root, "import", &wrong).status, 400);
}

#[test]
fn an_operator_has_a_server_checked_and_reads_what_was_said() {
    let (director, _) = director();
    let oscar = director.site.log_in("oscar");
    let check = |server: &str| {
        let path = format!("/api/v1/services/web/servers/{server}/check");
        director.site.client.ask(&oscar.sends(Asked::new("POST", &path)))
    };
    let checked = check("s1");
    assert_eq!(checked.status, 200, "{checked:?}");
    let checked = &checked.json()["checks"][0];
    assert_eq!((&checked["server"], &checked["failure"]), (&json!("s1"), &Value::Null));
    assert!(checked["transcript"].as_array().is_some_and(|lines| !lines.is_empty()), "{checked}");
    assert_eq!(check("s9").status, 404);
}

#[test]
fn without_a_program_that_brings_files_to_the_partner_the_page_says_so() {
    let (director, root) = director();
    let page = director.page(&root, "/files");
    assert!(page.contains("piranha sync serve"), "{page}");
    let asked = root.sends(Asked::new("GET", "/api/v1/sync"));
    assert_eq!(director.site.client.ask(&asked).status, 503);
}
