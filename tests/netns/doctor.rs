//! `piranha doctor` on a machine of its own that is broken and mended again.

use std::process::Command;

use serde_json::Value;

use crate::daemon::Files;
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
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &station.name, PIRANHA, "doctor", "--json"]);
    command.arg("-c").arg(files.path("lvs.cf")).arg("--control").arg(files.path("control"));
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
