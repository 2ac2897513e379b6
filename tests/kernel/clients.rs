//! Every call of the clients.

use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use piranha::ipvs::kernel::{Daemon, DaemonRole, Reason, Timeouts};
use piranha::ipvs::{Op, Service};
use piranha::net::Weight;
use piranha::runtime::kernel::AsyncClient;

use crate::lab::{fill, lab, server, sh, tcp};
use crate::samples;

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_service_of_each_kind_reads_back_as_it_was_written() {
    let mut lab = lab();
    for service in samples::services() {
        lab.client.add_service(service.clone()).unwrap();
        let status = lab.client.service(service.key()).unwrap();
        assert_eq!((status.service, status.exact, status.unknown), (service, true, vec![]));
    }
    let listed = lab.client.services().unwrap();
    assert_eq!(listed.len(), samples::services().len());
    for service in samples::services() {
        lab.client.remove_service(service.key()).unwrap();
    }
    assert_eq!(lab.client.services().unwrap(), []);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_destination_of_each_kind_reads_back_as_it_was_written() {
    let mut lab = lab();
    let key = tcp("192.0.2.1:80");
    lab.client.add_service(Service::new(key)).unwrap();
    for destination in samples::destinations() {
        lab.client.add_destination(key, destination).unwrap();
        let newest = lab.client.destinations(key).unwrap().remove(0);
        assert_eq!((newest.destination, newest.exact, newest.unknown), (destination, true, vec![]));
    }
    for destination in samples::destinations() {
        lab.client.remove_destination(key, destination.address()).unwrap();
    }
    assert_eq!(lab.client.destinations(key).unwrap(), []);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn an_edit_turns_each_kind_into_each_other() {
    let mut lab = lab();
    let key = tcp("192.0.2.1:80");
    lab.client.add_service(Service::new(key)).unwrap();
    let address = server("10.0.0.1:80");
    lab.client.add_destination(key, address).unwrap();
    for other in samples::destinations() {
        let edited = address
            .with_weight(other.weight())
            .with_forwarding(other.forwarding())
            .with_thresholds(other.thresholds());
        lab.client.edit_destination(key, edited).unwrap();
        assert_eq!(lab.client.destinations(key).unwrap()[0].destination, edited);
    }
    for other in samples::services() {
        let mut edited = Service::new(key)
            .with_scheduler(other.scheduler().clone())
            .with_scheduler_flags(other.scheduler_flags());
        if let Some(persistence) = other.persistence() {
            edited = edited.with_persistence(persistence);
        }
        lab.client.edit_service(edited.clone()).unwrap();
        assert_eq!(lab.client.service(key).unwrap().service, edited);
    }
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_whole_table_reads_back_by_both_clients() {
    let mut lab = lab();
    let table = samples::everything();
    fill(&mut lab.client, &table);
    assert_eq!(lab.client.table().unwrap(), table);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = AsyncClient::new().unwrap();
        assert_eq!(client.table().await.unwrap(), table);
        assert_eq!(client.list().await.unwrap(), lab.client.list().unwrap());
        client.danger_flush().await.unwrap();
    });
    assert!(lab.client.table().unwrap().is_empty());
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_batch_has_an_outcome_for_each_operation_and_goes_on_after_a_failure() {
    let mut lab = lab();
    let services = (1..=120).map(|port| Service::new(tcp(&format!("192.0.2.1:{port}"))));
    let mut ops: Vec<_> = services.map(Op::AddService).collect();
    ops.insert(60, Op::RemoveService(tcp("192.0.2.9:9")));
    ops.insert(61, Op::AddDestination(tcp("192.0.2.1:1"), server("0.0.0.0:1")));
    let outcomes = lab.client.apply(&ops).unwrap();
    assert_eq!(outcomes.len(), ops.len());
    let failed: Vec<_> = outcomes.iter().enumerate().filter(|(_, o)| o.is_err()).collect();
    assert_eq!(failed.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [60, 61]);
    let reasons: Vec<_> = failed.iter().map(|(_, o)| o.as_ref().unwrap_err().reason()).collect();
    assert_eq!(*reasons[0], Reason::NoService);
    assert!(matches!(reasons[1], Reason::Invalid(_)));
    assert_eq!(lab.client.services().unwrap().len(), 120);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn timeouts_that_are_not_zero_are_set_and_the_others_stay() {
    let mut lab = lab();
    let secs = Duration::from_secs;
    lab.client.set_timeouts(Timeouts::new(secs(900), secs(120), secs(300))).unwrap();
    lab.client.set_timeouts(Timeouts::new(secs(0), secs(60), secs(0))).unwrap();
    let expected = Timeouts::new(secs(900), secs(60), secs(300));
    assert_eq!(lab.client.timeouts().unwrap(), expected);
    assert_eq!(sh("ipvsadm -L --timeout"), "Timeout (tcp tcpfin udp): 900 60 300\n");
    lab.client.set_timeouts(Timeouts::new(secs(0), secs(120), secs(0))).unwrap();
    let too_long = lab.client.set_timeouts(Timeouts::new(Duration::MAX, secs(0), secs(0)));
    assert_eq!(
        too_long.unwrap_err().to_string(),
        "timeouts: cannot set them: invalid: a timeout is too long"
    );
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn sync_daemons_start_show_and_stop() {
    let mut lab = lab();
    assert_eq!(lab.client.daemons().unwrap(), []);
    let master = Daemon::new(DaemonRole::Master, "lo")
        .unwrap()
        .with_sync_id(255)
        .with_max_length(NonZeroU16::new(1400).unwrap())
        .with_group("224.0.0.99".parse().unwrap())
        .unwrap()
        .with_port(NonZeroU16::new(9999).unwrap())
        .with_ttl(NonZeroU8::new(5).unwrap());
    lab.client.start_daemon(master.clone()).unwrap();
    assert_eq!(lab.client.daemons().unwrap(), std::slice::from_ref(&master));
    assert_eq!(
        sh("ipvsadm -L --daemon"),
        "master sync daemon (mcast=lo, syncid=255, maxlen=1400, group=224.0.0.99, port=9999, ttl=5)\n"
    );
    let again = lab.client.start_daemon(master).unwrap_err();
    assert_eq!(again.to_string(), "master sync daemon: already exists");

    let backup = Daemon::new(DaemonRole::Backup, "lo").unwrap();
    lab.client.start_daemon(backup).unwrap();
    let running = lab.client.daemons().unwrap();
    assert_eq!(
        running.iter().map(Daemon::role).collect::<Vec<_>>(),
        [DaemonRole::Master, DaemonRole::Backup]
    );
    assert_eq!(running[1].port().map(NonZeroU16::get), Some(8848));
    for role in [DaemonRole::Master, DaemonRole::Backup] {
        lab.client.stop_daemon(role).unwrap();
    }
    let gone = lab.client.stop_daemon(DaemonRole::Backup).unwrap_err();
    assert_eq!(gone.to_string(), "backup sync daemon: is not running");

    // Stopped before their threads first run: the kernel acknowledges not all of these.
    for _ in 0..20 {
        for role in [DaemonRole::Master, DaemonRole::Backup] {
            lab.client.start_daemon(Daemon::new(role, "lo").unwrap()).unwrap();
            lab.client.stop_daemon(role).unwrap();
        }
        assert_eq!(lab.client.daemons().unwrap(), []);
    }

    let nowhere = Daemon::new(DaemonRole::Backup, "nowhere0").unwrap();
    let refused = lab.client.start_daemon(nowhere).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "backup sync daemon: cannot start it: there is no such interface"
    );
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn the_family_tells_its_version() {
    let mut lab = lab();
    let info = lab.client.info().unwrap();
    assert_eq!(info.version_parts(), [1, 2, 1]);
    assert!(info.table_size > 0);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn zero_takes_one_service_or_all() {
    let mut lab = lab();
    fill(&mut lab.client, &samples::everything());
    lab.client.zero(Some(tcp("192.0.2.1:80"))).unwrap();
    lab.client.zero(None).unwrap();
    let missing = lab.client.zero(Some(tcp("192.0.2.99:80"))).unwrap_err();
    assert_eq!(missing.to_string(), "service TCP 192.0.2.99:80: there is no such service");
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_server_with_the_greatest_weight_is_not_taken_for_negative() {
    let mut lab = lab();
    let key = tcp("192.0.2.1:80");
    lab.client.add_service(Service::new(key)).unwrap();
    lab.client.add_destination(key, server("10.0.0.1:80").with_weight(Weight::MAX)).unwrap();
    assert!(sh("ipvsadm -Ln").contains("Masq    2147483647 0          0"));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_client_survives_that_the_module_is_loaded_anew() {
    let mut lab = lab();
    lab.client.services().unwrap();
    let helper = sh("cat /proc/sys/kernel/modprobe");
    let unload = "ipvsadm -C; ls /sys/module | grep '^ip_vs_' | xargs -r -n1 rmmod; rmmod ip_vs";
    sh(&format!("echo /bin/false >/proc/sys/kernel/modprobe; {unload}"));
    assert_eq!(*lab.client.services().unwrap_err().reason(), Reason::NoIpvs);

    // Where it may, the kernel loads the module when it is asked for the family.
    sh(&format!("echo {} >/proc/sys/kernel/modprobe", helper.trim()));
    lab.client.add_service(Service::new(tcp("192.0.2.1:80"))).unwrap();
    assert_eq!(lab.client.services().unwrap().len(), 1);

    // The number of the family is another one each time; nobody tells the client.
    sh(unload);
    lab.client.add_service(Service::new(tcp("192.0.2.1:80"))).unwrap();
    assert_eq!(lab.client.services().unwrap().len(), 1);
}
