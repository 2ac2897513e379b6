use std::sync::mpsc::{Receiver, channel};

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// A cast whose lines arrive in a channel as `name: line`.
fn cast() -> (Cast, Receiver<String>) {
    let (sender, lines) = channel();
    let cast = Cast::new(move |name, _, line| {
        let _ = sender.send(format!("{name}: {line}"));
    });
    (cast.unwrap(), lines)
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

fn gone(pid: Pid) -> bool {
    rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
}

/// Whether `pid` has ended, reaped or not: orphans wait for whoever adopts them.
fn dead(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

fn eventually(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + LONG;
    while !condition() && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
    condition()
}

#[test]
fn lines_of_both_streams_arrive_with_the_childs_name() {
    let (cast, lines) = cast();
    cast.spawn("web1", shell("echo one; echo two >&2")).unwrap();
    let mut seen = [lines.recv_timeout(LONG).unwrap(), lines.recv_timeout(LONG).unwrap()];
    seen.sort();
    assert_eq!(seen, ["web1: one", "web1: two"]);
}

#[test]
fn a_name_can_be_used_again_once_its_process_has_ended() {
    let (cast, _lines) = cast();
    let first = cast.spawn("lb1", shell("sleep 60")).unwrap();
    assert!(cast.spawn("lb1", shell("sleep 60")).is_err());
    assert_eq!(cast.pid("lb1"), Some(first));
    cast.signal("lb1", Signal::KILL).unwrap();
    let status = cast.wait("lb1", LONG).unwrap().unwrap();
    assert!(!status.success());
    assert_eq!(cast.pid("lb1"), None);
    assert!(cast.signal("lb1", Signal::KILL).is_err());
    assert_ne!(cast.spawn("lb1", shell("sleep 60")).unwrap(), first);
}

#[test]
fn waiting_ends_at_its_limit() {
    let (cast, _lines) = cast();
    cast.spawn("lb1", shell("sleep 60")).unwrap();
    assert_eq!(cast.wait("lb1", Duration::from_millis(10)).unwrap(), None);
    assert!(cast.wait("lb9", LONG).is_err());
}

/// Starts `script`, which prints the id of a process it has started, and returns that id.
fn start_family(cast: &Cast, lines: &Receiver<String>, script: &str) -> Pid {
    cast.spawn("lb1", shell(script)).unwrap();
    let line = lines.recv_timeout(LONG).unwrap();
    let grandchild = line.strip_prefix("lb1: ").unwrap();
    Pid::from_raw(grandchild.parse().unwrap()).unwrap()
}

#[test]
fn dropping_the_cast_ends_even_a_child_that_will_not_listen_and_its_children() {
    let (cast, lines) = cast();
    let stubborn = "trap '' TERM; sleep 60 & echo $!; wait; wait";
    let grandchild = start_family(&cast, &lines, stubborn);
    let pid = cast.pid("lb1").unwrap();
    drop(cast);
    assert!(gone(pid));
    assert!(eventually(|| dead(grandchild)));
}

#[test]
fn children_left_behind_by_a_child_that_went_willingly_are_ended_too() {
    let (cast, lines) = cast();
    let grandchild = start_family(&cast, &lines, "sleep 60 & echo $!; wait");
    drop(cast);
    assert!(eventually(|| dead(grandchild)));
}

#[test]
fn a_kill_takes_down_the_whole_node() {
    let (cast, lines) = cast();
    let grandchild = start_family(&cast, &lines, "sleep 60 & echo $!; wait");
    cast.kill("lb1").unwrap();
    assert!(eventually(|| dead(grandchild)));
    assert!(cast.wait("lb1", LONG).unwrap().is_some());
    assert!(cast.kill("lb1").is_err());
}

#[test]
fn after_the_stop_nothing_starts() {
    let (cast, _lines) = cast();
    cast.stop();
    assert!(cast.spawn("lb1", shell("sleep 60")).is_err());
}

/// Not a test: the parent of [`no_child_survives_a_parent_that_is_killed`], started by it.
#[test]
#[ignore = "a role in another test"]
fn role_parent() {
    let cast = Cast::new(|_, _, line| println!("{line}")).unwrap();
    cast.spawn("child", role("process::tests::role_child")).unwrap();
    thread::sleep(LONG);
}

/// Not a test: the child of [`role_parent`].
#[test]
#[ignore = "a role in another test"]
fn role_child() {
    tie_to_parent().unwrap();
    println!("pid={}", getpid().as_raw_pid());
    thread::sleep(LONG);
}

/// This test program, running only `test`.
fn role(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command
}

#[test]
fn no_child_survives_a_parent_that_is_killed() {
    let (cast, lines) = cast();
    cast.spawn("parent", role("process::tests::role_parent")).unwrap();
    let child = loop {
        let line = lines.recv_timeout(LONG).unwrap();
        if let Some((_, pid)) = line.split_once("pid=") {
            break Pid::from_raw(pid.parse().unwrap()).unwrap();
        }
    };
    assert!(!gone(child));
    cast.signal("parent", Signal::KILL).unwrap();
    cast.wait("parent", LONG).unwrap().unwrap();
    assert!(eventually(|| dead(child)));
}

/// Not a test: a role started without a cast.
#[test]
#[ignore = "a role in another test"]
fn role_stranger() {
    println!("refused={}", tie_to_parent().is_err());
}

#[test]
fn a_role_refuses_to_be_played_for_anybody_else() {
    let mut stranger = role("process::tests::role_stranger");
    stranger.env_remove(PARENT);
    let output = stranger.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("refused=true"));
}
