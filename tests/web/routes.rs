//! Every route by every method.

use piranha::web::{Access, Kind, ROUTES, Role, Route};
use serde_json::json;

use crate::client::Asked;
use crate::site::Site;

const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"];

fn path(route: &Route) -> String {
    route.path.replace(['{', '}'], "")
}

fn is_public(method: &str, path: &str) -> bool {
    let method = if method == "HEAD" { "GET" } else { method };
    let here = ROUTES.iter().filter(|route| self::path(route) == path);
    here.into_iter().any(|r| r.access == Access::Public && r.method.name() == method)
}

#[test]
fn without_a_session_nothing_is_served_by_any_method_but_what_is_public() {
    let site = Site::new();
    let unknown = ["/nothing", "/api/v1/nothing", "/api/v1/users/../users", "//api/v1/users"];
    let paths = ROUTES.iter().map(path).chain(unknown.map(ToOwned::to_owned));
    for path in paths {
        for method in METHODS.into_iter().filter(|method| !is_public(method, &path)) {
            for cookie in ["", "__Host-piranha=0", &format!("x={}", "0".repeat(64))] {
                let asked = Asked::new(method, &path).with("sec-fetch-site", "same-origin");
                let answer = site.client.ask(&asked.with("cookie", cookie));
                let place = format!("{method} {path}: {answer:?}");
                assert!(matches!(answer.status, 303 | 401), "{place}");
                assert!(!answer.body.contains("root") && !answer.body.contains("vera"), "{place}");
                if answer.status == 303 {
                    assert!(answer.field("location").starts_with("/login"), "{place}");
                    assert!(answer.body.is_empty(), "{place}");
                }
            }
        }
    }
}

#[test]
fn a_viewer_is_refused_whatever_changes_something() {
    let site = Site::new();
    let vera = site.log_in("vera");
    for route in ROUTES.iter().filter(|route| route.method.changes()) {
        let Access::Role(role) = route.access else { continue };
        if role <= Role::Viewer {
            continue;
        }
        let asked = vera.sends(Asked::new(route.method.name(), &path(route)));
        let answer = site.client.ask(&asked.json(&json!({})));
        assert_eq!(answer.status, 403, "{} {}", route.method.name(), route.path);
        assert_eq!(answer.json()["code"], "not_allowed");
    }
    for route in ROUTES.iter().filter(|route| route.access == Access::Role(Role::Admin)) {
        let asked = vera.sends(Asked::new(route.method.name(), &path(route)));
        assert_eq!(site.client.ask(&asked).status, 403, "{}", route.path);
    }
}

#[test]
fn what_comes_from_another_site_is_refused_on_every_route_and_changes_nothing() {
    let site = Site::new();
    let root = site.log_in("root");
    let before = std::fs::read(site.directory.path().join("state/accounts.json")).unwrap();
    let own = format!("https://{}", site.client.address);
    let forged: [&[(&str, &str)]; 6] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "cross-site"), ("origin", &own)],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[],
    ];
    for route in ROUTES.iter().filter(|route| route.method.changes()) {
        for fields in forged {
            let mut asked = Asked::new(route.method.name(), &path(route))
                .with("cookie", &root.cookie)
                .with("x-piranha-csrf", &root.csrf);
            for (name, value) in fields {
                asked = asked.with(name, value);
            }
            let answer = site.client.ask(&asked);
            assert_eq!(answer.status, 403, "{} {fields:?}: {answer:?}", route.path);
        }
    }
    let after = std::fs::read(site.directory.path().join("state/accounts.json")).unwrap();
    assert_eq!(before, after);
    site.get(&root, "/api/v1/sessions");
}

#[test]
fn a_cookie_alone_is_not_enough_to_change_something() {
    let site = Site::new();
    let root = site.log_in("root");
    for route in ROUTES.iter().filter(|route| route.method.changes()) {
        if route.access == Access::Public {
            continue;
        }
        let asked = Asked::new(route.method.name(), &path(route))
            .with("cookie", &root.cookie)
            .with("sec-fetch-site", "same-origin");
        for asked in [asked.clone(), asked.with("x-piranha-csrf", &"0".repeat(64))] {
            let answer = site.client.ask(&asked);
            assert_eq!(answer.status, 403, "{}: {answer:?}", route.path);
        }
    }
}

#[test]
fn every_answer_has_the_header_fields_that_keep_a_browser_safe() {
    let site = Site::new();
    let root = site.log_in("root");
    let pages = ROUTES.iter().filter(|route| route.kind != Kind::Stream).map(path);
    for path in pages.chain(["/nothing".to_owned()]) {
        for asked in [Asked::new("GET", &path), root.sends(Asked::new("GET", &path))] {
            let answer = site.client.ask(&asked);
            let policy = answer.field("content-security-policy");
            assert!(policy.starts_with("default-src 'none';"), "{path}: {answer:?}");
            assert!(!policy.contains("unsafe"), "{path}");
            assert_eq!(answer.field("x-content-type-options"), "nosniff", "{path}");
            assert!(answer.field("strict-transport-security").is_empty(), "{path}");
            if !path.starts_with("/assets/") {
                assert_eq!(answer.field("cache-control"), "no-store", "{path}");
            }
        }
    }
}
