//! What each scheduler chooses in one fixed course of events. The snapshot changes only when a
//! rule does, and the same cases can be replayed through another implementation.

mod replay;

use std::fmt::Write;
use std::net::SocketAddr;

use replay::{Case, Event, cases, choices};

fn all() -> Vec<Case> {
    let servers = [1, 2, 3, 4].map(|host| SocketAddr::from(([10, 0, 0, host], 80)));
    cases(SocketAddr::from(([192, 0, 2, 80], 80)), &servers)
}

/// A digit for each connection, the last octet of its server; a dash where it is refused.
fn line(case: &Case) -> String {
    let digit = |choice: Option<SocketAddr>| match choice {
        Some(SocketAddr::V4(server)) => server.ip().octets()[3].to_string(),
        _ => "-".into(),
    };
    let digits: Vec<_> = choices(case).into_iter().map(digit).collect();
    digits.chunks(10).map(<[String]>::concat).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_scheduler_chooses_as_it_did() {
    let mut lines = String::new();
    for case in all() {
        let fallback = if case.options.fallback { "fallback" } else { "" };
        let port = if case.options.port { "port" } else { "" };
        let choices = line(&case);
        let _ = writeln!(lines, "{:5} {fallback:8} {port:4} {choices}", case.scheduler);
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn a_connection_that_ends_is_no_load_any_more() {
    let mut case = all().into_iter().find(|case| case.scheduler == "lc").unwrap();
    let flow = case.events.iter().find_map(|event| match event {
        Event::Connect(flow) => Some(*flow),
        _ => None,
    });
    let connect = Event::Connect(flow.unwrap());
    case.events = vec![connect, connect, Event::Close(0), connect];
    assert_eq!(line(&case), "323");
}
