//! Packets through what the library set up.

use std::time::Duration;

use piranha::ipvs::kernel::Origin;
use piranha::ipvs::{Forwarding, Persistence, Service, ServiceKey};
use piranha::net::{Family, FirewallMark};
use piranha::runtime::kernel::{Client, Namespace};

use crate::lab::{address, lab, modprobe, server, sh, tcp, wait_for};
use crate::net::{
    DIRECTOR, Flow, Net, ask_sctp, ask_tcp, ask_tcp_from, ask_udp, ip_in, is_shared, open,
    serve_sctp, serve_tcp, serve_udp,
};

fn rr(key: ServiceKey) -> Service {
    Service::new(key).with_scheduler("rr".parse().unwrap())
}

/// Sets a round-robin service up in the director.
pub(crate) fn balance(key: ServiceKey, servers: [&str; 2], forwarding: Forwarding) -> Client {
    let mut client = Client::in_namespace(DIRECTOR).unwrap();
    client.add_service(rr(key)).unwrap();
    for one in servers {
        client.add_destination(key, server(one).with_forwarding(forwarding)).unwrap();
    }
    client
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn nat_carries_tcp_over_ipv4_and_counts_it() {
    let _lab = lab();
    let _net = Net::routed();
    serve_tcp("one", address("10.2.1.2:8080"));
    serve_tcp("two", address("10.2.2.2:8080"));
    let key = tcp("10.1.0.100:80");
    let mut client = balance(key, ["10.2.1.2:8080", "10.2.2.2:8080"], Forwarding::Nat);
    is_shared(ask_tcp, "10.1.0.100:80");
    // The estimator looks every two seconds.
    wait_for("the count", || client.service(key).unwrap().counters.connections == 6);
    let status = client.service(key).unwrap();
    assert!(status.counters.packets_in > 6 * 3 && status.counters.bytes_out > 0, "{status:?}");
    let loads: Vec<_> = client.destinations(key).unwrap();
    assert_eq!(loads.iter().map(|d| d.counters.connections).sum::<u64>(), 6);
    client.zero(Some(key)).unwrap();
    assert_eq!(client.service(key).unwrap().counters.connections, 0);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn nat_carries_tcp_over_ipv6() {
    let _lab = lab();
    let _net = Net::routed();
    serve_tcp("one", address("[fd02:1::2]:8080"));
    serve_tcp("two", address("[fd02:2::2]:8080"));
    let servers = ["[fd02:1::2]:8080", "[fd02:2::2]:8080"];
    balance(tcp("[fd01::100]:80"), servers, Forwarding::Nat);
    is_shared(ask_tcp, "[fd01::100]:80");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn nat_carries_udp_over_both_families() {
    let _lab = lab();
    let _net = Net::routed();
    for (vip, one, two) in [
        ("10.1.0.100:53", "10.2.1.2:5353", "10.2.2.2:5353"),
        ("[fd01::100]:53", "[fd02:1::2]:5353", "[fd02:2::2]:5353"),
    ] {
        serve_udp("one", address(one));
        serve_udp("two", address(two));
        balance(ServiceKey::udp(address(vip)), [one, two], Forwarding::Nat);
        is_shared(ask_udp, vip);
    }
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn direct_routing_carries_tcp_and_the_answer_goes_past_the_director() {
    let _lab = lab();
    let _net = Net::bridged();
    for (name, one) in [("one", "10.3.0.100:80"), ("two", "10.3.0.100:80")] {
        serve_tcp(name, address(one));
    }
    let key = tcp("10.3.0.100:80");
    let mut client = balance(key, ["10.3.0.11:80", "10.3.0.12:80"], Forwarding::Direct);
    is_shared(ask_tcp, "10.3.0.100:80");
    wait_for("the count", || client.service(key).unwrap().counters.connections == 6);
    assert_eq!(client.service(key).unwrap().counters.packets_out, 0);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn direct_routing_carries_tcp_over_ipv6() {
    let _lab = lab();
    let _net = Net::bridged();
    for name in ["one", "two"] {
        serve_tcp(name, address("[fd03::100]:80"));
    }
    let key = tcp("[fd03::100]:80");
    let mut client = balance(key, ["[fd03::11]:80", "[fd03::12]:80"], Forwarding::Direct);
    is_shared(ask_tcp, "[fd03::100]:80");
    wait_for("the count", || client.service(key).unwrap().counters.connections == 6);
    assert_eq!(client.service(key).unwrap().counters.packets_out, 0);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn direct_routing_carries_udp_over_both_families() {
    let _lab = lab();
    let _net = Net::bridged();
    for (vip, servers) in [
        ("10.3.0.100:53", ["10.3.0.11:53", "10.3.0.12:53"]),
        ("[fd03::100]:53", ["[fd03::11]:53", "[fd03::12]:53"]),
    ] {
        for name in ["one", "two"] {
            serve_udp(name, address(vip));
        }
        balance(ServiceKey::udp(address(vip)), servers, Forwarding::Direct);
        is_shared(ask_udp, vip);
    }
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn nat_carries_sctp() {
    let _lab = lab();
    let _net = Net::routed();
    modprobe("sctp");
    serve_sctp("one", address("10.2.1.2:9090"));
    serve_sctp("two", address("10.2.2.2:9090"));
    let key = ServiceKey::sctp(address("10.1.0.100:9"));
    let mut client = balance(key, ["10.2.1.2:9090", "10.2.2.2:9090"], Forwarding::Nat);
    is_shared(ask_sctp, "10.1.0.100:9");
    wait_for("the count", || client.service(key).unwrap().counters.connections == 6);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn one_packet_scheduling_gives_each_datagram_of_a_flow_another_server() {
    let _lab = lab();
    let _net = Net::bridged();
    let vip = address("10.3.0.100:53");
    for name in ["one", "two"] {
        serve_udp(name, vip);
    }
    let key = ServiceKey::udp(vip);
    let mut client = balance(key, ["10.3.0.11:53", "10.3.0.12:53"], Forwarding::Direct);
    let flow = Flow::new(vip);
    let first = flow.ask();
    assert!((0..4).all(|_| flow.ask() == first), "a flow keeps its server");

    client.edit_service(rr(key).with_one_packet(true)).unwrap();
    // Another flow: the connection of the first is still there.
    let flow = Flow::new(vip);
    let mut answers: Vec<_> = (0..6).map(|_| flow.ask()).collect();
    answers.sort_unstable();
    assert_eq!(answers, ["one", "one", "one", "two", "two", "two"]);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn persistence_with_a_prefix_takes_neighbours_for_one_client() {
    let _lab = lab();
    let _net = Net::routed();
    let minute = Persistence::new(Duration::from_secs(60)).unwrap();
    for (vip, servers, prefix, near, far) in [
        (
            "10.1.0.100:80",
            ["10.2.1.2:8080", "10.2.2.2:8080"],
            28,
            ["10.1.0.17", "10.1.0.18", "10.1.0.30"],
            "10.1.0.33",
        ),
        (
            "[fd01::100]:80",
            ["[fd02:1::2]:8080", "[fd02:2::2]:8080"],
            120,
            ["fd01::a:1", "fd01::a:2", "fd01::a:ff"],
            "fd01::b:1",
        ),
    ] {
        for (name, one) in ["one", "two"].into_iter().zip(servers) {
            serve_tcp(name, address(one));
        }
        let sources = near.iter().chain([&far]);
        let add = sources.map(|source| format!("addr add {source} dev d0 nodad\n"));
        ip_in("client", &add.collect::<String>());
        let key = tcp(vip);
        let mut client = balance(key, servers, Forwarding::Nat);
        let shared = minute.with_prefix(prefix).unwrap();
        client.edit_service(rr(key).with_persistence(shared)).unwrap();
        let from = |source: &str| ask_tcp_from(source.parse().unwrap(), address(vip));
        let first = from(near[0]);
        assert!(near.iter().all(|source| from(source) == first), "{vip}");
        // Round robin: the next that is not one of them gets the other server.
        assert_ne!(from(far), first, "{vip}");
    }
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_persistent_client_keeps_its_server_and_its_connections_show() {
    let _lab = lab();
    let _net = Net::routed();
    serve_tcp("one", address("10.2.1.2:8080"));
    serve_tcp("two", address("10.2.2.2:8080"));
    let key = tcp("10.1.0.100:80");
    let mut client = balance(key, ["10.2.1.2:8080", "10.2.2.2:8080"], Forwarding::Nat);
    let persistence = Persistence::new(Duration::from_secs(60)).unwrap();
    client.edit_service(rr(key).with_persistence(persistence)).unwrap();
    let first = ask_tcp(address("10.1.0.100:80"));
    for _ in 0..3 {
        assert_eq!(ask_tcp(address("10.1.0.100:80")), first);
    }
    let held = open(address("10.1.0.100:80"));
    let namespace = Namespace::open(DIRECTOR).unwrap();
    let connections = namespace.connections().unwrap();
    let ours = connections.iter().find(|c| c.client == held.local_addr().unwrap()).unwrap();
    assert_eq!(ours.vip, address("10.1.0.100:80"));
    assert_eq!(ours.origin, Some(Origin::Local));
    let template = connections.iter().find(|c| c.client.port() == 0).unwrap();
    assert_eq!((template.client.ip(), template.destination), (ours.client.ip(), ours.destination));
    let loads = client.destinations(key).unwrap();
    assert_eq!(loads.iter().map(|d| d.load.persistent).sum::<u32>(), 1);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_firewall_mark_gathers_ports_into_one_service() {
    let _lab = lab();
    let _net = Net::routed();
    sh("ip netns exec director iptables-legacy -t mangle -A PREROUTING -d 10.1.0.100 -p tcp \\
            -m multiport --dports 80,443 -j MARK --set-mark 9");
    for port in [80, 443] {
        serve_tcp("one", address(&format!("10.2.1.2:{port}")));
        serve_tcp("two", address(&format!("10.2.2.2:{port}")));
    }
    let key = ServiceKey::mark(FirewallMark::new(9).unwrap(), Family::Ipv4);
    balance(key, ["10.2.1.2:0", "10.2.2.2:0"], Forwarding::Nat);
    is_shared(ask_tcp, "10.1.0.100:80");
    is_shared(ask_tcp, "10.1.0.100:443");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_firewall_mark_of_ipv6_is_another_service() {
    let _lab = lab();
    let _net = Net::routed();
    sh("ip netns exec director ip6tables-legacy -t mangle -A PREROUTING -d fd01::100 -p tcp \\
            --dport 80 -j MARK --set-mark 9");
    serve_tcp("one", address("[fd02:1::2]:80"));
    serve_tcp("two", address("[fd02:2::2]:80"));
    let mark = FirewallMark::new(9).unwrap();
    let mut client = Client::in_namespace(DIRECTOR).unwrap();
    client.add_service(rr(ServiceKey::mark(mark, Family::Ipv4))).unwrap();
    let servers = ["[fd02:1::2]:0", "[fd02:2::2]:0"];
    balance(ServiceKey::mark(mark, Family::Ipv6), servers, Forwarding::Nat);
    is_shared(ask_tcp, "[fd01::100]:80");
}
