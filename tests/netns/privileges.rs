//! What is left of root's privileges to each process of a pair, and that everything works with it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, children, lvs_of};
use crate::pair::{Pair, guard_of};
use crate::wire::{VIP4, sh};

const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");

/// Numbers of `include/uapi/linux/capability.h`.
const CHOWN: u64 = 1 << 0;
const KILL: u64 = 1 << 5;
const SETGID: u64 = 1 << 6;
const SETUID: u64 = 1 << 7;
const NET_BIND_SERVICE: u64 = 1 << 10;
const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
const IPC_LOCK: u64 = 1 << 14;
const SYS_NICE: u64 = 1 << 23;
const SYS_RESOURCE: u64 = 1 << 24;

const OTHERS: u64 = KILL | SETGID | SETUID | SYS_RESOURCE;
const DIRECTOR: u64 = CHOWN | NET_BIND_SERVICE | NET_ADMIN | NET_RAW | OTHERS;

/// As many seconds as the busiest machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user that has no rights anywhere.
const NOBODY: u32 = 65534;

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What the kernel says of the privileges of a thread or process.
#[derive(Debug, Eq, PartialEq)]
struct Standing {
    user: u32,
    permitted: u64,
    effective: u64,
    bounding: u64,
    no_new_privileges: bool,
}

impl Standing {
    /// From the lines of a `status` file of proc(5); `None` while they are not all there.
    fn read(path: impl AsRef<Path>) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let lines: BTreeMap<_, _> =
            text.lines().filter_map(|line| line.split_once(":\t")).collect();
        let set = |name| u64::from_str_radix(lines.get(name)?, 16).ok();
        Some(Self {
            user: lines.get("Uid")?.split('\t').nth(1)?.parse().ok()?,
            permitted: set("CapPrm")?,
            effective: set("CapEff")?,
            bounding: set("CapBnd")?,
            no_new_privileges: *lines.get("NoNewPrivs")? == "1",
        })
    }

    fn of(pid: u32) -> Self {
        Self::read(format!("/proc/{pid}/status")).expect("it runs")
    }

    /// Every thread of the process.
    fn of_threads(pid: u32) -> Vec<Self> {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
        tasks.filter_map(|task| Self::read(task.ok()?.path().join("status"))).collect()
    }
}

/// What `pulse` needs beside [`DIRECTOR`], and its guard: nothing where the limits for priority and
/// locked memory do, or may be raised.
fn timely() -> (u64, u64) {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let soft = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    let may_raise = own().effective & SYS_RESOURCE != 0;
    let is_ahead = soft("Max realtime priority").parse().is_ok_and(|limit: u64| limit >= 10);
    let ahead = if may_raise || is_ahead { 0 } else { SYS_NICE };
    let locked = if may_raise || soft("Max locked memory") == "unlimited" { 0 } else { IPC_LOCK };
    (ahead | locked, ahead)
}

/// What this test, and so whatever it starts, has to begin with.
fn own() -> Standing {
    Standing::of(std::process::id())
}

/// A directory that everybody may write to, with programs that leave there what they are allowed.
struct Programs(tempfile::TempDir);

impl Programs {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
        Self(directory)
    }

    fn add(&self, name: &str) -> String {
        let (program, report) = (self.0.path().join(name), self.report(name));
        let body = format!(
            "#!/bin/sh\ncat /proc/self/status > {0}.$$ && mv {0}.$$ {0}\necho fine\n",
            report.display()
        );
        fs::write(&program, body).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        program.to_str().unwrap().to_owned()
    }

    fn report(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.status"))
    }

    /// How a program ran, waited for.
    fn standing(&self, name: &str) -> Standing {
        let mut standing = None;
        until(&format!("{name} ran"), || {
            standing = Standing::read(self.report(name));
            standing.is_some()
        });
        standing.unwrap()
    }
}

/// A service of the VIP at a port that takes a privilege, checked by a program.
fn checked(name: &str, port: u16, program: &str, more: &str) -> String {
    format!(
        "virtual {name} {{\n    active = 1\n    address = {VIP4} eth0:1\n    port = {port}\n    \
         send_program = \"{program}\"\n    expect = fine\n    timeout = 200ms\n    \
         check_timeout = 20s\n    fall = 5\n    rise = 1\n{more}    server s {{\n        \
         address = 10.77.0.3\n        port = 9000\n        active = 1\n    }}\n}}\n"
    )
}

/// Two directors whose heartbeats are on the port that takes a privilege too.
fn pair(lines: &str) -> Pair {
    let pair = Pair::with(&format!("keepalive = 100ms\ndeadtime = 500ms\n{lines}"));
    for number in ["1", "2"] {
        let text = fs::read_to_string(pair.files.path(number)).unwrap();
        pair.files
            .write(number, &text.replace("heartbeat_port = 5390\n", "heartbeat_port = 539\n"));
    }
    pair
}

/// A director whose control sockets are beside its file.
fn start(pair: &Pair, number: u8) -> Daemon {
    let config = pair.files.path(&number.to_string());
    let control = config.with_extension("control");
    let [config, control] = [&config, &control].map(|path| path.to_str().unwrap());
    pair.wire.station(number).run(&[
        crate::daemon::PULSE,
        "-n",
        "--drain",
        "1",
        "-c",
        config,
        "--control",
        control,
    ])
}

fn is_up(pair: &Pair, port: u16) -> bool {
    pair.client.ask(&format!("{VIP4}:{port}")).is_ok_and(|word| word == "up")
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn each_process_has_what_its_duty_needs_and_can_gain_no_more() {
    let programs = Programs::new();
    let as_root = checked("low", 80, &programs.add("as-root"), "");
    let as_nobody = checked("other", 81, &programs.add("as-nobody"), "    check_user = nobody\n");
    let pair = pair(&format!("{as_root}{as_nobody}"));
    let (mut primary, mut backup) = (start(&pair, 1), start(&pair, 2));
    primary.expect("active, was acquiring");
    backup.expect("standby, was starting");
    until("the services answer", || is_up(&pair, 80) && is_up(&pair, 81));
    let (own, (timely, ahead)) = (own(), timely());
    for pulse in [primary.pid(), backup.pid()] {
        let lvs = lvs_of(pulse);
        for (pid, needed) in [
            (pulse, DIRECTOR | timely),
            (lvs, DIRECTOR),
            (guard_of(pulse), NET_ADMIN | NET_RAW | NET_BIND_SERVICE | ahead),
        ] {
            let needed = needed & own.permitted;
            assert_eq!(Standing::of(pid).permitted, needed, "{pid}");
            // One that runs a program has less.
            for standing in Standing::of_threads(pid) {
                assert_eq!(standing.permitted & !needed, 0, "{pid}: {standing:?}");
                assert_eq!(standing.effective, standing.permitted);
                assert!(standing.no_new_privileges);
                let reach = (DIRECTOR | timely) & own.bounding;
                assert_eq!(standing.bounding & !reach, 0, "{pid}: {standing:?}");
            }
        }
        let limits = fs::read_to_string(format!("/proc/{lvs}/limits")).unwrap();
        let priority = limits.lines().find(|line| line.starts_with("Max realtime priority"));
        let words: Vec<_> = priority.unwrap().split_whitespace().collect();
        assert_eq!(words[3..], ["0", "0"], "nothing below lvs is ahead of a heartbeat");
    }
    let program = programs.standing("as-root");
    assert_eq!(program.permitted, (NET_RAW | NET_BIND_SERVICE) & own.permitted);
    assert_eq!((program.user, program.no_new_privileges), (0, true));
    let program = programs.standing("as-nobody");
    assert_eq!((program.user, program.permitted, program.effective), (NOBODY, 0, 0));
    reloads_change_services_and_addresses(&pair, &mut primary);
    saves_into_a_file_of_somebody_else(&pair, &mut primary);
    moves_at_a_death(&pair, primary, backup);
}

fn reloads_change_services_and_addresses(pair: &Pair, primary: &mut Daemon) {
    let path = pair.files.path("1");
    let text = fs::read_to_string(&path).unwrap();
    let another = "10.77.0.101";
    let more = text.replace(&format!("address = {VIP4} eth0:1\n    port = 81\n"), &{
        format!("address = {another} eth0:2\n    port = 82\n")
    });
    assert_ne!(more, text);
    fs::write(&path, more).unwrap();
    primary.signal("HUP");
    primary.expect("reloaded");
    let service = format!("{another}:82");
    until("the new address answers", || pair.client.ask(&service).is_ok_and(|word| word == "up"));
}

fn saves_into_a_file_of_somebody_else(pair: &Pair, primary: &mut Daemon) {
    let path = pair.files.path("1");
    chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let control = path.with_extension("control");
    let words = ["server", "weight", "low/s", "7", "--save", "--control"];
    let saved = Command::new(PIRANHA).args(words).arg(&control).output().unwrap();
    assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    primary.expect("reloaded");
    assert!(fs::read_to_string(&path).unwrap().contains("weight = 7"));
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (NOBODY, NOBODY, 0o644));
}

fn moves_at_a_death(pair: &Pair, primary: Daemon, mut backup: Daemon) {
    primary.signal("KILL");
    backup.expect("active, was acquiring");
    until("the partner alone has the addresses", || pair.is_free_of(1) && pair.is_held_by(2));
    until("the service answers", || is_up(pair, 80));
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn commands_of_the_administrator_have_what_root_has_or_what_their_user_has() {
    let programs = Programs::new();
    let (root, nobody) = (programs.add("hook-as-root"), programs.add("hook-as-nobody"));
    let pair = pair("");
    for (number, line) in [
        ("1", format!("active_cmd = {root}\n")),
        ("2", format!("inactive_cmd = {nobody}\nnotify_user = nobody\n")),
    ] {
        let text = fs::read_to_string(pair.files.path(number)).unwrap();
        pair.files.write(number, &(line + &text));
    }
    let (mut primary, mut backup) = (start(&pair, 1), start(&pair, 2));
    primary.expect("active, was acquiring");
    backup.expect("standby, was starting");
    let (own, (timely, _)) = (own(), timely());
    let hook = programs.standing("hook-as-root");
    assert_eq!((hook.permitted, hook.bounding), (own.bounding & own.permitted, own.bounding));
    assert_eq!((hook.user, hook.no_new_privileges), (0, own.no_new_privileges));
    let hook = programs.standing("hook-as-nobody");
    assert_eq!((hook.user, hook.permitted, hook.effective), (NOBODY, 0, 0));
    for pulse in [primary.pid(), backup.pid()] {
        for (pid, needed) in [(pulse, DIRECTOR | timely), (lvs_of(pulse), DIRECTOR)] {
            let standing = Standing::of(pid);
            assert_eq!(standing.permitted, needed & own.permitted, "{pid}");
            assert_eq!(standing.effective, standing.permitted);
        }
        assert!(Standing::of(guard_of(pulse)).no_new_privileges);
        let teller = notifier_of(pulse);
        assert_eq!(Standing::of(teller).permitted, (OTHERS | CHOWN) & own.permitted);
    }
}

fn notifier_of(pulse: u32) -> u32 {
    let is_notifier = |pid: &u32| {
        let command = fs::read_to_string(format!("/proc/{pid}/cmdline"));
        command.is_ok_and(|command| command.contains("--notifier"))
    };
    children(pulse).into_iter().find(is_notifier).expect("it runs, for it ran a command")
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn nanny_gives_away_what_a_check_does_not_need() {
    let programs = Programs::new();
    let program = programs.add("probe");
    let nanny = Path::new(crate::daemon::PULSE).with_file_name("nanny");
    let nanny = nanny.to_str().unwrap();
    let line = format!("{nanny} -h 127.0.0.1 -p 9 -e {program} -x fine --once");
    assert!(sh(&line).contains("passed"), "{line}");
    let standing = programs.standing("probe");
    assert_eq!(standing.permitted, (NET_RAW | NET_BIND_SERVICE) & own().permitted);
    assert!(standing.no_new_privileges);
}
