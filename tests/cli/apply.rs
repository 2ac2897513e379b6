//! Changing the configuration through the daemon: checked, recorded, confirmed or taken back.

use std::fs;
use std::io::Write;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::daemon::{
    Daemon, Files, PULSE, alone, children, lvs_of, service, signal, until, word_server,
};

const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");

/// A director without a partner, and what its file says.
struct Site {
    files: Files,
    pulse: Daemon,
    text: String,
}

impl Site {
    fn new(net: u8) -> Self {
        Self::with(net, &[])
    }

    /// With further options of `pulse`.
    fn with(net: u8, options: &[&str]) -> Self {
        let files = Files::new();
        let address = format!("127.78.{net}.11");
        let server = word_server(&format!("{address}:0"), "up");
        let web = service("web", &format!("127.78.{net}.80"), 8080, &address, server.port());
        let text = format!("# by hand\n{}", alone(net, &web));
        let path = files.write("lvs.cf", &text);
        let control = files.path("lvs.control");
        let (path, control) = (path.to_str().unwrap(), control.to_str().unwrap());
        let usual = ["-n", "--drain", "1", "-c", path, "--control", control];
        let mut pulse = Daemon::start(PULSE, &[&usual, options].concat());
        pulse.expect("active, was acquiring");
        let site = Self { files, pulse, text };
        until("the first revision is recorded", || site.standing()["revision"] == 1);
        site
    }

    fn piranha(&self, arguments: &[&str]) -> Output {
        piranha(&self.files, arguments)
    }

    /// Runs a command that must be done.
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.piranha(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command that must be refused, and returns why.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.piranha(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
        text(&output.stderr)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.piranha(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn standing(&self) -> Value {
        self.json(&["status"])["lvs"]["known"]["configuration"]["standing"].clone()
    }

    fn history(&self) -> Vec<(u64, Value)> {
        let known = self.json(&["config", "history"]);
        let all = known["revisions"].as_array().expect("revisions");
        all.iter().map(|one| (one["number"].as_u64().unwrap(), one["origin"].clone())).collect()
    }

    fn in_file(&self) -> String {
        fs::read_to_string(self.files.path("lvs.cf")).expect("a file")
    }

    /// A draft in which `from` is `to`.
    fn draft(&self, from: &str, to: &str) -> (String, String) {
        assert!(self.text.contains(from), "{from}");
        let text = self.text.replace(from, to);
        let path = self.files.write("draft.cf", &text);
        (path.to_str().expect("a plain path").to_owned(), text)
    }

    /// The configured weight of the server.
    fn weight(&self) -> Value {
        let server = &self.json(&["status"])["lvs"]["known"]["services"][0]["servers"][0];
        server["configured_weight"].clone()
    }

    fn holds(&self, vip: &str) -> bool {
        let status = self.json(&["status"]);
        let addresses = status["pulse"]["known"]["addresses"].to_string();
        addresses.contains(vip)
    }
}

fn piranha(files: &Files, arguments: &[&str]) -> Output {
    let mut command = Command::new(PIRANHA);
    command.args(arguments).arg("--control").arg(files.path("lvs.control"));
    command.arg("--configfile").arg(files.path("lvs.cf"));
    command.output().expect("piranha starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const SERVER: &str = "        active = 1\n    }";
const WEIGHED: &str = "        active = 1\n        weight = 7\n    }";

#[test]
fn a_draft_with_errors_is_shown_its_errors_and_changes_nothing() {
    let site = Site::new(160);
    let (draft, _) = site.draft("port = 8080", "prot = 8080");
    let said = site.refused(&["config", "apply", &draft]);
    assert!(said.contains("draft.cf:11:") && said.contains("E0102"), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    let review = site.json(&["config", "apply", &draft, "--dry-run"]);
    assert_eq!(review["usable"], false);
    assert_eq!(review["remarks"][0]["code"], "E0102");
    let (draft, _) = site.draft("dataplane = relay", "dataplane = relay\nnetwork = direct");
    let said = site.refused(&["config", "apply", &draft]);
    assert!(said.contains("relay"), "{said}");
    assert_eq!((site.in_file(), site.history().len()), (site.text.clone(), 1));
}

#[test]
fn a_change_of_a_weight_holds_at_once_and_is_recorded_with_author_and_reason() {
    let mut site = Site::new(161);
    let (draft, changed) = site.draft(SERVER, WEIGHED);
    let seen = site.done(&["config", "apply", &draft, "--dry-run"]);
    assert!(seen.contains("service web: weight of s 1 to 7; connections kept"), "{seen}");
    assert_eq!(site.in_file(), site.text);
    let said = site.done(&["config", "apply", &draft, "--reason", "new machine"]);
    assert!(said.contains("revision 2 is in force, 1 changes to the table"), "{said}");
    assert!(!said.contains("confirm"), "{said}");
    assert_eq!((site.in_file(), site.weight()), (changed, 7.into()));
    let line = site.pulse.expect("applied revision 2 of the configuration");
    assert!(line.contains("new machine"), "{line}");
    let known = site.json(&["config", "history"]);
    let last = &known["revisions"][1];
    assert_eq!((&last["reason"], &last["origin"]), (&"new machine".into(), &"applied".into()));
    assert!(last["author"].as_str().is_some_and(|author| !author.is_empty()));
    assert_eq!(site.done(&["config", "history", "1"]), site.text);
    let again = site.done(&["config", "apply", &draft]);
    assert!(again.contains("nothing that counts differs"), "{again}");
    assert_eq!(site.history().len(), 2, "the same text is no new revision");
}

#[test]
fn a_change_of_the_vip_goes_back_by_itself_when_nobody_confirms_it() {
    let mut site = Site::new(162);
    let (draft, changed) = site.draft("127.78.162.80", "127.78.162.81");
    let seen = site.done(&["config", "apply", &draft, "--dry-run"]);
    assert!(seen.contains("to be confirmed within a minute"), "{seen}");
    let said = site.done(&["config", "apply", &draft, "--confirm-in", "2s"]);
    assert!(said.contains("confirm it within 2 s"), "{said}");
    assert_eq!(site.in_file(), changed);
    until("the new address is held", || site.holds("127.78.162.81"));
    let status = site.json(&["status"]);
    let reasons = status["verdict"]["reasons"].to_string();
    assert!(reasons.contains("unconfirmed"), "{reasons}");
    let refused = site.refused(&["config", "apply", &draft]);
    assert!(refused.contains("confirm or undo it first"), "{refused}");
    let refused = site.refused(&["server", "weight", "web/s", "3", "--save"]);
    assert!(refused.contains("confirm or undo it first"), "{refused}");
    let line = site.pulse.expect("configuration rolled back from revision 2 to 1");
    assert!(line.contains("nobody confirmed it in time"), "{line}");
    until("the old address is held again", || site.holds("127.78.162.80"));
    assert_eq!(site.in_file(), site.text);
    let expected =
        [(1, "found".into()), (2, "applied".into()), (3, serde_json::json!({ "rolled_back": 1 }))];
    assert_eq!(site.history(), expected);
    assert!(site.refused(&["config", "confirm"]).contains("no change waits"));
}

#[test]
fn a_confirmed_change_outlives_its_time() {
    let mut site = Site::new(163);
    let (draft, changed) = site.draft("127.78.163.80", "127.78.163.81");
    site.done(&["config", "apply", &draft, "--confirm-in", "3s"]);
    let said = site.done(&["config", "confirm"]);
    assert!(said.contains("revision 2 is confirmed"), "{said}");
    site.pulse.expect("confirmed revision 2");
    assert!(!site.files.path("lvs.control/history/pending.json").exists());
    // Past the end of the time, with some to spare.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(site.in_file(), changed);
    assert!(site.holds("127.78.163.81"));
    assert_eq!(site.standing()["pending"], Value::Null);
}

#[test]
fn what_waits_is_undone_at_once_and_what_held_can_be_undone_and_restored() {
    let site = Site::new(164);
    let (draft, _) = site.draft("127.78.164.80", "127.78.164.81");
    site.done(&["config", "apply", &draft]);
    site.done(&["config", "undo", "--reason", "wrong net"]);
    assert_eq!(site.in_file(), site.text);
    assert_eq!(site.standing()["pending"], Value::Null);
    let (draft, weighed) = site.draft(SERVER, WEIGHED);
    site.done(&["config", "apply", &draft]);
    assert_eq!(site.weight(), 7);
    site.done(&["config", "undo"]);
    assert_eq!((site.in_file(), site.weight()), (site.text.clone(), 1.into()));
    let number = site.history().iter().rev().nth(1).expect("the weighed one").0.to_string();
    site.done(&["config", "restore", &number, "--reason", "it was right"]);
    assert_eq!((site.in_file(), site.weight()), (weighed, 7.into()));
    let last = site.history().pop().expect("a revision").1;
    assert_eq!(last["restored"].to_string(), number);
    assert!(site.refused(&["config", "restore", "99"]).contains("no revision"));
}

#[test]
fn a_change_goes_back_although_lvs_was_killed_meanwhile() {
    let mut site = Site::new(165);
    let (draft, _) = site.draft("127.78.165.80", "127.78.165.81");
    site.done(&["config", "apply", &draft, "--confirm-in", "4s"]);
    site.pulse.expect("applied revision 2");
    signal(lvs_of(site.pulse.pid()), "KILL");
    site.pulse.expect("configuration rolled back from revision 2 to 1");
    assert_eq!(site.in_file(), site.text);
    until("the old address is held again", || site.holds("127.78.165.80"));
}

#[test]
fn a_change_is_gone_when_the_daemons_start_after_its_time() {
    let mut site = Site::new(166);
    let (draft, changed) = site.draft("127.78.166.80", "127.78.166.81");
    site.done(&["config", "apply", &draft, "--confirm-in", "3s"]);
    let others = children(site.pulse.pid());
    // All at once, as when the machine loses its power; some are gone with the first already.
    site.pulse.signal("KILL");
    let _ = Command::new("kill").arg("-KILL").args(others.iter().map(u32::to_string)).status();
    assert_eq!(site.in_file(), changed);
    std::thread::sleep(Duration::from_secs(4));
    site.pulse = Daemon::pulse(&site.files.path("lvs.cf"));
    let line = site.pulse.expect("configuration rolled back from revision 2 to 1");
    assert!(line.contains("nobody confirmed it in time"), "{line}");
    site.pulse.expect("active, was acquiring");
    assert_eq!(site.in_file(), site.text);
    assert!(site.holds("127.78.166.80"));
    until("the records agree", || site.standing()["revision"] == 3);
}

#[test]
fn what_somebody_edited_meanwhile_is_not_overwritten_unseen_and_never_lost() {
    let mut site = Site::new(167);
    let edited = site.text.replace("# by hand", "# by another hand");
    site.files.write("lvs.cf", &edited);
    site.pulse.expect("the configuration file was edited");
    assert_eq!(site.standing()["edited"], true);
    let (draft, changed) = site.draft(SERVER, WEIGHED);
    let said = site.refused(&["config", "apply", &draft]);
    assert!(said.contains("edited by hand") && said.contains("mend:"), "{said}");
    let base = "0123456789abcdef";
    let said = site.refused(&["config", "apply", &draft, "--force", "--base", base]);
    assert!(said.contains("changed by somebody else"), "{said}");
    assert_eq!(site.in_file(), edited);
    site.done(&["config", "apply", &draft, "--force"]);
    assert_eq!(site.in_file(), changed);
    assert_eq!(site.done(&["config", "history", "2"]), edited);
    assert_eq!(site.history()[1].1, "edited");
    assert_eq!(site.standing()["edited"], false);
}

#[test]
fn a_file_edited_by_hand_is_applied_where_it_stands() {
    let site = Site::new(168);
    let edited = site.text.replace(SERVER, WEIGHED);
    site.files.write("lvs.cf", &edited);
    let said = site.done(&["config", "apply"]);
    assert!(said.contains("weight of s 1 to 7") && said.contains("revision 2"), "{said}");
    assert_eq!((site.in_file(), site.weight()), (edited.clone(), 7.into()));
    let broken = edited.replace("primary =", "primaray =");
    site.files.write("lvs.cf", &broken);
    site.refused(&["config", "apply"]);
    assert_eq!((site.in_file(), site.weight()), (broken, 7.into()));
    let reloaded = site.text.replace(SERVER, &WEIGHED.replace('7', "9"));
    site.files.write("lvs.cf", &reloaded);
    site.done(&["config", "reload"]);
    until("the reload is recorded", || site.history().last().is_some_and(|one| one.0 == 3));
    assert_eq!(site.history().pop().expect("a revision").1, "edited");
}

#[test]
fn a_draft_of_any_length_arrives_whole() {
    let site = Site::new(169);
    let comment = format!("# by hand\n{}", "# comment with \"quotes\" and ümlauts\n".repeat(9000));
    let (draft, changed) = site.draft("# by hand\n", &comment);
    assert!(changed.len() > 300_000);
    site.done(&["config", "apply", &draft]);
    assert_eq!(site.in_file(), changed);
    assert_eq!(site.done(&["config", "history", "2"]), changed);
}

#[test]
fn of_two_who_apply_at_once_each_is_either_in_force_or_told_why_not() {
    let site = Site::new(170);
    let drafts: Vec<_> = (2..6)
        .map(|weight| {
            let text = site.text.replace(SERVER, &WEIGHED.replace('7', &weight.to_string()));
            site.files.write(&format!("draft{weight}.cf"), &text)
        })
        .collect();
    let first = site.json(&["config", "history"])["file"].as_str().expect("a hash").to_owned();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let begun: Vec<_> = drafts
            .iter()
            .map(|draft| {
                let (files, first) = (&site.files, first.as_str());
                let draft = draft.to_str().expect("a plain path");
                scope.spawn(move || piranha(files, &["config", "apply", draft, "--base", first]))
            })
            .collect();
        begun.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    let done = outcomes.iter().filter(|outcome| outcome.status.success()).count();
    assert_eq!(done, 1, "all began from the same file");
    for outcome in outcomes.iter().filter(|outcome| !outcome.status.success()) {
        assert!(text(&outcome.stderr).contains("changed by somebody else"));
    }
    assert_eq!(site.history().len(), 2);
}

#[test]
fn a_watched_file_is_loaded_when_it_is_whole_and_not_before() {
    let mut site = Site::with(171, &["--watch"]);
    let weighed = site.text.replace(SERVER, WEIGHED);
    let (half, rest) = weighed.split_at(weighed.len() - 20);
    site.files.write("lvs.cf", half);
    let line = site.pulse.expect("configuration refused, what ran is still running");
    assert!(line.contains("lvs.cf:"), "{line}");
    assert_eq!(site.weight(), 1);
    let mut file = fs::OpenOptions::new().append(true).open(site.files.path("lvs.cf")).unwrap();
    file.write_all(rest.as_bytes()).unwrap();
    site.pulse.expect("configuration reloaded");
    assert_eq!((site.in_file(), site.weight()), (weighed, 7.into()));
    until("it is recorded", || site.history().len() == 2);
    assert_eq!(site.history()[1].1, "edited");
}
