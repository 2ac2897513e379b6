//! Failover services: what runs on the active node itself.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::daemon::{Daemon, Files, read_from, signal, until};

/// Where [`serve`] listens, and what it says.
const LISTEN: &str = "PIRANHA_TEST_LISTEN";
const WORD: &str = "PIRANHA_TEST_WORD";

#[test]
#[ignore = "the service that the tests below start"]
fn serve() {
    let (Ok(address), Ok(word)) = (std::env::var(LISTEN), std::env::var(WORD)) else { return };
    let listener = TcpListener::bind(address).unwrap();
    for stream in listener.incoming() {
        let _ = stream.unwrap().write_all(word.as_bytes());
    }
}

fn net() -> String {
    format!("127.{}.60", 100 + std::process::id() % 100)
}

fn script(files: &Files, name: &str, text: &str) -> PathBuf {
    let path = files.write(name, &format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// The file of one node, whose service is this program and says the node's name.
fn node(files: &Files, name: &str, role: &str) -> PathBuf {
    let (net, program) = (net(), std::env::current_exe().unwrap());
    let pid = files.path(&format!("{name}.pid"));
    let start = format!(
        "{LISTEN}={net}.80:8080 {WORD}={name} setsid {} --exact fos::serve --ignored \
         > /dev/null 2>&1 &\necho $! > {}",
        program.display(),
        pid.display()
    );
    let stop = format!(
        "test -f {pid} || exit 0\nread pid < {pid}\nkill $pid 2> /dev/null\n\
         while kill -0 $pid 2> /dev/null; do sleep 0.01; done\nrm {pid}",
        pid = pid.display()
    );
    let start = script(files, &format!("{name}.start"), &start);
    let stop = script(files, &format!("{name}.stop"), &stop);
    let text = format!(
        "service = fos\nrole = {role}\nprimary = {net}.1\nbackup = {net}.2\nbackup_active = 1\n\
         heartbeat_port = 5393\nkeepalive = 50ms\ndeadtime = 400ms\nfailover web {{\n\
         active = 1\naddress = {net}.80 lo\nport = 8080\ncheck = connect\ntimeout = 200ms\n\
         reentry = 1\nstart_cmd = {}\nstop_cmd = {}\n}}\n",
        start.display(),
        stop.display()
    );
    files.write(&format!("{name}.cf"), &text)
}

fn service_of(files: &Files, name: &str) -> Option<u32> {
    let text = fs::read_to_string(files.path(&format!("{name}.pid"))).ok()?;
    text.trim().parse().ok()
}

/// What a node says of its service and of itself.
fn told(files: &Files, name: &str) -> [String; 2] {
    let mut piranha = std::process::Command::new(env!("CARGO_BIN_EXE_piranha"));
    piranha.args(["status", "--json", "--control"]);
    let output = piranha.arg(files.path(name).with_extension("control")).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let service = &status["lvs"]["known"]["services"][0]["state"];
    [word(service), word(&status["pulse"]["known"]["state"])]
}

#[test]
fn a_service_that_dies_moves_to_the_partner_and_comes_back_when_that_stops() {
    let files = Files::new();
    let says = |word: &str| read_from(&format!("{}.80:8080", net())).is_ok_and(|w| w == word);
    let mut primary = Daemon::pulse(&node(&files, "lb1", "primary"));
    let mut backup = Daemon::pulse(&node(&files, "lb2", "backup"));
    primary.expect("active, was acquiring");
    until("the primary serves", || says("lb1"));
    assert_eq!(service_of(&files, "lb2"), None);
    until("both say where the service is", || {
        told(&files, "lb1") == ["up", "active"] && told(&files, "lb2") == ["elsewhere", "standby"]
    });
    signal(service_of(&files, "lb1").unwrap(), "KILL");
    primary.expect("data plane lost: web: ");
    backup.expect("active, was acquiring");
    until("the backup serves", || says("lb2"));
    assert_eq!(service_of(&files, "lb1"), None);
    primary.expect("standby, was failed");
    backup.signal("TERM");
    let (status, log) = backup.end();
    assert_eq!(status.code(), Some(0), "{log}");
    primary.expect("active, was acquiring");
    until("the primary serves again", || says("lb1"));
    primary.signal("TERM");
    let (status, log) = primary.end();
    assert_eq!((status.code(), service_of(&files, "lb1")), (Some(0), None), "{log}");
    assert!(!says("lb1"));
}

#[test]
fn a_service_that_cannot_start_does_not_stay() {
    let files = Files::new();
    let net = format!("127.{}.61", 100 + std::process::id() % 100);
    let text = format!(
        "service = fos\nrole = primary\nprimary = {net}.1\nheartbeat_port = 5393\n\
         keepalive = 50ms\ndeadtime = 400ms\nfailover web {{\nactive = 1\naddress = {net}.80 lo\n\
         start_cmd = /bin/false\n}}\n"
    );
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    pulse.expect("data plane lost: web: start_cmd: exit status 1");
    pulse.expect("failed, was releasing");
}
