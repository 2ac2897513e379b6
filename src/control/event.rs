use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::Override;
use super::revisions::News;
use crate::config::QuorumOf;
use crate::failover::guard::{Fault, Guard};
use crate::failover::{Cause, Role, State, Transition, VirtualAddress};
use crate::health::Health;
use crate::ipvs::kernel::DaemonRole;
use crate::net::Weight;
use crate::wire::ethernet::MacAddr;

/// One thing that happened on a director. Log lines, timelines and event streams are made of it.
///
/// Its [`Display`](fmt::Display) form says what happened; [`subsystem`](Self::subsystem) says
/// where and [`why`](Self::why) for which reason. Phrases of Piranha 0.8.6 that scripts look for
/// in the log are kept.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// `pulse` listens for heartbeats.
    Started {
        /// The configured role.
        role: Role,
        /// Whether heartbeats are authenticated.
        authenticated: bool,
    },
    /// How well heartbeats are kept apart from what else the machine does.
    Isolation {
        /// Whether the memory of `pulse` stays in memory.
        memory_locked: bool,
        /// Whether its thread is ahead of ordinary ones.
        realtime: bool,
    },
    /// The data plane is chosen and running.
    DataPlane {
        /// Its name in `dataplane = ...`.
        name: String,
        /// Why this one.
        reason: String,
    },
    /// A setting of the kernel had another value than a director needs and was set.
    Setting {
        /// Its name, as sysctl(8) has it.
        name: String,
        /// The value it has now.
        value: String,
    },
    /// A thread of the kernel that synchronises connections was started or stopped.
    SyncDaemon {
        /// Whether it sends or receives.
        role: DaemonRole,
        /// Its interface.
        interface: String,
        /// Its id.
        id: u8,
        /// Whether it runs now.
        running: bool,
    },
    /// This director has come to know all it needs to take the service back: until then a
    /// `failback` waits.
    Warm {
        /// What is still missing, if waiting for it was given up.
        missing: Option<String>,
    },
    /// The state of this director changed.
    Transition(Transition),
    /// A takeover or hand-over that could have happened did not.
    Declined {
        /// Why not.
        reason: Cause,
    },
    /// Heartbeats came in that were not accepted and changed nothing. Told at most every ten
    /// seconds.
    HeartbeatsRefused {
        /// How many since the last time, by reason (docs/pulse-protocol.md).
        reasons: Vec<(String, u64)>,
    },
    /// A guard of this director fails: it passes the service on if its partner can take it.
    GuardFailed {
        /// Which, and why.
        fault: Fault,
    },
    /// A guard of this director is in order again.
    GuardMended {
        /// Which.
        guard: Guard,
    },
    /// The addresses of the service are up on this director.
    Acquired {
        /// Which.
        addresses: Vec<VirtualAddress>,
    },
    /// Somebody removed an address that this director holds; it was put back.
    AddressRestored {
        /// Which.
        address: VirtualAddress,
    },
    /// Another station has an address that this director holds; it was announced again. Told at
    /// most every ten seconds for one address.
    AddressConflict {
        /// Which.
        address: VirtualAddress,
        /// The other station.
        hardware: MacAddr,
    },
    /// The addresses of the service are down on this director.
    Released {
        /// Which.
        addresses: Vec<VirtualAddress>,
    },
    /// The health of a real server changed.
    Health {
        /// The virtual service's name in lvs.cf.
        service: String,
        /// The real server's name in lvs.cf.
        server: String,
        /// Its address and port.
        address: SocketAddr,
        /// The health before.
        from: Health,
        /// The health after.
        to: Health,
        /// What was seen.
        reason: String,
    },
    /// A real server has another weight in the table, or is in it or out of it now.
    Weight {
        /// The virtual service's name in lvs.cf.
        service: String,
        /// The real server's name in lvs.cf.
        server: String,
        /// Its address and port.
        address: SocketAddr,
        /// The weight now; `None` when it was taken out.
        weight: Option<Weight>,
    },
    /// The agent on a real server keeps it from taking connections, or no longer does.
    Agent {
        /// The virtual service's name in lvs.cf.
        service: String,
        /// The real server's name in lvs.cf.
        server: String,
        /// Its address and port.
        address: SocketAddr,
        /// The word of the agent: `drain`, `maint`, `down`, `fail`, `stopped` or `0%`; `None` when
        /// it no longer keeps the server from anything.
        word: Option<String>,
        /// What the agent said behind `#`.
        reason: Option<String>,
    },
    /// The agent on a real server wants it to have so many connections at most, or no longer does.
    MostConnections {
        /// The virtual service's name in lvs.cf.
        service: String,
        /// The real server's name in lvs.cf.
        server: String,
        /// Its address and port.
        address: SocketAddr,
        /// How many; `None` when the agent no longer says so.
        most: Option<NonZeroU32>,
    },
    /// The load of a real server cannot be measured, so its weight stays as it is; or it can be
    /// again.
    LoadUnknown {
        /// The real server.
        server: IpAddr,
        /// What measures.
        monitor: String,
        /// Why it cannot; `None` when it can again.
        reason: Option<String>,
    },
    /// The sorry server took over because no real server is left, or was relieved.
    SorryServer {
        /// The virtual service's name in lvs.cf.
        service: String,
        /// The sorry server.
        address: SocketAddr,
        /// Whether it serves now.
        serving: bool,
    },
    /// The servers of a service have no longer, or again, what its `quorum` asks for.
    Quorum {
        /// The virtual service's name in lvs.cf.
        service: String,
        /// Whether they have it now.
        is_met: bool,
        /// What they have together, weight or number.
        weight: u64,
        /// At how much this changes back.
        needed: u64,
        /// What both count.
        #[serde(default, skip_serializing_if = "QuorumOf::is_weight")]
        of: QuorumOf,
    },
    /// A server that fails its checks is kept in for want of others (`min_servers`, `all_down`),
    /// or is no longer.
    Kept {
        /// The virtual service's name in lvs.cf.
        service: String,
        /// The real server's name in lvs.cf.
        server: String,
        /// Its address and port.
        address: SocketAddr,
        /// Whether it is kept now.
        kept: bool,
    },
    /// A quiesced server has no connection left.
    Drained {
        /// The virtual service's name in lvs.cf.
        service: String,
        /// The real server's name in lvs.cf.
        server: String,
        /// Its address and port.
        address: SocketAddr,
    },
    /// A server that lvs.cf does not have any more is out of the table.
    Left {
        /// The virtual service's name in lvs.cf.
        service: String,
        /// The real server's name, as it was in lvs.cf.
        server: String,
        /// Its address and port.
        address: SocketAddr,
        /// Whether it still had connections when its time was over.
        cut: bool,
    },
    /// The configuration was read again and is in force.
    Reloaded {
        /// In how many places the table it asks for differs from the one before. 0 does not mean
        /// that nothing changed: checks and timers are not in the table.
        changes: usize,
    },
    /// The configuration was read again and refused; what ran is still running.
    ReloadFailed {
        /// The diagnostics or the system's reason.
        reason: String,
    },
    /// An operator said something of a real server.
    Operated(Override),
    /// What an operator said of a real server does not hold any more.
    OverrideEnded {
        /// What was said.
        said: Override,
        /// Why not.
        reason: String,
    },
    /// lvs.cf was changed, confirmed or rolled back.
    Configuration(News),
    /// Something the operator should know and nothing else says.
    Warning {
        /// In words.
        text: String,
    },
}

impl Event {
    /// The part of the director it comes from.
    #[must_use]
    pub const fn subsystem(&self) -> &'static str {
        match self {
            Self::Started { .. }
            | Self::Isolation { .. }
            | Self::Transition(_)
            | Self::Declined { .. }
            | Self::HeartbeatsRefused { .. }
            | Self::GuardFailed { .. }
            | Self::GuardMended { .. }
            | Self::Acquired { .. }
            | Self::AddressRestored { .. }
            | Self::AddressConflict { .. }
            | Self::Released { .. } => "pulse",
            Self::Health { .. }
            | Self::Agent { .. }
            | Self::MostConnections { .. }
            | Self::LoadUnknown { .. } => "nanny",
            Self::DataPlane { .. }
            | Self::Setting { .. }
            | Self::SyncDaemon { .. }
            | Self::Warm { .. }
            | Self::Weight { .. }
            | Self::SorryServer { .. }
            | Self::Quorum { .. }
            | Self::Kept { .. }
            | Self::Drained { .. }
            | Self::Left { .. }
            | Self::Reloaded { .. }
            | Self::ReloadFailed { .. }
            | Self::Operated(_)
            | Self::OverrideEnded { .. }
            | Self::Configuration(_)
            | Self::Warning { .. } => "lvs",
        }
    }

    /// What brought it about, where that is known.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Transition(transition) => Some(transition.cause.to_string()),
            Self::Declined { reason } => Some(reason.to_string()),
            Self::GuardFailed { fault } => Some(fault.reason.clone()),
            Self::DataPlane { reason, .. }
            | Self::Health { reason, .. }
            | Self::OverrideEnded { reason, .. }
            | Self::ReloadFailed { reason } => Some(reason.clone()),
            Self::Agent { reason, .. } | Self::LoadUnknown { reason, .. } => reason.clone(),
            Self::Warm { missing } => missing.clone(),
            Self::Operated(said) => said.reason.clone(),
            Self::Configuration(news) => news.why(),
            Self::Started { .. }
            | Self::Isolation { .. }
            | Self::Setting { .. }
            | Self::SyncDaemon { .. }
            | Self::HeartbeatsRefused { .. }
            | Self::GuardMended { .. }
            | Self::Acquired { .. }
            | Self::AddressRestored { .. }
            | Self::AddressConflict { .. }
            | Self::Released { .. }
            | Self::MostConnections { .. }
            | Self::Weight { .. }
            | Self::SorryServer { .. }
            | Self::Quorum { .. }
            | Self::Kept { .. }
            | Self::Drained { .. }
            | Self::Left { .. }
            | Self::Reloaded { .. }
            | Self::Warning { .. } => None,
        }
    }

    /// Whether an operator should look at it now.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        if let Self::Configuration(news) = self {
            return news.is_warning();
        }
        matches!(
            self,
            Self::Declined { .. }
                | Self::HeartbeatsRefused { .. }
                | Self::GuardFailed { .. }
                | Self::AddressRestored { .. }
                | Self::AddressConflict { .. }
                | Self::ReloadFailed { .. }
                | Self::LoadUnknown { reason: Some(_), .. }
                | Self::SorryServer { serving: true, .. }
                | Self::Quorum { is_met: false, .. }
                | Self::Kept { kept: true, .. }
                | Self::Started { authenticated: false, .. }
                | Self::Warm { missing: Some(_) }
                | Self::Transition(Transition { to: State::Failed, .. })
                | Self::Warning { .. }
        )
    }
}

impl fmt::Display for Event {
    #[expect(clippy::too_many_lines, reason = "an arm for each event")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { role: Role::Primary, authenticated } => {
                write!(f, "STARTING PULSE AS MASTER{}", Heartbeats(*authenticated))
            }
            Self::Started { role: Role::Backup, authenticated } => {
                write!(f, "STARTING PULSE AS BACKUP{}", Heartbeats(*authenticated))
            }
            Self::Isolation { memory_locked, realtime } => {
                let memory = if *memory_locked { "locked" } else { "not locked" };
                let priority = if *realtime { "real-time" } else { "ordinary" };
                write!(f, "memory {memory}, priority {priority}")
            }
            Self::DataPlane { name, .. } => write!(f, "data plane: {name}"),
            Self::Setting { name, value } => write!(f, "set {name} = {value}"),
            Self::SyncDaemon { role, interface, id, running } => {
                let what = if *running { "started" } else { "stopped" };
                write!(f, "{what} the {role} sync daemon on {interface}, id {id}")
            }
            Self::Warm { missing: None } => f.write_str("warm: checks and connections are known"),
            Self::Warm { missing: Some(_) } => f.write_str("warm by now"),
            Self::Transition(Transition { from, to: State::Acquiring, .. }) => {
                write!(f, "activating lvs, was {from}")
            }
            Self::Transition(Transition { from, to: State::Releasing, .. }) => {
                write!(f, "deactivating lvs, was {from}")
            }
            Self::Transition(Transition { from, to, .. }) => write!(f, "{to}, was {from}"),
            Self::Declined { .. } => f.write_str("stays as it is"),
            Self::HeartbeatsRefused { reasons } => {
                f.write_str("heartbeats refused:")?;
                reasons.iter().try_for_each(|(reason, count)| write!(f, " {count} {reason}"))
            }
            Self::GuardFailed { fault } => write!(f, "guard failed: {}", fault.guard),
            Self::GuardMended { guard } => write!(f, "guard in order again: {guard}"),
            Self::Acquired { addresses } => write!(f, "addresses up: {}", List(addresses)),
            Self::AddressRestored { address } => {
                write!(f, "somebody removed {address}; it is up again")
            }
            Self::AddressConflict { address, hardware } => {
                write!(f, "{hardware} has {address} too; it is announced again")
            }
            Self::Released { addresses } => write!(f, "addresses down: {}", List(addresses)),
            Self::Health { service, server, address, to, .. } => match to {
                Health::Up => {
                    write!(f, "[ active ] making {address} available ({service}/{server})")
                }
                Health::Down => {
                    write!(f, "[inactive] shutting down {address} ({service}/{server})")
                }
                other => write!(f, "{address} is {other} ({service}/{server})"),
            },
            Self::Weight { service, server, address, weight: Some(weight) } => {
                write!(f, "{address} has weight {weight} ({service}/{server})")
            }
            Self::Weight { service, server, address, weight: None } => {
                write!(f, "{address} is out of the table ({service}/{server})")
            }
            Self::Agent { service, server, address, word: Some(word), .. } => {
                write!(f, "the agent of {address} says {word} ({service}/{server})")
            }
            Self::Agent { service, server, address, word: None, .. } => {
                write!(f, "the agent of {address} lets it serve ({service}/{server})")
            }
            Self::MostConnections { service, server, address, most: Some(most) } => {
                let whose = format!("({service}/{server})");
                write!(f, "the agent of {address} limits its connections to {most} {whose}")
            }
            Self::MostConnections { service, server, address, most: None } => {
                write!(f, "the agent of {address} limits nothing any more ({service}/{server})")
            }
            Self::LoadUnknown { server, monitor, reason: Some(_) } => {
                write!(f, "no load of {server} from {monitor}; weights stay as they are")
            }
            Self::LoadUnknown { server, monitor, reason: None } => {
                write!(f, "load of {server} from {monitor} again")
            }
            Self::SorryServer { service, address, serving: true } => {
                write!(f, "No real servers; activate sorry_server {address} ({service})")
            }
            Self::SorryServer { service, address, serving: false } => {
                write!(f, "sorry_server {address} relieved ({service})")
            }
            Self::Quorum { service, is_met: false, weight, needed, of } => {
                let left = of.amount(*weight);
                write!(f, "quorum lost: {left}, {needed} brings it back ({service})")
            }
            Self::Quorum { service, is_met: true, weight, needed, of } => {
                let there = of.amount(*weight);
                write!(f, "quorum gained: {there}, lost below {needed} ({service})")
            }
            Self::Kept { service, server, address, kept: true } => {
                write!(f, "{address} fails and is kept in for want of others ({service}/{server})")
            }
            Self::Kept { service, server, address, kept: false } => {
                write!(f, "{address} is no longer kept in ({service}/{server})")
            }
            Self::Drained { service, server, address } => {
                write!(f, "{address} is drained: no connection left ({service}/{server})")
            }
            Self::Left { service, server, address, cut: false } => {
                write!(f, "{address} has left: no connection left ({service}/{server})")
            }
            Self::Left { service, server, address, cut: true } => {
                write!(f, "{address} has left with connections: its time is over ")?;
                write!(f, "({service}/{server})")
            }
            Self::Reloaded { changes } => {
                write!(f, "configuration reloaded, {changes} changes to the table")
            }
            Self::ReloadFailed { .. } => {
                f.write_str("configuration refused, what ran is still running")
            }
            Self::Operated(said) => {
                let Override { word, author, until, .. } = said;
                write!(f, "{author} says {word} of {}", said.subject())?;
                until.map_or(Ok(()), |until| write!(f, " until {until}"))
            }
            Self::OverrideEnded { said, .. } => {
                let Override { word, author, .. } = said;
                write!(f, "{word} of {}, said by {author}, has ended", said.subject())
            }
            Self::Configuration(news) => news.fmt(f),
            Self::Warning { text } => f.write_str(text),
        }
    }
}

struct Heartbeats(bool);

impl fmt::Display for Heartbeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 { Ok(()) } else { f.write_str("; heartbeats are not authenticated") }
    }
}

struct List<'a>(&'a [VirtualAddress]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, address) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            address.fmt(f)?;
        }
        Ok(())
    }
}
