//! Guards of two real `pulse` processes, and what only shows on a real kernel.

use std::time::{Duration, Instant};

use crate::daemon::{Daemon, signal, until};
use crate::pair::{Pair, guard_of};
use crate::wire::{Station, VIP4, VIP6};

const TIMERS: &str = "keepalive = 100ms\ndeadtime = 500ms\n";

impl Pair {
    fn guarded(lines: &str) -> Self {
        Self::with(&format!("{TIMERS}{lines}"))
    }
}

/// Another interface, `up0`, with a carrier for as long as `up1` is up.
fn add_uplink(station: &Station) {
    station.ip("link add up0 type veth peer name up1");
    station.ip("link set up0 up");
    station.ip("link set up1 up");
}

fn uplinks(pair: &Pair) -> [Station; 2] {
    let stations = [1, 2].map(|number| pair.wire.station(number));
    stations.iter().for_each(add_uplink);
    stations
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_link_without_a_carrier_sends_the_service_to_the_partner_and_back() {
    let pair = Pair::guarded("track_interface = up0\n");
    let [first, second] = uplinks(&pair);
    let (mut primary, mut backup) = pair.started();
    first.ip("link set up1 down");
    let cut = Instant::now();
    assert!(primary.expect("guard failed: link up0").contains("no carrier"));
    backup.expect("active, was acquiring");
    println!("moved {:?} after the link went down", cut.elapsed());
    assert!(pair.is_free_of(1) && pair.is_held_by(2));
    first.ip("link set up1 up");
    primary.expect("guard in order again: link up0");
    assert!(pair.is_held_by(2), "no failback");
    second.ip("link set up0 down");
    assert!(backup.expect("guard failed: link up0").contains("down"));
    primary.expect("active, was acquiring");
    until("the service answers", || pair.client.answers());
    assert!(pair.is_held_by(1) && pair.is_free_of(2));
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn where_both_have_a_failing_guard_the_owner_keeps_the_service_and_says_why() {
    let pair = Pair::guarded("track_interface = up0\n");
    let [first, second] = uplinks(&pair);
    let (mut primary, mut backup) = pair.started();
    second.ip("link set up1 down");
    backup.expect("guard failed: link up0");
    first.ip("link del up0");
    primary.expect("guard failed: link up0");
    assert!(primary.expect("stays as it is").contains("partner's guards fail"));
    assert!(pair.is_held_by(1) && pair.client.answers());
    second.ip("link set up1 up");
    backup.expect("active, was acquiring");
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_standby_that_is_cut_off_from_partner_and_reference_does_not_take_over() {
    let pair = Pair::guarded("reference = 10.77.0.3\nreference = fd77::3\nreference_quorum = 2\n");
    let (_primary, mut backup) = pair.started();
    pair.wire.plug(2, "down");
    assert!(backup.expect("guard failed: references").contains("of 2 answer, 2 must"));
    assert!(backup.expect("stays as it is").contains("references"));
    assert!(pair.is_free_of(2));
    pair.wire.plug(2, "up");
    backup.expect("guard in order again: references");
    assert!(pair.is_held_by(1) && pair.is_free_of(2) && pair.client.answers());
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn with_a_reference_that_answers_a_dead_partner_is_replaced_as_fast_as_without() {
    let pair = Pair::guarded("reference = 10.77.0.3\n");
    let (primary, mut backup) = pair.started();
    // Its guard would tell the partner.
    signal(guard_of(primary.pid()), "KILL");
    primary.signal("KILL");
    let killed = Instant::now();
    backup.expect("active, was acquiring");
    println!("taken over after {:?}, of which 500 ms are the dead time", killed.elapsed());
    until("the service answers", || pair.client.answers());
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn an_owner_that_was_cut_off_with_its_link_does_not_take_the_service_back() {
    let pair = Pair::guarded("monitor_links = 1\n");
    let (mut primary, mut backup) = pair.started();
    pair.wire.plug(1, "down");
    primary.expect("guard failed: link eth0");
    backup.expect("active, was acquiring");
    pair.wire.plug(1, "up");
    primary.expect("standby");
    assert!(pair.is_free_of(1) && pair.is_held_by(2), "the fit one of two owners stays");
    until("the client follows", || pair.client_looks_at(2) && pair.client.answers());
    primary.expect("guard in order again");
    assert!(pair.is_free_of(1) && pair.is_held_by(2));
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_file_a_process_and_a_command_are_guards() {
    let own = format!("guard-{}", std::process::id());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("plain").to_owned();
    let (file, program, flag) = (path("drain"), path(&own), path("flag"));
    std::fs::copy("/bin/sleep", &program).expect("there is one");
    std::fs::write(&flag, "").expect("a new file");
    let run = || Daemon::start(&program, &["60"]);
    let pair = Pair::guarded(&format!(
        "track_file = {file}\ntrack_process = {own}\ntrack_command = \"/usr/bin/test -e {flag}\"\n\
         track_interval = 50ms\n"
    ));
    let running = run();
    let (mut primary, _backup) = pair.started();
    // Both directors are on this machine, and none is better than the other.
    std::fs::write(&file, "1\n").expect("a new file");
    assert!(primary.expect("guard failed: file").contains("holds 1"));
    std::fs::remove_file(&file).expect("it is there");
    primary.expect("guard in order again: file");
    drop(running);
    assert!(primary.expect("guard failed: process").contains("does not run"));
    let _running = run();
    primary.expect("guard in order again: process");
    std::fs::remove_file(&flag).expect("it is there");
    assert!(primary.expect("guard failed: command").contains("exit status 1"));
    assert!(pair.client.answers());
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn keys_change_without_a_heartbeat_lost() {
    let pair = Pair::guarded("");
    let (old, new) = (pair.key("old", b"0123456789abcdef"), pair.key("new", b"fedcba9876543210"));
    let plain = [1, 2].map(|number| {
        let path = pair.files.path(&number.to_string());
        std::fs::read_to_string(path).expect("it was written")
    });
    let write = |seals: &str, accepts: Option<&str>| {
        for (text, number) in plain.iter().zip(["1", "2"]) {
            let accepts = accepts.map(|path| format!("heartbeat_key_accepted = {path}\n"));
            let accepts = accepts.unwrap_or_default();
            pair.files.write(number, &format!("heartbeat_key = {seals}\n{accepts}{text}"));
        }
    };
    write(&old, None);
    let (mut primary, mut backup) = pair.started();
    for (seals, accepts) in [(&old, Some(&new)), (&new, Some(&old)), (&new, None)] {
        write(seals, accepts.map(String::as_str));
        // The slower of the two has the other's next key already, or still the one before.
        for director in [&mut primary, &mut backup] {
            director.signal("HUP");
            director.expect("configuration reloaded");
            std::thread::sleep(Duration::from_millis(700));
        }
    }
    assert!(pair.is_held_by(1) && pair.is_free_of(2));
    for director in [primary, backup] {
        director.signal("KILL");
        let (_, log) = director.end();
        assert!(!log.contains("bad_tag") && !log.contains("partner dead"), "{log}");
    }
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn an_address_whose_removal_went_by_unseen_is_back_and_the_log_says_so() {
    let pair = Pair::with("keepalive = 1\ndeadtime = 30\n");
    let (mut primary, _backup) = pair.started();
    let station = pair.wire.station(1);
    primary.signal("STOP");
    // More than a socket that nobody reads keeps, and the removal last.
    let batch =
        pair.files.write("batch", &"link set eth0 mtu 1400\nlink set eth0 mtu 1500\n".repeat(1500));
    station.ip(&format!("-batch {}", batch.display()));
    station.ip(&format!("addr del {VIP4}/32 dev eth0"));
    station.ip(&format!("addr del {VIP6}/128 dev eth0"));
    primary.signal("CONT");
    primary.expect("somebody removed");
    primary.expect("somebody removed");
    assert!(pair.is_held_by(1) && pair.client.answers());
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn what_an_earlier_life_left_behind_is_gone_at_the_start() {
    let pair = Pair::with("keepalive = 1\ndeadtime = 4\n");
    let (primary, backup) = pair.started();
    signal(guard_of(primary.pid()), "KILL");
    primary.signal("KILL");
    assert!(pair.is_held_by(1), "the kernel keeps them for seconds");
    // Nobody is to take over, so that only the start can have removed them.
    drop(backup);
    let killed = Instant::now();
    let _again = pair.start(1);
    until("they are gone", || pair.is_free_of(1));
    println!("gone {:?} after the death", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(3), "before the kernel would have done it");
}
