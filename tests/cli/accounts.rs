//! `piranha serve`, `passwd`, `user` and `token` as commands.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Asked, Client, ask_socket};
use crate::daemon::{Daemon, Files, until};

const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");
const PASSWORD: &str = "correct horse battery";

struct Site {
    files: Files,
}

impl Site {
    fn new() -> Self {
        Self { files: Files::new() }
    }

    fn state(&self) -> String {
        self.files.path("state").display().to_string()
    }

    /// Runs a command with `typed` on its standard input.
    fn run(&self, arguments: &[&str], typed: &str) -> Output {
        let mut command = Command::new(PIRANHA);
        command.args(arguments).args(["--state", &self.state()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("piranha starts");
        let mut stdin = child.stdin.take().expect("it was piped");
        // Who is refused at once reads nothing.
        let _unread = stdin.write_all(format!("{typed}\n").as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }

    fn done(&self, arguments: &[&str], typed: &str) -> String {
        let output = self.run(arguments, typed);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn refused(&self, arguments: &[&str], typed: &str) -> String {
        let output = self.run(arguments, typed);
        assert_eq!(output.status.code(), Some(1), "{arguments:?} was done");
        String::from_utf8(output.stderr).expect("text")
    }

    fn users(&self) -> Vec<(String, String)> {
        let told = self.done(&["user", "list", "--json"], "");
        let told: Value = serde_json::from_str(&told).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let users = told["users"].as_array().expect("a list").iter();
        users.map(|user| (text(&user["name"]), text(&user["role"]))).collect()
    }

    /// A server over the same accounts, its client, and what it has printed so far.
    fn serve(&self) -> (Daemon, Client, Vec<String>) {
        let path = |name: &str| self.files.path(name).display().to_string();
        let (control, socket, config) = (path("control"), path("web.sock"), path("lvs.cf"));
        let mut daemon = Daemon::start(
            PIRANHA,
            &[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--state",
                &self.state(),
                "--control",
                &control,
                "--socket",
                &socket,
                "-c",
                &config,
            ],
        );
        // The log has a thread of its own: what is printed beside it may come before or after.
        let mut told = vec![daemon.expect("")];
        while !(has(&told, "serving https://") && has(&told, "certificate fingerprint")) {
            told.push(daemon.expect(""));
        }
        let line = told.iter().find(|line| line.contains("serving https://"));
        let address = line.and_then(|line| line.split("https://").nth(1)).expect("an address");
        let address = address.trim().parse().expect("an address");
        let client = Client::new(address, &self.files.path("state/server.pem"));
        (daemon, client, told)
    }
}

fn has(lines: &[String], text: &str) -> bool {
    lines.iter().any(|line| line.contains(text))
}

fn log_in(client: &Client, user: &str, password: &str) -> u16 {
    let asked = Asked::new("POST", "/api/v1/session")
        .with("sec-fetch-site", "same-origin")
        .json(&serde_json::json!({ "user": user, "password": password }));
    client.ask(&asked).status
}

#[test]
fn users_are_added_given_roles_and_passwords_and_taken_away_and_the_last_admin_stays() {
    let site = Site::new();
    site.done(&["passwd", "root"], PASSWORD);
    assert_eq!(
        site.users(),
        [("root".to_owned(), "admin".to_owned())],
        "the first one is an admin"
    );
    site.done(&["user", "add", "vera"], PASSWORD);
    site.done(&["user", "add", "oscar", "--role", "operator"], PASSWORD);
    assert!(site.refused(&["user", "add", "vera"], PASSWORD).contains("piranha passwd vera"));
    site.refused(&["user", "add", "short"], "1234");
    assert_eq!(site.users().len(), 3, "a short password is none");
    assert!(site.refused(&["passwd", "nobody"], PASSWORD).contains("nobody"));
    site.done(&["user", "role", "vera", "operator"], "");
    let roles: Vec<_> = site.users().into_iter().map(|(_, role)| role).collect();
    assert_eq!(roles.iter().filter(|role| *role == "operator").count(), 2);
    for command in [&["user", "remove", "root"][..], &["user", "role", "root", "viewer"]] {
        assert!(site.refused(command, "").contains("admin"));
    }
    site.done(&["user", "remove", "oscar"], "");
    assert_eq!(site.users().len(), 2);
    let accounts = std::fs::read_to_string(site.files.path("state/accounts.json")).unwrap();
    assert!(accounts.contains("$argon2id$") && !accounts.contains(PASSWORD), "{accounts}");
}

#[test]
fn a_running_server_obeys_at_once_to_what_commands_do_to_its_accounts() {
    let site = Site::new();
    site.done(&["passwd", "root"], PASSWORD);
    let (daemon, client, _) = site.serve();
    assert_eq!(log_in(&client, "root", PASSWORD), 200);
    assert_eq!(log_in(&client, "vera", PASSWORD), 401);
    site.done(&["user", "add", "vera"], PASSWORD);
    assert_eq!(log_in(&client, "vera", PASSWORD), 200);
    site.done(&["passwd", "vera"], "another long password");
    assert_eq!(log_in(&client, "vera", PASSWORD), 401);

    let token = site.done(&["token", "create", "robot", "--role", "admin"], "");
    let users = || {
        let asked = Asked::new("GET", "/api/v1/users");
        client.ask(&asked.with("authorization", &format!("Bearer {}", token.trim()))).status
    };
    assert_eq!(users(), 200);
    let list = site.done(&["token", "list"], "");
    assert!(list.contains("robot") && !list.contains(token.trim()), "{list}");
    site.done(&["token", "revoke", "robot"], "");
    assert_eq!(users(), 401);
    assert!(site.refused(&["token", "revoke", "robot"], "").contains("robot"));
    daemon.signal("TERM");
    let (status, log) = daemon.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains(PASSWORD) && !log.contains(token.trim()), "{log}");
}

#[test]
fn a_server_without_accounts_prints_a_token_once_and_serves_root_on_its_socket() {
    let site = Site::new();
    let (mut daemon, client, mut told) = site.serve();
    let is_token = |line: &String| line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit());
    while !(told.iter().any(is_token) && has(&told, "There is no account yet")) {
        told.push(daemon.expect(""));
    }
    let token = told.into_iter().find(is_token).expect("just seen");
    let form = format!("token={token}&user=root&password=correct+horse+battery");
    let set_up = Asked::new("POST", "/setup")
        .with("sec-fetch-site", "same-origin")
        .body("application/x-www-form-urlencoded", form.as_bytes());
    assert_eq!(client.ask(&set_up).status, 303);
    assert_eq!(log_in(&client, "root", PASSWORD), 200);
    let socket = site.files.path("web.sock");
    until("the socket answers", || socket.exists());
    let users = ask_socket(&socket, &Asked::new("GET", "/api/v1/users"));
    assert_eq!(users.status, 200, "{users:?}");
    // The daemons are not there, and it says so.
    assert_eq!(client.ask(&Asked::new("GET", "/readyz")).status, 503);
    assert_eq!(client.ask(&Asked::new("GET", "/healthz")).status, 200);
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let site = Site::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let told = site.refused(&["serve", "--listen", &address], "");
    assert!(told.contains(&address), "{told}");
    let told = site.refused(
        &["serve", "--listen", "127.0.0.1:0", "--certificate", "/nothing", "--key", "/nothing"],
        "",
    );
    assert!(told.contains("certificate"), "{told}");
    let output = site.run(&["serve", "--listen", "nowhere"], "");
    assert_eq!(output.status.code(), Some(2));
}

/// Seconds of processor that a process has used.
fn used(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let times = after_name.split_whitespace().skip(11).take(2);
    // A hundred to the second, on every Linux there is.
    times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

#[test]
fn fifty_pages_at_once_are_all_told_what_happens_and_others_are_still_served() {
    const PAGES: usize = 50;
    let site = Site::new();
    site.done(&["passwd", "root"], PASSWORD);
    let (daemon, client, _) = site.serve();
    let token = site.done(&["token", "create", "pages"], "");
    let bearer = format!("Bearer {}", token.trim());
    let stream = Asked::new("GET", "/api/v1/stream").with("authorization", &bearer);
    let (sender, told) = channel();
    let (begun, before) = (Instant::now(), used(daemon.pid()));
    for _ in 0..PAGES {
        let (client, stream, sender) = (client.clone(), stream.clone(), sender.clone());
        thread::spawn(move || {
            let mut connection = client.connect();
            connection.write_all(&stream.bytes()).expect("it reads");
            let lines = BufReader::new(connection).lines().map_while(Result::ok);
            let mut ticks = lines.filter(|line| line == "event: ping" || line == "event: delta");
            let third = ticks.nth(2).is_some();
            let _gone = sender.send(third);
            // It stays open until all have seen theirs.
            ticks.for_each(drop);
        });
    }
    for page in 0..PAGES {
        let seen = told.recv_timeout(Duration::from_secs(60));
        assert_eq!(seen, Ok(true), "page {page} was told nothing");
    }
    let status = Asked::new("GET", "/api/v1/status").with("authorization", &bearer);
    assert_eq!(client.ask(&status).status, 200);
    let (took, used) = (begun.elapsed().as_secs_f64(), used(daemon.pid()) - before);
    eprintln!("{PAGES} pages: {used:.2} s of processor in {took:.1} s, with their handshakes");
    daemon.signal("TERM");
    let (status, log) = daemon.end();
    assert_eq!(status.code(), Some(0), "{log}");
}
