use serde::{Deserialize, Serialize};

/// Datagrams of a UDP service that came to the relay and were not passed on, by reason.
///
/// With the packets of [`Counters`](crate::ipvs::Counters) they account for every datagram that
/// reached the relay's sockets. What was lost before or after is for the machines there to count.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DatagramLosses {
    /// No server could take the client.
    pub no_server: u64,
    /// The process had no descriptor, memory or port for a new flow's socket.
    pub no_resources: u64,
    /// The socket towards the server did not take it: too large for the path, or no room.
    pub to_server: u64,
    /// The socket towards the client did not take the answer.
    pub to_client: u64,
    /// The kernel threw it away because the relay had not emptied the receive buffer in time
    /// (`SO_MEMINFO`). Looked up once a second while there are flows, and when a flow ends.
    pub overrun: u64,
}

/// Why a datagram was not passed on: a field of [`DatagramLosses`].
#[allow(clippy::exhaustive_enums, reason = "one variant for each field of DatagramLosses")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum LossReason {
    /// [`DatagramLosses::no_server`].
    NoServer,
    /// [`DatagramLosses::no_resources`].
    NoResources,
    /// [`DatagramLosses::to_server`].
    ToServer,
    /// [`DatagramLosses::to_client`].
    ToClient,
    /// [`DatagramLosses::overrun`].
    Overrun,
}

impl DatagramLosses {
    /// Of all reasons together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.no_server + self.no_resources + self.to_server + self.to_client + self.overrun
    }

    pub(super) const fn add(&mut self, reason: LossReason, datagrams: u64) {
        let counter = match reason {
            LossReason::NoServer => &mut self.no_server,
            LossReason::NoResources => &mut self.no_resources,
            LossReason::ToServer => &mut self.to_server,
            LossReason::ToClient => &mut self.to_client,
            LossReason::Overrun => &mut self.overrun,
        };
        *counter += datagrams;
    }
}
