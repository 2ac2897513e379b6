//! What is known of servers, remembered beyond the life of this process, for services with
//! `initial_state = remembered`.

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::watch::ServerKey;
use crate::health::Snapshot;
use crate::ipvs::ServiceKey;
use crate::runtime::clock;
use crate::runtime::configuration::hash;
use crate::time::Instant;

/// Where daemons keep what must not outlive the boot, unless the supervisor says otherwise.
const DIRECTORY: &str = "/run/piranha";

/// A memory longer than this is not ours.
const MAX_BYTES: u64 = 256 << 20;

/// What is older says nothing of a server any more.
const TRUSTED: Duration = Duration::from_secs(600);

/// How often it is written. What was learnt since is lost with a process that is killed.
const INTERVAL: Duration = Duration::from_secs(2);

/// One server of one service, and what was known of it.
pub(super) type Known = (ServiceKey, SocketAddr, Snapshot);

/// The file, below `/run`: it is emptied at boot, when the clock of the snapshots begins anew.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    due: Instant,
}

impl Memory {
    /// That of the director which runs the configuration at `config`.
    pub(super) fn of(config: &Path) -> Self {
        Self { path: file_of(&directory(), config, "health"), due: clock::now() + INTERVAL }
    }

    /// What was known not too long ago. A file that cannot be read remembers nothing.
    pub(super) fn read(&self) -> impl Iterator<Item = (ServerKey, Snapshot)> + use<> {
        let fits = fs::metadata(&self.path).is_ok_and(|data| data.len() <= MAX_BYTES);
        let text = fits.then(|| fs::read(&self.path).ok()).flatten().unwrap_or_default();
        let all: Vec<Known> = serde_json::from_slice(&text).unwrap_or_default();
        let now = clock::now();
        let fresh = move |known: &Known| now - known.2.taken() <= TRUSTED && known.2.taken() <= now;
        let fresh = all.into_iter().filter(fresh);
        fresh.map(|(service, address, known)| (ServerKey { service, address }, known))
    }

    /// Whether it is time to write. Asked once, it is not for a while.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.due <= now;
        if due {
            self.due = now + INTERVAL;
        }
        due
    }

    /// Writes, elsewhere than on this thread. That a file cannot be written costs a slow start.
    pub(super) fn write_soon(&self, all: Vec<Known>) {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || write(&path, &all));
    }

    /// Writes at once: the process ends.
    pub(super) fn write_now(&self, all: &[Known]) {
        let _ = write(&self.path, all);
    }
}

/// Where a director keeps its files: in `RUNTIME_DIRECTORY` where the supervisor gives one (systemd
/// does), else in `/run/piranha`.
pub(super) fn directory() -> PathBuf {
    env::var_os("RUNTIME_DIRECTORY").map_or_else(|| DIRECTORY.into(), PathBuf::from)
}

/// The file with the `kind` of knowledge that the director of one configuration file has. Two
/// directors on one machine, in two network namespaces, have two files.
pub(super) fn file_of(directory: &Path, config: &Path, kind: &str) -> PathBuf {
    let config = fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
    directory.join(format!("{kind}-{:016x}", hash(config.as_os_str().as_bytes())))
}

/// Whole or not at all, also when the process is killed in between.
fn write(path: &Path, all: &[Known]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let draft = path.with_extension("new");
    fs::write(&draft, serde_json::to_vec(all)?)?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Monitor, MonitorConfig};

    fn known(taken: Instant) -> Known {
        let snapshot = Monitor::new(taken, MonitorConfig::default()).snapshot(taken);
        (ServiceKey::tcp(([192, 0, 2, 80], 80).into()), ([10, 0, 0, 1], 80).into(), snapshot)
    }

    fn memory(directory: &Path) -> Memory {
        Memory { path: directory.join("health"), due: Instant::ZERO }
    }

    #[test]
    fn what_was_known_a_moment_ago_is_remembered_and_what_is_old_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let memory = memory(directory.path());
        let now = clock::now();
        memory.write_now(&[known(now)]);
        assert_eq!(memory.read().count(), 1);
        memory.write_now(&[known(Instant::ZERO), known(now + Duration::from_secs(3600))]);
        let old = now - Instant::ZERO > TRUSTED;
        assert_eq!(memory.read().count(), usize::from(!old), "nor what is yet to come");
    }

    #[test]
    fn a_damaged_memory_remembers_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let memory = memory(directory.path());
        fs::write(&memory.path, b"[[{\"address\":").unwrap();
        assert_eq!(memory.read().count(), 0);
    }
}
