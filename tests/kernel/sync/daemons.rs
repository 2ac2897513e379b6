//! What one director does about its sync daemons.

use std::fs;
use std::path::PathBuf;

use super::running;
use crate::daemon::{Daemon, Files, LVS};
use crate::lab::{Lab, lab, sh, wait_for};
use crate::net::Net;

struct Setting {
    files: Files,
    _net: Net,
    _lab: Lab,
}

impl Setting {
    fn new() -> Self {
        let lab = lab();
        sh("rm -rf /run/piranha");
        Self { files: Files::new(), _net: Net::routed(), _lab: lab }
    }

    /// `lvs` alone, with these settings of synchronisation.
    fn lvs(&self, settings: &str) -> Daemon {
        let config = self.write(settings);
        Daemon::start("ip", &["netns", "exec", "director", LVS, "-c", config.to_str().unwrap()])
    }

    fn write(&self, settings: &str) -> PathBuf {
        let text = format!(
            "role = primary\nprimary = 10.1.0.1\ndataplane = kernel\n{settings}\nvirtual web {{\n    \
             active = 1\n    address = 10.1.0.100 c0:1\n    check = icmp\n    timeout = 1s\n    \
             server one {{\n        address = 10.2.1.2\n        active = 1\n    }}\n}}\n"
        );
        self.files.write("lvs.cf", &text)
    }
}

/// The kernel's threads that synchronise, by name and number.
fn threads() -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let named = processes.filter_map(|process| {
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        let number = process.file_name().into_string().ok()?;
        name.starts_with("ipvs-").then(|| format!("{} {number}", name.trim_end()))
    });
    let mut threads: Vec<_> = named.collect();
    threads.sort_unstable();
    threads
}

fn line(role: &str, interface: &str, id: u8, port: u16) -> String {
    format!(
        "{role} sync daemon (mcast={interface}, syncid={id}, maxlen=1472, group=224.0.0.81, \
         port={port}, ttl=1)"
    )
}

fn both(interface: &str, port: u16) -> Vec<String> {
    vec![line("backup", interface, 7, port), line("master", interface, 7, port)]
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn what_runs_as_wanted_outlives_lvs_untouched_and_what_does_not_is_replaced() {
    let setting = Setting::new();
    sh("ip netns exec director ipvsadm --start-daemon master --mcast-interface s2 --syncid 9
        ip netns exec director ipvsadm --start-daemon backup --mcast-interface s1 --syncid 7");
    let backup = threads().into_iter().find(|thread| thread.starts_with("ipvs-b:")).unwrap();
    let settings = "syncdaemon = 1\nsyncd_iface = s1\nsyncd_id = 7";
    let mut lvs = setting.lvs(settings);
    lvs.expect("stopped the master sync daemon on s2, id 9");
    lvs.expect("started the master sync daemon on s1, id 7");
    lvs.expect("addresses up");
    assert_eq!(running("director"), both("s1", 8848));
    assert!(threads().contains(&backup));

    let before = threads();
    lvs.signal("KILL");
    let _ = lvs.end();
    let mut lvs = setting.lvs(settings);
    lvs.expect("addresses up");
    setting.write(&format!("{settings}\ntcp_timeout = 900"));
    lvs.signal("HUP");
    lvs.expect("configuration reloaded");
    assert_eq!(threads(), before);

    setting.write(&format!("{settings}\nsyncd_port = 8850"));
    lvs.signal("HUP");
    wait_for("the port", || running("director") == both("s1", 8850));
    lvs.signal("TERM");
    let (status, log) = lvs.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(running("director"), both("s1", 8850), "they stay, as the table does");

    let mut lvs = setting.lvs(&format!("{settings}\nsyncd_port = 8850"));
    lvs.expect("addresses up");
    setting.write("syncdaemon = 0");
    lvs.signal("HUP");
    lvs.expect("stopped the backup sync daemon on s1, id 7");
    wait_for("their end", || running("director").is_empty());
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn daemons_of_others_are_left_alone_where_none_are_wanted() {
    let setting = Setting::new();
    sh("ip netns exec director ipvsadm --start-daemon master --mcast-interface s2 --syncid 9");
    let mut lvs = setting.lvs("");
    lvs.expect("addresses up");
    lvs.expect("warm");
    lvs.signal("TERM");
    let (_, log) = lvs.end();
    assert!(!log.contains("sync daemon"), "{log}");
    assert_eq!(running("director"), [line("master", "s2", 9, 8848)]);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn an_interface_that_is_not_ready_is_told_once_keeps_nothing_waiting_and_is_taken_when_it_is() {
    let setting = Setting::new();
    let mut lvs = setting.lvs("syncdaemon = 1\nsyncd_iface = late\nsyncd_id = 7");
    let told = lvs.expect("connections are not synchronised");
    assert!(told.contains("there is no such interface: see syncd_iface"), "{told}");
    lvs.expect("addresses up");
    sh("ip -n director link add late type dummy");
    let told = lvs.expect("connections are not synchronised");
    assert!(told.contains("must be up and have an address"), "{told}");
    sh("ip -n director addr add 10.9.0.1/24 dev late\nip -n director link set late up");
    lvs.expect("started the backup sync daemon on late, id 7");
    assert_eq!(running("director"), both("late", 8848));
    sh("ip netns exec director ipvsadm --stop-daemon backup");
    lvs.expect("started the backup sync daemon on late, id 7");
    lvs.signal("TERM");
    let (_, log) = lvs.end();
    assert_eq!(log.matches("no such interface").count(), 1, "{log}");
    assert_eq!(log.matches("must be up").count(), 1, "{log}");
}
