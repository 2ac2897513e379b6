//! Ours beside Debian's ipvsadm on the same kernel: tables both ways, and every command line.

use std::io::Write;
use std::process::{Command, Stdio};

use piranha::ipvs::{Forwarding, Table, Thresholds};

use crate::lab::{fill, lab, sh, table};
use crate::samples;

mod corpus;
#[path = "../ipvsadm/differences.rs"]
mod differences;
mod pair;

use differences::DIFFERENCES;
use pair::{Pair, Step};

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

/// Every list of ipvsadm, by numbers.
const LISTS: [&str; 12] = [
    "-S -n",
    "-L -n",
    "-L -n --stats",
    "-L -n --stats --exact",
    "-L -n --rate",
    "-L -n --rate -X",
    "-L -n --thresholds",
    "-L -n --persistent-conn",
    "-L -n --tun-info",
    "-L -n -c",
    "-L --timeout",
    "-L --daemon",
];

/// Gives each line to both, on the table that `before` makes.
fn compare(pair: &Pair, before: &[&str], lines: &[Step]) -> String {
    let mut differences = String::new();
    pair.reset(before);
    let mut refused = 0;
    for line in lines {
        let answer = pair.answers(line);
        // What is refused changes nothing, so many of those are looked at together.
        if answer.as_ref().is_ok_and(|answer| answer.code != 0) && refused < 50 {
            refused += 1;
            continue;
        }
        refused = 0;
        let agreed = answer.and_then(|_| pair.agree(&format!("after {line}")));
        differences.extend(agreed.err());
        pair.reset(before);
    }
    differences.extend(pair.agree("after all").err());
    differences
}

fn assert_alike(before: &[&str], lines: &[Step]) {
    let _lab = lab();
    assert!(!lines.is_empty());
    let differences = compare(&Pair::new(), before, lines);
    assert!(differences.is_empty(), "of {} lines\n{differences}", lines.len());
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn each_option_is_taken_or_refused_with_each_command_as_by_debians() {
    assert_alike(&corpus::BEFORE, &corpus::each_option_with_each_command());
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn each_spelling_of_an_option_means_what_it_means_to_debians() {
    assert_alike(&corpus::BEFORE, &corpus::each_spelling());
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn each_value_is_taken_or_refused_as_by_debians() {
    assert_alike(&corpus::BEFORE, &corpus::values());
    assert_alike(&corpus::BEFORE, &corpus::tunnels());
    assert_alike(&corpus::BEFORE, &corpus::misshapen());
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn each_list_is_debians_to_the_byte() {
    assert_alike(&corpus::MANY, &corpus::each_pair_of_views());
    let _lab = lab();
    let pair = Pair::new();
    pair.reset(&corpus::MANY);
    pair.crosswise(&LISTS).unwrap();
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn each_known_difference_is_one_and_there_is_its_reason() {
    let _lab = lab();
    let pair = Pair::new();
    for difference in DIFFERENCES {
        let Some((last, first)) = difference.shown_by.split_last() else {
            continue;
        };
        pair.reset(&[]);
        for line in first {
            pair.answers(&Step::new(line)).unwrap();
        }
        let step = Step { input: difference.input.to_owned(), ..Step::new(last) };
        let alike = pair.answers(&step).and_then(|_| pair.agree(last));
        assert!(alike.is_err(), "{step} is answered alike: {}", difference.reason);
    }
}

/// The transcripts that tests/ipvsadm replays without a kernel. A line `$ ipvsadm ...` is a command
/// and `< ` its input.
const TRANSCRIPTS: [&str; 9] = [
    include_str!("../ipvsadm/golden/usage.txt"),
    include_str!("../ipvsadm/golden/order.txt"),
    include_str!("../ipvsadm/golden/parse.txt"),
    include_str!("../ipvsadm/golden/edit.txt"),
    include_str!("../ipvsadm/golden/tunnel.txt"),
    include_str!("../ipvsadm/golden/settings.txt"),
    include_str!("../ipvsadm/golden/restore.txt"),
    include_str!("../ipvsadm/golden/sort.txt"),
    include_str!("../ipvsadm/golden/names.txt"),
];

fn steps(transcript: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in transcript.lines() {
        if let Some(command) = line.strip_prefix("$ ipvsadm") {
            steps.push(Step::new(command));
        } else if let (Some(input), Some(step)) = (line.strip_prefix('<'), steps.last_mut()) {
            step.input += input.strip_prefix(' ').unwrap_or(input);
            step.input.push('\n');
        }
    }
    steps
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn what_was_recorded_from_debians_ipvsadm_is_what_it_and_ours_do() {
    let _lab = lab();
    let pair = Pair::new();
    let mut differences = String::new();
    for transcript in TRANSCRIPTS {
        pair.reset(&[]);
        for step in steps(transcript) {
            differences.extend(pair.answers(&step).err());
        }
        differences.extend(pair.agree("after the transcript").err());
    }
    assert!(differences.is_empty(), "{differences}");
}
