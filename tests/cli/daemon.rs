//! A daemon under test: its log read line by line, its end by pid.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for the slowest machine; a test that needs it all has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const PULSE: &str = env!("CARGO_BIN_EXE_pulse");
pub(crate) const LVS: &str = env!("CARGO_BIN_EXE_lvs");

pub(crate) struct Daemon {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Daemon {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        Self::start_in(program, arguments, &[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn start_in(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program);
        command.envs(variables.iter().copied());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("it was piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stderr).lines().map_while(Result::ok);
            lines.for_each(|line| drop(sender.send(line)));
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Its control sockets are beside its configuration.
    pub(crate) fn pulse(config: &Path) -> Self {
        let control = config.with_extension("control");
        let control = control.to_str().expect("a plain path");
        let config = config.to_str().expect("a plain path");
        Self::start(PULSE, &["-n", "--drain", "1", "-c", config, "--control", control])
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that contains `text`, among those not yet waited for.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line with {text:?} in:\n{}", self.seen.join("\n"))
                }
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for its end; returns how it ended and everything it wrote.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                break status;
            }
            assert!(Instant::now() < deadline, "still running:\n{}", self.seen.join("\n"));
            thread::sleep(Duration::from_millis(5));
        };
        self.seen.extend(self.lines.iter());
        (status, self.seen.join("\n"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name} {pid}");
}

/// The processes that `pid` started, whichever of its threads did, and that still run.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let children = tasks.flat_map(|task| {
        let path = task.expect("it can be listed").path().join("children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
    });
    children.collect()
}

/// The `lvs` that the `pulse` of this process id runs, if it has become one already.
pub(crate) fn find_lvs(pulse: u32) -> Option<u32> {
    let is_lvs = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim() == "lvs")
    };
    children(pulse).into_iter().find(is_lvs)
}

/// The same, waited for.
pub(crate) fn lvs_of(pulse: u32) -> u32 {
    let mut lvs = None;
    until("pulse has lvs running", || {
        lvs = find_lvs(pulse);
        lvs.is_some()
    });
    lvs.expect("just seen")
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A directory with configuration files, gone with the value.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a writable directory");
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A real server that answers each connection with one word and closes it.
pub(crate) fn word_server(address: &str, word: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(address).expect("a free loopback address");
    let local = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.write_all(word.as_bytes());
        }
    });
    local
}

/// What a client of `address` reads until the end.
pub(crate) fn read_from(address: &str) -> std::io::Result<String> {
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// A director without a partner: `net` is its own /24 of loopback, `virtuals` its services.
pub(crate) fn alone(net: u8, virtuals: &str) -> String {
    format!(
        "role = primary\nprimary = 127.78.{net}.1\nheartbeat_port = 5391\n\
         keepalive = 50ms\ndeadtime = 300ms\ndataplane = relay\n{virtuals}"
    )
}

/// A virtual service with one real server, both given as `ADDRESS` and port.
pub(crate) fn service(name: &str, vip: &str, port: u16, server: &str, server_port: u16) -> String {
    format!(
        "virtual {name} {{\n    active = 1\n    address = {vip} lo\n    port = {port}\n    \
         check = connect\n    timeout = 100ms\n    rise = 1\n    server s {{\n        \
         address = {server}\n        port = {server_port}\n        active = 1\n    }}\n}}\n"
    )
}
