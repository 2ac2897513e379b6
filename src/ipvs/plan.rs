use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{
    Destination, Entry, Forwarding, Method, SchedulerName, Service, ServiceKey, Table, Tunnel,
    TunnelChecksum,
};
use crate::net::{Family, Protocol};

/// The way from the table `observed` to the table `desired`, to be carried out in order.
///
/// The same tables give the same operations every time, and equal tables give none. What is there
/// already is edited in place, so connections survive. On the way
///
/// - a service that has servers before and after always has one, and one with a weight if it has
///   such before and after: servers come, and edits that give weight are made, before edits that
///   take the weight away and before servers go;
/// - a service that only `observed` has goes last, and its servers with it.
///
/// ```
/// use piranha::ipvs::{plan, Capabilities, Destination, Op, Service, ServiceKey, Table};
/// use piranha::net::Weight;
///
/// let key = ServiceKey::udp("192.0.2.80:53".parse().unwrap());
/// let server = Destination::new("10.0.0.1:53".parse().unwrap());
/// let mut observed = Table::new();
/// observed.insert(Service::new(key)).insert(server);
///
/// let mut desired = observed.clone();
/// let quiesced = server.with_weight(Weight::ZERO);
/// desired.insert(Service::new(key)).insert(quiesced);
///
/// let ops = plan(&desired, &observed, &Capabilities::everything()).unwrap();
/// assert_eq!(ops, [Op::EditDestination(key, quiesced)]);
/// ```
///
/// # Errors
/// [`Unsupported`] if anything in `desired` is beyond `capabilities`, also where `observed` has it
/// already. Nothing of the table is to be applied then.
pub fn plan(
    desired: &Table,
    observed: &Table,
    capabilities: &Capabilities,
) -> Result<Vec<Op>, Unsupported> {
    capabilities.check(desired)?;
    let mut ops = Vec::new();
    for entry in desired.iter() {
        match observed.get(&entry.service().key()) {
            Some(current) => change_entry(entry, current, &mut ops),
            None => add_entry(entry, &mut ops),
        }
    }
    let present = observed.iter().map(|entry| entry.service().key());
    let surplus = present.filter(|key| desired.get(key).is_none());
    ops.extend(surplus.map(Op::RemoveService));
    Ok(ops)
}

/// What a data plane can do, so that a table it cannot carry is refused before anything changes.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Capabilities {
    /// Forwarding methods it has.
    pub forwarding: Vec<Method>,
    /// Protocols its services can be of.
    pub protocols: Vec<Protocol>,
    /// Schedulers it has; `None` when it finds out only on use (the kernel loads modules).
    pub schedulers: Option<Vec<SchedulerName>>,
    /// IPv6, for services and for servers.
    pub ipv6: bool,
    /// Services by firewall mark.
    pub marks: bool,
    /// Services on port 0, for every port of an address.
    pub any_port: bool,
    /// Services on the unspecified address, for every address of this machine.
    pub any_address: bool,
    /// Scheduling of each packet on its own.
    pub one_packet: bool,
    /// Flags for schedulers.
    pub scheduler_flags: bool,
    /// Persistence engines.
    pub engines: bool,
    /// A helper chosen for each service. Without it a service has the helper that
    /// [`Service::new`] gives it and no other.
    pub helper_choice: bool,
}

impl Capabilities {
    /// A data plane that refuses nothing: the start for one that lacks little.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            forwarding: Method::ALL.to_vec(),
            protocols: vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp],
            schedulers: None,
            ipv6: true,
            marks: true,
            any_port: true,
            any_address: true,
            one_packet: true,
            scheduler_flags: true,
            engines: true,
            helper_choice: true,
        }
    }

    /// A data plane that can reach no server and name no service: the start for one that has
    /// little.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            forwarding: Vec::new(),
            protocols: Vec::new(),
            schedulers: Some(Vec::new()),
            ipv6: false,
            marks: false,
            any_port: false,
            any_address: false,
            one_packet: false,
            scheduler_flags: false,
            engines: false,
            helper_choice: false,
        }
    }

    /// Whether a data plane with these capabilities can carry all of `table`.
    ///
    /// # Errors
    /// The first thing it cannot, in the table's order.
    pub fn check(&self, table: &Table) -> Result<(), Unsupported> {
        table.iter().try_for_each(|entry| {
            let service = entry.service();
            self.check_service(service)?;
            entry
                .destinations()
                .try_for_each(|destination| self.check_destination(service.key(), destination))
        })
    }

    pub(super) fn check_service(&self, service: &Service) -> Result<(), Unsupported> {
        self.check_key(service.key())?;
        check_sense(service)?;
        self.check_settings(service)?;
        match &self.schedulers {
            Some(known) if !known.contains(service.scheduler()) => Err(Unsupported::Scheduler {
                service: service.key(),
                scheduler: service.scheduler().clone(),
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn check_destination(
        &self,
        service: ServiceKey,
        destination: &Destination,
    ) -> Result<(), Unsupported> {
        let forwarding = destination.forwarding();
        let address = destination.address();
        if destination.family() == Family::Ipv6 && !self.ipv6 {
            return Err(Unsupported::Ipv6Server { service, destination: address });
        }
        if !self.forwarding.contains(&forwarding.method()) {
            return Err(Unsupported::Forwarding {
                service,
                destination: address,
                method: forwarding.method(),
            });
        }
        if destination.family() != service.family() && !forwarding.is_tunnel() {
            return Err(Unsupported::Family { service, destination: address });
        }
        let checksum = TunnelChecksum::Remote;
        if forwarding == Forwarding::Tunnel(Tunnel::Gre { checksum }) {
            let destination = address;
            return Err(Unsupported::GreChecksum { service, destination });
        }
        Ok(())
    }

    fn check_key(&self, service: ServiceKey) -> Result<(), Unsupported> {
        if service.family() == Family::Ipv6 && !self.ipv6 {
            return Err(Unsupported::Ipv6 { service });
        }
        let ServiceKey::Address { protocol, address } = service else {
            return if self.marks { Ok(()) } else { Err(Unsupported::Mark { service }) };
        };
        if !self.protocols.contains(&protocol) {
            return Err(Unsupported::Protocol { service });
        }
        if address.port() == 0 && !self.any_port {
            return Err(Unsupported::AnyPort { service });
        }
        if address.ip().is_unspecified() && !self.any_address {
            return Err(Unsupported::AnyAddress { service });
        }
        Ok(())
    }

    fn check_settings(&self, service: &Service) -> Result<(), Unsupported> {
        let engine = service.persistence().and_then(|p| p.engine());
        let usual = Service::new(service.key()).helper();
        let lacking = [
            (service.one_packet() && !self.one_packet, "one-packet scheduling"),
            (!service.scheduler_flags().is_empty() && !self.scheduler_flags, "scheduler flags"),
            (engine.is_some() && !self.engines, "persistence engines"),
            (
                service.helper() != usual && !self.helper_choice,
                "choice of helpers: FTP's serves TCP port 21, nothing else",
            ),
        ];
        match lacking.into_iter().find(|(lacks, _)| *lacks) {
            Some((_, what)) => Err(Unsupported::Setting { service: service.key(), what }),
            None => Ok(()),
        }
    }
}

/// What no data plane can make sense of, though the kernel takes it without a word.
fn check_sense(service: &Service) -> Result<(), Unsupported> {
    let key = service.key();
    let nonsense = |why| Err(Unsupported::Nonsense { service: key, why });
    let ServiceKey::Address { protocol, address } = key else {
        return Ok(());
    };
    if address.ip().is_multicast() {
        return nonsense("a multicast address cannot be a VIP");
    }
    if address.port() == 0 && service.persistence().is_none() {
        return nonsense("port 0, for every port, needs persistence");
    }
    if service.one_packet() && protocol != Protocol::Udp {
        return nonsense("one-packet scheduling is for UDP and firewall marks");
    }
    Ok(())
}

/// Why a data plane cannot carry a table. Nothing was changed.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unsupported {
    /// The forwarding method of a real server.
    #[error("{service}: the data plane cannot reach {destination} by {method}")]
    Forwarding {
        /// The service.
        service: ServiceKey,
        /// The server.
        destination: SocketAddr,
        /// The method asked for.
        method: Method,
    },
    /// A real server of the other address family.
    #[error("{service}: {destination} is of the other address family, which only a tunnel reaches")]
    Family {
        /// The service.
        service: ServiceKey,
        /// The server.
        destination: SocketAddr,
    },
    /// A remote checksum, which GRE does not have.
    #[error("{service}: {destination}: GRE has no remote checksum, only none and plain")]
    GreChecksum {
        /// The service.
        service: ServiceKey,
        /// The server.
        destination: SocketAddr,
    },
    /// An IPv6 service.
    #[error("{service}: the data plane has no IPv6")]
    Ipv6 {
        /// The service.
        service: ServiceKey,
    },
    /// An IPv6 server of an IPv4 service.
    #[error("{service}: the data plane cannot reach {destination}: it has no IPv6")]
    Ipv6Server {
        /// The service.
        service: ServiceKey,
        /// The server.
        destination: SocketAddr,
    },
    /// A protocol.
    #[error("{service}: the data plane has no services of this protocol")]
    Protocol {
        /// The service.
        service: ServiceKey,
    },
    /// A firewall-mark service.
    #[error("{service}: the data plane has no services by firewall mark")]
    Mark {
        /// The service.
        service: ServiceKey,
    },
    /// A service on port 0.
    #[error("{service}: the data plane needs a port")]
    AnyPort {
        /// The service.
        service: ServiceKey,
    },
    /// A service on the unspecified address.
    #[error("{service}: the data plane needs an address")]
    AnyAddress {
        /// The service.
        service: ServiceKey,
    },
    /// A setting of a service.
    #[error("{service}: the data plane has no {what}")]
    Setting {
        /// The service.
        service: ServiceKey,
        /// What the setting needs.
        what: &'static str,
    },
    /// Settings that no packet could ever meet.
    #[error("{service}: {why}")]
    Nonsense {
        /// The service.
        service: ServiceKey,
        /// What is wrong, and what would be right.
        why: &'static str,
    },
    /// A scheduler.
    #[error("{service}: the data plane has no scheduler {scheduler}")]
    Scheduler {
        /// The service.
        service: ServiceKey,
        /// The scheduler asked for.
        scheduler: SchedulerName,
    },
}

impl Unsupported {
    /// The service whose configuration must change.
    #[must_use]
    pub const fn service(&self) -> ServiceKey {
        match self {
            Self::Forwarding { service, .. }
            | Self::Family { service, .. }
            | Self::GreChecksum { service, .. }
            | Self::Ipv6 { service }
            | Self::Ipv6Server { service, .. }
            | Self::Protocol { service }
            | Self::Mark { service }
            | Self::AnyPort { service }
            | Self::AnyAddress { service }
            | Self::Setting { service, .. }
            | Self::Nonsense { service, .. }
            | Self::Scheduler { service, .. } => *service,
        }
    }
}

/// One change of a data plane's table.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Op {
    /// Make a service that is not there.
    AddService(Service),
    /// Change a service that is there; its servers and connections stay.
    EditService(Service),
    /// Take a service out. Its connections go on.
    RemoveService(ServiceKey),
    /// Add a server to a service.
    AddDestination(ServiceKey, Destination),
    /// Change a server; its connections stay.
    EditDestination(ServiceKey, Destination),
    /// Take a server out. What becomes of its connections is the data plane's rule.
    RemoveDestination(ServiceKey, SocketAddr),
}

impl Op {
    /// The service it is about.
    #[must_use]
    pub const fn service(&self) -> ServiceKey {
        match self {
            Self::AddService(service) | Self::EditService(service) => service.key(),
            Self::RemoveService(key)
            | Self::AddDestination(key, _)
            | Self::EditDestination(key, _)
            | Self::RemoveDestination(key, _) => *key,
        }
    }
}

fn add_entry(desired: &Entry, ops: &mut Vec<Op>) {
    let key = desired.service().key();
    ops.push(Op::AddService(desired.service().clone()));
    ops.extend(desired.destinations().map(|d| Op::AddDestination(key, *d)));
}

fn change_entry(desired: &Entry, current: &Entry, ops: &mut Vec<Op>) {
    if desired.service() != current.service() {
        ops.push(Op::EditService(desired.service().clone()));
    }
    let key = desired.service().key();
    let there = |d: &&Destination| current.get(d.address()).is_some();
    let new = desired.destinations().filter(|d| !there(d));
    ops.extend(new.map(|d| Op::AddDestination(key, *d)));

    let known = desired.destinations().filter(there);
    let edited = known.filter(|d| current.get(d.address()) != Some(d));
    let (drained, served): (Vec<&Destination>, Vec<&Destination>) =
        edited.partition(|d| d.weight().is_quiesced());
    let edits = served.into_iter().chain(drained);
    ops.extend(edits.map(|d| Op::EditDestination(key, *d)));

    let present = current.destinations().map(Destination::address);
    let surplus = present.filter(|address| desired.get(*address).is_none());
    ops.extend(surplus.map(|address| Op::RemoveDestination(key, address)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{FirewallMark, Weight};

    fn web() -> ServiceKey {
        ServiceKey::tcp("192.0.2.80:80".parse().unwrap())
    }

    fn server(last_octet: u8) -> Destination {
        Destination::new(SocketAddr::from(([10, 0, 0, last_octet], 80)))
    }

    fn table(key: ServiceKey, destinations: &[Destination]) -> Table {
        let mut table = Table::new();
        let entry = table.insert(Service::new(key));
        for destination in destinations {
            entry.insert(*destination);
        }
        table
    }

    #[test]
    fn servers_come_before_others_are_drained_or_go() {
        let observed = table(web(), &[server(1), server(2), server(3).with_weight(Weight::ZERO)]);
        let drained = server(1).with_weight(Weight::ZERO);
        let mut desired = table(web(), &[drained, server(3), server(4)]);
        let rr = Service::new(web()).with_scheduler("rr".parse().unwrap());
        desired.insert(rr.clone());

        let ops = plan(&desired, &observed, &Capabilities::everything()).unwrap();
        let expected = [
            Op::EditService(rr),
            Op::AddDestination(web(), server(4)),
            Op::EditDestination(web(), server(3)),
            Op::EditDestination(web(), drained),
            Op::RemoveDestination(web(), server(2).address()),
        ];
        assert_eq!(ops, expected);
    }

    #[test]
    fn a_service_that_is_no_longer_wanted_goes_last_in_one_operation() {
        let dns = ServiceKey::udp("192.0.2.80:53".parse().unwrap());
        let observed = table(dns, &[server(1), server(2)]);
        let ops = plan(&table(web(), &[]), &observed, &Capabilities::everything());
        let expected = [Op::AddService(Service::new(web())), Op::RemoveService(dns)];
        assert_eq!(ops.unwrap(), expected);
    }

    #[test]
    fn a_refusal_names_the_service_and_what_the_data_plane_lacks() {
        let refusal = |key, destinations: &[_], capabilities: &Capabilities| {
            let desired = table(key, destinations);
            // Also where it is in force already.
            let refused = plan(&desired, &desired, capabilities).unwrap_err();
            assert_eq!(refused.service(), key);
            refused.to_string()
        };
        let mut capabilities = Capabilities::nothing();
        capabilities.protocols = vec![Protocol::Tcp, Protocol::Udp];
        let ipv6 = ServiceKey::tcp("[2001:db8::80]:80".parse().unwrap());
        assert_eq!(
            refusal(ipv6, &[], &capabilities),
            "TCP [2001:db8::80]:80: the data plane has no IPv6"
        );
        capabilities.schedulers = None;
        let v6 = Destination::new("[2001:db8::1]:80".parse().unwrap());
        assert_eq!(
            refusal(web(), &[v6], &capabilities),
            "TCP 192.0.2.80:80: the data plane cannot reach [2001:db8::1]:80: it has no IPv6"
        );
        capabilities.ipv6 = true;
        capabilities.schedulers = Some(Vec::new());
        assert_eq!(
            refusal(web(), &[], &capabilities),
            "TCP 192.0.2.80:80: the data plane has no scheduler wlc"
        );
        capabilities.schedulers = None;
        assert_eq!(
            refusal(web(), &[server(1)], &capabilities),
            "TCP 192.0.2.80:80: the data plane cannot reach 10.0.0.1:80 by nat"
        );
        let mark = ServiceKey::mark(FirewallMark::new(7).unwrap(), Family::Ipv6);
        assert_eq!(
            refusal(mark, &[], &capabilities),
            "FWM 7 IPv6: the data plane has no services by firewall mark"
        );
        let any_port = ServiceKey::udp("192.0.2.80:0".parse().unwrap());
        assert_eq!(
            refusal(any_port, &[], &capabilities),
            "UDP 192.0.2.80:0: the data plane needs a port"
        );
        let sctp = ServiceKey::sctp("192.0.2.80:9".parse().unwrap());
        assert_eq!(
            refusal(sctp, &[], &capabilities),
            "SCTP 192.0.2.80:9: the data plane has no services of this protocol"
        );
    }

    #[test]
    fn what_the_kernel_would_take_without_a_word_is_refused() {
        let refusal = |service: Service, destination: Option<Destination>| {
            let mut table = Table::new();
            let entry = table.insert(service);
            destination.map(|d| entry.insert(d));
            let everything = Capabilities::everything();
            everything.check(&table).unwrap_err().to_string()
        };
        let multicast = Service::new(ServiceKey::udp("224.0.0.1:53".parse().unwrap()));
        assert_eq!(
            refusal(multicast, None),
            "UDP 224.0.0.1:53: a multicast address cannot be a VIP"
        );
        let any_port = Service::new(ServiceKey::tcp("192.0.2.80:0".parse().unwrap()));
        assert_eq!(
            refusal(any_port, None),
            "TCP 192.0.2.80:0: port 0, for every port, needs persistence"
        );
        let one_packet = Service::new(web()).with_one_packet(true);
        assert_eq!(
            refusal(one_packet, None),
            "TCP 192.0.2.80:80: one-packet scheduling is for UDP and firewall marks"
        );
        let other_family = Destination::new("[2001:db8::1]:80".parse().unwrap());
        assert_eq!(
            refusal(Service::new(web()), Some(other_family)),
            "TCP 192.0.2.80:80: [2001:db8::1]:80 is of the other address family, which only a tunnel reaches"
        );
        let checksum = TunnelChecksum::Remote;
        let gre = server(1).with_forwarding(Forwarding::Tunnel(Tunnel::Gre { checksum }));
        assert_eq!(
            refusal(Service::new(web()), Some(gre)),
            "TCP 192.0.2.80:80: 10.0.0.1:80: GRE has no remote checksum, only none and plain"
        );
    }
}
