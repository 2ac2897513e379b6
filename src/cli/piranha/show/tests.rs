use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::cli::piranha::table::Screen;
use crate::control::revisions::{Applied, Archive, Origin, Pending, Revisions, Standing};
use crate::control::status::{
    Balancing, DataPlane, HeartbeatPath, Heartbeats, Partner, Process, QuorumStatus, Reading,
    Replication, Revision, ServerStatus, ServiceStatus, Status, Traffic,
};
use crate::control::{Age, Override, Timestamp, Word};
use crate::failover::{Cause, Role, State, VirtualAddress};
use crate::health::Health;
use crate::ipvs::{Counters, Load, Rates, ServiceKey};
use crate::net::Weight;

const NOW: Timestamp = Timestamp(1_795_372_245_250);

fn age(seconds: u64) -> Age {
    Age(Duration::from_secs(seconds))
}

fn process() -> Process {
    Process::new(4711, Duration::from_secs(90_000))
}

fn pulse() -> Heartbeats {
    let mut half = Heartbeats::new(process(), Role::Primary, State::Active);
    (half.since, half.cause) = (age(90_000), Some(Cause::Acquired));
    half.dead_time = age(5);
    half.partner = Some(Partner::new(State::Standby, age(1), Some(true)));
    let path = |local: &str, partner: &str, heard| {
        HeartbeatPath::new(local.parse().unwrap(), partner.parse().unwrap(), heard)
    };
    half.paths = vec![
        path("192.0.2.11:539", "192.0.2.12:539", Some(age(1))),
        path("[fd00::11]:539", "[fd00::12]:539", None),
    ];
    half.addresses = vec![
        VirtualAddress::new("192.0.2.80".parse().unwrap(), "eth0:1"),
        VirtualAddress::new("2001:db8::80".parse().unwrap(), "eth0"),
    ];
    half
}

fn traffic(active: u32) -> Option<Traffic> {
    let load = Load { active, inactive: 3 * active, persistent: 0 };
    let mut counters = Counters::default();
    (counters.bytes_in, counters.bytes_out) = (12_345_678, 9_876_543_210);
    let rates = Rates { connections: 17, ..Rates::default() };
    Some(Traffic::new(load, counters, Some(rates)))
}

fn server(name: &str, address: &str, state: ServerState) -> ServerStatus {
    let mut server = ServerStatus::new(name, address.parse().unwrap());
    server.state = state;
    server.health = Health::Up;
    server.weight = Some(Weight::ONE);
    server.since = age(4000);
    server.traffic = traffic(120);
    server
}

fn web() -> ServiceStatus {
    let key = ServiceKey::tcp("192.0.2.80:80".parse().unwrap());
    let mut web = ServiceStatus::new("web", key, "wlc");
    web.state = ServiceState::Degraded;
    web.traffic = traffic(360);
    let mut down = server("web2", "10.0.0.2:80", ServerState::Down);
    (down.weight, down.traffic, down.health) = (None, None, Health::Down);
    down.reason = Some("no answer to connecting within 3 s: the network may drop it".to_owned());
    let mut draining = server("web3", "10.0.0.3:80", ServerState::Draining);
    draining.weight = Some(Weight::ZERO);
    draining.traffic = traffic(2);
    draining.operator = Some(said());
    let servers = vec![server("web1", "10.0.0.1:80", ServerState::Up), down, draining];
    servers.iter().for_each(|server| web.counts.add(server.state));
    web.servers = Some(servers);
    web
}

fn said() -> Override {
    let since = Timestamp(NOW.0 - 600_000);
    let mut said = Override::new("web", "web3", Word::Drain { deadline: None }, "ann", since);
    said.reason = Some("new disk".to_owned());
    said.until = Some(NOW.after(Duration::from_secs(3000)));
    said
}

fn dns() -> ServiceStatus {
    let key = ServiceKey::udp("[2001:db8::80]:53".parse().unwrap());
    let mut dns = ServiceStatus::new("dns", key, "rr");
    dns.state = ServiceState::Sorry;
    dns.quorum = Some(QuorumStatus::new(false, 1, 2));
    dns.sorry_servers = vec!["[2001:db8::99]:53".parse().unwrap()];
    dns.servers = Some(vec![server("ns1", "[fd00::53]:53", ServerState::Up)]);
    dns.counts.add(ServerState::Up);
    dns
}

fn lvs() -> Balancing {
    let path = PathBuf::from("/etc/sysconfig/ha/lvs.cf");
    let revision = Revision::new(path, "e9791b5eed350131".to_owned(), age(7300));
    let mut half = Balancing::new(process(), DataPlane::new("kernel", None), revision);
    half.services = vec![web(), dns()];
    half.overrides = vec![said()];
    half.replication = Some(Replication::new(true, age(1), None));
    half
}

fn known() -> Status {
    Status::new("lb1".to_owned(), NOW, Reading::Known(pulse()), Reading::Known(lvs()))
}

fn nobody() -> Status {
    let reason = "cannot reach /run/piranha/pulse.sock: there is no such socket".to_owned();
    let pulse = Reading::Unknown { reason: reason.clone() };
    Status::new("lb1".to_owned(), NOW, pulse, Reading::Unknown { reason })
}

fn screen(width: usize) -> Screen {
    Screen { width, colored: false }
}

/// What `shown` looks like on both screens; no line of it may be too long.
fn golden(name: &str, shown: impl Fn(Screen) -> String) {
    for width in [80, 120] {
        let text = shown(screen(width));
        for line in text.lines() {
            assert!(line.chars().count() <= width, "{line}");
        }
        insta::assert_snapshot!(format!("{name}_{width}"), text);
    }
}

#[test]
fn a_status_fits_the_screen() {
    golden("status", |screen| status(&known(), screen, false));
    golden("wide", |screen| status(&known(), screen, true));
    golden("brief", |screen| brief(&known(), screen));
    golden("nobody", |screen| status(&nobody(), screen, false));
}

#[test]
fn lists_fit_the_screen() {
    golden("services", |screen| service_list(&lvs(), screen));
    golden("servers", |screen| server_list(&lvs(), screen));
    golden("overrides", |screen| override_list(&[said()], NOW, screen));
    golden("readiness", |screen| readiness(&known(), screen));
}

fn revisions() -> Revisions {
    let mut archive = Archive::default();
    let mut add = |minutes: u64, hash: &str, author, origin, reason| {
        let at = Timestamp(NOW.0 - minutes * 60_000);
        archive.record((hash, 4000), at, author, origin, reason);
    };
    add(9000, "e9791b5eed350131", "unknown", Origin::Found, None);
    add(70, "60d21f0ac8ee0c21", "ann", Origin::Applied, Some("two more servers for the sale"));
    add(9, "0a3f77b1925cde44", "bob via gui", Origin::Edited, None);
    add(1, "60d21f0ac8ee0c21", "ann", Origin::Restored(2), Some("the new address is wrong"));
    let mut standing = Standing::default();
    (standing.revision, standing.edited) = (Some(4), true);
    let since = Timestamp(NOW.0 - 18_000);
    standing.pending = Some(Pending::new((3, 4), "ann".to_owned(), since, age(60).0));
    standing.left = Some(age(42));
    Revisions::new(archive.iter().cloned().collect(), None, standing)
}

#[test]
fn revisions_fit_the_screen() {
    golden("revisions", |screen| revision_list(&revisions(), screen));
    let mut done = Applied::new(Some(4), 3);
    done.pending = revisions().standing.pending;
    done.restart = vec![
        "heartbeat_port 539 to 540; connections kept, needs a restart of pulse on both nodes"
            .to_owned(),
    ];
    golden("applied", |screen| applied(&done, screen));
}

#[test]
fn a_monitoring_plugin_gets_one_line_and_the_code_of_the_worst_reason() {
    let (line, code) = nagios(&known());
    assert_eq!(code, 1);
    assert_eq!(line.lines().count(), 1);
    assert!(line.starts_with("PIRANHA WARNING - lb1 primary ACTIVE"), "{line}");
    assert!(line.ends_with("| servers_up=2;;;0;4 services=2\n"), "{line}");
    assert_eq!(nagios(&nobody()).1, 2);
    let mut fine = pulse();
    (fine.authenticated, fine.paths[1].age) = (true, Some(age(1)));
    let (pulse, mut services) = (Reading::Known(fine), lvs());
    services.services.clear();
    let status = Status::new("lb1".to_owned(), NOW, pulse, Reading::Known(services));
    assert_eq!(nagios(&status).1, 0);
}

#[test]
fn without_colours_no_escape_is_printed_and_with_them_words_stay() {
    let plain = status(&known(), screen(80), true);
    assert!(!plain.contains('\x1b'));
    let colored = status(&known(), Screen { width: 80, colored: true }, true);
    assert!(colored.contains("\x1b[31mdown"));
    let mut bare = colored;
    for code in ["\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
        bare = bare.replace(code, "");
    }
    assert_eq!(bare, plain);
}
