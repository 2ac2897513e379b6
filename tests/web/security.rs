//! Logging in, and what keeps strangers out.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Asked, ask_socket};
use crate::site::{PASSWORD, Site, session};

#[test]
fn the_first_admin_needs_the_printed_token_which_is_good_once() {
    let site = Site::empty_beside(None);
    assert_eq!(site.client.ask(&Asked::new("GET", "/")).field("location"), "/setup");
    assert_eq!(site.try_log_in("admin", "admin").status, 401, "there is no default account");
    assert_eq!(site.set_up(&"0".repeat(64), "mallory").status, 401);
    assert_eq!(site.set_up(&site.token, "Bad Name").status, 422);
    assert_eq!(site.set_up(&site.token, "alice").status, 303);
    let again = site.set_up(&site.token, "mallory");
    assert_eq!((again.status, again.field("location")), (303, "/login"));
    let alice = site.log_in("alice");
    let users = site.get(&alice, "/api/v1/users");
    assert_eq!(users["users"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_cookie_has_every_mark_and_its_secret_changes_at_each_login() {
    let site = Site::new();
    let first = site.try_log_in("vera", PASSWORD);
    let cookie = first.field("set-cookie").to_owned();
    let port = site.client.address.port();
    assert!(cookie.starts_with(&format!("__Host-piranha-{port}=")), "{cookie}");
    for mark in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(mark), "{cookie}");
    }
    let first = session(&first);
    let again = Asked::new("POST", "/api/v1/session")
        .with("cookie", &first.cookie)
        .with("sec-fetch-site", "same-origin")
        .json(&json!({ "user": "vera", "password": PASSWORD }));
    let second = session(&site.client.ask(&again));
    assert_ne!(first.cookie, second.cookie);
    let asked = |of: &crate::site::Session| of.sends(Asked::new("GET", "/api/v1/sessions"));
    assert_eq!(site.client.ask(&asked(&first)).status, 401, "the old secret is worth nothing");
    assert_eq!(site.client.ask(&asked(&second)).status, 200);
}

#[test]
fn a_copied_cookie_is_worth_nothing_after_the_logout() {
    let site = Site::new();
    let vera = site.log_in("vera");
    let out = Asked::new("POST", "/logout")
        .with("cookie", &vera.cookie)
        .with("sec-fetch-site", "same-origin")
        .body("application/x-www-form-urlencoded", format!("csrf={}", vera.csrf).as_bytes());
    let answer = site.client.ask(&out);
    assert_eq!(answer.status, 303);
    assert!(answer.field("set-cookie").contains("Max-Age=0"));
    let asked = vera.sends(Asked::new("GET", "/api/v1/sessions"));
    assert_eq!(site.client.ask(&asked).status, 401);
}

#[test]
fn a_wrong_password_and_a_wrong_name_are_answered_alike_and_slow_down() {
    let site = Site::new();
    let told = |user: &str| {
        let answer = site.try_log_in(user, "not the password");
        (answer.status, answer.json()["title"].as_str().unwrap_or_default().to_owned())
    };
    let (known, unknown) = (told("vera"), told("nobody"));
    assert_eq!(known, unknown);
    assert_eq!(known.0, 401);
    let mut last = known;
    for _ in 0..6 {
        last = told("vera");
    }
    assert_eq!(last.0, 429);
    assert_eq!(told("nobody").0, 429, "the address waits, whatever name it tries");
    assert_eq!(site.try_log_in("vera", PASSWORD).status, 429, "even with the right password");
}

#[test]
fn a_session_ends_with_a_new_password_and_with_a_new_role() {
    let site = Site::new();
    let root = site.log_in("root");
    for change in [json!({ "password": "another horse" }), json!({ "role": "operator" })] {
        let oscar = site.log_in("oscar");
        let put = Asked::new("PUT", "/api/v1/users/oscar");
        let put = root.sends(put).json(&json!({ "role": "viewer", "password": PASSWORD }));
        assert_eq!(site.client.ask(&put).status, 204);
        let asked = oscar.sends(Asked::new("GET", "/api/v1/sessions"));
        assert_eq!(site.client.ask(&asked).status, 401, "{change}");
        let put = root.sends(Asked::new("PUT", "/api/v1/users/oscar"));
        let back = put.json(&json!({ "role": "operator", "password": PASSWORD }));
        assert_eq!(site.client.ask(&back).status, 204);
    }
}

#[test]
fn an_admin_revokes_the_session_of_another_and_a_viewer_only_the_own() {
    let site = Site::new();
    let (root, vera) = (site.log_in("root"), site.log_in("vera"));
    let of = |user: &str, list: Value| -> Option<String> {
        let sessions = list["sessions"].as_array().cloned().unwrap_or_default();
        let mut ids = sessions.iter().filter(|session| session["user"] == user);
        ids.next().and_then(|session| session["id"].as_str()).map(ToOwned::to_owned)
    };
    let seen = site.get(&root, "/api/v1/sessions");
    let (roots, veras) = (of("root", seen.clone()).unwrap(), of("vera", seen).unwrap());
    assert_eq!(of("root", site.get(&vera, "/api/v1/sessions")), None);
    let revoke = |id: &str| Asked::new("DELETE", &format!("/api/v1/sessions/{id}"));
    assert_eq!(site.client.ask(&vera.sends(revoke(&roots))).status, 404);
    assert_eq!(site.client.ask(&root.sends(revoke(&veras))).status, 204);
    let asked = vera.sends(Asked::new("GET", "/api/v1/sessions"));
    assert_eq!(site.client.ask(&asked).status, 401);
}

#[test]
fn an_api_token_does_what_its_role_may_without_a_cookie_until_it_is_revoked() {
    let site = Site::new();
    let root = site.log_in("root");
    let make = root.sends(Asked::new("POST", "/api/v1/tokens"));
    let made = site.client.ask(&make.json(&json!({ "name": "grafana", "role": "viewer" })));
    assert_eq!(made.status, 201);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    let with = |method: &str, path: &str| {
        Asked::new(method, path).with("authorization", &format!("Bearer {token}"))
    };
    assert_eq!(site.client.ask(&with("GET", "/api/v1/overrides")).status, 503, "no daemon runs");
    assert_eq!(site.client.ask(&with("POST", "/api/v1/config/reload")).status, 403);
    let kept = std::fs::read_to_string(site.directory.path().join("state/accounts.json")).unwrap();
    assert!(!kept.contains(&token["piranha_".len()..]), "only its digest is kept");
    let revoke = root.sends(Asked::new("DELETE", "/api/v1/tokens/grafana"));
    assert_eq!(site.client.ask(&revoke).status, 204);
    assert_eq!(site.client.ask(&with("GET", "/api/v1/overrides")).status, 401);
}

#[test]
fn a_request_for_another_host_is_refused_before_anything_else() {
    let site = Site::new();
    let root = site.log_in("root");
    for host in ["evil.example", "localhost.evil.example", "evil.example:3637"] {
        let asked = root.sends(Asked::new("GET", "/api/v1/sessions").with("host", host));
        assert_eq!(site.client.ask(&asked).status, 421, "{host}");
    }
    for host in ["localhost", "127.0.0.1:3637", "[::1]", &site.server_names[0]] {
        let asked = root.sends(Asked::new("GET", "/api/v1/sessions").with("host", host));
        assert_eq!(site.client.ask(&asked).status, 200, "{host}");
    }
    let two = Asked::new("GET", "/login").with("host", "localhost").with("host", "evil.example");
    assert_eq!(site.client.ask(&two).status, 400);
}

#[test]
fn plain_http_is_sent_to_https_and_nothing_else() {
    let site = Site::new();
    let root = site.log_in("root");
    let asked = root.sends(Asked::new("GET", "/api/v1/sessions?x=1"));
    let answer = site.client.ask_plainly(&asked);
    assert_eq!(answer.status, 308);
    assert_eq!(answer.field("location"), "https://localhost/api/v1/sessions?x=1");
    assert!(answer.body.is_empty());
    let foreign = Asked::new("GET", "/").with("host", "evil.example");
    assert_eq!(site.client.ask_plainly(&foreign).field("location"), "");
}

#[test]
fn heads_and_bodies_beyond_their_bounds_are_refused() {
    let site = Site::new();
    let root = site.log_in("root");
    let large = root.sends(Asked::new("POST", "/api/v1/tokens"));
    let answer = site.client.ask(&large.body("application/json", &vec![b'x'; 70_000]));
    assert!(matches!(answer.status, 413), "{answer:?}");
    let head = root.sends(Asked::new("GET", "/").with("x-long", &"x".repeat(40_000)));
    assert!(matches!(site.client.ask(&head).status, 0 | 400 | 431));
    let media = root.sends(Asked::new("POST", "/api/v1/tokens")).body("text/plain", b"{}");
    assert_eq!(site.client.ask(&media).status, 415);
    let broken = root.sends(Asked::new("POST", "/api/v1/tokens"));
    assert_eq!(site.client.ask(&broken.body("application/json", b"{\"name\":")).status, 400);
}

#[test]
fn strangers_who_hold_connections_open_leave_room_for_those_who_are_known() {
    let site = Site::new();
    let root = site.log_in("root");
    let mut known = site.client.connect();
    let asked =
        format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\ncookie: {}\r\n\r\n", root.cookie);
    known.write_all(asked.as_bytes()).unwrap();
    let mut first = [0; 15];
    known.read_exact(&mut first).unwrap();
    let begun = Instant::now();
    let strangers: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(site.client.address).expect("the kernel accepts"))
        .collect();
    strangers.iter().for_each(|stream| stream.set_nonblocking(true).expect("a socket"));
    let is_closed = |mut stream: &TcpStream| match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    // Sooner than anybody who says nothing has to go.
    while strangers.iter().filter(|stream| is_closed(stream)).count() < 30 {
        assert!(begun.elapsed() < Duration::from_secs(9), "so many strangers are let in");
        std::thread::sleep(Duration::from_millis(5));
    }
    known.write_all(asked.as_bytes()).expect("the known one is still served");
    known.read_exact(&mut first).expect("the known one is still served");
    drop(strangers);
}

#[test]
fn on_the_socket_the_kernel_says_who_asks() {
    let site = Site::new();
    let socket = site.directory.path().join("web.sock");
    let asked = Asked::new("GET", "/api/v1/users");
    let answer = ask_socket(&socket, &asked);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["users"].as_array().map(Vec::len), Some(3));
    let make = Asked::new("POST", "/api/v1/tokens").json(&json!({ "name": "backup" }));
    assert_eq!(ask_socket(&socket, &make).status, 201);
    let audit = ask_socket(&socket, &Asked::new("GET", "/api/v1/audit")).json();
    assert_eq!(audit["entries"][0]["action"], "token.create");
    assert_eq!(audit["entries"][0]["source"], "socket");
}

#[test]
fn the_audit_trail_has_every_change_and_refusal_and_no_secret() {
    let site = Site::new();
    let (root, vera) = (site.log_in("root"), site.log_in("vera"));
    site.try_log_in("vera", "not the password");
    site.client.ask(&vera.sends(Asked::new("POST", "/api/v1/config/reload")));
    let entries = site.get(&root, "/api/v1/audit")["entries"].as_array().cloned().unwrap();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let field = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            (field("actor"), field("action"), field("result"))
        })
        .collect();
    let expected = |actor: &str, action: &str, result: &str| {
        let entry = (actor.to_owned(), action.to_owned(), result.to_owned());
        assert!(told.contains(&entry), "{entry:?} in {told:?}");
    };
    expected("root", "user.put", "done");
    expected("vera", "session.begin", "wrong_password");
    expected("vera", "POST /api/v1/config/reload", "not_allowed");
    let file = std::fs::read_to_string(site.directory.path().join("state/audit.jsonl")).unwrap();
    for secret in [PASSWORD, "not the password", &root.csrf, &site.token] {
        assert!(!file.contains(secret), "{secret}");
    }
}
