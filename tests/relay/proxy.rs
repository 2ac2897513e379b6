//! The PROXY protocol towards the servers.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use piranha::ipvs::relay::RelayOptions;
use piranha::ipvs::{Service, ServiceKey};
use piranha::runtime::relay::Relay;
use piranha::wire::proxy::ProxyProtocol;

use crate::support::*;

/// A server that hands on everything it gets on each connection.
fn listening_server(address: IpAddr) -> (SocketAddr, Receiver<Vec<u8>>) {
    let (sender, received) = channel();
    let address = server(address, move |mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        sender.send(all).unwrap();
    });
    (address, received)
}

fn ask_for(relay: &Relay, key: ServiceKey, version: Option<ProxyProtocol>) {
    let mut options = RelayOptions::default();
    options.proxy_protocol = version;
    relay.set_options([(key, options)].into()).unwrap();
}

/// Sends `text` through the relay and ends. Returns the client's address.
fn say(vip: SocketAddr, text: &[u8]) -> SocketAddr {
    let mut client: TcpStream = connect(vip);
    client.write_all(text).unwrap();
    client.local_addr().unwrap()
}

#[tokio::test]
async fn the_server_learns_who_the_client_is_before_anything_else() {
    for vip in [vip(), vip6()] {
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            let relay = relay();
            let key = ServiceKey::tcp(vip);
            let (server, received) = listening_server(localhost(vip));
            ask_for(&relay, key, Some(version));
            serve(&relay, Service::new(key), &[server]).await;

            let client = say(vip, b"hello");
            let expected = [&version.header(client, vip)[..], b"hello"].concat();
            assert_eq!(received.recv().unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_is_announced_all_the_same() {
    let relay = relay();
    let vip = vip();
    let key = ServiceKey::tcp(vip);
    let expected_length = 28;
    let server = server(localhost(vip), move |mut stream| {
        let mut header = vec![0; expected_length];
        stream.read_exact(&mut header).unwrap();
        stream.write_all(&header).unwrap();
    });
    ask_for(&relay, key, Some(ProxyProtocol::V2));
    serve(&relay, Service::new(key), &[server]).await;

    let client = connect(vip);
    let mut echoed = vec![0; expected_length];
    { &client }.read_exact(&mut echoed).unwrap();
    assert_eq!(echoed, ProxyProtocol::V2.header(client.local_addr().unwrap(), vip));
}

#[tokio::test]
async fn a_retry_on_another_server_carries_one_header() {
    let relay = relay();
    let vip = vip();
    let key = ServiceKey::tcp(vip);
    let (server, received) = listening_server(localhost(vip));
    ask_for(&relay, key, Some(ProxyProtocol::V1));
    serve(&relay, Service::new(key), &[dead(), server, dead()]).await;

    for _ in 0..3 {
        let client = say(vip, b"hello");
        let expected = [&ProxyProtocol::V1.header(client, vip)[..], b"hello"].concat();
        assert_eq!(received.recv().unwrap(), expected);
    }
}

#[tokio::test]
async fn options_hold_for_connections_from_now_on_and_for_the_services_named() {
    let relay = relay();
    let vip = vip();
    let key = ServiceKey::tcp(vip);
    let (server, received) = listening_server(localhost(vip));
    serve(&relay, Service::new(key), &[server]).await;
    let plain = || {
        say(vip, b"hello");
        assert_eq!(received.recv().unwrap(), b"hello");
    };
    plain();
    ask_for(&relay, key, Some(ProxyProtocol::V1));
    say(vip, b"hello");
    assert!(received.recv().unwrap().starts_with(b"PROXY TCP4 "));
    ask_for(&relay, ServiceKey::tcp(dead()), Some(ProxyProtocol::V1));
    plain();
}
