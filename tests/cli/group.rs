//! Rules for the servers of a service together, end to end: who answers when checks fail.

use std::net::TcpListener;
use std::path::PathBuf;

use crate::daemon::{Daemon, Files, PULSE, alone, lvs_of, read_from, signal, until, word_server};

const SERVERS: [&str; 3] = ["a", "b", "c"];

/// Three servers that answer with their name, checked on a port of their own, and a sorry server:
/// whether a check passes is up to the test, and the servers go on in any case.
struct Group {
    net: u8,
    checked: Vec<Option<TcpListener>>,
    file: PathBuf,
    files: Files,
}

impl Group {
    fn new(net: u8, rules: &str) -> Self {
        let files = Files::new();
        let address = |n: usize| format!("127.78.{net}.1{n}");
        let listener = TcpListener::bind((address(0), 0)).expect("a free loopback address");
        let check = listener.local_addr().expect("it is bound").port();
        let mut checked = vec![Some(listener)];
        checked.extend((1..3).map(|n| TcpListener::bind((address(n), check)).ok()));
        assert!(checked.iter().all(Option::is_some), "port {check} is free on each of them");
        let servers = (0..3).map(|n| {
            let port = word_server(&format!("{}:0", address(n)), SERVERS[n]).port();
            format!(
                "    server {} {{\n        active = 1\n        address = {}\n        port = {port}\n    }}\n",
                SERVERS[n],
                address(n)
            )
        });
        let text = format!(
            "virtual web {{\n    active = 1\n    address = 127.78.{net}.80 lo\n    port = 8080\n    \
             scheduler = rr\n    check = connect\n    check_port = {check}\n    timeout = 100ms\n    \
             rise = 1\n    slow_start = 0\n{rules}\n{}}}\n",
            servers.collect::<String>()
        );
        let file = files.write("lvs.cf", &alone(net, &text));
        Self { net, checked, file, files }
    }

    fn fail(&mut self, server: usize) {
        self.checked[server] = None;
    }

    /// Who answers three connections in a row, each named once.
    fn answers(&self) -> String {
        let vip = format!("127.78.{}.80:8080", self.net);
        let mut words: Vec<_> = (0..3).filter_map(|_| read_from(&vip).ok()).collect();
        words.sort();
        words.dedup();
        words.concat()
    }

    fn until_answered_by(&self, expected: &str) {
        until(&format!("{expected} answer"), || self.answers() == expected);
    }
}

#[test]
fn a_service_that_lost_its_quorum_is_left_to_the_sorry_server() {
    let sorry = word_server("127.78.70.9:0", "sorry");
    let rules = format!("    quorum = 60%\n    sorry_server = 127.78.70.9:{}", sorry.port());
    let mut group = Group::new(70, &rules);
    let mut pulse = Daemon::pulse(&group.file);
    group.until_answered_by("abc");
    group.fail(0);
    group.until_answered_by("bc");
    group.fail(1);
    pulse.expect("quorum lost: weight 1, 2 brings it back");
    group.until_answered_by("sorry");
}

#[test]
fn a_service_that_fails_open_goes_on_when_every_check_fails() {
    let mut group = Group::new(71, "    all_down = fail_open");
    let mut pulse = Daemon::pulse(&group.file);
    group.until_answered_by("abc");
    group.fail(0);
    group.until_answered_by("bc");
    group.fail(1);
    group.fail(2);
    pulse.expect("is kept in for want of others (web/");
    group.until_answered_by("abc");
}

#[test]
fn the_last_server_is_kept_where_that_is_asked_for() {
    let mut group = Group::new(72, "    all_down = keep_last");
    let mut pulse = Daemon::pulse(&group.file);
    group.until_answered_by("abc");
    group.fail(0);
    group.fail(2);
    group.until_answered_by("b");
    group.fail(1);
    pulse.expect("is kept in for want of others (web/b)");
    group.until_answered_by("b");
}

#[test]
fn as_many_servers_as_asked_for_are_kept_in() {
    let mut group = Group::new(73, "    min_servers = 2");
    let mut pulse = Daemon::pulse(&group.file);
    group.until_answered_by("abc");
    group.fail(1);
    group.until_answered_by("ac");
    group.fail(0);
    pulse.expect("is kept in for want of others (web/a)");
    group.until_answered_by("ac");
}

#[test]
fn a_server_taken_for_up_serves_before_its_first_check() {
    let mut group = Group::new(74, "    initial_state = up\n    fall = 100");
    (0..3).for_each(|server| group.fail(server));
    let mut pulse = Daemon::pulse(&group.file);
    pulse.expect("[ active ] making 127.78.74.10");
    group.until_answered_by("abc");
}

#[test]
fn what_was_known_of_servers_outlives_an_lvs_that_is_killed() {
    let mut group = Group::new(75, "    initial_state = remembered\n    fall = 1000");
    let directory = group.files.path("memory");
    let (runtime, file) = (format!("RUNTIME_DIRECTORY={}", directory.display()), &group.file);
    let file = file.to_str().expect("a plain path").to_owned();
    let arguments = [&runtime, PULSE, "-n", "--drain", "1", "-c", &file];
    let mut pulse = Daemon::start("env", &arguments);
    group.until_answered_by("abc");
    (0..3).for_each(|server| group.fail(server));
    until("three servers are remembered to be in", || {
        let files = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        texts.into_iter().any(|text| text.matches(r#""in":{"failures""#).count() == 3)
    });
    signal(lvs_of(pulse.pid()), "KILL");
    pulse.expect("data plane lost");
    pulse.expect("is falling (web/a), was unknown (remembered)");
    group.until_answered_by("abc");
}
