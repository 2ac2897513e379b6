//! What the book has typed beside a pair that runs: the first chapter's, with that chapter's file.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::machine::Machine;
use super::{block, page, typed};
use crate::daemon::until;
use crate::wire::Wire;

/// The first chapter's pair on two machines, its real servers on a third. The machines end before their wire.
struct Scene {
    lb1: Machine,
    lb2: Machine,
    wire: Wire,
}

impl Scene {
    fn new() -> Self {
        let wire = Wire::new();
        let web = wire.station(3);
        web.ip("addr add 10.0.0.3/24 dev eth0");
        for server in ["10.0.0.11", "10.0.0.12", "10.0.0.21"] {
            web.ip(&format!("addr add {server}/24 dev eth0"));
            web.serve(&format!("{server}:80"), "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        let machine = |number: u8| {
            let station = wire.station(number);
            station.ip(&format!("addr add 10.0.0.{number}/24 dev eth0"));
            // A name of a machine lives as long as the program.
            Machine::new(station.name.leak())
        };
        let scene = Self { lb1: machine(1), lb2: machine(2), wire };
        scene.configure(&[
            block("monitoring.md", "metrics = 10.0.0.1"),
            block("monitoring.md", "notify_webhook"),
        ]);
        scene
    }

    /// The first chapter's file with these blocks in front, and its key.
    fn configure(&self, more: &[String]) {
        let mut file = format!("{}{}", more.concat(), block("first-pair.md", "virtual web"));
        if file.contains("heartbeat_version = 1\n") {
            file = file.replace("heartbeat_key", "# heartbeat_key");
        }
        let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        for node in [&self.lb1, &self.lb2] {
            node.sh(&format!("cat >/etc/sysconfig/ha/lvs.cf <<'END'\n{file}END\n"));
            node.sh(&format!("umask 077; echo {key} >/etc/sysconfig/ha/lvs.key"));
        }
    }

    fn start(&self) {
        let start = block("first-pair.md", "service pulse start");
        for node in [&self.lb1, &self.lb2] {
            node.sh(&start);
        }
        until("the pair is one", || self.lb1.run("piranha readiness").status.success());
    }
}

/// What runs until it is ended, and what it has said.
struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Running {
    fn start(machine: &Machine, command: &str) -> Self {
        let mut command = machine.command(&format!("exec {command}"));
        // What is ended is the group: `nsenter` waits for what it began.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("it was piped");
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            while let Ok(piece) = stdout.fill_buf() {
                let length = piece.len();
                if length == 0 {
                    return;
                }
                heard.lock().expect("it is whole").push_str(&String::from_utf8_lossy(piece));
                stdout.consume(length);
            }
        });
        Self { child, said }
    }

    fn says(&self, words: &str) {
        until(&format!("{words:?} is said"), || {
            self.said.lock().expect("it is whole").contains(words)
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = std::process::Command::new("kill").args(["-9", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// Whether nothing that was typed was critical: status 0 or 1.
fn looked(machine: &Machine, script: &str) -> String {
    let output = machine.run(script);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(is_fine(&output), "{script}\n{said}{errors}");
    said
}

fn is_fine(output: &Output) -> bool {
    output.status.code().is_some_and(|code| code < 2)
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_running_pair_is_watched_as_the_chapter_on_monitoring_says() {
    let scene = Scene::new();
    scene.start();
    let shown = block("monitoring.md", "piranha top");
    let [top, events, list] = shown.lines().collect::<Vec<_>>()[..] else {
        panic!("three commands: {shown}")
    };
    assert!(scene.lb1.sh(list).contains("web1"));
    // A terminal of its own.
    // Of a size, which one without a terminal behind it has not.
    let top = format!("stty rows 24 cols 80; {top}");
    let mut view =
        Running::start(&scene.lb1, &format!("script --quiet --return --command '{top}' /dev/null"));
    view.says("web");
    view.child.stdin.as_mut().expect("it was piped").write_all(b"q").expect("it reads");
    until("it ends", || view.child.try_wait().expect("a child of ours").is_some());
    let follower = Running::start(&scene.lb1, events);
    follower.says("active");
    scene.lb1.sh("piranha failover --reason 'a test'");
    follower.says("standby");
    // Nobody of example.org is to be had here.
    let told = looked(&scene.lb1, &block("monitoring.md", "piranha notify test"));
    for receiver in [
        "notify_mail ops@example.org: failed",
        "notify_webhook https://hooks.example.org:443: failed",
    ] {
        assert!(told.contains(receiver), "{told}");
    }
    let metrics =
        typed(&scene.wire.station(3), "curl --silent --fail http://10.0.0.1:9111/metrics");
    assert!(metrics.contains("piranha_"), "{metrics}");
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn what_troubleshooting_and_upgrading_begin_with_can_be_typed_on_both_nodes() {
    let scene = Scene::new();
    scene.start();
    for node in [&scene.lb1, &scene.lb2] {
        for line in block("troubleshooting.md", "piranha events --since 1h").lines() {
            looked(node, line);
        }
    }
    let nanny = Running::start(&scene.lb1, block("troubleshooting.md", "nanny --server").trim());
    nanny.says("available");
    let bundle = block("troubleshooting.md", "piranha support-bundle");
    let named = scene.lb1.sh(&format!("cd /run\n{bundle}ls /run"));
    assert!(named.contains(".tar.gz"), "{named}");
    scene.lb2.sh(&block("upgrading.md", "service pulse restart"));
    until("the pair is one", || scene.lb1.run("piranha readiness").status.success());
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn the_gui_is_served_and_answers_programs_on_its_socket() {
    let scene = Scene::new();
    scene.start();
    let serve = block("gui.md", "piranha serve");
    let serve = serve.lines().next().and_then(|line| line.split('#').next());
    let serve = format!("{} --socket /run/piranha/web.sock", serve.expect("a command").trim());
    let _gui = Running::start(&scene.lb1, &serve);
    let ask = block("gui.md", "curl --unix-socket");
    until("it answers", || scene.lb1.run(&ask).status.success());
    assert!(scene.lb1.sh(&ask).starts_with('{'));
}

/// What is typed live on the way from something else, by heading: the blocks in numbered lists.
fn steps() -> Vec<String> {
    let steps = page::read("migration.md").into_iter().filter(|block| block.text.starts_with(' '));
    steps.filter(|block| block.kind == ["sh"]).map(|block| block.text).collect()
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_new_node_stands_by_beside_one_that_speaks_version_1_and_takes_over_when_that_stops() {
    let scene = Scene::new();
    // The programs of today in the place of 0.8.6, whose datagrams these are.
    scene.configure(&["heartbeat_version = 1\n".to_owned()]);
    scene.lb1.sh("service pulse start");
    until("it is active", || is_in_state(&scene.lb1, "ACTIVE"));
    let steps = steps();
    let [check, doctor, start, status] = steps[0].lines().collect::<Vec<_>>()[..] else {
        panic!("four commands: {}", steps[0])
    };
    scene.lb2.sh(check);
    let found = String::from_utf8_lossy(&scene.lb2.run(doctor).stdout).into_owned();
    assert!(found.contains("10.0.0.80"), "that the old node has the VIP: {found}");
    scene.lb2.sh(start);
    // The daemons answer a moment after they were started.
    until("the status is no worse than a warning", || is_fine(&scene.lb2.run(status)));
    until("it stands by", || is_in_state(&scene.lb2, "STANDBY"));
    scene.lb1.sh("service pulse stop");
    until("it takes over", || is_in_state(&scene.lb2, "ACTIVE"));
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn the_first_node_in_the_place_of_ldirectord_takes_the_vip_by_itself() {
    let scene = Scene::new();
    let [_, _, looks, starts] = &steps()[..] else { panic!("four blocks") };
    looks.lines().for_each(|line| drop(looked(&scene.lb2, line)));
    let (start, status) = starts.trim().split_once('\n').expect("two commands");
    scene.lb2.sh(start);
    until("it takes the service", || is_in_state(&scene.lb2, "ACTIVE"));
    assert!(scene.lb2.run(status).status.code().is_some(), "what the pair lacks is critical");
}

fn is_in_state(node: &Machine, state: &str) -> bool {
    let said = node.run("piranha status").stdout;
    String::from_utf8_lossy(&said).lines().next().is_some_and(|line| line.contains(state))
}
