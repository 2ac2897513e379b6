//! `piranha support-bundle`
#![allow(clippy::disallowed_methods, reason = "it collects files of this machine")]

mod archive;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;

use self::archive::{Member, write};
use super::place::Place;
use super::print;
use crate::cli::{Failure, on_one_thread};
use crate::control::protocol::{Daemon, Scope, Servers};
use crate::control::redact::Redactor;
use crate::runtime::configuration;
use crate::runtime::control::{node_name, now};
use crate::runtime::doctor;

/// Files that are read into the bundle as they are.
const FILES: [(&str, &str); 5] = [
    ("ipvs/table.txt", "/proc/net/ip_vs"),
    ("ipvs/stats.txt", "/proc/net/ip_vs_stats"),
    ("system/kernel.txt", "/proc/version"),
    ("system/release.txt", "/etc/os-release"),
    ("system/memory.txt", "/proc/meminfo"),
];

/// The most of one file that is taken.
const LARGEST: u64 = 32 << 20;

/// How long reading the log may take.
const LOG: Duration = Duration::from_secs(10);

/// Collect what somebody needs who is to help, without secrets, in a file for root alone.
///
/// Status, events, configuration, what `doctor` finds, the table of IPVS, versions and the log.
#[derive(Debug, Args)]
pub(super) struct SupportBundle {
    #[command(flatten)]
    place: Place,
    /// The file, which must not be there yet [default: piranha-NODE-TIME.tar.gz here].
    file: Option<PathBuf>,
}

impl SupportBundle {
    pub(super) fn run(self) -> Result<u8, Failure> {
        on_one_thread(async move {
            let redactor = redactor(self.place.file())?;
            let members: Vec<_> = self.collect(&redactor).await?;
            let file = self.file.clone().unwrap_or_else(usual_name);
            let safe = members.into_iter().map(|member| member.map(|text| redactor.text(text)));
            let told = |error| Failure::new(format!("{}: {error}", file.display()));
            write(&file, safe).map_err(told)?;
            let line = if self.place.json {
                serde_json::json!({ "file": file }).to_string() + "\n"
            } else {
                format!("{}: look through it before you pass it on\n", file.display())
            };
            print(line)?;
            Ok(0)
        })
    }

    async fn collect(&self, redactor: &Redactor) -> Result<Vec<Member>, Failure> {
        let mut members = vec![Member::new("version.txt", env!("CARGO_PKG_VERSION").to_owned())];
        let status = self.place.status(Scope::of(Servers::All)).await;
        members.push(Member::new("status.json", serde_json::to_string_pretty(&status)?));
        for daemon in [Daemon::Pulse, Daemon::Lvs] {
            members.push(self.events(daemon).await?);
        }
        let seen = doctor::examine(self.place.file(), &self.place.directory()).await;
        members.push(Member::new("doctor.json", serde_json::to_string_pretty(&seen)?));
        for (place, path) in files_of(self.place.file()).iter().enumerate() {
            let text = fs::read_to_string(path).map_err(Failure::from)?;
            let name =
                path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
            members
                .push(Member::new(format!("config/{place}-{name}"), redactor.configuration(&text)));
        }
        members
            .extend(FILES.iter().filter_map(|(name, path)| Some(Member::new(*name, read(path)?))));
        members.extend(log().await.map(|text| Member::new("log.txt", text)));
        Ok(members)
    }

    async fn events(&self, daemon: Daemon) -> Result<Member, Failure> {
        let past = async { self.place.client(daemon).await?.events(0).await };
        let text = match past.await {
            Ok(past) => serde_json::to_string_pretty(&past)?,
            Err(error) => serde_json::json!({ "unknown": error.to_string() }).to_string(),
        };
        Ok(Member::new(format!("events-{daemon}.json"), text))
    }
}

fn usual_name() -> PathBuf {
    let time: String =
        now().to_string().chars().take(19).filter(|c| c.is_ascii_alphanumeric()).collect();
    PathBuf::from(format!("piranha-{}-{time}.tar.gz", node_name()))
}

/// lvs.cf and what it includes, as far as they can be found.
fn files_of(config: &Path) -> Vec<PathBuf> {
    let mut files = vec![config.to_owned()];
    if let Ok(accepted) = configuration::read(config) {
        files.extend(accepted.included.iter().map(|one| PathBuf::from(&one.name)));
    }
    files.retain(|file| file.exists());
    files
}

/// Knows the secrets of lvs.cf. Those in files that cannot be read are not known, and in nothing
/// that this user can collect.
fn redactor(config: &Path) -> Result<Redactor, Failure> {
    let texts: Result<Vec<_>, _> = files_of(config).iter().map(fs::read_to_string).collect();
    let texts = texts.map_err(|error| Failure::new(format!("{}: {error}", config.display())))?;
    let named = configuration::read(config).map(|accepted| doctor::secrets(&accepted.config));
    let secrets = named.unwrap_or_default().into_iter().filter_map(|path| read_lossy(&path));
    let secrets: Vec<_> = secrets.collect();
    Ok(Redactor::new(texts.iter().map(String::as_str), secrets.iter().map(String::as_str)))
}

fn read_lossy(path: &Path) -> Option<String> {
    Some(String::from_utf8_lossy(&fs::read(path).ok()?).into_owned())
}

fn read(path: &str) -> Option<String> {
    use std::io::Read as _;
    let mut text = Vec::new();
    fs::File::open(path).ok()?.take(LARGEST).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The last lines of the daemons in the journal, where there is one.
async fn log() -> Option<String> {
    let mut command = tokio::process::Command::new("journalctl");
    command.args([
        "--no-pager",
        "--lines=2000",
        "--unit=pulse",
        "--unit=lvsd",
        "--output=short-iso",
    ]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LOG, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
