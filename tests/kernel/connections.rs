//! Who is connected to a service, as the GUI tells it from a real kernel's table.

use std::path::Path;

use serde_json::Value;

use crate::client::{Answer, Asked, ask_socket};
use crate::daemon::Daemon;
use crate::director::{Setting, VIP, configuration, in_director, table};
use crate::lab::{address, sh, wait_for};
use crate::net::{ask_tcp, ask_udp, open, serve_tcp, serve_udp};

/// Services over UDP and IPv6 beside the one of TCP.
const MORE: &str = "virtual dns {\n    active = 1\n    address = 10.1.0.100 c0:1\n    port = 53\n    \
    protocol = udp\n    send = who?\n    expect = one\n    timeout = 5s\n    rise = 1\n    \
    server one {\n        address = 10.2.1.2\n        port = 5353\n        active = 1\n    }\n}\n\
    virtual six {\n    active = 1\n    address = fd01::100 c0\n    port = 80\n    check = connect\n    \
    timeout = 5s\n    rise = 1\n    server one {\n        address = fd02:1::2\n        \
    port = 8080\n        active = 1\n    }\n}\n";

fn gui(config: &Path, socket: &Path) -> Daemon {
    let (config, state) = (config.display().to_string(), config.with_extension("gui"));
    let (state, socket) = (state.display().to_string(), socket.display().to_string());
    let daemon = in_director(&[
        env!("CARGO_BIN_EXE_piranha"),
        "serve",
        "--listen",
        "127.0.0.1:0",
        "-c",
        &config,
        "--state",
        &state,
        "--socket",
        &socket,
    ]);
    wait_for("it serves the socket", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    daemon
}

fn ask(socket: &Path, path: &str) -> Answer {
    ask_socket(socket, &Asked::new("GET", path))
}

/// What is told of the connections of a service.
fn told(socket: &Path, service: &str) -> Value {
    let answer = ask(socket, &format!("/api/v1/services/{service}/connections"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert!(told["unknown"].is_null(), "{told}");
    told["connections"].clone()
}

#[test]
#[ignore = "needs the kernel lab: tests/kernel/run"]
fn the_gui_tells_who_is_connected_over_tcp_udp_and_ipv6_from_the_kernels_table() {
    let setting = Setting::new();
    serve_udp("one", address("10.2.1.2:5353"));
    serve_tcp("one", address("[fd02:1::2]:8080"));
    let text = configuration("dataplane = kernel", 1, "    persistent = 60\n") + MORE;
    let mut pulse = setting.pulse(&text);
    pulse.expect("active, was acquiring");
    wait_for("all servers", || table().matches("-w 1").count() == 4);
    let config = setting.files.path("lvs.cf");
    let socket = config.with_extension("web");
    let _gui = gui(&config, &socket);
    wait_for("it knows the services", || {
        ask(&socket, "/api/v1/services/web/connections").status == 200
    });
    assert_eq!(told(&socket, "web")["found"], 0, "nobody was there yet");

    let held = [open(address(VIP)), open(address(VIP))];
    let server = ask_tcp(address(VIP));
    assert_eq!(ask_tcp(address("[fd01::100]:80")), "one");
    assert_eq!(ask_udp(address("10.1.0.100:53")), "one");
    // What was read before serves for two seconds more.
    wait_for("all are told", || {
        told(&socket, "web")["found"] == 3
            && told(&socket, "six")["found"] == 1
            && told(&socket, "dns")["found"] == 1
    });
    let web = told(&socket, "web");
    assert_eq!((&web["templates"], &web["whole"]), (&1.into(), &true.into()), "{web}");
    let [client] = web["clients"].as_array().unwrap().as_slice() else { panic!("{web}") };
    assert_eq!((&client["address"], &client["connections"]), (&"10.1.0.2".into(), &3.into()));
    let listed = sh("ip netns exec director ipvsadm -Lnc");
    for stream in &held {
        let own = stream.local_addr().unwrap().to_string();
        let rows = web["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["client"] == own);
        let row = row.unwrap_or_else(|| panic!("{own} in {web}"));
        let state = row["state"].as_str().unwrap();
        let line = listed.lines().find(|line| line.contains(&own)).expect("ipvsadm has it too");
        let destination = row["server"].as_str().unwrap();
        assert!(line.contains(state) && line.contains(destination), "{line} and {row}");
        assert!(row["expires_ms"].as_u64().is_some_and(|left| left > 0), "{row}");
    }
    let six = told(&socket, "six");
    assert_eq!(six["clients"][0]["address"], "fd01::2", "{six}");
    assert_eq!(six["rows"][0]["server"], "[fd02:1::2]:8080", "{six}");
    assert_eq!(told(&socket, "dns")["rows"][0]["state"], "UDP");

    let page = ask(&socket, "/services/web/connections");
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.body.contains("<code>10.1.0.2</code>"), "{server}: {}", page.body);
    assert!(page.body.contains("3 connections and 1 persistence entries"), "{}", page.body);
    drop(held);
}
