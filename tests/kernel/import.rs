//! What keepalived programs from a file, beside what we program from the same file imported; and
//! a table saved by ipvsadm, imported and programmed again.

use std::net::IpAddr;
use std::process::{Child, Command, Stdio};

use piranha::config::import::{Given, Source, import};
use piranha::config::load;
use piranha::control::whole_table;
use piranha::ipvs::{Forwarding, Table};

use crate::lab::{fill, lab, output, results, sh, wait_for};

const KEEPALIVED: &str = include_str!("../conformance/import/keepalived-table/input");

/// The table of the other program's file, as the data plane of a director with that file is to
/// carry it.
fn imported(source: Source, text: &str) -> Table {
    let vips: [IpAddr; 2] = ["192.0.2.80".parse().unwrap(), "2001:db8::80".parse().unwrap()];
    let primary = Some([192, 0, 2, 11].into());
    let given = Given { primary, vips: vips.to_vec(), ..Given::default() };
    let document = import(source, text.as_bytes(), &given).unwrap().document;
    let loaded = load(document.as_bytes());
    whole_table(&loaded.config.unwrap_or_else(|| panic!("{:?}\n{document}", loaded.diagnostics)))
}

/// keepalived with nothing but its IPVS part, gone when this is dropped.
struct Keepalived(Child);

impl Keepalived {
    fn start(text: &str) -> Self {
        // The kernel of the lab is another one than that of its root: /run is the only place.
        let file = "/run/keepalived.conf";
        std::fs::write(file, text).unwrap();
        let log = std::fs::File::create(results().join("keepalived.log")).unwrap();
        let errors = log.try_clone().unwrap();
        let mut command = Command::new("keepalived");
        command.args(["--dont-fork", "--log-console", "--check", "--use-file", file]);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Exit code and standard output of `piranha config diff --running` for a file.
fn diff_running(text: &str) -> (Option<i32>, String) {
    let file = "/run/diff.cf";
    std::fs::write(file, text).unwrap();
    let program = env!("CARGO_BIN_EXE_piranha");
    let output = output(&format!("{program} config diff --running {file}"));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// The sizes of a table: what keepalived is waited for.
fn sizes(table: &Table) -> Vec<usize> {
    table.iter().map(|entry| entry.destinations().len()).collect()
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn an_imported_keepalived_file_makes_the_table_that_keepalived_makes() {
    let mut lab = lab();
    let desired = imported(Source::Keepalived, KEEPALIVED);
    let keepalived = Keepalived::start(KEEPALIVED);
    wait_for("keepalived's table", || sizes(&lab.client.table().unwrap()) == sizes(&desired));
    let theirs = lab.client.table().unwrap();
    drop(keepalived);
    lab.client.danger_flush().unwrap();

    fill(&mut lab.client, &desired);
    let ours = lab.client.table().unwrap();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 10);
    let methods: Vec<_> =
        ours.iter().flat_map(|e| e.destinations()).map(|d| d.forwarding()).collect();
    for method in [Forwarding::Nat, Forwarding::Direct] {
        assert!(methods.contains(&method), "{method} in the lab's file");
    }
    assert!(methods.iter().any(|method| method.is_tunnel()), "a tunnel in the lab's file");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn an_imported_table_of_ipvsadm_is_the_table_it_was() {
    let mut lab = lab();
    sh("ipvsadm -A -t 192.0.2.80:80 -s wrr -p 120 -M 255.255.255.0
        ipvsadm -a -t 192.0.2.80:80 -r 10.0.0.1:8080 -m -w 3
        ipvsadm -a -t 192.0.2.80:80 -r 10.0.0.2:8080 -m -w 0
        ipvsadm -A -t 192.0.2.81:443 -s sh -b sh-fallback,sh-port
        ipvsadm -a -t 192.0.2.81:443 -r 192.0.2.101:443 -g -w 1
        ipvsadm -A -t 192.0.2.81:444 -s rr
        ipvsadm -a -t 192.0.2.81:444 -r 198.51.100.1:444 -i -w 1
        ipvsadm -A -u 192.0.2.81:53 -s rr -o
        ipvsadm -a -u 192.0.2.81:53 -r 10.0.0.3:53 -m -w 1
        ipvsadm -A -t [2001:db8::80]:80 -s rr -p 360 -M 64
        ipvsadm -a -t [2001:db8::80]:80 -r [fd00::1]:80 -m -w 1
        ipvsadm -A -f 7 -s lblc -p 60
        ipvsadm -a -f 7 -r 192.0.2.103:80 -g -w 5
        ipvsadm -A -f 8 -6 -s rr
        ipvsadm -a -f 8 -6 -r [2001:db8::101]:80 -g -w 1");
    let before = lab.client.table().unwrap();
    let desired = imported(Source::Ipvsadm, &sh("ipvsadm -Sn"));
    lab.client.danger_flush().unwrap();
    fill(&mut lab.client, &desired);
    assert_eq!(lab.client.table().unwrap(), before);
    assert_eq!(before.len(), 7);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn diff_running_is_silent_about_an_equal_table_and_shows_a_weight_that_differs() {
    let mut lab = lab();
    let text = "primary = 192.0.2.11
virtual four {
    active = 1
    address = 192.0.2.80 eth0:1
    port = 80
    server one {
        address = 10.0.0.1
        active = 1
        weight = 10
    }
}
virtual six {
    active = 1
    address = 2001:db8::80 eth0
    protocol = udp
    port = 53
    check = icmp
    server one {
        address = fd00::1
        active = 1
        weight = 3
    }
}
";
    let config = load(text.as_bytes()).config.unwrap();
    assert_eq!(diff_running(text).0, Some(1), "an empty table is another one");
    fill(&mut lab.client, &whole_table(&config));
    assert_eq!(diff_running(text), (Some(0), String::new()));
    sh("ipvsadm -A -t 192.0.2.99:99 -s rr");
    assert_eq!(diff_running(text), (Some(0), String::new()), "a service of somebody else");

    let four = "-e -t 192.0.2.80:80 -r 10.0.0.1:80 -m -w 20\n";
    let six = "-e -u [2001:db8::80]:53 -r [fd00::1]:53 -m -w 4\n";
    let (code, shown) = diff_running(&text.replace("weight = 10", "weight = 20"));
    assert_eq!((code, shown.as_str()), (Some(1), four));
    let (code, shown) = diff_running(&text.replace("weight = 3", "weight = 4"));
    assert_eq!((code, shown.as_str()), (Some(1), six));
    assert_eq!(diff_running("nonsense").0, Some(2), "trouble is no difference");

    sh(&format!("ipvsadm {four}"));
    assert_eq!(diff_running(&text.replace("weight = 10", "weight = 20")).0, Some(0));
}
