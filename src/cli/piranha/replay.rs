//! `piranha replay`

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::print;
use crate::cli::Failure;
use crate::failover::record::{Difference, Input, Line, Played, Replay, Step};
use crate::failover::{Output, State};
use crate::runtime::recording::open;
use crate::wire::ip::Packet;
use crate::wire::vrrp::{PROTOCOL, RESIGNED};

/// The exit code where this version decides otherwise.
const DIFFERENT: u8 = 3;

/// Tell what pulse was told and decided, from a recording of `pulse --record`.
#[derive(Debug, Args)]
pub(super) struct Command {
    /// The recording.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Say only whether this version decides the same.
    #[arg(long)]
    check: bool,
    /// Print a JSON value a line.
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let name = self.file.display();
        let lines = open(&self.file).map_err(|error| Failure::new(format!("{name}: {error}")))?;
        let mut replay = Replay::new();
        let (mut steps, mut different) = (0_u64, 0_u64);
        for (number, line) in (1..).zip(lines) {
            let line = line.map_err(|error| Failure::new(format!("{name}: {error}")))?;
            let told = line.clone();
            let played = replay
                .play(line)
                .map_err(|error| Failure::new(format!("{name}: line {number}: {error}")))?;
            steps += u64::from(matches!(told, Line::Step(_)));
            different += u64::from(played.difference.is_some());
            if !self.check || played.difference.is_some() {
                self.tell(number, &told, &played)?;
            }
        }
        if steps == 0 {
            return Err(Failure::new(format!("{name}: there is no step in this recording")));
        }
        self.sum_up(steps, different)
    }

    fn sum_up(&self, steps: u64, different: u64) -> Result<u8, Failure> {
        if self.json {
            print(format!("{}\n", json!({"steps": steps, "different": different})))?;
        } else if different == 0 {
            print(format!("{steps} steps, and this version decides the same\n"))?;
        } else {
            print(format!(
                "{steps} steps, and this version decides otherwise {different} times\n"
            ))?;
        }
        Ok(if different == 0 { 0 } else { DIFFERENT })
    }

    fn tell(&self, number: u64, line: &Line, played: &Played) -> Result<(), Failure> {
        print(if self.json { as_json(number, line, played) } else { as_text(line, played) })
    }
}

fn as_json(number: u64, line: &Line, played: &Played) -> String {
    let recorded = match &played.difference {
        None => None,
        Some(Difference::Outputs(recorded)) => Some(json!(recorded)),
        Some(other) => Some(json!(words(other))),
    };
    let value = json!({
        "line": number,
        "recorded": line,
        "before": played.before,
        "after": played.after,
        "cause": played.cause,
        "outputs": played.outputs,
        "different": recorded,
    });
    format!("{value}\n")
}

fn as_text(line: &Line, played: &Played) -> String {
    let mut text = match line {
        Line::Begin { piranha, at, lost, .. } => {
            let missing = if *lost > 0 {
                format!(", {lost} steps before are missing")
            } else {
                String::new()
            };
            format!("{at} recorded by piranha {piranha}, {}{missing}\n", played.after)
        }
        Line::Step(step) => format!("{} {}\n", step.at, told(step, played)),
    };
    for output in &played.outputs {
        let _ = writeln!(text, "    {}", wanted(output));
    }
    if let Some(difference) = &played.difference {
        let _ = writeln!(text, "  ! {}", words(difference));
        if let Difference::Outputs(recorded) = difference {
            for output in recorded {
                let _ = writeln!(text, "  ! recorded: {}", wanted(output));
            }
        }
    }
    text
}

const fn words(difference: &Difference) -> &'static str {
    match difference {
        Difference::Outputs(_) => "decides otherwise",
        Difference::Machine => "is in another condition than the machine that was recorded",
        Difference::Config(_) | Difference::Router(_) => {
            "refuses a configuration that was accepted"
        }
    }
}

fn told(step: &Step, played: &Played) -> String {
    match &step.input {
        Input::Datagram { path, source, bytes } => {
            format!("hears {source} on path {}: {}", path.0, said(bytes))
        }
        Input::Timeout => match played.due.map(|due| step.at - due) {
            Some(late) if late > Duration::ZERO => format!("timer, {late:?} late"),
            _ => "timer".to_owned(),
        },
        Input::Completion { id, error: None } => format!("action {} is done", id.0),
        Input::Completion { id, error: Some(error) } => format!("action {} failed: {error}", id.0),
        Input::Command(command) => format!("is commanded: {command:?}"),
        Input::DataPlane(true) => "data plane usable".to_owned(),
        Input::DataPlane(false) => "data plane lost".to_owned(),
        Input::Guards(faults) if faults.is_empty() => "all guards hold".to_owned(),
        Input::Guards(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            format!("guards fail: {}", faults.join(", "))
        }
        Input::Warmth(true) => "is warm".to_owned(),
        Input::Warmth(false) => "is cold".to_owned(),
        Input::Config { .. } | Input::Router { .. } => "reads its configuration again".to_owned(),
    }
}

fn wanted(output: &Output) -> String {
    match output {
        Output::Send { path, payload } => format!("says on path {}: {}", path.0, said(payload)),
        Output::Acquire { id, addresses } => {
            format!("action {}: acquire {}", id.0, list(addresses))
        }
        Output::Release { id, addresses } => {
            format!("action {}: release {}", id.0, list(addresses))
        }
        Output::Announce { addresses } => format!("announces {}", list(addresses)),
        Output::Transition(change) => format!("{} -> {}: {}", change.from, change.to, change.cause),
        Output::Declined { reason } => format!("does not: {reason}"),
    }
}

fn list(addresses: &[crate::failover::VirtualAddress]) -> String {
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    shown.join(", ")
}

/// The state and the step that a datagram names, whoever it is from (`docs/pulse-protocol.md`).
fn said(datagram: &[u8]) -> String {
    const STATES: [State; 7] = [
        State::Starting,
        State::Standby,
        State::Acquiring,
        State::Active,
        State::Releasing,
        State::Failed,
        State::Stopped,
    ];
    const STEPS: [&str; 6] = ["", ", offer", ", accept", ", refuse", ", released", ", request"];
    let at = |index: usize| datagram.get(index).copied().map(usize::from);
    let state = at(7).and_then(|state| STATES.get(state.checked_sub(1)?));
    let step = at(62).and_then(|step| STEPS.get(step));
    match (state, step) {
        (Some(state), Some(step)) => format!("{state}{step}"),
        _ => match crate::wire::pulse::Magic::decode(datagram) {
            Ok(magic) => format!("{magic:?}").to_lowercase(),
            Err(_) => advertised(datagram).unwrap_or_else(|| format!("{} bytes", datagram.len())),
        },
    }
}

/// What an advertisement of VRRP says, with the header of IP that those have which came in, or
/// without.
fn advertised(datagram: &[u8]) -> Option<String> {
    let packet = Packet::decode(datagram).filter(|packet| packet.protocol == PROTOCOL);
    let message = packet.map_or(datagram, |packet| packet.payload);
    match *message.first_chunk::<8>()? {
        [0x21 | 0x31, _, RESIGNED, ..] => Some("farewell".to_owned()),
        [0x21 | 0x31, _, priority, ..] => Some(format!("active, priority {priority}")),
        _ => None,
    }
}
