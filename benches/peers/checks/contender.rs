//! What is compared: how each is configured, started, watched and ended.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::servers::address;
use crate::{Outcome, Settings};

/// Where Debian's keepalived logs; free in the lab, which has no syslog.
const SYSLOG: &str = "/dev/log";

/// Servers of one virtual service.
const GROUP: u32 = 100;

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Piranha { kernel: bool },
    Keepalived,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Piranha { .. } => "piranha",
            Self::Keepalived => "keepalived",
        }
    }

    const fn logs_to_syslog(self) -> bool {
        matches!(self, Self::Keepalived)
    }

    fn configuration(self, settings: &Settings, port: u16) -> String {
        match self {
            Self::Piranha { kernel } => {
                lvs_cf(settings, port, if kernel { "kernel" } else { "relay" })
            }
            Self::Keepalived => keepalived_conf(settings, port),
        }
    }

    /// What a line of the log says about one server, if it says that it is in or out.
    fn says(self, line: &str) -> Option<bool> {
        let [up, down] = match self {
            Self::Piranha { .. } => ["[ active ] making", "[inactive] shutting down"],
            Self::Keepalived => ["Adding service [", "Removing service ["],
        };
        if line.contains(up) {
            return Some(true);
        }
        line.contains(down).then_some(false)
    }
}

/// A running checker.
pub(crate) struct Contender {
    child: Child,
    verdicts: Receiver<(Instant, bool)>,
    directory: PathBuf,
    logs_to_syslog: bool,
}

impl Contender {
    pub(crate) fn start(kind: Kind, settings: &Settings, port: u16) -> Outcome<Self> {
        let directory = std::env::temp_dir().join(format!("check-peers-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let file = directory.join(kind.name());
        fs::write(&file, kind.configuration(settings, port))?;
        let mut command = match kind {
            Kind::Piranha { .. } => lvs(&file)?,
            Kind::Keepalived => keepalived(&directory, &file),
        };
        command.env("RUNTIME_DIRECTORY", &directory);
        let syslog = kind.logs_to_syslog().then(|| UnixDatagram::bind(SYSLOG));
        let syslog = syslog.transpose().map_err(|error| format!("{SYSLOG}: {error}"))?;
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().ok_or("no log")?;
        let verdicts = match syslog {
            Some(syslog) => follow(kind, messages(syslog)),
            None => follow(kind, BufReader::new(stderr).lines().map_while(Result::ok)),
        };
        Ok(Self { child, verdicts, directory, logs_to_syslog: kind.logs_to_syslog() })
    }

    /// When every server was up for the first time.
    pub(crate) fn wait_for_up(&self, servers: u32, deadline: Instant) -> Outcome<Instant> {
        let all = self.wait(true, servers, deadline);
        all.last().copied().ok_or_else(|| "no server came up".into())
    }

    /// When each server was out.
    pub(crate) fn wait_for_down(&self, servers: u32, deadline: Instant) -> Outcome<Vec<Instant>> {
        let all = self.wait(false, servers, deadline);
        if all.len() < servers as usize {
            eprintln!("only {} of {servers} were found dead in time", all.len());
        }
        Ok(all)
    }

    fn wait(&self, up: bool, servers: u32, deadline: Instant) -> Vec<Instant> {
        let mut moments = Vec::new();
        while moments.len() < servers as usize {
            match self.verdicts.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((moment, verdict)) if verdict == up => moments.push(moment),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        moments
    }

    /// User and system time of it and what it started.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let mut ticks = 0;
        for pid in self.family() {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let fields = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
            let fields: Vec<&str> = fields.split(' ').collect();
            let of = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
            ticks += of(11).unwrap_or(0) + of(12).unwrap_or(0);
        }
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Megabytes, resident.
    pub(crate) fn memory(&self) -> Outcome<f64> {
        let mut kilobytes = 0.0;
        for pid in self.family() {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            kilobytes += line
                .and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok())
                .unwrap_or(0.0);
        }
        Ok(kilobytes / 1000.0)
    }

    fn family(&self) -> Vec<u32> {
        let pid = self.child.id();
        let children =
            fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        std::iter::once(pid)
            .chain(children.split_whitespace().filter_map(|pid| pid.parse().ok()))
            .collect()
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
        if self.logs_to_syslog {
            let _ = fs::remove_file(SYSLOG);
        }
    }
}

/// The messages of a program that logs to syslog only.
fn messages(syslog: UnixDatagram) -> impl Iterator<Item = String> {
    let mut buffer = [0; 4096];
    std::iter::from_fn(move || {
        let length = syslog.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    })
}

fn follow(
    kind: Kind,
    log: impl Iterator<Item = String> + Send + 'static,
) -> Receiver<(Instant, bool)> {
    let (sender, verdicts) = channel();
    std::thread::spawn(move || {
        let verbose = std::env::var_os("CHECK_PEERS_LOG").is_some();
        for line in log {
            if verbose {
                eprintln!("{line}");
            }
            if let Some(up) = kind.says(&line) {
                let _ = sender.send((Instant::now(), up));
            }
        }
    });
    verdicts
}

fn lvs(file: &Path) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name("../lvs"));
    command.args(["--nodaemon", "--drain", "0", "--configfile"]).arg(file);
    Ok(command)
}

fn keepalived(directory: &Path, file: &Path) -> Command {
    let mut command = Command::new("keepalived");
    command.args(["-n", "-D", "-C", "-f"]).arg(file);
    command.arg("-p").arg(directory.join("pid")).arg("-c").arg(directory.join("checkers.pid"));
    command
}

fn groups(settings: &Settings) -> impl Iterator<Item = (u32, std::ops::Range<u32>)> {
    let servers = settings.servers;
    (0..servers.div_ceil(GROUP))
        .map(move |group| (group, group * GROUP..servers.min((group + 1) * GROUP)))
}

fn lvs_cf(settings: &Settings, port: u16, plane: &str) -> String {
    let every = settings.every.as_millis();
    let mut text = format!("role = primary\nprimary = 127.79.0.1\ndataplane = {plane}\n");
    for (group, members) in groups(settings) {
        let [.., c, d] = group.to_be_bytes();
        let _ = write!(
            text,
            "virtual v{group} {{\nactive = 1\naddress = 127.79.{c}.{d} lo\nport = 7079\ncheck = connect\n\
             timeout = {every}ms\ncheck_timeout = 2s\n"
        );
        for number in members {
            let address = address(number);
            let _ = write!(
                text,
                "server s{number} {{\nactive = 1\naddress = {address}\nport = {port}\n}}\n"
            );
        }
        text.push_str("}\n");
    }
    text
}

fn keepalived_conf(settings: &Settings, port: u16) -> String {
    let every = settings.every.as_secs().max(1);
    // So that it says when the first check of each passed.
    let mut text = "global_defs {\n}\n".to_owned();
    for (group, members) in groups(settings) {
        let [.., c, d] = group.to_be_bytes();
        let _ = write!(
            text,
            "virtual_server 127.78.{c}.{d} 7079 {{\nalpha\ndelay_loop {every}\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n"
        );
        for number in members {
            let address = address(number);
            let _ = write!(
                text,
                "real_server {address} {port} {{\nTCP_CHECK {{\nconnect_timeout 2\nretry 0\n}}\n}}\n"
            );
        }
        text.push_str("}\n");
    }
    text
}
