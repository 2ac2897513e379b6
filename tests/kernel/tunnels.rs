//! Real servers that are reached in other packets.

use std::num::NonZeroU16;

use piranha::ipvs::{Forwarding, Tunnel, TunnelChecksum};
use piranha::runtime::kernel::Client;

use crate::lab::{address, lab, modprobe, server, tcp};
use crate::net::{DIRECTOR, Net, ask_tcp, inside, ip_in, is_shared, serve_tcp};
use crate::traffic::balance;

const VIP: &str = "10.3.0.100:80";
const VIP6: &str = "[fd03::100]:80";
const SERVERS: [&str; 2] = ["10.3.0.11:80", "10.3.0.12:80"];
const SERVERS6: [&str; 2] = ["[fd03::11]:80", "[fd03::12]:80"];

/// Loads `modules` and runs commands of `ip` in each server's namespace; `OWN` is the end of its
/// addresses.
fn on_each_server(modules: &[&str], commands: &str) {
    for module in modules {
        modprobe(module);
    }
    for (server, own) in [("one", "11"), ("two", "12")] {
        ip_in(server, &commands.replace("OWN", own));
        // What comes out of a tunnel comes from where no route leads.
        inside(server, || {
            for interface in std::fs::read_dir("/proc/sys/net/ipv4/conf").unwrap() {
                std::fs::write(interface.unwrap().path().join("rp_filter"), "0").unwrap();
            }
        });
    }
}

/// The director's tunnels of this kind carry TCP, in each of these ways.
fn carries(vip: &str, servers: [&str; 2], ways: &[Tunnel]) {
    for name in ["one", "two"] {
        serve_tcp(name, address(vip));
    }
    let key = tcp(vip);
    let mut client: Client = balance(key, servers, Forwarding::Tunnel(ways[0]));
    for way in ways {
        for one in servers {
            let tunnelled = server(one).with_forwarding(Forwarding::Tunnel(*way));
            client.edit_destination(key, tunnelled).unwrap();
        }
        is_shared(ask_tcp, vip);
    }
}

const IPIP: &str = "link set tunl0 up";

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn ip_in_ip_carries_tcp() {
    let _lab = lab();
    let _net = Net::bridged();
    on_each_server(&["ipip"], IPIP);
    carries(VIP, SERVERS, &[Tunnel::Ipip]);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn ip_in_ip_carries_ipv6() {
    let _lab = lab();
    let _net = Net::bridged();
    on_each_server(&["ip6_tunnel"], "link set ip6tnl0 up");
    carries(VIP6, SERVERS6, &[Tunnel::Ipip]);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_tunnel_reaches_servers_of_the_other_family() {
    let _lab = lab();
    let _net = Net::bridged();
    on_each_server(
        &["sit", "ip6_tunnel"],
        "link set sit0 up
        link add mixed type ip6tnl mode ipip6 local fd03::OWN remote fd03::1
        link set mixed up",
    );
    carries(VIP6, SERVERS, &[Tunnel::Ipip]);
    carries(VIP, SERVERS6, &[Tunnel::Ipip]);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn gue_carries_tcp_with_each_kind_of_checksum() {
    let _lab = lab();
    let _net = Net::bridged();
    on_each_server(&["ipip", "fou"], &format!("{IPIP}\nfou add port 6080 gue"));
    let port = NonZeroU16::new(6080).unwrap();
    let ways = [TunnelChecksum::None, TunnelChecksum::Plain, TunnelChecksum::Remote];
    carries(VIP, SERVERS, &ways.map(|checksum| Tunnel::Gue { port, checksum }));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn gre_carries_tcp_without_and_with_checksum() {
    let _lab = lab();
    for (checksum, option) in [(TunnelChecksum::None, ""), (TunnelChecksum::Plain, "csum")] {
        let _net = Net::bridged();
        on_each_server(
            &["ip_gre"],
            &format!(
                "link add tunnel type gre local 10.3.0.OWN remote 10.3.0.1 {option}
                link set tunnel up"
            ),
        );
        carries(VIP, SERVERS, &[Tunnel::Gre { checksum }]);
        Client::in_namespace(DIRECTOR).unwrap().danger_flush().unwrap();
    }
}
