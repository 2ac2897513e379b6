//! The control sockets of real daemons, and the commands that use them.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{
    Daemon, Files, PATIENCE, PULSE, alone, lvs_of, read_from, service, signal, until, word_server,
};
use crate::pair::pair;

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
    piranha_of(files, "lvs", arguments)
}

/// Runs a command about the director of the file `name`.cf.
fn piranha_of(files: &Files, name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(PIRANHA);
    command.args(arguments).arg("--control").arg(files.path(name).with_extension("control"));
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
    files.path("lvs.control/lvs.sock")
}

fn pulse_socket(files: &Files) -> PathBuf {
    files.path("lvs.control/pulse.sock")
}

/// A director with two servers, `s1` and `s2`, that answer with their names.
fn two_servers(net: u8) -> (Files, Daemon) {
    let files = Files::new();
    let block = |name: &'static str, place: u8| {
        let address = format!("127.78.{net}.{place}");
        let port = word_server(&format!("{address}:0"), name).port();
        format!(
            "    server {name} {{ # kept\n        address = {address}\n        port = {port}\n        \
             active = 1\n    }}\n"
        )
    };
    let web = format!(
        "virtual web {{\n    active = 1\n    address = 127.78.{net}.80 lo\n    port = 8080\n    \
         scheduler = rr\n    check = connect\n    timeout = 100ms\n    rise = 1\n{}{}}}\n",
        block("s1", 11),
        block("s2", 12)
    );
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &alone(net, &web)));
    pulse.expect("active, was acquiring");
    until("both servers are up", || {
        status(&files)["lvs"]["known"]["services"][0]["counts"]["up"] == 2
    });
    (files, pulse)
}

/// Server `place` of the first service.
pub(crate) fn server(files: &Files, place: usize) -> Value {
    status(files)["lvs"]["known"]["services"][0]["servers"][place].clone()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that must be done.
fn done(files: &Files, arguments: &[&str]) -> String {
    let output = piranha(files, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
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
    assert!(!pulse_socket(&files).exists() && !lvs_socket(&files).exists());
    let status = status(&files);
    assert!(status["pulse"]["unknown"]["reason"].is_string());
    assert_eq!(status["verdict"]["failover"], "unknown");
}

#[test]
fn a_hostile_client_is_refused_line_by_line_and_others_are_served() {
    let (files, _pulse) = director(62);
    for socket in [lvs_socket(&files), pulse_socket(&files)] {
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
    let mut heartbeats = Hand::connect(&pulse_socket(&files));
    heartbeats.hear();
    heartbeats.say(r#"{"id":1,"call":{"events":{"follow":true}}}"#);
    let past = heartbeats.hear();
    let records = past["result"]["events"].as_array().expect("events").len();
    assert_eq!(past["result"]["last"], records);
    let mut services = Hand::connect(&lvs_socket(&files));
    services.hear();
    services.say(r#"{"id":1,"call":{"events":{"follow":true}}}"#);
    services.hear();
    signal(lvs_of(pulse.pid()), "KILL");
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

#[test]
fn a_drained_server_gets_no_new_connection_until_it_is_ready_again() {
    let (files, mut pulse) = two_servers(67);
    done(&files, &["server", "drain", "web/s1", "--reason", "new disk"]);
    let line = pulse.expect("says drain of web/s1");
    assert!(line.contains("new disk"), "{line}");
    until("it drains", || server(&files, 0)["state"] == "draining");
    assert_eq!(server(&files, 0)["operator"]["reason"], "new disk");
    for _ in 0..6 {
        assert_eq!(read_from("127.78.67.80:8080").unwrap(), "s2");
    }
    done(&files, &["server", "ready", "web/s1"]);
    until("it takes connections again", || {
        read_from("127.78.67.80:8080").is_ok_and(|word| word == "s1")
    });
    assert_eq!(done(&files, &["override", "list", "--json"]).trim(), "[]");
}

#[test]
fn what_an_operator_said_outlives_a_reload_and_the_death_of_lvs() {
    let (files, mut pulse) = two_servers(68);
    done(&files, &["server", "disable", "web/s1"]);
    until("it is out", || server(&files, 0)["state"] == "disabled");
    pulse.signal("HUP");
    pulse.expect("configuration reloaded");
    assert_eq!(server(&files, 0)["state"], "disabled");
    signal(lvs_of(pulse.pid()), "KILL");
    pulse.expect("active, was acquiring");
    until("the other one is up", || server(&files, 1)["state"] == "up");
    assert_eq!(server(&files, 0)["state"], "disabled");
    assert_eq!(server(&files, 0)["weight"], Value::Null);
    done(&files, &["override", "clear"]);
    until("it is back", || server(&files, 0)["state"] == "up");
}

#[test]
fn a_drain_that_ended_while_lvs_was_down_is_over_for_a_remembered_server_too() {
    let files = Files::new();
    let server_port = word_server("127.78.77.11:0", "up").port();
    let web = service("web", "127.78.77.80", 8080, "127.78.77.11", server_port);
    let web = web.replace("rise = 1", "rise = 1\n    initial_state = remembered");
    let file = files.write("lvs.cf", &alone(77, &web));
    let runtime = format!("RUNTIME_DIRECTORY={}", files.path("memory").display());
    let (file, control) = (file.display().to_string(), files.path("lvs.control"));
    let control = control.display().to_string();
    let arguments =
        [&runtime, PULSE, "-n", "--drain", "0", "-c", &file, "--control", control.as_str()];
    let mut pulse = Daemon::start("env", &arguments);
    pulse.expect("active, was acquiring");
    until("it is up", || server(&files, 0)["state"] == "up");
    done(&files, &["server", "drain", "web/s", "--force", "--for", "3s"]);
    let ends = Instant::now() + Duration::from_secs(3);
    until("it drains", || server(&files, 0)["state"] == "draining");
    pulse.signal("TERM");
    pulse.end();
    let memory = std::fs::read_dir(files.path("memory")).expect("it was there").flatten();
    let texts = memory.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    assert!(texts.into_iter().any(|text| text.contains(r#""forced":"drain""#)), "it is remembered");
    until("its time is over", || Instant::now() > ends);
    let mut pulse = Daemon::start("env", &arguments);
    pulse.expect("its time is over");
    until("it takes connections", || server(&files, 0)["state"] == "up");
    until("it answers", || read_from("127.78.77.80:8080").is_ok_and(|word| word == "up"));
}

#[test]
fn the_last_server_is_kept_out_only_by_force() {
    let (files, _pulse) = two_servers(69);
    done(&files, &["server", "drain", "s1"]);
    until("it drains", || server(&files, 0)["state"] == "draining");
    for word in ["drain", "disable"] {
        let refused = piranha(&files, &["server", word, "web/s2"]);
        assert_eq!(refused.status.code(), Some(1));
        let said = text(&refused.stderr);
        assert!(said.contains("last server") && said.contains("mend:"), "{said}");
    }
    assert!(!piranha(&files, &["server", "weight", "web/s2", "0"]).status.success());
    assert_eq!(server(&files, 1)["state"], "up");
    done(&files, &["server", "disable", "web/s2", "--force"]);
    until("nobody is left", || server(&files, 1)["state"] == "disabled");
}

#[test]
fn a_weight_for_a_time_ends_by_itself_and_a_saved_one_stands_in_the_file() {
    let (files, mut pulse) = two_servers(70);
    done(&files, &["server", "weight", "web/s1", "7", "--for", "1s"]);
    until("it has the weight", || server(&files, 0)["weight"] == 7);
    assert_eq!(server(&files, 0)["configured_weight"], 1);
    pulse.expect("weight 7 of web/s1, said by");
    until("it has its own weight again", || server(&files, 0)["weight"] == 1);
    done(&files, &["server", "weight", "web/s1", "9", "--save"]);
    until("it has the saved weight", || server(&files, 0)["weight"] == 9);
    assert_eq!(server(&files, 0)["configured_weight"], 9);
    let written = std::fs::read_to_string(files.path("lvs.cf")).unwrap();
    assert!(written.contains("weight = 9"), "{written}");
    assert_eq!(written.matches("# kept").count(), 2, "{written}");
    assert_eq!(done(&files, &["override", "list", "--json"]).trim(), "[]");
}

#[test]
fn two_administrators_at_once_are_both_obeyed() {
    let (files, _pulse) = two_servers(71);
    std::thread::scope(|scope| {
        for target in ["web/s1", "web/s2"] {
            let files = &files;
            scope.spawn(move || {
                for weight in 1..=20 {
                    done(files, &["server", "weight", target, &weight.to_string()]);
                }
            });
        }
    });
    until("both have the last word on their server", || {
        server(&files, 0)["weight"] == 20 && server(&files, 1)["weight"] == 20
    });
    let said: Value = serde_json::from_str(&done(&files, &["override", "list", "--json"])).unwrap();
    assert_eq!(said.as_array().map(Vec::len), Some(2));
}

#[test]
fn a_wrong_target_is_refused_with_what_there_is() {
    let (files, _pulse) = two_servers(72);
    for (target, expected) in [("web/s9", "no server"), ("s", "could be"), ("x/s1", "no service")] {
        let refused = piranha(&files, &["server", "drain", target]);
        assert_eq!(refused.status.code(), Some(1), "{target}");
        assert!(text(&refused.stderr).contains(expected), "{}", text(&refused.stderr));
    }
    assert_eq!(piranha(&files, &["server", "weight", "web/s1", "many"]).status.code(), Some(2));
    assert!(server(&files, 0)["operator"].is_null());
}

#[test]
fn commands_may_be_shortened_and_lists_show_every_server() {
    let (files, _pulse) = two_servers(73);
    let list = done(&files, &["server", "l", "we"]);
    assert!(list.contains("web/s1") && list.contains("web/s2"), "{list}");
    assert!(done(&files, &["service", "show", "w"]).contains("rr"));
    assert!(done(&files, &["stat", "--brief"]).contains("web up 2/2 up"));
    let events = done(&files, &["events", "--json"]);
    let daemons: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(daemons.iter().any(|event| event["daemon"] == "pulse"));
    assert!(daemons.iter().any(|event| event["daemon"] == "lvs"));
    let nagios = piranha(&files, &["status", "--nagios"]);
    assert_eq!(nagios.status.code(), Some(0), "{}", text(&nagios.stdout));
}

#[test]
fn a_failover_without_a_partner_is_refused_with_the_reason() {
    let (files, _pulse) = director(74);
    let refused = piranha(&files, &["failover"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("mend:"), "{}", text(&refused.stderr));
    assert_eq!(piranha(&files, &["failover", "--dry-run"]).status.code(), Some(1));
    assert_eq!(piranha(&files, &["readiness"]).status.code(), Some(1));
    assert_eq!(status(&files)["pulse"]["known"]["state"], "active");
}

#[test]
fn a_failover_passes_the_service_to_a_partner_that_takes_it() {
    let files = Files::new();
    let (mut primary, mut backup) = pair(&files, 75, "");
    primary.expect("active, was acquiring");
    backup.expect("standby, was starting");
    let lb1 = |arguments: &[&str]| piranha_of(&files, "lb1", arguments);
    let lb2 = |arguments: &[&str]| piranha_of(&files, "lb2", arguments);
    until("a failover would succeed", || lb1(&["failover", "--dry-run"]).status.success());
    let passed = lb1(&["failover", "--reason", "kernel", "--json"]);
    assert!(passed.status.success(), "{}", text(&passed.stderr));
    let passed: Value = serde_json::from_slice(&passed.stdout).unwrap();
    assert!(passed["took_ms"].is_number());
    backup.expect("active, was acquiring");
    let again = lb1(&["failover"]);
    assert!(text(&again.stderr).contains("does not hold the service"), "{}", text(&again.stderr));
    assert!(lb1(&["node", "maintenance", "--reason", "disk"]).status.success());
    until("the partner knows of the maintenance", || !lb2(&["readiness"]).status.success());
    let said = text(&lb1(&["readiness"]).stdout);
    assert!(said.contains("maintenance"), "{said}");
    assert!(lb1(&["node", "ready"]).status.success());
    until("the partner knows of its end", || lb2(&["readiness"]).status.success());
}

#[test]
fn a_whole_service_is_drained_disabled_and_enabled_again() {
    let (files, mut pulse) = two_servers(76);
    done(&files, &["service", "drain", "we", "--until", "2099-01-01T00:00", "--reason", "move"]);
    let line = pulse.expect("says drain of web until 2099-01-01T00:00:00.000Z");
    assert!(line.contains("move"), "{line}");
    until("both drain", || (0..2).all(|place| server(&files, place)["state"] == "draining"));
    assert_eq!(server(&files, 1)["operator"]["reason"], "move");
    done(&files, &["server", "disable", "web/s1", "--force"]);
    until("one is out", || server(&files, 0)["state"] == "disabled");
    signal(lvs_of(pulse.pid()), "KILL");
    pulse.expect("active, was acquiring");
    until("both words outlive lvs", || {
        server(&files, 0)["state"] == "disabled" && server(&files, 1)["state"] == "draining"
    });
    done(&files, &["service", "enable", "web"]);
    until("the other one is up again", || server(&files, 1)["state"] == "up");
    assert_eq!(server(&files, 0)["state"], "disabled");
    done(&files, &["override", "clear"]);
    until("both are", || server(&files, 0)["state"] == "up");
    assert_eq!(piranha(&files, &["service", "disable", "ftp"]).status.code(), Some(1));
}

/// A server that gives back what it gets.
fn echo_server(address: &str) -> u16 {
    let listener = std::net::TcpListener::bind(address).expect("a free loopback address");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(&buffer[..length]);
                }
            });
        }
    });
    port
}

#[test]
fn a_server_that_left_lvs_cf_goes_with_its_last_connection() {
    let files = Files::new();
    let port = echo_server("127.78.77.11:0");
    let other = word_server("127.78.77.12:0", "other").port();
    let web = service("web", "127.78.77.80", 8080, "127.78.77.11", port);
    let text = alone(77, &web);
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    pulse.expect("active, was acquiring");
    until("the server is up", || server(&files, 0)["state"] == "up");
    let mut stream = std::net::TcpStream::connect("127.78.77.80:8080").expect("it serves");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut echoes = |word: &[u8; 5]| {
        let mut answer = [0; 5];
        stream.write_all(word).and_then(|()| stream.read_exact(&mut answer)).expect("an echo");
        assert_eq!(&answer, word);
    };
    echoes(b"first");
    let changed = text
        .replace("server s {", "server t {")
        .replace("127.78.77.11", "127.78.77.12")
        .replace(&format!("port = {port}"), &format!("port = {other}"));
    files.write("lvs.cf", &changed);
    pulse.signal("HUP");
    pulse.expect("configuration reloaded");
    until("the new server is up", || server(&files, 0)["state"] == "up");
    echoes(b"again");
    let leaving = server(&files, 1);
    assert_eq!((&leaving["name"], &leaving["state"]), (&"s".into(), &"draining".into()));
    assert!(leaving["reason"].as_str().is_some_and(|reason| reason.starts_with("left lvs.cf")));
    assert_eq!(read_from("127.78.77.80:8080").expect("it serves"), "other");
    echoes(b"still");
    drop(stream);
    pulse.expect("127.78.77.11:");
    until("it is gone", || server(&files, 1).is_null());
}
