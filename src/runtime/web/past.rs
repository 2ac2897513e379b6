//! The history of the graphs on the disk: it outlives the server.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::store::private;
use super::watch::Watch;
use crate::runtime::control::now;
use crate::web::history::{History, MOST_BYTES};

/// How often it is written. A server that is killed forgets as much.
const INTERVAL: Duration = Duration::from_secs(60);

/// The file, and whether somebody is writing it.
#[derive(Debug)]
pub(super) struct Past {
    path: PathBuf,
    writing: Mutex<()>,
}

impl Past {
    /// In `directory`.
    pub(super) fn new(directory: &Path) -> Self {
        Self { path: directory.join("history"), writing: Mutex::default() }
    }

    /// What was written; nothing where there is no file. One that cannot be read is put aside, and
    /// that is said.
    pub(super) fn read(&self) -> History {
        let bytes = match read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return History::default(),
            read => read,
        };
        let history = bytes.map_err(|error| error.to_string()).and_then(|bytes| {
            History::restore(&bytes, now()).map_err(|malformed| malformed.to_string())
        });
        history.unwrap_or_else(|reason| {
            let aside = self.path.with_extension("broken");
            let put = fs::rename(&self.path, &aside);
            let put = put.map_or_else(|error| error.to_string(), |()| aside.display().to_string());
            tracing::warn!(
                "web: the history of the graphs begins anew: {reason}; put aside: {put}"
            );
            History::default()
        })
    }

    /// Writes `history` so that a crash leaves the old one or the new one.
    pub(super) fn write(&self, history: &[u8]) -> io::Result<()> {
        let _alone = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let draft = self.path.with_extension("new");
        let mut file = private().create(true).truncate(true).open(&draft)?;
        file.write_all(history)?;
        file.sync_data()?;
        fs::rename(&draft, &self.path)
    }

    /// Writes what `watch` knows from time to time, as long as it is polled.
    pub(super) async fn keep(self: Arc<Self>, watch: Arc<Watch>) {
        let mut trouble = None;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let (past, watch) = (Arc::clone(&self), Arc::clone(&watch));
            let written = tokio::task::spawn_blocking(move || past.save(&watch)).await;
            let problem = written.map_or_else(|error| Some(error.to_string()), |saved| saved.err());
            if problem.is_some() && problem != trouble {
                let reason = problem.as_deref().unwrap_or_default();
                tracing::warn!("web: the history of the graphs is not written: {reason}");
            }
            trouble = problem;
        }
    }

    /// Writes what `watch` knows now.
    pub(super) fn save(&self, watch: &Watch) -> Result<(), String> {
        let bytes = watch.history().save();
        self.write(&bytes).map_err(|error| error.to_string())
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64 + 1;
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_history_is_put_aside_and_the_next_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let past = Past::new(directory.path());
        assert_eq!(past.read().save(), History::default().save());
        fs::write(&past.path, "half a hist").unwrap();
        assert_eq!(past.read().save(), History::default().save());
        let aside = fs::read_to_string(past.path.with_extension("broken")).unwrap();
        assert_eq!(aside, "half a hist");
        past.write(&History::default().save()).unwrap();
        assert_eq!(past.read().save(), History::default().save());
        assert!(past.path.exists(), "a good one stays");
    }
}
