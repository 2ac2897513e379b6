//! Files and users that lvs.cf names, and room where daemons write.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::config::Config;
use crate::control::doctor::{Facts, FileFact, Permissions, Space};
use crate::health::{CheckSpec, TlsSpec};
use crate::runtime::configuration::Accepted;

/// Files by path, each with what names it and whether it holds a secret.
type Named = BTreeMap<PathBuf, (&'static str, bool)>;

pub(super) fn look(path: &Path, accepted: &Accepted, control: &Path, facts: &mut Facts) {
    let mut named = Named::new();
    named.insert(path.to_owned(), ("lvs.cf", false));
    for included in &accepted.included {
        named.insert(PathBuf::from(&included.name), ("include", false));
    }
    name_files(&accepted.config, &mut named);
    facts.files = named
        .into_iter()
        .map(|(path, (purpose, is_secret))| {
            let seen = permissions(&path);
            FileFact::new(purpose, path, is_secret, seen)
        })
        .collect();
    facts.users = users(&accepted.config);
    let beside = path.parent().unwrap_or(Path::new("/"));
    facts.spaces = [beside, control].iter().filter_map(|path| space(path)).collect();
}

/// The files of secrets that a configuration names, with their directives.
pub(super) fn secrets(config: &Config) -> Vec<PathBuf> {
    let mut named = Named::new();
    name_files(config, &mut named);
    named.into_iter().filter(|(_, (_, is_secret))| *is_secret).map(|(path, _)| path).collect()
}

fn name_files(config: &Config, named: &mut Named) {
    let mut name = |path: Option<&PathBuf>, purpose, is_secret| {
        named.extend(path.map(|path| (path.clone(), (purpose, is_secret))));
    };
    name(config.heartbeat_key.as_ref(), "heartbeat_key", true);
    name(config.heartbeat_key_accepted.as_ref(), "heartbeat_key_accepted", true);
    name(config.vrrp.as_ref().and_then(|vrrp| vrrp.auth.as_ref()), "vrrp_auth", true);
    name(config.notify.auth.as_ref(), "notify_auth", true);
    name(config.notify.ca.as_ref(), "notify_ca", false);
    let mail = config.notify.mail.as_ref();
    name(mail.and_then(|mail| mail.auth.as_ref()), "notify_smtp_auth", true);
    let services = config.active_virtuals().chain(config.active_failovers().map(|f| &f.service));
    for v in services {
        match &v.check {
            CheckSpec::Http(http) => name(http.auth.as_ref(), "http_auth", true),
            CheckSpec::Application(one) => name(one.auth.as_ref(), "check_auth", true),
            CheckSpec::Radius(radius) => {
                name(Some(&radius.secret), "radius_secret", true);
                name(radius.auth.as_ref(), "check_auth", true);
            }
            _ => {}
        }
        if let Some(tls) = tls(&v.check) {
            name(tls.ca.as_ref(), "tls_ca", false);
            let identity = tls.identity.as_ref();
            name(identity.map(|one| &one.certificate), "tls_certificate", false);
            name(identity.map(|one| &one.key), "tls_key", true);
        }
    }
}

/// The settings of TLS of a check that speaks it.
pub(super) const fn tls(check: &CheckSpec) -> Option<&TlsSpec> {
    match check {
        CheckSpec::Http(http) => http.tls.as_ref(),
        CheckSpec::Tls(tls) => Some(tls),
        CheckSpec::Grpc(grpc) => grpc.tls.as_ref(),
        _ => None,
    }
}

fn permissions(path: &Path) -> Result<Permissions, String> {
    let seen = fs::metadata(path).map_err(|error| error.to_string())?;
    Ok(Permissions { mode: seen.mode() & 0o7777, owner: seen.uid() })
}

fn users(config: &Config) -> BTreeMap<String, bool> {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_there = |name: &str| {
        name.parse::<u32>().is_ok()
            || accounts.lines().any(|line| line.split(':').next() == Some(name))
    };
    let programs = config.active_virtuals().filter_map(|v| match &v.check {
        CheckSpec::Program(program) => program.user.clone(),
        _ => None,
    });
    let others = [config.notify.user.clone(), config.guards.user.clone()];
    let names = programs.chain(others.into_iter().flatten());
    names.map(|name| (name.clone(), is_there(&name))).collect()
}

/// The file system of the nearest directory that is there.
fn space(path: &Path) -> Option<Space> {
    let there = path.ancestors().find(|path| path.exists())?;
    let seen = statvfs(there).ok()?;
    let is_read_only = seen.f_flag.contains(StatVfsMountFlags::RDONLY);
    Some(Space::new(there.to_owned(), seen.f_bavail.saturating_mul(seen.f_frsize), is_read_only))
}
