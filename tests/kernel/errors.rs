//! What is refused, and in which words.

use std::time::Duration;

use piranha::ipvs::kernel::{KernelError, Reason};
use piranha::ipvs::{Forwarding, Persistence, Service};
use piranha::runtime::kernel::Client;
use rustix::process::Uid;
use rustix::thread::set_thread_uid;

use crate::lab::{lab, server, tcp};

#[track_caller]
fn refused(result: Result<(), KernelError>, words: &str) {
    let error = result.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(error.to_string(), words);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn what_is_there_twice_or_not_at_all_is_named() {
    let mut lab = lab();
    let client = &mut lab.client;
    let key = tcp("192.0.2.1:80");
    let one = server("10.0.0.1:80");
    let nothing = "service TCP 192.0.2.1:80: there is no such service";
    refused(client.edit_service(Service::new(key)), nothing);
    refused(client.remove_service(key), nothing);
    assert_eq!(client.service(key).unwrap_err().to_string(), nothing);
    let nowhere = "destination 10.0.0.1:80 of TCP 192.0.2.1:80: there is no such service";
    refused(client.add_destination(key, one), nowhere);
    refused(client.remove_destination(key, one.address()), nowhere);
    // The kernel does not tell a missing service from one without destinations.
    assert_eq!(client.destinations(key).unwrap(), []);

    client.add_service(Service::new(key)).unwrap();
    refused(client.add_service(Service::new(key)), "service TCP 192.0.2.1:80: already exists");
    let nobody = "destination 10.0.0.1:80 of TCP 192.0.2.1:80: there is no such destination";
    refused(client.edit_destination(key, one), nobody);
    refused(client.remove_destination(key, one.address()), nobody);
    client.add_destination(key, one).unwrap();
    refused(
        client.add_destination(key, one),
        "destination 10.0.0.1:80 of TCP 192.0.2.1:80: already exists",
    );
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_scheduler_or_engine_without_a_module_is_named() {
    let mut lab = lab();
    let bad = Service::new(tcp("192.0.2.1:80")).with_scheduler("nosuch".parse().unwrap());
    refused(
        lab.client.add_service(bad),
        "service TCP 192.0.2.1:80: cannot add it: the kernel has no scheduler nosuch: \
         it found no module ip_vs_nosuch",
    );
    let persistence = Persistence::new(Duration::from_secs(60)).unwrap();
    let persistence = persistence.with_engine("nosuch".parse().unwrap());
    refused(
        lab.client.add_service(Service::new(tcp("192.0.2.1:80")).with_persistence(persistence)),
        "service TCP 192.0.2.1:80: cannot add it: the kernel has no scheduler wlc or no \
         persistence engine nosuch: it found no module ip_vs_wlc or ip_vs_pe_nosuch",
    );
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn an_address_that_is_not_unicast_is_refused_with_what_to_look_at() {
    let mut lab = lab();
    let key = tcp("192.0.2.1:80");
    lab.client.add_service(Service::new(key)).unwrap();
    for bad in ["0.0.0.0:80", "255.255.255.255:80", "224.0.0.1:80"] {
        let error = lab.client.add_destination(key, server(bad)).unwrap_err();
        assert!(matches!(error.reason(), Reason::Invalid(_)), "{error}");
        assert!(error.to_string().starts_with(&format!(
            "destination {bad} of TCP 192.0.2.1:80: cannot add it: invalid: the address must be unicast"
        )));
    }
    let other_family = server("[2001:db8::1]:80").with_forwarding(Forwarding::Direct);
    let error = lab.client.add_destination(key, other_family).unwrap_err();
    assert_eq!(error.errno(), Some(22));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn without_privilege_even_reading_is_refused_and_the_mend_is_said() {
    let _lab = lab();
    let as_nobody = || {
        // Of this thread alone, for as long as it lives.
        set_thread_uid(Uid::from_raw(65534)).unwrap();
        Client::new().unwrap().services().unwrap_err()
    };
    let error = std::thread::spawn(as_nobody).join().unwrap();
    assert_eq!(*error.reason(), Reason::NotPrivileged);
    assert!(error.to_string().contains("CAP_NET_ADMIN in the initial user namespace"), "{error}");
}
