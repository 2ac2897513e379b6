//! Debian's haproxy asks our agent, on loopback: the line means to it what it means to us.
#![cfg(feature = "cli")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::AMPLE;
use crate::real::installed;

/// A process that is killed at the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `nanny agent` whose load is the number in `file`, and its port.
fn agent(file: &Path) -> (Running, u16) {
    let command = format!("cat {}", file.display());
    let mut agent = Command::new(env!("CARGO_BIN_EXE_nanny"));
    agent.args(["agent", "--port", "0", "--listen", "127.0.0.1", "-t", "50ms", "--full", "100"]);
    agent.args(["--command", &command]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut agent = Running(agent.spawn().unwrap());
    let mut line = String::new();
    let mut output = BufReader::new(agent.0.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    // What it has to say later must not find the pipe closed.
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    (agent, port.unwrap())
}

/// What haproxy's console says of the server: weight and administrative state.
fn state(socket: &Path) -> Option<(String, String)> {
    let mut console = UnixStream::connect(socket).ok()?;
    console.write_all(b"show servers state farm\n").ok()?;
    let mut answer = String::new();
    console.read_to_string(&mut answer).ok()?;
    let mut lines = answer.lines().filter(|line| !line.starts_with('#'));
    let server = lines.find(|line| line.contains(" farm "))?;
    let fields: Vec<_> = server.split(' ').collect();
    Some((fields.get(7)?.to_string(), fields.get(6)?.to_string()))
}

fn until(socket: &Path, what: &str, holds: impl Fn(&str, u32) -> bool) {
    let begun = Instant::now();
    loop {
        let state = state(socket);
        if let Some((weight, admin)) = &state
            && holds(weight, admin.parse().unwrap())
        {
            return;
        }
        assert!(begun.elapsed() < AMPLE, "{what}: {state:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn haproxy_takes_weight_and_drain_from_our_agent() {
    /// `SRV_ADMF_FDRAIN` of haproxy's management guide: drain forced, also by an agent.
    const DRAIN: u32 = 0x08;
    let Some(haproxy) = installed("haproxy") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (file, socket) = (directory.path().join("load"), directory.path().join("socket"));
    fs::write(&file, "0\n").unwrap();
    let (agent, port) = agent(&file);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = directory.path().join("haproxy.cfg");
    let text = format!(
        "global\n  stats socket {} level admin\ndefaults\n  mode tcp\n  timeout connect 5s\n  \
         timeout client 5s\n  timeout server 5s\nbackend farm\n  server one {} weight 100 check \
         agent-check agent-addr 127.0.0.1 agent-port {port} agent-inter 100ms\n",
        socket.display(),
        server.local_addr().unwrap()
    );
    fs::write(&config, text).unwrap();
    let mut balancer = Command::new(haproxy);
    balancer.args(["-db", "-f"]).arg(&config).stdin(Stdio::null());
    balancer.stdout(Stdio::null()).stderr(Stdio::null());
    let _balancer = Running(balancer.spawn().unwrap());
    let agent_pid = Pid::from_child(&agent.0);

    until(&socket, "full weight", |weight, admin| weight == "100" && admin & DRAIN == 0);
    fs::write(&file, "75\n").unwrap();
    until(&socket, "a quarter", |weight, _| weight == "25");
    kill_process(agent_pid, Signal::USR1).unwrap();
    until(&socket, "drained", |_, admin| admin & DRAIN != 0);
    kill_process(agent_pid, Signal::HUP).unwrap();
    until(&socket, "ready again", |weight, admin| weight == "25" && admin & DRAIN == 0);
}
