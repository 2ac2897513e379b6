//! `piranha top` in a real terminal: tmux holds it, types and looks.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::daemon::{Files, signal, until};
use crate::pair::pair;

const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");

/// A terminal of 80 columns and 24 lines on a tmux server of its own, gone with the value.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn open(name: &str, command: &str) -> Self {
        let terminal = Self { socket: format!("piranha-{name}-{}", std::process::id()) };
        terminal.tmux(&["new-session", "-d", "-x", "80", "-y", "24", command]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-f", "/dev/null", "-L", &self.socket, "-u"]).args(arguments);
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        let output = command.output().expect("tmux is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn picture(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn shows(&self, text: &str) {
        until(&format!("{text:?} in\n{}", self.picture()), || self.picture().contains(text));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn top(control: &Path, options: &str) -> String {
    // The shell that is left behind shows whether the terminal is as it was.
    format!(
        "sh -c '{PIRANHA} top {options} --control {}; echo ended with $?; cat'",
        control.display()
    )
}

fn state_of_server(control: &Path) -> String {
    let mut command = Command::new(PIRANHA);
    command.args(["status", "--json", "--control"]).arg(control);
    let output = command.output().expect("piranha starts");
    let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let server = &status["lvs"]["known"]["services"][0]["servers"][0];
    server["state"].as_str().unwrap_or_default().to_owned()
}

#[test]
#[ignore = "needs tmux: tests/run terminal"]
fn keys_drain_a_server_of_a_real_pair_and_the_terminal_is_given_back() {
    let files = Files::new();
    let (mut primary, mut backup) = pair(&files, 186, "");
    primary.expect("active, was acquiring");
    backup.expect("standby, was starting");
    let control = files.path("lb1.control");
    until("the server is up", || state_of_server(&control) == "up");
    let terminal = Terminal::open("keys", &top(&control, ""));
    terminal.shows("ACTIVE");
    terminal.shows("STANDBY");
    terminal.press(&["3"]);
    terminal.shows("[3 Servers]");
    terminal.shows("web/s");
    terminal.press(&["d"]);
    terminal.shows("Drain web/s");
    terminal.shows("the last server of web");
    terminal.press(&["new disk", "Enter"]);
    terminal.shows("the last server of web that takes connections");
    assert_eq!(state_of_server(&control), "up", "what was refused changed nothing");
    terminal.press(&["w"]);
    terminal.shows("Weigh web/s");
    terminal.press(&["BSpace", "7", "Enter"]);
    terminal.shows("web/s: weight 7");
    terminal.press(&["4", "F"]);
    terminal.shows("to confirm");
    terminal.press(&["Escape"]);
    terminal.press(&["q"]);
    terminal.shows("ended with 0");
}

#[test]
#[ignore = "needs tmux: tests/run terminal"]
fn a_signal_that_ends_it_gives_the_terminal_back() {
    let files = Files::new();
    let control = files.path("nobody.control");
    for (name, code) in [("TERM", 143), ("HUP", 129)] {
        let pid = files.path(name);
        let (top, note) =
            (format!("exec {PIRANHA} top --control {}", control.display()), pid.display());
        // What is typed afterwards is shown only by a terminal that is as it was.
        let shell = format!(
            "sh -c 'stty -a >{note}.before; sh -c \"echo \\$\\$ >{note}; {top}\"; \
                             echo ended with $?; stty -a >{note}.after; cat'"
        );
        let terminal = Terminal::open(name, &shell);
        terminal.shows("UNKNOWN");
        let pid = std::fs::read_to_string(&pid).expect("the shell noted it");
        signal(pid.trim().parse().expect("a number"), name);
        terminal.shows(&format!("ended with {code}"));
        let read = |when: &str| std::fs::read_to_string(files.path(&format!("{name}.{when}")));
        until("the settings are noted", || read("after").is_ok_and(|text| !text.is_empty()));
        assert_eq!(read("before").expect("noted"), read("after").expect("noted"));
        assert!(!terminal.picture().contains("UNKNOWN"), "what was there before is there again");
    }
}

#[test]
#[ignore = "needs tmux: tests/run terminal"]
fn a_director_that_goes_is_unknown_and_one_that_comes_back_is_found() {
    let files = Files::new();
    let (mut primary, backup) = pair(&files, 187, "");
    primary.expect("active, was acquiring");
    drop(backup);
    let control = files.path("lb1.control");
    let terminal = Terminal::open("gone", &top(&control, "--read-only"));
    terminal.shows("ACTIVE");
    primary.signal("INT");
    let _ = primary.end();
    terminal.shows("? UNKNOWN");
    let mut primary = crate::daemon::Daemon::pulse(&files.path("lb1.cf"));
    primary.expect("active, was acquiring");
    terminal.shows("ACTIVE");
    terminal.press(&["3", "d"]);
    terminal.shows("read-only");
    terminal.tmux(&["resize-window", "-x", "60", "-y", "20"]);
    terminal.shows("needs 80x24");
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    terminal.shows("[3 Servers]");
    terminal.press(&["C-c"]);
    terminal.shows("ended with 0");
}
