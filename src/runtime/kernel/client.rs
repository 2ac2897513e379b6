//! The blocking client.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::answers::{self, Answer, Listed};
use super::methods::client_methods;
use super::socket::{Link, Received, failure};
use super::transport::{Transport, Way};
use super::{ANSWER_TIMEOUT, Namespace, collect};
use crate::ipvs::kernel::{
    Daemon, DaemonRole, DestinationStatus, Exchange, ExchangeCounters, Info, KernelError,
    MAX_BATCH, Reason, Reply, Request, ServiceStatus, Timeouts,
};
use crate::ipvs::{Destination, Op, Service, ServiceKey, Table};

/// A client of the kernel's IPVS that waits for each answer.
///
/// It keeps one socket; [`apply`](Client::apply) and [`run`](Client::run) put up to fifty requests
/// into one send.
///
/// ```no_run
/// use piranha::ipvs::{Service, ServiceKey};
/// use piranha::runtime::kernel::Client;
///
/// let mut client = Client::new()?;
/// client.add_service(Service::new(ServiceKey::tcp("192.0.2.80:80".parse().unwrap())))?;
/// for status in client.services()? {
///     println!("{} {}", status.service.key(), status.counters.connections);
/// }
/// # Ok::<(), piranha::ipvs::kernel::KernelError>(())
/// ```
#[derive(Debug)]
pub struct Client {
    namespace: Namespace,
    link: Link,
    exchange: Exchange,
    way: Way,
}

impl Client {
    /// A client of the network namespace of the calling thread.
    ///
    /// Whether there is IPVS, and whether we may use it, shows with the first request.
    ///
    /// # Errors
    /// [`KernelError`] when there is no netlink socket to be had.
    pub fn new() -> Result<Self, KernelError> {
        Self::with_namespace(Namespace::current())
    }

    /// A client of the namespace at `path`: `/run/netns/NAME`, `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// [`KernelError`] when it cannot be opened or entered, which takes `CAP_SYS_ADMIN`.
    pub fn in_namespace(path: impl AsRef<Path>) -> Result<Self, KernelError> {
        let namespace = Namespace::open(path);
        let namespace = namespace.map_err(|error| failure("open its namespace", &error))?;
        Self::with_namespace(namespace)
    }

    /// A client of `namespace`.
    ///
    /// # Errors
    /// [`KernelError`] when the namespace cannot be entered.
    pub fn with_namespace(namespace: Namespace) -> Result<Self, KernelError> {
        let link = Link::open(&namespace)?;
        Ok(Self { namespace, link, exchange: Exchange::new(), way: Way::Untried })
    }

    client_methods!({}, {}, {});

    fn over_netlink(&mut self, requests: Vec<Request>) -> Result<Vec<Answer>, KernelError> {
        let tickets: Vec<_> = requests.into_iter().map(|r| self.exchange.submit(r)).collect();
        let conversed = self.converse();
        if conversed.is_err() {
            self.exchange = Exchange::new();
            self.link = Link::open(&self.namespace)?;
        }
        conversed?;
        Ok(collect(&mut self.exchange, &tickets))
    }

    fn converse(&mut self) -> Result<(), KernelError> {
        let mut datagram = Vec::new();
        while !self.exchange.is_idle() {
            if self.exchange.take_socket_spent() {
                self.link = Link::open(&self.namespace)?;
            }
            datagram.clear();
            self.exchange.poll_transmit(&mut datagram);
            if !datagram.is_empty() {
                self.link.send(&datagram)?;
            }
            self.receive()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<(), KernelError> {
        let until = Instant::now() + ANSWER_TIMEOUT;
        while let Received::Nothing = self.link.receive(&mut self.exchange)? {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.exchange.handle_loss(&Reason::NoAnswer);
                return Ok(());
            }
            self.wait(left)?;
        }
        Ok(())
    }

    fn wait(&self, left: Duration) -> Result<(), KernelError> {
        let timeout = Timespec::try_from(left).ok();
        let mut fds = [PollFd::new(&self.link, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(failure("wait for the kernel", &error.into())),
        }
    }
}
