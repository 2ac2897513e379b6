//! TCP connections through the relay.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use piranha::ipvs::{Destination, Op, Persistence, Service, ServiceKey, Thresholds};
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::*;

const MEGABYTE: usize = 1 << 20;

#[tokio::test]
async fn large_streams_pass_unchanged_in_both_directions_and_are_counted_exactly() {
    for vip in [vip(), vip6()] {
        let relay = relay();
        let key = ServiceKey::tcp(vip);
        serve(&relay, Service::new(key), &[echo_server(localhost(vip))]).await;

        let client = connect(vip);
        let sender = client.try_clone().unwrap();
        let sent = std::thread::spawn(move || send_noise(&sender, 64 * MEGABYTE));
        assert_eq!(receive(&client), (64 * MEGABYTE, sent.join().unwrap()));

        balances(&relay);
        let counters = status(&relay, key).counters;
        let expected = 64 * MEGABYTE as u64;
        assert_eq!((counters.bytes_in, counters.bytes_out), (expected, expected));
        assert_eq!(counters.connections, 1);
        assert_eq!(status(&relay, key).destinations[0].counters, counters);
    }
}

#[tokio::test]
async fn a_reader_that_is_slow_slows_its_writer() {
    let written = Arc::new(AtomicUsize::new(0));
    let progress = Arc::clone(&written);
    let total = 96 * MEGABYTE;
    let source = server(Ipv4Addr::LOCALHOST.into(), move |mut stream| {
        let block = vec![7; 64 * 1024];
        while progress.load(Ordering::SeqCst) < total {
            stream.write_all(&block).unwrap();
            progress.fetch_add(block.len(), Ordering::SeqCst);
        }
    });
    let relay = relay();
    let vip = vip();
    serve(&relay, Service::new(ServiceKey::tcp(vip)), &[source]).await;

    let client = connect(vip);
    let seen = AtomicUsize::new(usize::MAX);
    eventually("the server is stopped", || {
        std::thread::sleep(Duration::from_millis(300));
        let now = written.load(Ordering::SeqCst);
        now > 0 && seen.swap(now, Ordering::SeqCst) == now
    });
    assert!(written.load(Ordering::SeqCst) < total / 2, "the relay takes in what nobody reads");
    assert_eq!(receive(&client).0, total);
    drop(client);
    balances(&relay);
}

#[tokio::test]
async fn the_end_of_one_direction_is_passed_on_and_the_other_goes_on() {
    let counting = server(Ipv4Addr::LOCALHOST.into(), |stream| {
        let (total, _) = receive(&stream);
        { &stream }.write_all(total.to_string().as_bytes()).unwrap();
    });
    let closing_first = server(Ipv4Addr::LOCALHOST.into(), |stream| {
        { &stream }.write_all(b"bye").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(receive(&stream).0, MEGABYTE);
    });
    let relay = relay();
    let (counted, closed) = (vip(), vip());
    serve(&relay, Service::new(ServiceKey::tcp(counted)), &[counting]).await;
    serve(&relay, Service::new(ServiceKey::tcp(closed)), &[closing_first]).await;

    let client = connect(counted);
    send_noise(&client, MEGABYTE);
    let mut answer = String::new();
    { &client }.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, MEGABYTE.to_string());

    let client = connect(closed);
    assert_eq!(receive(&client).0, 3);
    let half_closed = || status(&relay, ServiceKey::tcp(closed)).destinations[0].load;
    eventually("it is inactive", || half_closed().inactive == 1 && half_closed().active == 0);
    send_noise(&client, MEGABYTE);
    drop(client);
    balances(&relay);
}

#[tokio::test]
async fn a_dead_server_costs_the_client_a_retry_and_no_error() {
    let relay = relay();
    let (vip, live, gone) = (vip(), named_server(), dead());
    let key = ServiceKey::tcp(vip);
    serve(&relay, Service::new(key), &[live, gone]).await;
    for _ in 0..10 {
        assert_eq!(who(&connect(vip)), live.port());
    }
    balances(&relay);
    let status = status(&relay, key);
    let of = |address| status.destinations.iter().find(|d| d.address == address).unwrap();
    assert_eq!((of(live).counters.connections, of(live).failures), (10, 0));
    assert_eq!((of(gone).counters.connections, of(gone).failures), (0, 5));
    assert_eq!((status.counters.connections, status.refused), (10, 0));
}

#[tokio::test]
async fn a_silent_server_costs_the_client_the_connect_timeout_and_no_error() {
    let (silent, _kept) = silent_server();
    let mut config = config();
    config.connect_timeout = Duration::from_millis(150);
    let relay = piranha::runtime::relay::Relay::new(config).unwrap();
    let (vip, live) = (vip(), named_server());
    serve(&relay, Service::new(ServiceKey::tcp(vip)), &[live, silent]).await;
    for _ in 0..4 {
        assert_eq!(who(&connect(vip)), live.port());
    }
    balances(&relay);
}

/// A server whose queue of connections is full, so that further attempts get no answer.
fn silent_server() -> (SocketAddr, (Socket, Vec<Socket>)) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
        client.set_nonblocking(true).unwrap();
        let _ = client.connect(&address);
        clients.push(client);
    }
    (address.as_socket().unwrap(), (socket, clients))
}

#[tokio::test]
async fn a_client_is_reset_when_no_server_is_left() {
    let relay = relay();
    let (all_dead, none) = (vip(), vip());
    serve(&relay, Service::new(ServiceKey::tcp(all_dead)), &[dead(), dead()]).await;
    serve(&relay, Service::new(ServiceKey::tcp(none)), &[]).await;
    assert!(is_reset(connect(all_dead)));
    assert!(is_reset(connect(none)));
    balances(&relay);
    assert_eq!(status(&relay, ServiceKey::tcp(all_dead)).refused, 1);
    assert_eq!(status(&relay, ServiceKey::tcp(none)).refused, 1);
}

#[tokio::test]
async fn a_reset_on_one_side_resets_the_other() {
    let hang_up = server(Ipv4Addr::LOCALHOST.into(), |stream| {
        { &stream }.read_exact(&mut [0; 4]).unwrap();
        reset(stream);
    });
    let (report, reports) = std::sync::mpsc::channel();
    let reporting = server(Ipv4Addr::LOCALHOST.into(), move |stream| {
        { &stream }.write_all(b"here").unwrap();
        report.send(is_reset(stream)).unwrap();
    });
    let relay = relay();
    let (from_server, from_client) = (vip(), vip());
    serve(&relay, Service::new(ServiceKey::tcp(from_server)), &[hang_up]).await;
    serve(&relay, Service::new(ServiceKey::tcp(from_client)), &[reporting]).await;

    let mut client = connect(from_server);
    client.write_all(b"ping").unwrap();
    assert!(is_reset(client));

    let mut client = connect(from_client);
    client.read_exact(&mut [0; 4]).unwrap();
    reset(client);
    assert!(reports.recv_timeout(Duration::from_secs(20)).unwrap());
    balances(&relay);
}

#[tokio::test]
async fn an_idle_connection_is_reset_and_a_busy_one_is_not() {
    let mut config = config();
    config.idle_timeout = Duration::from_millis(400);
    let relay = piranha::runtime::relay::Relay::new(config).unwrap();
    let vip = vip();
    serve(&relay, Service::new(ServiceKey::tcp(vip)), &[echo_server(localhost(vip))]).await;
    let (busy, idle) = (connect(vip), connect(vip));
    eventually("both are through", || relay.connections() == 2);
    eventually("one is gone", || {
        assert!(echoes(&busy));
        relay.connections() == 1
    });
    assert!(is_reset(idle));
    drop(busy);
    balances(&relay);
}

#[tokio::test]
async fn a_quiesced_server_keeps_its_connections_and_gets_no_new_ones() {
    let relay = relay();
    let (vip, a, b) = (vip(), named_server(), named_server());
    let key = ServiceKey::tcp(vip);
    serve(&relay, Service::new(key), &[a, b]).await;
    let open: Vec<TcpStream> = (0..2).map(|_| connect(vip)).collect();
    let servers: Vec<u16> = open.iter().map(who).collect();
    assert_ne!(servers[0], servers[1]);
    set_weight(&relay, key, a, 0).await;
    for _ in 0..4 {
        assert_eq!(who(&connect(vip)), b.port());
    }
    assert!(open.iter().all(echoes));
    drop(open);
    balances(&relay);
}

#[tokio::test]
async fn a_server_at_its_threshold_is_passed_over_until_it_has_room() {
    let relay = relay();
    let (vip, server) = (vip(), named_server());
    let key = ServiceKey::tcp(vip);
    serve(&relay, Service::new(key), &[server]).await;
    let limited = Destination::new(server).with_thresholds(Thresholds::new(2, 2).unwrap());
    apply(&relay, Op::EditDestination(key, limited)).await;
    let open: Vec<TcpStream> = (0..2).map(|_| connect(vip)).collect();
    assert!(open.iter().all(|stream| who(stream) == server.port()));
    assert!(is_reset(connect(vip)));
    assert!(status(&relay, key).destinations[0].overloaded);
    drop(open);
    eventually("there is room", || !status(&relay, key).destinations[0].overloaded);
    assert_eq!(who(&connect(vip)), server.port());
    balances(&relay);
}

#[tokio::test]
async fn a_persistent_client_comes_back_to_its_server_even_when_quiesced() {
    let relay = relay();
    let (vip, a, b) = (vip(), named_server(), named_server());
    let persistence = Persistence::new(Duration::from_secs(60)).unwrap();
    let key = ServiceKey::tcp(vip);
    serve(&relay, Service::new(key).with_persistence(persistence), &[a, b]).await;
    let first = who(&connect_from([127, 0, 0, 3], vip));
    let home = [a, b].into_iter().find(|s| s.port() == first).unwrap();
    set_weight(&relay, key, home, 0).await;
    for _ in 0..3 {
        assert_eq!(who(&connect_from([127, 0, 0, 3], vip)), first);
        assert_ne!(who(&connect_from([127, 0, 0, 4], vip)), first);
    }
    let persistent =
        status(&relay, key).destinations.iter().map(|d| d.load.persistent).sum::<u32>();
    assert_eq!(persistent, 2);
    balances(&relay);
}

#[tokio::test]
async fn connections_of_a_removed_server_and_service_go_on() {
    let relay = relay();
    let (vip, server) = (vip(), named_server());
    let key = ServiceKey::tcp(vip);
    serve(&relay, Service::new(key), &[server]).await;
    let client = connect(vip);
    assert_eq!(who(&client), server.port());
    apply(&relay, Op::RemoveDestination(key, server)).await;
    assert!(is_reset(connect(vip)));
    assert!(echoes(&client));
    apply(&relay, Op::AddDestination(key, Destination::new(server))).await;
    assert_eq!(status(&relay, key).destinations[0].load.total(), 1);
    apply(&relay, Op::RemoveService(key)).await;
    assert!(TcpStream::connect(vip).is_err());
    assert!(echoes(&client));
    assert_eq!(relay.connections(), 1);
    drop(client);
    balances(&relay);
}

#[tokio::test]
async fn release_frees_the_port_and_established_connections_drain() {
    let relay = relay();
    let vip = vip();
    serve(&relay, Service::new(ServiceKey::tcp(vip)), &[echo_server(localhost(vip))]).await;
    let client = connect(vip);
    assert!(echoes(&client));
    relay.release(vip.ip()).await;
    assert!(TcpStream::connect(vip).is_err());
    let other = TcpListener::bind(vip).unwrap();
    assert!(echoes(&client));
    assert_eq!(relay.drain(Duration::from_millis(20)).await, 1);
    drop(client);
    assert_eq!(relay.drain(Duration::from_secs(20)).await, 0);
    drop(other);
    relay.acquire(vip.ip()).await.unwrap();
    assert!(echoes(&connect(vip)));
    balances(&relay);
}

#[tokio::test]
async fn connections_made_just_before_a_release_are_served() {
    let relay = relay();
    let vip = vip();
    serve(&relay, Service::new(ServiceKey::tcp(vip)), &[echo_server(localhost(vip))]).await;
    for _ in 0..20 {
        let clients: Vec<TcpStream> = (0..20).map(|_| connect(vip)).collect();
        relay.release(vip.ip()).await;
        assert!(clients.iter().all(echoes));
        relay.acquire(vip.ip()).await.unwrap();
    }
    balances(&relay);
}

#[tokio::test]
async fn a_thousand_connections_at_once_are_all_served() {
    raise_file_limit();
    let relay = relay();
    let vip = vip();
    let key = ServiceKey::tcp(vip);
    let servers = [echo_server(localhost(vip)), echo_server(localhost(vip))];
    serve(&relay, Service::new(key), &servers).await;
    let clients: Vec<TcpStream> = (0..1000).map(|_| connect(vip)).collect();
    for client in &clients {
        { client }.write_all(b"ping").unwrap();
    }
    for client in &clients {
        let mut answer = [0; 4];
        { client }.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ping");
    }
    let active: Vec<u32> = status(&relay, key).destinations.iter().map(|d| d.load.active).collect();
    assert_eq!(active, [500, 500]);
    drop(clients);
    balances(&relay);
    let counters = status(&relay, key).counters;
    assert_eq!((counters.connections, counters.bytes_in, counters.bytes_out), (1000, 4000, 4000));
}

fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test]
async fn shutdown_resets_connections_and_ends() {
    let relay = relay();
    let vip = vip();
    serve(&relay, Service::new(ServiceKey::tcp(vip)), &[echo_server(localhost(vip))]).await;
    let client = connect(vip);
    assert!(echoes(&client));
    relay.shutdown();
    assert!(is_reset(client));
    assert!(TcpStream::connect(vip).is_err());
    assert_eq!(relay.connections(), 0);
    assert!(relay.acquire(vip.ip()).await.is_err());
}

#[tokio::test]
async fn the_kernel_asks_for_the_life_of_silent_peers_on_both_sides() {
    let mut config = config();
    // Looks after silent connections every 10 ms.
    config.ftp_data_timeout = Duration::from_millis(40);
    let relay = piranha::runtime::relay::Relay::new(config).unwrap();
    let (vip, server) = (vip(), echo_server(Ipv4Addr::LOCALHOST.into()));
    serve(&relay, Service::new(ServiceKey::tcp(vip)), &[server]).await;
    let client = connect(vip);
    assert!(echoes(&client));
    let of_client = client.local_addr().unwrap();
    eventually("towards the client", || has_keepalive_timer(vip, of_client));
    eventually("towards the server", || has_keepalive_timer_towards(server));
    assert!(!has_keepalive_timer(of_client, vip), "the client's own socket asks for nothing");
}

/// Whether `/proc/net/tcp` shows a keepalive timer (`tr` is 2) on the socket with these ends.
fn has_keepalive_timer(local: SocketAddr, remote: SocketAddr) -> bool {
    sockets().any(|row| row[1] == hex(local) && row[2] == hex(remote) && row[5].starts_with("02:"))
}

fn has_keepalive_timer_towards(remote: SocketAddr) -> bool {
    sockets().any(|row| row[2] == hex(remote) && row[5].starts_with("02:"))
}

fn sockets() -> impl Iterator<Item = Vec<String>> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows =
        table.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect());
    rows.collect::<Vec<Vec<String>>>().into_iter()
}

/// An IPv4 address as `/proc/net/tcp` writes it.
fn hex(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { unreachable!() };
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}
