//! `piranha doctor` on a machine of its own that is broken and mended again.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::daemon::{Files, until};
use crate::pair::Pair;
use crate::wire::{Station, VIP4, Wire, sh};

const PIRANHA: &str = env!("CARGO_BIN_EXE_piranha");

const CONFIG: &str = "primary = 10.77.0.1
backup = 10.77.0.2
backup_active = 1
dataplane = kernel
network = nat
virtual web {
    active = 1
    address = 10.77.0.100 eth0:1
    port = 80
    server web1 {
        address = 10.77.0.3
        active = 1
    }
}
";

/// The codes of what the doctor finds at `station`.
fn found(station: &Station, files: &Files) -> Vec<String> {
    let control = files.path("control");
    codes(station, &files.path("lvs.cf"), &["--control", control.to_str().expect("a plain path")])
}

fn codes(station: &Station, file: &Path, options: &[&str]) -> Vec<String> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &station.name, PIRANHA, "doctor", "--json", "-c"]);
    command.arg(file).args(options);
    let output = command.output().expect("piranha starts");
    let seen: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = seen["findings"].as_array().expect("a list");
    findings.iter().filter_map(|finding| finding["code"].as_str()).map(str::to_owned).collect()
}

fn set(station: &Station, setting: &str, value: &str) {
    sh(&format!("ip netns exec {} sh -c 'echo {value} > /proc/sys/{setting}'", station.name));
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn what_is_broken_is_found_and_what_is_mended_is_not() {
    let wire = Wire::new();
    let [first, second] = [1, 2].map(|number| wire.station(number));
    let files = Files::new();
    files.write("lvs.cf", CONFIG);
    let finds = |code: &str| found(&first, &files).iter().any(|found| found == code);

    set(&first, "net/ipv4/ip_forward", "0");
    assert!(finds("no_forwarding"));
    set(&first, "net/ipv4/ip_forward", "1");
    assert!(!finds("no_forwarding"));

    second.ip(&format!("address add {VIP4}/32 dev eth0"));
    assert!(finds("address_conflict"));
    second.ip(&format!("address del {VIP4}/32 dev eth0"));
    assert!(!finds("address_conflict"));

    first.ip("link add up0 type veth peer name up1");
    first.ip("link set up1 up");
    first.ip("link set up0 up");
    for name in ["eth0", "up0"] {
        set(&first, &format!("net/ipv4/conf/{name}/rp_filter"), "0");
    }
    set(&first, "net/ipv4/conf/all/rp_filter", "1");
    first.ip("address add 10.77.0.9/24 dev up0");
    assert!(finds("reverse_path"));
    set(&first, "net/ipv4/conf/all/rp_filter", "2");
    assert!(!finds("reverse_path"));

    first.ip("link set eth0 down");
    assert!(finds("link_down"));
    first.ip("link set eth0 name lan0");
    assert!(finds("no_interface"));
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn on_a_pair_the_partner_is_no_stranger_and_one_that_is_not_understood_is_told_of_on_both_nodes() {
    let pair = Pair::new();
    let tells = |number: u8, code: &str| {
        let file = pair.files.path(&number.to_string());
        codes(&pair.wire.station(number), &file, &[]).iter().any(|found| found == code)
    };
    let (_primary, backup) = pair.started();
    for number in [1, 2] {
        for code in ["address_conflict", "heartbeat_version", "not_running"] {
            assert!(!tells(number, code), "{code} on node {number}");
        }
    }
    backup.signal("TERM");
    let _ = backup.end();
    assert!(tells(2, "not_running"));
    let text = std::fs::read_to_string(pair.files.path("2")).expect("it was written");
    pair.files.write("2", &format!("heartbeat_version = 1\n{text}"));
    let _backup = pair.start(2);
    for number in [1, 2] {
        until("each says that it does not understand the other", || {
            tells(number, "heartbeat_version")
        });
    }
}
