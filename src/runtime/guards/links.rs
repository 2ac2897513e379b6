//! Links, as the kernel tells of them.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::drivers::Drivers;
use super::{Observation, Report};
use crate::failover::guard::{Guard, Links, Spec};
use crate::runtime::addresses::route::{Monitor, Route};
use crate::wire::rtnetlink::{Link, Message};

/// The pause before the kernel is asked again after it could not be.
const RETRY: Duration = Duration::from_secs(1);

type Seen = (Guard, Result<(), String>);

/// Whether there is a link to watch.
pub(super) const fn concerns(spec: &Spec) -> bool {
    !spec.links.is_empty() || spec.heartbeat_links
}

/// One look at the links. Where the kernel cannot be asked, nothing is known.
pub(super) fn look(spec: &Spec, own: &[IpAddr]) -> Vec<Seen> {
    if !concerns(spec) {
        return Vec::new();
    }
    let view = Route::open().and_then(|mut route| View::read(&mut route));
    view.map(|view| view.judge(spec, own)).unwrap_or_default()
}

/// Reports what becomes of the links, for ever.
pub(super) async fn watch(spec: Spec, own: Vec<IpAddr>, report: Report) {
    loop {
        if let Err(error) = follow(&spec, &own, &report).await {
            tracing::warn!("guards: links cannot be watched just now: {error}");
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Reads the links, then goes by what changes. The end is an error.
async fn follow(spec: &Spec, own: &[IpAddr], report: &Report) -> io::Result<()> {
    // Changes are kept from before the listing, so that none falls between the two.
    let mut monitor = Monitor::open()?;
    let mut route = Route::open()?;
    let mut view = View::read(&mut route)?;
    let mut drivers = Drivers::new(spec.interval);
    loop {
        for (guard, seen) in view.judge(spec, own) {
            let _ = report.send(Observation::Guard(guard, seen));
        }
        tokio::select! {
            changes = monitor.next() => {
                for change in changes? {
                    if !view.follow(change) {
                        view = View::read(&mut route)?;
                    }
                }
            }
            answers = drivers.next(|| view.hardware(spec, own)) => {
                let answers = answers.into_iter();
                answers.for_each(|(index, carrier)| view.links.handle_carrier(index, carrier));
            }
        }
    }
}

/// The links, and which of them has which address.
struct View {
    links: Links,
    addresses: BTreeMap<IpAddr, u32>,
}

impl View {
    fn read(route: &mut Route) -> io::Result<Self> {
        let links = route.links()?.into_iter().collect();
        let addresses = route.addresses()?.into_iter();
        let addresses = addresses.map(|address| (address.address(), address.index()));
        Ok(Self { links, addresses: addresses.collect() })
    }

    /// Takes a change over; false if some were lost.
    fn follow(&mut self, change: Message) -> bool {
        match change {
            Message::Link(link) => self.links.insert(link),
            Message::LinkGone(link) => self.links.remove(link.index()),
            Message::Address(address) => {
                self.addresses.insert(address.address(), address.index());
            }
            Message::AddressGone(address) => {
                self.addresses.remove(&address.address());
            }
            Message::Lost => return false,
            _ => {}
        }
        true
    }

    fn judge(&self, spec: &Spec, own: &[IpAddr]) -> Vec<Seen> {
        let named = spec.links.iter().map(|name| (Guard::Link(name.clone()), self.check(name)));
        let own = own.iter().filter(|_| spec.heartbeat_links);
        let own = own.map(|address| (Guard::LinkOf(*address), self.check_link_of(*address)));
        named.chain(own).collect()
    }

    /// The links whose drivers are to be asked.
    fn hardware(&self, spec: &Spec, own: &[IpAddr]) -> Vec<&Link> {
        let own = own.iter().filter(|_| spec.heartbeat_links);
        let own = own.filter_map(|address| self.link_of(*address)).map(Link::name);
        let names = spec.links.iter().map(String::as_str).chain(own);
        names.flat_map(|name| self.links.hardware_of(name)).collect()
    }

    fn check(&self, name: &str) -> Result<(), String> {
        self.links.check(name).map_err(|fault| fault.to_string())
    }

    fn check_link_of(&self, address: IpAddr) -> Result<(), String> {
        // All of 127.0.0.0/8 is on loopback without being listed.
        match self.link_of(address) {
            Some(link) => {
                self.check(link.name()).map_err(|fault| format!("{}: {fault}", link.name()))
            }
            None if address.is_loopback() => Ok(()),
            None => Err("no interface has it".to_owned()),
        }
    }

    fn link_of(&self, address: IpAddr) -> Option<&Link> {
        self.addresses.get(&address).and_then(|index| self.links.get(*index))
    }
}
