//! Metrics and health of real daemons, over their listener and by the command.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::daemon::{Daemon, Files, PATIENCE, alone, service, until, word_server};
use crate::pair::pair;

const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");

/// The file of a director without a partner that serves one service and has `extra`.
fn file(net: u8, extra: &str) -> String {
    let server = word_server(&format!("127.78.{net}.11:0"), "up");
    let (vip, address) = (format!("127.78.{net}.80"), format!("127.78.{net}.11"));
    format!("{extra}\n{}", alone(net, &service("web", &vip, 8080, &address, server.port())))
}

/// What `piranha metrics` prints for the file `name`.cf.
fn metrics(files: &Files, name: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(PIRANHA);
    command.arg("metrics").args(arguments);
    command.arg("--control").arg(files.path(name).with_extension("control"));
    let output = command.output().expect("piranha starts");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The value of the first sample that begins so.
fn value(exposition: &str, series: &str) -> Option<f64> {
    let line = exposition.lines().find(|line| line.starts_with(series))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// What a GET of `path` is answered at `address`; empty where nobody listens.
fn get(address: &str, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address) else { return String::new() };
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let _cut = write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let mut answer = String::new();
    let _reset = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn the_listener_tells_metrics_and_health_and_moves_with_a_reload() {
    let files = Files::new();
    let text = file(200, "metrics = 127.78.200.1:9111 192.0.2.1");
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    pulse.expect("active, was acquiring");
    let first = "127.78.200.1:9111";
    until("the server is up", || {
        get(first, "/metrics").contains("\npiranha_service_state{svc=\"web\",state=\"up\"} 1\n")
    });
    let answer = get(first, "/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(value(&answer, "piranha_up{daemon=\"pulse\"}"), Some(1.0));
    assert!(value(&answer, "piranha_check_runs_total{svc=\"web\"").is_some_and(|runs| runs >= 1.0));
    until("it is healthy", || get(first, "/healthz").starts_with("HTTP/1.1 200 "));
    assert!(get(first, "/readyz").contains("no partner"));
    let moved = text.replace("127.78.200.1:9111", "127.78.200.2:9112");
    files.write("lvs.cf", &moved);
    pulse.signal("HUP");
    pulse.expect("configuration reloaded");
    let second = "127.78.200.2:9112";
    until("it listens elsewhere", || {
        value(&get(second, "/metrics"), "piranha_config_reloads_total{result=\"accepted\"}")
            == Some(1.0)
    });
    until("it listens no longer where it did", || get(first, "/").is_empty());
}

#[test]
fn an_address_of_nobody_is_told_and_the_director_serves() {
    let files = Files::new();
    let text = file(201, "metrics = 192.0.2.1:9111");
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    pulse.expect("no metrics on 192.0.2.1:9111");
    until("the server is up", || {
        value(&metrics(&files, "lvs", &[]), "piranha_service_state{svc=\"web\",state=\"up\"}")
            == Some(1.0)
    });
}

#[test]
fn heartbeats_and_takeovers_of_a_pair_are_counted() {
    let files = Files::new();
    let (mut primary, mut backup) = pair(&files, 202, "");
    primary.expect("active, was acquiring");
    backup.expect("standby, was starting");
    for name in ["lb1", "lb2"] {
        until("heartbeats go both ways", || {
            let metrics = metrics(&files, name, &[]);
            let counts = |name: &str| {
                value(&metrics, &format!("piranha_heartbeats_{name}_total{{path=\"public\"}}"))
                    .is_some_and(|count| count > 5.0)
            };
            counts("sent") && counts("received")
        });
    }
    until("a failover would succeed", || {
        value(&metrics(&files, "lb2", &[]), "piranha_failover_ready") == Some(1.0)
    });
    primary.signal("KILL");
    let _ = primary.end();
    backup.expect("active, was acquiring");
    until("the takeover is counted", || {
        let metrics = metrics(&files, "lb2", &[]);
        let took = "piranha_failover_duration_seconds_count{cause=\"peer_dead\"}";
        let missed = value(&metrics, "piranha_heartbeats_missed_total{path=\"public\"}");
        value(&metrics, took) == Some(1.0)
            && value(&metrics, "piranha_peer_up{path=\"public\"}") == Some(0.0)
            && missed.is_some_and(|missed| missed >= 5.0)
    });
}

#[test]
fn a_director_that_does_not_run_is_told_as_such() {
    let files = Files::new();
    let mut command = Command::new(PIRANHA);
    let output = command.arg("metrics").arg("--control").arg(files.path("x")).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(value(&text, "piranha_up{daemon=\"lvs\"}"), Some(0.0), "{text}");
}

/// Ring `metrics`: PROMTOOL is Prometheus' own parser.
#[test]
#[ignore = "needs promtool: tests/run metrics"]
fn prometheus_accepts_what_a_pair_tells_in_both_formats() {
    let promtool = std::env::var_os("PROMTOOL").expect("PROMTOOL names the program");
    let files = Files::new();
    let (mut primary, mut backup) = pair(&files, 203, "");
    primary.expect("active, was acquiring");
    backup.expect("standby, was starting");
    for arguments in [&[][..], &["--openmetrics"][..]] {
        let text = metrics(&files, "lb1", arguments);
        assert!(text.lines().count() > 100, "{text}");
        let mut command = Command::new(&promtool);
        command.args(["check", "metrics"]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut checker = command.spawn().expect("promtool starts");
        let mut input = checker.stdin.take().expect("it was piped");
        input.write_all(text.as_bytes()).expect("promtool reads");
        drop(input);
        let output = checker.wait_with_output().expect("promtool ends");
        let said = String::from_utf8_lossy(&output.stderr);
        // Without its ending a counter is none to the older format, which is all promtool reads.
        let complains = said.lines().any(|line| arguments.is_empty() && !line.is_empty());
        let parsed = output.status.success() || output.status.code() == Some(3);
        assert!(parsed && !complains, "{said}");
    }
}
