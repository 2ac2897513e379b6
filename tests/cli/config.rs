//! `piranha config` as a process: what is printed where, and the exit codes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output, Stdio};

use crate::daemon::Files;

const GOOD: &str = "primary = 192.0.2.11
virtual web {
    active = 1
    address = 192.0.2.80 eth0:1
    server one {
        address = 10.0.0.1
        active = 1
        weight = 10
    }
}
";
const WARNED: &str = "primary = 192.0.2.11
keepalive = 4
virtual web {
    active = 1
    address = 192.0.2.80 eth0:1
    server one {
        address = 10.0.0.1
        active = 1
    }
}
";
const BROKEN: &str = "primary = 192.0.2.11\nkeepaliev = 3\nvirtual web {\n    adress = 1\n}\n";

fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_piranha"));
    command.arg("config").args(arguments).env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Exit code, standard output and standard error of `piranha config`.
fn piranha(arguments: &[&str], input: &str) -> (i32, String, String) {
    let Output { status, stdout, stderr } = run(arguments, input);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn check_tells_usable_warned_and_broken_apart() {
    assert_eq!(piranha(&["check", "-"], GOOD), (0, "<stdin>: no errors\n".into(), "".into()));
    let (code, out, err) = piranha(&["check", "-"], WARNED);
    assert_eq!((code, out.as_str()), (0, "<stdin>: no errors, 1 warning\n"));
    assert!(err.contains("warning[W0301]") && !err.contains('\x1b'), "{err}");
    assert_eq!(piranha(&["check", "--strict", "-"], WARNED).0, 1);
    let (code, out, err) = piranha(&["check", "-"], BROKEN);
    assert_eq!((code, out.as_str()), (1, "<stdin>: 3 errors, 1 warning: it cannot be used\n"));
    assert!(err.contains("<stdin>:2:1") && err.contains("did you mean `keepalive`?"), "{err}");
}

#[test]
fn check_warns_of_interfaces_that_are_not_here_when_asked() {
    let with = |device| GOOD.replace("eth0:1", device);
    let (code, _, err) = piranha(&["check", "--devices", "-"], &with("nodev0:1"));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("warning[W0317]") && err.contains("`nodev0`"), "{err}");
    assert_eq!(piranha(&["check", "--strict", "--devices", "-"], &with("nodev0:1")).0, 1);
    assert_eq!(piranha(&["check", "--strict", "--devices", "-"], &with("lo:1")).0, 0);
    assert_eq!(piranha(&["check", "--strict", "-"], &with("nodev0:1")).0, 0);
}

#[test]
fn check_prints_places_and_codes_as_json() {
    let (code, out, err) = piranha(&["check", "--json", "-"], BROKEN);
    assert_eq!((code, err.as_str()), (1, ""));
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["ok"], false);
    assert_eq!(value["errors"], 3);
    let first = &value["diagnostics"][0];
    assert_eq!(first["code"], "E0102");
    assert_eq!(first["severity"], "error");
    let start = serde_json::json!({ "byte": 21, "line": 2, "column": 1 });
    assert_eq!(first["span"]["start"], start);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let files = Files::new();
    let path = files.path("none.cf");
    let (code, out, err) = piranha(&["check", path.to_str().unwrap()], "");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("cannot read") && err.contains("none.cf"), "{err}");
}

#[test]
fn subcommands_may_be_shortened_and_a_wrong_one_ends_with_2() {
    assert_eq!(piranha(&["ch", "-"], GOOD).0, 0);
    assert_eq!(piranha(&["frobnicate"], "").0, 2);
    let (code, _, err) = piranha(&["i", "-"], GOOD);
    assert_eq!(code, 2, "init and import both begin so: {err}");
}

#[test]
fn explain_knows_directives_and_codes_and_suggests() {
    let (code, out, _) = piranha(&["explain", "weight"], "");
    assert_eq!(code, 0);
    assert!(out.contains("default: 1") && out.contains("example: weight = "), "{out}");
    let (code, out, _) = piranha(&["explain", "e0303"], "");
    assert!(code == 0 && out.starts_with("error[E0303]: the dead time"), "{out}");
    assert!(out.trim().lines().count() > 2, "the section of the documentation: {out}");
    let (_, json, _) = piranha(&["explain", "--json", "E0102"], "");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let text = value["explanation"].as_str().unwrap();
    assert!(text.starts_with("The message names the nearest") && !text.contains("### "), "{text}");
    let (code, out, err) = piranha(&["explain", "wieght"], "");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("did you mean `weight`?"), "{err}");
}

#[test]
fn a_shell_completes_subcommands_and_the_names_of_directives() {
    let script = |shell: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_piranha"));
        let output = command.args(["completion", shell]).output().unwrap();
        assert!(output.status.success(), "{shell}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // Longer than an argument may be.
    let directory = tempfile::tempdir().unwrap();
    let bash = directory.path().join("completion");
    fs::write(&bash, script("bash")).unwrap();
    let complete = |words: &str| {
        let ask = format!(
            "source {}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
             _piranha piranha \"${{COMP_WORDS[COMP_CWORD]}}\" x; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            bash.display(),
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("piranha config exp"), "explain\n");
    assert_eq!(complete("piranha config explain dead"), "deadtime\n");
    assert!(complete("piranha config explain E010").contains("E0102"));
    assert!(script("zsh").contains("deadtime"));
    for shell in ["fish", "elvish", "powershell"] {
        assert!(script(shell).contains("explain"), "{shell}");
    }
}

#[test]
fn show_is_a_configuration_that_means_the_same() {
    let (code, shown, err) = piranha(&["show", "-"], GOOD);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(shown.contains("weight = 10") && shown.contains("# <stdin>:8"), "{shown}");
    assert!(shown.contains("deadtime = 5") && shown.contains("# default"), "{shown}");
    let files = Files::new();
    let before = files.write("before.cf", GOOD);
    let diff = piranha(&["diff", before.to_str().unwrap(), "-"], &shown);
    assert_eq!(diff, (0, String::new(), String::new()));
    let (code, out, err) = piranha(&["show", "-"], BROKEN);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("E0102"), "{err}");
}

#[test]
fn show_and_diff_follow_includes_and_name_the_file_of_each_value() {
    let files = Files::new();
    let (before, web) = GOOD.split_at(GOOD.find("virtual").unwrap());
    let part = files.write("web.cf", &format!("# a comment\ndeadtime = 7\n{web}"));
    let second = web.replace("192.0.2.80", "192.0.2.81").replace("virtual web", "virtual shop");
    let text = format!("{before}deadtime = 6\ninclude = web.cf\nkeepalive = 2\n{second}");
    let path = files.write("whole.cf", &text);
    let (name, part) = (path.to_str().unwrap(), part.to_str().unwrap());
    let (code, shown, err) = piranha(&["show", name], "");
    assert_eq!((code, err.contains("error")), (0, false), "{err}");
    for (setting, place) in [
        ("deadtime = 7", format!("{part}:2")),
        ("keepalive = 2", format!("{name}:4")),
        ("    address = 192.0.2.80 eth0:1", format!("{part}:5")),
        ("        weight = 10", format!("{part}:9")),
        ("    address = 192.0.2.81 eth0:1", format!("{name}:7")),
    ] {
        let line = format!("{setting:40} # {place}");
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(shown.find("virtual \"web\"") < shown.find("virtual \"shop\""), "{shown}");
    assert!(!shown.contains("include"), "what it brings is there: {shown}");
    assert_eq!(piranha(&["diff", name, "-"], &shown), (0, String::new(), String::new()));
    let (_, json, _) = piranha(&["show", "--json", name], "");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let address = &value["sections"][0]["settings"].as_array().unwrap()[1..];
    let address = address.iter().find(|setting| setting["directive"] == "address").unwrap();
    assert_eq!((address["file"].as_str(), address["line"].as_u64()), (Some(part), Some(5)));
    let changed = shown.replacen("weight = 10", "weight = 20", 1);
    let expected = "service web: weight of one 10 to 20; connections kept\n";
    assert_eq!(piranha(&["diff", name, "-"], &changed).1, expected);
}

#[test]
fn fmt_prints_checks_and_writes() {
    let files = Files::new();
    let untidy = GOOD.replace("    ", "\t").replace(" = 192", "  =   192");
    let path = files.write("lvs.cf", &format!("# kept\r\n{untidy}"));
    let name = path.to_str().unwrap();
    let tidy = format!("# kept\n{GOOD}");
    assert_eq!(piranha(&["fmt", name], ""), (0, tidy.clone(), String::new()));
    assert_eq!(piranha(&["fmt", "--check", name], "").0, 1);
    assert_eq!(piranha(&["fmt", "--write", name], ""), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(&path).unwrap(), tidy);
    assert_eq!(piranha(&["fmt", "--check", name], "").0, 0);
    let broken = files.write("broken.cf", "virtual web\n");
    assert_eq!(piranha(&["fmt", "--write", broken.to_str().unwrap()], "").0, 1);
    assert_eq!(fs::read_to_string(&broken).unwrap(), "virtual web\n");
}

#[test]
fn what_is_written_keeps_mode_and_links_and_leaves_nothing_beside_it() {
    let files = Files::new();
    let (directory, mode) = (files.path("private"), fs::Permissions::from_mode(0o640));
    fs::create_dir(&directory).unwrap();
    let (path, link) = (directory.join("lvs.cf"), files.path("link.cf"));
    fs::write(&path, GOOD.replace("    ", "\t")).unwrap();
    fs::set_permissions(&path, mode.clone()).unwrap();
    symlink(&path, &link).unwrap();
    let link = link.to_str().unwrap();
    assert_eq!(piranha(&["fmt", "--write", link], ""), (0, String::new(), String::new()));
    assert_eq!(fs::read_to_string(&path).unwrap(), GOOD);
    assert_eq!(piranha(&["init", "--output", link, "--force"], "").0, 0);
    assert_ne!(fs::read_to_string(&path).unwrap(), GOOD);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    let (code, _, err) = piranha(&["init", "--output", directory.to_str().unwrap(), "--force"], "");
    assert!(code == 1 && err.contains("not a regular file"), "{err}");
    let new = directory.join("new.cf");
    assert_eq!(piranha(&["init", "--output", new.to_str().unwrap(), "--force"], "").0, 0);
    assert_eq!(piranha(&["check", new.to_str().unwrap()], "").0, 0);
}

#[test]
fn diff_says_what_changes_and_what_becomes_of_connections() {
    let files = Files::new();
    let before = files.write("before.cf", GOOD);
    let before = before.to_str().unwrap();
    let after = GOOD.replace("weight = 10", "weight = 20");
    let expected = "service web: weight of one 10 to 20; connections kept\n";
    assert_eq!(piranha(&["diff", before, "-"], &after), (1, expected.into(), "".into()));
    let (code, out, _) = piranha(&["diff", "--json", before, "-"], &after);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &value[0]["change"]["effect"]), (1, &"kept".into()));
    let (code, out, _) = piranha(&["diff", before, "-"], BROKEN);
    assert_eq!((code, out.as_str()), (2, ""), "trouble is not a difference");
    assert_eq!(piranha(&["diff"], "").0, 2);
}

#[test]
fn init_writes_a_file_once() {
    let files = Files::new();
    let path = files.path("new.cf");
    let name = path.to_str().unwrap();
    let arguments = [
        "init",
        "--primary",
        "192.0.2.1",
        "--backup",
        "192.0.2.2",
        "--vip",
        "192.0.2.9:443",
        "--server",
        "10.0.0.1:8443",
        "--output",
        name,
    ];
    assert_eq!(piranha(&arguments, "").0, 0);
    assert_eq!(piranha(&["check", "--strict", name], "").0, 0);
    let written = fs::read_to_string(&path).unwrap();
    assert!(written.contains("address = 10.0.0.1\n"), "{written}");
    let (code, _, err) = piranha(&arguments, "");
    assert!(code == 1 && err.contains("--force"), "{err}");
    assert_eq!(piranha(&["init", "--output", name, "--force"], "").0, 0);
}

#[test]
fn import_says_by_its_exit_code_whether_all_is_expressed() {
    let saved = "-A -t 192.0.2.80:80 -s rr\n-a -t 192.0.2.80:80 -r 10.0.0.1:80 -m -w 1\n";
    let all = ["import", "--primary", "192.0.2.11", "--device", "eth1", "-"];
    let (code, out, err) = piranha(&all, saved);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(piranha(&["check", "--strict", "-"], &out).0, 0, "{out}");
    let (code, out, err) = piranha(&all, &format!("{saved}--set 1 2 3\n"));
    assert!(code == 3 && !out.is_empty(), "{err}");
    assert!(err.contains("<stdin>: line 3: not expressed: --set 1 2 3: "), "{err}");
    let (code, out, err) = piranha(&["import", "-"], "what is this\n");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("--from"), "{err}");
    assert_eq!(piranha(&["import", "--from", "nginx", "-"], "").0, 2);
}

#[test]
fn every_command_and_option_is_in_the_manual() {
    let page = include_str!("../../docs/man/piranha-config.8").replace("\\-", "-");
    let commands = [
        "check", "explain", "show", "fmt", "diff", "init", "import", "apply", "confirm", "undo",
        "history", "restore", "reload",
    ];
    for command in commands {
        assert!(page.contains(&format!(".SS {command}\n")), "{command}");
        let (_, help, _) = piranha(&[command, "--help"], "");
        let words = help.split([' ', '\n', ',', '=']).filter(|word| word.starts_with("--"));
        for option in words.map(|word| word.trim_end_matches(['.', ')'])) {
            assert!(option == "--help" || page.contains(option), "{command} {option}");
        }
    }
    let (_, help, _) = piranha(&["--help"], "");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| line.starts_with("  ")).filter_map(|line| {
        line.strip_prefix("  ")?.split(' ').next().filter(|word| !word.is_empty())
    });
    let known = |word: &&str| *word == "help" || commands.contains(word);
    assert_eq!(listed.filter(|word| !known(word)).collect::<Vec<_>>(), [""; 0]);
}
