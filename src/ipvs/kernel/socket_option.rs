//! The older interface: structures through `getsockopt` and `setsockopt`, for IPv4 alone.
//!
//! The kernel grants it to whoever has `CAP_NET_ADMIN` in the user namespace that owns the network
//! namespace, netlink only to the initial one (Linux 6.1 and 7.2, measured). That makes it the one
//! way to IPVS out of a rootless container. The structures are those of `linux/ip_vs.h`.

mod layout;

use super::abi::errno;
use super::error::{KernelError, Reason};
use super::reply::{Reply, Undecodable};
use super::request::Request;
use crate::ipvs::{Forwarding, ServiceKey};
use crate::net::Family;

/// Entries there is room for at first; a longer listing is read anew with four times the room.
const FIRST_ROOM: u32 = 64;
const MOST_ROOM: u32 = 1 << 20;

/// One call of `getsockopt` or `setsockopt` on the way to the answer to a [`Request`]: level
/// `IPPROTO_IP`, on any IPv4 socket of the network namespace in question.
///
/// ```
/// use piranha::ipvs::kernel::{OptionCall, OptionOutcome, Reply, Request};
///
/// let request = Request::GetInfo;
/// let call = OptionCall::new(&request)?;
/// assert!(call.is_get());
/// // The kernel would have put its version, table size and number of services there.
/// let OptionOutcome::Done { result, .. } = call.finish(Ok(12)) else { unreachable!() };
/// assert!(matches!(result?[..], [Reply::Info(_)]));
/// # Ok::<(), piranha::ipvs::kernel::KernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OptionCall<'a> {
    request: &'a Request,
    name: i32,
    room: u32,
    value: Vec<u8>,
}

/// What a call led to.
#[allow(clippy::exhaustive_enums, reason = "either there is an answer or there is not")]
#[derive(Clone, Debug)]
pub enum OptionOutcome<'a> {
    /// This is to be called next: there was not enough room, or a signal came in between.
    Again(OptionCall<'a>),
    /// The request is answered.
    Done {
        /// As netlink would have answered; nothing but success for a change.
        result: Result<Vec<Reply>, KernelError>,
        /// Entries the model cannot name, left out of a listing.
        inexpressible: u64,
    },
}

impl<'a> OptionCall<'a> {
    /// The first call for `request`.
    ///
    /// # Errors
    /// [`Reason::NotCarried`] for what the structures have no field for: IPv6, GUE and GRE tunnels,
    /// persistence engines, settings of a sync daemon beyond interface and id.
    pub fn new(request: &'a Request) -> Result<Self, KernelError> {
        if let Some(lacking) = lacking(request) {
            return Err(KernelError::of(request, Reason::NotCarried(lacking)));
        }
        Ok(Self::with_room(request, FIRST_ROOM))
    }

    /// The option's number.
    #[must_use]
    pub const fn name(&self) -> i32 {
        self.name
    }

    /// Whether it is for `getsockopt`, else for `setsockopt`. They share numbers.
    #[must_use]
    pub const fn is_get(&self) -> bool {
        self.request.is_read()
    }

    /// What `setsockopt` is given.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// What `getsockopt` reads the question from and writes the answer to.
    pub fn value_mut(&mut self) -> &mut [u8] {
        &mut self.value
    }

    /// Takes in what the call returned: how many bytes of the value are the answer (0 for
    /// `setsockopt`), or the error number.
    #[must_use]
    pub fn finish(self, returned: Result<usize, i32>) -> OptionOutcome<'a> {
        let request = self.request;
        let failed = |reason| OptionOutcome::of(Err(KernelError::of(request, reason)));
        match returned {
            Ok(length) => self.read(length),
            Err(errno::EINTR) if self.is_get() => OptionOutcome::Again(self),
            // The kernel forgets the daemon before it minds how its thread ended.
            Err(errno::EINTR) if matches!(request, Request::StopDaemon(_)) => {
                OptionOutcome::of(Ok(Vec::new()))
            }
            // Netlink does not tell a missing service from an empty one, so this does not either.
            Err(errno::ESRCH) if matches!(request, Request::ListDestinations(_)) => {
                OptionOutcome::of(Ok(Vec::new()))
            }
            Err(errno::ENOPROTOOPT) => failed(Reason::NoIpvs),
            Err(number) => failed(Reason::of(request, number)),
        }
    }

    fn with_room(request: &'a Request, room: u32) -> Self {
        let (name, value) = (layout::name(request), layout::value(request, room));
        Self { request, name, room, value }
    }

    fn read(self, length: usize) -> OptionOutcome<'a> {
        let bytes = self.value.get(..length).unwrap_or(&self.value);
        let (mut entries, read) = match self.request {
            Request::ListServices => (layout::services(bytes), layout::read_service as Read),
            Request::ListDestinations(_) => {
                (layout::destinations(bytes), layout::read_destination as Read)
            }
            Request::ListDaemons => (layout::daemons(bytes), layout::read_daemon as Read),
            Request::GetService(_) => (vec![bytes], layout::read_service as Read),
            Request::GetTimeouts => (vec![bytes], layout::read_timeouts as Read),
            Request::GetInfo => (vec![bytes], layout::read_info as Read),
            _ => return OptionOutcome::of(Ok(Vec::new())),
        };
        if self.request.is_dump() {
            // As many entries as there is room for are filled in, and nothing tells how many they
            // are. What is left is zero, which no entry is.
            if self.is_full(&entries) {
                return self.with_more_room();
            }
            entries.retain(|entry| !is_unused(entry));
        }
        self.collect(entries, read)
    }

    /// The two daemons always have room.
    fn is_full(&self, entries: &[&[u8]]) -> bool {
        let last = entries.last();
        !matches!(self.request, Request::ListDaemons) && last.is_some_and(|last| !is_unused(last))
    }

    fn with_more_room(self) -> OptionOutcome<'a> {
        if self.room < MOST_ROOM {
            OptionOutcome::Again(Self::with_room(self.request, self.room * 4))
        } else {
            OptionOutcome::of(Err(KernelError::of(self.request, Reason::AnswerCut)))
        }
    }

    fn collect(&self, entries: Vec<&[u8]>, read: Read) -> OptionOutcome<'a> {
        let (mut replies, mut inexpressible) = (Vec::with_capacity(entries.len()), 0);
        for entry in entries {
            match read(entry) {
                Ok(reply) => replies.push(reply),
                Err(Undecodable::Inexpressible(_)) => inexpressible += 1,
                Err(Undecodable::Malformed(malformed)) => {
                    let error = KernelError::of(self.request, Reason::Malformed(malformed));
                    return OptionOutcome::of(Err(error));
                }
            }
        }
        OptionOutcome::Done { result: Ok(replies), inexpressible }
    }
}

impl OptionOutcome<'_> {
    const fn of(result: Result<Vec<Reply>, KernelError>) -> Self {
        Self::Done { result, inexpressible: 0 }
    }
}

type Read = fn(&[u8]) -> Result<Reply, Undecodable>;

fn is_unused(entry: &[u8]) -> bool {
    entry.iter().all(|byte| *byte == 0)
}

/// What `request` needs and the structures do not have.
fn lacking(request: &Request) -> Option<&'static str> {
    let ipv6 = request.family() == Some(Family::Ipv6)
        || request.destination().is_some_and(|address| address.is_ipv6());
    match request {
        _ if !layout::IS_KNOWN => Some("layout known for this machine"),
        _ if ipv6 => Some("IPv6"),
        Request::AddService(service) | Request::EditService(service) => {
            let engine = service.persistence().and_then(|p| p.engine());
            engine.map(|_| "persistence engines")
        }
        Request::AddDestination(_, destination) | Request::EditDestination(_, destination) => {
            let forwarding = destination.forwarding();
            let beyond = forwarding.is_tunnel() && forwarding != Forwarding::TUNNEL;
            beyond.then_some("tunnels but IP in IP")
        }
        Request::StartDaemon(daemon) => {
            let settings = "settings of a sync daemon but its interface and id";
            daemon.has_settings().then_some(settings)
        }
        // There, zeros stand for all services.
        Request::Zero(Some(ServiceKey::Address { address, .. }))
            if address.ip().is_unspecified() && address.port() == 0 =>
        {
            Some("way to zero the service of every address and port alone")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
