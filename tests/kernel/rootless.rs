//! In a user and network namespace of its own, root by name alone: what netlink refuses and the
//! socket options grant.

use std::net::TcpListener;
use std::num::NonZeroU8;
use std::time::Duration;

use piranha::ipvs::kernel::{Daemon, DaemonRole, KernelError, Reason, Timeouts};
use piranha::ipvs::{
    Backend, Destination, Forwarding, Op, Persistence, Service, Table, Tunnel, plan,
};
use piranha::net::Family;
use piranha::runtime::kernel::{AsyncClient, Client, Kernel, Transport};

use crate::lab::{address, fill, lab, output, results, server, table, tcp, wait_for};
use crate::net::{answer_with, ask_here};
use crate::samples;

/// Runs the test `name`, whose body this is, as nobody in namespaces of its own.
fn rootless(name: &str, body: impl FnOnce(Client)) {
    results();
    if std::env::var_os("PIRANHA_ROOTLESS").is_some() {
        return body(Client::new().unwrap());
    }
    let test = std::env::current_exe().unwrap();
    // Nobody need not reach where the checkout is.
    let ran = output(&format!(
        "test -e /run/rootless || {{ touch /run/rootless; mount --bind {} /run/rootless; }}
        setpriv --reuid=65534 --regid=65534 --clear-groups unshare -Urn sh -c '
            ip link set lo up
            PIRANHA_ROOTLESS=1 exec /run/rootless --ignored --exact rootless::{name}'",
        test.display()
    ));
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(said.contains(" 1 passed;"), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}

/// The samples without what the socket options do not carry.
fn samples() -> Table {
    let services = samples::services().into_iter();
    let carried = services.filter(|service| {
        let engine = service.persistence().and_then(|p| p.engine());
        service.key().family() == Family::Ipv4 && engine.is_none()
    });
    let mut entries: Vec<_> = carried.map(|service| (service, vec![])).collect();
    entries[0].1 = samples::destinations();
    entries[0].1.retain(|d| {
        let plain = !d.forwarding().is_tunnel() || d.forwarding() == Forwarding::TUNNEL;
        d.family() == Family::Ipv4 && plain
    });
    table(&entries)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn netlink_is_used_where_it_is_granted() {
    let mut lab = lab();
    lab.client.services().unwrap();
    assert_eq!(lab.client.transport(), Transport::Netlink);
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn the_table_of_a_rootless_namespace_reads_back_as_it_was_written() {
    let name = "the_table_of_a_rootless_namespace_reads_back_as_it_was_written";
    rootless(name, |mut client| {
        assert_eq!(client.table().unwrap(), Table::new(), "not the host's");
        assert_eq!(client.transport(), Transport::SocketOptions);
        let whole = samples();
        assert!(whole.len() >= 6);
        fill(&mut client, &whole);
        assert_eq!(client.table().unwrap(), whole);
        assert!(client.list().unwrap().iter().all(|one| one.service.exact));
        for entry in whole.iter() {
            let key = entry.service().key();
            assert_eq!(client.service(key).unwrap().service, *entry.service());
        }
        block_on(async {
            let mut other = AsyncClient::new().unwrap();
            assert_eq!(other.list().await.unwrap(), client.list().unwrap());
            assert_eq!(other.transport(), Transport::SocketOptions);
        });
        let web = tcp("192.0.2.1:80");
        for destination in whole.get(&web).unwrap().destinations() {
            client.remove_destination(web, destination.address()).unwrap();
        }
        assert_eq!(client.destinations(web).unwrap(), []);
        client.danger_flush().unwrap();
        assert!(client.table().unwrap().is_empty());
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn in_a_rootless_namespace_an_edit_replaces_every_setting() {
    rootless("in_a_rootless_namespace_an_edit_replaces_every_setting", |mut client| {
        let key = tcp("192.0.2.1:80");
        client.add_service(Service::new(key)).unwrap();
        client.add_destination(key, server("10.0.0.1:80")).unwrap();
        let whole = samples();
        for other in whole.iter().map(|entry| entry.service()) {
            let mut edited = Service::new(key)
                .with_scheduler(other.scheduler().clone())
                .with_scheduler_flags(other.scheduler_flags());
            if let Some(persistence) = other.persistence() {
                edited = edited.with_persistence(persistence);
            }
            client.edit_service(edited.clone()).unwrap();
            assert_eq!(client.service(key).unwrap().service, edited);
        }
        for other in whole.get(&key).unwrap().destinations() {
            let edited = server("10.0.0.1:80")
                .with_weight(other.weight())
                .with_forwarding(other.forwarding())
                .with_thresholds(other.thresholds());
            client.edit_destination(key, edited).unwrap();
            assert_eq!(client.destinations(key).unwrap()[0].destination, edited);
        }
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_rootless_namespace_has_timeouts_daemons_and_counters_to_zero() {
    rootless("a_rootless_namespace_has_timeouts_daemons_and_counters_to_zero", |mut client| {
        let secs = Duration::from_secs;
        client.set_timeouts(Timeouts::new(secs(0), secs(60), secs(0))).unwrap();
        let expected = Timeouts::new(secs(900), secs(60), secs(300));
        assert_eq!(client.timeouts().unwrap(), expected);
        let info = client.info().unwrap();
        assert_eq!((info.version_parts(), info.table_size), ([1, 2, 1], 4096));

        let daemon = |role| Daemon::new(role, "lo").unwrap().with_sync_id(255);
        for role in [DaemonRole::Master, DaemonRole::Backup] {
            client.start_daemon(daemon(role)).unwrap();
        }
        let again = client.start_daemon(daemon(DaemonRole::Master)).unwrap_err();
        assert_eq!(again.to_string(), "master sync daemon: already exists");
        let running = client.daemons().unwrap();
        assert_eq!(running, [daemon(DaemonRole::Master), daemon(DaemonRole::Backup)]);
        for role in [DaemonRole::Master, DaemonRole::Backup] {
            client.stop_daemon(role).unwrap();
            let gone = client.stop_daemon(role).unwrap_err();
            assert_eq!(gone.to_string(), format!("{role} sync daemon: is not running"));
        }
        // Stopped before their threads first run.
        for _ in 0..20 {
            client.start_daemon(daemon(DaemonRole::Backup)).unwrap();
            client.stop_daemon(DaemonRole::Backup).unwrap();
        }
        let nowhere = Daemon::new(DaemonRole::Master, "nowhere0").unwrap();
        let nowhere = client.start_daemon(nowhere).unwrap_err();
        assert_eq!(*nowhere.reason(), Reason::NoInterface);

        let key = tcp("192.0.2.1:80");
        assert_eq!(*client.zero(Some(key)).unwrap_err().reason(), Reason::NoService);
        client.add_service(Service::new(key)).unwrap();
        client.zero(Some(key)).unwrap();
        client.zero(None).unwrap();
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_rootless_table_longer_than_the_first_buffer_is_listed_whole() {
    rootless("a_rootless_table_longer_than_the_first_buffer_is_listed_whole", |mut client| {
        let big = tcp("192.0.2.1:80");
        let mut desired = Table::new();
        for port in 1..=300 {
            desired.insert(Service::new(tcp(&format!("192.0.2.2:{port}"))));
        }
        // As many as fill the first buffer to the last place, and more than fill the second.
        for (service, servers) in [(big, 300), (tcp("192.0.2.2:64"), 64)] {
            let entry = desired.insert(Service::new(service));
            for n in 0..servers {
                entry.insert(server(&format!("10.0.{}.{}:80", n / 200, n % 200 + 1)));
            }
        }
        let ops = plan(&desired, &Table::new(), &piranha::ipvs::Capabilities::everything());
        assert!(client.apply(&ops.unwrap()).unwrap().iter().all(Result::is_ok));
        assert_eq!(client.table().unwrap(), desired);
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn what_the_socket_options_do_not_carry_is_refused_and_changes_nothing() {
    rootless(
        "what_the_socket_options_do_not_carry_is_refused_and_changes_nothing",
        |mut client| {
            let web = tcp("192.0.2.1:80");
            client.add_service(Service::new(web)).unwrap();
            client.add_destination(web, server("10.0.0.1:80")).unwrap();
            let before = client.list().unwrap();
            let minute = Persistence::new(Duration::from_secs(60)).unwrap();
            let sip = minute.with_engine("sip".parse().unwrap());
            let gre = Forwarding::Tunnel(Tunnel::Gre { checksum: Default::default() });
            let ttl = NonZeroU8::new(3).unwrap();
            let daemon = Daemon::new(DaemonRole::Master, "lo").unwrap().with_ttl(ttl);
            let v6 = tcp("[2001:db8::1]:80");
            let refused: [(Result<(), KernelError>, &str); 8] = [
                (client.add_service(Service::new(v6)), "IPv6"),
                (client.service(v6).map(|_| ()), "IPv6"),
                (client.add_destination(web, server("[2001:db8::1]:80")), "IPv6"),
                (client.remove_destination(web, address("[2001:db8::1]:80")), "IPv6"),
                (
                    client.edit_service(Service::new(web).with_persistence(sip)),
                    "persistence engines",
                ),
                (
                    client.edit_destination(web, server("10.0.0.1:80").with_forwarding(gre)),
                    "tunnels but IP in IP",
                ),
                (client.start_daemon(daemon), "settings of a sync daemon but its interface and id"),
                (
                    client.zero(Some(tcp("0.0.0.0:0"))),
                    "way to zero the service of every address and port alone",
                ),
            ];
            for (result, lacking) in refused {
                let error = result.unwrap_err();
                assert_eq!(*error.reason(), Reason::NotCarried(lacking));
                assert!(!error.is_transient());
            }
            assert_eq!(client.list().unwrap(), before);
            assert_eq!(client.daemons().unwrap(), []);
            assert_eq!(
                client.add_service(Service::new(v6)).unwrap_err().to_string(),
                "service TCP [2001:db8::1]:80: cannot add it: the socket options, which are all that \
             is granted here, have no IPv6: run with CAP_NET_ADMIN in the initial user namespace"
            );
        },
    );
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_refusal_of_the_kernel_reads_the_same_over_socket_options() {
    rootless("a_refusal_of_the_kernel_reads_the_same_over_socket_options", |mut client| {
        let key = tcp("192.0.2.1:80");
        let one = server("10.0.0.1:80");
        let say = |result: Result<(), KernelError>| result.unwrap_err().to_string();
        let nothing = "service TCP 192.0.2.1:80: there is no such service";
        assert_eq!(say(client.edit_service(Service::new(key))), nothing);
        assert_eq!(say(client.remove_service(key)), nothing);
        assert_eq!(say(client.service(key).map(|_| ())), nothing);
        assert_eq!(client.destinations(key).unwrap(), []);
        let nowhere = "destination 10.0.0.1:80 of TCP 192.0.2.1:80: there is no such service";
        assert_eq!(say(client.add_destination(key, one)), nowhere);
        client.add_service(Service::new(key)).unwrap();
        let twice = "service TCP 192.0.2.1:80: already exists";
        assert_eq!(say(client.add_service(Service::new(key))), twice);
        let nobody = "destination 10.0.0.1:80 of TCP 192.0.2.1:80: there is no such destination";
        assert_eq!(say(client.edit_destination(key, one)), nobody);
        assert_eq!(say(client.remove_destination(key, one.address())), nobody);
        let bad = client.add_destination(key, server("224.0.0.1:80")).unwrap_err();
        assert!(matches!(bad.reason(), Reason::Invalid(_)), "{bad}");
        let nosuch = Service::new(key).with_scheduler("nosuch".parse().unwrap());
        let nosuch = client.edit_service(nosuch).unwrap_err();
        assert!(matches!(nosuch.reason(), Reason::NoScheduler { .. }), "{nosuch}");
        let ops = [Op::RemoveService(tcp("192.0.2.9:9")), Op::AddDestination(key, one)];
        let outcomes = client.apply(&ops).unwrap();
        assert!(outcomes[0].is_err() && outcomes[1].is_ok());
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn the_rootless_data_plane_says_what_it_lacks_and_reconciles_the_rest() {
    rootless("the_rootless_data_plane_says_what_it_lacks_and_reconciles_the_rest", |_| {
        let desired = samples();
        block_on(async {
            let mut kernel = Kernel::new(AsyncClient::new().unwrap()).await.unwrap();
            kernel.own(desired.iter().map(|entry| entry.service().key()));
            let refused = plan(&samples::everything(), &Table::new(), kernel.capabilities());
            assert_eq!(
                refused.unwrap_err().to_string(),
                "TCP 192.0.2.1:80: the data plane cannot reach 10.0.0.4:80 by gue tunnel"
            );
            assert!(!kernel.capabilities().ipv6 && !kernel.capabilities().engines);
            for expected in [true, false] {
                let observed = kernel.observe().await.unwrap();
                let ops = plan(&desired, &observed, kernel.capabilities()).unwrap();
                assert_eq!(!ops.is_empty(), expected, "{ops:?}");
                assert!(kernel.apply(&ops).await.unwrap().iter().all(Result::is_ok));
            }
        });
    });
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn a_rootless_service_carries_connections_and_counts_them() {
    rootless("a_rootless_service_carries_connections_and_counts_them", |mut client| {
        for (name, at) in [("one", "127.0.0.1:8080"), ("two", "127.0.0.2:8080")] {
            answer_with(name, TcpListener::bind(address(at)).unwrap());
        }
        let key = tcp("127.0.0.100:80");
        let service = Service::new(key).with_scheduler("rr".parse().unwrap());
        client.add_service(service).unwrap();
        let servers: [Destination; 2] = [server("127.0.0.1:8080"), server("127.0.0.2:8080")];
        for one in servers {
            client.add_destination(key, one).unwrap();
        }
        let mut answers: Vec<_> = (0..4).map(|_| ask_here(address("127.0.0.100:80"))).collect();
        answers.sort_unstable();
        assert_eq!(answers, ["one", "one", "two", "two"]);
        wait_for("the count", || client.service(key).unwrap().counters.connections == 4);
        let status = client.service(key).unwrap();
        assert!(status.counters.packets_in > 4 && status.counters.bytes_in > 100, "{status:?}");
        let loads = client.destinations(key).unwrap();
        assert_eq!(loads.iter().map(|d| d.counters.connections).sum::<u64>(), 4);
        assert_eq!(loads.iter().map(|d| d.load.total()).sum::<u32>(), 4);
    });
}
