//! The same table by this library and by Debian's ipvsadm, both ways.

use std::io::Write;
use std::process::{Command, Stdio};

use piranha::ipvs::{Forwarding, Table, Thresholds};

use crate::lab::{fill, lab, sh, table};
use crate::samples;

/// What ipvsadm cannot say: thresholds it does not save, local delivery it prints as routing.
fn as_ipvsadm_says(whole: &Table) -> Table {
    let entries: Vec<_> = whole
        .iter()
        .map(|entry| {
            let said = entry.destinations().map(|d| {
                let forwarding = match d.forwarding() {
                    Forwarding::Local => Forwarding::Direct,
                    other => other,
                };
                d.with_thresholds(Thresholds::NONE).with_forwarding(forwarding)
            });
            (entry.service().clone(), said.collect())
        })
        .collect();
    table(&entries)
}

fn restore(rules: &str) {
    let mut command = Command::new("ipvsadm");
    let mut child = command.arg("-R").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn what_we_write_ipvsadm_saves_and_what_it_restores_we_read() {
    let mut lab = lab();
    let whole = samples::everything();
    fill(&mut lab.client, &whole);
    let rules = sh("ipvsadm -Sn");
    for expected in [
        "-A -t 192.0.2.1:80 -s wlc\n",
        "-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 1\n",
        "-a -t 192.0.2.1:80 -r 10.0.0.5:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum\n",
        "-a -t 192.0.2.1:80 -r 10.0.0.8:80 -i -w 1 --tun-type gre --tun-csum\n",
        "-A -t [2001:db8::1]:80 -s rr -p 360 -M 64\n",
        "-A -u 192.0.2.1:53 -s sh -o -b sh-fallback,sh-port\n",
        "-A -u 192.0.2.1:5060 -s wlc -p 60 --pe sip\n",
        "-A -t 192.0.2.2:0 -s wlc -p 2678400 -M 255.255.255.0\n",
    ] {
        assert!(rules.contains(expected), "{expected} is missing in\n{rules}");
    }
    assert_eq!(
        rules.lines().count(),
        9 + whole.iter().map(|e| e.destinations().len()).sum::<usize>()
    );

    lab.client.danger_flush().unwrap();
    // It prints a mark as a signed number, which it does not read.
    restore(&rules.replace("-f -1 ", "-f 4294967295 "));
    assert_eq!(sh("ipvsadm -Sn"), rules);
    assert_eq!(lab.client.table().unwrap(), as_ipvsadm_says(&whole));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn its_thresholds_and_ours_are_the_same() {
    let mut lab = lab();
    sh("ipvsadm -A -t 192.0.2.1:80 -s wrr
        ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 3 -x 100 -y 70");
    let read = lab.client.table().unwrap();
    let destination = *read.iter().next().unwrap().destinations().next().unwrap();
    assert_eq!(destination.thresholds(), Thresholds::new(100, 70).unwrap());
    let edited = destination.with_thresholds(Thresholds::new(200, 0).unwrap());
    lab.client.edit_destination(crate::lab::tcp("192.0.2.1:80"), edited).unwrap();
    let listed = sh("ipvsadm -Ln --thresholds");
    assert!(
        listed.ends_with(
            "  -> 10.0.0.1:8080                200        0          0          0         \n"
        ),
        "{listed:?}"
    );
}
