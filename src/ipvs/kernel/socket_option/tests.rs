use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use proptest::prelude::*;

use super::super::{Daemon, DaemonRole, Timeouts};
use super::*;
use crate::ipvs::{
    Destination, Forwarding, Persistence, SchedulerFlags, Service, Thresholds, Tunnel,
    TunnelChecksum,
};
use crate::net::{FirewallMark, Weight};

fn web() -> ServiceKey {
    ServiceKey::tcp("127.0.0.100:80".parse().unwrap())
}

fn server(address: &str) -> Destination {
    Destination::new(address.parse().unwrap())
}

/// What Linux 6.1 (x86-64) wrote, in a table of four services after three connections to one.
fn recorded(name: &str) -> Vec<u8> {
    let lines = include_str!("linux-6.1").lines();
    let hex = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).next().unwrap();
    let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}

/// The answer to `request` when the kernel writes `bytes`.
fn answer(request: &Request, bytes: &[u8]) -> Vec<Reply> {
    let call = OptionCall { value: bytes.to_vec(), ..OptionCall::new(request).unwrap() };
    match call.finish(Ok(bytes.len())) {
        OptionOutcome::Done { result, inexpressible: 0 } => result.unwrap(),
        other @ (OptionOutcome::Again(_) | OptionOutcome::Done { .. }) => panic!("{other:?}"),
    }
}

fn error(request: &Request, number: i32) -> Reason {
    match OptionCall::new(request).unwrap().finish(Err(number)) {
        OptionOutcome::Done { result, .. } => result.unwrap_err().reason().clone(),
        other @ OptionOutcome::Again(_) => panic!("{other:?}"),
    }
}

fn persistent() -> Service {
    let minute = Persistence::new(Duration::from_secs(60)).unwrap().with_prefix(24).unwrap();
    Service::new(web()).with_scheduler("rr".parse().unwrap()).with_persistence(minute)
}

#[test]
#[cfg(all(target_endian = "little", target_pointer_width = "64"))]
fn a_recorded_listing_of_services_is_read_with_its_counters() {
    let listed = answer(&Request::ListServices, &recorded("services"));
    let services: Vec<_> = listed
        .iter()
        .map(|reply| match reply {
            Reply::Service(status) if status.exact => status,
            other => panic!("{other:?}"),
        })
        .collect();
    let flags = SchedulerFlags::FLAG_1 | SchedulerFlags::FLAG_2;
    let mark = ServiceKey::mark(FirewallMark::new(9).unwrap(), Family::Ipv4);
    let expected = [
        Service::new(ServiceKey::udp("192.0.2.1:53".parse().unwrap()))
            .with_scheduler("sh".parse().unwrap())
            .with_scheduler_flags(flags)
            .with_one_packet(true),
        persistent(),
        Service::new(ServiceKey::sctp("192.0.2.1:9".parse().unwrap()))
            .with_scheduler("mh".parse().unwrap()),
        Service::new(mark),
    ];
    assert!(services.iter().map(|status| &status.service).eq(&expected));

    let busy = services[1];
    let counters = busy.counters;
    assert_eq!((counters.connections, counters.packets_in, counters.packets_out), (3, 10, 7));
    assert_eq!((counters.bytes_in, counters.bytes_out), (0x220, 0x193));
    assert_eq!((busy.rates.packets_in, busy.rates.bytes_in, busy.rates.bytes_out), (1, 51, 38));

    let one = answer(&Request::GetService(web()), &recorded("service"));
    assert_eq!(one, [Reply::Service(busy.clone())]);
}

#[test]
#[cfg(all(target_endian = "little", target_pointer_width = "64"))]
fn a_recorded_listing_of_destinations_is_read_with_its_load() {
    let listed = answer(&Request::ListDestinations(web()), &recorded("destinations"));
    let [Reply::Destination(new), Reply::Destination(old)] = &listed[..] else {
        panic!("{listed:?}");
    };
    let tunnelled = server("10.0.0.3:80").with_forwarding(Forwarding::TUNNEL);
    assert_eq!(new.destination, tunnelled.with_weight(Weight::ZERO));
    let limited = server("127.0.0.1:8080").with_thresholds(Thresholds::new(100, 70).unwrap());
    assert_eq!(old.destination, limited.with_weight(Weight::new(3).unwrap()));
    assert_eq!((old.load.active, old.load.inactive, old.load.persistent), (2, 1, 1));
    assert_eq!((old.counters.connections, old.counters.bytes_out), (3, 0x193));
}

#[test]
#[cfg(target_endian = "little")]
fn recorded_settings_are_read() {
    let secs = Duration::from_secs;
    let daemon = Daemon::new(DaemonRole::Backup, "lo").unwrap().with_sync_id(255);
    let daemons = answer(&Request::ListDaemons, &recorded("daemons"));
    assert_eq!(daemons, [Reply::Daemon(daemon)]);
    let timeouts = Timeouts::new(secs(900), secs(120), secs(300));
    let read = answer(&Request::GetTimeouts, &recorded("timeouts"));
    assert_eq!(read, [Reply::Timeouts(timeouts)]);
    let info = answer(&Request::GetInfo, &recorded("info"));
    assert!(matches!(info[..], [Reply::Info(i)] if i.version_parts() == [1, 2, 1]));
}

#[test]
#[cfg(target_endian = "little")]
fn a_service_is_written_as_the_kernel_writes_it() {
    let request = Request::AddService(persistent());
    let call = OptionCall::new(&request).unwrap();
    let mut expected = recorded("service");
    expected.truncate(44);
    // All but the kernel's own mark for what stands in its table.
    expected[32] &= !2;
    assert_eq!((call.name(), call.is_get(), call.value()), (1152 + 2, false, &expected[..]));
}

#[test]
fn reads_and_changes_share_numbers_and_are_told_apart() {
    let (list, edit) = (Request::ListDestinations(web()), Request::RemoveService(web()));
    let (list, edit) = (OptionCall::new(&list).unwrap(), OptionCall::new(&edit).unwrap());
    assert_eq!((list.name(), list.is_get()), (1156, true));
    assert_eq!((edit.name(), edit.is_get(), edit.value().len()), (1156, false, 44));
}

#[test]
fn a_listing_without_a_free_place_is_read_anew_with_more_room() {
    let request = Request::ListDestinations(web());
    let mut call = OptionCall::new(&request).unwrap();
    let mut rooms = vec![call.value().len()];
    let given_up = loop {
        let length = call.value().len();
        call.value_mut()[24..].fill(1);
        match call.finish(Ok(length)) {
            OptionOutcome::Again(next) => call = next,
            OptionOutcome::Done { result, .. } => break result.unwrap_err(),
        }
        rooms.push(call.value().len());
    };
    assert_eq!(rooms[..2], [24 + 64 * 96, 24 + 256 * 96]);
    assert_eq!(*given_up.reason(), Reason::AnswerCut);
    assert_eq!(*rooms.last().unwrap(), 24 + (1 << 20) * 96);
}

#[test]
fn error_numbers_mean_what_they_mean_over_netlink() {
    let (add, list) = (Request::AddService(persistent()), Request::ListDestinations(web()));
    assert_eq!(error(&add, errno::EEXIST), Reason::Exists);
    assert_eq!(error(&add, errno::EPERM), Reason::NotPrivileged);
    assert_eq!(error(&add, errno::ENOPROTOOPT), Reason::NoIpvs);
    assert_eq!(error(&Request::RemoveService(web()), errno::ESRCH), Reason::NoService);
    assert_eq!(error(&add, errno::EINTR), Reason::Os(errno::EINTR));

    let missing = OptionCall::new(&list).unwrap().finish(Err(errno::ESRCH));
    let none =
        |outcome| matches!(outcome, OptionOutcome::Done { result: Ok(r), .. } if r.is_empty());
    assert!(none(missing));
    let stop = Request::StopDaemon(DaemonRole::Backup);
    assert!(none(OptionCall::new(&stop).unwrap().finish(Err(errno::EINTR))));
    let interrupted = OptionCall::new(&list).unwrap().finish(Err(errno::EINTR));
    assert!(matches!(interrupted, OptionOutcome::Again(_)));
}

#[test]
fn what_the_structures_have_no_field_for_is_refused_by_name() {
    let lacking = |request: Request| match OptionCall::new(&request) {
        Ok(_) => None,
        Err(error) => match error.reason() {
            Reason::NotCarried(lacking) => Some(*lacking),
            other => panic!("{other}"),
        },
    };
    let v6 = ServiceKey::tcp("[2001:db8::1]:80".parse().unwrap());
    let v6_mark = ServiceKey::mark(FirewallMark::new(9).unwrap(), Family::Ipv6);
    for key in [v6, v6_mark] {
        assert_eq!(lacking(Request::ListDestinations(key)), Some("IPv6"));
        assert_eq!(lacking(Request::Zero(Some(key))), Some("IPv6"));
    }
    let add = |destination| lacking(Request::AddDestination(web(), destination));
    assert_eq!(add(server("[2001:db8::1]:80").with_forwarding(Forwarding::TUNNEL)), Some("IPv6"));
    let checksum = TunnelChecksum::None;
    let gue = Tunnel::Gue { port: NonZeroU16::MIN, checksum };
    for tunnel in [gue, Tunnel::Gre { checksum }] {
        let tunnelled = server("10.0.0.1:80").with_forwarding(Forwarding::Tunnel(tunnel));
        assert_eq!(add(tunnelled), Some("tunnels but IP in IP"));
    }
    let minute = Persistence::new(Duration::from_secs(60)).unwrap();
    let sip = Service::new(web()).with_persistence(minute.with_engine("sip".parse().unwrap()));
    assert_eq!(lacking(Request::EditService(sip)), Some("persistence engines"));
    let daemon = Daemon::new(DaemonRole::Master, "lo").unwrap();
    assert_eq!(lacking(Request::StartDaemon(daemon.clone())), None);
    let settings = Some("settings of a sync daemon but its interface and id");
    assert_eq!(lacking(Request::StartDaemon(daemon.with_ttl(NonZeroU8::MIN))), settings);
    let every = ServiceKey::tcp("0.0.0.0:0".parse().unwrap());
    assert!(lacking(Request::Zero(Some(every))).is_some());
    assert_eq!(lacking(Request::Zero(None)), None);
}

fn any_key() -> impl Strategy<Value = ServiceKey> {
    let address = (any::<[u8; 4]>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddr::new(IpAddr::from(ip), port));
    prop_oneof![
        address.clone().prop_map(ServiceKey::tcp),
        address.clone().prop_map(ServiceKey::udp),
        address.prop_map(ServiceKey::sctp),
        (1..=u32::MAX)
            .prop_map(|mark| { ServiceKey::mark(FirewallMark::new(mark).unwrap(), Family::Ipv4) }),
    ]
}

fn any_service() -> impl Strategy<Value = Service> {
    let persistence = prop::option::of((1..=2_678_400_u64, 1..=32_u8));
    (any_key(), "[!-~]{1,15}", any::<u32>(), any::<bool>(), persistence).prop_map(
        |(key, scheduler, bits, one_packet, persistence)| {
            let service = Service::new(key)
                .with_scheduler(scheduler.parse().unwrap())
                .with_scheduler_flags(SchedulerFlags::from_bits_truncate(bits))
                .with_one_packet(one_packet);
            match persistence {
                None => service,
                Some((secs, prefix)) => service.with_persistence(
                    Persistence::new(Duration::from_secs(secs))
                        .unwrap()
                        .with_prefix(prefix)
                        .unwrap(),
                ),
            }
        },
    )
}

fn any_destination() -> impl Strategy<Value = Destination> {
    let forwarding = prop_oneof![
        Just(Forwarding::Nat),
        Just(Forwarding::Direct),
        Just(Forwarding::Local),
        Just(Forwarding::TUNNEL),
    ];
    let numbers = (0..=Weight::MAX.get(), 0..=Weight::MAX.get(), 0..=Weight::MAX.get());
    (any::<[u8; 4]>(), any::<u16>(), forwarding, numbers).prop_map(
        |(ip, port, forwarding, (weight, one, other))| {
            Destination::new(SocketAddr::new(IpAddr::from(ip), port))
                .with_forwarding(forwarding)
                .with_weight(Weight::new(weight).unwrap())
                .with_thresholds(Thresholds::new(one.max(other), one.min(other)).unwrap())
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(service in any_service(), destination in any_destination()) {
        let (key, add) = (service.key(), Request::AddService(service.clone()));
        let mut entry = OptionCall::new(&add).unwrap().value().to_vec();
        entry.resize(104, 0);
        let read = answer(&Request::GetService(key), &entry);
        prop_assert!(
            matches!(&read[..], [Reply::Service(s)] if s.exact && s.service == service), "{:?}", read
        );

        let add = Request::AddDestination(key, destination);
        let written = OptionCall::new(&add).unwrap().value().to_vec();
        let mut list = [&written[..16], &[0; 8], &written[44..]].concat();
        list.resize(24 + 2 * 96, 0);
        let read = answer(&Request::ListDestinations(key), &list);
        prop_assert!(
            matches!(&read[..], [Reply::Destination(d)] if d.exact && d.destination == destination),
            "{:?}", read
        );
    }

    #[test]
    fn no_answer_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), length in 0..500_usize) {
        for request in [
            Request::ListServices,
            Request::ListDestinations(web()),
            Request::ListDaemons,
            Request::GetService(web()),
            Request::GetTimeouts,
            Request::GetInfo,
        ] {
            let call = OptionCall { value: bytes.clone(), ..OptionCall::new(&request).unwrap() };
            let _ = call.finish(Ok(length));
        }
    }
}
