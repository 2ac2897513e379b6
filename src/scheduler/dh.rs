use super::hashing::{bucket, fold};
use super::{Flow, Scheduler, Server, Servers};

/// `dh`, destination hashing: the server belongs to the address the client asked for, which makes
/// it a scheduler for transparent caches behind a firewall mark; on a single VIP it picks one
/// server always (`ip_vs_dh.c`).
///
/// Bucket `i` of 256 belongs to the server at position `i` modulo their number. Weights do not
/// matter, except that a quiesced server, like an overloaded one, takes nothing: its addresses
/// get no pick even if another server could take them. Only adding and removing servers moves
/// addresses, and then nearly all of them. Of more than 256 servers only the newest 256 are used.
#[derive(Clone, Copy, Debug, Default)]
pub struct DestinationHashing;

impl DestinationHashing {
    /// The position of the server that `flow` belongs to, whether it may take a connection or not.
    ///
    /// The kernel keeps the 256 answers in a table, and fills it when the list changes: the same.
    #[must_use]
    pub fn owner(flow: &Flow, servers: &Servers) -> Option<usize> {
        usize::from(bucket(fold(flow.destination.ip()))).checked_rem(servers.len())
    }
}

impl Scheduler for DestinationHashing {
    fn name(&self) -> &'static str {
        "dh"
    }

    fn pick(&mut self, flow: &Flow, servers: &Servers) -> Option<usize> {
        let owner = Self::owner(flow, servers)?;
        servers.at(owner).is_some_and(Server::is_eligible).then_some(owner)
    }

    fn start(&mut self, _servers: &Servers) {}
}
