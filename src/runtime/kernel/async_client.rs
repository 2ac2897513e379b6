//! The client for tokio.

use std::net::SocketAddr;
use std::path::Path;

use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

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

/// A client of the kernel's IPVS that awaits each answer.
///
/// The kernel does its work within the send, so a task that sends holds its thread for as long: a
/// few milliseconds for a full batch, more when the kernel loads a scheduler's module.
///
/// A call that is dropped before it is done leaves open what was carried out; the client can be
/// used on.
#[derive(Debug)]
pub struct AsyncClient {
    namespace: Namespace,
    link: AsyncFd<Link>,
    exchange: Exchange,
    way: Way,
}

impl AsyncClient {
    /// A client of the network namespace of the calling thread. To be called within a runtime.
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
        let link = open(&namespace)?;
        Ok(Self { namespace, link, exchange: Exchange::new(), way: Way::Untried })
    }

    client_methods!({ async }, { .await }, { tokio::task::yield_now().await; });

    async fn over_netlink(&mut self, requests: Vec<Request>) -> Result<Vec<Answer>, KernelError> {
        if !self.exchange.is_idle() {
            self.start_over()?;
        }
        let tickets: Vec<_> = requests.into_iter().map(|r| self.exchange.submit(r)).collect();
        let conversed = self.converse().await;
        if conversed.is_err() {
            self.start_over()?;
        }
        conversed?;
        Ok(collect(&mut self.exchange, &tickets))
    }

    /// Forgets what an earlier call left open.
    fn start_over(&mut self) -> Result<(), KernelError> {
        self.exchange = Exchange::new();
        self.link = open(&self.namespace)?;
        Ok(())
    }

    async fn converse(&mut self) -> Result<(), KernelError> {
        let mut datagram = Vec::new();
        while !self.exchange.is_idle() {
            if self.exchange.take_socket_spent() {
                self.link = open(&self.namespace)?;
            }
            datagram.clear();
            self.exchange.poll_transmit(&mut datagram);
            if !datagram.is_empty() {
                self.link.get_ref().send(&datagram)?;
            }
            let received = receive(&mut self.link, &mut self.exchange);
            match timeout(ANSWER_TIMEOUT, received).await {
                Ok(received) => received?,
                Err(_) => self.exchange.handle_loss(&Reason::NoAnswer),
            }
        }
        Ok(())
    }
}

async fn receive(link: &mut AsyncFd<Link>, exchange: &mut Exchange) -> Result<(), KernelError> {
    loop {
        // The answer is usually there: the kernel gave it within the send.
        if let Received::Some = link.get_mut().receive(exchange)? {
            return Ok(());
        }
        let ready = link.readable_mut().await;
        let mut ready = ready.map_err(|error| failure("wait for the kernel", &error))?;
        match ready.get_inner_mut().receive(exchange)? {
            Received::Some => return Ok(()),
            Received::Nothing => ready.clear_ready(),
        }
    }
}

#[allow(
    deprecated,
    reason = "its successor is unsafe; what that asks for, that the socket stays open, Link gives"
)]
fn open(namespace: &Namespace) -> Result<AsyncFd<Link>, KernelError> {
    let link = Link::open(namespace)?;
    AsyncFd::new(link).map_err(|error| failure("watch it", &error))
}
