//! Files both nodes have in common: two real directors, each with a directory to itself.

use std::fs;

use serde_json::Value;

use crate::daemon::until;
use crate::peer::{Nodes, at, serve};

const ONE: &str = "lb1/lvs";
const TWO: &str = "lb2/lvs";

impl Nodes {
    pub(crate) fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.files.path(file)).ok()
    }

    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.text(file).expect("it is there");
        assert!(text.contains(from), "{from} in {text}");
        self.files.write(file, &text.replace(from, to));
    }

    /// How the file called `name` stands, seen from `node`.
    pub(crate) fn stands(&self, node: &str, name: &str) -> Value {
        let all = self.json(node, &["sync", "status"]);
        let file = all.as_array().expect("a list").iter().find(|file| file["name"] == name);
        file.map_or(Value::Null, |file| file["standing"].clone())
    }

    /// Has both nodes know that they have the same.
    pub(crate) fn settle(&self) {
        for node in [ONE, TWO] {
            assert_eq!(self.stands(node, "lvs.cf"), "same");
        }
    }

    /// Whether the status says that the nodes have different configurations in force.
    pub(crate) fn differ(&self, node: &str) -> bool {
        let reasons = self.json(node, &["status"])["verdict"]["reasons"].clone();
        let mut reasons = reasons.as_array().expect("a list").iter();
        reasons.any(|reason| reason["code"] == "configurations_differ")
    }

    pub(crate) fn weight(&self, node: &str) -> Value {
        self.json(node, &["server", "list"])[0]["servers"][0]["configured_weight"].clone()
    }
}

#[test]
fn an_edited_lvs_cf_is_told_brought_over_checked_and_in_force_with_the_role_kept() {
    let nodes = Nodes::apart(120, "");
    nodes.settle();
    nodes.edit(
        "lb1/lvs.cf",
        "        active = 1\n",
        "        active = 1\n        weight = 9 # more\n",
    );
    assert_eq!(nodes.stands(ONE, "lvs.cf"), "local_newer");
    assert_eq!(nodes.stands(TWO, "lvs.cf"), "peer_newer");
    let diff = nodes.run(TWO, &["sync", "diff"]);
    assert_eq!(
        String::from_utf8_lossy(&diff.stdout).lines().last(),
        Some("+        weight = 9 # more")
    );
    let rehearsed = nodes.run(ONE, &["sync", "run", "--dry-run"]);
    assert!(String::from_utf8_lossy(&rehearsed.stdout).contains("would push"));
    let left = nodes.run(ONE, &["sync", "run", "--pull"]);
    assert_eq!(left.status.code(), Some(1), "it was left");
    assert_eq!(nodes.stands(ONE, "lvs.cf"), "local_newer");
    nodes.ok(ONE, &["sync", "run"]);
    assert_eq!(nodes.stands(ONE, "lvs.cf"), "same");
    assert!(nodes.text("lb2/lvs.cf").unwrap().starts_with("role = backup\n"));
    assert_eq!(nodes.weight(TWO), 9);
    nodes.edit("lb2/lvs.cf", "weight = 9", "weight = 4");
    nodes.ok(ONE, &["sync", "run"]);
    assert!(nodes.text("lb1/lvs.cf").unwrap().contains("weight = 4 # more"));
    assert!(nodes.text("lb1/lvs.cf").unwrap().starts_with("role = primary\n"));
    assert_eq!(nodes.weight(ONE), 4);
}

#[test]
fn two_different_configurations_show_in_status_within_seconds() {
    let nodes = Nodes::apart(121, "");
    nodes.settle();
    assert!(!nodes.differ(ONE) && !nodes.differ(TWO));
    nodes.edit("lb1/lvs.cf", "        active = 1\n", "        active = 1\n        weight = 9\n");
    nodes.pulses[0].signal("HUP");
    for node in [ONE, TWO] {
        until("the difference shows", || nodes.differ(node));
    }
    nodes.ok(TWO, &["sync", "run"]);
    for node in [ONE, TWO] {
        until("it is gone", || !nodes.differ(node));
    }
}

#[test]
fn what_both_edited_is_a_conflict_until_somebody_says() {
    let nodes = Nodes::apart(122, "");
    nodes.settle();
    nodes.edit("lb1/lvs.cf", "rise = 1\n", "rise = 2\n");
    nodes.edit("lb2/lvs.cf", "rise = 1\n", "rise = 3\n");
    for arguments in [&["sync", "run"][..], &["sync", "run", "--push"], &["sync", "run", "--pull"]]
    {
        let output = nodes.run(ONE, arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("lvs.cf: conflict, left as it is")
        );
    }
    assert!(nodes.text("lb1/lvs.cf").unwrap().contains("rise = 2"));
    assert!(nodes.text("lb2/lvs.cf").unwrap().contains("rise = 3"));
    nodes.ok(ONE, &["sync", "resolve", "lvs.cf", "--theirs"]);
    assert!(nodes.text("lb1/lvs.cf").unwrap().contains("rise = 3"));
    assert_eq!(nodes.stands(TWO, "lvs.cf"), "same");
}

#[test]
fn listed_files_go_along_with_their_mode_and_their_end_and_secrets_stay() {
    use std::os::unix::fs::PermissionsExt;
    let nodes = Nodes::apart(123, "");
    nodes.settle();
    let added = "active_cmd = \"./hook all\"\nsync_file = motd\ninclude = conf.d/*.cf\n";
    nodes.edit("lb1/lvs.cf", "keepalive", &format!("notify_auth = token\n{added}keepalive"));
    for directory in ["lb1/conf.d", "lb2/conf.d"] {
        fs::create_dir(nodes.files.path(directory)).unwrap();
    }
    let hook = nodes.files.write("lb1/hook", "#!/bin/sh\n");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    nodes.files.write("lb1/motd", "hello");
    nodes.files.write("lb1/conf.d/a.cf", "failback = 0\n");
    nodes.files.write("lb1/token", "secret");
    nodes.ok(ONE, &["sync", "run"]);
    assert_eq!(nodes.text("lb2/motd").as_deref(), Some("hello"));
    assert_eq!(nodes.text("lb2/conf.d/a.cf").as_deref(), Some("failback = 0\n"));
    let mode = fs::metadata(nodes.files.path("lb2/hook")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(nodes.text("lb2/token"), None);
    assert_eq!(nodes.stands(ONE, "token"), "excluded");
    fs::remove_file(nodes.files.path("lb2/conf.d/a.cf")).unwrap();
    fs::remove_file(nodes.files.path("lb1/motd")).unwrap();
    nodes.ok(TWO, &["sync", "run"]);
    assert_eq!(nodes.text("lb1/conf.d/a.cf"), None);
    assert_eq!(nodes.text("lb2/motd"), None);
}

#[test]
fn a_configuration_with_errors_is_not_taken_and_nothing_changes() {
    let nodes = Nodes::apart(124, "");
    nodes.settle();
    let before = nodes.text("lb2/lvs.cf");
    nodes.edit("lb1/lvs.cf", "keepalive", "sync_file = motd\nkeepalive");
    nodes.files.write("lb1/motd", "hello");
    nodes.edit("lb1/lvs.cf", "rise = 1", "rise = none");
    let output = nodes.run(ONE, &["sync", "run"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("failed: the configuration would have errors"), "{told}");
    assert_eq!(nodes.text("lb2/lvs.cf"), before);
    assert_eq!(nodes.text("lb2/motd"), None);
}

#[test]
fn a_partner_that_was_down_or_killed_in_the_middle_gets_it_whole_later() {
    let nodes = Nodes::apart(125, "");
    nodes.settle();
    let files: Vec<_> = (0..40).map(|number| format!("file{number}")).collect();
    let lines: String = files.iter().map(|name| format!("sync_file = {name}\n")).collect();
    nodes.edit("lb1/lvs.cf", "keepalive", &format!("{lines}keepalive"));
    for name in &files {
        nodes.files.write(&format!("lb1/{name}"), &name.repeat(1000));
    }
    let mut pushing = nodes_command(&nodes.files, ONE, &["sync", "run"]);
    // Whenever it is killed, before, while or after it writes.
    until("it has begun", || {
        nodes.files.path("lb2/file7").exists() || pushing.try_wait().unwrap().is_some()
    });
    nodes.peers[1].signal("KILL");
    pushing.wait().unwrap();
    for name in &files {
        let text = fs::read_to_string(nodes.files.path(&format!("lb2/{name}"))).ok();
        assert!(text.is_none_or(|text| text == name.repeat(1000)), "half a file");
    }
    let _again = serve(&nodes.files, TWO, &at(125, 2));
    nodes.ok(ONE, &["sync", "run"]);
    for name in &files {
        assert_eq!(nodes.text(&format!("lb2/{name}")), Some(name.repeat(1000)));
    }
    assert_eq!(nodes.stands(TWO, "lvs.cf"), "same");
}

fn nodes_command(
    files: &crate::daemon::Files,
    name: &str,
    arguments: &[&str],
) -> std::process::Child {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_piranha"));
    command.args(arguments).arg("--control").arg(files.path(name).with_extension("control"));
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.spawn().expect("piranha starts")
}
