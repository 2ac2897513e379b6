//! Packet filters, routes and files, put in force as the book shows them.

use std::io::Write;
use std::net::TcpListener;
use std::thread;

use super::{block, filter, typed};
use crate::daemon::{Daemon, Files, PULSE, until};
use crate::wire::{Station, Wire, sh};

#[test]
#[ignore = "needs root: tests/run netns"]
fn the_rules_of_nftables_for_firewall_marks_mark_both_ports_of_the_vip_and_no_other() {
    let wire = Wire::new();
    let (director, client) = (wire.station(1), wire.station(3));
    director.ip("addr add 192.0.2.80/32 dev eth0");
    client.ip("route add 192.0.2.80/32 dev eth0");
    let ports = [80, 443, 8080];
    for port in ports {
        director.serve(&format!("192.0.2.80:{port}"), "up");
    }
    let refused = "table ip marked {\n    chain refuse {\n        \
                   type filter hook input priority filter\n        \
                   meta l4proto tcp meta mark 80 reject with tcp reset\n    }\n}\n";
    filter(&director, refused);
    let answered = || ports.map(|port| client.ask(&format!("192.0.2.80:{port}")).is_ok());
    until("nothing is marked yet", || answered() == [true; 3]);
    filter(&director, &block("firewall-marks.md", "table ip lvs"));
    assert_eq!(answered(), [false, false, true]);
}

/// Two directors and their clients in the networks of the chapter.
fn behind_a_filter(wire: &Wire, files: &Files) -> (Daemon, Daemon) {
    let client = wire.station(3);
    client.ip("addr add 10.0.0.3/24 dev eth0");
    client.ip("addr add 192.0.2.50/24 dev eth0");
    client.serve("10.0.0.3:8080", "up");
    let config = files.write(
        "lvs.cf",
        "primary = 10.0.0.1\nbackup = 10.0.0.2\nbackup_active = 1\nkeepalive = 100ms\ndeadtime = 500ms\n\
         dataplane = relay\nvirtual web {\n    active = 1\n    address = 192.0.2.80 eth0\n    port = 80\n    \
         check = connect\n    timeout = 200ms\n    rise = 1\n    server s {\n        address = 10.0.0.3\n        \
         port = 8080\n        active = 1\n    }\n}\n",
    );
    let directors = [1, 2].map(|number| {
        let director = wire.station(number);
        director.ip(&format!("addr add 10.0.0.{number}/24 dev eth0"));
        director.ip(&format!("addr add 192.0.2.1{number}/24 dev eth0"));
        filter(&director, &block("security.md", "table inet director"));
        director
    });
    let [mut primary, mut backup] = directors.map(|director| {
        let control = files.path(&director.name);
        let control = control.to_str().expect("a plain path").to_owned();
        let config = config.to_str().expect("a plain path");
        director.run(&[PULSE, "-n", "-c", config, "--control", &control])
    });
    primary.expect("active, was acquiring");
    backup.expect("standby, was starting");
    (primary, backup)
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn the_packet_filter_of_the_chapter_on_security_lets_a_pair_do_its_work_and_nobody_else_in() {
    let (wire, files) = (Wire::new(), Files::new());
    let (primary, mut backup) = behind_a_filter(&wire, &files);
    let client = wire.station(3);
    until("the service answers", || client.ask("192.0.2.80:80").is_ok());
    let director = wire.station(1);
    director.serve("10.0.0.1:9111", "metrics");
    director.serve("10.0.0.1:8081", "else");
    assert_eq!(client.ask("10.0.0.1:9111").ok().as_deref(), Some("metrics"));
    assert!(client.ask("10.0.0.1:8081").is_err(), "a port that the rules do not name");
    primary.signal("KILL");
    backup.expect("active, was acquiring");
    until("the service answers", || client.ask("192.0.2.80:80").is_ok());
}

/// A server behind the director's `eth1`, which tells clients what address it sees.
fn server_behind(wire: &Wire) {
    let (director, server) = (wire.station(1), wire.station(2));
    director.ip(&format!("link add eth1 type veth peer name back netns {}", server.name));
    server.ip("link set eth0 down");
    for (station, device, number) in [(&director, "eth1", 1), (&server, "back", 2)] {
        station.ip(&format!("addr add 10.78.0.{number}/24 dev {device}"));
        station.ip(&format!("addr add fd78::{number}/64 dev {device} nodad"));
        station.ip(&format!("link set {device} up"));
    }
    server.ip("route add default via 10.78.0.1");
    server.ip("-6 route add default via fd78::1");
    for address in ["10.78.0.2:9000", "[fd78::2]:9000"] {
        let listener = server.inside(|| TcpListener::bind(address).expect("a free port"));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let peer = stream.peer_addr().map(|peer| peer.ip().to_string());
                let _ = stream.write_all(peer.unwrap_or_default().as_bytes());
            }
        });
    }
}

fn transparent_relay(director: &Station, files: &Files) -> Daemon {
    let service = |name: &str, vip: &str, server: &str| {
        format!(
            "virtual {name} {{\n    active = 1\n    address = {vip} eth0\n    port = 8080\n    \
             transparent = 1\n    check = connect\n    timeout = 200ms\n    rise = 1\n    \
             server s {{\n        address = {server}\n        port = 9000\n        \
             active = 1\n    }}\n}}\n"
        )
    };
    let services =
        service("four", "10.77.0.100", "10.78.0.2") + &service("six", "fd77::100", "fd78::2");
    let head = "role = primary\nprimary = 10.77.0.1\nkeepalive = 100ms\ndeadtime = 500ms\ndataplane = relay\n";
    director.pulse(&files.write("lvs.cf", &format!("{head}{services}")))
}

fn sees_the_client(wire: &Wire) {
    let (client, files) = (wire.station(3), Files::new());
    let _pulse = transparent_relay(&wire.station(1), &files);
    for (vip, own) in [("10.77.0.100:8080", "10.77.0.3"), ("[fd77::100]:8080", "fd77::3")] {
        until("the server sees the client", || client.ask(vip).is_ok_and(|seen| seen == own));
    }
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn servers_see_the_client_through_a_relay_with_the_routes_of_its_chapter() {
    let wire = Wire::new();
    server_behind(&wire);
    typed(&wire.station(1), &block("relay.md", "ip rule add iif eth1"));
    sees_the_client(&wire);
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn servers_see_the_client_through_a_relay_that_nftables_leads_the_answers_to() {
    let wire = Wire::new();
    server_behind(&wire);
    let director = wire.station(1);
    // As the page says: the mark in the place of the device.
    typed(&director, &block("relay.md", "ip rule add iif eth1").replace("iif eth1", "fwmark 1"));
    typed(&director, &block("relay.md", "nft add table inet relay"));
    sees_the_client(&wire);
}

/// The files that a block shows, by the comment with the path that each begins with.
fn shown_files(block: &str) -> Vec<(String, String)> {
    let mut shown: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("# /"), shown.last_mut()) {
            (Some(path), _) => shown.push((path.to_owned(), String::new())),
            (None, Some((_, text))) => *text += &format!("{line}\n"),
            (None, None) => panic!("{line} is in no file"),
        }
    }
    shown
}

#[test]
#[ignore = "needs root: tests/run netns"]
fn the_files_for_real_servers_give_them_the_vip_in_silence() {
    let Some(ifup) = std::env::var_os("PIRANHA_IFUP") else {
        panic!("PIRANHA_IFUP is to name Debian's ifup: tests/run netns");
    };
    let wire = Wire::new();
    let (server, client) = (wire.station(1), wire.station(3));
    client.ip("route add 192.0.2.80/32 dev eth0");
    server.serve("0.0.0.0:80", "up");
    let files = Files::new();
    let shown = shown_files(&block("direct-routing.md", "90-real-server.conf"));
    let [(_, settings), (_, interfaces)] = &shown[..] else { panic!("two files: {shown:?}") };
    let (settings, interfaces) = (files.write("sysctl", settings), files.write("vip", interfaces));
    let (ifup, interfaces) = (ifup.display(), interfaces.display());
    let state = interfaces.to_string() + ".state";
    sh(&format!("mkdir {state}"));
    typed(&server, &format!("{ifup} --no-scripts --state-dir {state} -i {interfaces} lo:vip"));
    assert!(server.has("192.0.2.80"));
    until("without the settings it answers", || client.ask("192.0.2.80:80").is_ok());
    typed(&server, &format!("sysctl -p {}", settings.display()));
    client.ip("neigh flush all");
    assert!(client.ask("192.0.2.80:80").is_err(), "nobody answers for the VIP");
}
