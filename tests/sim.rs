//! The two directors under every fault the simulator knows (`piranha::sim`).
//!
//! `PIRANHA_SIM_SEEDS=n` sets how many seeds are played (1,000 without it); a failing one prints
//! the command that plays it again.
#![cfg(feature = "sim")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test; the seeds to play come from the environment"
)]

use std::net::SocketAddr;
use std::time::Duration;

use piranha::failover::pulse::{Config, Pulse};
use piranha::failover::record::{Difference, Disguise, Line, Replay};
use piranha::failover::{
    ActionError, ActionId, Command, Heartbeat, Output, PathId, Role, State, Status,
};
use piranha::sim::{self, Cluster, Pair, Scenario, Violation};
use piranha::time::Instant;

fn seed_from(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(seed_from(&text).unwrap_or_else(|| panic!("{name}={text} is not a number")))
}

#[test]
fn every_seed_keeps_every_promise() {
    let seeds = environment("PIRANHA_SIM_SEEDS").unwrap_or(1000);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let failures: Vec<Violation> = std::thread::scope(|scope| {
        let play = |first| {
            (first..seeds)
                .step_by(threads)
                .filter_map(|seed| sim::run(seed).err())
                .collect::<Vec<_>>()
        };
        let parts: Vec<_> =
            (0..).take(threads).map(|first| scope.spawn(move || play(first))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    if let Some(first) = failures.iter().min_by_key(|failure| failure.seed) {
        let all: Vec<_> = failures
            .iter()
            .map(|failure| format!("{:#x} {}", failure.seed, failure.what))
            .collect();
        panic!("{first}\n{} of them failed: {all:#?}", failures.len());
    }
}

/// Plays the seed in `PIRANHA_SIM_SEED`, to look at a failure.
#[test]
fn replay() {
    if let Some(seed) = environment("PIRANHA_SIM_SEED") {
        sim::run(seed).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

/// Seeds that once found a mistake.
#[test]
fn seeds_that_found_something_stay_fixed() {
    for seed in REGRESSIONS {
        // As they were found: the kinds of faults were fewer.
        let scenario = Scenario::from_seed(*seed).as_of_old();
        Cluster::new(scenario).play().unwrap_or_else(|violation| panic!("{violation}"));
        sim::run(*seed).unwrap_or_else(|violation| panic!("{violation}"));
    }
    for seed in LATER_REGRESSIONS {
        sim::run(*seed).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

const LATER_REGRESSIONS: &[u64] = &[
    // A reload to shorter timers took the time since the last heartbeat for a stall.
    0xc, 0x66,
    // A standby that had agreed to a hand-over which was withdrawn never asked for a failback.
    0x3c,
    // An address that a reload had not brought up, or not yet, was announced with the others.
    0x3b, 0x104,
    // A guard that held again while the hand-over was agreed on left the service away for good, as
    // if the administrator had moved it.
    0x1b26,
    // What a director decides because its clock jumped was blamed on the datagram it came with.
    0x1a25,
    // A datagram that was overtaken by a later one was taken for a newer sign of life.
    0x556e, 0x60a8,
];

const REGRESSIONS: &[u64] = &[
    // A standby that had been suspended took the service because of a "released" that had waited
    // in its socket while the peer had taken the service back.
    0xa3c, // The same in version 1, because of a "stopped".
    0xcf7, // Its cure named a deadline that was over.
    0x88,
    // An answer to a replayed datagram, too old to be believed at first, was believed later.
    0x478,
];

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A pair that is left alone for a second.
fn settled(scenario: Scenario) -> Cluster {
    let mut cluster = Cluster::new(scenario);
    cluster.run_for(millis(1000)).unwrap();
    assert_eq!((cluster.state(0), cluster.state(1)), (State::Active, State::Standby));
    cluster.take_longest_outage();
    cluster
}

#[test]
fn the_same_seed_plays_the_same_run() {
    let end = |seed| {
        let mut cluster = Cluster::new(Scenario::from_seed(seed));
        cluster.play().unwrap();
        let status = |node| cluster.machine(node).map(|machine| machine.status(cluster.now()));
        (cluster.now(), status(0), status(1))
    };
    for seed in 0..8 {
        assert_eq!(end(seed), end(seed));
    }
}

#[test]
fn a_dead_director_is_replaced_within_the_dead_time() {
    for seed in 0..50 {
        let mut cluster = settled(Scenario::calm(seed));
        cluster.run_for(millis(seed * 7)).unwrap();
        cluster.crash(0);
        cluster.run_for(millis(1000)).unwrap();
        assert_eq!(cluster.owner(), Some(1));
        // The dead time, one journey, one acquisition.
        assert!(cluster.take_longest_outage() <= millis(303));
    }
}

#[test]
fn a_primary_that_returns_stays_standby() {
    let mut cluster = settled(Scenario::calm(1));
    cluster.crash(0);
    cluster.boot_after(0, millis(700));
    cluster.run_for(millis(3000)).unwrap();
    assert_eq!((cluster.state(0), cluster.state(1)), (State::Standby, State::Active));
}

#[test]
fn a_hand_over_or_a_stop_costs_one_release_one_packet_and_one_acquisition() {
    for command in [Command::HandOver, Command::Stop] {
        for seed in 0..50 {
            let mut cluster = settled(Scenario::calm(seed));
            cluster.command(0, command).unwrap();
            cluster.run_for(millis(100)).unwrap();
            assert_eq!(cluster.owner(), Some(1), "{command:?}");
            // Without an interval in it: 2 ms, half a millisecond and 2 ms.
            assert!(cluster.take_longest_outage() <= Duration::from_micros(4500));
        }
    }
}

#[test]
fn a_lost_packet_costs_a_hand_over_milliseconds() {
    for seed in 0..50 {
        let scenario = Scenario {
            loss: 20,
            paths: 1,
            faults_end: millis(60_000),
            dead_time: millis(600),
            ..Scenario::calm(seed)
        };
        let mut cluster = Cluster::new(scenario);
        cluster.run_for(millis(5000)).unwrap();
        let owner = cluster.owner().unwrap();
        cluster.take_longest_outage();
        cluster.command(owner, Command::HandOver).unwrap();
        cluster.run_for(millis(200)).unwrap();
        assert!(cluster.take_longest_outage() < millis(60), "seed {seed}");
    }
}

#[test]
fn a_common_start_costs_no_overlap_and_the_primary_wins() {
    for seed in 0..50 {
        for pair in [Pair::V2, Pair::V1] {
            let scenario = Scenario {
                pair,
                starts: [millis(seed), millis(50 - seed)],
                ..Scenario::calm(seed)
            };
            let mut cluster = Cluster::new(scenario);
            while cluster.state(0) != State::Active {
                cluster.run_for(millis(1)).unwrap();
                assert!(matches!(
                    cluster.state(1),
                    State::Starting | State::Standby | State::Stopped
                ));
                assert!(cluster.now() < Instant::from_millis(400));
            }
        }
    }
}

#[test]
fn a_primary_wins_a_common_start_even_if_nothing_gets_through_at_first() {
    for healed in 280..360 {
        for later in [0, 40, 90] {
            let scenario =
                Scenario { starts: [millis(later), Duration::ZERO], ..Scenario::calm(healed) };
            let mut cluster = Cluster::new(scenario);
            cluster.cut([true; 2]);
            cluster.run_for(millis(healed)).unwrap();
            cluster.cut([false; 2]);
            cluster.run_for(millis(1500)).unwrap();
            let states = (cluster.state(0), cluster.state(1));
            assert_eq!(states, (State::Active, State::Standby), "{healed} {later}");
        }
    }
}

#[test]
fn after_a_partition_the_backup_yields() {
    let mut cluster = settled(Scenario::calm(3));
    cluster.cut([true; 2]);
    cluster.run_for(millis(1000)).unwrap();
    assert_eq!((cluster.state(0), cluster.state(1)), (State::Active, State::Active));
    cluster.cut([false; 2]);
    cluster.run_for(millis(110)).unwrap();
    assert_eq!((cluster.state(0), cluster.state(1)), (State::Active, State::Standby));
}

#[test]
fn a_suspended_director_finds_itself_replaced() {
    let mut cluster = settled(Scenario::calm(4));
    cluster.pause(0, millis(900));
    cluster.run_for(millis(899)).unwrap();
    assert_eq!(cluster.state(1), State::Active);
    cluster.run_for(millis(4)).unwrap();
    assert_eq!(cluster.owner(), Some(1), "stepped down without waiting for a heartbeat");
    cluster.run_for(millis(500)).unwrap();
    assert_eq!(cluster.state(0), State::Standby);
}

#[test]
fn addresses_that_somebody_removes_are_put_back_and_nobody_takes_over() {
    for seed in 0..50 {
        let mut cluster = settled(Scenario::calm(seed));
        cluster.rob(0);
        assert_eq!(cluster.owner(), None);
        cluster.run_for(millis(5)).unwrap();
        assert_eq!(cluster.owner(), Some(0));
        cluster.run_for(millis(1000)).unwrap();
        assert_eq!((cluster.state(0), cluster.state(1)), (State::Active, State::Standby));
        assert!(cluster.take_longest_outage() <= millis(2), "one acquisition");
    }
}

#[test]
fn addresses_that_are_removed_while_they_are_given_up_stay_away() {
    for seed in 0..50 {
        let mut cluster = settled(Scenario::calm(seed));
        cluster.rob(0);
        cluster.command(0, Command::HandOver).unwrap();
        cluster.run_for(millis(100)).unwrap();
        assert_eq!(cluster.owner(), Some(1));
        assert_eq!(cluster.state(0), State::Standby);
    }
}

#[test]
fn a_mixed_pair_fails_over_and_keeps_one_owner() {
    for pair in [Pair::OriginalBackup, Pair::OriginalPrimary] {
        let mut cluster = settled(Scenario { pair, ..Scenario::calm(5) });
        cluster.crash(0);
        cluster.run_for(millis(400)).unwrap();
        assert_eq!(cluster.owner(), Some(1), "{pair:?}");
        cluster.boot_after(0, millis(1));
        cluster.run_for(millis(3000)).unwrap();
        assert_eq!(cluster.owner(), Some(1), "{pair:?}: no failback");
    }
}

/// A backup that is deaf while it is active, and therefore never yields.
struct Stubborn(Pulse);

impl Heartbeat for Stubborn {
    fn handle_datagram(&mut self, now: Instant, path: PathId, source: SocketAddr, bytes: &[u8]) {
        if self.0.status(now).state != State::Active {
            self.0.handle_datagram(now, path, source, bytes);
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }
    fn handle_completion(&mut self, now: Instant, id: ActionId, result: Result<(), ActionError>) {
        self.0.handle_completion(now, id, result);
    }
    fn handle_command(&mut self, now: Instant, command: Command) {
        self.0.handle_command(now, command);
    }
    fn handle_data_plane(&mut self, now: Instant, usable: bool) {
        self.0.handle_data_plane(now, usable);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }
    fn poll_output(&mut self) -> Option<Output> {
        self.0.poll_output()
    }
    fn state(&self) -> State {
        self.0.state()
    }
    fn status(&self, now: Instant) -> Status {
        self.0.status(now)
    }
}

#[test]
fn the_checkers_notice_a_backup_that_does_not_yield() {
    let scenario = Scenario { keyed: false, paths: 1, ..Scenario::calm(6) };
    let mut cluster = Cluster::with_machines(scenario, |_, node, boot, now| {
        let [own, peer] = [node, 1 - node].map(|node| if node == 0 { 1 } else { 2 });
        let config = Config::builder(if own == 1 { Role::Primary } else { Role::Backup })
            .keepalive(millis(100))
            .dead_time(millis(300))
            .path(([10, 0, 0, peer], 539).into())
            .boot(boot)
            .build()
            .unwrap();
        Box::new(Stubborn(Pulse::new(now, config)))
    });
    cluster.run_for(millis(1000)).unwrap();
    cluster.cut([true; 2]);
    cluster.run_for(millis(1000)).unwrap();
    cluster.cut([false; 2]);
    let violation = cluster.run_for(millis(1000)).unwrap_err();
    assert!(violation.what.contains("two holders"), "{violation}");
    assert!(violation.to_string().contains("PIRANHA_SIM_SEED=0x6"));
}

/// What both directors of a seed were told and decided, as it is written and read again.
fn recorded(seed: u64, most: usize) -> Vec<String> {
    let mut cluster = Cluster::new(Scenario::from_seed(seed));
    let recordings = [0, 1].map(|node| cluster.record(node));
    cluster.play().unwrap_or_else(|violation| panic!("{violation}"));
    let lines = recordings.iter().flat_map(|recording| {
        let mut disguise = Disguise::new();
        let entries = recording.entries().into_iter().take(most);
        entries.map(move |entry| serde_json::to_string(&disguise.line(entry)).unwrap())
    });
    lines.collect()
}

/// A director that starts again begins with another machine, which is no difference.
fn differences<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<(usize, Difference)> {
    let mut replay = Replay::new();
    let played = lines.into_iter().enumerate().filter_map(|(number, text)| {
        let line: Line = serde_json::from_str(text).unwrap();
        let begins = matches!(line, Line::Begin { .. });
        let difference = replay.play(line).unwrap().difference;
        difference.filter(|_| !begins).map(|difference| (number, difference))
    });
    played.collect()
}

#[test]
fn what_a_simulated_pair_decided_replays_the_same() {
    for seed in 0..40 {
        let lines = recorded(seed, usize::MAX);
        assert_eq!(differences(lines.iter().map(String::as_str)), [], "seed {seed:#x}");
    }
}

/// Incidents that were recorded once. Where another decision is meant, `UPDATE=1` records anew.
#[cfg(feature = "auth")]
#[test]
fn recorded_incidents_replay_the_same() {
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/replay");
    for (name, seed) in INCIDENTS {
        let path = place.join(format!("{name}.jsonl"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(&path, recorded(*seed, INCIDENT_MAX).join("\n") + "\n").unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() > 50, "{name} tells hardly anything");
        assert_eq!(differences(text.lines()), [], "{name}");
    }
}

/// Lines of each director that are kept.
#[cfg(feature = "auth")]
const INCIDENT_MAX: usize = 150;

#[cfg(feature = "auth")]
const INCIDENTS: &[(&str, u64)] = &[
    ("shorter-timers", 0xc),
    ("withdrawn-offer", 0x3c),
    ("address-not-up", 0x104),
    ("suspended", 0xa3c),
];
