//! Ours beside Debian's ipvsadm on the same kernel: tables both ways, and every command line.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use piranha::ipvs::{Forwarding, Table, Thresholds};

use crate::lab::{fill, lab, sh, table, wait_for};
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

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn what_ours_saves_debians_restores_and_back() {
    let _lab = lab();
    let pair = Pair::new();
    pair.reset(&corpus::MANY);
    let save = Step::new("-S -n");
    let saved = pair::ours(&pair.ours, &save).out;
    assert!(saved.lines().count() == corpus::MANY.len(), "{saved}");
    pair.reset(&[]);
    let restore = |input: &str| Step { input: input.to_owned(), ..Step::new("-R") };
    assert_eq!(pair.answers(&restore(&saved)).unwrap().code, 0);
    pair.agree("Debian's restored what ours saved").unwrap();
    let saved_again = pair::theirs(&pair.theirs, &save).out;
    assert_eq!(saved_again, saved);
    assert_eq!(pair::ours(&pair.ours, &Step::new("-C")).code, 0);
    assert_eq!(pair::ours(&pair.ours, &restore(&saved_again)).code, 0);
    pair.agree("ours restored what Debian's saved").unwrap();
}

/// The binary, for what is not within reach of this process.
const PROGRAM: &str = env!("CARGO_BIN_EXE_ipvsadm");

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn by_its_other_names_the_program_does_what_debians_scripts_do() {
    let _lab = lab();
    let pair = Pair::new();
    pair.reset(&corpus::MANY);
    let same = |name: &str, step: &Step| {
        let script = format!("/usr/sbin/{name}");
        let theirs = pair::started(&pair.theirs, &script, name, step);
        let ours = pair::started(&pair.ours, PROGRAM, name, step);
        assert_eq!(ours.code, theirs.code, "{name} {step}");
        assert_eq!(ours.out, theirs.out, "{name} {step}");
        theirs
    };
    let saved = same("ipvsadm-save", &Step::new("-n"));
    assert_eq!(saved.out.lines().count(), corpus::MANY.len());
    assert_eq!(same("ipvsadm-save", &Step::new("-x")).code, 1);
    let inputs = ["# saved\n-A -t 10.0.0.3:80 -s rr\n", "", "-A -t 10.0.0.4:80\n-A -t x y\n-C\n"];
    for input in inputs.into_iter().chain([saved.out.as_str()]) {
        same("ipvsadm-restore", &Step { input: input.to_owned(), ..Step::default() });
        pair.agree(&format!("after the restore of\n{input}")).unwrap();
    }
    for line in ["-L -n", "-A -t 10.0.0.9", "-D -t 10.0.0.9:80", "--bogus", "-L -t 10.0.0.9:80"] {
        let step = Step::new(line);
        let ours = pair::started(&pair.theirs, PROGRAM, "ipvsadm", &step);
        assert_eq!(ours, pair::theirs(&pair.theirs, &step), "{line}");
    }
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn traffic_is_counted_and_its_connections_are_listed_as_by_debians() {
    let _lab = lab();
    let pair = Pair::new();
    pair.reset(&[
        "-A -u 10.9.9.9:53 -s rr",
        "-a -u 10.9.9.9:53 -r 127.0.0.1:53 -m",
        "-A -t 10.9.9.9:80 -s rr -p 60",
        "-a -t 10.9.9.9:80 -r 127.0.0.1:80 -m",
        "-A -t [fd00:9::9]:80 -s rr",
        "-a -t [fd00:9::9]:80 -r [::1]:80 -m",
    ]);
    let talk = || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for _ in 0..3 {
            let _ = socket.send_to(b"question", "10.9.9.9:53");
        }
        for address in ["10.9.9.9:80", "[fd00:9::9]:80"] {
            let _ = TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_secs(2));
        }
    };
    pair.theirs.run(talk).unwrap();
    let connections = pair::theirs(&pair.theirs, &Step::new("-L -n -c")).out;
    assert!(connections.lines().count() > 4, "{connections}");
    for list in LISTS.into_iter().chain(["-L -c", "-L -n -c --persistent-conn", "-L", "-L --stats"])
    {
        let step = Step::new(list);
        // Seconds pass between the two.
        wait_for(list, || {
            pair::started(&pair.theirs, PROGRAM, "ipvsadm", &step)
                == pair::theirs(&pair.theirs, &step)
        });
    }
    // The kernel adds its counters up every two seconds.
    let counters = Step::new("-L -n --stats -u 10.9.9.9:53");
    wait_for("the counters", || {
        let counted = pair::theirs(&pair.theirs, &counters).out;
        counted.contains("UDP  10.9.9.9:53                         1        3")
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn what_ours_has_more_works_for_a_user_of_the_program() {
    let _lab = lab();
    let pair = Pair::new();
    pair.reset(&corpus::MANY);
    let run = |line: &str, input: &str| {
        let step = Step { input: input.to_owned(), ..Step::new(line) };
        pair::started(&pair.ours, PROGRAM, "ipvsadm", &step)
    };
    for list in LISTS.iter().filter(|list| list.starts_with("-L")) {
        let answer = run(&format!("{list} --json"), "");
        let json: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
        assert!(json.is_object() && answer.code == 0, "{list}: {}", answer.out);
    }
    let saved = run("-S -n", "").out;
    for line in ["-C", "-D -t 10.0.0.1:80", "-Z", "--set 1 2 3", "--stop-daemon master"] {
        assert_eq!(run(&format!("{line} --dry-run"), "").out, format!("{line}\n"));
    }
    let mistaken = run("-R --check", "-C\n-A -t 10.0.0.8:80\n-A -t 10.0.0.9\n");
    assert_eq!(mistaken.code, 2);
    assert!(mistaken.err.contains("  in line 3: -A -t 10.0.0.9\n"), "{}", mistaken.err);
    assert_eq!(run("-S -n", "").out, saved);
    // A refusal of the kernel among thousands that succeed names its line too.
    let mut rules: Vec<String> = (0..5000).map(|n| format!("-A -f {} -s rr\n", 100 + n)).collect();
    rules[3210] = "-A -f 100 -s rr\n".to_owned();
    let refused = run("-R --check", &rules.concat());
    assert_eq!(refused.err, "Service already exists\n  in line 3211: -A -f 100 -s rr\n");
    assert_eq!(run("-S -n", "").out.lines().count(), corpus::MANY.len() + 4999);
}
