//! Transcripts of Debian's ipvsadm 1.31-1+b1 on Linux 6.1.176 with IPVS, replayed by ours on a
//! kernel in memory. `golden/` holds them as they were recorded, to the byte, but for
//! `differs.txt`: there ours answers as in `ours.txt`, on purpose.
//!
//! A line `$ ipvsadm ...` is a command, `< ` its input, `| ` its output, `! ` its complaints and
//! `= ` its exit code unless that is 0.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;

use piranha::cli::ipvsadm::kernel::{Kernel, MemoryKernel};
use piranha::cli::ipvsadm::{Names, Session};
use piranha::net::Protocol;

mod added;
mod differences;
mod manual;
mod round_trip;
mod shared;

use shared::SharedKernel;

/// A command of a transcript and what came of it.
#[derive(Debug, Default)]
struct Step {
    command: String,
    input: String,
    answer: String,
}

fn steps(transcript: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in transcript.lines().filter(|line| !line.starts_with('#')) {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), ..Step::default() });
            continue;
        }
        let step = steps.last_mut().expect("a transcript begins with a command");
        match line.strip_prefix('<') {
            Some(input) => writeln!(step.input, "{}", input.strip_prefix(' ').unwrap_or(input)),
            None => writeln!(step.answer, "{line}"),
        }
        .unwrap();
    }
    steps
}

/// What ours answers to `step`.
fn answer(step: &Step, kernel: &SharedKernel) -> String {
    let words: Vec<&str> = step.command.split_whitespace().collect();
    let (program, words) = words.split_first().expect("a command has a name");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut open = || Ok(Box::new(kernel.clone()) as Box<dyn Kernel>);
    let mut input = step.input.as_bytes();
    let mut session = Session::new(program, &KnownNames, &mut input, &mut out, &mut err, &mut open);
    let code = session.run_words(words).unwrap();
    let mut answer = String::new();
    let mark = |text: Vec<u8>, with: &str| {
        let text = String::from_utf8(text).unwrap();
        text.split_terminator('\n').fold(String::new(), |mut all, line| {
            writeln!(all, "{with} {line}").unwrap();
            all
        })
    };
    answer += &mark(out, "|");
    answer += &mark(err, "!");
    if code != 0 {
        writeln!(answer, "= {code}").unwrap();
    }
    answer
}

/// Complaints in a restore name their line, which the original does not.
fn without_line_numbers(answer: &str) -> String {
    let lines = answer.lines().filter(|line| !line.starts_with("!   in line "));
    lines.fold(String::new(), |all, line| all + line + "\n")
}

fn replay(transcript: &str) {
    let transcript = transcript.replace("VERSION", env!("CARGO_PKG_VERSION"));
    let kernel = SharedKernel::new(MemoryKernel::default());
    let mut wrong = String::new();
    for step in steps(&transcript) {
        let ours = without_line_numbers(&answer(&step, &kernel));
        let theirs = &step.answer;
        if ours != *theirs {
            writeln!(wrong, "$ {}\n--- recorded\n{theirs}--- ours\n{ours}", step.command).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The few names of the machine the transcripts were recorded on.
struct KnownNames;

const SERVICES: [(&str, u16, Protocol); 5] = [
    ("http", 80, Protocol::Tcp),
    ("https", 443, Protocol::Tcp),
    ("tcpmux", 1, Protocol::Tcp),
    ("domain", 53, Protocol::Tcp),
    ("domain", 53, Protocol::Udp),
];

impl Names for KnownNames {
    fn address(&self, host: &str) -> Option<IpAddr> {
        (host == "localhost").then(|| [127, 0, 0, 1].into())
    }

    fn port(&self, service: &str, protocol: Protocol) -> Option<u16> {
        let mut known = SERVICES.iter();
        known.find(|k| k.0 == service && k.2 == protocol).map(|k| k.1)
    }

    fn service(&self, port: u16, protocol: Protocol) -> Option<String> {
        let mut known = SERVICES.iter();
        known.find(|k| k.1 == port && k.2 == protocol).map(|k| k.0.to_owned())
    }

    fn hosts(&self, addresses: &[IpAddr]) -> BTreeMap<IpAddr, String> {
        let local = addresses.iter().filter(|a| a.is_loopback() && a.is_ipv4());
        local.map(|address| (*address, "localhost".to_owned())).collect()
    }
}

macro_rules! replays {
    ($($test:ident $file:literal)*) => {$(
        #[test]
        fn $test() {
            replay(include_str!(concat!("golden/", $file, ".txt")));
        }
    )*};
}

replays! {
    mistakes_are_answered_in_the_originals_words "usage"
    the_first_complaint_is_the_originals "order"
    every_spelling_means_what_it_meant "parse"
    changes_and_lists_are_the_originals "edit"
    tunnels_are_listed_and_saved_as_before "tunnel"
    timeouts_and_daemons_are_the_originals "settings"
    a_restore_stops_where_the_original_stops "restore"
    lists_are_in_the_originals_order "sort"
    names_appear_where_the_original_puts_them "names"
    what_differs_from_the_original_is_written_down "ours"
}

#[test]
fn without_a_kernel_usage_and_version_are_there_and_nothing_else() {
    let run = |words: &[&str]| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut open = || Err(io::Error::from_raw_os_error(92));
        let mut input = io::empty();
        let mut session =
            Session::new("ipvsadm", &KnownNames, &mut input, &mut out, &mut err, &mut open);
        session.run_words(words).map_err(|error| error.to_string())
    };
    assert_eq!(run(&["-h"]), Ok(0));
    assert_eq!(run(&["-v"]), Ok(0));
    assert_eq!(run(&["-A", "-t", "bad"]), Ok(2));
    assert_eq!(run(&["-C", "--dry-run"]), Ok(0));
    assert_eq!(
        run(&["-C"]).unwrap_err(),
        "Can't initialize ipvs: Protocol not available\n\
         Are you sure that IP Virtual Server is built in the kernel or as module?"
    );
}
