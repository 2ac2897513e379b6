//! The driver of a [`Heartbeat`] machine: sockets, timers, and the link to the data plane.
//!
//! One thread, no disk, no name look-ups. What may take time (addresses, the data plane) happens
//! on the far side of the [`Link`] and comes back as a report.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::clock;
use crate::control::Event;
use crate::control::supervision::{Report, Request, Terms};
use crate::failover::{Command, Heartbeat, Output, PathId, State, Status};
use crate::time::Instant;

/// Where events go. Called on the thread the event happens on: it must not block.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;

/// The longest datagram that is read; longer ones are cut here and refused by length.
const MAX_DATAGRAM: usize = 512;

/// How many datagrams are read before timers and reports get their turn again, so that a flood of
/// bad heartbeats delays nothing else.
const MAX_BURST: usize = 64;

/// One way to the peer: an own address to send from and the peer's to send to.
#[derive(Debug)]
pub struct Path {
    socket: UdpSocket,
    peer: SocketAddr,
}

impl Path {
    /// Binds `local`; heartbeats go to `peer`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The operating system's, for an address this node does not have or a port in use.
    pub fn bind(local: SocketAddr, peer: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, peer })
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
                    Request::Reload => {}
                    Request::Stop { .. } => return,
                }
            }
        });
        Self { requests, reports }
    }
}

/// What the process around a [`Pulse`] can ask of it.
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
    unanswered: Vec<Request>,
    control: mpsc::Receiver<Control>,
    observer: Observer,
}

enum Input {
    Datagrams,
    Control(Control),
    Report(Report),
    Unlinked,
    Timeout,
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
        Self { machine, paths, link, linked: true, unanswered: Vec::new(), control, observer }
    }

    /// Runs until the machine has stopped, which [`Command::Stop`] brings about.
    ///
    /// The link stays usable afterwards: the caller may still wait for connections to drain.
    pub async fn run(mut self) -> Link {
        self.machine.handle_timeout(clock::now());
        loop {
            if self.carry_out() == State::Stopped {
                return self.link;
            }
            match self.next_input().await {
                Input::Datagrams => self.receive(),
                Input::Control(control) => self.on_control(control),
                Input::Report(report) => self.on_report(report),
                Input::Unlinked => self.on_unlinked(),
                Input::Timeout => self.machine.handle_timeout(clock::now()),
            }
        }
    }

    async fn next_input(&mut self) -> Input {
        let deadline = self.machine.poll_timeout();
        tokio::select! {
            biased;
            () = readable(&self.paths) => Input::Datagrams,
            report = self.link.reports.recv(), if self.linked => {
                report.map_or(Input::Unlinked, Input::Report)
            }
            Some(control) = self.control.recv() => Input::Control(control),
            () = clock::sleep_until_or_forever(deadline) => Input::Timeout,
        }
    }

    /// Feeds a bounded burst of datagrams to the machine, and its deadline when that has passed
    /// in the meantime.
    fn receive(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        for (number, path) in (0..).zip(&self.paths) {
            for _ in 0..MAX_BURST {
                let Ok((length, source)) = path.socket.try_recv_from(&mut buffer) else {
                    break;
                };
                let id = PathId(number);
                self.machine.handle_datagram(clock::now(), id, source, &buffer[..length]);
            }
        }
        let now = clock::now();
        if self.machine.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.machine.handle_timeout(now);
        }
    }

    fn on_control(&mut self, control: Control) {
        match control {
            Control::Command(command) => self.machine.handle_command(clock::now(), command),
            Control::Reload => self.request(Request::Reload),
            Control::Status(answer) => {
                // Whoever asked may have gone away; the status is of no use to anybody else.
                let _ = answer.send(self.machine.status(clock::now()));
            }
        }
    }

    fn on_report(&mut self, report: Report) {
        let now = clock::now();
        match report {
            Report::Configured(terms) => {
                if let Err(reason) = self.machine.reconfigure(now, terms) {
                    (self.observer)(Event::Warning { text: reason });
                }
                self.machine.handle_data_plane(now, true);
            }
            Report::Done { id, result } => {
                self.unanswered.retain(|request| request.id() != Some(id));
                self.machine.handle_completion(now, id, result);
            }
            Report::Broken { reason } => self.on_broken(reason),
        }
    }

    /// Nobody is left to hold addresses: none is up any more, and none can come up.
    fn on_unlinked(&mut self) {
        self.linked = false;
        for request in std::mem::take(&mut self.unanswered) {
            self.answer_unlinked(&request);
        }
        self.on_broken("nothing holds the addresses any more".to_owned());
        self.machine.handle_command(clock::now(), Command::Stop);
    }

    fn answer_unlinked(&mut self, request: &Request) {
        if let Some(Report::Done { id, result }) = request.orphaned("lvs is gone") {
            self.machine.handle_completion(clock::now(), id, result);
        }
    }

    fn on_broken(&mut self, reason: String) {
        (self.observer)(Event::Warning { text: format!("data plane lost: {reason}") });
        self.machine.handle_data_plane(clock::now(), false);
    }

    /// Drains the machine's outputs; returns the state it ended in.
    fn carry_out(&mut self) -> State {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { path, payload } => self.send(path, &payload),
                Output::Acquire { id, addresses } => {
                    self.request(Request::Acquire { id, addresses })
                }
                Output::Release { id, addresses } => {
                    self.request(Request::Release { id, addresses })
                }
                // The relay's addresses are loopback's or already routed here: no neighbour to tell.
                Output::Announce { .. } => {}
                Output::Transition(transition) => (self.observer)(Event::Transition(transition)),
                Output::Declined { reason } => (self.observer)(Event::Declined { reason }),
            }
        }
        self.machine.status(clock::now()).state
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
            self.unanswered.push(request.clone());
        }
        // A closed link shows as the end of the reports, which is where it is dealt with.
        let _ = self.link.requests.send(request);
    }
}

/// Waits until a datagram can be read from one of the paths.
async fn readable(paths: &[Path]) {
    std::future::poll_fn(|context| {
        let ready = paths.iter().any(|path| path.socket.poll_recv_ready(context).is_ready());
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
