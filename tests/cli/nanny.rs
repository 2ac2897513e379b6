//! nanny as a process, against servers on loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};

const PATIENCE: Duration = Duration::from_secs(30);

fn nanny(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nanny"));
    command.args(arguments.split_whitespace());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(arguments: &str) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = nanny(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A nanny that runs; killed when the test ends, however it ends.
pub(crate) struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(arguments: &str) -> Self {
        Self::with(&arguments.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn with(arguments: &[&str]) -> Self {
        let mut process = nanny("").args(arguments).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { process, lines }
    }

    pub(crate) fn next_line(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.expect("a line in time")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A listener whose connections nobody has to accept; what the kernel answers is enough.
fn listen(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port that is taken, so that no other test gets it, and on which nobody listens.
fn closed_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// A web server that answers one request with `status`.
fn web_server(status: &'static str) -> SocketAddr {
    let (listener, address) = listen("127.0.0.1:0");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
    });
    address
}

#[test]
fn a_server_that_dies_and_returns_is_told_line_by_line() {
    let (listener, address) = listen("127.0.0.1:0");
    let port = address.port();
    let nanny = Running::start(&format!("-h 127.0.0.1 -p {port} -t 50ms -a 150ms --lvs"));
    assert_eq!(
        nanny.next_line(),
        format!("checking {address} by TCP connect every 50ms, re-entry after 3 passed")
    );
    assert_eq!(
        nanny.next_line(),
        format!("[ active ] making {address} available (passed a check)")
    );
    drop(listener);
    assert_eq!(
        nanny.next_line(),
        format!("[inactive] shutting down {address} due to connection failure: connection refused")
    );
    let _listener = listen(&address.to_string());
    assert_eq!(nanny.next_line(), format!("{address} is rising: passed 1 of 3 checks"));
    assert_eq!(
        nanny.next_line(),
        format!("[ active ] making {address} available (passed 3 of 3 checks)")
    );
}

#[test]
fn signals_force_the_server_down_and_up_and_end_nanny() {
    let (_listener, address) = listen("[::1]:0");
    let port = address.port();
    for end in [Signal::TERM, Signal::INT] {
        let mut nanny = Running::start(&format!("-h ::1 -p {port} -t 1m"));
        assert!(nanny.next_line().starts_with("checking [::1]:"));
        assert!(nanny.next_line().starts_with("[ active ]"));
        nanny.signal(Signal::USR1);
        assert!(nanny.next_line().starts_with("opaque glasses on"));
        assert_eq!(
            nanny.next_line(),
            format!("[inactive] shutting down {address}: forced by a signal")
        );
        nanny.signal(Signal::USR2);
        assert!(nanny.next_line().starts_with("rose-colored glasses on"));
        assert!(nanny.next_line().starts_with("[ active ]"));
        nanny.signal(Signal::HUP);
        assert!(nanny.next_line().starts_with("removing glasses"));
        nanny.signal(end);
        assert_eq!(nanny.next_line(), format!("no longer checking {address}"));
        assert_eq!(nanny.process.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn once_tells_by_its_exit_status() {
    let (_listener, address) = listen("127.0.0.1:0");
    let passed = run(&format!("--once -h 127.0.0.1 -p {}", address.port()));
    assert_eq!(passed, (Some(0), format!("{address} passed a check\n"), String::new()));
    let (_taken, closed) = closed_port();
    let failed = run(&format!("--once -h 127.0.0.1 -p {}", closed.port()));
    let reason = format!("{closed} failed a check: connection refused\n");
    assert_eq!(failed, (Some(1), reason, String::new()));
}

#[test]
fn explain_prints_what_was_sent_and_what_came() {
    let server = web_server("200 OK");
    let port = server.port();
    let (code, text, _) = run(&format!("--explain -h 127.0.0.1 -p {port} --set check=http"));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(" * connecting to 127.0.0.1:"), "{text}");
    assert!(text.contains(r#" > "GET / HTTP/1.1\r\nHost: 127.0.0.1:"#), "{text}");
    assert!(text.contains(r#" < "HTTP/1.1 200 OK\r\n\r\n""#), "{text}");
    assert!(text.ends_with(&format!("{server} passed a check\n")), "{text}");
}

#[test]
fn a_program_decides_by_its_status_and_output() {
    let once = |rest: &[&str]| {
        let mut command = nanny("--once -h 127.0.0.1 -p 7");
        let output = command.args(rest).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(once(&["-e", "echo %h %p", "-x", "127.0.0.1 7"]).0, Some(0));
    assert_eq!(once(&["-e", "echo %h %p", "-x", "127.0.0.1"]).0, Some(1));
    assert_eq!(once(&["-e", "true", "-s", "ignored, as in 0.8.6"]).0, Some(0));
    let (code, line) = once(&["-e", "true", "-x", "OK"]);
    assert_eq!(code, Some(1));
    assert!(line.ends_with("expected the answer \"OK\", got \"\"\n"), "{line}");
    let (code, line) = once(&["-e", "false"]);
    assert_eq!(code, Some(1));
    assert!(line.ends_with("the program failed (exit status 1): \"\"\n"), "{line}");
}

#[test]
fn port_80_means_a_web_service_unless_something_else_is_asked_for() {
    let once = |address: SocketAddr| run(&format!("--once -h 127.0.0.1 -r {}", address.port()));
    assert_eq!(once(web_server("404 Not Found")).0, Some(0));
    let (code, line, _) = once(web_server("503 Service Unavailable"));
    assert_eq!(code, Some(1));
    assert!(line.ends_with("expected HTTP status 200-499, got 503\n"), "{line}");
    let (_, plan, _) = run("--norun -h 10.0.0.1");
    assert_eq!(
        plan,
        "no monitor configured, assuming web service\n\
         checking 10.0.0.1:80 by HTTP every 10s, re-entry after 18 passed\n"
    );
}

#[test]
fn a_wrong_command_line_exits_with_2_and_says_what_is_wrong() {
    let cases = [
        ("", "--server <ADDRESS>"),
        ("-h webserver1", "invalid IP address"),
        ("-h ::1 -p 0", "1..=65535"),
        ("-h ::1 -t 10x", "unknown unit x"),
        ("-h ::1 -t 0", "check interval out of range: allowed is 1 ms to 1 day"),
        ("-h ::1 --rise 0", "rise out of range"),
        ("-h ::1 -w 2147483648", "weight out of range"),
        ("-h ::1 -M t", "expected g (direct routing), i (tunnelling) or m (NAT)"),
        ("-h ::1 --regex", "--expect_string"),
        ("-h ::1 --regex -x (", "bad regular expression"),
        ("-h ::1 -I /sbin/ipvsadm", "needs --virtaddress (-V) or --fwmark (-f)"),
        ("-h ::1 -f 0", "expected a number above 0"),
        ("-h ::1 --fos --lvs", "cannot be used with"),
        ("-h ::1 --set check=htps", "unknown value `htps`"),
        ("-h ::1 --set weight=1", "not a directive about checks"),
        ("-h ::1 --set check=tls --set tls_ca=/nonexistent", "/nonexistent: "),
        ("-h ::1 --set check=http -s x", "cannot be used with"),
    ];
    for (arguments, message) in cases {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "nanny {arguments}");
        assert!(stderr.contains(message), "nanny {arguments}: {stderr}");
    }
}

#[test]
fn help_and_version_leave_h_to_the_server_and_v_to_the_virtual_address() {
    let (code, help, _) = run("--help");
    assert_eq!(code, Some(0));
    assert!(help.contains("-h, --server <ADDRESS>"), "{help}");
    assert!(help.contains("-V, --virtaddress <ADDRESS>"), "{help}");
    let (code, version, _) = run("--version");
    assert_eq!(code, Some(0));
    assert_eq!(version, format!("nanny {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_closed_standard_output_ends_nanny_with_a_message() {
    let mut process = nanny("-h 127.0.0.1 -p 9 -t 50ms -v").spawn().unwrap();
    drop(process.stdout.take());
    let mut stderr = String::new();
    process.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(1));
    assert!(stderr.starts_with("nanny: "), "{stderr}");
}

/// An ipvsadm that notes its arguments in `log` and fails once `broken` is there.
fn note_taker(directory: &tempfile::TempDir) -> (String, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let (program, log) = (directory.path().join("ipvsadm"), directory.path().join("log"));
    let broken = directory.path().join("broken");
    let script =
        format!("#!/bin/sh\necho \"$@\" >>{}\ntest ! -e {}\n", log.display(), broken.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (program.display().to_string(), log)
}

#[test]
fn the_table_follows_the_checks_the_load_and_the_signals() {
    let directory = tempfile::tempdir().unwrap();
    let (program, log) = note_taker(&directory);
    let (listener, address) = listen("127.0.0.1:0");
    let port = address.port().to_string();
    let line = format!(
        "-h 127.0.0.1 -p 80 -r {port} -V 192.0.2.80 -M g -I {program} -w 100 -t 50ms -a 50ms -v --lvs \
         -x= -U"
    );
    let words = line.split_whitespace().chain(["echo load average: 0.0, of"]);
    let nanny = Running::with(&words.collect::<Vec<_>>());
    let until_logged = |wanted: &str| {
        crate::daemon::until(wanted, || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.lines().any(|l| l == wanted))
        });
    };
    let server = format!("-t 192.0.2.80:80 -r {address}");
    // Either the first check or the first measurement comes first.
    until_logged(&format!("-e {server} -g -w 1000"));
    nanny.signal(Signal::USR1);
    until_logged(&format!("-d {server}"));
    nanny.signal(Signal::USR2);
    until_logged(&format!("-a {server} -g -w 1000"));
    nanny.signal(Signal::HUP);
    drop(listener);
    crate::daemon::until("it is removed again", || {
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines().filter(|line| line.starts_with("-d")).count() == 2
    });
}

#[test]
fn a_command_of_ipvsadm_that_fails_ends_nanny() {
    let directory = tempfile::tempdir().unwrap();
    let (program, _) = note_taker(&directory);
    std::fs::write(directory.path().join("broken"), "").unwrap();
    let (_listener, address) = listen("127.0.0.1:0");
    let port = address.port();
    let (code, _, stderr) =
        run(&format!("-h 127.0.0.1 -p {port} -f 7 -I {program} --expect_string="));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("command failed!"), "{stderr}");
}

#[test]
fn a_partner_is_watched_until_it_is_lost_or_was_never_there() {
    let (_taken, closed) = closed_port();
    let (code, text, _) =
        run(&format!("--fos -h 127.0.0.1 -p {} -t 20ms --expect_string=", closed.port()));
    assert_eq!(code, Some(1));
    assert!(text.ends_with("triggering failover!\n"), "{text}");
    let (listener, address) = listen("127.0.0.1:0");
    let mut nanny = Running::start(&format!(
        "--fos -h 127.0.0.1 -p {} -t 20ms -v --expect_string=",
        address.port()
    ));
    while !nanny.next_line().contains("passed a check") {}
    drop(listener);
    while !nanny.next_line().contains("failed a check") {}
    assert_eq!(nanny.process.wait().unwrap().code(), Some(0));
}
