//! The commands of docs/migration.md do what the page says they do.

use std::path::Path;
use std::process::Command;

use crate::daemon::Files;

/// The lines of the page's examples. What stands in a numbered step changes a pair that runs.
fn commands() -> Vec<&'static str> {
    let page = include_str!("../../docs/migration.md");
    let examples = page.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    examples.flat_map(str::lines).collect()
}

/// Runs a line as a shell does, with this build's `piranha` and a saved table for ipvsadm.
fn run(line: &str, directory: &Path) -> i32 {
    let program = Path::new(env!("CARGO_BIN_EXE_piranha")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", program.display());
    let line = line.replace("ipvsadm -Sn", "cat table");
    let mut command = Command::new("sh");
    let output = command.args(["-c", &line]).env("PATH", path).current_dir(directory).output();
    let output = output.unwrap();
    let status = output.status.code().unwrap();
    assert!(status != 2, "{line}: {}", String::from_utf8_lossy(&output.stderr));
    status
}

#[test]
fn every_command_of_the_migration_page_works() {
    let inputs = [
        ("keepalived.conf", include_str!("../conformance/import/keepalived-pair/input")),
        ("ldirectord.cf", include_str!("../conformance/import/ldirectord/input")),
        ("table", "-A -t 192.0.2.80:80 -s rr\n-a -t 192.0.2.80:80 -r 10.0.0.1:80 -m -w 1\n"),
    ];
    let files = Files::new();
    for (name, text) in inputs {
        files.write(name, text);
    }
    let good = include_str!("../conformance/import/keepalived-pair/lvs.cf");
    let lvs = files.write("lvs.cf", good);
    files.write("before.cf", good);
    let directory = lvs.parent().unwrap();
    let commands = commands();
    assert!(commands.len() >= 8, "{commands:?}");
    // The kernel of this machine may have no table to compare with.
    for line in commands.into_iter().filter(|line| !line.contains("--running")) {
        let written = line.contains("--output");
        if written {
            std::fs::remove_file(&lvs).unwrap();
        }
        let expected: &[i32] = if written { &[0, 3] } else { &[0, 1] };
        let status = run(line, directory);
        assert!(expected.contains(&status), "{line}: {status}");
        assert!(lvs.exists(), "{line}");
    }
}
