//! Where the control sockets of a director are.

use std::env;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::server::Options;
use crate::control::protocol::Daemon;
use crate::runtime::configuration::hash;

/// Where daemons keep what must not outlive the boot, unless the supervisor says otherwise.
const DIRECTORY: &str = "/run/piranha";

/// Where daemons keep what outlives the boot.
const LASTING: &str = "/var/lib/piranha";

/// The directory of the director that runs the configuration at `config`: `chosen` if there is
/// one, else `RUNTIME_DIRECTORY` (systemd gives it), else `/run/piranha`.
///
/// The director of the file `usual` has that directory to itself. One of another file has a
/// directory of its own in there, so that several on one machine keep out of each other's way;
/// who names the file finds it again.
#[must_use]
pub fn directory(chosen: Option<&Path>, config: &Path, usual: &Path) -> PathBuf {
    if let Some(chosen) = chosen {
        return chosen.to_owned();
    }
    let base = env::var_os("RUNTIME_DIRECTORY").map_or_else(|| DIRECTORY.into(), PathBuf::from);
    let config = fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
    let usual = fs::canonicalize(usual).unwrap_or_else(|_| usual.to_owned());
    if config == usual {
        return base;
    }
    base.join(format!("{:016x}", hash(config.as_os_str().as_bytes())))
}

/// The directory of the sockets that lead to the partner's daemons, on a node whose own are in
/// `control`. A [`Client`](crate::control::Client) connects there as it does to one of its own.
#[must_use]
pub fn partner_directory(control: &Path) -> PathBuf {
    control.join("partner")
}

/// Where the director of the configuration at `config` remembers what operators said: in
/// `STATE_DIRECTORY` where the supervisor gives one, which outlives a boot, else beside its sockets.
#[must_use]
pub fn state_file(options: &Options, config: &Path) -> PathBuf {
    match env::var_os("STATE_DIRECTORY") {
        None => options.directory.join("overrides.json"),
        Some(directory) => {
            let config = fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
            let name = format!("overrides-{:016x}.json", hash(config.as_os_str().as_bytes()));
            PathBuf::from(directory).join(name)
        }
    }
}

/// Where the revisions of the configuration at `config` are kept: beside what operators said where
/// that outlives a boot; else in `/var/lib/piranha`, if that is there and the sockets are below
/// `/run`; else beside the sockets.
#[must_use]
pub fn history_directory(options: &Options, config: &Path) -> PathBuf {
    let lasting = env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    let is_kept = options.directory.starts_with("/run") && Path::new(LASTING).is_dir();
    let lasting = lasting.or_else(|| is_kept.then(|| LASTING.into()));
    match lasting {
        None => options.directory.join("history"),
        Some(directory) => {
            let config = fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
            directory.join(format!("history-{:016x}", hash(config.as_os_str().as_bytes())))
        }
    }
}

/// The socket of `daemon` in `directory`.
#[must_use]
pub fn socket(directory: &Path, daemon: Daemon) -> PathBuf {
    directory.join(daemon.name()).with_extension("sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directors_of_two_files_have_two_directories_and_a_chosen_one_wins() {
        let usual = Path::new("/etc/sysconfig/ha/lvs.cf");
        let of = |config| directory(None, Path::new(config), usual);
        assert_ne!(of("/one/lvs.cf"), of("/two/lvs.cf"));
        assert_eq!(of("/one/lvs.cf").parent(), Some(of("/etc/sysconfig/ha/lvs.cf").as_path()));
        let chosen = Path::new("/here");
        assert_eq!(directory(Some(chosen), Path::new("/one/lvs.cf"), usual), chosen);
    }
}
