//! What is wrong with a machine that is to be a director, and what to type against it.
//!
//! [`Facts`] is what was seen, which is data: a driver gathers it, a support bundle carries it.
//! [`judge`] holds it against the configuration and is pure.

mod addresses;
mod files;
mod firewall;
mod kernel;
mod partner;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::firewall::{Chain, parse_iptables, parse_nft};
use super::status::Grade;
use crate::config::Config;
use crate::failover::State;
use crate::wire::ethernet::MacAddr;

/// What was seen of a machine. Where something could not be looked at it is empty, and
/// [`unseen`](Self::unseen) says why.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Facts {
    /// Whether the kernel's IPVS answers: `Err` says why not.
    pub ipvs: Option<Result<(), String>>,
    /// The kernel modules that are loaded, built in, or could be loaded; none where not known.
    pub modules: BTreeSet<String>,
    /// Settings of the kernel by the names of sysctl(8).
    pub settings: BTreeMap<String, String>,
    /// The timeouts of IPVS in seconds: TCP, TCP after a FIN, UDP.
    pub timeouts: Option<[u64; 3]>,
    /// The network interfaces.
    pub interfaces: Vec<Interface>,
    /// Who else says on the link that it has an address, for those that were asked for.
    pub claims: Vec<Claim>,
    /// The chains of packet filters.
    pub chains: Vec<Chain>,
    /// Whether the clock is kept right.
    pub synchronised: Option<bool>,
    /// The largest step back that the clock took between two events.
    pub set_back: Option<Duration>,
    /// The files that the configuration needs.
    pub files: Vec<FileFact>,
    /// The users that the configuration names, and whether there are such.
    pub users: BTreeMap<String, bool>,
    /// Where daemons write.
    pub spaces: Vec<Space>,
    /// What checks over TLS saw.
    pub certificates: Vec<Certificate>,
    /// The versions of the programs, by name: `pulse`, `lvs`, and this one as `piranha`.
    pub versions: BTreeMap<String, String>,
    /// The same of the daemons on the other node; none where they cannot be asked.
    pub partner_versions: BTreeMap<String, String>,
    /// Another version of the control protocol that the other node speaks.
    pub partner_protocol: Option<u32>,
    /// Datagrams on the heartbeats' ports that `pulse` refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// What `pulse` says that it is doing.
    pub state: Option<State>,
    /// Whether the partner was heard within the dead time; `None` where nobody can tell.
    pub hears_partner: Option<bool>,
    /// What could not be looked at, and why.
    pub unseen: Vec<(String, String)>,
}

/// A network interface.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it is switched on.
    pub is_up: bool,
    /// Whether it has a carrier.
    pub is_running: bool,
    /// Its addresses, with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
}

impl Interface {
    /// An interface that is up, with these addresses.
    pub fn new(name: impl Into<String>, addresses: Vec<(IpAddr, u8)>) -> Self {
        Self { name: name.into(), is_up: true, is_running: true, addresses }
    }
}

/// Who answered for an address.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claim {
    /// The address that was asked for.
    pub address: IpAddr,
    /// Another station that says it has it.
    pub station: MacAddr,
    /// What else that station is known to have.
    pub known_as: Vec<IpAddr>,
}

impl Claim {
    /// `station`, known as these, says that it has `address`.
    #[must_use]
    pub const fn new(address: IpAddr, station: MacAddr, known_as: Vec<IpAddr>) -> Self {
        Self { address, station, known_as }
    }
}

/// A file that the configuration needs.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FileFact {
    /// What names it: a directive, or `lvs.cf`.
    pub purpose: String,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it holds a secret.
    pub is_secret: bool,
    /// Its permissions and owner, or why they cannot be seen.
    pub seen: Result<Permissions, String>,
}

impl FileFact {
    /// What was seen of the file at `path` that `purpose` names.
    pub fn new(
        purpose: impl Into<String>,
        path: PathBuf,
        is_secret: bool,
        seen: Result<Permissions, String>,
    ) -> Self {
        Self { purpose: purpose.into(), path, is_secret, seen }
    }
}

/// Who may do what with a file.
#[allow(clippy::exhaustive_structs, reason = "what stat(2) says")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Permissions {
    /// The bits of its mode.
    pub mode: u32,
    /// The user it belongs to.
    pub owner: u32,
}

/// A file system that a daemon writes to.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Space {
    /// The directory.
    pub path: PathBuf,
    /// What is free for anybody, in bytes.
    pub free: u64,
    /// Whether nothing can be written to it.
    pub is_read_only: bool,
}

impl Space {
    /// So many bytes are free where `path` is.
    #[must_use]
    pub const fn new(path: PathBuf, free: u64, is_read_only: bool) -> Self {
        Self { path, free, is_read_only }
    }
}

/// What a check over TLS saw of a server.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Certificate {
    /// `SERVICE/SERVER`.
    pub server: String,
    /// In how many days it expires.
    pub days: u64,
    /// From how many days on lvs.cf wants to be warned.
    pub warning: u64,
}

impl Certificate {
    /// The certificate of `server` expires in `days`, and is warned of from `warning` on.
    pub fn new(server: impl Into<String>, days: u64, warning: u64) -> Self {
        Self { server: server.into(), days, warning }
    }
}

/// One thing that is wrong, or could not be looked at.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// For programs.
    pub code: FindingCode,
    /// How bad it is.
    pub grade: Grade,
    /// What is wrong, in words.
    pub message: String,
    /// What was seen.
    pub evidence: String,
    /// What to type, or to do.
    pub mend: String,
}

impl Finding {
    fn new(
        code: FindingCode,
        grade: Grade,
        message: impl Into<String>,
        evidence: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let (message, evidence, mend) = (message.into(), evidence.into(), mend.into());
        Self { code, grade, message, evidence, mend }
    }
}

/// What a [`Finding`] is about.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingCode {
    /// lvs.cf cannot be run.
    Configuration,
    /// The kernel's IPVS is wanted and not there.
    NoIpvs,
    /// The module of a scheduler is missing.
    NoScheduler,
    /// Packets are not forwarded, which NAT needs.
    NoForwarding,
    /// Redirects would send clients past the director.
    SendRedirects,
    /// Answers are dropped for coming in on another interface.
    ReversePath,
    /// IPVS keeps other timeouts than lvs.cf has.
    Timeouts,
    /// A filter by connection state does not know the connections of IPVS.
    Conntrack,
    /// An interface that lvs.cf names is not there.
    NoInterface,
    /// An interface that lvs.cf needs is down.
    LinkDown,
    /// This machine has neither of the directors' addresses.
    NoOwnAddress,
    /// Checks come from an address that this machine has not.
    CheckSource,
    /// Two interfaces have the same address.
    DuplicateAddress,
    /// Another station answers for an address that is held here, or several for one.
    AddressConflict,
    /// A real server answers for the VIP, which it must not with direct routing.
    ServerAnswers,
    /// A filter keeps heartbeats out.
    HeartbeatFiltered,
    /// The clock is not kept right.
    Clock,
    /// A file that lvs.cf names is missing.
    NoFile,
    /// Others may read or change a file that they must not.
    Permissions,
    /// A user that lvs.cf names is missing.
    NoUser,
    /// There is no room where daemons write.
    NoSpace,
    /// A certificate of a server expires.
    CertificateExpires,
    /// Programs of different versions run.
    Versions,
    /// The two nodes run different versions.
    PartnerVersions,
    /// The partner's heartbeats are of another version than those here.
    HeartbeatVersion,
    /// `pulse` or `lvs` does not run.
    NotRunning,
    /// Something could not be looked at.
    NotSeen,
}

/// Everything that speaks against the machine on which `facts` were seen as a director of
/// `config`, the worst first.
#[must_use]
pub fn judge(config: &Config, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    kernel::judge(config, facts, &mut findings);
    addresses::judge(config, facts, &mut findings);
    firewall::judge(config, facts, &mut findings);
    files::judge(facts, &mut findings);
    partner::judge(config, facts, &mut findings);
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.grade), finding.code));
    findings
}

/// The finding where lvs.cf is no configuration: without one nothing else can be judged.
#[must_use]
pub fn no_configuration(reason: &str) -> Finding {
    Finding::new(
        FindingCode::Configuration,
        Grade::Critical,
        "the configuration cannot be run",
        reason,
        "piranha config check",
    )
}

/// The worst of the findings. What could not be looked at is as bad as a warning.
#[must_use]
pub fn worst(findings: &[Finding]) -> Grade {
    let grades = findings.iter().map(|finding| match finding.grade {
        Grade::Unknown => Grade::Warning,
        grade => grade,
    });
    grades.max().unwrap_or(Grade::Ok)
}
