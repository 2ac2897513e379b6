//! Files, processes and commands.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::{Observation, Report};
use crate::failover::guard::Guard;
use crate::health::{CheckSpec, Expect, ProgramSpec};
use crate::net::Protocol;
use crate::runtime::checks;

/// The least time a look and a command have: on a machine that is merely busy everything takes long,
/// and its director is still the one to have the service.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is read of a file: a number has not more.
const FILE_BYTES: u64 = 64;

/// What the kernel keeps of a program's name.
const COMM: usize = 15;

/// Whether a file holds a number other than 0.
pub(super) fn look_at_file(path: &Path) -> Result<(), String> {
    let mut text = Vec::new();
    match open(path).and_then(|file| file.take(FILE_BYTES).read_to_end(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
    }
    match String::from_utf8_lossy(&text).split_whitespace().next() {
        None | Some("0") => Ok(()),
        Some(word) => Err(format!("holds {word}")),
    }
}

/// A pipe that nobody writes to is not waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    File::options().read(true).custom_flags(flags).open(path)
}

/// The process that runs the program `name`.
pub(super) fn look_for_process(name: &str) -> Result<u32, String> {
    let entries = fs::read_dir("/proc").map_err(|error| error.to_string())?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut pids = names.filter_map(|entry| entry.parse().ok());
    pids.find(|pid| runs(*pid, name)).ok_or_else(|| "does not run".to_owned())
}

fn runs(pid: u32, name: &str) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // `PID (NAME) STATE ...`, where the name may have anything in it.
    let parts = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") "));
    let Some((comm, rest)) = parts else {
        return false;
    };
    let alive = !rest.starts_with(['Z', 'X']);
    let short = name.get(..COMM).unwrap_or(name);
    // A longer name is the same in the first letters, so the file has to tell.
    alive && (comm == short && name.len() <= COMM || is_file_of(pid, name))
}

/// Whose process it is not may not see its file: then its own word for that counts.
fn is_file_of(pid: u32, name: &str) -> bool {
    let file = fs::read_link(format!("/proc/{pid}/exe")).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => said_by(pid),
        _ => Err(error),
    });
    file.is_ok_and(|file| file.file_name().is_some_and(|file| file == name))
}

/// The first argument of a process, which mostly is the file it was started from.
fn said_by(pid: u32) -> io::Result<PathBuf> {
    let line = fs::read(format!("/proc/{pid}/cmdline"))?;
    let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(PathBuf::from(OsStr::from_bytes(first)))
}

/// Looks at a file every `interval`.
pub(super) async fn file(path: PathBuf, interval: Duration, report: Report) {
    let guard = Guard::File(path.clone());
    repeat(guard, interval, report, move || look_at_file(&path)).await;
}

/// Looks for a process every `interval`.
pub(super) async fn process(name: String, interval: Duration, report: Report) {
    let mut known = None;
    let guard = Guard::Process(name.clone());
    let known_or_found = move || {
        // The one that was found is mostly still there, and looking at all is dear.
        known = known.filter(|pid| runs(*pid, &name));
        if known.is_none() {
            known = Some(look_for_process(&name)?);
        }
        Ok(())
    };
    repeat(guard, interval, report, known_or_found).await;
}

/// Looks every `interval`, on a thread that may block, and never twice at a time: what takes longer
/// than [`PATIENCE`] is a fault.
async fn repeat(
    guard: Guard,
    interval: Duration,
    report: Report,
    look: impl FnMut() -> Result<(), String> + Send + 'static,
) {
    let mut look = look;
    loop {
        let mut looking = tokio::task::spawn_blocking(move || {
            let seen = look();
            (look, seen)
        });
        let done = tokio::time::timeout(PATIENCE, &mut looking).await;
        if done.is_err() {
            let late = Err(format!("no answer within {PATIENCE:?}"));
            let _ = report.send(Observation::Guard(guard.clone(), late));
        }
        let done = match done {
            Ok(done) => done,
            Err(_late) => looking.await,
        };
        let Ok((again, seen)) = done else { return };
        look = again;
        let _ = report.send(Observation::Guard(guard.clone(), seen));
        tokio::time::sleep(interval).await;
    }
}

/// Runs a command every `interval`; it has that time, and [`PATIENCE`] if that is longer.
pub(super) async fn command(
    arguments: Vec<String>,
    user: Option<String>,
    interval: Duration,
    report: Report,
) {
    let limit = interval.max(PATIENCE);
    let guard = Guard::Command(arguments.clone());
    let spec = ProgramSpec { arguments, expect: Expect::Nothing, user };
    let check = checks::build(&CheckSpec::Program(spec), Protocol::Tcp);
    let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    loop {
        let seen = match &check {
            Ok(check) => check.probe(nobody, limit).await.map_err(|failure| failure.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let _ = report.send(Observation::Guard(guard.clone(), seen));
        tokio::time::sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_in_order_unless_it_holds_something_other_than_0() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("drain");
        assert_eq!(look_at_file(&path), Ok(()));
        for (text, seen) in [
            ("", Ok(())),
            ("0\n", Ok(())),
            ("1\n", Err("holds 1".to_owned())),
            ("-3 because", Err("holds -3".to_owned())),
            ("yes", Err("holds yes".to_owned())),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(look_at_file(&path), seen, "{text:?}");
        }
        assert!(look_at_file(directory.path()).is_err(), "a directory cannot be read");
    }

    #[test]
    fn a_process_is_found_by_the_name_of_its_program_while_it_lives() {
        let directory = tempfile::tempdir().unwrap();
        let name = format!("a-rather-long-name-{}", std::process::id());
        let program = directory.path().join(&name);
        fs::copy("/bin/sleep", &program).unwrap();
        assert_eq!(look_for_process(&name), Err("does not run".to_owned()));
        let mut child = std::process::Command::new(&program).arg("60").spawn().unwrap();
        assert_eq!(look_for_process(&name), Ok(child.id()));
        child.kill().unwrap();
        // A zombie until it is waited for.
        while look_for_process(&name).is_ok() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
