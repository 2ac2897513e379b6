use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::wire::rtnetlink::Link;

/// The links of this machine, and whether one can carry traffic.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<u32, Link>,
    /// Those whose driver said, when it was asked last, that there is no carrier.
    unlinked: BTreeSet<u32>,
}

/// Why a link cannot carry traffic.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkFault {
    /// There is no such device.
    Missing,
    /// The administrator took it down.
    Down,
    /// It is up and has no carrier.
    NoCarrier,
    /// The kernel was told of a carrier, and the driver finds none when it is asked.
    Unlinked,
    /// The device it stands on, a VLAN's for example, cannot.
    Below {
        /// That device's name.
        link: String,
        /// What is wrong with it.
        fault: Box<Self>,
    },
    /// A bond or team, and none of its ports can.
    NoPort,
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such device"),
            Self::Down => f.write_str("down"),
            Self::NoCarrier => f.write_str("no carrier"),
            Self::Unlinked => f.write_str("no link, its driver says when asked"),
            Self::Below { link, fault } => write!(f, "{link} below it: {fault}"),
            Self::NoPort => f.write_str("no port of it has a carrier"),
        }
    }
}

/// Devices upon devices that are looked through; a bound against a loop.
const DEPTH: u8 = 8;

impl Links {
    /// A link is there, new or changed. What its driver said before is forgotten: a driver that
    /// tells of changes is to be believed.
    pub fn insert(&mut self, link: Link) {
        self.unlinked.remove(&link.index());
        self.links.insert(link.index(), link);
    }

    /// A link is gone.
    pub fn remove(&mut self, index: u32) {
        self.unlinked.remove(&index);
        self.links.remove(&index);
    }

    /// The driver of a link was asked whether there is a carrier. Some never tell of it by
    /// themselves, and their links seem to run for ever.
    pub fn handle_carrier(&mut self, index: u32, carrier: bool) {
        match self.links.contains_key(&index) && !carrier {
            true => self.unlinked.insert(index),
            false => self.unlinked.remove(&index),
        };
    }

    /// The link with this index.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// The links that `name` depends on and that stand on nothing else: those whose drivers are to
    /// be asked. Itself, or what is below it, or the ports of a bond or team.
    #[must_use]
    pub fn hardware_of(&self, name: &str) -> Vec<&Link> {
        let mut found = Vec::new();
        if let Some(link) = self.links.values().find(|link| link.name() == name) {
            self.collect_hardware(link, DEPTH, &mut found);
        }
        found
    }

    /// Whether `name` can carry traffic. A VLAN or a macvlan can if the device below it can; a
    /// bond or team, if one of its ports can, whatever it says itself: without link monitoring of
    /// its own it claims a carrier for ever.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, name: &str) -> Result<(), LinkFault> {
        let link = self.links.values().find(|link| link.name() == name);
        self.check_link(link.ok_or(LinkFault::Missing)?, DEPTH)
    }

    fn collect_hardware<'a>(&'a self, link: &'a Link, depth: u8, found: &mut Vec<&'a Link>) {
        let below = link.below().and_then(|index| self.get(index)).filter(|_| depth > 0);
        match below {
            Some(below) => self.collect_hardware(below, depth - 1, found),
            None if link.is_aggregate() && depth > 0 => {
                self.ports(link).for_each(|port| self.collect_hardware(port, depth - 1, found));
            }
            None => found.push(link),
        }
    }

    fn check_link(&self, link: &Link, depth: u8) -> Result<(), LinkFault> {
        if !link.is_up() {
            return Err(LinkFault::Down);
        }
        // What is below says why; that this one has no carrier either only follows from it.
        if let Some(below) = link.below().and_then(|index| self.get(index)).filter(|_| depth > 0)
            && let Err(fault) = self.check_link(below, depth - 1)
        {
            let link = below.name().to_owned();
            return Err(LinkFault::Below { link, fault: Box::new(fault) });
        }
        if link.is_aggregate() && depth > 0 && !self.has_port(link, depth) {
            return Err(LinkFault::NoPort);
        }
        match link.is_running() {
            false => Err(LinkFault::NoCarrier),
            true if self.unlinked.contains(&link.index()) => Err(LinkFault::Unlinked),
            true => Ok(()),
        }
    }

    fn has_port(&self, link: &Link, depth: u8) -> bool {
        self.ports(link).any(|port| self.check_link(port, depth - 1).is_ok())
    }

    fn ports(&self, link: &Link) -> impl Iterator<Item = &Link> {
        let master = Some(link.index());
        self.links.values().filter(move |port| port.master() == master)
    }
}

impl FromIterator<Link> for Links {
    fn from_iter<I: IntoIterator<Item = Link>>(links: I) -> Self {
        let links = links.into_iter().map(|link| (link.index(), link)).collect();
        Self { links, unlinked: BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: u32 = 0;
    const UP: u32 = 0x1;
    const RUNNING: u32 = 0x41;

    fn links(links: &[Link]) -> Links {
        links.iter().cloned().collect()
    }

    fn says(links: &Links, name: &str) -> String {
        links.check(name).map_or_else(|fault| fault.to_string(), |()| "ok".to_owned())
    }

    #[test]
    fn a_link_is_missing_down_without_carrier_or_in_order() {
        let links = links(&[
            Link::example(1, "eth0", RUNNING),
            Link::example(2, "eth1", UP),
            Link::example(3, "eth2", DOWN),
        ]);
        let said = ["eth0", "eth1", "eth2", "eth3"].map(|name| says(&links, name));
        assert_eq!(said, ["ok", "no carrier", "down", "there is no such device"]);
    }

    #[test]
    fn a_vlan_is_as_good_as_the_device_below_it() {
        let vlan = Link::example(2, "eth0.5", RUNNING).on(1);
        let with = |flags| links(&[Link::example(1, "eth0", flags), vlan.clone()]);
        assert_eq!(says(&with(RUNNING), "eth0.5"), "ok");
        assert_eq!(says(&with(UP), "eth0.5"), "eth0 below it: no carrier");
        assert_eq!(says(&with(DOWN), "eth0.5"), "eth0 below it: down");
        assert_eq!(says(&links(&[vlan]), "eth0.5"), "ok", "what is elsewhere tells nothing");
    }

    #[test]
    fn a_bond_needs_a_port_whatever_it_says_itself() {
        let with = |first, second| {
            links(&[
                Link::example(1, "eth0", first).port_of(3),
                Link::example(2, "eth1", second).port_of(3),
                Link::example(3, "bond0", RUNNING).aggregate(),
                Link::example(4, "bond0.7", RUNNING).on(3),
            ])
        };
        assert_eq!(says(&with(RUNNING, UP), "bond0"), "ok");
        assert_eq!(says(&with(UP, UP), "bond0"), "no port of it has a carrier");
        let above = says(&with(DOWN, DOWN), "bond0.7");
        assert_eq!(above, "bond0 below it: no port of it has a carrier");
    }

    #[test]
    fn a_driver_that_finds_no_carrier_when_asked_is_believed_until_it_tells_of_a_change() {
        let eth0 = Link::example(1, "eth0", RUNNING);
        let mut links = links(&[
            eth0.clone().port_of(3),
            Link::example(3, "bond0", RUNNING).aggregate(),
            Link::example(4, "bond0.7", RUNNING).on(3),
        ]);
        links.handle_carrier(1, false);
        assert_eq!(says(&links, "eth0"), "no link, its driver says when asked");
        assert_eq!(says(&links, "bond0.7"), "bond0 below it: no port of it has a carrier");
        links.handle_carrier(1, true);
        assert_eq!(says(&links, "bond0.7"), "ok");
        links.handle_carrier(1, false);
        links.insert(eth0.port_of(3));
        assert_eq!(says(&links, "bond0.7"), "ok");
        links.handle_carrier(9, false);
        links.insert(Link::example(9, "eth9", RUNNING));
        assert_eq!(says(&links, "eth9"), "ok", "what was not there was not asked");
    }

    #[test]
    fn drivers_are_asked_about_what_everything_else_stands_on() {
        let links = links(&[
            Link::example(1, "eth0", RUNNING).port_of(3),
            Link::example(2, "eth1", RUNNING).port_of(3),
            Link::example(3, "bond0", RUNNING).aggregate(),
            Link::example(4, "bond0.7", RUNNING).on(3),
            Link::example(5, "eth2", RUNNING),
        ]);
        let asked = |name| -> Vec<_> { links.hardware_of(name).iter().map(|l| l.name()).collect() };
        assert_eq!(asked("bond0.7"), ["eth0", "eth1"]);
        assert_eq!(asked("eth2"), ["eth2"]);
        assert_eq!(asked("eth7"), [""; 0]);
    }

    #[test]
    fn devices_that_stand_on_each_other_are_looked_at_to_an_end() {
        let links = links(&[
            Link::example(1, "veth0", RUNNING).on(2),
            Link::example(2, "veth1", RUNNING).on(1),
        ]);
        assert_eq!(says(&links, "veth0"), "ok");
    }
}
