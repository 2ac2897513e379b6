//! What an administrator does all day: checks at once, the doctor, bundles, and exit codes.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::daemon::{Daemon, Files, alone, lvs_of, service, signal, until, word_server};

const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");

/// Runs a command about the director of `lvs.cf` among `files`.
fn piranha(files: &Files, arguments: &[&str]) -> Output {
    let mut command = Command::new(PIRANHA);
    command.args(arguments).arg("-c").arg(files.path("lvs.cf"));
    command.arg("--control").arg(files.path("lvs.control"));
    command.output().expect("piranha starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn director(net: u8) -> (Files, Daemon) {
    let files = Files::new();
    let server = word_server(&format!("127.78.{net}.11:0"), "up");
    let (vip, real) = (format!("127.78.{net}.80"), format!("127.78.{net}.11"));
    let web = service("web", &vip, 8080, &real, server.port());
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &alone(net, &web)));
    pulse.expect("active, was acquiring");
    until("the server is up", || {
        let status = json(&piranha(&files, &["status", "--json"]));
        status["lvs"]["known"]["services"][0]["counts"]["up"] == 1
    });
    (files, pulse)
}

#[test]
fn a_check_at_once_says_what_it_saw_through_the_daemon_and_without_it() {
    let (files, pulse) = director(180);
    for local in [&[][..], &["--local"]] {
        let output = piranha(&files, &[&["check", "run", "web/s", "-v"], local].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let told = text(&output.stdout);
        assert!(told.contains("web/s (127.78.180.11:") && told.contains("passed"), "{told}");
    }
    let output = piranha(&files, &["check", "run", "web/nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("mend:"), "{}", text(&output.stderr));
    let seen = json(&piranha(&files, &["check", "run", "s", "--json"]));
    assert_eq!(seen["checks"][0]["failure"], Value::Null);
    drop(pulse);
}

#[test]
fn a_check_that_fails_says_why_and_ends_with_1() {
    let files = Files::new();
    let web = service("web", "127.78.181.80", 8080, "127.78.181.11", 9);
    files.write("lvs.cf", &alone(181, &web));
    let output = piranha(&files, &["check", "run", "web", "--local"]);
    assert_eq!(output.status.code(), Some(1), "there is no server `web`");
    let output = piranha(&files, &["check", "run", "web/s", "--local"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("FAILED: "), "{}", text(&output.stdout));
}

#[test]
fn the_doctor_finds_what_is_wrong_with_a_file_and_says_what_to_type() {
    let files = Files::new();
    let web = service("web", "127.78.182.80", 8080, "127.78.182.11", 9);
    let path = files.write("lvs.cf", &alone(182, &web));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("our file");
    let output = piranha(&files, &["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    let seen = json(&output);
    assert_eq!(seen["grade"], "critical");
    let findings = seen["findings"].as_array().expect("a list");
    assert!(findings.iter().any(|finding| finding["code"] == "permissions"), "{findings:#?}");
    let hints = text(&piranha(&files, &["doctor", "--fix-hints"]).stdout);
    assert!(hints.contains(&format!("chmod go-w {}  # ", path.display())), "{hints}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("our file");
    let mended = json(&piranha(&files, &["doctor", "--json"]));
    let findings = mended["findings"].as_array().expect("a list");
    assert!(findings.iter().all(|finding| finding["code"] != "permissions"), "{findings:#?}");
    files.write("lvs.cf", "primary = nowhere\n");
    assert_eq!(piranha(&files, &["doctor"]).status.code(), Some(2));
}

const SECRETS: [&str; 5] =
    ["s3nds3cret-1", "h3aders3cret-2", "w3bhooks3cret-3", "c0mments3cret-4", "keyfile-s3cret-5"];

/// Everything in an archive, its members' names too.
fn unpacked(archive: &Path) -> String {
    let file = std::fs::File::open(archive).expect("the bundle");
    let mut text = String::new();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for member in archive.entries().expect("an archive") {
        let mut member = member.expect("a member");
        text += &format!("=== {}\n", member.path().expect("a name").display());
        member.read_to_string(&mut text).expect("a text");
    }
    text
}

#[test]
fn a_support_bundle_is_for_its_owner_alone_and_has_no_secret_in_it() {
    let files = Files::new();
    let key = files.write("auth", &format!("user:{}\n", SECRETS[4]));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("our file");
    let extra = format!(
        "notify_webhook = https://ops:{}@hooks.example.org/x\nnotify_auth = {}\n# {}\n",
        SECRETS[2],
        key.display(),
        SECRETS[3]
    );
    let web = service("web", "127.78.183.80", 8080, "127.78.183.11", 9);
    let web = web.replace("    check = connect\n", "").replacen(
        '{',
        &format!("{{\n    send = \"AUTH {}\"\n    expect = \"ok\"\n", SECRETS[0]),
        1,
    );
    let http = service("shop", "127.78.183.81", 8080, "127.78.183.11", 9);
    let header = format!("{{\n    http_header = \"X-Token: {}\"\n", SECRETS[1]);
    let http = http.replacen('{', &header, 1).replace("check = connect", "check = http");
    files.write("lvs.cf", &alone(183, &(extra + &web + &http)));
    let bundle = files.path("bundle.tar.gz");
    let output = piranha(&files, &["support-bundle", bundle.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let mode = std::fs::metadata(&bundle).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let all = unpacked(&bundle);
    for secret in SECRETS {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    for member in ["status.json", "doctor.json", "config/", "version.txt", "events-pulse.json"] {
        assert!(all.contains(member), "{member} not in {all}");
    }
    assert!(all.contains("address = 127.78.183.80"), "the rest of the file is there");
    let again = piranha(&files, &["support-bundle", bundle.to_str().expect("a plain path")]);
    assert_eq!(again.status.code(), Some(1), "what is there is left as it is");
}

#[test]
fn every_command_ends_with_the_code_that_the_manual_gives() {
    let (files, pulse) = director(184);
    let code = |arguments: &[&str]| piranha(&files, arguments).status.code();
    let running: [(&[&str], i32); 18] = [
        (&["status"], 0),
        (&["stat", "--brief"], 0),
        (&["status", "--wide"], 0),
        (&["status", "--json"], 0),
        (&["status", "-o", "wide"], 0),
        (&["status", "-o", "brief"], 0),
        (&["status", "--output=json"], 0),
        (&["status", "-o", "json", "--nagios"], 2),
        (&["status", "--nagios"], 0),
        (&["readiness"], 1),
        (&["failover", "--dry-run"], 1),
        (&["service", "list"], 0),
        (&["service", "show", "w"], 0),
        (&["server", "show", "nobody"], 1),
        (&["check", "run", "web/s"], 0),
        (&["events"], 0),
        (&["version", "--json"], 0),
        (&["top", "--once"], 0),
    ];
    for (arguments, expected) in running {
        assert_eq!(code(arguments), Some(expected), "{arguments:?}");
    }
    assert_eq!(code(&["explode"]), Some(2));
    assert_eq!(code(&["server", "weight", "s"]), Some(2));
    assert_eq!(code(&["top"]), Some(1), "standard output is no terminal here");
    pulse.signal("INT");
    let _ = pulse.end();
    let stopped: [(&[&str], i32); 7] = [
        (&["status"], 3),
        (&["status", "--nagios"], 2),
        (&["readiness"], 3),
        (&["service", "list"], 1),
        (&["check", "run", "web/s"], 1),
        (&["events"], 3),
        (&["top", "--once"], 3),
    ];
    for (arguments, expected) in stopped {
        assert_eq!(code(arguments), Some(expected), "{arguments:?}");
    }
}

#[test]
fn the_forms_of_a_status_are_those_of_its_flags() {
    let (files, _pulse) = director(183);
    let said = |arguments: &[&str]| text(&piranha(&files, arguments).stdout);
    let (brief, wide) = (said(&["status", "-o", "brief"]), said(&["status", "-o", "wide"]));
    assert_eq!(brief.lines().count(), said(&["status", "--brief"]).lines().count());
    assert!(wide.contains("INACT") && !brief.contains("INACT"), "{wide}");
    let json: Value = serde_json::from_str(&said(&["status", "-o", "json"])).unwrap();
    assert_eq!(json["lvs"]["known"]["services"][0]["name"], "web");
}

#[test]
fn a_picture_of_a_running_director_names_its_service_and_one_of_nobody_says_unknown() {
    let (files, pulse) = director(185);
    let picture = text(&piranha(&files, &["top", "--once", "--view", "servers"]).stdout);
    assert!(picture.contains("web/s") && picture.contains("UP"), "{picture}");
    assert_eq!(picture.lines().count(), 24);
    drop(pulse);
    until("nobody answers", || piranha(&files, &["status"]).status.code() == Some(3));
    let picture = text(&piranha(&files, &["top", "--once"]).stdout);
    assert!(picture.contains("UNKNOWN") && !picture.contains("healthy"), "{picture}");
}

/// A command that runs until this is dropped.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn who_follows_events_hears_of_both_daemons_and_of_the_next_lvs_when_one_dies() {
    let (files, pulse) = director(197);
    let told = std::fs::File::create(files.path("events")).expect("a writable directory");
    let mut command = Command::new(PIRANHA);
    command.args(["events", "--follow", "--json", "-c"]).arg(files.path("lvs.cf"));
    command.arg("--control").arg(files.path("lvs.control"));
    let _running = Running(command.stdout(told).spawn().expect("piranha starts"));
    let heard = |daemon: &str, word: &str| {
        let text = std::fs::read_to_string(files.path("events")).unwrap_or_default();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let wanted = |event: &Value| event["daemon"] == daemon && event.to_string().contains(word);
        events.filter(wanted).count()
    };
    until("what has happened is told", || {
        heard("pulse", "transition") > 0 && heard("lvs", "\"health\"") > 0
    });
    piranha(&files, &["server", "weight", "s", "7"]);
    until("what happens is told", || heard("lvs", "\"operated\"") + heard("lvs", "\"weight\"") > 0);
    let before = heard("lvs", "\"health\"");
    signal(lvs_of(pulse.pid()), "KILL");
    until("the next lvs is heard", || heard("lvs", "\"health\"") > before);
}
