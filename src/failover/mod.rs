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
//!
//! ```
//! use piranha::failover::pulse::{Config, Pulse};
//! use piranha::failover::{Command, Heartbeat, Output, Role, State};
//! use piranha::time::Instant;
//!
//! // A director without a partner: the driver does what it is told, and says how that went.
//! let mut heartbeat: Box<dyn Heartbeat> =
//!     Box::new(Pulse::new(Instant::ZERO, Config::builder(Role::Primary).boot(1).build()?));
//! heartbeat.handle_timeout(Instant::ZERO);
//! while let Some(output) = heartbeat.poll_output() {
//!     if let Output::Acquire { id, .. } = output {
//!         heartbeat.handle_completion(Instant::from_millis(3), id, Ok(()));
//!     }
//! }
//! assert_eq!(heartbeat.status(Instant::from_millis(3)).state, State::Active);
//! # Ok::<(), piranha::failover::pulse::ConfigError>(())
//! ```

pub mod announcer;
mod cause;
pub mod guard;
mod held;
mod payload;
pub mod pulse;
pub mod record;
mod status;
pub mod virtual_mac;
pub mod vrrp;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

pub use self::cause::{ActionError, Cause};
use self::guard::Fault;
pub use self::payload::Payload;
pub use self::status::{Declined, PathCounters, PeerStatus, Status};
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
