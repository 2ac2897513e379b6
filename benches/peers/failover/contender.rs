//! The directors that are compared.

use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::Outcome;
use crate::case::{Case, Event};

/// A pair of directors of one kind.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Contender {
    /// This project with its own protocol.
    Pulse,
    /// This project, speaking VRRP version 3.
    PulseVrrp,
    /// Debian's keepalived, VRRP version 3.
    Keepalived,
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pulse => "pulse",
            Self::PulseVrrp => "ours, VRRP",
            Self::Keepalived => "keepalived",
        })
    }
}

impl Contender {
    /// Those that can run `case`: VRRP counts in hundredths of a second, and keepalived hands over
    /// only by stopping.
    pub(crate) fn all(case: &Case) -> impl Iterator<Item = Self> + use<> {
        let all = [Self::Pulse, Self::PulseVrrp, Self::Keepalived];
        let count = match (case.event, case.interval) {
            (_, interval) if interval < Duration::from_millis(10) => 1,
            (Event::HandOver, _) => 2,
            _ => 3,
        };
        all.into_iter().take(count)
    }

    pub(crate) fn config(self, number: u8, case: &Case) -> String {
        match self {
            Self::Keepalived => keepalived(number, case),
            Self::Pulse | Self::PulseVrrp => lvs_cf(number, case, self == Self::PulseVrrp),
        }
    }

    fn command(self, number: u8, directory: &Path) -> Outcome<Vec<String>> {
        let file = directory.join(format!("{number}.conf")).display().to_string();
        let built = std::env::current_exe()?;
        let programs = built.ancestors().nth(2).ok_or("no directory of programs")?;
        let pid = |kind: &str| directory.join(format!("{number}.{kind}.pid")).display().to_string();
        Ok(match self {
            Self::Keepalived => {
                let words = ["keepalived", "--dont-fork", "--log-console", "--vrrp", "-f", &file];
                let pids = ["-p".to_owned(), pid("main"), "-r".to_owned(), pid("vrrp")];
                words.map(str::to_owned).into_iter().chain(pids).collect()
            }
            Self::Pulse | Self::PulseVrrp => {
                let pulse = programs.join("pulse").display().to_string();
                let words = [&pulse, "--nodaemon", "--drain", "0", "--configfile", &file];
                words.map(ToString::to_string).into()
            }
        })
    }

    /// What the log says of a takeover.
    pub(crate) const fn active_phrase(self) -> &'static str {
        match self {
            Self::Keepalived => "Entering MASTER STATE",
            Self::Pulse | Self::PulseVrrp => "active, was acquiring",
        }
    }

    /// What the log says once a director without a say in the matter is ready.
    const fn standby_phrase(self) -> &'static str {
        match self {
            Self::Keepalived => "Entering BACKUP STATE",
            Self::Pulse | Self::PulseVrrp => "standby, was starting",
        }
    }
}

/// A running director.
pub(crate) struct Director {
    child: Child,
    log: PathBuf,
    contender: Contender,
}

impl Director {
    pub(crate) fn start(
        contender: Contender,
        config: &str,
        number: u8,
        station: &str,
        directory: &Path,
    ) -> Outcome<Self> {
        fs::write(directory.join(format!("{number}.conf")), config)?;
        let log = directory.join(format!("{number}.log"));
        let words = contender.command(number, directory)?;
        let child = Command::new("ip")
            .args(["netns", "exec", station])
            .args(words)
            .env("RUNTIME_DIRECTORY", directory.join(format!("{number}")))
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()?;
        Ok(Self { child, log, contender })
    }

    pub(crate) fn await_standby(&self) -> Outcome<()> {
        self.await_log(self.contender.standby_phrase())
    }

    /// Waits for what the log says when it is far enough: long, since a machine that is busy takes
    /// its time with thousands of servers.
    pub(crate) fn await_log(&self, phrase: &str) -> Outcome<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !fs::read_to_string(&self.log)?.contains(phrase) {
            if Instant::now() > deadline {
                let log = fs::read_to_string(&self.log)?;
                return Err(format!("{} is not ready:\n{log}", self.contender).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Kills the `lvs` it has started, if it has one just now.
    pub(crate) fn kill_lvs(&self) -> Outcome<()> {
        let members = descendants(self.child.id()).into_iter();
        members.filter(|pid| is_lvs(*pid)).try_for_each(|pid| kill(pid, Signal::KILL))
    }

    /// Sends `signal` to the daemon alone, as its init system would.
    pub(crate) fn signal(&self, signal: Signal) -> Outcome<()> {
        kill(self.child.id(), signal)
    }

    /// Sends `signal` to the daemon and all its children but the guard of the addresses, if it has
    /// one: whatever kills a daemon seldom kills everything around it.
    pub(crate) fn signal_daemon(&self, signal: Signal) -> Outcome<()> {
        let members = descendants(self.child.id());
        members.into_iter().filter(|pid| !is_guard(*pid)).try_for_each(|pid| kill(pid, signal))
    }

    /// Sends `signal` to everything.
    pub(crate) fn signal_all(&self, signal: Signal) -> Outcome<()> {
        descendants(self.child.id()).into_iter().try_for_each(|pid| kill(pid, signal))
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        let _already_gone = self.signal_all(Signal::KILL);
        let _already_gone = self.child.wait();
    }
}

fn kill(pid: u32, signal: Signal) -> Outcome<()> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    match rustix::process::kill_process(pid.ok_or("no such pid")?, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// `pid` and everything below it.
fn descendants(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.flat_map(|task| {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
    });
    std::iter::once(pid).chain(children.flat_map(descendants)).collect()
}

fn is_guard(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"--guard\0"))
}

fn is_lvs(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|word| word == b"--supervised")
}

/// The floating address `number`, from 1.
pub(crate) fn vip(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 78, 1 + high, low)
}

fn lvs_cf(number: u8, case: &Case, vrrp: bool) -> String {
    let role = if number == 1 { "primary" } else { "backup" };
    let mut text = format!(
        "role = {role}\nprimary = 10.78.0.1\nbackup = 10.78.0.2\nbackup_active = 1\n\
         heartbeat_port = 5390\nkeepalive = {}ms\ndeadtime = {}ms\ndataplane = relay\n",
        case.interval.as_millis(),
        case.dead_time().as_millis(),
    );
    if vrrp {
        text.push_str("heartbeat_protocol = vrrp3\nvrrp_id = 78\n");
    }
    for each in 1..=case.vips {
        let _infallible = write!(
            text,
            "virtual v{each} {{\n    active = 1\n    address = {} eth0\n    port = 8080\n    \
             check = connect\n    server s {{\n        address = 127.0.0.1\n        \
             active = 1\n    }}\n}}\n",
            vip(each)
        );
    }
    text
}

fn keepalived(number: u8, case: &Case) -> String {
    let addresses = |range: std::ops::RangeInclusive<u16>| {
        range.map(|each| format!("        {}/32\n", vip(each))).collect::<String>()
    };
    // A packet has room for so many; the others are not in it, as its manual advises.
    let in_packet = case.vips.min(200);
    format!(
        "vrrp_instance one {{\n    version 3\n    state BACKUP\n    nopreempt\n    \
         interface eth0\n    virtual_router_id 78\n    priority {}\n    advert_int {}\n    \
         virtual_ipaddress {{\n{}    }}\n    virtual_ipaddress_excluded {{\n{}    }}\n}}\n",
        if number == 1 { 150 } else { 100 },
        case.interval.as_secs_f64(),
        addresses(1..=in_packet),
        addresses(in_packet + 1..=case.vips),
    )
}
