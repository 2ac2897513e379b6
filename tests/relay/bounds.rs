//! What the relay does when there is no more of something.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::process::{Command, Stdio};
use std::time::Duration;

use piranha::ipvs::relay::RelayOptions;
use piranha::ipvs::{Op, Service, ServiceKey};
use piranha::runtime::relay::{Relay, descriptor_room};
use rustix::process::{Resource, getrlimit, setrlimit};

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

fn is_silent(stream: &TcpStream) -> bool {
    stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// The port of the only server.
fn who_again(relay: &Relay, key: ServiceKey) -> u16 {
    status(relay, key).destinations[0].address.port()
}

#[tokio::test]
async fn two_relays_on_one_machine_never_hold_the_same_port() {
    let vip = vip();
    for key in [ServiceKey::tcp(vip), ServiceKey::udp(vip)] {
        let (first, second) = (relay(), relay());
        serve(&first, Service::new(key), &[named_server()]).await;
        apply(&second, Op::AddService(Service::new(key))).await;
        assert!(second.acquire(vip.ip()).await.is_err());

        first.release(vip.ip()).await;
        assert!(second.acquire(vip.ip()).await.is_ok());
        assert!(first.acquire(vip.ip()).await.is_err());
    }
}

fn limit(relay: &Relay, key: ServiceKey, most: u32) {
    let mut options = RelayOptions::default();
    options.max_connections = NonZeroU32::new(most);
    relay.set_options([(key, options)].into()).unwrap();
}

/// A client of [`named_server`] that has been let in.
fn is_served(client: &TcpStream) -> bool {
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    who(client) > 0 && echoes(client)
}

/// Whether the server has said something to it.
fn has_heard(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let heard = client.peek(&mut [0]).is_ok();
    client.set_nonblocking(false).unwrap();
    heard
}

fn waits(client: &TcpStream) -> bool {
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    is_silent(client)
}

#[tokio::test]
async fn at_a_services_limit_its_new_clients_wait_and_all_others_go_on() {
    let relay = relay();
    let (limited, free) = (vip(), vip());
    let (key, other) = (ServiceKey::tcp(limited), ServiceKey::tcp(free));
    limit(&relay, key, 2);
    serve(&relay, Service::new(key), &[named_server()]).await;
    serve(&relay, Service::new(other), &[named_server()]).await;

    let mut served: Vec<TcpStream> = (0..2).map(|_| connect(limited)).collect();
    assert!(served.iter().all(is_served));
    let waiting: Vec<TcpStream> = (0..3).map(|_| connect(limited)).collect();
    assert!(waiting.iter().all(waits));
    assert!(is_served(&connect(free)) && served.iter().all(echoes));
    let state = status(&relay, key).limit;
    assert_eq!((state.most, state.connected), (NonZeroU32::new(2), 2));
    assert!(state.pauses > 0);
    assert_eq!(status(&relay, other).limit.pauses, 0);

    // Each that leaves lets one in.
    for client in waiting {
        served.remove(0);
        assert!(is_served(&client));
        served.push(client);
    }
    assert_eq!((status(&relay, key).refused, status(&relay, key).limit.connected), (0, 2));
    drop(served);
    balances(&relay);
    assert_eq!(status(&relay, key).limit.connected, 0);
}

#[tokio::test]
async fn a_limit_is_raised_lowered_and_lifted_while_clients_are_there() {
    let relay = relay();
    let vip = vip();
    let key = ServiceKey::tcp(vip);
    limit(&relay, key, 1);
    serve(&relay, Service::new(key), &[named_server()]).await;
    let clients: Vec<TcpStream> = (0..4).map(|_| connect(vip)).collect();
    let served = || clients.iter().filter(|client| !waits(client)).count();
    assert_eq!(served(), 1);
    limit(&relay, key, 2);
    eventually("the second is let in", || served() == 2);
    limit(&relay, key, 1);
    assert_eq!(served(), 2, "nobody is thrown out");
    relay.set_options([].into()).unwrap();
    eventually("all are let in", || served() == 4);
    assert!(clients.iter().all(is_served));
}

#[tokio::test]
async fn clients_that_no_server_takes_give_their_places_back() {
    let relay = relay();
    let vip = vip();
    let key = ServiceKey::tcp(vip);
    limit(&relay, key, 1);
    serve(&relay, Service::new(key), &[dead()]).await;
    for _ in 0..5 {
        assert!(is_reset(connect(vip)));
    }
    eventually("no place is taken", || status(&relay, key).limit.connected == 0);
}

/// Descriptors that the process of the next test may have.
const FEW: usize = 64;

/// The process that runs out of descriptors: prints its VIP and relays until its input ends.
#[tokio::test]
#[ignore = "started by `out_of_descriptors_new_clients_wait_and_old_ones_go_on`"]
async fn relays_with_few_descriptors() {
    let mut server = String::new();
    std::io::stdin().read_line(&mut server).unwrap();
    let mut few = getrlimit(Resource::Nofile);
    few.current = Some(FEW as u64);
    setrlimit(Resource::Nofile, few).unwrap();
    let mut config = config();
    config.max_connections = 10_000;
    let relay = Relay::new(config).unwrap();
    let vip = vip();
    let server = server.trim().parse().unwrap();
    serve(&relay, Service::new(ServiceKey::tcp(vip)), &[server]).await;
    println!("relays {vip}");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn out_of_descriptors_new_clients_wait_and_old_ones_go_on() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "bounds::relays_with_few_descriptors", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.as_mut().unwrap(), "{}", named_server()).unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = output.lines().map_while(Result::ok);
    let vip = lines.find_map(|line| line.rsplit_once("relays ")?.1.parse().ok()).unwrap();

    let mut waiting: Vec<TcpStream> = (0..FEW).map(|_| connect(vip)).collect();
    let mut let_in: Vec<TcpStream> = Vec::new();
    while !waiting.is_empty() {
        // Room for some: who comes next among those that wait is the relay's choice.
        let_in.clear();
        eventually("some are let in", || waiting.iter().any(has_heard));
        (let_in, waiting) = waiting.into_iter().partition(has_heard);
        // Two descriptors each, and some for the process itself.
        assert!(let_in.len() < FEW / 2);
        assert!(let_in.iter().all(is_served));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn connections_leave_descriptors_to_the_rest_of_the_process() {
    let limit = getrlimit(Resource::Nofile);
    let room = descriptor_room() as u64;
    assert!(limit.current.is_none_or(|limit| 2 * room < limit && 2 * room > limit / 2));
}
