//! Brings the audit trail to the partner: what was done here is known there too.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::store::private;
use crate::control::peer::PeerCall;
use crate::control::protocol::{Call, Daemon, Done, MAX_REQUEST, ProblemCode};
use crate::control::{Client, ClientError};
use crate::runtime::control::partner_directory;
use crate::web::audit::Entry;

/// The most entries that wait for the partner; the oldest go, which are in the trail here anyway.
const WAITING: usize = 2000;

/// Entries in one request, in bytes before JSON escapes them once more.
const AT_ONCE: usize = MAX_REQUEST / 8;

/// How long a partner that cannot be reached is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The entries the partner does not have yet, in memory and on the disk.
#[derive(Debug)]
pub(super) struct Courier {
    path: PathBuf,
    waiting: Mutex<VecDeque<String>>,
    news: Notify,
}

impl Courier {
    /// Goes on with what waits in `directory`. Lines that cannot be read are left out.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join("audit.unsent.jsonl");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let lines = text.lines().filter(|line| serde_json::from_str::<Entry>(line).is_ok());
        let waiting: VecDeque<_> = lines.map(ToOwned::to_owned).collect();
        let news = Notify::new();
        if !waiting.is_empty() {
            news.notify_one();
        }
        Ok(Self { path, waiting: Mutex::new(waiting), news })
    }

    /// How many entries the partner does not have yet.
    pub(super) fn unsent(&self) -> usize {
        self.waiting().len()
    }

    /// Has the partner get this one too.
    pub(super) fn add(&self, entry: &Entry) -> io::Result<()> {
        let line = serde_json::to_string(entry)?;
        let mut waiting = self.waiting();
        let written = private()
            .append(true)
            .create(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        waiting.push_back(line);
        if waiting.len() > WAITING {
            waiting.drain(..WAITING / 2);
            self.write(&waiting)?;
        }
        self.news.notify_one();
        written
    }

    /// Sends what there is to the partner of the node whose sockets are in `control`, as long as it
    /// is polled.
    pub(super) async fn run(self: Arc<Self>, control: PathBuf) {
        let gates = partner_directory(&control);
        loop {
            self.news.notified().await;
            while self.unsent() > 0 {
                // A node without a partner keeps the last of them for one that may come.
                if self.send(&gates).await.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Sends some, and forgets them when the partner has them on its disk.
    async fn send(&self, gates: &Path) -> Result<(), ClientError> {
        let entries = portion(&self.waiting());
        let mut peer = Client::connect(gates, Daemon::Peer).await?;
        let call = PeerCall::KeepAudit { entries: entries.clone() };
        match peer.call::<Done>(Call::Peer(call), LIMIT).await {
            // What it takes at no time must not keep the rest from it.
            Err(ClientError::Refused(problem)) if problem.code == ProblemCode::BadRequest => {
                tracing::error!("web: the partner does not take the audit trail: {problem}");
            }
            kept => drop(kept?),
        }
        let mut waiting = self.waiting();
        // Some may have gone meanwhile, because there were too many.
        let sent = entries.iter().rposition(|entry| waiting.front() == Some(entry));
        let count = sent.map_or(0, |first| entries.len() - first).min(waiting.len());
        waiting.drain(..count);
        if let Err(error) = self.write(&waiting) {
            tracing::error!("web: what the partner has of the audit trail is not noted: {error}");
        }
        Ok(())
    }

    /// Puts what waits in the place of the file.
    fn write(&self, waiting: &VecDeque<String>) -> io::Result<()> {
        let draft = self.path.with_extension("new");
        let text: String = waiting.iter().map(|line| format!("{line}\n")).collect();
        private().create(true).truncate(true).open(&draft)?.write_all(text.as_bytes())?;
        fs::rename(&draft, &self.path)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The oldest entries, as many as fit into one request; at least one.
fn portion(waiting: &VecDeque<String>) -> Vec<String> {
    let mut bytes = 0;
    let fits = |line: &&String| {
        bytes += line.len();
        bytes == line.len() || bytes <= AT_ONCE
    };
    waiting.iter().take_while(fits).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Timestamp;

    fn entry(request: u64) -> Entry {
        Entry {
            at: Timestamp(request),
            node: "lb1".to_owned(),
            actor: "alice".to_owned(),
            source: "socket".to_owned(),
            action: "server.drain".to_owned(),
            target: None,
            reason: Some("x".repeat(500)),
            change: serde_json::Value::Null,
            result: "done".to_owned(),
            request,
        }
    }

    #[test]
    fn what_waits_outlives_the_server_and_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let courier = Courier::open(directory.path()).unwrap();
        for request in 0..3 {
            courier.add(&entry(request)).unwrap();
        }
        let courier = Courier::open(directory.path()).unwrap();
        assert_eq!(courier.unsent(), 3);
        let mut lines = fs::read_to_string(&courier.path).unwrap();
        lines.push_str("{\"half\":");
        fs::write(&courier.path, lines).unwrap();
        assert_eq!(Courier::open(directory.path()).unwrap().unsent(), 3);
        for request in 3..=WAITING as u64 {
            courier.add(&entry(request)).unwrap();
        }
        let left = WAITING + 1 - WAITING / 2;
        assert_eq!(courier.unsent(), left);
        assert_eq!(Courier::open(directory.path()).unwrap().unsent(), left);
    }

    #[test]
    fn they_go_in_portions_that_fit_the_oldest_first() {
        let lines: VecDeque<_> =
            (0..100).map(|n| serde_json::to_string(&entry(n)).unwrap()).collect();
        let first = portion(&lines);
        assert!(first.len() > 1 && first.iter().map(String::len).sum::<usize>() <= AT_ONCE);
        assert_eq!(first[0], lines[0]);
        let long = VecDeque::from(["x".repeat(AT_ONCE + 1), "y".to_owned()]);
        assert_eq!(portion(&long).len(), 1, "one goes, however long it is");
    }
}
