//! Weights by load, end to end: agents and commands measure, a director follows.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::control::server;
use crate::daemon::{Daemon, Files, alone, read_from, service, until, word_server};
use crate::nanny::Running;

/// `nanny agent` on a port of its own, and the address it listens on.
fn agent(arguments: &str) -> (Running, SocketAddr) {
    let agent = Running::start(&format!("agent --port 0 {arguments}"));
    let line = agent.next_line();
    let address = line.strip_prefix("agent on ").unwrap_or_else(|| panic!("{line}"));
    (agent, address.parse().expect("an address"))
}

/// What an agent says to a client that comes from `source`; nothing if it turns it away.
fn said(agent: SocketAddr, source: IpAddr) -> String {
    let socket = Socket::new(Domain::for_address(agent), Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(source, 0).into()).expect("a loopback address");
    socket.connect_timeout(&agent.into(), Duration::from_secs(10)).expect("it listens");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket of ours");
    let mut line = String::new();
    let _ = stream.read_to_string(&mut line);
    line
}

/// A director of one server on `127.78.NET.11` with a weight of 100 and this load monitor.
fn director(files: &Files, net: u8, monitor: &str) -> Daemon {
    let server = word_server(&format!("127.78.{net}.11:0"), "real");
    let (vip, address) = (format!("127.78.{net}.80"), format!("127.78.{net}.11"));
    let virtuals = service("web", &vip, 8080, &address, server.port())
        .replace("check = connect", &format!("check = connect\n    {monitor}"))
        .replace("        active = 1", "        active = 1\n        weight = 100");
    Daemon::pulse(&files.write("lvs.cf", &alone(net, &virtuals)))
}

fn load(file: &Path, load: u32) {
    let next = file.with_extension("next");
    std::fs::write(&next, format!("{load}\n")).expect("a directory of ours");
    std::fs::rename(next, file).expect("a directory of ours");
}

#[test]
fn a_weight_follows_the_agent_and_a_drain_drains() {
    let files = Files::new();
    let number = files.path("number");
    load(&number, 0);
    let cat = format!("cat {}", number.display());
    let words =
        ["agent", "--port", "0", "--listen", "127.78.210.11", "-t", "50ms", "--full", "100"];
    let agent = Running::with(&[&words[..], &["--command", &cat]].concat());
    let line = agent.next_line();
    let port = line.rsplit(':').next().expect("a port");
    let monitor =
        format!("load_monitor = agent\n    agent_port = {port}\n    agent_interval = 100ms");
    let mut pulse = director(&files, 210, &monitor);
    pulse.expect("has weight 100");
    load(&number, 75);
    pulse.expect("has weight 2");
    agent.signal(Signal::USR1);
    let line = pulse.expect("the agent of 127.78.210.11");
    assert!(line.contains("says drain") && line.contains("drained by a signal"), "{line}");
    pulse.expect("has weight 0");
    pulse.expect("is drained");
    agent.signal(Signal::HUP);
    pulse.expect("lets it serve");
    pulse.expect("has weight 14");
    until("the service answers", || read_from("127.78.210.80:8080").is_ok_and(|w| w == "real"));
    drop(agent);
    let line = pulse.expect("weights stay as they are");
    assert!(line.contains("connection refused"), "{line}");
    assert!(read_from("127.78.210.80:8080").is_ok_and(|word| word == "real"));
}

/// An agent that says whatever stands in a file; returns its port.
fn file_agent(address: &str, line: PathBuf) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("a free loopback address");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.write_all(&std::fs::read(&line).unwrap_or_default());
        }
    });
    port
}

#[test]
fn the_status_tells_what_an_agent_says_and_its_limit_is_kept_for_as_long_as_it_says_so() {
    let files = Files::new();
    let say = |line: &str| {
        let next = files.write("next", &format!("{line}\n"));
        std::fs::rename(next, files.path("line")).expect("a directory of ours");
    };
    say("up ready");
    let port = file_agent("127.78.217.11", files.path("line"));
    let monitor =
        format!("load_monitor = agent\n    agent_port = {port}\n    agent_interval = 100ms");
    let mut pulse = director(&files, 217, &monitor);
    pulse.expect("active, was acquiring");
    let status = || server(&files, 0);
    until("the server is up", || status()["state"] == "up" && status()["reason"].is_null());
    for (line, state, reason) in [
        ("drain #kernel update", "draining", "the agent says drain: kernel update"),
        ("ready maint", "disabled", "the agent says maint"),
        ("ready down #no disk", "down", "the agent says down: no disk"),
        ("up 0%", "draining", "the agent says 0%"),
    ] {
        say(line);
        until(line, || status()["state"] == state && status()["reason"] == reason);
    }
    say("up 100% maxconn:1");
    pulse.expect("limits its connections to 1");
    let ask = || read_from("127.78.217.80:8080");
    until("one at a time is served", || ask().is_ok_and(|word| word == "real"));
    say("up 100%");
    pulse.expect("limits nothing any more");
}

#[test]
fn a_server_that_its_agent_calls_unfit_is_out_until_it_is_fit_again() {
    let files = Files::new();
    let fit = files.write("fit", "");
    let words =
        ["agent", "--port", "0", "--listen", "127.78.211.11", "-t", "500ms", "--ready-command"];
    let test = format!("test -e {}", fit.display());
    let agent = Running::with(&[&words[..], &[&test]].concat());
    let line = agent.next_line();
    let port = line.rsplit(':').next().expect("a port");
    let monitor =
        format!("load_monitor = agent\n    agent_port = {port}\n    agent_interval = 100ms");
    let mut pulse = director(&files, 211, &monitor);
    pulse.expect("has weight");
    std::fs::remove_file(&fit).expect("a file of ours");
    let line = pulse.expect("the agent of 127.78.211.11");
    assert!(line.contains("says fail") && line.contains("exit status 1"), "{line}");
    pulse.expect("is out of the table");
    until("nobody answers", || read_from("127.78.211.80:8080").is_err());
    files.write("fit", "");
    pulse.expect("lets it serve");
    until("the service answers", || read_from("127.78.211.80:8080").is_ok_and(|w| w == "real"));
}

#[test]
fn a_command_measures_without_an_agent() {
    let files = Files::new();
    let monitor = "load_monitor = \"echo 12:00 up 1 day, load average: 8.00, 9.00, %h\"\n    \
                   agent_interval = 100ms";
    let mut pulse = director(&files, 212, monitor);
    pulse.expect("has weight 3");
}

#[test]
fn an_agent_answers_over_both_families_and_only_to_those_it_may() {
    let (_agent, address) = agent("");
    for source in ["127.0.0.1", "::1"] {
        let source: IpAddr = source.parse().expect("an address");
        let line = said(SocketAddr::new(source, address.port()), source);
        assert!(line.ends_with("% ready up\n"), "{line:?}");
    }
    let (_agent, address) = agent("--allow 127.78.213.0/24 --no-ready");
    let target = SocketAddr::new([127, 0, 0, 1].into(), address.port());
    assert_eq!(said(target, [127, 0, 0, 1].into()), "");
    let line = said(target, [127, 78, 213, 9].into());
    assert!(line.ends_with("% up\n"), "{line:?}");
}

#[test]
fn clients_that_hang_on_do_not_keep_others_out_for_long() {
    let (_agent, address) = agent("--listen 127.78.214.1");
    let hanging: Vec<_> =
        (0..100).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    until("another client is answered", || said(address, [127, 0, 0, 1].into()).ends_with("up\n"));
    drop(hanging);
}

#[test]
fn signals_and_a_file_drain_and_undrain() {
    let files = Files::new();
    let file = files.path("drain");
    let (agent, _) = agent(&format!("-t 50ms --drain-file {}", file.display()));
    let said = || agent.next_line().split_once("% ").map(|(_, words)| words.to_owned());
    let ready = Some("ready up".to_owned());
    assert_eq!(said(), ready);
    files.write("drain", "");
    assert_eq!(said().as_deref(), Some("drain up #drain file"));
    agent.signal(Signal::USR2);
    assert_eq!(said(), ready);
    agent.signal(Signal::USR1);
    assert_eq!(said().as_deref(), Some("drain up #drained by a signal"));
    agent.signal(Signal::HUP);
    assert_eq!(said().as_deref(), Some("drain up #drain file"));
    std::fs::remove_file(&file).expect("a file of ours");
    assert_eq!(said(), ready);
    agent.signal(Signal::TERM);
    assert_eq!(agent.next_line(), "agent stops; directors keep what they know");
}

#[test]
fn a_wrong_command_line_of_an_agent_is_refused() {
    for (arguments, message) in [
        ("--allow 10.0.0.0/40", "length of a prefix"),
        ("--measure connections", "needs --full"),
        ("-t 0", "above 0"),
        ("--ready-command=", "nothing in it"),
    ] {
        let (code, _, stderr) = crate::nanny::run(&format!("agent {arguments}"));
        assert_eq!(code, Some(2), "{arguments}");
        assert!(stderr.contains(message), "{arguments}: {stderr}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let arguments = format!("agent --listen 127.0.0.1 --port {port}");
    let (code, _, stderr) = crate::nanny::run(&arguments);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("in use"), "{stderr}");
}
