//! What a service manager and a log daemon are told by real daemons.

use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use serde_json::Value;

use crate::daemon::{
    Daemon, Files, LVS, PATIENCE, PULSE, alone, lvs_of, read_from, service, until, word_server,
};

/// A manager of the test's own.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn new(files: &Files) -> Self {
        let path = files.path("notify").to_str().expect("a plain path").to_owned();
        let socket = UnixDatagram::bind(&path).expect("a free name");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { socket, path }
    }

    /// Starts a daemon that is to be watched.
    fn start(&self, program: &str, arguments: &[&str]) -> Daemon {
        let variables = [("NOTIFY_SOCKET", self.path.as_str()), ("WATCHDOG_USEC", "2000000")];
        Daemon::start_in(program, arguments, &variables)
    }

    /// Waits for a message that begins with `word`, and returns it.
    fn expect(&self, word: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while Instant::now() < deadline {
            let mut buffer = [0; 4096];
            let length = self.socket.recv(&mut buffer).unwrap_or_default();
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with(word) {
                return message;
            }
            heard.push(message);
        }
        panic!("no {word} among {heard:?}");
    }
}

/// The file of a director without a partner with one service, and its control directory.
fn director(files: &Files, net: u8) -> (String, String) {
    let server = word_server(&format!("127.78.{net}.11:0"), "up");
    let (vip, address) = (format!("127.78.{net}.80"), format!("127.78.{net}.11"));
    let web = service("web", &vip, 8080, &address, server.port());
    files.write("lvs.cf", &alone(net, &web));
    let path = |path: &std::path::Path| path.to_str().expect("a plain path").to_owned();
    (path(&files.path("lvs.cf")), path(&files.path("lvs.control")))
}

#[test]
fn a_manager_hears_when_pulse_is_ready_reloads_and_stops_and_that_it_lives() {
    let files = Files::new();
    let manager = Manager::new(&files);
    let (config, control) = director(&files, 204);
    let pulse = manager.start(PULSE, &["-n", "--drain", "1", "-c", &config, "--control", &control]);
    manager.expect("READY=1");
    // It is told when it changes, and waiting for something else would pass it over.
    until("the status tells of the servers", || {
        manager.expect("STATUS=") == "STATUS=ACTIVE, no partner, 1/1 servers up"
    });
    manager.expect("WATCHDOG=1");
    pulse.signal("HUP");
    assert!(manager.expect("RELOADING=1").contains("\nMONOTONIC_USEC="));
    manager.expect("READY=1");
    let good = std::fs::read_to_string(&config).unwrap();
    files.write("lvs.cf", "no configuration");
    pulse.signal("HUP");
    manager.expect("RELOADING=1");
    manager.expect("READY=1");
    files.write("lvs.cf", &good);
    manager.expect("WATCHDOG=1");
    pulse.signal("INT");
    manager.expect("STOPPING=1");
    assert_eq!(pulse.end().0.code(), Some(0));
}

#[test]
fn lvs_alone_tells_its_manager_and_below_pulse_it_has_none() {
    let files = Files::new();
    let manager = Manager::new(&files);
    let (config, control) = director(&files, 205);
    let lvs = manager.start(LVS, &["--drain", "1", "-c", &config, "--control", &control]);
    manager.expect("READY=1");
    manager.expect("WATCHDOG=1");
    lvs.signal("HUP");
    manager.expect("RELOADING=1");
    manager.expect("READY=1");
    lvs.signal("TERM");
    manager.expect("STOPPING=1");
    assert_eq!(lvs.end().0.code(), Some(0));
    let pulse = manager.start(PULSE, &["-n", "--drain", "1", "-c", &config, "--control", &control]);
    manager.expect("READY=1");
    let lvs = lvs_of(pulse.pid());
    let environment = std::fs::read(format!("/proc/{lvs}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"));
}

#[test]
fn log_lines_are_json_objects_with_their_event_of_both_daemons() {
    let files = Files::new();
    let (config, control) = director(&files, 206);
    let arguments = ["-n", "--drain", "1", "-c", &config, "--control", &control];
    let mut pulse = Daemon::start(PULSE, &[&arguments[..], &["--log-format", "json"]].concat());
    let line = pulse.expect("\"to\":\"active\"");
    let active: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(active["program"], "pulse");
    assert_eq!(active["event"]["transition"]["from"], "acquiring");
    assert!(active["lasted_ms"].is_number() && active["time"].is_string(), "{line}");
    assert!(active["message"].as_str().unwrap().starts_with("pulse: active, was acquiring for "));
    until("the server is up", || read_from("127.78.206.80:8080").is_ok_and(|word| word == "up"));
    pulse.signal("INT");
    let (_, log) = pulse.end();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let of_lvs = lines.filter(|line| line["program"] == "lvs" && line["level"] == "info");
    let health: Vec<_> = of_lvs.filter(|line| line["event"]["health"].is_object()).collect();
    assert_eq!(health[0]["event"]["health"]["service"], "web", "{log}");
}

#[test]
fn for_a_journal_without_a_socket_lines_have_their_priority_and_no_time() {
    let files = Files::new();
    let (config, control) = director(&files, 207);
    let arguments = ["-n", "--drain", "1", "-c", &config, "--control", &control];
    let mut pulse = Daemon::start(PULSE, &[&arguments[..], &["--log-format", "priority"]].concat());
    let line = pulse.expect("active, was acquiring for ");
    assert!(line.starts_with("<6>pulse: active"), "{line}");
}
