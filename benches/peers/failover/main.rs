//! Failover beside keepalived: what a client sees of each kind of change of hands.
//!
//! `benches/peers/failover/run` builds this and starts it; see there for the options. It needs
//! root: the directors and the client are in network namespaces of their own, which it removes.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a benchmark does its own input and output, and without one it is worth nothing"
)]

mod case;
mod contender;
mod overload;
mod table;
mod watch;
mod wire;

use std::error::Error;
use std::process::ExitCode;

use case::Case;
use contender::Contender;
use table::Results;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Settings {
    rounds: usize,
    only: String,
    director: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--list"] => {
            Case::all().for_each(|case| println!("{case}"));
            Ok(())
        }
        ["--overload", minutes] => minutes.parse().map_err(Into::into).and_then(overload::run),
        options => settings(options).and_then(|settings| compare(&settings)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failover benchmark: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings(options: &[&str]) -> Outcome<Settings> {
    let mut settings = Settings { rounds: 20, only: String::new(), director: String::new() };
    for pair in options.chunks(2) {
        match pair {
            ["--rounds", value] => settings.rounds = value.parse()?,
            ["--only", word] => (*word).clone_into(&mut settings.only),
            ["--director", word] => (*word).clone_into(&mut settings.director),
            _ => return Err(format!("unknown option {}", pair[0]).into()),
        }
    }
    Ok(settings)
}

/// Runs every case with every contender, taking turns, and prints the table.
fn compare(settings: &Settings) -> Outcome<()> {
    let cases: Vec<Case> =
        Case::all().filter(|case| case.to_string().contains(&settings.only)).collect();
    let mut results = Results::default();
    for case in &cases {
        for round in 1..=settings.rounds {
            // Evenly spread, whatever the number of rounds.
            let phase = (round as f64 * 0.618_034).fract();
            let contenders = Contender::all(case);
            for contender in contenders.filter(|c| c.to_string().contains(&settings.director)) {
                let sample = case.run(contender, phase)?;
                eprintln!("round {round} {case}, {contender}: {sample}");
                results.add(case, contender, sample);
            }
        }
    }
    results.print(settings.rounds);
    Ok(())
}
