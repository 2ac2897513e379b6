//! The words of the command line and which of them go together.

use super::UsageError;

/// A command, under the name that messages give it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Command {
    AddService,
    EditService,
    DeleteService,
    AddServer,
    EditServer,
    DeleteServer,
    List,
    Zero,
    Save,
    Flush,
    Restore,
    Set,
    StartDaemon,
    StopDaemon,
}

impl Command {
    const fn name(self) -> &'static str {
        match self {
            Self::AddService => "add-service",
            Self::EditService => "edit-service",
            Self::DeleteService => "delete-service",
            Self::AddServer => "add-server",
            Self::EditServer => "edit-server",
            Self::DeleteServer => "delete-server",
            Self::List => "list",
            Self::Zero => "zero",
            Self::Save => "save",
            Self::Flush => "flush",
            Self::Restore => "restore",
            Self::Set => "set",
            Self::StartDaemon => "start-daemon",
            Self::StopDaemon => "stop-daemon",
        }
    }
}

/// What an option is about. Several spellings may share one: `-t` and `-u` are both a service.
///
/// In the order in which they are checked, which decides the complaint that is made first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Subject {
    Numeric,
    Connection,
    Service,
    Scheduler,
    Persistent,
    Netmask,
    RealServer,
    Forwarding,
    Weight,
    UpperThreshold,
    LowerThreshold,
    McastInterface,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    NoSort,
    SyncId,
    Exact,
    OnePacket,
    Engine,
    SchedulerFlags,
    McastGroup,
    McastPort,
    McastTtl,
    SyncMaxlen,
    TunnelInfo,
    TunnelType,
    TunnelPort,
    TunnelNoChecksum,
    TunnelChecksum,
    TunnelRemoteChecksum,
    Json,
    DryRun,
    Check,
}

/// For every subject its name in messages and what each command says to it: `+` mandatory, `o`
/// optional, `1` at most one of those marked so, `.` illegal. The columns are the commands in the
/// order of [`Command`].
#[rustfmt::skip]
const LEGALITY: [(Subject, &str, &[u8; 14]); 37] = [
    //                                                        AEDaedLZSCR=+-
    (Subject::Numeric,              "numeric",           b"......o.o....."),
    (Subject::Connection,           "connection",        b"......1......."),
    (Subject::Service,              "service-address",   b"++++++1o......"),
    (Subject::Scheduler,            "scheduler",         b"oo............"),
    (Subject::Persistent,           "persistent",        b"oo............"),
    (Subject::Netmask,              "netmask",           b"oo............"),
    (Subject::RealServer,           "real-server",       b"...+++........"),
    (Subject::Forwarding,           "forwarding-method", b"...oo........."),
    (Subject::Weight,               "weight",            b"...oo........."),
    (Subject::UpperThreshold,       "u-threshold",       b"...oo........."),
    (Subject::LowerThreshold,       "l-threshold",       b"...oo........."),
    (Subject::McastInterface,       "mcast-interface",   b"............o."),
    (Subject::Timeout,              "timeout",           b"......1......."),
    (Subject::Daemon,               "daemon",            b"......1......."),
    (Subject::Stats,                "stats",             b"......o......."),
    (Subject::Rate,                 "rate",              b"......o......."),
    (Subject::Thresholds,           "thresholds",        b"......o......."),
    (Subject::PersistentConn,       "persistent-conn",   b"......o......."),
    (Subject::NoSort,               "nosort",            b"......o......."),
    (Subject::SyncId,               "syncid",            b"......o.....oo"),
    (Subject::Exact,                "exact",             b"......o......."),
    (Subject::OnePacket,            "ops",               b"oo............"),
    (Subject::Engine,               "pe",                b"oo............"),
    (Subject::SchedulerFlags,       "sched-flags",       b"oo............"),
    (Subject::McastGroup,           "mcast-group",       b"............o."),
    (Subject::McastPort,            "mcast-port",        b"............o."),
    (Subject::McastTtl,             "mcast-ttl",         b"............o."),
    (Subject::SyncMaxlen,           "sync-maxlen",       b"............o."),
    (Subject::TunnelInfo,           "tun-info",          b"......o......."),
    (Subject::TunnelType,           "tun-type",          b"...oo........."),
    (Subject::TunnelPort,           "tun-port",          b"...oo........."),
    (Subject::TunnelNoChecksum,     "tun-nocsum",        b"...oo........."),
    (Subject::TunnelChecksum,       "tun-csum",          b"...oo........."),
    (Subject::TunnelRemoteChecksum, "tun-remcsum",       b"...oo........."),
    (Subject::Json,                 "json",              b"......o......."),
    (Subject::DryRun,               "dry-run",           b"oooooo.o.ooooo"),
    (Subject::Check,                "check",             b"..........o..."),
];

/// The same for what goes with each type of tunnel, in the order `ipip`, `gue`, `gre`.
const TUNNEL_LEGALITY: [(Subject, &[u8; 3]); 4] = [
    (Subject::TunnelPort, b".+."),
    (Subject::TunnelNoChecksum, b".11"),
    (Subject::TunnelChecksum, b".11"),
    (Subject::TunnelRemoteChecksum, b".1."),
];

/// The encapsulation named by `--tun-type`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum TunnelType {
    #[default]
    Ipip,
    Gue,
    Gre,
}

impl TunnelType {
    const fn name(self) -> &'static str {
        match self {
            Self::Ipip => "ipip",
            Self::Gue => "gue",
            Self::Gre => "gre",
        }
    }
}

/// The subjects a command line has named so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given(u64);

impl Given {
    /// Notes that `subject` was named.
    ///
    /// # Errors
    /// It was named before.
    pub(super) fn note(&mut self, subject: Subject) -> Result<(), UsageError> {
        if self.has(subject) {
            return Err(UsageError::invalid(format!(
                "multiple '{}' options specified",
                name(subject)
            )));
        }
        self.0 |= 1 << subject as u64;
        Ok(())
    }

    pub(super) const fn has(self, subject: Subject) -> bool {
        self.0 & (1 << subject as u64) != 0
    }

    pub(super) fn has_any(self, subjects: &[Subject]) -> bool {
        subjects.iter().any(|&subject| self.has(subject))
    }
}

/// Checks that `command` takes everything that is `given`, and has everything it needs.
///
/// # Errors
/// The first complaint in the order of [`Subject`].
pub(super) fn check_command(command: Command, given: Given) -> Result<(), UsageError> {
    let rules = LEGALITY.iter().map(|(subject, _, row)| (*subject, row[command as usize]));
    check(rules, given, command.name(), "command")
}

/// Checks that the tunnel options `given` are those that `tunnel` needs and takes.
///
/// # Errors
/// The first complaint in the order of [`Subject`].
pub(super) fn check_tunnel(tunnel: TunnelType, given: Given) -> Result<(), UsageError> {
    let rules = TUNNEL_LEGALITY.iter().map(|(subject, row)| (*subject, row[tunnel as usize]));
    check(rules, given, tunnel.name(), "tunnel type")
}

fn check(
    rules: impl Iterator<Item = (Subject, u8)>,
    given: Given,
    of: &str,
    kind: &str,
) -> Result<(), UsageError> {
    let mut chosen = None;
    for (subject, rule) in rules {
        let option = name(subject);
        match (given.has(subject), rule) {
            (true, b'.') => {
                return Err(UsageError::invalid(format!(
                    "Illegal '{option}' option with the '{of}' {kind}"
                )));
            }
            (true, b'1') => {
                if let Some(earlier) = chosen.replace(option) {
                    return Err(UsageError::invalid(format!(
                        "The option '{option}' conflicts with the '{earlier}' option in the '{of}' {kind}"
                    )));
                }
            }
            (false, b'+') => {
                return Err(UsageError::invalid(format!(
                    "You need to supply the '{option}' option for the '{of}' {kind}"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

const fn name(subject: Subject) -> &'static str {
    LEGALITY[subject as usize].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legality_table_is_in_the_order_of_its_subjects() {
        for (index, (subject, name, _)) in LEGALITY.iter().enumerate() {
            assert_eq!(*subject as usize, index, "{name}");
        }
    }
}
