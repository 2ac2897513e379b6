//! The files that belong to a configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Config, Included, Virtual};
use crate::health::{CheckSpec, Security, TlsSpec};

/// What lvs.cf is called, wherever it is on either node.
pub const CONFIG: &str = "lvs.cf";

/// Why a file belongs to a configuration, the strongest reason last.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A program that lvs.cf has run.
    Program,
    /// Certificates to trust.
    Certificates,
    /// A key, a password or what may hold one: synchronised only where `sync_file` says so.
    Secret,
    /// `include` brings it in.
    Included,
    /// `sync_file` names it.
    Named,
    /// It is lvs.cf.
    Config,
}

/// A file that belongs to a configuration.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// What both nodes call it: its path relative to the directory of lvs.cf if it is below, else
    /// its whole path.
    pub name: String,
    /// Where it is on this node.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// The files that belong to `config`, which is at `path` and includes `included`, by name. A
/// program without a slash in its name is the system's and not among them.
#[must_use]
pub fn listed(path: &Path, config: &Config, included: &[Included]) -> Vec<Listed> {
    let mut files =
        Files { directory: path.parent().unwrap_or(Path::new("")), all: BTreeMap::new() };
    included.iter().for_each(|file| files.add(Path::new(&file.name), Why::Included));
    config.sync_files.iter().for_each(|file| files.add(file, Why::Named));
    files.global(config);
    config.virtuals.iter().for_each(|v| files.service(v));
    for failover in &config.failovers {
        files.service(&failover.service);
        files.commands([&failover.start_cmd, &failover.stop_cmd].into_iter().flatten());
    }
    files.all.insert(CONFIG.to_owned(), (path.to_owned(), Why::Config));
    let all = files.all.into_iter();
    all.map(|(name, (path, why))| Listed { name, path, why }).collect()
}

struct Files<'a> {
    directory: &'a Path,
    all: BTreeMap<String, (PathBuf, Why)>,
}

impl Files<'_> {
    fn add(&mut self, file: &Path, why: Why) {
        let path = self.directory.join(file);
        let name = path.strip_prefix(self.directory).unwrap_or(&path);
        // What is called as lvs.cf is, or has a name that JSON cannot carry, has no name here.
        let Some(name) = name.to_str().filter(|name| *name != CONFIG) else { return };
        let known = self.all.entry(name.to_owned()).or_insert_with(|| (path.clone(), why));
        known.1 = known.1.max(why);
    }

    fn several<'b>(&mut self, files: impl IntoIterator<Item = &'b PathBuf>, why: Why) {
        files.into_iter().for_each(|file| self.add(file, why));
    }

    /// The programs of command lines.
    fn commands<'b>(&mut self, lines: impl IntoIterator<Item = &'b String>) {
        let programs = lines.into_iter().filter_map(|line| line.split_ascii_whitespace().next());
        programs.filter(|name| name.contains('/')).for_each(|name| {
            self.add(Path::new(name), Why::Program);
        });
    }

    fn global(&mut self, config: &Config) {
        let keys = [&config.heartbeat_key, &config.heartbeat_key_accepted];
        self.several(keys.into_iter().flatten(), Why::Secret);
        self.several(config.vrrp.iter().filter_map(|vrrp| vrrp.auth.as_ref()), Why::Secret);
        self.commands([&config.active_cmd, &config.inactive_cmd].into_iter().flatten());
        self.commands(config.guards.commands.iter().filter_map(|words| words.first()));
        let notify = &config.notify;
        self.commands(notify.commands.iter().chain(&notify.event_commands));
        self.several(&notify.auth, Why::Secret);
        self.several(&notify.ca, Why::Certificates);
        let mail = notify.mail.as_ref();
        self.several(mail.and_then(|mail| mail.auth.as_ref()), Why::Secret);
    }

    fn service(&mut self, v: &Virtual) {
        match &v.check {
            CheckSpec::Program(program) => self.commands(program.arguments.first()),
            CheckSpec::Http(http) => {
                self.several(&http.auth, Why::Secret);
                self.tls(http.tls.as_ref());
            }
            CheckSpec::Tls(tls) => self.tls(Some(tls)),
            CheckSpec::Grpc(grpc) => self.tls(grpc.tls.as_ref()),
            CheckSpec::Radius(radius) => {
                self.add(&radius.secret, Why::Secret);
                self.several(&radius.auth, Why::Secret);
            }
            CheckSpec::Application(application) => {
                self.several(&application.auth, Why::Secret);
                match &application.security {
                    Security::Clear => {}
                    Security::Tls(tls) | Security::StartTls(tls) => self.tls(Some(tls)),
                }
            }
            CheckSpec::Connect
            | CheckSpec::SendExpect { .. }
            | CheckSpec::Datagram { .. }
            | CheckSpec::Ping
            | CheckSpec::Dns(_) => {}
        }
    }

    fn tls(&mut self, tls: Option<&TlsSpec>) {
        let Some(tls) = tls else { return };
        self.several(&tls.ca, Why::Certificates);
        if let Some(identity) = &tls.identity {
            // A certificate often has its key in the same file.
            self.several([&identity.certificate, &identity.key], Why::Secret);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn names(text: &str) -> Vec<(String, Why)> {
        let web = "virtual web {\n active = 1\n address = 192.0.2.80 eth0:1\n server s {\n \
                   active = 1\n address = 10.0.0.1\n }\n}\n";
        let loaded = load(format!("{text}{web}").as_bytes());
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let files = listed(Path::new("/etc/ha/lvs.cf"), &config, &[]);
        files.into_iter().map(|file| (file.name, file.why)).collect()
    }

    #[test]
    fn programs_and_certificates_belong_to_it_and_secrets_only_by_name() {
        let text = "primary = 192.0.2.1\nheartbeat_key = /etc/ha/lvs.key\n\
                    notify_ca = ca.pem\nnotify_command = \"/usr/local/bin/tell all\"\n\
                    active_cmd = \"logger active\"\nsync_file = /etc/ha/motd\n";
        let expected = [
            ("/usr/local/bin/tell", Why::Program),
            ("ca.pem", Why::Certificates),
            ("lvs.cf", Why::Config),
            ("lvs.key", Why::Secret),
            ("motd", Why::Named),
        ];
        assert_eq!(names(text), expected.map(|(name, why)| (name.to_owned(), why)));
        let named = names(&format!("{text}sync_file = lvs.key\n"));
        assert!(named.contains(&("lvs.key".to_owned(), Why::Named)));
    }
}
