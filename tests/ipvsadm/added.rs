//! What ours has that the original has not.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read};

use piranha::cli::ipvsadm::kernel::{Kernel, MemoryKernel};
use piranha::cli::ipvsadm::{NoNames, Session};
use proptest::prelude::*;
use proptest::{collection, sample};

use super::shared::SharedKernel;
use super::{Step, answer, round_trip};

fn run(kernel: &SharedKernel, command: &str, input: &str) -> String {
    let step = Step { command: command.to_owned(), input: input.to_owned(), ..Step::default() };
    answer(&step, kernel)
}

fn kernel() -> SharedKernel {
    SharedKernel::new(MemoryKernel::default())
}

#[test]
fn a_checked_restore_with_a_mistake_changes_nothing_and_names_every_line() {
    let kernel = kernel();
    let input =
        "# services\n-A -t 10.0.0.1:80\n-A -t 10.0.0.2\n\n-a -t 10.0.0.1:80 -r x y\n--bogus\n";
    assert_eq!(
        run(&kernel, "ipvsadm -R --check", input),
        "! Zero port specified for non-persistent service\n\
         !   in line 3: -A -t 10.0.0.2\n\
         ! illegal real server address[:port] specified\n\
         !   in line 5: -a -t 10.0.0.1:80 -r x y\n\
         ! Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n\
         !   in line 6: --bogus\n\
         ! Nothing was changed.\n\
         = 255\n"
    );
    assert_eq!(run(&kernel, "ipvsadm -Sn", ""), "");
    assert_eq!(run(&kernel, "ipvsadm -R --check", "-A -t 10.0.0.1:80 -s rr\n"), "");
    assert_eq!(run(&kernel, "ipvsadm -Sn", ""), "| -A -t 10.0.0.1:80 -s rr\n");
}

#[test]
fn an_unchecked_restore_names_the_line_it_stops_at() {
    let kernel = kernel();
    let input = "-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.1:80\n-A -t 10.0.0.2\n-A -t 10.0.0.3:80\n";
    assert_eq!(
        run(&kernel, "ipvsadm -R", input),
        "! Service already exists\n\
         !   in line 2: -A -t 10.0.0.1:80\n\
         ! Zero port specified for non-persistent service\n\
         !   in line 3: -A -t 10.0.0.2\n\
         = 2\n"
    );
    assert_eq!(run(&kernel, "ipvsadm -Sn", ""), "| -A -t 10.0.0.1:80 -s rr\n");
}

#[test]
fn a_dry_run_prints_the_change_and_makes_none() {
    let kernel = kernel();
    let lines = [
        ("-A -t 10.0.0.1:80", "-A -t 10.0.0.1:80 -s wlc"),
        ("-a -f 7 -6 -r [::1]:80 -m -x 9", "-a -f 7 -6 -r [::1]:80 -m -w 1 -x 9"),
        ("-D -u 10.0.0.1:53", "-D -u 10.0.0.1:53"),
        ("-C", "-C"),
        ("-Z", "-Z"),
        ("--set 1 0 2", "--set 1 0 2"),
        ("--stop-daemon backup", "--stop-daemon backup"),
        (
            "--start-daemon master --mcast-ttl 3",
            "--start-daemon master --mcast-interface eth0 --syncid 0 --mcast-ttl 3",
        ),
    ];
    for (command, printed) in lines {
        let answer = run(&kernel, &format!("ipvsadm {command} --dry-run"), "");
        assert_eq!(answer, format!("| {printed}\n"));
    }
    let input = lines.map(|(command, _)| command).join("\n");
    let all: String = lines.map(|(_, printed)| format!("| {printed}\n")).concat();
    assert_eq!(run(&kernel, "ipvsadm -R --dry-run", &input), all);
    assert_eq!(run(&kernel, "ipvsadm -Sn", ""), "");
}

#[test]
fn every_list_is_also_json() {
    let kernel = kernel();
    let input = "-A -t 10.0.0.1:80 -p 60 -M 255.255.0.0\n\
                 -a -t 10.0.0.1:80 -r 10.1.0.1 -i --tun-type gue --tun-port 6080\n\
                 -A -f 7 -6\n\
                 --start-daemon backup --mcast-interface dum0\n";
    assert_eq!(run(&kernel, "ipvsadm -R", input), "");
    let json = |command: &str| -> serde_json::Value {
        let answer = run(&kernel, command, "");
        let text = answer.lines().map(|line| line.strip_prefix('|').unwrap());
        serde_json::from_str(&text.collect::<String>()).unwrap()
    };
    let table = json("ipvsadm -L --json");
    assert_eq!(table["version"], "1.2.1");
    assert_eq!(table["services"][0]["address"], "10.0.0.1:80");
    assert_eq!(table["services"][0]["persistence"]["prefix"], 16);
    assert_eq!(table["services"][0]["servers"][0]["tunnel"]["port"], 6080);
    assert_eq!(table["services"][1]["fwmark"], 7);
    assert_eq!(json("ipvsadm -L -f 7 -6 --json")["services"][0]["family"], "ipv6");
    assert_eq!(json("ipvsadm -L --timeout --json")["tcp_fin"], 120);
    assert_eq!(json("ipvsadm -L --daemon --json")["daemons"][0]["interface"], "dum0");
    assert_eq!(json("ipvsadm -L -c --json")["connections"], serde_json::json!([]));
}

#[test]
fn what_is_saved_restores_to_the_same() {
    let first = kernel();
    let mut input = String::new();
    for i in 0..3000 {
        let vip = format!("10.{}.{}.1:80", i / 250, i % 250);
        writeln!(input, "-A -t {vip} -s sh -b sh-port\n-a -t {vip} -r 10.200.0.1:80 -m -w {i}")
            .unwrap();
    }
    assert_eq!(run(&first, "ipvsadm -R", &input), "");
    let saved = run(&first, "ipvsadm -Sn", "");
    let lines = saved.lines().map(|line| line.strip_prefix("| ").unwrap());
    let second = kernel();
    assert_eq!(run(&second, "ipvsadm -R", &lines.collect::<Vec<_>>().join("\n")), "");
    assert_eq!(run(&second, "ipvsadm -Sn", ""), saved);
}

#[test]
fn ipvsadm_restore_replaces_the_table_and_ipvsadm_save_prints_it() {
    let kernel = kernel();
    run(&kernel, "ipvsadm -A -t 10.0.0.9:80", "");
    let rules = "# saved\n-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 3\n";
    assert_eq!(run(&kernel, "/usr/sbin/ipvsadm-restore", rules), "");
    let saved = "| -A -t 10.0.0.1:80 -s rr\n| -a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 3\n";
    assert_eq!(run(&kernel, "ipvsadm-save -n", ""), saved);
    let named = saved.replace(":80 ", ":http ");
    assert_eq!(run(&kernel, "ipvsadm-save", ""), named);
    assert!(run(&kernel, "ipvsadm-save -x", "").ends_with("= 1\n"));
}

#[test]
fn ipvsadm_restore_clears_nothing_when_it_checks_and_finds_a_mistake() {
    let kernel = kernel();
    run(&kernel, "ipvsadm -A -t 10.0.0.9:80 -s rr", "");
    let before = "| -A -t 10.0.0.9:80 -s rr\n";
    let answer = run(&kernel, "ipvsadm-restore --check", "-A -t 10.0.0.1:80\n-A -t x y\n");
    assert!(answer.contains("in line 2") && answer.ends_with("= 2\n"), "{answer}");
    assert_eq!(run(&kernel, "ipvsadm -Sn", ""), before);
    assert!(run(&kernel, "ipvsadm-restore --chek", "").ends_with("= 2\n"));
    assert_eq!(
        run(&kernel, "ipvsadm-restore --dry-run", "-A -t 10.0.0.1:80\n"),
        "| -C\n| -A -t 10.0.0.1:80 -s wlc\n"
    );
    assert_eq!(run(&kernel, "ipvsadm -Sn", ""), before);
    assert_eq!(run(&kernel, "ipvsadm-restore --check", "-A -t 10.0.0.1:80\n"), "");
    assert_eq!(run(&kernel, "ipvsadm -Sn", ""), "| -A -t 10.0.0.1:80 -s wlc\n");
}

/// What a slow program writes: each piece comes when the one before it was taken, and at each the
/// table is looked at.
struct Pieces {
    pieces: Vec<&'static [u8]>,
    kernel: SharedKernel,
    services_seen: Vec<usize>,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.services_seen.push(self.kernel.services()?.len());
        Ok(self.pieces.first().copied().unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        if amount > 0 {
            assert_eq!(self.pieces.remove(0).len(), amount);
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        unreachable!("a restore takes what has arrived")
    }
}

#[test]
fn a_restore_carries_out_what_has_arrived_before_it_waits_for_more() {
    let kernel = kernel();
    let mut input = Pieces {
        pieces: vec![b"-A -t 10.0.0.1:80\n-A -t 10", b".0.0.2", b":80\n", b"-A -t 10.0.0.3:80"],
        kernel: kernel.clone(),
        services_seen: Vec::new(),
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut open = || Ok(Box::new(kernel.clone()) as Box<dyn Kernel>);
    let mut session = Session::new("ipvsadm", &NoNames, &mut input, &mut out, &mut err, &mut open);
    assert_eq!(session.run_words(&["-R"]).unwrap(), 0);
    assert_eq!(input.services_seen, [0, 1, 1, 2, 2]);
    assert_eq!(run(&kernel, "ipvsadm -Sn", "").lines().count(), 3);
}

/// Words of the grammar and values of all kinds, so that many lines mean something.
fn words() -> impl Strategy<Value = Vec<String>> {
    const WORDS: [&str; 60] = [
        "-A",
        "-E",
        "-D",
        "-a",
        "-e",
        "-d",
        "-C",
        "-Z",
        "-L",
        "--set",
        "-t",
        "-u",
        "--sctp-service",
        "-f",
        "-6",
        "-s",
        "-p",
        "-M",
        "--pe",
        "-b",
        "-o",
        "-r",
        "-g",
        "-i",
        "-m",
        "-w",
        "-x",
        "-y",
        "--tun-type",
        "--tun-port",
        "--tun-csum",
        "--tun-nocsum",
        "--tun-remcsum",
        "gue",
        "gre",
        "--start-daemon",
        "--stop-daemon",
        "master",
        "backup",
        "--syncid",
        "--mcast-group",
        "224.0.0.9",
        "--mcast-port",
        "--mcast-ttl",
        "--sync-maxlen",
        "--mcast-interface",
        "eth1",
        "10.0.0.1:80",
        "10.0.0.2",
        "[2001:db8::1]:80",
        "::1",
        "0",
        "7",
        "60",
        "64",
        "255.255.255.0",
        "sh",
        "sh-port,flag-3",
        "sip",
        "--",
    ];
    let word = prop_oneof![9 => sample::select(&WORDS[..]).prop_map(str::to_owned), 1 => ".{0,6}"];
    let service = sample::select(vec![
        vec!["-A", "-t", "10.0.0.1:80"],
        vec!["-E", "-f", "9"],
        vec!["-a", "-t", "10.0.0.1:80", "-r", "10.0.0.2:8080"],
        vec!["-e", "-f", "9", "-6", "-r", "[2001:db8::2]:80"],
        vec!["--start-daemon", "backup"],
        vec![],
    ]);
    (service, collection::vec(word, 0..8))
        .prop_map(|(first, rest)| first.into_iter().map(str::to_owned).chain(rest).collect())
}

proptest! {
    #[test]
    fn what_is_understood_can_be_written(words in words()) {
        round_trip::what_is_understood_can_be_written(&words);
    }

    #[test]
    fn a_checked_restore_is_all_or_nothing(lines in collection::vec(words(), 0..5)) {
        let lines: Vec<String> = lines.iter().map(|words| words.join(" ")).collect();
        round_trip::a_checked_restore_is_all_or_nothing(lines.join("\n").as_bytes());
    }
}
