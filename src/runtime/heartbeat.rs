//! The driver of a [`Heartbeat`] machine: sockets, timers, and the link to the data plane.
//!
//! One thread, no disk, no name look-ups. What may take time (addresses, the data plane) happens
//! on the far side of the [`Link`] and comes back as a report.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use socket2::Socket;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::clock;
use super::sys::receive_with_hops;
use crate::control::Event;
use crate::control::supervision::{Report, Request, Terms};
use crate::failover::{ActionError, ActionId, Command, Heartbeat, Output, PathId, State, Status};
use crate::time::Instant;
use crate::wire::ip::Ipv6Header;
use crate::wire::vrrp::PROTOCOL;

/// Where events go. Called on the thread the event happens on: it must not block.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;

/// The longest datagram that is read; longer ones are cut here and refused by length. The longest
/// of all is a VRRP packet with 255 addresses of IPv6.
const MAX_DATAGRAM: usize = 4160;

/// How many datagrams are read before timers and reports get their turn again, so that a flood of
/// bad heartbeats delays nothing else.
const MAX_BURST: usize = 64;

/// How long whoever holds the addresses may take to bring them up or down.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What is no news: every start of the partner begins with a greeting, and a link may have other
/// virtual routers.
const EXPECTED: [&str; 2] = ["hello", "other_router"];

/// The time between two log lines about refused heartbeats.
const REFUSAL_PAUSE: Duration = Duration::from_secs(10);

/// One way to the peer: an own address to send from and the peer's to send to.
#[derive(Debug)]
pub struct Path {
    socket: UdpSocket,
    peer: SocketAddr,
    /// Where datagrams go to whose header the kernel keeps: raw ones over IPv6.
    headless: Option<Ipv6Addr>,
}

impl Path {
    /// Binds `local`; heartbeats go to `peer`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The operating system's, for an address this node does not have or a port in use.
    pub fn bind(local: SocketAddr, peer: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, peer, headless: None })
    }

    /// Takes a raw socket, whose datagrams are whole packets. `destination` is where those go that
    /// come in on it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) fn raw(socket: Socket, peer: SocketAddr, destination: IpAddr) -> io::Result<Self> {
        let headless = match (peer, destination) {
            (SocketAddr::V6(_), IpAddr::V6(destination)) => Some(destination),
            _ => None,
        };
        let socket = std::net::UdpSocket::from(OwnedFd::from(socket));
        Ok(Self { socket: UdpSocket::from_std(socket)?, peer, headless })
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.headless {
            None => self.socket.try_recv_from(buffer),
            Some(destination) => self
                .socket
                .try_io(Interest::READABLE, || receive_headless(&self.socket, destination, buffer)),
        }
    }
}

/// The two channels to whoever holds the addresses: `lvs` in a process of its own, or a
/// [`Director`](super::director::Director) in this one.
#[derive(Debug)]
pub struct Link {
    /// Requests to it.
    pub requests: mpsc::UnboundedSender<Request>,
    /// Reports from it.
    pub reports: mpsc::UnboundedReceiver<Report>,
}

impl Link {
    /// A link to nobody: every address is said to be up or down and none is touched. For
    /// `pulse --test-start`. Must be called within a tokio runtime.
    #[must_use]
    pub fn rehearsal(terms: Terms) -> Self {
        let (requests, mut receiver) = mpsc::unbounded_channel();
        let (sender, reports) = mpsc::unbounded_channel();
        let _ = sender.send(Report::Configured(terms));
        tokio::spawn(async move {
            while let Some(request) = receiver.recv().await {
                match request {
                    Request::Acquire { id, .. } | Request::Release { id, .. } => {
                        let _ = sender.send(Report::Done { id, result: Ok(()) });
                    }
                    Request::Announce { .. } | Request::Held { .. } | Request::Reload => {}
                    Request::Stop { .. } => return,
                }
            }
        });
        Self { requests, reports }
    }
}

/// What the process around a [`Driver`] can ask of it.
#[non_exhaustive]
#[derive(Debug)]
pub enum Control {
    /// A command for the heartbeat machine.
    Command(Command),
    /// Have the configuration read again.
    Reload,
    /// Answer with the present status.
    Status(tokio::sync::oneshot::Sender<Status>),
}

/// A heartbeat machine that can go on with another configuration.
pub trait Reconfigure: Heartbeat {
    /// What lvs.cf says of the service and of the heartbeats was read again.
    ///
    /// # Errors
    /// Why it goes on as before, in words.
    fn reconfigure(&mut self, now: Instant, terms: Terms) -> Result<(), String>;
}

/// Drives a heartbeat machine.
pub struct Driver<M> {
    machine: M,
    paths: Vec<Path>,
    link: Link,
    linked: bool,
    unanswered: Vec<Unanswered>,
    refusals: Refusals,
    control: mpsc::Receiver<Control>,
    observer: Observer,
}

/// A request whose completion the machine waits for.
struct Unanswered {
    request: Request,
    deadline: Instant,
}

enum Input {
    Wake,
    Control(Control),
    Report(Report),
    Unlinked,
}

impl<M: Reconfigure> Driver<M> {
    /// Puts a machine together with what it drives. The paths are those of its configuration, in
    /// the same order.
    pub const fn new(
        machine: M,
        paths: Vec<Path>,
        link: Link,
        control: mpsc::Receiver<Control>,
        observer: Observer,
    ) -> Self {
        Self {
            machine,
            paths,
            link,
            linked: true,
            unanswered: Vec::new(),
            refusals: Refusals::new(),
            control,
            observer,
        }
    }

    /// Runs until the machine has stopped, which [`Command::Stop`] brings about.
    ///
    /// The link stays usable afterwards: the caller may still wait for connections to drain.
    pub async fn run(mut self) -> Link {
        self.feed(|machine, now| machine.handle_timeout(now));
        while self.machine.state() != State::Stopped {
            match self.next_input().await {
                Input::Wake => self.wake(),
                Input::Control(control) => self.on_control(control),
                Input::Report(report) => self.on_report(report),
                Input::Unlinked => self.on_unlinked(),
            }
        }
        self.link
    }

    async fn next_input(&mut self) -> Input {
        let given_up = self.unanswered.iter().map(|unanswered| unanswered.deadline);
        let deadline = self.machine.poll_timeout().into_iter().chain(given_up).min();
        tokio::select! {
            biased;
            () = readable(&self.paths) => Input::Wake,
            report = self.link.reports.recv(), if self.linked => {
                report.map_or(Input::Unlinked, Input::Report)
            }
            Some(control) = self.control.recv() => Input::Control(control),
            () = clock::sleep_until_or_forever(deadline) => Input::Wake,
        }
    }

    /// Gives the machine an input and carries out what it makes of it.
    fn feed(&mut self, input: impl FnOnce(&mut M, Instant)) {
        input(&mut self.machine, clock::now());
        while let Some(output) = self.machine.poll_output() {
            self.carry_out(output);
        }
    }

    /// Reads what is waiting, then looks at the deadlines: silence means that nothing came, not
    /// that nobody looked.
    fn wake(&mut self) {
        for path in 0..self.paths.len() {
            self.receive(path);
        }
        let now = clock::now();
        if self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.feed(|machine, now| machine.handle_timeout(now));
        }
        self.give_up_unanswered(now);
        if let Some(refused) = self.refusals.news(now, || self.machine.status(now).rejected) {
            (self.observer)(Event::HeartbeatsRefused { reasons: refused });
        }
    }

    fn receive(&mut self, path: usize) {
        let mut buffer = [0; MAX_DATAGRAM];
        for _ in 0..MAX_BURST {
            let Ok((length, source)) = self.paths[path].try_receive(&mut buffer) else {
                return;
            };
            let id = PathId(u8::try_from(path).unwrap_or(u8::MAX));
            self.feed(|machine, now| machine.handle_datagram(now, id, source, &buffer[..length]));
        }
    }

    fn on_control(&mut self, control: Control) {
        match control {
            Control::Command(command) => {
                self.feed(|machine, now| machine.handle_command(now, command));
            }
            Control::Reload => self.request(Request::Reload),
            Control::Status(answer) => {
                // Whoever asked may have gone away; the status is of no use to anybody else.
                let _ = answer.send(self.machine.status(clock::now()));
            }
        }
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Configured(terms) => self.on_configured(terms),
            Report::Done { id, result } => self.complete(id, result),
            Report::Warm(warm) => self.feed(|machine, now| machine.handle_warmth(now, warm)),
            Report::Broken { reason } => self.on_broken(reason),
        }
    }

    fn on_configured(&mut self, terms: Terms) {
        let mut refused = None;
        self.feed(|machine, now| refused = machine.reconfigure(now, terms).err());
        if let Some(reason) = refused {
            (self.observer)(Event::Warning { text: reason });
        }
        self.feed(|machine, now| machine.handle_data_plane(now, true));
    }

    fn complete(&mut self, id: ActionId, result: Result<(), ActionError>) {
        self.unanswered.retain(|unanswered| unanswered.request.id() != Some(id));
        self.feed(|machine, now| machine.handle_completion(now, id, result));
    }

    /// Nobody is left to hold addresses: none is up any more, and none can come up.
    fn on_unlinked(&mut self) {
        self.linked = false;
        for unanswered in std::mem::take(&mut self.unanswered) {
            self.answer_unlinked(&unanswered.request);
        }
        self.on_broken("nothing holds the addresses any more".to_owned());
        self.feed(|machine, now| machine.handle_command(now, Command::Stop));
    }

    fn answer_unlinked(&mut self, request: &Request) {
        if let Some(Report::Done { id, result }) = request.orphaned("lvs is gone") {
            self.complete(id, result);
        }
    }

    /// Every action is answered after a bounded time, by a failure if it must be.
    fn give_up_unanswered(&mut self, now: Instant) {
        let late = self.unanswered.iter().filter(|unanswered| unanswered.deadline <= now);
        let late: Vec<_> = late.filter_map(|unanswered| unanswered.request.id()).collect();
        for id in late {
            let reason = format!("lvs did not answer within {ANSWER_LIMIT:?}");
            self.complete(id, Err(ActionError(reason)));
        }
    }

    fn on_broken(&mut self, reason: String) {
        (self.observer)(Event::Warning { text: format!("data plane lost: {reason}") });
        self.feed(|machine, now| machine.handle_data_plane(now, false));
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send { path, payload } => self.send(path, &payload),
            Output::Acquire { id, addresses } => self.request(Request::Acquire { id, addresses }),
            Output::Release { id, addresses } => self.request(Request::Release { id, addresses }),
            Output::Announce { addresses } => self.request(Request::Announce { addresses }),
            Output::Transition(transition) => (self.observer)(Event::Transition(transition)),
            Output::Declined { reason } => (self.observer)(Event::Declined { reason }),
        }
    }

    /// Sends without waiting: a heartbeat that cannot leave now is worth nothing later.
    fn send(&self, path: PathId, payload: &[u8]) {
        if let Some(path) = self.paths.get(usize::from(path.0)) {
            let _ = path.socket.try_send_to(payload, path.peer);
        }
    }

    fn request(&mut self, request: Request) {
        if !self.linked {
            return self.answer_unlinked(&request);
        }
        if request.id().is_some() {
            let deadline = clock::now() + ANSWER_LIMIT;
            self.unanswered.push(Unanswered { request: request.clone(), deadline });
        }
        // A closed link shows as the end of the reports, which is where it is dealt with.
        let _ = self.link.requests.send(request);
    }
}

/// Heartbeats that were not accepted, for the log: the news at most every [`REFUSAL_PAUSE`], so
/// that a flood of them is one line.
struct Refusals {
    told: Vec<(String, u64)>,
    next: Instant,
}

impl Refusals {
    const fn new() -> Self {
        Self { told: Vec::new(), next: Instant::ZERO }
    }

    /// What was refused since the last time, by reason, but for what is [`EXPECTED`].
    fn news(
        &mut self,
        now: Instant,
        counts: impl FnOnce() -> Vec<(String, u64)>,
    ) -> Option<Vec<(String, u64)>> {
        if now < self.next {
            return None;
        }
        self.next = now + REFUSAL_PAUSE;
        let told = std::mem::replace(&mut self.told, counts());
        let before =
            |reason: &str| told.iter().find(|(name, _)| name == reason).map_or(0, |(_, n)| *n);
        let counts = self.told.iter().filter(|(reason, _)| !EXPECTED.contains(&reason.as_str()));
        let news = counts.map(|(reason, count)| (reason.clone(), count - before(reason)));
        let news: Vec<_> = news.filter(|(_, count)| *count > 0).collect();
        (!news.is_empty()).then_some(news)
    }
}

/// Receives a packet and puts the header in front of it that it came with. One of which the hop
/// limit is not known came from anywhere.
fn receive_headless(
    socket: &UdpSocket,
    destination: Ipv6Addr,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr)> {
    let (header, room) = buffer
        .split_first_chunk_mut::<{ Ipv6Header::SIZE }>()
        .ok_or(io::ErrorKind::InvalidInput)?;
    let received = receive_with_hops(socket, room)?;
    let IpAddr::V6(source) = received.source.ip() else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    *header = Ipv6Header {
        length: u16::try_from(received.length).unwrap_or(u16::MAX),
        protocol: PROTOCOL,
        hops: received.hops.unwrap_or_default(),
        source,
        destination,
    }
    .encode();
    Ok((Ipv6Header::SIZE + received.length, received.source))
}

/// Waits until a datagram can be read from one of the paths.
async fn readable(paths: &[Path]) {
    std::future::poll_fn(|context| {
        let ready = paths.iter().any(|path| path.socket.poll_recv_ready(context).is_ready());
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_heartbeats_are_told_once_and_not_for_each_of_a_flood() {
        let counts = |forged| move || vec![("bad_tag".to_owned(), forged), ("hello".to_owned(), 9)];
        let mut refusals = Refusals::new();
        let now = Instant::from_millis(1000);
        assert_eq!(refusals.news(now, counts(2)), Some(vec![("bad_tag".to_owned(), 2)]));
        assert_eq!(refusals.news(now + Duration::from_secs(1), counts(500)), None);
        let later = now + REFUSAL_PAUSE;
        assert_eq!(refusals.news(later, counts(502)), Some(vec![("bad_tag".to_owned(), 500)]));
        assert_eq!(refusals.news(later + REFUSAL_PAUSE, counts(502)), None);
    }
}
