//! Two real `pulse` processes and the address between them, as a client sees it.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Files, children, signal, until};
use crate::wire::{Station, VIP4, VIP6, Wire};

pub(crate) struct Pair {
    pub(crate) wire: Wire,
    pub(crate) files: Files,
    pub(crate) client: Station,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with("keepalive = 100ms\ndeadtime = 500ms\n")
    }

    /// With these lines, timers among them, on both.
    pub(crate) fn with(lines: &str) -> Self {
        let wire = Wire::new();
        let client = wire.station(3);
        client.serve("10.77.0.3:9000", "up");
        client.serve("[fd77::3]:9000", "up");
        let service = |name: &str, vip: &str, server: &str| {
            format!(
                "virtual {name} {{\n    active = 1\n    address = {vip}\n    port = 8080\n    \
                 check = connect\n    timeout = 200ms\n    rise = 1\n    server s {{\n        \
                 address = {server}\n        port = 9000\n        active = 1\n    }}\n}}\n"
            )
        };
        let services = service("four", &format!("{VIP4} eth0:1"), "10.77.0.3")
            + &service("six", &format!("{VIP6} eth0"), "fd77::3");
        let files = Files::new();
        for (name, role) in [("1", "primary"), ("2", "backup")] {
            files.write(
                name,
                &format!(
                    "role = {role}\nprimary = 10.77.0.1\nbackup = 10.77.0.2\nbackup_active = 1\n\
                     heartbeat_port = 5390\n\
                     dataplane = relay\n{lines}{services}"
                ),
            );
        }
        Self { wire, files, client }
    }

    /// A file with a key, as `heartbeat_key` takes it; its path.
    pub(crate) fn key(&self, name: &str, secret: &[u8]) -> String {
        let path = self.files.write(name, "");
        std::fs::write(&path, secret).expect("it is there");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("it is ours");
        path.to_str().expect("a plain path").to_owned()
    }

    /// Has both directors authenticate their heartbeats from their start on.
    pub(crate) fn seal(&self, secret: &[u8]) {
        let key = self.key("key", secret);
        for number in ["1", "2"] {
            let text = std::fs::read_to_string(self.files.path(number)).expect("it was written");
            self.files.write(number, &format!("heartbeat_key = {key}\n{text}"));
        }
    }

    pub(crate) fn start(&self, number: u8) -> Daemon {
        self.wire.station(number).pulse(&self.files.path(&number.to_string()))
    }

    /// Both directors, the primary active.
    pub(crate) fn started(&self) -> (Daemon, Daemon) {
        let (mut primary, mut backup) = (self.start(1), self.start(2));
        primary.expect("active, was acquiring");
        backup.expect("standby, was starting");
        until("the service answers", || self.client.answers());
        assert!(self.is_held_by(1) && self.is_free_of(2));
        (primary, backup)
    }

    pub(crate) fn is_held_by(&self, number: u8) -> bool {
        let station = self.wire.station(number);
        station.has(VIP4) && station.has(VIP6)
    }

    pub(crate) fn is_free_of(&self, number: u8) -> bool {
        let station = self.wire.station(number);
        !station.has(VIP4) && !station.has(VIP6)
    }

    /// Whether the client's neighbour caches lead to the director.
    pub(crate) fn client_looks_at(&self, number: u8) -> bool {
        let hardware = self.wire.station(number).hardware();
        [VIP4, VIP6].iter().all(|vip| self.client.neighbour(vip).contains(&hardware))
    }
}

pub(crate) fn guard_of(pid: u32) -> u32 {
    find_guard(pid).expect("a guard runs")
}

fn find_guard(pid: u32) -> Option<u32> {
    let is_guard = |pid: &u32| {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
        command.is_ok_and(|command| command.contains("--guard"))
    };
    children(pid).into_iter().find(is_guard)
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_killed_pulse_loses_its_addresses_at_once_and_the_client_follows_to_the_partner() {
    let pair = Pair::new();
    let (primary, mut backup) = pair.started();
    until("the client found the primary", || pair.client_looks_at(1));
    primary.signal("KILL");
    let killed = Instant::now();
    until("the dead one's addresses are gone", || pair.is_free_of(1));
    let gone = killed.elapsed();
    backup.expect("active, was acquiring");
    let taken = killed.elapsed();
    assert!(pair.is_held_by(2) && pair.is_free_of(1));
    until("the client follows", || pair.client_looks_at(2));
    until("the service answers", || pair.client.answers());
    println!(
        "gone after {gone:?}, taken over after {taken:?}, answering after {:?}",
        killed.elapsed()
    );
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn the_guard_of_a_killed_pulse_tells_the_partner_which_waits_for_no_dead_time() {
    let pair = Pair::with("keepalive = 1\ndeadtime = 20\n");
    let (primary, mut backup) = pair.started();
    // What is to be said reaches the guard at least twice a second.
    std::thread::sleep(Duration::from_secs(2));
    primary.signal("KILL");
    let killed = Instant::now();
    assert!(backup.expect("activating lvs").contains("partner said farewell"));
    assert!(pair.is_free_of(1), "gone before it is said");
    backup.expect("active, was acquiring");
    println!("taken over {:?} after the death, at a dead time of 20 s", killed.elapsed());
    until("the service answers", || pair.client.answers());
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn without_a_guard_too_the_addresses_of_a_killed_pulse_expire() {
    let pair = Pair::new();
    let (primary, mut backup) = pair.started();
    signal(guard_of(primary.pid()), "KILL");
    primary.signal("KILL");
    let killed = Instant::now();
    backup.expect("active, was acquiring");
    until("the dead one's addresses are gone", || pair.is_free_of(1));
    println!("gone by themselves after {:?}", killed.elapsed());
    until("the client follows", || pair.client_looks_at(2));
    until("the service answers", || pair.client.answers());
    // Longer than an address lives that nobody renews: whoever holds it renews it.
    std::thread::sleep(Duration::from_secs(5));
    assert!(pair.is_held_by(2) && pair.client.answers());
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_stop_hands_the_addresses_over() {
    let pair = Pair::new();
    let (primary, mut backup) = pair.started();
    primary.signal("TERM");
    backup.expect("partner hands over");
    backup.expect("active, was acquiring");
    assert!(pair.is_free_of(1) && pair.is_held_by(2));
    until("the client follows", || pair.client_looks_at(2));
    until("the service answers", || pair.client.answers());
    let (status, log) = primary.end();
    assert_eq!(status.code(), Some(0), "{log}");
    drop(backup);
    until("nobody has the addresses", || pair.is_free_of(1) && pair.is_free_of(2));
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn an_address_that_somebody_removes_is_back_at_once() {
    let pair = Pair::new();
    let (mut primary, _backup) = pair.started();
    let station = pair.wire.station(1);
    station.ip(&format!("addr del {VIP4}/32 dev eth0"));
    station.ip(&format!("addr del {VIP6}/128 dev eth0"));
    primary.expect("somebody removed");
    primary.expect("somebody removed");
    assert!(pair.is_held_by(1) && pair.client.answers());
    assert!(station.ip("-4 addr show").contains("eth0:1"), "with its label again");
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_guard_that_is_killed_is_replaced_and_does_its_work() {
    let pair = Pair::new();
    let (mut primary, mut backup) = pair.started();
    let guard = guard_of(primary.pid());
    signal(guard, "KILL");
    primary.expect("another guard is on duty");
    // The log is ahead of the new process's own command line.
    until("another guard runs", || find_guard(primary.pid()).is_some_and(|other| other != guard));
    primary.signal("KILL");
    backup.expect("active, was acquiring");
    assert!(pair.is_free_of(1));
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn directors_that_were_cut_off_from_each_other_end_with_one_owner() {
    let pair = Pair::new();
    let (_primary, mut backup) = pair.started();
    pair.wire.plug(1, "down");
    backup.expect("active, was acquiring");
    until("the client follows", || pair.client_looks_at(2) && pair.client.answers());
    pair.wire.plug(1, "up");
    backup.expect("standby");
    until("the backup has given up", || pair.is_free_of(2));
    until("the client is led back", || pair.client_looks_at(1) && pair.client.answers());
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_stalled_pulse_loses_its_addresses_and_does_not_take_them_back_when_it_goes_on() {
    let pair = Pair::new();
    let (mut primary, mut backup) = pair.started();
    primary.signal("STOP");
    let stopped = Instant::now();
    let (mut free, mut taken) = (None, None);
    until("the partner has the addresses and the stalled one has not", || {
        free = free.or_else(|| pair.is_free_of(1).then(|| stopped.elapsed()));
        taken = taken.or_else(|| pair.is_held_by(2).then(|| stopped.elapsed()));
        free.is_some() && taken.is_some()
    });
    let (free, taken) = (free.expect("it is"), taken.expect("it is"));
    println!("gone {free:?} after the stall began, taken over after {taken:?}");
    assert!(free.saturating_sub(taken) < Duration::from_millis(500 + 500), "two owners too long");
    backup.expect("active, was acquiring");
    until("the client follows", || pair.client_looks_at(2) && pair.client.answers());
    let heard = pair.client.listen_for_announcements(&pair.wire.station(1).hardware());
    primary.signal("CONT");
    primary.expect("suspended or stalled");
    primary.expect("standby");
    assert!(pair.is_free_of(1), "the stalled one stays without");
    assert_eq!(heard.count(), 0, "the stalled one announces nothing");
    assert!(pair.is_held_by(2), "the other one keeps them");
    until("the service answers", || pair.client.answers());
    assert!(pair.is_free_of(1) && pair.is_held_by(2));
}
