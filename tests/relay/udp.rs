//! UDP flows through the relay.

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use piranha::ipvs::{Destination, Op, Persistence, Service, ServiceKey};
use piranha::runtime::relay::Relay;

use crate::support::*;

fn client(vip: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((localhost(vip), 0)).unwrap();
    socket.connect(vip).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// Sends a datagram and returns the port of the server that answered.
fn ask(client: &UdpSocket, text: &[u8]) -> u16 {
    client.send(text).unwrap();
    let mut buffer = vec![0; 65536];
    let length = client.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[2..length], text);
    u16::from_be_bytes([buffer[0], buffer[1]])
}

#[tokio::test]
async fn datagrams_pass_both_ways_and_a_client_keeps_its_server() {
    for vip in [vip(), vip6()] {
        let relay = relay();
        let key = ServiceKey::udp(vip);
        let servers = [udp_server(localhost(vip)).0, udp_server(localhost(vip)).0];
        serve(&relay, Service::new(key), &servers).await;
        let (one, other) = (client(vip), client(vip));
        let (first, second) = (ask(&one, b"hello"), ask(&other, b"hello"));
        assert_ne!(first, second);
        for _ in 0..5 {
            assert_eq!(ask(&one, b""), first);
            assert_eq!(ask(&other, &[7; 9000]), second);
        }
        let counters = || status(&relay, key).counters;
        // The last answer may be here before it is counted.
        eventually("all answers are counted", || counters().bytes_out == 2 * 7 + 5 * 2 + 5 * 9002);
        assert_eq!(counters().connections, 2);
        assert_eq!(counters().bytes_in, 2 * 5 + 5 * 9000);
        let destinations = status(&relay, key).destinations;
        assert!(destinations.iter().all(|d| d.load.inactive == 1));
        relay.release(vip.ip()).await;
        balances(&relay);
    }
}

#[tokio::test]
async fn a_silent_flow_ends_after_the_timeout() {
    let mut config = config();
    config.udp_idle_timeout = Duration::from_millis(100);
    let relay = Relay::new(config).unwrap();
    let vip = vip();
    serve(&relay, Service::new(ServiceKey::udp(vip)), &[udp_server(localhost(vip)).0]).await;
    let client = client(vip);
    ask(&client, b"one");
    balances(&relay);
    ask(&client, b"two");
    balances(&relay);
    assert_eq!(status(&relay, ServiceKey::udp(vip)).counters.connections, 2);
}

#[tokio::test]
async fn a_flow_refused_by_its_server_goes_to_another() {
    let relay = relay();
    let (vip, (live, _)) = (vip(), udp_server([127, 0, 0, 1].into()));
    let key = ServiceKey::udp(vip);
    serve(&relay, Service::new(key), &[live, dead()]).await;
    let client = client(vip);
    client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    eventually("an answer comes", || {
        client.send(b"hello").unwrap();
        client.recv(&mut [0; 100]).is_ok()
    });
    assert_eq!(status(&relay, key).counters.bytes_out % 7, 0);
    relay.release(vip.ip()).await;
    balances(&relay);
}

#[tokio::test]
async fn a_full_flow_table_gives_up_the_flow_silent_for_longest() {
    let mut config = config();
    config.workers = NonZeroUsize::new(1);
    config.max_udp_flows = 8;
    let relay = Relay::new(config).unwrap();
    let (vip, (server, count)) = (vip(), udp_server([127, 0, 0, 1].into()));
    let key = ServiceKey::udp(vip);
    serve(&relay, Service::new(key), &[server]).await;
    let clients: Vec<UdpSocket> = (0..20).map(|_| client(vip)).collect();
    for client in &clients {
        ask(client, b"hello");
        assert!(relay.connections() <= 9);
    }
    assert_eq!(relay.connections(), 8);
    assert_eq!(count.load(Ordering::SeqCst), 20);
    relay.release(vip.ip()).await;
    balances(&relay);
}

#[tokio::test]
async fn persistence_holds_across_flows() {
    let relay = relay();
    let vip = vip();
    let servers = [udp_server(localhost(vip)).0, udp_server(localhost(vip)).0];
    let persistence = Persistence::new(Duration::from_secs(60)).unwrap();
    let service = Service::new(ServiceKey::udp(vip)).with_persistence(persistence);
    serve(&relay, service, &servers).await;
    let home = ask(&client(vip), b"hello");
    for _ in 0..5 {
        assert_eq!(ask(&client(vip), b"hello"), home);
    }
}

#[tokio::test]
async fn a_burst_passes_whole_and_in_order_whatever_the_sizes() {
    for vip in [vip(), vip6()] {
        let relay = relay();
        let key = ServiceKey::udp(vip);
        serve(&relay, Service::new(key), &[udp_server(localhost(vip)).0]).await;
        let client = client(vip);
        // Runs of one size, which are coupled on the way, and sizes that change.
        let sizes = (0..96).map(|n: u8| match n {
            0..40 => 200,
            40..60 => usize::from(n) * 10,
            60..80 => 0,
            _ => 1200,
        });
        let payloads: Vec<Vec<u8>> = (0..96).zip(sizes).map(|(n, size)| vec![n; size]).collect();
        for payload in &payloads {
            client.send(payload).unwrap();
        }
        let mut buffer = vec![0; 65536];
        for payload in &payloads {
            let length = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[2..length], payload.as_slice());
        }
        let counters = || status(&relay, key).counters;
        eventually("all answers are counted", || counters().packets_out == 96);
        assert_eq!((counters().packets_in, counters().connections), (96, 1));
        assert_eq!(status(&relay, key).losses.total(), 0);
    }
}

#[tokio::test]
async fn in_one_packet_mode_each_datagram_is_scheduled_for_itself() {
    for vip in [vip(), vip6()] {
        let mut config = config();
        config.one_packet_timeout = Duration::from_millis(100);
        let relay = Relay::new(config).unwrap();
        let key = ServiceKey::udp(vip);
        let servers = [udp_server(localhost(vip)).0, udp_server(localhost(vip)).0];
        serve(&relay, Service::new(key).with_one_packet(true), &servers).await;
        let client = client(vip);
        let asked: Vec<u16> = (0..6).map(|_| ask(&client, b"hello")).collect();
        assert_ne!(asked[0], asked[1]);
        assert!(asked.chunks(2).all(|pair| pair == &asked[..2]), "{asked:?}");
        assert_eq!(status(&relay, key).counters.connections, 6);
        balances(&relay);
    }
}

#[tokio::test]
async fn datagrams_in_one_packet_mode_never_have_more_than_the_bound_of_flows() {
    let mut config = config();
    config.workers = NonZeroUsize::new(1);
    config.max_udp_flows = 8;
    let relay = Relay::new(config).unwrap();
    let vip = vip();
    let key = ServiceKey::udp(vip);
    let server = udp_server(localhost(vip)).0;
    serve(&relay, Service::new(key).with_one_packet(true), &[server]).await;
    let client = client(vip);
    for _ in 0..50 {
        ask(&client, b"hello");
        assert!(relay.connections() <= 9);
    }
    relay.release(vip.ip()).await;
    balances(&relay);
}

#[tokio::test]
async fn a_datagram_that_no_server_can_take_is_counted_and_the_next_is_tried_anew() {
    let relay = relay();
    let (vip, (server, _)) = (vip(), udp_server([127, 0, 0, 1].into()));
    let key = ServiceKey::udp(vip);
    serve(&relay, Service::new(key), &[]).await;
    let client = client(vip);
    for _ in 0..3 {
        client.send(b"hello").unwrap();
    }
    eventually("they are counted", || status(&relay, key).losses.no_server == 3);
    apply(&relay, Op::AddDestination(key, Destination::new(server))).await;
    assert_eq!(ask(&client, b"hello"), server.port());
    let status = status(&relay, key);
    assert_eq!((status.losses.total(), status.counters.packets_in), (3, 1));
}
