//! How many system calls a unit of work takes.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::contender::Contender;

/// How long strace gets to attach to every thread.
const ATTACH: Duration = Duration::from_secs(1);

/// System calls by name for each of `units` of what `work` does; empty without strace or without a
/// process.
pub(crate) fn count(
    contender: &Contender,
    units: usize,
    work: impl FnOnce() -> Outcome<()>,
) -> Outcome<BTreeMap<String, f64>> {
    let pids = contender.pids();
    if pids.is_empty() || Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        return Ok(BTreeMap::new());
    }
    let file = std::env::temp_dir().join(format!("relay-bench-{}-strace", std::process::id()));
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-o"]).arg(&file).stderr(Stdio::null());
    for pid in pids {
        command.args(["-p", &pid.to_string()]);
    }
    let mut strace = command.spawn()?;
    std::thread::sleep(ATTACH);
    let run = work();
    Command::new("kill").args(["-INT", &strace.id().to_string()]).status()?;
    strace.wait()?;
    run?;
    let text = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    Ok(read(&text, units))
}

/// Reads the table that `strace -c` prints: name last, count fourth.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn read(table: &str, units: usize) -> BTreeMap<String, f64> {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let calls = rows.filter_map(|row| {
        let count: f64 = row.get(3)?.parse().ok()?;
        Some(((*row.last()?).to_owned(), count / units as f64))
    });
    calls.collect()
}
