//! Each network namespace has its own table, connections and settings.

use std::fs;

use piranha::ipvs::Service;
use piranha::ipvs::kernel::sysctl::Sysctl;
use piranha::runtime::kernel::{Client, Namespace};

use crate::lab::{lab, output, server, sh, tcp};

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_client_of_a_namespace_changes_that_one_and_its_caller_stays_where_it_is() {
    let mut lab = lab();
    sh("ip netns add other; ip -n other link set lo up");
    let here = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    let before = here();
    let mut other = Client::in_namespace("/run/netns/other").unwrap();
    assert_eq!(here(), before);
    let key = tcp("192.0.2.1:80");
    other.add_service(Service::new(key)).unwrap();
    other.add_destination(key, server("10.0.0.1:80")).unwrap();
    assert!(lab.client.services().unwrap().is_empty());
    assert_eq!(other.services().unwrap().len(), 1);
    assert!(sh("ip netns exec other ipvsadm -Ln").contains("10.0.0.1:80"));
    sh("ip netns del other");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_namespace_whose_lo_is_down_takes_no_destination_and_we_say_why() {
    let _lab = lab();
    sh("ip netns add fresh");
    let mut client = Client::in_namespace("/run/netns/fresh").unwrap();
    client.add_service(Service::new(tcp("192.0.2.1:80"))).unwrap();
    let add =
        |client: &mut Client| client.add_destination(tcp("192.0.2.1:80"), server("10.0.0.1:80"));
    let refused = add(&mut client).unwrap_err().to_string();
    assert!(refused.contains("bring `lo` up first"), "{refused}");
    sh("ip -n fresh link set lo up");
    add(&mut client).unwrap();
    sh("ip netns del fresh");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn the_managed_profile_is_set_in_its_namespace_once() {
    let _lab = lab();
    sh("ip netns add managed; ip -n managed link set lo up");
    let namespace = Namespace::open("/run/netns/managed").unwrap();
    let nodest = Sysctl::find("expire_nodest_conn").unwrap();
    assert_eq!(namespace.sysctl(nodest).unwrap().as_deref(), Some("0"));
    let changed: Vec<_> =
        namespace.manage_sysctls().unwrap().iter().map(|m| m.sysctl.name).collect();
    assert_eq!(
        changed,
        [
            "expire_nodest_conn",
            "expire_quiescent_template",
            "sync_threshold",
            "sync_refresh_period",
            "sync_retries",
            "sync_sock_size"
        ]
    );
    assert_eq!(namespace.manage_sysctls().unwrap(), []);
    assert_eq!(namespace.sysctl(nodest).unwrap().as_deref(), Some("1"));
    assert_eq!(Namespace::current().sysctl(nodest).unwrap().as_deref(), Some("0"));
    let refused = namespace.set_sysctl(nodest, "2").unwrap_err();
    assert_eq!(refused.to_string(), "expire_nodest_conn does not take \"2\"");
    sh("ip netns del managed");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn every_setting_of_this_kernel_is_known_with_its_default() {
    let _lab = lab();
    sh("ip netns add defaults; ip -n defaults link set lo up");
    let namespace = Namespace::open("/run/netns/defaults").unwrap();
    let names = sh("ip netns exec defaults ls /proc/sys/net/ipv4/vs");
    for name in names.lines().filter(|name| *name != "debug_level") {
        let known = Sysctl::find(name).unwrap_or_else(|| panic!("{name} is not known"));
        let value = namespace.sysctl(known).unwrap().unwrap().replace('\t', " ");
        assert!(value.is_empty() || known.kind.accepts(&value), "{name} = {value}");
        if known.default.starts_with(|c: char| c.is_ascii_digit()) {
            // What the schedulers' modules have comes in seconds or in ticks, as they were loaded.
            let ticks = known.default.replace("86400", "8640000");
            assert!([known.default, &ticks].contains(&value.as_str()), "{name} = {value}");
        }
    }
    sh("ip netns del defaults");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_namespace_that_is_not_there_is_an_error_of_opening_it() {
    let _lab = lab();
    assert!(output("test -e /run/netns/nowhere").status.code() == Some(1));
    let refused = Client::in_namespace("/run/netns/nowhere").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "netlink socket: cannot open its namespace: No such file or directory (os error 2)"
    );
}
