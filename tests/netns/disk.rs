//! A disk that is full or read-only under the configuration and its history: a director in a mount
//! namespace of its own, with a few pages of a tmpfs.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::daemon::{Daemon, Files, PULSE, until};

const TEXT: &str = "role = primary
primary = 127.0.0.1
heartbeat_port = 5390
keepalive = 100ms
deadtime = 500ms
dataplane = relay
virtual web {
    active = 1
    address = 127.0.0.80 lo
    port = 8080
    check = icmp
    server s1 {
        address = 127.0.0.11
        active = 1
    }
    server s2 {
        address = 127.0.0.12
        active = 1
    }
}
";

struct Site {
    files: Files,
    pulse: Daemon,
    /// The small disk, as seen from out here.
    disk: PathBuf,
}

impl Site {
    fn new() -> Self {
        let files = Files::new();
        files.write("lvs.cf", TEXT);
        let inside = files.path("disk");
        fs::create_dir(&inside).unwrap();
        let (directory, disk) = (files.path(""), inside.display());
        let script = format!(
            "set -e
             ip link set lo up
             mount -t tmpfs -o size=256k none {disk}
             cp {}/lvs.cf {disk}
             exec {PULSE} -n --drain 0 -c {disk}/lvs.cf --control {disk}/control",
            directory.display()
        );
        let mut pulse = Daemon::start("unshare", &["--mount", "--net", "sh", "-c", &script]);
        pulse.expect("active, was acquiring");
        let root = PathBuf::from(format!("/proc/{}/root", pulse.pid()));
        let disk = root.join(inside.strip_prefix("/").unwrap());
        let site = Self { files, pulse, disk };
        until("the first revision is recorded", || site.standing()["revision"] == 1);
        until("both servers are up", || site.service()["counts"]["up"] == 2);
        site
    }

    fn piranha(&self, arguments: &[&str]) -> Output {
        let mut piranha = Command::new(env!("CARGO_BIN_EXE_piranha"));
        piranha.args(arguments).arg("--control").arg(self.disk.join("control"));
        piranha.output().unwrap()
    }

    fn done(&self, arguments: &[&str]) {
        let output = self.piranha(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a command that must be refused, and returns why.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.piranha(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn status(&self) -> Value {
        let output = self.piranha(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn standing(&self) -> Value {
        self.status()["lvs"]["known"]["configuration"]["standing"].clone()
    }

    fn service(&self) -> Value {
        self.status()["lvs"]["known"]["services"][0].clone()
    }

    fn holds(&self, vip: &str) -> bool {
        self.status()["pulse"]["known"]["addresses"].to_string().contains(vip)
    }

    fn in_file(&self) -> String {
        fs::read_to_string(self.disk.join("lvs.cf")).unwrap()
    }

    /// A draft in which the VIP is another one.
    fn draft(&self) -> String {
        let draft = self.files.write("draft.cf", &TEXT.replace("127.0.0.80", "127.0.0.81"));
        draft.to_str().unwrap().to_owned()
    }

    /// Leaves no room on the disk.
    fn fill(&self) {
        let mut filler = fs::File::create(self.disk.join("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.disk.join("filler")).unwrap();
    }

    fn remount(&self, how: &str) {
        let pid = self.pulse.pid().to_string();
        let disk = self.files.path("disk");
        let how = format!("remount,{how}");
        let arguments = ["--target", &pid, "--mount", "mount", "-o", &how];
        let status = Command::new("nsenter").args(arguments).arg(disk).status().unwrap();
        assert!(status.success());
    }

    /// Nothing that would have to be remembered is done, and what runs goes on.
    fn expect_nothing_changes(&self, draft: &str) {
        let said = self.refused(&["config", "apply", draft]);
        assert!(said.contains("no revision can be recorded"), "{said}");
        let said = self.refused(&["server", "drain", "web/s1"]);
        assert!(said.contains("cannot be remembered, so it was not done"), "{said}");
        assert_eq!(self.in_file(), TEXT);
        let status = self.status();
        assert_eq!(status["pulse"]["known"]["state"], "active");
        let service = self.service();
        assert_eq!((&service["state"], &service["counts"]["up"]), (&"up".into(), &2.into()));
        assert!(status["verdict"]["reasons"].to_string().contains("history_lost"));
    }
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_full_disk_stops_changes_and_nothing_else() {
    let site = Site::new();
    let draft = site.draft();
    site.fill();
    site.expect_nothing_changes(&draft);
    site.make_room();
    site.done(&["config", "apply", &draft]);
    site.done(&["config", "confirm"]);
    site.done(&["server", "drain", "web/s1"]);
    until("the trouble is over", || site.standing()["trouble"].is_null());
    assert!(site.holds("127.0.0.81"));
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_full_disk_does_not_stop_what_nobody_confirmed_from_going_back() {
    let mut site = Site::new();
    site.done(&["config", "apply", &site.draft(), "--confirm-in", "3s"]);
    site.fill();
    site.pulse.expect("cannot be rolled back to revision 1");
    until("the old address is held, from memory", || site.holds("127.0.0.80"));
    assert_ne!(site.in_file(), TEXT, "there is no room for it");
    site.make_room();
    site.pulse.expect("configuration rolled back from revision 2 to 1");
    assert_eq!(site.in_file(), TEXT);
    until("all is recorded", || site.standing()["revision"] == 3);
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_disk_that_became_read_only_stops_changes_and_nothing_else() {
    let site = Site::new();
    let draft = site.draft();
    site.remount("ro");
    site.expect_nothing_changes(&draft);
    site.remount("rw");
    site.done(&["config", "apply", &draft, "--no-confirm"]);
    assert!(site.holds("127.0.0.81"));
}
