//! Bonds, VLANs and bridges: whether they can carry traffic, and what neighbours hear through them.

use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use piranha::control::supervision::{Report, Request};
use piranha::failover::guard::Spec;
use piranha::failover::{ActionId, VirtualAddress};
use piranha::runtime::addresses::{Options, keep};
use piranha::runtime::guards::{self, Watch};
use piranha::runtime::heartbeat::Link;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;

use crate::lab::{Lab, lab, sh, wait_for};
use crate::net::inside;

/// `director`: eth0 and eth1 in bond0, with bond0.7 on it, and eth2 in the bridge br0. Their other
/// ends are p0 and p1 in the bridge `wire`, and p2, in `peer`; wire.7 on that bridge is in `tagged`.
struct Cables(#[expect(dead_code, reason = "one test at a time")] Lab);

impl Cables {
    fn new() -> Self {
        let cables = Self(lab());
        sh("for name in director peer tagged; do ip netns add $name; done
            for n in 0 1 2; do
                ip link add eth$n netns director type veth peer name p$n netns peer
                ip -n peer link set p$n up
            done
            ip -n director link add bond0 type bond mode active-backup
            for n in 0 1; do ip -n director link set eth$n master bond0; done
            ip -n director link add link bond0 name bond0.7 type vlan id 7
            ip -n director link add br0 type bridge
            ip -n director link set eth2 master br0
            for link in lo eth2 br0 bond0 bond0.7; do ip -n director link set $link up; done
            ip -n peer link add wire type bridge
            for n in 0 1; do ip -n peer link set p$n master wire; done
            ip -n peer link add link wire name wire.7 type vlan id 7
            ip -n peer link set wire up
            ip -n peer link set wire.7 netns tagged
            ip -n tagged link set wire.7 up
            ip -n director addr add 10.8.0.1/24 dev bond0.7
            ip -n tagged addr add 10.8.0.2/24 dev wire.7
            ip -n tagged addr add fd08::2/64 dev wire.7 nodad");
        cables
    }

    /// Unplugs `p0`, `p1` or `p2`, or plugs it in.
    fn plug(&self, port: &str, state: &str) {
        sh(&format!("ip -n peer link set {port} {state}"));
    }
}

impl Drop for Cables {
    fn drop(&mut self) {
        let _ = crate::lab::output(
            "for n in 0 1 2; do ip -n peer link del p$n; done
             for name in director peer tagged; do ip netns del $name; done",
        );
    }
}

/// What is wrong with these links, and with the one that has 10.8.0.1.
fn watch(links: &[&str]) -> Watch {
    let mut spec = Spec::default();
    spec.links = links.iter().map(|link| (*link).to_owned()).collect();
    spec.heartbeat_links = true;
    spec.interval = Duration::from_millis(100);
    let own = vec![IpAddr::from([10, 8, 0, 1])];
    inside("director", || guards::watch(spec, own, Arc::new(|_| {})).unwrap())
}

fn wait_for_faults(watch: &mut Watch, expected: &[&str]) {
    let mut said = Vec::new();
    wait_for(&format!("faults {expected:?}"), || {
        said = watch.faults().iter().map(ToString::to_string).collect();
        said == expected
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_bond_fails_with_its_last_port_and_a_vlan_with_what_is_below_it_and_a_bridge_with_its_ports() {
    let cables = Cables::new();
    let mut watch = watch(&["bond0", "bond0.7", "br0"]);
    wait_for_faults(&mut watch, &[]);
    cables.plug("p0", "down");
    cables.plug("p2", "down");
    wait_for_faults(&mut watch, &["link br0: no carrier"]);
    cables.plug("p1", "down");
    let bond = "no port of it has a carrier";
    wait_for_faults(
        &mut watch,
        &[
            &format!("link bond0: {bond}"),
            &format!("link bond0.7: bond0 below it: {bond}"),
            "link br0: no carrier",
            &format!("link of 10.8.0.1: bond0.7: bond0 below it: {bond}"),
        ],
    );
    cables.plug("p2", "up");
    cables.plug("p0", "up");
    wait_for_faults(&mut watch, &[]);
    sh("ip -n director link del bond0");
    wait_for_faults(
        &mut watch,
        &[
            "link bond0: there is no such device",
            "link bond0.7: there is no such device",
            "link of 10.8.0.1: no interface has it",
        ],
    );
}

/// Keeps addresses in `director` with a data plane that does whatever it is asked.
fn kept() -> Link {
    let (requests, mut asked) = mpsc::unbounded_channel::<Request>();
    let (answers, reports) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while let Some(request) = asked.blocking_recv() {
            if let Some(id) = request.id() {
                let _ = answers.send(Report::Done { id, result: Ok(()) });
            }
        }
    });
    let lvs = Link { requests, reports };
    inside("director", || keep(lvs, Options::default(), Arc::new(|_| {})).unwrap())
}

/// Every frame that comes in there.
fn ears(namespace: &str) -> Socket {
    let all = Protocol::from(i32::from(3u16.to_be()));
    let socket = inside(namespace, || Socket::new(Domain::PACKET, Type::RAW, Some(all)).unwrap());
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Passes over what was heard until now.
fn forget(ears: &mut Socket) {
    while ears.read(&mut [0; 2048]).is_ok() {}
}

/// Waits until `address` was announced in each form there is.
fn hear(ears: &mut Socket, address: IpAddr) {
    let (mut wanted, octets) = match address {
        IpAddr::V4(address) => (vec!["request", "reply"], address.octets().to_vec()),
        IpAddr::V6(address) => (vec!["advertisement"], address.octets().to_vec()),
    };
    let mut frame = [0; 2048];
    wait_for(&format!("{wanted:?} for {address}"), || {
        while let Ok(length) = ears.read(&mut frame) {
            let form = form(&frame[..length], &octets);
            wanted.retain(|wanted| Some(*wanted) != form);
        }
        wanted.is_empty()
    });
}

/// Which announcement of `address` this is.
fn form(frame: &[u8], address: &[u8]) -> Option<&'static str> {
    match (frame.get(12..14)?, address.len()) {
        ([8, 6], 4) if frame.get(28..32)? == address && frame.get(38..42)? == address => {
            Some(if frame[21] == 1 { "request" } else { "reply" })
        }
        ([0x86, 0xdd], 16) if frame.get(54)? == &136 && frame.get(62..78)? == address => {
            Some("advertisement")
        }
        _ => None,
    }
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn addresses_on_a_vlan_and_a_bond_are_announced_through_them_and_again_after_the_cable_moved() {
    let cables = Cables::new();
    let mut link = kept();
    let vips = [("10.8.0.100", "bond0.7:1"), ("fd08::100", "bond0.7"), ("10.9.0.100", "bond0")];
    let vips = vips.map(|(address, link)| VirtualAddress::new(address.parse().unwrap(), link));
    let (mut tagged, mut plain) = (ears("tagged"), ears("peer"));
    let id = ActionId(1);
    link.requests.send(Request::Acquire { id, addresses: vips.to_vec() }).unwrap();
    let acquired = link.reports.blocking_recv();
    assert!(matches!(acquired, Some(Report::Done { result: Ok(()), .. })), "{acquired:?}");
    link.requests.send(Request::Announce { addresses: vips.to_vec() }).unwrap();
    let hear_all = |tagged: &mut Socket, plain: &mut Socket| {
        hear(tagged, vips[0].address);
        hear(tagged, vips[1].address);
        hear(plain, vips[2].address);
    };
    hear_all(&mut tagged, &mut plain);
    // The first burst is over, and the next is long to come.
    std::thread::sleep(Duration::from_secs(1));
    forget(&mut tagged);
    forget(&mut plain);
    for port in ["p0", "p1"] {
        cables.plug(port, "down");
    }
    for port in ["p0", "p1"] {
        cables.plug(port, "up");
    }
    hear_all(&mut tagged, &mut plain);
}
