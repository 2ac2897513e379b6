//! `piranha doctor`

use std::fmt::Write as _;

use clap::Args;

use super::place::Place;
use super::table::{Screen, Tone, wrap};
use super::{print, print_json, show};
use crate::cli::{Failure, on_one_thread};
use crate::control::doctor::Finding;
use crate::control::status::Grade;
use crate::runtime::doctor::{Examination, examine};

/// Examine this machine: kernel, settings, network, files, clock, certificates, versions.
///
/// It looks and changes nothing. As root it sees more. Exit codes: 0 fine, 1 warnings, or
/// something could not be looked at, 2 critical.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    place: Place,
    /// Only what to type, a line each.
    #[arg(long, conflicts_with = "json")]
    fix_hints: bool,
}

impl Doctor {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let seen = examine(self.place.file(), &self.place.directory()).await;
            if self.place.json {
                print_json(&serde_json::to_value(&seen)?)?;
            } else if self.fix_hints {
                print(hints(&seen.findings))?;
            } else {
                print(report(&seen, Screen::of_stdout()))?;
            }
            Ok(code(seen.grade))
        })
    }
}

const fn code(grade: Grade) -> u8 {
    match grade {
        Grade::Ok => 0,
        Grade::Warning | Grade::Unknown => 1,
        Grade::Critical => 2,
    }
}

/// What to do, each once, the worst first; with what for as a comment of the shell.
fn hints(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings.iter().filter(|finding| finding.grade > Grade::Ok) {
        let _ = writeln!(text, "{}  # {}", finding.mend, finding.message.replace('\n', " "));
    }
    text
}

fn report(seen: &Examination, screen: Screen) -> String {
    let bad = seen.findings.iter().filter(|finding| finding.grade > Grade::Ok).count();
    let verdict = match bad {
        0 => "nothing is wrong that can be seen from here".to_owned(),
        1 => "1 finding".to_owned(),
        bad => format!("{bad} findings"),
    };
    let line = screen.cut(&format!("{}: {verdict}", seen.node));
    let mut text = screen.paint(show::tone(seen.grade), &line) + "\n";
    text.extend(seen.findings.iter().map(|finding| told(finding, screen)));
    text
}

fn told(finding: &Finding, screen: Screen) -> String {
    let (mark, tone) = match finding.grade {
        Grade::Ok => ("note", Tone::Plain),
        Grade::Warning => ("warning", Tone::Warning),
        Grade::Critical => ("critical", Tone::Bad),
        Grade::Unknown => ("unknown", Tone::Warning),
    };
    let message = wrap(&format!("{mark}: {}", finding.message), 2, screen.width);
    screen.paint(tone, &message)
        + &wrap(&format!("seen: {}", finding.evidence.replace('\n', " ")), 6, screen.width)
        + &wrap(&format!("mend: {}", finding.mend), 6, screen.width)
}
