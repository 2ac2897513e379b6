//! Two real `pulse` processes against each other.

use std::process::Command;

use crate::daemon::{Daemon, Files, read_from, service, until, word_server};

/// The two files of a pair on its own /24 of loopback; `extra` goes into both.
pub(crate) fn pair(files: &Files, net: u8, extra: &str) -> (Daemon, Daemon) {
    pair_of(files, net, extra, ["lb1.cf", "lb2.cf"])
}

/// The same, with files of these names.
pub(crate) fn pair_of(files: &Files, net: u8, extra: &str, names: [&str; 2]) -> (Daemon, Daemon) {
    let server = word_server(&format!("127.78.{net}.11:0"), "up");
    let services = service(
        "web",
        &format!("127.78.{net}.80"),
        8080,
        &format!("127.78.{net}.11"),
        server.port(),
    );
    let text = format!(
        "primary = 127.78.{net}.1\nbackup = 127.78.{net}.2\nbackup_active = 1\n\
         heartbeat_port = 5392\nkeepalive = 50ms\ndeadtime = 400ms\ndataplane = relay\n\
         {extra}{services}"
    );
    let start = |name: &str, role: &str| {
        Daemon::pulse(&files.write(name, &format!("role = {role}\n{text}")))
    };
    (start(names[0], "primary"), start(names[1], "backup"))
}

fn answers(net: u8) -> bool {
    read_from(&format!("127.78.{net}.80:8080")).is_ok_and(|word| word == "up")
}

#[test]
fn the_backup_takes_over_and_the_returned_primary_stays_standby() {
    let files = Files::new();
    let (mut primary, mut backup) = pair(&files, 40, "");
    primary.expect("active, was acquiring");
    until("the service answers", || answers(40));
    primary.signal("KILL");
    let _ = primary.end();
    backup.expect("partner dead");
    backup.expect("active, was acquiring");
    until("the service answers again", || answers(40));
    let mut primary = Daemon::pulse(&files.path("lb1.cf"));
    primary.expect("standby, was starting");
    assert!(answers(40));
}

#[test]
fn a_pair_that_starts_together_ends_with_the_primary_active_in_either_version() {
    for (net, version) in [(41, 1), (42, 2)] {
        let files = Files::new();
        let (mut primary, mut backup) =
            pair(&files, net, &format!("heartbeat_version = {version}\n"));
        primary.expect("active, was acquiring");
        backup.expect("standby, was starting");
        until("the service answers", || answers(net));
    }
}

#[test]
fn a_stop_hands_over_and_says_so_in_either_version() {
    for (net, version, cause) in [(43, 1, "partner"), (44, 2, "partner hands over")] {
        let files = Files::new();
        let (mut primary, mut backup) =
            pair(&files, net, &format!("heartbeat_version = {version}\n"));
        primary.expect("active, was acquiring");
        backup.expect("standby, was starting");
        primary.signal("TERM");
        let line = backup.expect("activating lvs");
        assert!(line.contains(cause), "{line}");
        backup.expect("active, was acquiring");
        until("the service answers", || answers(net));
        let (status, log) = primary.end();
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[test]
fn heartbeats_sealed_with_another_key_are_refused_and_told() {
    let files = Files::new();
    let key = |name: &str, secret: &str| {
        let path = files.write(name, secret);
        Command::new("chmod").arg("600").arg(&path).status().expect("chmod");
        path
    };
    let (ours, theirs) = (
        key("ours", "0123456789abcdef0123456789abcdef"),
        key("theirs", "fedcba9876543210fedcba9876543210"),
    );
    let extra = format!("heartbeat_key = {}\n", ours.display());
    let (mut primary, backup) = pair(&files, 45, &extra);
    primary.expect("active, was acquiring");
    drop(backup);
    let other = std::fs::read_to_string(files.path("lb2.cf")).expect("it was written");
    let other = other.replace(&ours.display().to_string(), &theirs.display().to_string());
    let mut intruder = Daemon::pulse(&files.write("lb2.cf", &other));
    intruder.expect("bad_tag");
    assert!(primary.expect("bad_tag").contains("heartbeats refused"));
    assert!(answers(45));
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let files = Files::new();
    let path = files.write("key", "0123456789abcdef0123456789abcdef");
    let extra = format!("heartbeat_key = {}\n", path.display());
    let (primary, backup) = pair(&files, 46, &extra);
    for daemon in [primary, backup] {
        let (status, log) = daemon.end();
        assert_eq!(status.code(), Some(1));
        assert!(log.contains("chmod 600") && !log.contains("0123456789abcdef"), "{log}");
    }
}

#[test]
fn a_recording_of_a_live_pair_replays_the_same_and_tells_the_story() {
    let files = Files::new();
    let key = files.write("key", "a key of sufficient length for a test\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, mode).expect("a file of ours");
    let key = format!("heartbeat_key = {}\n", key.display());
    let (primary, mut backup) = pair(&files, 51, &key);
    drop(primary);
    let (config, record) = (files.path("lb1.cf"), files.path("recording"));
    let control = files.path("lb1.recorded");
    let plain = |path: &std::path::Path| path.to_str().expect("a plain path").to_owned();
    let mut primary = Daemon::start(
        env!("CARGO_BIN_EXE_pulse"),
        &[
            "-n",
            "--drain",
            "1",
            "-c",
            &plain(&config),
            "--control",
            &plain(&control),
            "--record",
            &plain(&record),
        ],
    );
    primary.expect("was starting");
    backup.expect("was starting");
    primary.signal("TERM");
    let (status, log) = primary.end();
    assert_eq!(status.code(), Some(0), "{log}");
    let replay = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_piranha"));
        command.arg("replay").args(arguments).arg(&record).output().expect("it runs")
    };
    let checked = replay(&["--check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(
        checked.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    assert!(said.contains("decides the same"), "{said}");
    let story = String::from_utf8_lossy(&replay(&[]).stdout).into_owned();
    assert!(story.contains("-> stopped: stopping"), "{story}");
    let text = std::fs::read_to_string(&record).expect("it was written");
    assert!(!text.contains("sufficient"));
    std::fs::write(&record, &text[..text.len() - 5]).expect("a file of ours");
    let cut = replay(&["--json"]);
    assert_eq!(cut.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&cut.stderr).contains("is cut"));
}
