//! The book's chapters on the kernel's ways, taken literally: what they show is written to files, typed on
//! the machines they name, and ends with a pair that carries clients.
//!
//! A block `sh WHO` must succeed, `sh WHO until` within a minute, `sh WHO look` may complain; WHO is
//! a machine, `both` directors, or the `servers`. Blocks `lvs.cf` add to the file of both directors.

mod machine;
mod page;
mod scene;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use self::scene::{
    BETWEEN, FAR, ONE_WIRE, Scene, ask_http, comes_true, connect, serve_dns, serve_http,
    serve_https,
};
use crate::ftp::{Talk, fetch_passively, serve_ftp};
use crate::lab::{address, wait_for};
use crate::net::{Flow, set};

const VIP: &str = "192.0.2.80:80";

fn web_servers(port: u16) {
    serve_http("web1", port);
    serve_http("web2", port);
}

/// The pages of the service of most chapters come from both servers.
fn pages_come_from_both(scene: &Scene, vip: &str) {
    scene.reaches_both(|| ask_http(address(vip)));
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn the_chapters_on_nat_and_on_ftp_by_nat_end_with_clients_at_both_servers() {
    let scene = Scene::new(BETWEEN);
    web_servers(8080);
    for (name, at) in [("web1", "10.0.0.31:21"), ("web2", "10.0.0.32:21")] {
        serve_ftp(name, address(at));
    }
    scene.prepare("nat.md", &[]);
    scene.prepare("ftp.md", &["NAT"]);
    scene.start();
    scene.try_out("nat.md", &[]);
    pages_come_from_both(&scene, VIP);
    let vip = address("192.0.2.80:21");
    wait_for("the service", || connect(vip).is_some());
    scene.reaches_both(|| Some(transferred(vip)));
}

/// The servers of these chapters stay as they are; the directors get a configuration for each.
#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn the_chapters_whose_servers_answer_clients_themselves_end_with_clients_at_their_servers() {
    let scene = Scene::new(ONE_WIRE);
    web_servers(80);
    direct_routing(&scene);
    scene.stop();
    marks(&scene);
    scene.stop();
    ipv6(&scene);
}

/// Clients at both servers, one answer to ARP, and passive FTP.
fn direct_routing(scene: &Scene) {
    for server in scene.at("servers") {
        // What vsftpd would be confined to.
        server.sh("sysctl -w net.ipv4.ip_local_port_range='10000 20000'");
    }
    scene.prepare("direct-routing.md", &[]);
    for (name, own) in [("web1", "192.0.2.31:21"), ("web2", "192.0.2.32:21")] {
        serve_ftp(name, address(own));
        serve_ftp(name, address("192.0.2.80:21"));
    }
    scene.prepare("ftp.md", &["Direct routing and tunnels"]);
    scene.start();
    let said = scene.try_out("direct-routing.md", &[]);
    let colons = |word: &&str| word.matches(':').count() == 5;
    let macs: BTreeSet<_> = said.split_whitespace().filter(colons).collect();
    assert_eq!(macs.len(), 1, "{said}");
    for (server, own) in [("web1", "192.0.2.21"), ("web2", "192.0.2.22")] {
        let route = scene.at(server).map(|one| one.sh("ip route get 192.0.2.11"));
        let route = route.collect::<String>();
        assert!(route.contains("dev eth0") && route.contains(&format!("src {own}")), "{route}");
    }
    pages_come_from_both(scene, VIP);
    let vip = address("192.0.2.80:21");
    wait_for("the service", || connect(vip).is_some());
    let first = transferred(vip);
    assert!((0..3).all(|_| transferred(vip) == first), "a client keeps its server");
}

/// Clients keep their server on both ports.
fn marks(scene: &Scene) {
    let (authority, tls) = certificates();
    for director in scene.at("both") {
        director.sh(&format!("cat >/etc/ssl/certs/ca-certificates.crt <<'END'\n{authority}END\n"));
    }
    serve_https("web1", 443, &tls);
    serve_https("web2", 443, &tls);
    scene.prepare("firewall-marks.md", &[]);
    scene.start();
    keep_their_server(scene);
    for director in scene.at("both") {
        director.sh("iptables -t mangle -F PREROUTING");
    }
}

/// Clients of both families are answered.
fn ipv6(scene: &Scene) {
    scene.prepare("ipv6.md", &[]);
    scene.start();
    scene.try_out("ipv6.md", &[]);
    for vip in [VIP, "[2001:db8::80]:80"] {
        assert_eq!(ask_http(address(vip)).as_deref(), Some("web1"), "{vip}");
    }
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn the_chapter_on_tunnels_ends_with_clients_at_a_near_and_at_a_far_server() {
    let scene = Scene::new(FAR);
    set("router", &["ipv4/ip_forward"], "1");
    for machine in ["lb1", "lb2", "client", "web2"].into_iter().flat_map(|name| scene.at(name)) {
        let router = if machine.name == "web2" { "198.51.100.254" } else { "192.0.2.254" };
        machine.sh(&format!("ip route replace default via {router}"));
    }
    web_servers(80);
    scene.prepare("tunnelling.md", &[]);
    for own in ["198.51.100.22:53", "192.0.2.80:53"] {
        serve_dns("web2", address(own));
    }
    scene.start();
    scene.try_out("tunnelling.md", &[]);
    pages_come_from_both(&scene, VIP);
    let stream = connect(address(VIP)).unwrap();
    let segment = socket2::SockRef::from(&stream).tcp_mss().unwrap();
    assert!(segment <= 1400, "clients send segments of {segment} bytes");
    // By GUE: what is the address of `a`?
    let question = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    let flow = Flow::new(address("192.0.2.80:53"));
    let answer = (0..3).find_map(|_| flow.exchange(question));
    assert!(answer.is_some_and(|answer| answer.ends_with(&[192, 0, 2, 53])));
}

/// What a passive transfer brings.
fn transferred(vip: SocketAddr) -> String {
    fetch_passively(&mut Talk::dial(vip), vip, "PASV")
}

fn keep_their_server(scene: &Scene) {
    let client = scene.at("client").next().unwrap();
    let page = |source: &str, scheme: &str| {
        let command = format!(
            "curl --silent --max-time 10 --insecure --interface {source} {scheme}://192.0.2.80/"
        );
        comes_true(client, &command);
        client.sh(&command)
    };
    let mut seen = BTreeSet::new();
    for source in ["192.0.2.50", "192.0.2.51"] {
        let server = page(source, "http");
        assert_eq!(page(source, "https"), server, "{source} moved");
        seen.insert(server);
    }
    assert_eq!(seen.len(), 2, "each client has a server of its own");
}

/// An authority, and what a server whom it knows as shop.example.com needs.
fn certificates() -> (String, Arc<ServerConfig>) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let trusted = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let names = CertificateParams::new(vec!["shop.example.com".to_owned()]).unwrap();
    let certificate = names.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let chain = vec![certificate.der().clone()];
    (trusted, Arc::new(config.with_single_cert(chain, key).unwrap()))
}
