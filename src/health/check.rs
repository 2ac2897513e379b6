use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::Failure;

/// A way to probe a real server; what an embedder implements for a check of their own.
///
/// One value serves any number of servers at the same time, so it holds what the check needs to
/// know, not the state of one probe. `examples/custom_check.rs` shows one at work.
///
/// # Cancellation
/// Dropping the future cancels the probe: that happens at the deadline, when the server is taken
/// out of the configuration, and when the process stops. Whatever the probe holds must be released
/// by dropping, as sockets are. A future that blocks its thread cannot be cancelled and delays
/// every other check.
///
/// # Panics
/// A probe that panics counts as failed and stops nothing else.
#[async_trait]
pub trait Check: Send + Sync {
    /// Probes the real server at `target` once.
    ///
    /// `limit` is the time the monitor allows. A check need not enforce it, since its future is
    /// dropped and counted as timed out then; one that does can tell what it was waiting for.
    ///
    /// # Errors
    /// Why the server is not fit. [`Failure::Other`] takes any text, and
    /// [`Failure::Inconclusive`] says that nothing could be found out.
    async fn probe(&self, target: SocketAddr, limit: Duration) -> Result<(), Failure>;
}
