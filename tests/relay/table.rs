//! The relay as a data plane: its table, and the addresses it holds.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream, UdpSocket};

use piranha::ipvs::{
    Backend, BackendError, Destination, Forwarding, Op, SchedulerFlags, Service, ServiceKey, Table,
};
use piranha::net::{Family, FirewallMark};
use piranha::runtime::relay::{AcquireError, Relay, RelayConfig};

use crate::support::*;

#[tokio::test]
async fn nothing_listens_before_its_address_is_acquired() {
    let relay = relay();
    let vip = vip();
    let key = ServiceKey::tcp(vip);
    apply(&relay, Op::AddService(Service::new(key))).await;
    assert!(TcpStream::connect(vip).is_err());
    assert!(!status(&relay, key).listening);
    relay.acquire(vip.ip()).await.unwrap();
    relay.acquire(vip.ip()).await.unwrap();
    assert!(status(&relay, key).listening);
    assert_eq!(relay.held(), [vip.ip()]);
    connect(vip);
}

#[tokio::test]
async fn a_service_added_while_its_address_is_held_listens_at_once() {
    let relay = relay();
    let vip = vip();
    relay.acquire(vip.ip()).await.unwrap();
    serve(&relay, Service::new(ServiceKey::tcp(vip)), &[named_server()]).await;
    who(&connect(vip));
}

#[tokio::test]
async fn a_busy_port_is_an_error_that_names_the_service_and_leaves_nothing_bound() {
    let relay = relay();
    let (first, second) = (vip(), vip());
    let mut first = first;
    first.set_ip(second.ip());
    let (low, high) = (first.min(second), first.max(second));
    for vip in [low, high] {
        apply(&relay, Op::AddService(Service::new(ServiceKey::tcp(vip)))).await;
    }
    let busy = TcpListener::bind(high).unwrap();
    let error = relay.acquire(high.ip()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("TCP {high}: cannot listen: another program holds the port")
    );
    assert!(relay.held().is_empty());
    drop(TcpListener::bind(low).unwrap());
    drop(busy);
    relay.acquire(high.ip()).await.unwrap();
    connect(low);
}

#[tokio::test]
async fn a_busy_udp_port_is_an_error_too() {
    let relay = relay();
    let vip = vip();
    let _busy = UdpSocket::bind(vip).unwrap();
    apply(&relay, Op::AddService(Service::new(ServiceKey::udp(vip)))).await;
    assert!(relay.acquire(vip.ip()).await.is_err());
}

#[tokio::test]
async fn an_address_of_another_machine_cannot_be_acquired() {
    let relay = relay();
    let vip = "192.0.2.80:8080".parse().unwrap();
    apply(&relay, Op::AddService(Service::new(ServiceKey::tcp(vip)))).await;
    let error = relay.acquire(vip.ip()).await.unwrap_err();
    assert!(matches!(error, AcquireError::Bind { .. }));
    assert!(error.to_string().contains("not on this machine"), "{error}");
}

#[tokio::test]
async fn a_service_that_cannot_listen_is_not_added() {
    let mut relay = relay();
    let vip = vip();
    let _busy = TcpListener::bind(vip).unwrap();
    relay.acquire(vip.ip()).await.unwrap();
    let op = Op::AddService(Service::new(ServiceKey::tcp(vip)));
    let applied = relay.apply(&[op]).await.unwrap();
    assert!(matches!(applied[..], [Err(BackendError::System { .. })]));
    assert_eq!(relay.observe().await.unwrap(), Table::new());
}

#[tokio::test]
async fn what_is_applied_is_observed() {
    let mut relay = relay();
    let key = ServiceKey::tcp(vip());
    let server = Destination::new(dead());
    let mut desired = Table::new();
    desired.insert(Service::new(key)).insert(server);
    let ops = [Op::AddService(Service::new(key)), Op::AddDestination(key, server)];
    relay.apply(&ops).await.unwrap();
    assert_eq!(relay.observe().await.unwrap(), desired);

    let turn = Service::new(key).with_scheduler("turn".parse().unwrap());
    desired.insert(turn.clone());
    relay.apply(&[Op::EditService(turn)]).await.unwrap();
    assert_eq!(relay.observe().await.unwrap(), desired);
}

#[tokio::test]
async fn the_flags_of_a_service_reach_its_scheduler_and_so_does_an_edit_of_them() {
    let relay = Relay::new(RelayConfig::default()).unwrap();
    let vip = vip();
    let hashed = Service::new(ServiceKey::tcp(vip)).with_scheduler("sh".parse().unwrap());
    let with_port = hashed.clone().with_scheduler_flags(SchedulerFlags::FLAG_2);
    serve(&relay, hashed.clone(), &[named_server(), named_server()]).await;
    let servers = || (0..40).map(|_| who(&connect(vip))).collect::<BTreeSet<_>>().len();
    assert_eq!(servers(), 1, "a client keeps its server");
    apply(&relay, Op::EditService(with_port)).await;
    assert_eq!(servers(), 2, "each of its ports has one of its own");
    apply(&relay, Op::EditService(hashed)).await;
    assert_eq!(servers(), 1);
    assert!(relay.capabilities().scheduler_flags);
}

#[tokio::test]
async fn operations_that_do_not_fit_fail_one_by_one_and_change_nothing() {
    let mut relay = relay();
    let key = ServiceKey::tcp(vip());
    let server = Destination::new(dead());
    apply(&relay, Op::AddService(Service::new(key))).await;
    let before = relay.observe().await.unwrap();
    let unknown = Service::new(key).with_scheduler("none".parse().unwrap());
    let mark = ServiceKey::mark(FirewallMark::new(1).unwrap(), Family::Ipv4);
    let any_port = ServiceKey::tcp("127.0.0.1:0".parse().unwrap());
    let ops = [
        Op::AddService(Service::new(key)),
        Op::AddService(Service::new(mark)),
        Op::AddService(Service::new(any_port)),
        Op::EditService(unknown),
        Op::RemoveService(mark),
        Op::EditDestination(key, server),
        Op::RemoveDestination(key, server.address()),
        Op::AddDestination(key, server.with_forwarding(Forwarding::Direct)),
    ];
    let applied = relay.apply(&ops).await.unwrap();
    assert_eq!(applied.len(), ops.len());
    for result in applied {
        assert!(matches!(result, Err(BackendError::Conflict { .. })), "{result:?}");
    }
    assert_eq!(relay.observe().await.unwrap(), before);
    let capabilities = relay.capabilities();
    assert_eq!(capabilities.schedulers.as_deref(), Some(&["wlc".parse().unwrap()][..]));
    assert!(!capabilities.marks && !capabilities.any_port);
}
