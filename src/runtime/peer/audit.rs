//! The audit trail of the partner, kept here too: who did what there is known when it is gone.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::state::Peer;
use crate::control::protocol::{Done, Problem, ProblemCode};

/// From this size on the file is put away and the next begun; one that was put away is kept.
const FULL: u64 = 4 << 20;

/// The longest entry, in bytes.
const LONGEST: usize = 32 << 10;

/// The most entries that are told at once.
const MOST: usize = 1000;

/// Adds entries of the partner. All of them, or none.
pub(super) fn keep(peer: &Peer, entries: &[String]) -> Result<Done, Problem> {
    let Some(partner) = peer.trust.partner() else { return Err(super::dial::alone()) };
    let mut lines = String::new();
    for entry in entries {
        lines += &line(entry, &partner.node).ok_or_else(malformed)?;
        lines.push('\n');
    }
    let _alone = peer.remembering();
    add(&path(&peer.settings.state), lines.as_bytes()).map_err(|error| not_kept(&error))?;
    Ok(Done::new(format!("{} entries", entries.len())))
}

/// The last `most` entries, the oldest first.
pub(super) fn last(peer: &Peer, most: usize) -> Result<Vec<String>, Problem> {
    let path = path(&peer.settings.state);
    let read = lines(&[old(&path), path], most.min(MOST));
    read.map_err(|error| not_kept(&error))
}

fn path(state: &Path) -> PathBuf {
    state.join("partner-audit.jsonl")
}

fn old(path: &Path) -> PathBuf {
    path.with_extension("jsonl.1")
}

/// An entry as it is kept. It is of the partner, whatever it says itself.
fn line(entry: &str, node: &str) -> Option<String> {
    let mut entry: Map<String, Value> =
        serde_json::from_str(entry).ok().filter(|_| entry.len() <= LONGEST)?;
    entry.insert("node".to_owned(), node.into());
    serde_json::to_string(&entry).ok()
}

fn add(path: &Path, lines: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.len() >= FULL) {
        fs::rename(path, old(path))?;
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(lines)?;
    file.sync_data()
}

fn lines(paths: &[PathBuf], most: usize) -> io::Result<Vec<String>> {
    let mut last = VecDeque::new();
    for path in paths {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        // A line that was cut by a crash ends at the next one's beginning at worst.
        for line in BufReader::new(file.take(2 * FULL)).lines() {
            last.push_back(line?);
            if last.len() > most {
                last.pop_front();
            }
        }
    }
    Ok(last.into())
}

fn malformed() -> Problem {
    let message = format!("an entry is no JSON object of at most {LONGEST} bytes");
    Problem::new(ProblemCode::BadRequest, message, "send what the audit trail has")
}

fn not_kept(error: &io::Error) -> Problem {
    let message = format!("the partner's audit trail: {error}");
    Problem::new(ProblemCode::System, message, "mend the state directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_of_the_partner_whatever_it_says_and_nothing_else_is_kept() {
        let kept = line(r#"{"node":"other","action":"x"}"#, "lb2").unwrap();
        assert_eq!(kept, r#"{"action":"x","node":"lb2"}"#);
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(LONGEST));
        for wrong in ["", "[]", "{", "null", &long] {
            assert_eq!(line(wrong, "lb2"), None, "{wrong}");
        }
    }

    #[test]
    fn the_last_entries_are_told_and_the_files_stay_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(directory.path());
        add(&path, b"{\"a\":1}\n{\"a\":2}\n").unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(FULL).unwrap();
        add(&path, b"{\"a\":3}\n").unwrap();
        assert!(old(&path).exists());
        assert_eq!(fs::metadata(&path).unwrap().len(), 8);
        assert_eq!(lines(std::slice::from_ref(&path), 5).unwrap(), [r#"{"a":3}"#]);
        add(&path, b"{\"a\":4}\n").unwrap();
        assert_eq!(lines(&[path], 1).unwrap(), [r#"{"a":4}"#]);
    }
}
