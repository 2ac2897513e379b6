//! One service and one destination of each kind there is.

use std::num::NonZeroU16;
use std::time::Duration;

use piranha::ipvs::{
    Destination, Forwarding, Persistence, SchedulerFlags, Service, ServiceKey, Table, Thresholds,
    Tunnel, TunnelChecksum,
};
use piranha::net::{Family, FirewallMark, Weight};

use crate::lab::{address, server, table, tcp};

fn persistence(secs: u64) -> Persistence {
    Persistence::new(Duration::from_secs(secs)).unwrap()
}

fn mark(number: u32, family: Family) -> ServiceKey {
    ServiceKey::mark(FirewallMark::new(number).unwrap(), family)
}

pub(crate) fn services() -> Vec<Service> {
    let flags = SchedulerFlags::FLAG_1 | SchedulerFlags::FLAG_2;
    let sh = "sh".parse().unwrap();
    let sip = persistence(60).with_engine("sip".parse().unwrap());
    vec![
        Service::new(tcp("192.0.2.1:80")),
        Service::new(tcp("192.0.2.1:21")).with_persistence(persistence(300)),
        Service::new(tcp("[2001:db8::1]:80"))
            .with_scheduler("rr".parse().unwrap())
            .with_persistence(persistence(360).with_prefix(64).unwrap()),
        Service::new(tcp("192.0.2.2:0"))
            .with_persistence(persistence(2_678_400).with_prefix(24).unwrap()),
        Service::new(ServiceKey::udp(address("192.0.2.1:53")))
            .with_scheduler(sh)
            .with_scheduler_flags(flags)
            .with_one_packet(true),
        Service::new(ServiceKey::udp(address("192.0.2.1:5060"))).with_persistence(sip),
        Service::new(ServiceKey::sctp(address("192.0.2.1:9"))),
        Service::new(mark(7, Family::Ipv4)).with_one_packet(true),
        Service::new(mark(u32::MAX, Family::Ipv6))
            .with_scheduler("mh".parse().unwrap())
            .with_scheduler_flags(flags),
    ]
}

/// For an IPv4 service.
pub(crate) fn destinations() -> Vec<Destination> {
    let port = NonZeroU16::new(6080).unwrap();
    let gue = |checksum| Forwarding::Tunnel(Tunnel::Gue { port, checksum });
    let gre = |checksum| Forwarding::Tunnel(Tunnel::Gre { checksum });
    use TunnelChecksum as Sum;
    vec![
        server("10.0.0.1:8080"),
        server("10.0.0.2:80").with_forwarding(Forwarding::Direct).with_weight(Weight::ZERO),
        server("10.0.0.3:80").with_forwarding(Forwarding::TUNNEL).with_weight(Weight::MAX),
        server("10.0.0.4:80").with_forwarding(gue(Sum::None)),
        server("10.0.0.5:80").with_forwarding(gue(Sum::Plain)),
        server("10.0.0.6:80").with_forwarding(gue(Sum::Remote)),
        server("10.0.0.7:80").with_forwarding(gre(Sum::None)),
        server("10.0.0.8:80").with_forwarding(gre(Sum::Plain)),
        server("10.0.0.9:80").with_thresholds(Thresholds::new(100, 70).unwrap()),
        server("10.0.0.10:80").with_thresholds(Thresholds::new(0x7fff_ffff, 0).unwrap()),
        server("127.0.0.1:80").with_forwarding(Forwarding::Local),
        server("127.0.0.2:80"),
        server("[2001:db8::3]:80").with_forwarding(Forwarding::TUNNEL),
    ]
}

/// All of them in one table, as far as ipvsadm can say them as well.
pub(crate) fn everything() -> Table {
    let mut entries: Vec<_> = services().into_iter().map(|service| (service, vec![])).collect();
    entries[0].1 = destinations();
    entries[2].1 = vec![
        server("[2001:db8:1::1]:8080"),
        server("[2001:db8:1::2]:80").with_forwarding(Forwarding::Direct),
        server("10.0.0.1:80").with_forwarding(Forwarding::TUNNEL),
    ];
    table(&entries)
}
