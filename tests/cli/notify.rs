//! Commands and receivers that are told of what happens on a node.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::daemon::{
    Daemon, Files, children, lvs_of, read_from, service, signal, until, word_server,
};

/// A /24 of loopback that no other run of these tests has at the same time.
fn net(number: u8) -> String {
    format!("127.{}.{number}", 100 + std::process::id() % 100)
}

/// The file of a node without a partner that serves a word, with `extra` in it.
fn node(net: &str, extra: &str) -> String {
    let server = word_server(&format!("{net}.11:0"), "up");
    let web = service("web", &format!("{net}.80"), 8080, &format!("{net}.11"), server.port());
    format!(
        "role = primary\nprimary = {net}.1\nheartbeat_port = 5391\nkeepalive = 50ms\n\
         deadtime = 300ms\ndataplane = relay\n{extra}{web}"
    )
}

/// A program that adds a line with its name, arguments and part of the event to `log`.
fn recorder(files: &Files, name: &str, more: &str) -> PathBuf {
    let log = files.path("log");
    let script = format!(
        "#!/bin/sh\nset -f\n{more}\necho \"{name}\" \"$@\" \"${{PIRANHA_EVENT%%,*}}\" >> {}\n",
        log.display()
    );
    let path = files.write(name, &script);
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

fn lines(files: &Files) -> Vec<String> {
    let text = fs::read_to_string(files.path("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The words in front of the event of each line.
fn words(files: &Files) -> Vec<String> {
    let front = |line: String| line.split(" {").next().unwrap_or_default().to_owned();
    lines(files).into_iter().map(front).collect()
}

fn hooks(files: &Files) -> String {
    let (on, off) = (recorder(files, "on", ""), recorder(files, "off", ""));
    format!("active_cmd = \"{} a  b\"\ninactive_cmd = {}\n", on.display(), off.display())
}

#[test]
fn hooks_follow_the_state_from_the_start_to_the_stop() {
    let (files, net) = (Files::new(), net(1));
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &node(&net, &hooks(&files))));
    pulse.expect("active, was acquiring");
    until("both hooks ran", || words(&files) == ["off", "on a b"]);
    let event = lines(&files)[1].clone();
    assert!(event.contains("{\"time\":\"20") && event.contains('Z'), "{event}");
    pulse.signal("TERM");
    let (status, log) = pulse.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(words(&files), ["off", "on a b", "off"], "{log}");
}

#[test]
fn a_hook_that_hangs_delays_no_takeover_and_is_killed() {
    let (files, net) = (Files::new(), net(2));
    let hang = recorder(&files, "hang", "sleep 1000 & wait");
    let extra = format!("active_cmd = {}\nnotify_timeout = 1500ms\n", hang.display());
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &node(&net, &extra)));
    until("the service answers", || read_from(&format!("{net}.80:8080")).is_ok());
    let line = pulse.expect("killed after 1.5s");
    assert!(line.contains("WARN") && line.contains("active_cmd"), "{line}");
    assert_eq!(lines(&files), [""; 0]);
}

#[test]
fn keepalived_scripts_and_pipes_get_the_words_they_know() {
    let (files, net) = (Files::new(), net(3));
    let script = recorder(&files, "script", "");
    let fifo = files.path("fifo");
    let extra = format!(
        "notify_command = {}\nnotify_fifo = {}\nnotify_name = VI_1\n",
        script.display(),
        fifo.display()
    );
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &node(&net, &extra)));
    pulse.expect("active, was acquiring");
    until("the script ran", || words(&files).contains(&"script INSTANCE VI_1 MASTER 200".into()));
    let mut pipe = open_pipe(&fifo);
    let mut text = String::new();
    until("the pipe has both", || {
        text += &read_pipe(&mut pipe);
        let server = format!("RS [{net}.11]:tcp:");
        text.contains("INSTANCE \"VI_1\" MASTER 200\n") && text.contains(&server)
    });
    assert!(text.contains(&format!(" [{net}.80]:tcp:8080 UP\n")), "{text}");
    pulse.signal("TERM");
    let (_, log) = pulse.end();
    let last = words(&files).pop();
    assert_eq!(last.as_deref(), Some("script INSTANCE VI_1 STOP 200"), "{log}");
    assert!(read_pipe(&mut pipe).ends_with("INSTANCE \"VI_1\" STOP 200\n"));
}

/// Lines stay in a pipe as long as somebody has it open.
fn open_pipe(path: &Path) -> fs::File {
    let nonblocking = 0o4000;
    fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path).unwrap()
}

fn read_pipe(pipe: &mut fs::File) -> String {
    let mut text = vec![0; 1 << 16];
    let length = pipe.read(&mut text).unwrap_or_default();
    String::from_utf8_lossy(&text[..length]).into_owned()
}

#[test]
fn the_death_of_pulse_is_told_by_who_outlives_it() {
    let (files, net) = (Files::new(), net(4));
    let script = recorder(&files, "script", "");
    let extra = format!("{}notify_command = {}\n", hooks(&files), script.display());
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &node(&net, &extra)));
    pulse.expect("active, was acquiring");
    until("it is active", || words(&files).contains(&"on a b".to_owned()));
    pulse.signal("KILL");
    let _ = pulse.end();
    until("it is told", || {
        let told = words(&files);
        told.last().is_some_and(|last| last != "on a b")
            && told.contains(&"script INSTANCE piranha FAULT 200".to_owned())
            && told.iter().filter(|word| *word == "off").count() == 2
    });
}

#[test]
fn what_a_reload_adds_is_told_from_then_on_and_the_teller_may_die() {
    let (files, net) = (Files::new(), net(5));
    let path = files.write("lvs.cf", &node(&net, ""));
    let mut pulse = Daemon::pulse(&path);
    pulse.expect("active, was acquiring");
    let tellers = |pulse: &Daemon| -> Vec<u32> {
        let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| is_teller_of(*pid, pulse.pid())).collect()
    };
    assert_eq!(tellers(&pulse), [0; 0]);
    let script = recorder(&files, "script", "");
    fs::write(&path, node(&net, &format!("notify_command = {}\n", script.display()))).unwrap();
    pulse.signal("HUP");
    until("it is told", || words(&files).contains(&"script INSTANCE piranha MASTER 200".into()));
    let [teller] = tellers(&pulse)[..] else { panic!("no teller") };
    signal(teller, "KILL");
    until("it is gone", || tellers(&pulse).is_empty());
    assert!(!children(pulse.pid()).is_empty(), "lvs goes on");
    pulse.signal("TERM");
    let (status, log) = pulse.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(words(&files).last().unwrap(), "script INSTANCE piranha STOP 200", "{log}");
}

fn is_teller_of(pid: u32, parent: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let ours = status.lines().any(|line| line == format!("PPid:\t{parent}"));
    ours && String::from_utf8_lossy(&command).contains("--notifier")
}

#[test]
fn a_test_is_sent_by_lvs_by_what_is_in_force_and_where_it_does_not_run_by_the_command() {
    let (files, net) = (Files::new(), net(6));
    let parents = files.path("parents");
    let script = recorder(&files, "script", &format!("echo $PPID >> {}", parents.display()));
    let text = node(&net, &format!("notify_event_command = {}\n", script.display()));
    let path = files.write("lvs.cf", &text);
    let mut pulse = Daemon::pulse(&path);
    pulse.expect("active, was acquiring");
    let lvs = lvs_of(pulse.pid());
    // In the file, and not in force.
    fs::write(&path, format!("notify_fifo = {}\n{text}", files.path("fifo").display())).unwrap();
    let test = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_piranha"));
        command.args(["notify", "test", "--json", "-c"]).arg(&path);
        let output = command.arg("--control").arg(path.with_extension("control")).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(output.status.success(), "{output:?}");
        (told["told"].clone(), String::from_utf8(output.stderr).unwrap())
    };
    let (told, said) = test();
    let [one] = told.as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&one["directive"], &one["done"]), (&"notify_event_command".into(), &"told".into()));
    assert_eq!(said, "");
    let started = fs::read_to_string(&parents).unwrap();
    assert!(started.lines().any(|pid| pid == lvs.to_string()), "{started}");
    pulse.signal("TERM");
    let (status, log) = pulse.end();
    assert_eq!(status.code(), Some(0), "{log}");
    let (told, said) = test();
    assert!(said.contains("lvs does not run"), "{said}");
    assert_eq!(told.as_array().map(Vec::len), Some(2), "{told}");
}
