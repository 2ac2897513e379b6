//! The keeping of addresses by itself, and what stands in its way.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use piranha::control::Event;
use piranha::control::supervision::{Report, Request};
use piranha::failover::{ActionId, VirtualAddress};
use piranha::runtime::addresses::{Options, keep};
use piranha::runtime::heartbeat::Link;
use tokio::sync::mpsc;

use crate::daemon::{Files, PATIENCE, PULSE, service};
use crate::wire::{Station, Wire};

/// A data plane that does whatever it is asked; the returned end is the heartbeat's.
fn kept(station: &Station) -> Link {
    observed(station, |event| eprintln!("{event}"))
}

fn observed(station: &Station, observer: impl Fn(Event) + Send + Sync + 'static) -> Link {
    let (requests, mut asked) = mpsc::unbounded_channel::<Request>();
    let (answers, reports) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while let Some(request) = asked.blocking_recv() {
            if let Some(id) = request.id() {
                let _ = answers.send(Report::Done { id, result: Ok(()) });
            }
        }
    });
    let observer = Arc::new(observer);
    let lvs = Link { requests, reports };
    station.inside(|| keep(lvs, Options::default(), observer).expect("root may"))
}

fn ask(link: &mut Link, request: Request) -> Result<(), String> {
    link.requests.send(request).expect("it runs");
    match link.reports.blocking_recv() {
        Some(Report::Done { result, .. }) => result.map_err(|error| error.to_string()),
        other => panic!("{other:?}"),
    }
}

fn many() -> Vec<VirtualAddress> {
    let four = (0..250u8).map(|n| VirtualAddress::new([10, 78, 0, n].into(), format!("eth0:{n}")));
    let six =
        (1..=250u16).map(|n| VirtualAddress::new([0xfd78, 0, 0, 0, 0, 0, 0, n].into(), "eth0"));
    four.chain(six).collect()
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn five_hundred_addresses_come_up_and_go_together() {
    let wire = Wire::new();
    let station = wire.station(1);
    let mut link = kept(&station);
    let addresses = many();
    let begun = Instant::now();
    ask(&mut link, Request::Acquire { id: ActionId(1), addresses: addresses.clone() }).unwrap();
    let up = begun.elapsed();
    assert!(addresses.iter().all(|vip| station.has(&vip.address.to_string())));
    let begun = Instant::now();
    ask(&mut link, Request::Release { id: ActionId(2), addresses }).unwrap();
    println!("500 addresses: up in {up:?}, down in {:?}", begun.elapsed());
    let left = station.ip("-o addr show dev eth0");
    assert!(!left.contains("10.78.") && !left.contains("fd78:"), "{left}");
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn an_acquisition_that_fails_leaves_nothing_behind_and_says_what_is_wrong() {
    let wire = Wire::new();
    let station = wire.station(1);
    let mut link = kept(&station);
    let good = VirtualAddress::new([10, 78, 0, 1].into(), "eth0:1");
    for (device, reason) in [
        ("eth9:1", "there is no device eth9; this machine has lo, eth0"),
        ("eth0:a-label-too-long", "label of an address out of range"),
    ] {
        let bad = VirtualAddress::new([10, 78, 0, 2].into(), device);
        let addresses = vec![good.clone(), bad];
        let error = ask(&mut link, Request::Acquire { id: ActionId(1), addresses }).unwrap_err();
        assert!(error.contains(reason), "{error}");
        assert!(!station.has("10.78.0.1"));
    }
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn the_prefix_and_label_are_those_of_the_configuration() {
    let wire = Wire::new();
    let station = wire.station(1);
    let mut link = kept(&station);
    let addresses = vec![
        VirtualAddress { prefix: 24, ..VirtualAddress::new([10, 78, 0, 1].into(), "eth0:7") },
        VirtualAddress { prefix: 64, ..VirtualAddress::new("fd78::1".parse().unwrap(), "eth0:8") },
    ];
    ask(&mut link, Request::Acquire { id: ActionId(1), addresses }).unwrap();
    let four = station.ip("-o -4 addr show");
    assert!(four.contains("10.78.0.1/24 brd 10.78.0.255 scope global dynamic eth0:7"), "{four}");
    let six = station.ip("-o -6 addr show");
    let six = six.lines().find(|line| line.contains("fd78::1/64")).expect("it is there");
    assert!(!six.contains("tentative") && six.contains("preferred_lft 0sec"), "{six}");
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn an_address_of_the_administrator_is_left_alone() {
    let wire = Wire::new();
    let station = wire.station(1);
    let mut link = kept(&station);
    let own = vec![VirtualAddress::new([10, 77, 0, 1].into(), "eth0")];
    ask(&mut link, Request::Acquire { id: ActionId(1), addresses: own.clone() }).unwrap();
    ask(&mut link, Request::Release { id: ActionId(2), addresses: own }).unwrap();
    let left = station.ip("-4 addr show dev eth0");
    assert!(left.contains("10.77.0.1/24") && left.contains("valid_lft forever"), "{left}");
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn the_end_of_the_heartbeat_takes_the_addresses_down() {
    let wire = Wire::new();
    let station = wire.station(1);
    let mut link = kept(&station);
    let addresses = many();
    ask(&mut link, Request::Acquire { id: ActionId(1), addresses }).unwrap();
    drop(link);
    let until = Instant::now() + PATIENCE;
    // Not 78 alone: the link's own address may have it.
    let is_there = |shown: &str| shown.contains("10.78.") || shown.contains("fd78:");
    while is_there(&station.ip("-o addr show")) {
        assert!(Instant::now() < until, "they are still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn another_station_with_an_address_of_ours_is_told_of_by_its_hardware_address() {
    let wire = Wire::new();
    let (station, stranger) = (wire.station(1), wire.station(2));
    for address in ["10.77.0.50/24", "fd77::50/64"] {
        stranger.ip(&format!("addr add {address} dev eth0 nodad"));
    }
    let (told, events) = std::sync::mpsc::channel();
    let mut link = observed(&station, move |event| drop(told.send(event)));
    let addresses = ["10.77.0.50", "fd77::50"];
    let addresses = addresses.map(|address| VirtualAddress::new(address.parse().unwrap(), "eth0"));
    let request = Request::Acquire { id: ActionId(1), addresses: addresses.to_vec() };
    ask(&mut link, request).unwrap();
    // Nobody is asked before the neighbours are told.
    link.requests.send(Request::Announce { addresses: addresses.to_vec() }).expect("it runs");
    let hardware = stranger.hardware();
    let mut found = Vec::new();
    while found.len() < addresses.len() {
        let event = events.recv_timeout(PATIENCE).expect("a rival is told of");
        if let Event::AddressConflict { address, hardware: theirs } = event {
            assert_eq!(theirs.to_string(), hardware);
            found.push(address);
        }
    }
    found.sort();
    assert_eq!(found, addresses);
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn without_privilege_the_log_says_what_is_missing() {
    let wire = Wire::new();
    let station = wire.station(1);
    let files = Files::new();
    let text = format!(
        "role = primary\nprimary = 10.77.0.1\nheartbeat_port = 5391\nkeepalive = 50ms\n\
         deadtime = 300ms\ndataplane = relay\n{}",
        service("web", "10.78.0.1", 8080, "127.0.0.1", 9).replace(" lo\n", " eth0:1\n")
    );
    let config = files.write("lvs.cf", &text);
    // Nobody may read the directory of the file by its name; the shell opens it beforehand.
    let command = format!(
        "exec setpriv --bounding-set=-net_admin,-net_raw --inh-caps=-all {PULSE} -n -c {}",
        config.display()
    );
    let mut pulse = station.run(&["sh", "-c", &command]);
    let line = pulse.expect("CAP_NET_ADMIN");
    assert!(line.contains("10.78.0.1 on eth0"), "{line}");
    let _ = std::io::stderr().flush();
}
