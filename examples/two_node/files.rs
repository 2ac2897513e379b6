//! The directors' `lvs.cf`: copies of the two beside this file, which the story may edit.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use piranha::config::{self, Config, Directive, Document, Virtual};
use tempfile::TempDir;

use crate::{Result, other};

/// The directors, by name; `lb1` is the primary.
pub(crate) const DIRECTORS: [&str; 2] = ["lb1", "lb2"];

/// The files as they are delivered.
const ORIGINALS: [&[u8]; 2] = [include_bytes!("lb1.cf"), include_bytes!("lb2.cf")];

/// The directory with both files, gone with the value.
pub(crate) struct Files {
    directory: TempDir,
    /// What `lb1.cf` said at the start; `lb2.cf` differs in the role only.
    config: Config,
    web: usize,
    ftp: usize,
}

impl Files {
    /// Writes both files, with all timers divided by `speed`.
    pub(crate) fn write(speed: f64) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("two_node.").tempdir()?;
        let key = write_key(directory.path())?;
        for (name, original) in DIRECTORS.iter().zip(ORIGINALS) {
            let mut document = Document::parse(original);
            document.set_global(Directive::HeartbeatKey, &key.display().to_string())?;
            scale(&mut document, speed)?;
            std::fs::write(file(directory.path(), name), document.as_bytes())?;
        }
        let config = load(&file(directory.path(), DIRECTORS[0]))?;
        let service = |name| {
            let place = config.virtuals.iter().position(|v| v.name == name);
            place.ok_or_else(|| other(format!("lb1.cf has no virtual {name}")))
        };
        Ok(Self { web: service("web")?, ftp: service("ftp")?, config, directory })
    }

    /// The directory the files are in.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file of a director.
    pub(crate) fn path(&self, director: &str) -> PathBuf {
        file(self.directory(), director)
    }

    /// The directory of a director's control sockets.
    pub(crate) fn control(&self, director: &str) -> PathBuf {
        self.directory().join(format!("{director}.control"))
    }

    /// The web service.
    pub(crate) fn web(&self) -> &Virtual {
        &self.config.virtuals[self.web]
    }

    /// The FTP service.
    pub(crate) fn ftp(&self) -> &Virtual {
        &self.config.virtuals[self.ftp]
    }

    /// Silence after which a director takes its partner for dead.
    pub(crate) fn dead_time(&self) -> Duration {
        self.config.deadtime
    }

    /// All real servers.
    pub(crate) fn server_names(&self) -> impl Iterator<Item = String> {
        let servers = self.config.virtuals.iter().flat_map(|service| &service.servers);
        servers.map(|server| server.name.clone())
    }

    /// Changes the weight of a web server in both files, and nothing else in them.
    pub(crate) fn set_weight(&self, server: &str, weight: u32) -> Result<()> {
        for director in DIRECTORS {
            let path = self.path(director);
            let mut document = Document::parse(&std::fs::read(&path)?);
            document.set_server("web", server, Directive::Weight, &weight.to_string())?;
            replace(&path, document.as_bytes())?;
        }
        Ok(())
    }
}

fn file(directory: &Path, director: &str) -> PathBuf {
    directory.join(format!("{director}.cf"))
}

/// A key for the heartbeats, as `head -c 32 /dev/urandom | base64` would make one.
fn write_key(directory: &Path) -> io::Result<PathBuf> {
    let path = directory.join("heartbeat.key");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
    let mut secret = [0; 32];
    rustix::rand::getrandom(&mut secret, rustix::rand::GetRandomFlags::empty())?;
    for byte in secret {
        write!(file, "{byte:02x}")?;
    }
    Ok(path)
}

fn load(path: &Path) -> Result<Config> {
    let loaded = config::load(&std::fs::read(path)?);
    loaded.config.ok_or_else(|| other(format!("{}: {:?}", path.display(), loaded.diagnostics)))
}

/// Divides every timer of a file by `speed`.
fn scale(document: &mut Document, speed: f64) -> Result<()> {
    let loaded = config::load(document.as_bytes());
    let config = loaded.config.ok_or_else(|| other("the example's lvs.cf has errors"))?;
    let scaled = |time: Duration| format!("{}ms", time.div_f64(speed).as_millis().max(1));
    document.set_global(Directive::Keepalive, &scaled(config.keepalive))?;
    document.set_global(Directive::Deadtime, &scaled(config.deadtime))?;
    for service in &config.virtuals {
        document.set_virtual(&service.name, Directive::Timeout, &scaled(service.interval))?;
    }
    Ok(())
}

/// A director that reads the file at any moment sees the old one or the new one, whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes)?;
    std::fs::rename(&new, path)
}
