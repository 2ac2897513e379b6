//! Addresses in the kernel: which there are, and putting them there and away.

use std::collections::BTreeSet;
use std::io;

use rustix::io::Errno;

use super::Keeper;
use crate::control::Event;
use crate::failover::{ActionError, VirtualAddress};
use crate::runtime::addresses::devices;
use crate::wire::rtnetlink::{self, Lifetime, Link, LinkAddress};

/// An address of others with less time left than this is a lease of ours, on a kernel that does
/// not tell whose an address is.
const LEASE_MAX: Lifetime = Lifetime::of_seconds(10);

impl Keeper {
    /// Every address of this machine, and the links they are on.
    pub(super) fn present(&mut self) -> Result<Vec<LinkAddress>, ActionError> {
        self.read_links()
            .and_then(|()| self.route.addresses())
            .map_err(|error| ActionError(format!("cannot read the addresses there are: {error}")))
    }

    pub(super) fn read_links(&mut self) -> io::Result<()> {
        let links = self.route.links()?.into_iter();
        self.links = links.map(|link| (link.index(), link)).collect();
        Ok(())
    }

    /// Whether the address is on this machine without our doing.
    pub(super) fn is_others(&self, present: &[LinkAddress], wanted: &VirtualAddress) -> bool {
        if wanted.address.is_loopback() {
            return true;
        }
        let mut same = present.iter().filter(|present| present.address() == wanted.address);
        let others = same.any(|p| !p.is_ours() && p.lifetime() > LEASE_MAX);
        if others {
            let text = format!(
                "{wanted} is on this machine without pulse: it is left there, also when the other \
                 director is active"
            );
            self.tell(Event::Warning { text });
        }
        others
    }

    /// What is to be put on a link for `wanted`, and the device for it. Where that fails none is left
    /// that is not needed.
    pub(super) fn prepare(&mut self, wanted: &VirtualAddress) -> Result<LinkAddress, ActionError> {
        let lease = self.make_device(wanted).and_then(|()| self.lease(wanted));
        lease.inspect_err(|_| self.remove_devices())
    }

    /// What is to be put on a link for `wanted`.
    pub(super) fn lease(&self, wanted: &VirtualAddress) -> Result<LinkAddress, ActionError> {
        let Some(link) = devices::find(&self.links, wanted) else {
            let names: Vec<_> = self.links.values().map(Link::name).collect();
            return Err(ActionError(format!(
                "{wanted}: there is no device {}; this machine has {}",
                wanted.link(),
                names.join(", ")
            )));
        };
        let lease = LinkAddress::new(link.index(), wanted.address)
            .with_prefix(wanted.prefix)
            .with_lifetime(self.lifetime);
        // A label is of its device, which one that was made for the address is not.
        if wanted.hardware.is_some() {
            return Ok(lease);
        }
        lease.with_label(&wanted.device).map_err(|error| ActionError(format!("{wanted}: {error}")))
    }

    pub(super) fn make_device(&mut self, wanted: &VirtualAddress) -> Result<(), ActionError> {
        let made = self.devices.make(&mut self.route, &mut self.links, wanted);
        made.map_err(|error| {
            refused(&format!("{wanted}: the device with its virtual MAC address"), &error)
        })
    }

    /// Removes the devices that no lease is on.
    pub(super) fn remove_devices(&mut self) {
        let used: BTreeSet<_> = self.leases().map(LinkAddress::index).collect();
        self.devices.remove_unused(&mut self.route, |index| used.contains(&index));
    }

    /// Puts these on their links; goes on after one that fails and tells of the first.
    pub(super) fn put(&mut self, leases: &[LinkAddress]) -> Result<(), ActionError> {
        let requests = leases.iter().cloned().map(rtnetlink::Request::PutAddress);
        let outcomes = self.route.change(requests).map_err(|error| refused("addresses", &error))?;
        let mut failures = leases.iter().zip(outcomes).filter_map(|(lease, outcome)| {
            let error = outcome.err()?;
            let link = self.links.get(&lease.index()).map_or("its device", Link::name);
            Some(refused(&format!("{} on {link}", lease.address()), &error))
        });
        failures.next().map_or(Ok(()), Err)
    }

    /// Removes these and says why those stay that do. One that is gone already is what was wanted.
    pub(super) fn remove(&mut self, leases: &[LinkAddress]) -> Vec<Option<io::Error>> {
        match self.route.change(leases.iter().cloned().map(rtnetlink::Request::RemoveAddress)) {
            Ok(outcomes) => {
                let errors = outcomes.map(io::Result::err);
                errors.map(|error| error.filter(|error| !is_gone(error))).collect()
            }
            Err(error) => {
                let again = || io::Error::new(error.kind(), error.to_string());
                leases.iter().map(|_| Some(again())).collect()
            }
        }
    }

    pub(super) fn leases(&self) -> impl Iterator<Item = &LinkAddress> {
        self.held.values().filter_map(|held| held.lease.as_ref())
    }
}

/// Whether an address could not be removed for it was not there, or its link was not.
pub(in crate::runtime::addresses) fn is_gone(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ADDRNOTAVAIL | Errno::NODEV))
}

pub(super) fn refused(what: &str, error: &io::Error) -> ActionError {
    cannot("bring up", what, error)
}

pub(super) fn cannot(verb: &str, what: &str, error: &io::Error) -> ActionError {
    let mend = match Errno::from_io_error(error) {
        Some(Errno::PERM) => ": run pulse as root, or give it CAP_NET_ADMIN and CAP_NET_RAW",
        Some(Errno::OPNOTSUPP) => ": this kernel lacks what is needed (macvlan?)",
        Some(Errno::ACCESS) => ": is IPv6 switched off there (net.ipv6.conf.*.disable_ipv6)?",
        _ => "",
    };
    ActionError(format!("cannot {verb} {what}: {error}{mend}"))
}
