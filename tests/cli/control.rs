//! The control sockets of real daemons, and the commands that use them.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::daemon::{
    Daemon, Files, PATIENCE, alone, children, service, signal, until, word_server,
};

const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");

/// A director without a partner that serves one service, `web`, with one server, `s`.
fn director(net: u8) -> (Files, Daemon) {
    let files = Files::new();
    let server = word_server(&format!("127.78.{net}.11:0"), "up");
    let web = service(
        "web",
        &format!("127.78.{net}.80"),
        8080,
        &format!("127.78.{net}.11"),
        server.port(),
    );
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &alone(net, &web)));
    pulse.expect("active, was acquiring");
    (files, pulse)
}

fn piranha(files: &Files, arguments: &[&str]) -> Output {
    let control = files.path("");
    let mut command = Command::new(PIRANHA);
    command.args(arguments).arg("--control").arg(control);
    command.output().expect("piranha starts")
}

fn status(files: &Files) -> Value {
    let output = piranha(files, &["status", "--json"]);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A client that speaks the protocol by hand.
struct Hand {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Hand {
    fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the daemon listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let reader = BufReader::new(stream.try_clone().expect("a second handle"));
        Self { stream, reader }
    }

    fn say(&mut self, line: &str) {
        self.stream.write_all(line.as_bytes()).expect("the daemon reads");
        self.stream.write_all(b"\n").expect("the daemon reads");
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("the daemon answers");
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    /// Waits for the end of the connection.
    fn ends(mut self) {
        let mut rest = Vec::new();
        let _ = self.reader.read_to_end(&mut rest);
    }
}

fn lvs_socket(files: &Files) -> PathBuf {
    files.path("lvs.sock")
}

#[test]
fn the_status_of_a_director_names_its_state_and_that_of_each_server() {
    let (files, _pulse) = director(60);
    until("the server is up", || {
        status(&files)["lvs"]["known"]["services"][0]["servers"][0]["state"] == "up"
    });
    let status = status(&files);
    assert_eq!(status["pulse"]["known"]["state"], "active");
    assert_eq!(status["lvs"]["known"]["services"][0]["state"], "up");
    assert_eq!(status["verdict"]["health"], "ok");
    assert_eq!(status["verdict"]["failover"], "no_partner");
    assert_eq!(
        status["pulse"]["known"]["digest"],
        status["lvs"]["known"]["configuration"]["digest"]
    );
}

#[test]
fn a_daemon_that_is_gone_is_unknown_and_leaves_no_socket() {
    let (files, pulse) = director(61);
    pulse.signal("INT");
    let (ended, log) = pulse.end();
    assert_eq!(ended.code(), Some(0), "{log}");
    assert!(!files.path("pulse.sock").exists() && !lvs_socket(&files).exists());
    let status = status(&files);
    assert!(status["pulse"]["unknown"]["reason"].is_string());
    assert_eq!(status["verdict"]["failover"], "unknown");
}

#[test]
fn a_hostile_client_is_refused_line_by_line_and_others_are_served() {
    let (files, _pulse) = director(62);
    for socket in [lvs_socket(&files), files.path("pulse.sock")] {
        let mut hand = Hand::connect(&socket);
        assert_eq!(hand.hear()["hello"]["protocol"], 1);
        hand.say("no json at all");
        assert_eq!(hand.hear()["error"]["code"], "bad_request");
        hand.say(r#"{"call":"reload"}"#);
        assert_eq!(hand.hear()["error"]["code"], "bad_request");
        hand.say(r#"{"id":7,"call":"explode"}"#);
        let refusal = hand.hear();
        assert_eq!(
            (&refusal["id"], &refusal["error"]["code"]),
            (&7.into(), &"unknown_call".into())
        );
        hand.say(&"[".repeat(60_000));
        assert_eq!(hand.hear()["error"]["code"], "bad_request");
        // A line without an end is cut at the bound, and the client with it.
        let _ = hand.stream.write_all("x".repeat(80_000).as_bytes());
        hand.ends();
    }
    assert_eq!(status(&files)["pulse"]["known"]["state"], "active");
}

#[test]
fn clients_beyond_the_bound_are_told_so_and_make_room_when_they_go() {
    let (files, _pulse) = director(63);
    let socket = lvs_socket(&files);
    let mut hands: Vec<_> = (0..64).map(|_| Hand::connect(&socket)).collect();
    assert!(hands.iter_mut().all(|hand| hand.hear()["hello"].is_object()));
    assert_eq!(Hand::connect(&socket).hear()["error"]["code"], "busy");
    drop(hands);
    until("there is room again", || Hand::connect(&socket).hear()["hello"].is_object());
}

#[test]
fn who_subscribes_hears_what_happens_and_the_end_of_a_killed_lvs() {
    let (files, mut pulse) = director(64);
    let mut heartbeats = Hand::connect(&files.path("pulse.sock"));
    heartbeats.hear();
    heartbeats.say(r#"{"id":1,"call":{"events":{"follow":true}}}"#);
    let past = heartbeats.hear();
    let records = past["result"]["events"].as_array().expect("events").len();
    assert_eq!(past["result"]["last"], records);
    let mut services = Hand::connect(&lvs_socket(&files));
    services.hear();
    services.say(r#"{"id":1,"call":{"events":{"follow":true}}}"#);
    services.hear();
    for lvs in children(pulse.pid()) {
        signal(lvs, "KILL");
    }
    services.ends();
    pulse.expect("active, was acquiring");
    let next = heartbeats.hear();
    assert_eq!(next["event"]["number"], records + 1, "{next}");
    until("lvs answers again", || status(&files)["lvs"]["known"].is_object());
}

#[test]
fn a_reload_over_the_socket_is_answered_with_what_came_of_it() {
    let (files, _pulse) = director(66);
    let mut hand = Hand::connect(&lvs_socket(&files));
    hand.hear();
    files.write("lvs.cf", "primary = nowhere at all\n");
    hand.say(r#"{"id":1,"call":"reload"}"#);
    let refusal = hand.hear();
    assert_eq!(refusal["error"]["code"], "configuration");
    assert!(refusal["error"]["message"].as_str().expect("text").contains("lvs.cf:1:"));
    assert!(status(&files)["lvs"]["known"]["configuration"]["refused"].is_string());
}
