//! The sysctls of IPVS, `/proc/sys/net/ipv4/vs`: what there is, and what a director should have.
//!
//! All belong to a network namespace. [`managed_profile`] is what this crate sets where it is told
//! to manage the kernel; everything else stays as the administrator left it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A version of Linux, as far as settings depend on it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct KernelVersion {
    major: u16,
    minor: u16,
}

impl KernelVersion {
    /// The version `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl FromStr for KernelVersion {
    type Err = NoVersion;

    /// Reads a release as `uname -r` shows it: `6.1.0-28-amd64`.
    fn from_str(release: &str) -> Result<Self, NoVersion> {
        let mut parts = release.split(|c: char| !c.is_ascii_digit());
        let mut next = || parts.next()?.parse().ok();
        match (next(), next()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(NoVersion(release.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that does not begin with two numbers.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a kernel release: it must begin like 6.1")]
pub struct NoVersion(Box<str>);

/// What values a setting takes.
#[allow(clippy::exhaustive_enums, reason = "the shapes IPVS has")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Off and on, 0 and 1.
    Switch,
    /// A whole number from the first to the second, both allowed.
    Number(i64, i64),
    /// Two whole numbers.
    Pair,
    /// A list of CPUs such as `0-3,8`.
    Cpus,
}

impl Kind {
    /// Whether `value`, as it would be written to the file, is one of these.
    #[must_use]
    pub fn accepts(self, value: &str) -> bool {
        let within = |text: &str, least, most| {
            let number = text.parse::<i64>();
            number.is_ok_and(|number| (least..=most).contains(&number))
        };
        match self {
            Self::Switch => within(value, 0, 1),
            Self::Number(least, most) => within(value, least, most),
            Self::Pair => {
                let mut words = value.split_ascii_whitespace();
                let mut number = || words.next().is_some_and(|w| within(w, 0, i32::MAX.into()));
                number() && number() && words.next().is_none()
            }
            Self::Cpus => value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b',' | b'-')),
        }
    }
}

/// What [`managed_profile`] sets `sync_refresh_period` to: a connection with packets is sent to the
/// other director again after so long.
pub const SYNC_REFRESH: Duration = Duration::from_secs(10);

/// One setting.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sysctl {
    /// The name of its file.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The kernel's default, in words where it depends on the machine.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// The first version that has it, as far as it matters today.
    pub since: KernelVersion,
}

impl Sysctl {
    /// The setting of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SYSCTLS.iter().find(|sysctl| sysctl.name == name)
    }

    const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        meaning: &'static str,
    ) -> Self {
        let since = KernelVersion::new(2, 6);
        Self { name, kind, default, meaning, since }
    }

    const fn since(mut self, major: u16, minor: u16) -> Self {
        self.since = KernelVersion::new(major, minor);
        self
    }
}

const MODE: Kind = Kind::Number(0, 3);
const COUNT: Kind = Kind::Number(0, i32::MAX as i64);

/// Every setting, in alphabetical order.
pub static SYSCTLS: &[Sysctl] = &[
    Sysctl::new("am_droprate", COUNT, "10", "with drop_packet at 3, one packet in so many is dropped"),
    Sysctl::new("amemthresh", COUNT, "1024", "free pages below which the automatic defences switch on"),
    Sysctl::new("backup_only", Kind::Switch, "0", "while a backup sync daemon runs, schedule nothing: no loops between directors that are real servers too").since(3, 9),
    Sysctl::new("cache_bypass", Kind::Switch, "0", "a service by mark without servers forwards to where the packet was going"),
    Sysctl::new("conn_lfactor", Kind::Number(-8, 8), "-4", "how full the connection table gets before it grows, as a power of two").since(7, 0),
    Sysctl::new("conn_max", COUNT, "1073741824", "the most connections").since(7, 0),
    Sysctl::new("conn_reuse_mode", COUNT, "1", "what a client's port seen again does: bit 0 schedules it anew once the old connection is closing, bit 1 also in FIN_WAIT; 0 keeps the old server").since(4, 2),
    Sysctl::new("conntrack", Kind::Switch, "0", "keep netfilter's entries for connections, for firewall rules and FTP by NAT").since(2, 6),
    Sysctl::new("drop_entry", MODE, "0", "drop half-open and little-used connections: never, when memory is short (1, 2), always"),
    Sysctl::new("drop_packet", MODE, "0", "drop packets that would open connections: never, when memory is short (1, 2), always"),
    Sysctl::new("est_cpulist", Kind::Cpus, "every CPU", "where the estimators run").since(6, 2),
    Sysctl::new("est_nice", Kind::Number(-20, 19), "0", "the estimators' priority").since(6, 2),
    Sysctl::new("expire_nodest_conn", Kind::Switch, "0", "end the connections of a server that was removed, instead of dropping their packets until they time out"),
    Sysctl::new("expire_quiescent_template", Kind::Switch, "0", "a persistent client of a server with weight 0 gets another one"),
    Sysctl::new("ignore_tunneled", Kind::Switch, "0", "do not schedule packets that came out of a tunnel").since(4, 4),
    Sysctl::new("lblc_expiration", COUNT, "86400", "seconds an unused entry of the scheduler lblc lives; appears with its module"),
    Sysctl::new("lblcr_expiration", COUNT, "86400", "seconds an unused entry of the scheduler lblcr lives; appears with its module"),
    Sysctl::new("nat_icmp_send", Kind::Switch, "0", "tell a real server by ICMP when it answers on a connection nobody knows"),
    Sysctl::new("pmtu_disc", Kind::Switch, "1", "honour the don't-fragment bit in tunnels").since(2, 6),
    Sysctl::new("run_estimation", Kind::Switch, "1", "keep counters and rates up to date; 0 freezes them").since(5, 17),
    Sysctl::new("schedule_icmp", Kind::Switch, "0", "schedule ICMP errors about flows nobody knows").since(4, 4),
    Sysctl::new("secure_tcp", MODE, "0", "use shorter TCP timeouts: never, when memory is short (1, 2), always"),
    Sysctl::new("sloppy_sctp", Kind::Switch, "0", "let any SCTP packet open a connection").since(3, 11),
    Sysctl::new("sloppy_tcp", Kind::Switch, "0", "let any TCP packet open a connection").since(3, 11),
    Sysctl::new("snat_reroute", Kind::Switch, "1", "route answers by NAT as if they were sent from here").since(2, 6),
    Sysctl::new("svc_lfactor", Kind::Number(-8, 8), "-3", "how full the service table gets before it grows, as a power of two").since(7, 0),
    Sysctl::new("sync_persist_mode", Kind::Switch, "0", "synchronise the templates of persistent services and not their connections").since(4, 1),
    Sysctl::new("sync_ports", Kind::Number(1, 64), "1", "threads and UDP ports of a sync daemon, a power of two").since(3, 5),
    Sysctl::new("sync_qlen_max", COUNT, "by memory", "messages that may wait to be sent").since(3, 5),
    Sysctl::new("sync_refresh_period", COUNT, "0", "seconds after which a connection that lasts is sent again; 0 counts packets instead").since(3, 5),
    Sysctl::new("sync_retries", MODE, "0", "repeats of each message about a connection, against loss").since(3, 5),
    Sysctl::new("sync_sock_size", COUNT, "0", "buffer of the sync sockets in bytes; 0 leaves the system's").since(3, 5),
    Sysctl::new("sync_threshold", Kind::Pair, "3 50", "a connection is sent at its third packet, and again every 50 packets"),
    Sysctl::new("sync_version", Kind::Number(0, 1), "1", "the format of sync messages; 0 has neither IPv6 nor timeouts").since(3, 0),
];

/// A value the profile sets, and why.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Managed {
    /// The setting.
    pub sysctl: &'static Sysctl,
    /// The value, as it is written to the file.
    pub value: &'static str,
    /// Why.
    pub why: &'static str,
}

/// What a director running this kernel should have; settings the kernel lacks are left out.
#[must_use]
pub fn managed_profile(kernel: KernelVersion) -> Vec<Managed> {
    let reuse = if kernel < KernelVersion::new(5, 9) {
        (
            "conn_reuse_mode",
            "0",
            "before 5.9 a reused client port waits a second for its connection when conntrack is on",
        )
    } else {
        (
            "conn_reuse_mode",
            "1",
            "a client that reuses a port is scheduled anew, and not sent to a server that may be gone",
        )
    };
    [
        (
            "expire_nodest_conn",
            "1",
            "connections to a server that was removed end at once, instead of hanging until they time out",
        ),
        (
            "expire_quiescent_template",
            "1",
            "persistent clients leave a server that is being drained or has failed",
        ),
        reuse,
        (
            "sync_version",
            "1",
            "the other director needs timeouts and IPv6 with each connection",
        ),
        (
            "sync_threshold",
            "2 3",
            "a connection is sent once it is established, and not first with its third packet; a \
             datagram that is never followed by another is not",
        ),
        (
            "sync_refresh_period",
            "10",
            "a director that starts late learns connections that last, however few packets they have",
        ),
        (
            "sync_retries",
            "2",
            "sync messages are not acknowledged; what is lost must come again",
        ),
        (
            "sync_persist_mode",
            "0",
            "connections of persistent clients go on too, and not only their choice of a server",
        ),
        (
            "sync_sock_size",
            "4194304",
            "a burst of connections is not lost in the socket; net.core.rmem_max and wmem_max bound it",
        ),
    ]
    .into_iter()
    .filter_map(|(name, value, why)| {
        let sysctl = Sysctl::find(name).filter(|sysctl| sysctl.since <= kernel)?;
        Some(Managed { sysctl, value, why })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_fits_the_kernel() {
        let names = |major, minor| -> Vec<_> {
            let profile = managed_profile(KernelVersion::new(major, minor));
            profile.iter().map(|m| (m.sysctl.name, m.value)).collect()
        };
        assert_eq!(names(2, 6).len(), 3);
        assert!(names(4, 19).contains(&("conn_reuse_mode", "0")));
        assert!(names(6, 1).contains(&("conn_reuse_mode", "1")));
        assert_eq!(names(6, 1).len(), 9);
    }

    #[test]
    fn what_the_profile_sets_the_setting_accepts() {
        for managed in managed_profile(KernelVersion::new(7, 2)) {
            assert!(managed.sysctl.kind.accepts(managed.value), "{managed:?}");
        }
        assert!(!Kind::Switch.accepts("2"));
        assert!(Kind::Pair.accepts("3 50"));
        assert!(!Kind::Pair.accepts("3"));
        assert!(!MODE.accepts("4"));
    }

    #[test]
    fn the_settings_are_in_order_and_each_is_there_once() {
        assert!(SYSCTLS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn a_release_is_read_as_uname_shows_it() {
        assert_eq!("6.1.0-28-amd64".parse(), Ok(KernelVersion::new(6, 1)));
        assert_eq!("6.12".parse(), Ok(KernelVersion::new(6, 12)));
        assert!("linux".parse::<KernelVersion>().is_err());
    }
}
