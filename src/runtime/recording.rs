//! Recordings in files: written beside the heartbeats, read with suspicion.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::failover::record::{Disguise, Entry, Line, Sink};

/// Entries that wait for the disk. What comes while they do is lost, and said to be.
const QUEUE: usize = 4096;

/// The longest line that is read: a machine with all the addresses there can be is less.
const LINE_MAX: u64 = 1 << 20;

/// A recording under way.
#[derive(Debug)]
pub struct Recording {
    thread: JoinHandle<()>,
}

/// What a machine says goes to another thread, which waits for the disk.
struct Queue(SyncSender<Entry>);

impl Recording {
    /// Begins a recording in the file `path`, readable by its owner alone. What is there, and what
    /// takes more than half of `limit` bytes, is moved to `path` with `.1` at its end, so that the
    /// last half at least is kept. It ends when the sink is dropped.
    ///
    /// # Errors
    /// Why the file cannot be written, or there is no thread for it.
    pub fn begin(path: &Path, limit: u64) -> io::Result<(Self, Box<dyn Sink>)> {
        let mut shelf = Shelf::new(path, limit / 2)?;
        let (sender, entries) = sync_channel(QUEUE);
        let thread = thread::Builder::new().name("recording".to_owned()).spawn(move || {
            if let Err(error) = shelf.keep(&entries) {
                tracing::warn!("the recording ends: {}: {error}", shelf.path.display());
            }
        })?;
        Ok((Self { thread }, Box::new(Queue(sender))))
    }

    /// Waits until everything is written. The sink has to be dropped before.
    pub fn finish(self) {
        // It has said why, if it ended early.
        let _ = self.thread.join();
    }
}

impl Sink for Queue {
    fn take(&mut self, entry: Entry) -> bool {
        self.0.try_send(entry).is_ok()
    }
}

/// The file that is written, and where it goes when it is full.
struct Shelf {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    limit: u64,
    disguise: Disguise,
}

impl Shelf {
    fn new(path: &Path, limit: u64) -> io::Result<Self> {
        let file = create(path)?;
        let (path, disguise) = (path.to_owned(), Disguise::new());
        Ok(Self { path, file, written: 0, limit, disguise })
    }

    fn keep(&mut self, entries: &Receiver<Entry>) -> io::Result<()> {
        while let Ok(entry) = entries.recv() {
            self.write(entry)?;
            while let Ok(entry) = entries.try_recv() {
                self.write(entry)?;
            }
            self.file.flush()?;
        }
        Ok(())
    }

    /// A file begins with the machine, so that it can be replayed alone.
    fn write(&mut self, entry: Entry) -> io::Result<()> {
        if matches!(entry, Entry::Begin { .. }) && self.written > self.limit {
            self.file.flush()?;
            (self.file, self.written) = (create(&self.path)?, 0);
        }
        let mut line = serde_json::to_vec(&self.disguise.line(entry))?;
        line.push(b'\n');
        self.written += line.len() as u64;
        self.file.write_all(&line)
    }
}

/// Moves what is there out of the way.
fn create(path: &Path) -> io::Result<BufWriter<File>> {
    if path.is_file() {
        let mut before = path.as_os_str().to_owned();
        before.push(".1");
        std::fs::rename(path, before)?;
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(BufWriter::new(file))
}

/// Why a recording cannot be read on.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line is longer than any that is written.
    #[error("line {0} is too long for a recording")]
    TooLong(usize),
    /// The last line has no end.
    #[error("line {0} is cut: the recording was copied while it was written, or the disk was full")]
    Cut(usize),
    /// A line is none of a recording.
    #[error("line {line} is no line of a recording: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// The lines of the recording in `path`, as [`read`] has them.
///
/// # Errors
/// The operating system's, where it cannot be opened.
pub fn open(path: &Path) -> io::Result<impl Iterator<Item = Result<Line, ReadError>> + use<>> {
    Ok(read(BufReader::new(File::open(path)?)))
}

/// The lines of a recording, up to the first that is wrong. Never more than one is in memory.
pub fn read(mut source: impl BufRead) -> impl Iterator<Item = Result<Line, ReadError>> {
    let (mut number, mut failed) = (0, false);
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        number += 1;
        let line = read_line(&mut source, number).transpose()?;
        failed = line.is_err();
        Some(line)
    })
}

fn read_line(source: &mut impl BufRead, number: usize) -> Result<Option<Line>, ReadError> {
    let mut text = Vec::new();
    source.take(LINE_MAX).read_until(b'\n', &mut text)?;
    match text.last() {
        None => Ok(None),
        Some(b'\n') => {
            let line = serde_json::from_slice(&text);
            line.map(Some)
                .map_err(|error| ReadError::Line { line: number, reason: error.to_string() })
        }
        Some(_) if text.len() as u64 == LINE_MAX => Err(ReadError::TooLong(number)),
        Some(_) => Err(ReadError::Cut(number)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::failover::pulse::{Config, Pulse};
    use crate::failover::record::{Recorder, Replay};
    use crate::failover::{Heartbeat, Role};
    use crate::time::Instant;

    /// A director with a silent partner, for `ticks` heartbeats.
    fn record(path: &Path, limit: u64, ticks: u64) {
        let (recording, sink) = Recording::begin(path, limit).unwrap();
        let config = Config::builder(Role::Primary)
            .keepalive(Duration::from_millis(100))
            .path(([192, 0, 2, 2], 539).into())
            .boot(1);
        let machine = Pulse::new(Instant::ZERO, config.build().unwrap());
        let mut recorder = Recorder::recording(machine, sink);
        for tick in 0..ticks {
            recorder.handle_timeout(Instant::from_millis(tick * 100));
            while recorder.poll_output().is_some() {}
            if tick % 1000 == 0 {
                thread::yield_now();
            }
        }
        drop(recorder);
        recording.finish();
    }

    fn differences(path: &Path) -> (usize, usize) {
        let mut replay = Replay::new();
        let lines = open(path).unwrap();
        lines.fold((0, 0), |(lines, different), line| {
            let played = replay.play(line.unwrap()).unwrap();
            (lines + 1, different + usize::from(played.difference.is_some()))
        })
    }

    #[test]
    fn a_recording_is_for_its_owner_and_replays_the_same() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("pulse.recording");
        record(&path, 1 << 30, 100);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(differences(&path), (101, 0));
    }

    #[test]
    fn a_recording_that_is_full_goes_on_in_a_file_that_replays_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("pulse.recording");
        record(&path, 1, 12_000);
        for file in [path.clone(), place.path().join("pulse.recording.1")] {
            let (lines, different) = differences(&file);
            assert!(lines > 0, "{file:?}");
            assert_eq!(different, 0);
        }
    }

    #[test]
    fn a_cut_or_foreign_line_is_named() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("pulse.recording");
        record(&path, 1 << 30, 3);
        let text = std::fs::read(&path).unwrap();
        let error = |bytes: &[u8]| read(bytes).find_map(Result::err).unwrap().to_string();
        assert!(error(&text[..text.len() - 9]).starts_with("line 4 is cut"));
        assert!(error(b"{}\n").starts_with("line 1 is no line of a recording"));
        assert!(error(&vec![b' '; 2 << 20]).starts_with("line 1 is too long"));
    }
}
