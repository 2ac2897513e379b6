//! The connection between the nodes of a pair: two real directors, and strangers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::daemon::{Daemon, Files, PATIENCE, until};
use crate::pair::pair_of;

const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");

/// Two directors with the program that connects them, each called by the name of its file.
pub(crate) struct Nodes {
    pub(crate) files: Files,
    pub(crate) pulses: [Daemon; 2],
    pub(crate) peers: [Daemon; 2],
}

impl Nodes {
    /// On 127.78.`net`; not paired yet.
    fn start(net: u8, extra: &str) -> Self {
        Self::called(net, extra, ["lb1", "lb2"])
    }

    /// The same, with files of these names.
    fn called(net: u8, extra: &str, names: [&str; 2]) -> Self {
        let files = Files::new();
        let configs = names.map(|name| format!("{name}.cf"));
        for config in &configs {
            let path = files.path(config);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("writable");
        }
        let (mut primary, mut backup) = pair_of(&files, net, extra, [&configs[0], &configs[1]]);
        primary.expect("active, was acquiring");
        backup.expect("standby, was starting");
        let peers = [serve(&files, names[0], &at(net, 1)), serve(&files, names[1], &at(net, 2))];
        Self { files, pulses: [primary, backup], peers }
    }

    /// The same as [`start`](Self::start), paired.
    fn paired(net: u8, extra: &str) -> Self {
        let nodes = Self::start(net, extra);
        nodes.pair(net, ["lb1", "lb2"]);
        nodes
    }

    /// Paired, each with a directory to itself: their files are `lb1/lvs.cf` and `lb2/lvs.cf`.
    pub(crate) fn apart(net: u8, extra: &str) -> Self {
        let names = ["lb1/lvs", "lb2/lvs"];
        let nodes = Self::called(net, extra, names);
        nodes.pair(net, names);
        nodes
    }

    fn pair(&self, net: u8, names: [&str; 2]) {
        let offer = self.json(names[0], &["pair", "new"]);
        self.ok(names[1], &["pair", "join", &at(net, 1), offer["code"].as_str().unwrap()]);
    }

    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Output {
        run(&self.files, name, arguments)
    }

    pub(crate) fn ok(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.run(name, arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{arguments:?}: {text}{told}");
        text
    }

    pub(crate) fn json(&self, name: &str, arguments: &[&str]) -> Value {
        let output = self.run(name, &[arguments, &["--json"]].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {told}"))
    }

    pub(crate) fn refused(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.run(name, arguments);
        assert!(!output.status.success(), "{arguments:?} was done");
        String::from_utf8(output.stderr).expect("text")
    }

    fn said(&self, name: &str) -> Value {
        self.json(name, &["override", "list"])
    }

    fn in_step(&self, name: &str) -> bool {
        self.json(name, &["status"])["lvs"]["known"]["replication"]["in_step"] == true
    }

    fn partner_state(&self, name: &str) -> Value {
        self.json(name, &["status", "--node", "partner"])["pulse"]["known"]["state"].clone()
    }
}

pub(crate) fn at(net: u8, place: u8) -> String {
    format!("127.78.{net}.{place}:3638")
}

fn run(files: &Files, name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(PIRANHA);
    command.args(arguments).arg("--control").arg(files.path(name).with_extension("control"));
    command.output().expect("piranha starts")
}

/// The program beside the director of the file `name`.cf.
pub(crate) fn serve(files: &Files, name: &str, address: &str) -> Daemon {
    let path = |end: &str| files.path(name).with_extension(end).display().to_string();
    let (config, control, state) = (path("cf"), path("control"), path("peer"));
    let arguments = [["sync", "serve", "-c", &config], ["--control", &control, "--state", &state]];
    let mut daemon =
        Daemon::start(PIRANHA, &[&arguments.concat()[..], &["--listen", address]].concat());
    daemon.expect("listening for the partner");
    daemon
}

#[test]
fn paired_nodes_ask_and_operate_each_other_in_the_name_of_the_user() {
    let mut nodes = Nodes::paired(110, "");
    assert_eq!(nodes.partner_state("lb2"), "active");
    assert_eq!(nodes.partner_state("lb1"), "standby");
    let partner = nodes.json("lb1", &["pair", "status"])["partner"].clone();
    assert_eq!(partner["address"], at(110, 2));
    nodes.ok("lb2", &["server", "weight", "web/s", "7", "--node", "partner"]);
    let said = nodes.json("lb1", &["override", "list"])[0].clone();
    assert_eq!(said["word"]["weight"], 7);
    assert!(said["author"].as_str().unwrap().contains('@'), "{said}");
    nodes.ok("lb2", &["failover", "--node", "partner"]);
    nodes.pulses[1].expect("active, was acquiring");
    until("the roles are known on both", || {
        nodes.partner_state("lb1") == "active" && nodes.partner_state("lb2") == "standby"
    });
    let events = nodes.ok("lb1", &["events", "--node", "partner"]);
    assert!(events.contains("active"), "{events}");
}

#[test]
fn a_pairing_outlives_the_programs_and_says_why_the_partner_cannot_be_asked() {
    let mut nodes = Nodes::paired(111, "");
    let [first, second] = nodes.peers;
    drop(second);
    nodes.peers = [first, serve(&nodes.files, "lb2", &at(111, 2))];
    assert_eq!(nodes.partner_state("lb1"), "standby");
    assert_eq!(nodes.partner_state("lb2"), "active");
    let [first, second] = nodes.peers;
    drop(first);
    nodes.peers = [second, serve(&nodes.files, "stranger", &at(111, 9))];
    let told = nodes.refused("lb2", &["server", "list", "--node", "partner"]);
    assert!(told.contains("cannot be reached") && told.contains("mend"), "{told}");
    let status = nodes.json("lb2", &["pair", "status"]);
    assert!(status["partner"]["problem"].is_string(), "{status}");
}

#[test]
fn a_stranger_is_not_let_in_and_learns_nothing() {
    let nodes = Nodes::paired(112, "");
    let stranger = serve(&nodes.files, "stranger", &at(112, 9));
    let told = nodes.refused("stranger", &["pair", "join", &at(112, 1), "0000-0000-0000-0000"]);
    assert!(told.contains("not paired"), "{told}");
    let refused = nodes.json("lb1", &["pair", "status"])["refused"].clone();
    assert_eq!(refused["stranger"], 1, "{refused}");
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff], &[0; 3000]] {
        let mut stream = TcpStream::connect(at(112, 1)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let _cut_off = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ended = stream.read_to_end(&mut Vec::new());
    }
    until("each is counted", || {
        nodes.json("lb1", &["pair", "status"])["refused"]["handshake"] == 3
    });
    assert_eq!(nodes.partner_state("lb2"), "active");
    drop(stranger);
}

#[test]
fn a_code_is_tried_five_times_and_works_once() {
    let nodes = Nodes::start(113, "");
    let offer = nodes.json("lb1", &["pair", "new"]);
    let (code, address) = (offer["code"].as_str().unwrap(), at(113, 1));
    let wrong = "0000-0000-0000-0000";
    for _ in 0..4 {
        let told = nodes.refused("lb2", &["pair", "join", &address, wrong]);
        assert!(told.contains("code is wrong"), "{told}");
    }
    nodes.ok("lb2", &["pair", "join", &address, code]);
    let told = nodes.refused("lb2", &["pair", "join", &address, code]);
    assert!(told.contains("offers no code"), "{told}");
    let offer = nodes.json("lb1", &["pair", "new"]);
    for _ in 0..5 {
        nodes.refused("lb2", &["pair", "join", &address, wrong]);
    }
    let code = offer["code"].as_str().unwrap();
    let told = nodes.refused("lb2", &["pair", "join", &address, code]);
    assert!(told.contains("offers no code"), "{told}");
    let log = nodes.peers.into_iter().next().unwrap();
    log.signal("TERM");
    let (status, log) = log.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("failed to pair") && !log.contains(code), "{log}");
}

#[test]
fn a_fingerprint_that_was_given_must_be_the_other_nodes() {
    let nodes = Nodes::start(114, "");
    let offer = nodes.json("lb1", &["pair", "new"]);
    let (code, address) = (offer["code"].as_str().unwrap(), at(114, 1));
    let other = format!("sha256:{}", "00".repeat(32));
    let told = nodes.refused("lb2", &["pair", "join", &address, code, "--fingerprint", &other]);
    let right = offer["fingerprint"].as_str().unwrap();
    assert!(told.contains(right), "{told}");
    nodes.ok("lb2", &["pair", "join", &address, code, "--fingerprint", right]);
}

#[test]
fn a_rotated_key_is_the_only_one_and_a_removed_partner_is_none() {
    let nodes = Nodes::paired(115, "");
    let key = |name: &str| nodes.json(name, &["pair", "status"])["fingerprint"].clone();
    let before = key("lb1");
    nodes.ok("lb1", &["pair", "rotate"]);
    assert_ne!(key("lb1"), before);
    let known = nodes.json("lb2", &["pair", "status"])["partner"].clone();
    assert_eq!(known["fingerprint"], key("lb1"));
    assert_eq!(nodes.partner_state("lb2"), "active");
    assert_eq!(nodes.partner_state("lb1"), "standby");
    let told = nodes.ok("lb2", &["pair", "remove"]);
    assert!(told.contains("forgot this one too"), "{told}");
    for name in ["lb1", "lb2"] {
        assert_eq!(nodes.json(name, &["pair", "status"])["partner"], Value::Null);
        let told = nodes.refused(name, &["server", "list", "--node", "partner"]);
        assert!(told.contains("paired with no other"), "{told}");
    }
}

#[test]
fn what_the_partner_may_not_ask_is_refused() {
    let nodes = Nodes::paired(116, "");
    for arguments in [&["pair", "new"][..], &["pair", "remove"], &["pair", "rotate"]] {
        let told = nodes.refused("lb2", &[arguments, &["--node", "partner"]].concat());
        assert!(told.contains("may not ask that from the other node"), "{told}");
    }
    assert!(nodes.json("lb1", &["pair", "status"])["partner"].is_object());
}

#[test]
fn the_state_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let nodes = Nodes::paired(117, "");
    let state = nodes.files.path("lb1.peer");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for file in std::fs::read_dir(&state).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn a_word_said_on_one_node_holds_on_the_other_and_after_a_failover() {
    let mut nodes = Nodes::paired(118, "");
    until("both are in step", || nodes.in_step("lb1") && nodes.in_step("lb2"));
    let operated = nodes.json("lb1", &["server", "weight", "web/s", "7", "-r", "trial"]);
    assert_eq!(operated["replicated"], true, "{operated}");
    assert_eq!(nodes.said("lb2")[0]["word"]["weight"], 7);
    assert_eq!(nodes.said("lb2")[0]["reason"], "trial");
    nodes.pulses[0].signal("KILL");
    nodes.pulses[1].expect("active, was acquiring");
    let weight = || nodes.json("lb2", &["server", "list"])[0]["servers"][0]["weight"].clone();
    assert_eq!(weight(), 7);
    let cleared = nodes.json("lb2", &["override", "clear"]);
    assert_eq!(cleared["replicated"], false, "nobody answers on the other node");
    assert_eq!(nodes.said("lb2"), serde_json::json!([]));
    until("status says why", || {
        let replication = &nodes.json("lb2", &["status"])["lvs"]["known"]["replication"];
        replication["problem"].is_string()
    });
    nodes.pulses[0] = Daemon::pulse(&nodes.files.path("lb1.cf"));
    nodes.pulses[0].expect("standby, was starting");
    until("what was said meanwhile is caught up with", || {
        let list = nodes.run("lb1", &["override", "list", "--json"]);
        list.stdout == b"[]\n"
    });
}

#[test]
fn what_both_nodes_said_while_apart_is_the_later_word_on_both() {
    let mut nodes = Nodes::paired(119, "");
    let [first, second] = nodes.peers;
    drop(second);
    nodes.peers = [first, serve(&nodes.files, "stranger", &at(119, 9))];
    nodes.ok("lb1", &["server", "weight", "web/s", "3"]);
    nodes.ok("lb2", &["server", "weight", "web/s", "5"]);
    let [first, stranger] = nodes.peers;
    drop(stranger);
    nodes.peers = [first, serve(&nodes.files, "lb2", &at(119, 2))];
    for name in ["lb1", "lb2"] {
        until("the later word holds", || {
            nodes.json(name, &["override", "list"])[0]["word"]["weight"] == 5
        });
    }
}

#[test]
fn nodes_are_paired_over_ipv6_too() {
    let files = Files::new();
    let _peers = [serve(&files, "lb1", "[::1]:0"), serve(&files, "lb2", "[::1]:0")];
    let json = |name: &str, arguments: &[&str]| {
        let output = run(&files, name, &[arguments, &["--json"]].concat());
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let offer = json("lb1", &["pair", "new"]);
    let [address, code] =
        [&offer["addresses"][0], &offer["code"]].map(|text| text.as_str().unwrap());
    let joined = json("lb2", &["pair", "join", address, code]);
    assert_eq!(joined["partner"]["address"], address);
    let back = json("lb1", &["pair", "status", "--node", "partner"]);
    assert_eq!(back["fingerprint"], joined["fingerprint"]);
    assert_eq!(back["partner"]["fingerprint"], offer["fingerprint"]);
}
