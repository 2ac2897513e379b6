use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What has passed since the entry was made or its counters were last zeroed.
///
/// The kernel counts packets. The relay counts what it read and wrote: with UDP each datagram is a
/// packet, and with TCP, where it never sees one, the packet counters stay at zero.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counters {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.packets_in += other.packets_in;
        self.packets_out += other.packets_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}

/// The connections a real server has right now.
#[allow(
    clippy::exhaustive_structs,
    reason = "the kernel's three counts, and schedulers are tested with literals"
)]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Load {
    /// Connections in an active state: established or being established.
    pub active: u32,
    /// All other connections, those being closed for example. UDP flows count here.
    pub inactive: u32,
    /// Persistence templates that point here.
    pub persistent: u32,
}

impl Load {
    /// All of `loads` together.
    pub fn sum(loads: impl IntoIterator<Item = Self>) -> Self {
        loads.into_iter().fold(Self::default(), |sum, load| Self {
            active: sum.active.saturating_add(load.active),
            inactive: sum.inactive.saturating_add(load.inactive),
            persistent: sum.persistent.saturating_add(load.persistent),
        })
    }

    /// Active and inactive connections together, which is what thresholds look at.
    #[must_use]
    pub const fn total(self) -> u32 {
        self.active.saturating_add(self.inactive)
    }
}

/// What passes each second, smoothed, as the kernel's estimator last saw it (it looks every two
/// seconds); on the relay a director estimates in the same way.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rates {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}
