use std::net::{TcpListener, UdpSocket};

use crate::daemon::{Daemon, Files, LVS, PULSE, alone, read_from, service, until, word_server};

#[test]
fn a_missing_file_is_named_and_pulse_ends_with_1() {
    let files = Files::new();
    let (status, log) = Daemon::pulse(&files.path("none.cf")).end();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("cannot read") && log.contains("none.cf"), "{log}");
}

#[test]
fn every_mistake_is_shown_with_its_place_and_nothing_is_started() {
    let files = Files::new();
    let text =
        "primary = 127.78.1.1\nkeepaliev = 3\nvirtual web {\n    adress = 127.78.1.80 lo\n}\n";
    let (status, log) = Daemon::pulse(&files.write("lvs.cf", text)).end();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("lvs.cf:2:1") && log.contains("lvs.cf:4:5"), "{log}");
    assert!(log.contains("keepalive") && log.contains("address"), "suggestions in:\n{log}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let (status, log) = Daemon::start(PULSE, &["--no-such-option"]).end();
    assert_eq!(status.code(), Some(2));
    assert!(log.contains("--no-such-option"), "{log}");
}

#[test]
fn a_busy_heartbeat_port_is_named_with_a_hint() {
    let files = Files::new();
    let _holder = UdpSocket::bind("127.78.2.1:5391").unwrap();
    let text = alone(2, &service("web", "127.78.2.80", 8080, "127.78.2.11", 8080))
        .replace("keepalive", "backup = 127.78.2.2\nbackup_active = 1\nkeepalive");
    let (status, log) = Daemon::pulse(&files.write("lvs.cf", &text)).end();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("127.78.2.1:5391") && log.contains("another pulse"), "{log}");
}

#[test]
fn a_vip_whose_device_is_not_there_fails_the_node_with_the_reason_and_binds_nothing() {
    let files = Files::new();
    let good = service("web", "127.78.3.80", 8080, "127.78.3.11", 8080);
    let bad =
        service("far", "192.0.2.80", 8080, "127.78.3.11", 8080).replace(" lo\n", " none0:1\n");
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &alone(3, &(good + &bad))));
    let line = pulse.expect("failed");
    assert!(line.contains("192.0.2.80 on none0:1: there is no device none0"), "{line}");
    assert!(read_from("127.78.3.80:8080").is_err());
}

#[test]
fn a_busy_service_port_fails_the_node_until_it_is_free() {
    let files = Files::new();
    let holder = TcpListener::bind("127.78.4.80:8080").unwrap();
    let server = word_server("127.78.4.11:0", "four");
    let text = alone(4, &service("web", "127.78.4.80", 8080, "127.78.4.11", server.port()));
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    let line = pulse.expect("failed");
    assert!(line.contains("127.78.4.80:8080"), "{line}");
    drop(holder);
    pulse.expect("active, was acquiring");
    until("the service answers", || read_from("127.78.4.80:8080").is_ok_and(|word| word == "four"));
}

#[test]
fn a_method_the_relay_lacks_is_refused_with_its_line() {
    let files = Files::new();
    let text = alone(5, &service("web", "127.78.5.80", 8080, "127.78.5.11", 8080))
        .replace("dataplane = relay", "network = direct");
    let path = files.write("lvs.cf", &text);
    let (status, log) = Daemon::start(LVS, &["-n", "-t", "-c", path.to_str().unwrap()]).end();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("lvs.cf:7:1: TCP 127.78.5.80:8080") && log.contains("direct"), "{log}");
}

#[test]
fn garbage_on_the_heartbeat_port_changes_nothing() {
    let files = Files::new();
    let server = word_server("127.78.6.11:0", "six");
    let text = alone(6, &service("web", "127.78.6.80", 8080, "127.78.6.11", server.port()))
        .replace("keepalive", "backup = 127.78.6.2\nbackup_active = 1\nkeepalive");
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    pulse.expect("active, was acquiring");
    let partner = UdpSocket::bind("127.78.6.2:5391").unwrap();
    for length in [0, 1, 3, 4, 5, 103, 104, 105, 500, 1400] {
        let garbage: Vec<u8> = (0..length).map(|byte: u32| byte.to_le_bytes()[0]).collect();
        partner.send_to(&garbage, "127.78.6.1:5391").unwrap();
    }
    until("the service answers", || read_from("127.78.6.80:8080").is_ok_and(|word| word == "six"));
    pulse.signal("TERM");
    let (status, log) = pulse.end();
    assert_eq!(status.code(), Some(0));
    assert!(!log.contains("panicked"), "{log}");
}
