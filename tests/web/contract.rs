//! Every route of the API asked, and its answer held against what its description promises.

use std::collections::BTreeSet;

use piranha::web::{Kind, ROUTES, Route};
use serde_json::{Value, json};

use crate::client::{Answer, Asked};
use crate::daemon::until;
use crate::director::Director;
use crate::site::{PASSWORD, Session, Site};

/// One request: the method and path of its route, what is really asked, and whether a lone director
/// can do it.
type Example = (&'static str, &'static str, String, Value, bool);

const SERVER: &str = "/api/v1/services/web/servers/s1";

/// What is asked of each route, in this order.
fn examples(text: &str) -> Vec<Example> {
    let groups = [of_the_pair(), of_the_file(text), of_the_editor(text), of_servers(), refused()];
    groups.into_iter().chain([of_accounts()]).flatten().collect()
}

fn get(path: &'static str, query: &str) -> Example {
    ("GET", path, format!("{path}{query}"), Value::Null, true)
}

fn post(path: &'static str, body: Value) -> Example {
    ("POST", path, path.to_owned(), body, true)
}

/// A route whose path leaves something open.
fn at(method: &'static str, path: &'static str, asked: &str, body: Value) -> Example {
    (method, path, asked.to_owned(), body, true)
}

fn of_the_pair() -> Vec<Example> {
    vec![
        get("/api/v1/status", "?servers=all"),
        get("/api/v1/readiness", ""),
        get("/api/v1/openapi.json", ""),
        get("/api/v1/nodes", ""),
        get("/api/v1/events", "?after=1"),
        get("/api/v1/history", "?service=web&series=up&range=60"),
        get("/api/v1/overrides", ""),
        get("/api/v1/services", ""),
        get("/api/v1/services.csv", ""),
        at("GET", "/api/v1/services/{service}", "/api/v1/services/web", Value::Null),
        get("/api/v1/ipvsadm", ""),
        get("/api/v1/support-bundle", ""),
        post("/api/v1/notify/test", json!({})),
        at("PUT", "/api/v1/maintenance", "/api/v1/maintenance", json!({ "on": false })),
        post("/api/v1/cluster/failover", json!({ "dry_run": true })),
    ]
}

fn of_the_file(text: &str) -> Vec<Example> {
    let other = json!({ "text": text.replace("scheduler = rr", "scheduler = wlc") });
    let slower = text.replace("deadtime = 300ms", "deadtime = 400ms");
    vec![
        get("/api/v1/config/raw", ""),
        post("/api/v1/config/diff", other.clone()),
        post("/api/v1/config/review", other.clone()),
        post("/api/v1/config/apply", other),
        post("/api/v1/config/undo", json!({ "reason": "a test" })),
        post("/api/v1/config/apply", json!({ "text": slower, "confirm_within": 600 })),
        post("/api/v1/config/confirm", json!({})),
        get("/api/v1/config/revisions", ""),
        at("GET", "/api/v1/config/revisions/{id}", "/api/v1/config/revisions/1", Value::Null),
        get("/api/v1/config/compare", "?from=1&to=file"),
        post("/api/v1/config/reload", json!({})),
    ]
}

fn of_the_editor(text: &str) -> Vec<Example> {
    let draft = json!({ "text": text });
    let foreign = "virtual=192.0.2.80:80\n\treal=10.0.0.1:80 masq 3\n";
    let mut edit =
        json!({ "action": "set", "service": "web", "directive": "scheduler", "value": "wrr" });
    edit["text"] = text.into();
    let explain = "/api/v1/config/explain/{name}";
    vec![
        post("/api/v1/config/validate", draft.clone()),
        post("/api/v1/config/outline", draft),
        post("/api/v1/config/edit", edit),
        post("/api/v1/config/import", json!({ "text": foreign, "primary": "192.0.2.11" })),
        at("GET", explain, "/api/v1/config/explain/weight", Value::Null),
        at("GET", explain, "/api/v1/config/explain/E0102", Value::Null),
        get("/api/v1/config/directives", ""),
    ]
}

fn of_servers() -> Vec<Example> {
    let one = "/api/v1/services/{service}/servers/{server}";
    let said = "/api/v1/services/{service}/servers/{server}/override";
    let check = "/api/v1/services/{service}/servers/{server}/check";
    let connections = "/api/v1/services/{service}/connections";
    let word = json!({ "state": "weight", "weight": 3 });
    let several = json!({ "state": "ready", "servers": ["web/s1"] });
    vec![
        at("GET", connections, "/api/v1/services/web/connections", Value::Null),
        at("PUT", "/api/v1/overrides", "/api/v1/overrides", several),
        at("GET", one, SERVER, Value::Null),
        at("PUT", said, &format!("{SERVER}/override"), word),
        at("DELETE", said, &format!("{SERVER}/override"), Value::Null),
        at("POST", check, &format!("{SERVER}/check"), json!({})),
    ]
}

/// A lone director has nobody to ask, and nobody who would take its service.
fn refused() -> Vec<Example> {
    let (maintenance, session) = ("/api/v1/maintenance", "/api/v1/sessions/0");
    let wanted = [
        get("/api/v1/sync", ""),
        post("/api/v1/sync/run", json!({})),
        post("/api/v1/sync/resolve", json!({ "name": "lvs.cf", "mine": true })),
        at("PUT", maintenance, maintenance, json!({ "on": true })),
        at("DELETE", "/api/v1/sessions/{id}", session, Value::Null),
    ];
    wanted
        .into_iter()
        .map(|(method, path, asked, body, _)| (method, path, asked, body, false))
        .collect()
}

fn of_accounts() -> Vec<Example> {
    let (user, token) = ("/api/v1/users/{user}", "/api/v1/tokens/{name}");
    let new = json!({ "password": PASSWORD, "new": "another long password" });
    let password = "/api/v1/session/password";
    vec![
        get("/api/v1/sessions", ""),
        get("/api/v1/users", ""),
        at("PUT", user, "/api/v1/users/nina", json!({ "password": PASSWORD })),
        at("DELETE", user, "/api/v1/users/nina", Value::Null),
        post("/api/v1/tokens", json!({ "name": "robot" })),
        get("/api/v1/tokens", ""),
        at("DELETE", token, "/api/v1/tokens/robot", Value::Null),
        get("/api/v1/audit", ""),
        post("/api/v1/session", json!({ "user": "vera", "password": PASSWORD })),
        post("/api/v1/session/confirm", json!({ "password": PASSWORD })),
        at("DELETE", "/api/v1/session", "/api/v1/session", Value::Null),
        // It ends the session, so it is the last.
        at("PUT", password, password, new),
    ]
}

/// What of `value` is not as `schema` says, if anything is.
fn differs(schema: &Value, value: &Value, place: &str) -> Option<String> {
    let fits = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        other => panic!("{place}: no type {other:?}"),
    };
    let kinds = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    if !kinds.iter().any(fits) {
        return Some(format!("{place} is {value}, not {}", schema["type"]));
    }
    let missing = schema["required"].as_array().into_iter().flatten();
    let mut missing = missing.filter_map(Value::as_str).filter(|name| value.get(name).is_none());
    if let Some(name) = missing.next() {
        return Some(format!("{place} has no {name}: {value}"));
    }
    let fields = schema["properties"].as_object().into_iter().flatten();
    let wrong = fields
        .filter_map(|(name, inner)| differs(inner, value.get(name)?, &format!("{place}.{name}")));
    let items = value.as_array().filter(|_| schema["items"].is_object()).into_iter().flatten();
    let wrong_items =
        items.filter_map(|item| differs(&schema["items"], item, &format!("{place}[]")));
    wrong.chain(wrong_items).next()
}

/// Holds an answer against the description of its operation.
fn check(description: &Value, operation: &Value, answer: &Answer, place: &str) {
    let media = answer.field("content-type").split(';').next().unwrap_or_default();
    if answer.status >= 400 {
        let problem = &description["components"]["responses"]["problem"]["content"];
        let schema = &problem["application/problem+json"]["schema"];
        assert_eq!(media, "application/problem+json", "{place}: {answer:?}");
        assert_eq!(differs(schema, &answer.json(), place), None);
        return;
    }
    match operation["responses"]["2XX"]["content"].as_object() {
        None => assert!(answer.body.is_empty(), "{place}: {answer:?}"),
        Some(content) => {
            let schema = content.get(media).unwrap_or_else(|| panic!("{place}: {answer:?}"));
            let told = match media {
                "application/json" => answer.json(),
                _ => Value::String(answer.body.clone()),
            };
            assert_eq!(differs(&schema["schema"], &told, place), None);
        }
    }
}

fn ask(director: &Director, root: &Session, method: &str, path: &str, body: &Value) -> Answer {
    let asked = root.sends(Asked::new(method, path)).with("if-match", "*");
    let asked = if body.is_null() { asked } else { asked.json(body) };
    director.site.client.ask(&asked)
}

#[test]
fn every_answer_of_the_api_is_what_its_description_says() {
    let director = Director::new();
    let root = director.site.log_in("root");
    let revisions = || director.site.get(&root, "/api/v1/config/revisions")["revisions"].clone();
    until("the first revision is recorded", || {
        revisions().as_array().is_some_and(|all| all.len() == 1)
    });
    let description = director.site.get(&root, "/api/v1/openapi.json");
    let text = std::fs::read_to_string(&director.config).unwrap();
    let mut asked = BTreeSet::new();
    for (method, path, at, body, succeeds) in examples(&text) {
        let operation = &description["paths"][path][method.to_lowercase()];
        let place = format!("{method} {at}");
        assert!(operation.is_object(), "{place} is not described");
        // Logging in and out ends a session, so that is another one.
        let of_its_own = (path == "/api/v1/session").then(|| director.site.log_in("vera"));
        let session = of_its_own.as_ref().unwrap_or(&root);
        let answer = ask(&director, session, method, &at, &body);
        let done = (200..300).contains(&answer.status);
        assert_eq!(done, succeeds, "{place}: {answer:?}");
        check(&description, operation, &answer, &place);
        asked.insert((method, path));
    }
    let is_left = |route: &&Route| {
        let api = route.path.starts_with("/api/") && route.kind != Kind::Stream;
        // Its name is that of this machine.
        let by_name = route.path == "/api/v1/nodes/{name}";
        api && !by_name && !asked.contains(&(route.method.name(), route.path))
    };
    let left: Vec<_> = ROUTES.iter().filter(is_left).map(|route| route.path).collect();
    assert_eq!(left, Vec::<&str>::new(), "have no example here");
}

#[test]
fn what_is_refused_before_it_is_served_is_told_as_described_on_every_route() {
    let site = Site::new();
    let vera = site.log_in("vera");
    let description = site.get(&vera, "/api/v1/openapi.json");
    for route in
        ROUTES.iter().filter(|route| route.path.starts_with("/api/v1/") && route.method.changes())
    {
        let path = route.path.replace(['{', '}'], "");
        let operation = &description["paths"][route.path][route.method.name().to_lowercase()];
        let asked = Asked::new(route.method.name(), &path).with("cookie", &vera.cookie);
        let answer = site.client.ask(&asked.with("sec-fetch-site", "cross-site").json(&json!({})));
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
        check(&description, operation, &answer, &path);
    }
}
