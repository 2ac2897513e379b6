//! Failover: which of two directors holds the service, and how it changes hands.
//!
//! A heartbeat protocol is a state machine that implements [`Heartbeat`]. It is pure: datagrams,
//! deadlines, commands and completions go in, one ordered stream of [`Output`]s comes out, and
//! the driver (`runtime`) or the simulator (`sim`) carries them out. What can fail comes back:
//! an address is announced only after adding it has been confirmed through
//! [`Heartbeat::handle_completion`].
//!
//! [`pulse`] is Piranha's protocol in both versions, [`vrrp`] the standard one; [`guard`] judges
//! whether this node is fit to hold the service; [`announcer`] decides when the network is told
//! where an address is.

pub mod announcer;
pub mod guard;
mod held;
mod payload;
pub mod pulse;
pub mod record;
pub mod virtual_mac;
pub mod vrrp;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::guard::Fault;
pub use self::payload::Payload;
use crate::net::Family;
use crate::time::Instant;
use crate::wire::ethernet::MacAddr;

/// A heartbeat protocol as a pure state machine, for one director of a pair.
///
/// The contract (ARCHITECTURE.md): after each `handle_*` call drain [`poll_output`] to `None`,
/// then wait for the next input or until [`poll_timeout`]. A late, early or repeated
/// [`handle_timeout`] is harmless.
///
/// What else a driver owes the machine:
/// - Datagrams that are waiting are handed in before a timeout that is due at the same moment:
///   silence means that nothing came, not that nobody looked.
/// - [`Output::Acquire`] and [`Output::Release`] are carried out one after the other in the order
///   given, and each is answered by exactly one completion, a failure after a bounded time
///   included. An `Acquire` that a `Release` has overtaken is still answered, or skipped.
/// - Releasing an address that is not up is a success; so is acquiring one that is.
///
/// [`poll_output`]: Self::poll_output
/// [`poll_timeout`]: Self::poll_timeout
/// [`handle_timeout`]: Self::handle_timeout
pub trait Heartbeat: Send {
    /// A datagram came in from `source` on heartbeat path `path`. Anything the protocol does not
    /// accept is counted by reason and changes nothing.
    fn handle_datagram(&mut self, now: Instant, path: PathId, source: SocketAddr, datagram: &[u8]);

    /// The deadline passed.
    fn handle_timeout(&mut self, now: Instant);

    /// The action `id` that an earlier [`Output`] asked for is finished.
    fn handle_completion(&mut self, now: Instant, id: ActionId, result: Result<(), ActionError>);

    /// The administrator, or the process itself, wants something.
    fn handle_command(&mut self, now: Instant, command: Command);

    /// The data plane on this node came up or broke down.
    fn handle_data_plane(&mut self, now: Instant, usable: bool);

    /// These guards fail on this node from now on; none does if it is empty. A director with a
    /// failing guard passes the service to a peer that can take it, and does not take over from a
    /// peer that merely fell silent. It keeps the service when nobody else could have it: a
    /// degraded owner is better than none.
    ///
    /// A protocol that knows no guards may leave this as it is: without effect.
    fn handle_guards(&mut self, now: Instant, faults: &[Fault]) {
        let _ = (now, faults);
    }

    /// The data plane on this node knows its servers and the peer's connections by now, or not
    /// (again). A machine that takes the service back from a peer that serves it well waits for
    /// that; nothing else does. Without a word it counts as warm.
    fn handle_warmth(&mut self, now: Instant, warm: bool) {
        let _ = (now, warm);
    }

    /// What another process may say to the peer on `path` when this one is dead and its addresses
    /// are down, so that the peer need not wait for the silence to be long enough. To be asked for
    /// again and again: it is believed only by a peer that has not started anew or stalled since.
    ///
    /// `None`, as without an implementation, where the protocol has no such word, or nobody would
    /// believe it.
    fn last_words(&self, path: PathId) -> Option<Payload> {
        let _ = path;
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called next.
    #[must_use]
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next thing to do. The order is meaningful.
    #[must_use]
    fn poll_output(&mut self) -> Option<Output>;

    /// What this director is doing about the service right now.
    #[must_use]
    fn state(&self) -> State;

    /// What can be said about this director and its peer.
    #[must_use]
    fn status(&self, now: Instant) -> Status;

    /// Brings `status`, which [`status`](Self::status) made earlier, up to date. A driver tells of
    /// itself many times a second: where the machine can, it allocates for what is new alone.
    fn update_status(&self, now: Instant, status: &mut Status) {
        *status = self.status(now);
    }

    /// What has become of the datagrams that came in on `path`, until `now`.
    ///
    /// A protocol that does not count may leave this as it is: nothing.
    #[must_use]
    fn path_counters(&self, now: Instant, path: PathId) -> PathCounters {
        let _ = (now, path);
        PathCounters::default()
    }
}

impl<H: Heartbeat + ?Sized> Heartbeat for Box<H> {
    fn handle_datagram(&mut self, now: Instant, path: PathId, source: SocketAddr, datagram: &[u8]) {
        (**self).handle_datagram(now, path, source, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        (**self).handle_timeout(now);
    }

    fn handle_completion(&mut self, now: Instant, id: ActionId, result: Result<(), ActionError>) {
        (**self).handle_completion(now, id, result);
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        (**self).handle_command(now, command);
    }

    fn handle_data_plane(&mut self, now: Instant, usable: bool) {
        (**self).handle_data_plane(now, usable);
    }

    fn handle_guards(&mut self, now: Instant, faults: &[Fault]) {
        (**self).handle_guards(now, faults);
    }

    fn handle_warmth(&mut self, now: Instant, warm: bool) {
        (**self).handle_warmth(now, warm);
    }

    fn last_words(&self, path: PathId) -> Option<Payload> {
        (**self).last_words(path)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (**self).poll_timeout()
    }

    fn poll_output(&mut self) -> Option<Output> {
        (**self).poll_output()
    }

    fn state(&self) -> State {
        (**self).state()
    }

    fn status(&self, now: Instant) -> Status {
        (**self).status(now)
    }

    fn update_status(&self, now: Instant, status: &mut Status) {
        (**self).update_status(now, status);
    }

    fn path_counters(&self, now: Instant, path: PathId) -> PathCounters {
        (**self).path_counters(now, path)
    }
}

/// Which of the pair a director was configured to be.
#[allow(clippy::exhaustive_enums, reason = "a pair has two")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Wins when both want the service.
    Primary,
    /// Yields when both want the service.
    Backup,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        })
    }
}

/// What a director is doing about the service right now.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Listening for the peer before the first decision.
    Starting,
    /// Ready to take over.
    Standby,
    /// Adding the addresses.
    Acquiring,
    /// Holding the addresses.
    Active,
    /// Giving the addresses up.
    Releasing,
    /// Unable to hold the service; the status says why.
    Failed,
    /// Stopped for good: the last heartbeat said so.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Acquiring => "acquiring",
            Self::Active => "active",
            Self::Releasing => "releasing",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        })
    }
}

/// One way a heartbeat can travel between the directors; an index into the configured paths.
/// Path 0 is the public one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct PathId(pub u8);

/// What became of the datagrams that came in on one path.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct PathCounters {
    /// Accepted.
    pub received: u64,
    /// Not accepted; [`Status::rejected`] has the reasons, of all paths together.
    pub refused: u64,
    /// Those that should have come since the first one, and did not: silences of more than one and
    /// a half intervals of the peer, in intervals. None with VRRP, where a standby says nothing.
    pub missed: u64,
}

impl PathCounters {
    /// A datagram was accepted `silence` after the one before it; `interval` is the peer's.
    pub(crate) fn accept(&mut self, silence: Option<Duration>, interval: Duration) {
        self.received = self.received.saturating_add(1);
        let missing = silence.map_or(0, |silence| missed(silence, interval));
        self.missed = self.missed.saturating_add(missing);
    }

    /// The same while the path has been silent for `silence` by now.
    #[must_use]
    pub(crate) fn during(self, silence: Option<Duration>, interval: Duration) -> Self {
        let missing = silence.map_or(0, |silence| missed(silence, interval));
        Self { missed: self.missed.saturating_add(missing), ..self }
    }
}

/// How many of those sent every `interval` are missing after `silence`. What is late by less than
/// half an interval is not.
fn missed(silence: Duration, interval: Duration) -> u64 {
    let intervals = (silence + interval / 2).as_nanos().checked_div(interval.as_nanos());
    u64::try_from(intervals.unwrap_or_default()).unwrap_or(u64::MAX).saturating_sub(1)
}

/// Ties the completion of an action to the [`Output`] that asked for it. Never used twice in the
/// life of a machine, so that a late completion cannot be taken for another's.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ActionId(pub u64);

/// A floating address, brought up by whichever director is active: a VIP or the NAT router.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// The device it belongs on, such as `eth0:1`.
    pub device: String,
    /// The length of its network prefix in bits.
    pub prefix: u8,
    /// The Ethernet address that moves with it ([`virtual_mac`]); that of the device without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<MacAddr>,
}

impl VirtualAddress {
    /// `address` alone, without a network of its own (/32, /128), on `device`.
    pub fn new(address: IpAddr, device: impl Into<String>) -> Self {
        let prefix = Family::of(address).bits();
        Self { address, device: device.into(), prefix, hardware: None }
    }

    /// The network device: what comes before the colon of a label such as `eth0:1`.
    #[must_use]
    pub fn link(&self) -> &str {
        self.device.split_once(':').map_or(&self.device, |(link, _)| link)
    }
}

impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.address, self.device)
    }
}

/// Something the machine wants done, in this order.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Output {
    /// Send `payload` to the peer on `path`. Losing it is harmless.
    Send {
        /// The path, which also says where to.
        path: PathId,
        /// The datagram.
        payload: Payload,
    },
    /// Bring the addresses up, then report with [`Heartbeat::handle_completion`].
    Acquire {
        /// To be named in the completion.
        id: ActionId,
        /// All addresses of the service.
        addresses: Vec<VirtualAddress>,
    },
    /// Take the addresses down, then report with [`Heartbeat::handle_completion`].
    Release {
        /// To be named in the completion.
        id: ActionId,
        /// All addresses of the service.
        addresses: Vec<VirtualAddress>,
    },
    /// Tell the network where the addresses are now (gratuitous ARP, neighbour advertisements).
    /// Comes only after they are known to be up.
    Announce {
        /// All addresses of the service.
        addresses: Vec<VirtualAddress>,
    },
    /// The state changed.
    Transition(Transition),
    /// A takeover that could have happened did not.
    Declined {
        /// Why not.
        reason: Cause,
    },
}

/// A change of state and what brought it about; log line, metric and status all use this.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// What brought it about.
    pub cause: Cause,
}

impl Transition {
    /// A change from `from` to `to` because of `cause`.
    #[must_use]
    pub const fn new(from: State, to: State, cause: Cause) -> Self {
        Self { from, to, cause }
    }
}

/// Why a director changed its state, or did not.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// There is no peer (`backup_active = 0`) and nothing was heard for the dead time.
    Alone,
    /// The peer was silent for the dead time.
    PeerDead,
    /// The peer is active.
    PeerActive,
    /// Both are active and the peer is the primary.
    PeerWins,
    /// Another router is active whose VRRP priority is higher, or equal with a greater address.
    PeerHigher,
    /// The active router has a lower VRRP priority, and this node may take over from it.
    PeerLower,
    /// The peer runs and does not hold the service.
    PeerStandby,
    /// The peer said it cannot hold the service.
    PeerFailed,
    /// The peer hands the service over.
    PeerHandsOver,
    /// The peer said farewell.
    PeerStopped,
    /// A guard of the peer fails, or it is in maintenance.
    PeerUnfit,
    /// A guard of this node fails.
    Guard(Fault),
    /// This node is in maintenance.
    Maintenance,
    /// The addresses of this node are coming up or cannot be taken down just now.
    Busy,
    /// The service stays with the peer until this node knows its servers and connections.
    Cold,
    /// This node was told to start as the active one.
    Forced,
    /// The administrator asked for a hand-over.
    Requested,
    /// The peer did not agree to a hand-over in time, or could not take it.
    PeerRefused,
    /// A hand-over was asked of a director that does not hold the service.
    NotActive,
    /// The process was told to stop.
    Stopping,
    /// The data plane on this node broke down.
    DataPlaneFailed,
    /// The data plane on this node works again.
    DataPlaneUsable,
    /// The last try failed a dead time ago; ready for another.
    Retrying,
    /// The addresses are up.
    Acquired,
    /// The addresses are down.
    Released,
    /// The addresses could not be brought up or down.
    ActionFailed(ActionError),
    /// The clock jumped further than the dead time: the node was suspended or stalled.
    Suspended,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alone => "there is no peer",
            Self::PeerDead => "partner dead",
            Self::PeerActive => "partner active",
            Self::PeerWins => "partner active and primary",
            Self::PeerHigher => "partner active with a higher priority",
            Self::PeerLower => "partner active with a lower priority",
            Self::PeerStandby => "partner inactive",
            Self::PeerFailed => "partner cannot hold the service",
            Self::PeerHandsOver => "partner hands over",
            Self::PeerStopped => "partner said farewell",
            Self::PeerUnfit => "partner's guards fail, or it is in maintenance",
            Self::Guard(fault) => return fault.fmt(f),
            Self::Maintenance => "this node is in maintenance",
            Self::Busy => "this node is about to change its state; try again",
            Self::Cold => "not taken back yet: checks and connections are not known here",
            Self::Forced => "told to start active",
            Self::Requested => "hand-over requested",
            Self::PeerRefused => "partner did not take the service",
            Self::NotActive => "this node does not hold the service",
            Self::Stopping => "stopping",
            Self::DataPlaneFailed => "data plane failed",
            Self::DataPlaneUsable => "data plane usable",
            Self::Retrying => "ready to try again",
            Self::Acquired => "addresses up",
            Self::Released => "addresses down",
            Self::ActionFailed(error) => return error.fmt(f),
            Self::Suspended => "this node was suspended or stalled beyond the dead time",
        })
    }
}

/// Why an action failed, in words for the operator.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(transparent)]
#[error("{0}")]
pub struct ActionError(pub String);

/// What the administrator or the process itself can ask of a director.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Pass the service to the peer and go on as standby. Declined, with the reason, where the
    /// peer could not take it.
    HandOver,
    /// Stop for good: pass the service to the peer if it can take it, give the addresses up, say
    /// farewell. The end is the [`Transition`] to [`State::Stopped`].
    Stop,
    /// Begin maintenance (`true`) or end it. A director in maintenance passes the service on if it
    /// has it, and never takes over, whatever becomes of the peer. Declined, with the reason,
    /// where the peer could not take the service; the node is then not in maintenance. Nor is it
    /// any more when it has to take back what the peer agreed to take, or after a restart.
    Maintenance(bool),
}

/// What a director knows about itself and its peer.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// Configured role.
    pub role: Role,
    /// Current state.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// What brought the state about.
    pub cause: Option<Cause>,
    /// Whether heartbeats are authenticated.
    pub authenticated: bool,
    /// The guards of this node that fail.
    pub faults: Vec<Fault>,
    /// Whether it is in maintenance.
    pub maintenance: bool,
    /// What it last decided not to do, and why.
    pub declined: Option<Declined>,
    /// The peer, once it was heard.
    pub peer: Option<PeerStatus>,
    /// When each heartbeat path last carried an accepted datagram, by [`PathId`].
    pub paths: Vec<Option<Instant>>,
    /// Datagrams that were not accepted, by reason.
    pub rejected: Vec<(String, u64)>,
}

impl Status {
    /// Nothing is known yet.
    const fn new(role: Role, since: Instant) -> Self {
        Self {
            role,
            state: State::Starting,
            since,
            cause: None,
            authenticated: false,
            faults: Vec::new(),
            maintenance: false,
            declined: None,
            peer: None,
            paths: Vec::new(),
            rejected: Vec::new(),
        }
    }

    /// Takes over the texts and lists that differ: most never do.
    fn adopt(&mut self, cause: &Option<Cause>, faults: &[Fault], declined: &Option<Declined>) {
        if self.cause != *cause {
            self.cause.clone_from(cause);
        }
        if self.faults != faults {
            faults.clone_into(&mut self.faults);
        }
        if self.declined != *declined {
            self.declined.clone_from(declined);
        }
    }

    /// Takes over how often each reason occurred; those that never did are left out.
    fn count_rejected(&mut self, counts: impl Iterator<Item = (&'static str, u64)> + Clone) {
        let counts = counts.filter(|(_, count)| *count > 0);
        let known = self.rejected.iter().map(|(reason, _)| reason.as_str());
        if !known.eq(counts.clone().map(|(reason, _)| reason)) {
            self.rejected = counts.clone().map(|(reason, _)| (reason.to_owned(), 0)).collect();
        }
        for ((_, told), (_, count)) in self.rejected.iter_mut().zip(counts) {
            *told = count;
        }
    }
}

/// A decision not to act.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Declined {
    /// When it was taken.
    pub at: Instant,
    /// Why.
    pub reason: Cause,
}

impl Declined {
    /// A decision of the moment `at`, for `reason`.
    #[must_use]
    pub const fn new(at: Instant, reason: Cause) -> Self {
        Self { at, reason }
    }
}

/// What the peer last said.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PeerStatus {
    /// Its state.
    pub state: State,
    /// When it said so.
    pub heard: Instant,
    /// Whether its configuration is the same as ours, where the protocol tells.
    pub same_configuration: Option<bool>,
    /// Whether it had better not hold the service: a guard of it fails, or it is in maintenance.
    pub unfit: bool,
}

impl PeerStatus {
    /// A fit peer that was in `state` at `heard`.
    #[must_use]
    pub const fn new(state: State, heard: Instant, same_configuration: Option<bool>) -> Self {
        Self { state, heard, same_configuration, unfit: false }
    }
}
