//! kill -9 of every process of a pair, one after the other, while a client asks.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, children, signal};
use crate::pair::Pair;
use crate::wire::VIP4;

/// What a director consists of beside `pulse` itself, by a word of its command line.
const PARTS: [&str; 5] = ["--supervised", "--guard", "--notifier", "slow-check", "slow-hook"];

/// All of a director, at the same moment.
const EVERYTHING: &str = "everything";

/// A takeover, and a start of everything, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the killing goes on at least; each process has its turn in any case.
fn duration() -> Duration {
    let seconds = std::env::var("PIRANHA_CHAOS_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(15))
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Which order things die in: a generator with a seed that a failure prints.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let given = std::env::var("PIRANHA_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
        println!("PIRANHA_CHAOS_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.below(end + 1));
        }
    }
}

/// A program that takes its time, so that there is something to kill.
fn program(directory: &Path, name: &str, body: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Both directors, and what is known of their processes.
struct Directors {
    pair: Pair,
    running: [Daemon; 2],
    _programs: tempfile::TempDir,
}

impl Directors {
    fn new() -> Self {
        let programs = tempfile::tempdir().unwrap();
        let check = program(programs.path(), "slow-check", "sleep 0.3\necho fine");
        let hook = program(programs.path(), "slow-hook", "sleep 2");
        let lines = format!(
            "keepalive = 100ms\ndeadtime = 500ms\nnotify_event_command = {hook}\n\
             notify_filter = failover, health, config, warning, info\n"
        );
        let checked = format!(
            "virtual slow {{\n    active = 1\n    address = {VIP4} eth0:1\n    port = 8081\n    \
             send_program = \"{check}\"\n    expect = fine\n    timeout = 100ms\n    \
             check_timeout = 10s\n    fall = 3\n    rise = 1\n    server s {{\n        \
             address = 10.77.0.3\n        port = 9000\n        active = 1\n    }}\n}}\n"
        );
        let pair = Pair::with(&(lines + &checked));
        let running = [pair.start(1), pair.start(2)];
        Self { pair, running, _programs: programs }
    }

    fn answers(&self) -> bool {
        let word = self.pair.client.ask(&format!("{VIP4}:8081"));
        self.pair.client.answers() && word.is_ok_and(|word| word == "up")
    }

    /// One of the two has both addresses, the other none, and what they are for answers.
    fn is_whole(&self) -> bool {
        let [one, two] = [1, 2].map(|n| (self.pair.is_held_by(n), self.pair.is_free_of(n)));
        let one_owner = matches!((one, two), ((true, _), (_, true)) | ((_, true), (true, _)));
        one_owner
            && self.answers()
            && self.running.iter().all(|pulse| {
                ["--supervised", "--guard", "--notifier"]
                    .iter()
                    .all(|part| find(pulse.pid(), part).is_some())
            })
    }

    fn owner(&self) -> usize {
        usize::from(!self.pair.is_held_by(1))
    }

    /// Kills one process of a director; `false` where none of the kind runs just now.
    fn kill(&mut self, node: usize, part: Option<&str>) -> bool {
        if part == Some(EVERYTHING) {
            self.kill_everything(node);
            return true;
        }
        let Some(part) = part else {
            self.running[node].signal("KILL");
            // As the service manager does it.
            until("it is dead", || children(self.running[node].pid()).is_empty());
            self.running[node] = self.pair.start([1, 2][node]);
            return true;
        };
        let victim = find(self.running[node].pid(), part);
        victim.into_iter().for_each(|pid| signal(pid, "KILL"));
        victim.is_some()
    }
}

impl Directors {
    /// Nobody is left who could take the addresses down: the kernel does, when their time is over.
    fn kill_everything(&mut self, node: usize) {
        let pulse = self.running[node].pid();
        let number = [1, 2][node];
        // The command that names them is one, so that none has time to see another die.
        let family: Vec<_> = family(pulse).iter().map(u32::to_string).collect();
        let killed = Command::new("kill").arg("-KILL").args(&family).status();
        assert!(killed.is_ok(), "{killed:?}");
        until("it has no address any more", || self.pair.is_free_of(number));
        self.running[node] = self.pair.start(number);
    }
}

/// `pid` and everything below it.
fn family(pid: u32) -> Vec<u32> {
    let below = children(pid).into_iter().flat_map(family);
    std::iter::once(pid).chain(below).collect()
}

/// A process below `pid` whose command line has `word` in it.
fn find(pid: u32, word: &str) -> Option<u32> {
    children(pid).into_iter().find_map(|child| {
        let command = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        let named = String::from_utf8_lossy(&command).contains(word);
        if named { Some(child) } else { find(child, word) }
    })
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn whatever_process_of_a_pair_is_killed_takes_no_more_than_itself_down() {
    let mut chance = Chance::new();
    let mut directors = Directors::new();
    until("the pair is up", || directors.is_whole());
    let begun = Instant::now();
    let mut kills = 0;
    while kills == 0 || begun.elapsed() < duration() {
        let mut victims: Vec<_> = (0..2)
            .flat_map(|node| {
                let whole = [(node, Some(EVERYTHING)), (node, None)];
                PARTS.map(|part| (node, Some(part))).into_iter().chain(whole)
            })
            .collect();
        chance.shuffle(&mut victims);
        for (node, part) in victims {
            let owner = directors.owner();
            let pulses = directors.running.each_ref().map(|pulse| pulse.pid());
            let lvs = pulses.map(|pulse| find(pulse, "--supervised"));
            // A hook runs only after something has happened.
            let is_program = matches!(part, Some("slow-check" | "slow-hook"));
            if !directors.kill(node, part) {
                assert!(is_program, "{part:?} does not run on node {}", node + 1);
                continue;
            }
            kills += 1;
            let killed = Instant::now();
            until(&format!("whole again after {part:?} on node {}", node + 1), || {
                directors.is_whole()
            });
            println!("killed {part:?} on node {}: whole after {:?}", node + 1, killed.elapsed());
            if is_program || matches!(part, Some("--guard" | "--notifier")) {
                assert_eq!(directors.owner(), owner, "{part:?} moved the service");
                let now = pulses.map(|pulse| find(pulse, "--supervised"));
                assert_eq!(now, lvs, "{part:?} took lvs with it");
            }
        }
    }
    println!("{kills} kills in {:?}", begun.elapsed());
    let Directors { pair, running, _programs } = directors;
    running.into_iter().for_each(|pulse| {
        pulse.signal("TERM");
        let _ = pulse.end();
    });
    // Of those that were killed neither.
    until("no process is left", || [1, 2].iter().all(|n| pair.wire.station(*n).processes() == ""));
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn helpers_that_hang_hold_up_neither_the_service_nor_a_takeover() {
    let mut directors = Directors::new();
    until("the pair is up", || directors.is_whole());
    let owner = directors.owner();
    let [own, other] = [[1, 2][owner], [2, 1][owner]];
    let helpers = directors.running.iter().flat_map(|pulse| {
        ["--guard", "--notifier"].map(|part| find(pulse.pid(), part).expect("it runs"))
    });
    let helpers: Vec<_> = helpers.collect();
    helpers.iter().for_each(|pid| signal(*pid, "STOP"));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        until("the service answers", || directors.answers());
        assert_eq!(directors.owner(), owner, "a helper that hangs moved the service");
    }
    directors.running[owner].signal("KILL");
    until("the partner has the addresses and the dead one has not", || {
        directors.pair.is_held_by(other) && directors.pair.is_free_of(own)
    });
    until("the service answers", || directors.answers());
    helpers.iter().for_each(|pid| signal(*pid, "CONT"));
    directors.running[owner] = directors.pair.start(own);
    until("the pair is whole again", || directors.is_whole());
    assert!(directors.pair.is_held_by(other), "what the hung guard says late moved the service");
}
