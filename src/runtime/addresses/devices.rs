//! Devices with a virtual MAC address: made for the addresses that move with one, and removed with
//! the last of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use super::route::Route;
use crate::failover::VirtualAddress;
use crate::wire::ethernet::MacAddr;
use crate::wire::rtnetlink::{Link, Macvlan, Request};

/// The links of this machine by their index.
pub(super) type Links = BTreeMap<u32, Link>;

/// What was made, and what had to be set differently below it.
#[derive(Debug, Default)]
pub(super) struct Devices {
    /// The name of the device below each, by index.
    made: BTreeMap<u32, String>,
    /// What a sysctl had before, by the name of the device it is of.
    before: BTreeMap<String, Vec<(PathBuf, String)>>,
}

impl Devices {
    /// Makes the device that `wanted` is to be on, unless it needs none or is there. `links` is
    /// what there is, and is brought up to date.
    ///
    /// # Errors
    /// The kernel's. What was made of it is removed by [`remove_unused`](Self::remove_unused).
    pub(super) fn make(
        &mut self,
        route: &mut Route,
        links: &mut Links,
        wanted: &VirtualAddress,
    ) -> io::Result<()> {
        let below = links.values().find(|link| link.name() == wanted.link()).cloned();
        let (Some(hardware), Some(below)) = (wanted.hardware, below) else { return Ok(()) };
        let index = match find(links, wanted) {
            Some(link) if self.made.contains_key(&link.index()) => return Ok(()),
            Some(left_over) => left_over.index(),
            None => {
                let device = Macvlan::new(&name(below.index(), hardware), below.index(), hardware);
                change(route, Request::AddMacvlan(device))?;
                read(route, links)?;
                find(links, wanted).ok_or(io::ErrorKind::NotFound)?.index()
            }
        };
        self.made.insert(index, below.name().to_owned());
        self.settle(below.name(), &name(below.index(), hardware));
        change(route, Request::SetLinkUp(index))?;
        read(route, links)
    }

    /// Removes those that are not `used`, and sets what is below them as it was.
    pub(super) fn remove_unused(&mut self, route: &mut Route, used: impl Fn(u32) -> bool) {
        let unused: Vec<_> = self.made.keys().copied().filter(|index| !used(*index)).collect();
        for index in unused {
            // One that is gone already is what was wanted.
            let _ = change(route, Request::RemoveLink(index));
            self.made.remove(&index);
        }
        let made = &self.made;
        self.before.retain(|below, before| {
            let is_needed = made.values().any(|needed| needed == below);
            if !is_needed {
                before.iter().for_each(|(path, value)| drop(fs::write(path, value)));
            }
            is_needed
        });
    }

    /// The indices of those there are.
    pub(super) fn indices(&self) -> Vec<u32> {
        self.made.keys().copied().collect()
    }

    /// Only the new device is to answer for what is on it, and packets that come in through it are
    /// answered through the one below, where the routes are. What the kernel cannot set, IPv6 that
    /// is switched off for example, is not needed either.
    fn settle(&mut self, below: &str, device: &str) {
        let filtered = ["all", below].iter().any(|name| ipv4(name, "rp_filter").1 > 0);
        let _ = fs::write(ipv4(device, "rp_filter").0, if filtered { "2" } else { "0" });
        // Without a link-local address nothing leaves it but what is announced.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{device}/addr_gen_mode"), "1");
        if self.before.contains_key(below) {
            return;
        }
        let raised =
            [("arp_ignore", 1), ("arp_announce", 2)].into_iter().filter_map(|(key, least)| {
                let (path, value) = ipv4(below, key);
                let raised = value < least && fs::write(&path, least.to_string()).is_ok();
                raised.then(|| (path, value.to_string()))
            });
        self.before.insert(below.to_owned(), raised.collect());
    }
}

/// The link that `wanted` belongs on, if it is there.
pub(super) fn find<'a>(links: &'a Links, wanted: &VirtualAddress) -> Option<&'a Link> {
    let named = |name: &str| links.values().find(|link| link.name() == name);
    let link = named(wanted.link())?;
    match wanted.hardware {
        None => Some(link),
        Some(hardware) => named(&name(link.index(), hardware)).filter(|found| is_ours(found)),
    }
}

/// Removes what an earlier life left behind. One that has an address is somebody's who lives.
pub(super) fn purge(route: &mut Route) -> io::Result<()> {
    let addresses = route.addresses()?;
    let in_use = |link: &Link| addresses.iter().any(|address| address.index() == link.index());
    for link in route.links()?.iter().filter(|link| is_ours(link) && !in_use(link)) {
        change(route, Request::RemoveLink(link.index()))?;
    }
    Ok(())
}

/// At most 15 bytes, from which the kernel's own names differ.
fn name(below: u32, hardware: MacAddr) -> String {
    let [.., a, b, c] = hardware.0;
    format!("vip{:x}-{a:02x}{b:02x}{c:02x}", below & 0xf_ffff)
}

/// Whether its name says what it is and where it stands.
fn is_ours(link: &Link) -> bool {
    let stands = link.below().zip(link.hardware()).filter(|_| link.is_macvlan());
    stands.is_some_and(|(below, hardware)| link.name() == name(below, hardware))
}

fn change(route: &mut Route, request: Request) -> io::Result<()> {
    route.change([request])?.collect()
}

fn read(route: &mut Route, links: &mut Links) -> io::Result<()> {
    *links = route.links()?.into_iter().map(|link| (link.index(), link)).collect();
    Ok(())
}

/// A sysctl of a device, and its value; 0 where it cannot be read.
fn ipv4(device: &str, key: &str) -> (PathBuf, u8) {
    let path = PathBuf::from(format!("/proc/sys/net/ipv4/conf/{device}/{key}"));
    let value = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    (path, value.unwrap_or_default())
}
