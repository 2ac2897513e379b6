//! Checks that go through the data plane to the VIP.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::{Pair, serving, table};
use crate::lab::wait_for;
use crate::net::{answer_with, inside, ip_in};

/// Everything of `check = icmp` in the pair's services is overridden.
const THROUGH: &str = "    check = connect\n    check_through = 1\n";

/// Servers that answer on any of their addresses.
fn serve_everywhere() {
    for name in ["one", "two"] {
        for port in [80, 9] {
            let any = SocketAddr::from(([0; 16], port));
            answer_with(name, inside(name, || TcpListener::bind(any).unwrap()));
        }
    }
}

fn ways(namespace: &str) -> usize {
    table(namespace).lines().filter(|line| line.starts_with("-a -f 18853396")).count()
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_server_without_the_vip_is_down_on_both_directors_though_its_port_answers() {
    let mut pair = Pair::prepared("", THROUGH, serve_everywhere);
    assert_eq!((ways("director"), ways("partner")), (4, 4));
    let lo = |verb: &str| {
        ip_in(
            "one",
            &format!("addr {verb} 10.6.0.100/32 dev lo\naddr {verb} fd06::100/128 dev lo"),
        );
    };
    lo("del");
    for daemon in [&mut pair.primary, &mut pair.backup] {
        let told = ["10.6.0.11:80", "[fd06::11]:80"].map(|_| daemon.expect("shutting down"));
        for server in ["10.6.0.11:80 (direct/one)", "[fd06::11]:80 (direct6/one)"] {
            let line = told.iter().find(|line| line.contains(server));
            let line = line.unwrap_or_else(|| panic!("{server}: {told:?}"));
            assert!(line.contains("is the VIP on this server"), "{line}");
        }
    }
    for (namespace, address) in [("director", "10.6.0.11:80"), ("partner", "[fd06::11]:80")] {
        let address: SocketAddr = address.parse().unwrap();
        inside(namespace, || TcpStream::connect_timeout(&address, Duration::from_secs(2)).unwrap());
        wait_for("seven servers", || serving(namespace) == 7);
    }
    lo("add");
    for namespace in ["director", "partner"] {
        wait_for("all servers again", || serving(namespace) == 9);
    }

    // What nobody checks so any more leaves nothing behind.
    let text = std::fs::read_to_string(pair.files.path("primary")).unwrap();
    pair.files.write("primary", &text.replace("check_through = 1", "check_through = 0"));
    pair.primary.signal("HUP");
    pair.primary.expect("configuration reloaded");
    assert_eq!((ways("director"), serving("director")), (0, 9));
}
