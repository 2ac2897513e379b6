//! Addresses with an Ethernet address that moves with them, on two real `pulse` processes.

use crate::daemon::{signal, until};
use crate::pair::{Pair, guard_of};
use crate::wire::{Station, VIP4, VIP6, sh};

const TIMERS: &str = "keepalive = 100ms\ndeadtime = 500ms\nvirtual_mac = 1\n";

/// The devices that were made on this station, with their Ethernet addresses.
fn devices(station: &Station) -> Vec<(String, String)> {
    let links = station.ip("-br link show type macvlan");
    let device = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.split('@').next()?.to_owned();
        Some((name, words.nth(1)?.to_owned()))
    };
    links.lines().filter_map(device).collect()
}

fn sysctl(station: &Station, name: &str) -> String {
    let path = format!("/proc/sys/net/ipv4/conf/eth0/{name}");
    station.inside(|| sh(&format!("cat {path}"))).trim().to_owned()
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_takeover_keeps_the_mac_address_and_a_client_that_never_learns_is_served_on() {
    let pair = Pair::with(TIMERS);
    let (mut primary, mut backup) = pair.started();
    let [first, second] = [1, 2].map(|number| pair.wire.station(number));
    let made = devices(&first);
    let [(_, mac)] = &made[..] else { panic!("one device for both families: {made:?}") };
    assert!(mac.starts_with("02:50:"), "{mac}");
    assert!(devices(&second).is_empty(), "none on the standby");
    assert_eq!(
        (sysctl(&first, "arp_ignore"), sysctl(&first, "arp_announce")),
        ("1".into(), "2".into())
    );
    for vip in [VIP4, VIP6] {
        assert!(
            pair.client.neighbour(vip).contains(mac.as_str()),
            "{}",
            pair.client.neighbour(vip)
        );
        // From here on no announcement changes what the client believes.
        pair.client.ip(&format!("neigh replace {vip} lladdr {mac} nud permanent dev eth0"));
    }
    primary.signal("USR1");
    backup.expect("active, was acquiring");
    until("the service answers", || pair.client.answers());
    assert_eq!(devices(&second).iter().map(|(_, mac)| mac).collect::<Vec<_>>(), [mac]);
    primary.expect("standby");
    assert!(devices(&first).is_empty() && pair.is_free_of(1));
    assert_eq!(
        (sysctl(&first, "arp_ignore"), sysctl(&first, "arp_announce")),
        ("0".into(), "0".into())
    );
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn the_device_goes_with_a_killed_pulse_and_one_that_is_left_over_at_the_next_start() {
    let pair = Pair::with(TIMERS);
    let (primary, mut backup) = pair.started();
    let first = pair.wire.station(1);
    primary.signal("KILL");
    until("the guard has removed it", || devices(&first).is_empty());
    backup.expect("active, was acquiring");
    until("the service answers", || pair.client.answers());
    let second = pair.wire.station(2);
    signal(guard_of(backup.pid()), "KILL");
    backup.signal("KILL");
    until("the kernel has dropped its addresses", || pair.is_free_of(2));
    assert_eq!(devices(&second).len(), 1, "nobody was left to remove it");
    drop(backup);
    let _again = pair.start(2);
    until("it is gone", || devices(&second).is_empty());
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn a_device_that_somebody_removes_is_back_with_its_addresses() {
    let pair = Pair::with(TIMERS);
    let (mut primary, _backup) = pair.started();
    let first = pair.wire.station(1);
    let [(name, mac)] = &devices(&first)[..] else { panic!("one device") };
    first.ip(&format!("link del {name}"));
    primary.expect("somebody removed");
    primary.expect("somebody removed");
    until("it is back", || pair.is_held_by(1));
    let back = devices(&first);
    assert_eq!(back.iter().map(|(_, mac)| mac).collect::<Vec<_>>(), [mac]);
    until("the service answers", || pair.client.answers());
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn with_vrrp_each_family_has_the_address_of_the_rfc_and_a_reload_moves_to_it_and_back() {
    let vrrp = "keepalive = 100ms\nheartbeat_protocol = vrrp3\nvrrp_id = 51\nvrrp_unicast = 1\n\
                heartbeat_path = fd77::1 fd77::2\n";
    let pair = Pair::with(vrrp);
    let (mut primary, _backup) = pair.started();
    let first = pair.wire.station(1);
    assert!(devices(&first).is_empty());
    let path = pair.files.path("1");
    let plain = std::fs::read_to_string(&path).expect("it was written");
    pair.files.write("1", &format!("virtual_mac = 1\n{plain}"));
    primary.signal("HUP");
    primary.expect("configuration reloaded");
    until("both are made", || devices(&first).len() == 2 && pair.is_held_by(1));
    let macs: Vec<_> = devices(&first).into_iter().map(|(_, mac)| mac).collect();
    assert!(macs.iter().any(|mac| mac == "00:00:5e:00:01:33"), "{macs:?}");
    assert!(macs.iter().any(|mac| mac == "00:00:5e:00:02:33"), "{macs:?}");
    until("the service answers", || pair.client.answers());
    pair.files.write("1", &plain);
    primary.signal("HUP");
    primary.expect("configuration reloaded");
    until("they are gone", || devices(&first).is_empty() && pair.is_held_by(1));
    until("the service answers", || pair.client.answers());
}
