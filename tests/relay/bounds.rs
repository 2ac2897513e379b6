//! What the relay does when there is no more of something.

use std::io::Write;
use std::time::Duration;

use piranha::ipvs::{Op, Service, ServiceKey};
use piranha::runtime::relay::{Relay, descriptor_room};

use crate::support::*;

#[tokio::test]
async fn at_the_bound_new_clients_wait_and_old_ones_go_on() {
    let mut config = config();
    config.max_connections = 2;
    let relay = Relay::new(config).unwrap();
    let vip = vip();
    let key = ServiceKey::tcp(vip);
    serve(&relay, Service::new(key), &[named_server()]).await;

    let (first, second) = (connect(vip), connect(vip));
    assert_eq!(who(&first), who(&second));
    let third = connect(vip);
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!({ &third }.write_all(b"ping").is_ok(), "it is in the backlog");
    assert!(is_silent(&third), "beyond the bound");
    assert!(echoes(&first) && echoes(&second));

    third.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    drop(first);
    assert_eq!(who(&third), who_again(&relay, key));
    drop((second, third));
    balances(&relay);
    assert_eq!(status(&relay, key).refused, 0);
}

fn is_silent(stream: &std::net::TcpStream) -> bool {
    stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// The port of the only server.
fn who_again(relay: &Relay, key: ServiceKey) -> u16 {
    status(relay, key).destinations[0].address.port()
}

#[tokio::test]
async fn two_relays_on_one_machine_never_hold_the_same_port() {
    let (first, second) = (relay(), relay());
    let vip = vip();
    let key = ServiceKey::tcp(vip);
    serve(&first, Service::new(key), &[named_server()]).await;
    apply(&second, Op::AddService(Service::new(key))).await;
    assert!(second.acquire(vip.ip()).await.is_err());
    assert!(who(&connect(vip)) > 0);

    first.release(vip.ip()).await;
    assert!(second.acquire(vip.ip()).await.is_ok());
    assert!(first.acquire(vip.ip()).await.is_err());
}

#[test]
fn connections_leave_descriptors_to_the_rest_of_the_process() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let room = descriptor_room() as u64;
    assert!(limit.current.is_none_or(|limit| 2 * room < limit && 2 * room > limit / 2));
}
