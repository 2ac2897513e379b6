//! What of IPVS is in files: connections, sysctls, the module.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::Namespace;
use crate::ipvs::kernel::sysctl::{KernelVersion, Managed, NoVersion, Sysctl, managed_profile};
use crate::ipvs::kernel::{Connection, parse_connections};

const SYSCTLS: &str = "/proc/sys/net/ipv4/vs";

impl Namespace {
    /// The connections and templates, from `/proc/net/ip_vs_conn_sync`, which anybody may read.
    ///
    /// # Errors
    /// What the file system says; `NotFound` without ip_vs. `InvalidData` for a line that is no
    /// connection.
    pub fn connections(&self) -> io::Result<Vec<Connection>> {
        let text = self.run(|| fs::read_to_string("/proc/thread-self/net/ip_vs_conn_sync"))??;
        let connections: Result<_, _> = parse_connections(&text).collect();
        connections.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// The value of a setting, or `None` if this kernel does not have it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn sysctl(&self, sysctl: &Sysctl) -> io::Result<Option<String>> {
        let path = Path::new(SYSCTLS).join(sysctl.name);
        match self.run(|| fs::read_to_string(path))? {
            Ok(value) => Ok(Some(value.trim_end().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets a setting.
    ///
    /// # Errors
    /// `InvalidInput` for a value the setting does not take; else what the file system says.
    pub fn set_sysctl(&self, sysctl: &Sysctl, value: &str) -> io::Result<()> {
        if !sysctl.kind.accepts(value) {
            let message = format!("{} does not take {value:?}", sysctl.name);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let path = Path::new(SYSCTLS).join(sysctl.name);
        self.run(|| fs::write(path, value))?
    }

    /// Brings the settings of the [profile](managed_profile) for the running kernel to their
    /// values and returns those that had another one. What this kernel lacks is passed over.
    ///
    /// # Errors
    /// What the file system says. Settings before the one that failed are set.
    pub fn manage_sysctls(&self) -> io::Result<Vec<Managed>> {
        let mut changed = Vec::new();
        for managed in managed_profile(running_kernel()?) {
            let current = self.sysctl(managed.sysctl)?;
            // A pair comes back with a tab in it.
            let words =
                |value: &str| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            if current.is_some_and(|value| words(&value) != words(managed.value)) {
                self.set_sysctl(managed.sysctl, managed.value)?;
                changed.push(managed);
            }
        }
        Ok(changed)
    }
}

/// The version of the kernel that runs.
///
/// # Errors
/// What the file system says; `InvalidData` for a release without a version.
pub fn running_kernel() -> io::Result<KernelVersion> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let invalid = |error: NoVersion| io::Error::new(io::ErrorKind::InvalidData, error);
    release.trim_end().parse().map_err(invalid)
}

/// Loads the module `ip_vs` by `/sbin/modprobe`, as ipvsadm does.
///
/// Schedulers and persistence engines need nothing of the kind: the kernel loads their modules.
///
/// # Errors
/// The program cannot be started, or fails: there is no such module, or no privilege.
pub fn load_module() -> io::Result<()> {
    let output = Command::new("/sbin/modprobe").args(["--", "ip_vs"]).output()?;
    if output.status.success() {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("modprobe ip_vs: {}: {}", output.status, said.trim_end())))
    }
}
