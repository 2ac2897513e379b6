//! Requests out, answers in, without a socket.

use std::collections::{BTreeMap, VecDeque};

use super::abi::{errno, message};
use super::attribute::Attributes;
use super::error::{KernelError, Reason};
use super::message::{self as wire, Message, Messages};
use super::reply::{Malformed, Reply, Undecodable};
use super::request::{Request, decode_family, encode_family_lookup};

/// The most requests sent at once: their acknowledgements fit into the default receive buffer.
pub const MAX_BATCH: usize = 50;
/// The most bytes sent at once, but for a single longer request.
pub const MAX_BATCH_BYTES: usize = 16 * 1024;
/// The least room to receive into: the kernel fills 32 KiB, and cuts without a word what is longer
/// than the buffer.
pub const RECEIVE_BUFFER: usize = 64 * 1024;

/// How often a read is asked again before it fails.
const MAX_ATTEMPTS: u8 = 8;

/// A conversation with the kernel: matches answers with requests, asks again where that is safe.
///
/// The driver's loop, with a socket in the network namespace in question:
///
/// 1. [`submit`](Exchange::submit) requests, in the order they are to take effect;
/// 2. send what [`poll_transmit`](Exchange::poll_transmit) gives;
/// 3. until it [is idle](Exchange::is_idle), hand what is received to
///    [`handle_datagram`](Exchange::handle_datagram), or report with
///    [`handle_loss`](Exchange::handle_loss) that something was lost; take a new socket
///    [where it must be](Exchange::take_socket_spent); go to 2;
/// 4. take an [`Outcome`] for each request from [`poll_outcome`](Exchange::poll_outcome).
///
/// The number of the family is looked up first, and again when an answer suggests that the module
/// was loaded anew. Requests that change something are sent many at once and never twice; a listing
/// that was interrupted or lost is asked for again.
///
/// Of the changes of the table in one send only the last is acknowledged. Netlink answers each that
/// is refused, in order, asked for or not, and reports when an answer found no room; so one without
/// an answer before the acknowledgement succeeded. That saves the kernel most of its work.
#[derive(Debug, Default)]
pub struct Exchange {
    family: Option<u16>,
    sequence: u32,
    tickets: u64,
    queue: VecDeque<InFlight>,
    flight: BTreeMap<u32, InFlight>,
    lookup: Option<Lookup>,
    suspects: Vec<InFlight>,
    outcomes: VecDeque<Outcome>,
    counters: ExchangeCounters,
    socket_spent: bool,
}

/// Names one submitted request of an [`Exchange`]. Counts up from 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(u64);

/// What became of one request.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// Which one.
    pub ticket: Ticket,
    /// What the kernel answered: nothing but success for a change, one item or more for a read.
    pub result: Result<Vec<Reply>, KernelError>,
}

/// What an [`Exchange`] passed over.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ExchangeCounters {
    /// Messages that answer no request in flight.
    pub strays: u64,
    /// Reads that were asked again.
    pub retries: u64,
    /// Entries the model cannot name, left out of a listing.
    pub inexpressible: u64,
}

#[derive(Debug)]
struct InFlight {
    /// A fence has none.
    ticket: Option<Ticket>,
    request: Request,
    replies: Vec<Reply>,
    malformed: Option<Malformed>,
    interrupted: bool,
    attempts: u8,
}

impl InFlight {
    const fn new(ticket: Option<Ticket>, request: Request) -> Self {
        Self {
            ticket,
            request,
            replies: Vec::new(),
            malformed: None,
            interrupted: false,
            attempts: 0,
        }
    }
}

#[derive(Debug)]
struct Lookup {
    sequence: u32,
    found: Option<u16>,
}

impl Exchange {
    /// A conversation that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a request in; the ticket names its outcome.
    pub fn submit(&mut self, request: Request) -> Ticket {
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.queue.push_back(InFlight::new(Some(ticket), request));
        ticket
    }

    /// Appends what is to be sent next to `out`, which the caller cleared. Appends nothing while
    /// answers are awaited, and when there is nothing left to ask.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) {
        if !self.flight.is_empty() || self.lookup.is_some() {
            return;
        }
        let unsure = self.family.is_none() && !self.queue.is_empty();
        if unsure || !self.suspects.is_empty() {
            let sequence = self.next_sequence();
            encode_family_lookup(sequence, out);
            let found = None;
            self.lookup = Some(Lookup { sequence, found });
        } else if let Some(family) = self.family {
            self.send_batch(family, out);
        }
    }

    /// Takes in a datagram from the kernel.
    pub fn handle_datagram(&mut self, datagram: &[u8]) {
        for message in Messages::new(datagram) {
            match message {
                Ok(message) if message.kind == message::OVERRUN => {
                    self.handle_loss(&Reason::AnswerLost);
                }
                Ok(message) => self.handle_message(&message),
                Err(malformed) => self.handle_loss(&Reason::Malformed(malformed)),
            }
        }
    }

    /// Notes that answers were lost, and why. Reads are asked again; for changes the outcome
    /// becomes `reason`.
    pub fn handle_loss(&mut self, reason: &Reason) {
        self.socket_spent = true;
        if self.lookup.take().is_some() {
            self.fail_lookup(reason);
        }
        // From the last to the first, so that they stand in the queue in their order.
        while let Some((_, lost)) = self.flight.pop_last() {
            self.retry_or_fail(lost, reason.clone());
        }
    }

    /// The outcome of a request, as soon as it is known.
    pub fn poll_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// Whether the socket is to be replaced before anything is sent, because after a loss it may
    /// still hold parts of a listing. True once for each time.
    pub const fn take_socket_spent(&mut self) -> bool {
        std::mem::replace(&mut self.socket_spent, false)
    }

    /// Whether nothing is left to send or to await.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.flight.is_empty()
            && self.suspects.is_empty()
            && self.lookup.is_none()
    }

    /// What was passed over so far.
    #[must_use]
    pub const fn counters(&self) -> ExchangeCounters {
        self.counters
    }

    /// One listing, or as many other requests as go into a batch. The kernel runs one listing at a
    /// time for a socket.
    fn send_batch(&mut self, family: u16, out: &mut Vec<u8>) {
        // Within a batch numbers only grow: `pass_over` goes by that.
        if self.sequence > u32::MAX / 2 {
            self.sequence = 0;
        }
        let mut message = Vec::new();
        let mut last = None;
        while let Some(next) = self.queue.pop_front() {
            message.clear();
            next.request.encode(family, self.sequence, &mut message);
            let alone = next.request.is_dump();
            let full =
                self.flight.len() == MAX_BATCH || out.len() + message.len() > MAX_BATCH_BYTES;
            if !self.flight.is_empty() && (alone || full) {
                self.queue.push_front(next);
                break;
            }
            if let Some(last) = last.take() {
                wire::ask_for_refusal_only(&mut out[last..]);
            }
            last = next.request.is_table_change().then_some(out.len());
            out.extend_from_slice(&message);
            let fenced = matches!(next.request, Request::StopDaemon(_));
            let sequence = self.next_sequence();
            self.flight.insert(sequence, next);
            if fenced {
                self.send_fence(family, out);
            }
            if alone || fenced {
                break;
            }
        }
    }

    /// A daemon that is stopped before its thread first ran ends with EINTR, and netlink
    /// acknowledges nothing that ends so. The answer to what was sent behind it tells.
    fn send_fence(&mut self, family: u16, out: &mut Vec<u8>) {
        let sequence = self.next_sequence();
        let fence = InFlight::new(None, Request::GetInfo);
        fence.request.encode(family, sequence, out);
        self.flight.insert(sequence, fence);
    }

    /// Answers come in order, so whatever was sent before `sequence` gets none any more. A change of
    /// the table that was not refused is done.
    fn pass_over(&mut self, sequence: u32) {
        let later = self.flight.split_off(&sequence);
        for (_, unanswered) in std::mem::replace(&mut self.flight, later) {
            match unanswered.request {
                // The kernel forgets the daemon before it minds how its thread ended.
                Request::StopDaemon(_) => self.succeed(unanswered),
                _ if unanswered.request.is_table_change() => self.succeed(unanswered),
                _ => self.retry_or_fail(unanswered, Reason::Os(errno::EINTR)),
            }
        }
    }

    const fn next_sequence(&mut self) -> u32 {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        sequence
    }

    fn handle_message(&mut self, message: &Message<'_>) {
        let lookup = self.lookup.as_ref();
        if lookup.is_some_and(|lookup| lookup.sequence == message.sequence) {
            self.handle_lookup(message);
        } else if self.flight.contains_key(&message.sequence) {
            match message.kind {
                message::ERROR | message::DONE => self.finish(message),
                message::FIRST_FAMILY.. => self.take_reply(message),
                _ => {}
            }
        } else {
            self.counters.strays += 1;
        }
    }

    fn take_reply(&mut self, message: &Message<'_>) {
        let Some(asked) = self.flight.get_mut(&message.sequence) else {
            return;
        };
        asked.interrupted |= message.is_interrupted();
        let reply =
            message.generic().map_err(Undecodable::from).and_then(|(command, attributes)| {
                Reply::decode(&asked.request, command, Attributes::new(attributes))
            });
        match reply {
            Ok(reply) => asked.replies.push(reply),
            Err(Undecodable::Malformed(malformed)) => asked.malformed = Some(malformed),
            Err(Undecodable::Inexpressible(_)) => self.counters.inexpressible += 1,
        }
    }

    fn finish(&mut self, message: &Message<'_>) {
        self.pass_over(message.sequence);
        let Some(asked) = self.flight.remove(&message.sequence) else {
            return;
        };
        let interrupted = asked.interrupted || message.is_interrupted();
        match message.error() {
            Ok(0) if interrupted => self.retry_or_fail(asked, Reason::Interrupted),
            Ok(0) => match asked.malformed {
                Some(malformed) => self.fail(&asked, Reason::Malformed(malformed)),
                None => self.succeed(asked),
            },
            Ok(number @ (errno::EBUSY | errno::EINTR)) => {
                self.retry_or_fail(asked, Reason::Os(number));
            }
            Ok(errno::ENOENT) => self.suspects.push(asked),
            Ok(number) => self.fail(&asked, Reason::of(&asked.request, number)),
            Err(malformed) => self.fail(&asked, Reason::Malformed(malformed)),
        }
    }

    fn retry_or_fail(&mut self, mut asked: InFlight, reason: Reason) {
        asked.attempts += 1;
        if asked.request.is_read() && asked.attempts < MAX_ATTEMPTS {
            self.counters.retries += 1;
            asked.replies.clear();
            asked.malformed = None;
            asked.interrupted = false;
            self.queue.push_front(asked);
        } else {
            self.fail(&asked, reason);
        }
    }

    fn succeed(&mut self, asked: InFlight) {
        if let Some(ticket) = asked.ticket {
            self.outcomes.push_back(Outcome { ticket, result: Ok(asked.replies) });
        }
    }

    fn fail(&mut self, asked: &InFlight, reason: Reason) {
        if let Some(ticket) = asked.ticket {
            let result = Err(KernelError::of(&asked.request, reason));
            self.outcomes.push_back(Outcome { ticket, result });
        }
    }
}

/// The number of the family.
impl Exchange {
    fn handle_lookup(&mut self, message: &Message<'_>) {
        match message.kind {
            message::ERROR => self.finish_lookup(message.error()),
            message::FIRST_FAMILY.. => {
                let number = message.generic();
                let number = number.and_then(|(_, bytes)| decode_family(Attributes::new(bytes)));
                if let (Ok(number), Some(lookup)) = (number, &mut self.lookup) {
                    lookup.found = Some(number);
                }
            }
            _ => {}
        }
    }

    fn finish_lookup(&mut self, error: Result<i32, Malformed>) {
        let found = self.lookup.take().and_then(|lookup| lookup.found);
        match (error, found) {
            (Ok(0), Some(number)) => self.settle(number),
            (Ok(0), None) => self.fail_lookup(&Reason::Malformed(Malformed("no family number"))),
            (Ok(errno::ENOENT), _) => self.fail_lookup(&Reason::NoIpvs),
            (Ok(errno::EPERM), _) => self.fail_lookup(&Reason::NotPrivileged),
            (Ok(number), _) => self.fail_lookup(&Reason::Os(number)),
            (Err(malformed), _) => self.fail_lookup(&Reason::Malformed(malformed)),
        }
    }

    /// ENOENT is also what a request to a family of yesterday gets. If the number is another now,
    /// none of the suspects reached IPVS; else they were about something that is not there.
    fn settle(&mut self, number: u16) {
        let stale = self.family.replace(number) != Some(number);
        for suspect in std::mem::take(&mut self.suspects).into_iter().rev() {
            if stale {
                self.queue.push_front(suspect);
            } else {
                self.fail(&suspect, Reason::of(&suspect.request, errno::ENOENT));
            }
        }
    }

    /// Without the family nothing can be asked.
    fn fail_lookup(&mut self, reason: &Reason) {
        self.family = None;
        let suspects = std::mem::take(&mut self.suspects).into_iter();
        let waiting = suspects.chain(std::mem::take(&mut self.queue));
        for asked in waiting.collect::<Vec<_>>() {
            self.fail(&asked, reason.clone());
        }
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
