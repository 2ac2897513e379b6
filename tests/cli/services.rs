//! What lvs.cf can ask of the relay, end to end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::daemon::{Daemon, Files, alone, read_from, service, until, word_server};

#[test]
fn an_ipv6_service_is_balanced_and_checked() {
    let files = Files::new();
    let server = word_server("[::1]:0", "six");
    // A port that is free now, for the VIP: ::1 is the only IPv6 address of loopback.
    let port = TcpListener::bind("[::1]:0").and_then(|l| l.local_addr()).expect("IPv6").port();
    let text = alone(60, &service("web", "::1", port, "::1", server.port()));
    let _pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    until("the service answers", || {
        read_from(&format!("[::1]:{port}")).is_ok_and(|word| word == "six")
    });
}

/// A web server that turns away whoever does not come with a PROXY header, and otherwise answers
/// with it.
fn proxied_server(address: &str) -> SocketAddr {
    let listener = TcpListener::bind(address).expect("a free loopback address");
    let local = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let header = lines.next().unwrap_or_default();
            let rest = lines.take_while(|line| !line.is_empty()).count();
            if header.starts_with("PROXY TCP4 ") && rest > 0 {
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
                let _ = write!(&stream, "{head}{header}");
            }
        }
    });
    local
}

#[test]
fn servers_behind_the_proxy_protocol_are_checked_and_learn_who_the_client_is() {
    let files = Files::new();
    let server = proxied_server("127.78.63.11:0");
    let text = alone(63, &service("web", "127.78.63.80", 8080, "127.78.63.11", server.port()))
        .replace("check = connect", "check = http\n    proxy_protocol = v1");
    let _pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    until("the service answers", || {
        let Ok(mut client) = TcpStream::connect("127.78.63.80:8080") else { return false };
        let port = client.local_addr().expect("it is connected").port();
        let mut answer = String::new();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok()
            && client.read_to_string(&mut answer).is_ok()
            && answer.ends_with(&format!("PROXY TCP4 127.0.0.1 127.78.63.80 {port} 8080"))
    });
}

/// Answers each datagram with itself.
fn udp_echo(address: &str) -> SocketAddr {
    let socket = UdpSocket::bind(address).expect("a free loopback address");
    let local = socket.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    local
}

#[test]
fn a_udp_service_is_balanced_and_checked() {
    let files = Files::new();
    let server = udp_echo("127.78.61.11:0");
    let text = alone(61, &service("echo", "127.78.61.80", 5353, "127.78.61.11", server.port()))
        .replace("check = connect", "protocol = udp\n    send = \"ping\"\n    expect = \"ping\"");
    let _pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    let client = UdpSocket::bind("127.78.61.90:0").expect("a free loopback address");
    client.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket of ours");
    until("the service answers", || {
        let _ = client.send_to(b"hello", "127.78.61.80:5353");
        let mut buffer = [0; 64];
        matches!(client.recv_from(&mut buffer), Ok((5, from)) if from.port() == 5353 && &buffer[..5] == b"hello")
    });
}

#[test]
fn the_sorry_server_stands_in_while_no_real_server_is_left() {
    let files = Files::new();
    let sorry = word_server("127.78.62.99:0", "sorry");
    // A port nobody listens on yet.
    let port = word_port("127.78.62.11");
    let text = alone(62, &service("web", "127.78.62.80", 8080, "127.78.62.11", port)).replace(
        "check = connect",
        &format!("sorry_server = 127.78.62.99:{}\n    check = connect", sorry.port()),
    );
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    pulse.expect("No real servers; activate sorry_server");
    until("the sorry server answers", || {
        read_from("127.78.62.80:8080").is_ok_and(|word| word == "sorry")
    });
    word_server(&format!("127.78.62.11:{port}"), "real");
    pulse.expect("relieved");
    until("the real server answers", || {
        read_from("127.78.62.80:8080").is_ok_and(|word| word == "real")
    });
}

fn word_port(address: &str) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("a free loopback address");
    listener.local_addr().expect("it is bound").port()
}

#[test]
fn a_server_that_answers_rubbish_or_nothing_is_never_let_in() {
    let files = Files::new();
    let rubbish = word_server("127.78.63.11:0", "\u{0}\u{1}rubbish");
    let silent = TcpListener::bind("127.78.63.12:0").expect("a free loopback address");
    let silent_port = silent.local_addr().expect("it is bound").port();
    let good = word_server("127.78.63.13:0", "220 hello");
    let servers = format!(
        "    server silent {{\n        address = 127.78.63.12\n        port = {silent_port}\n        active = 1\n    }}\n\
         \x20   server good {{\n        address = 127.78.63.13\n        port = {}\n        active = 1\n    }}\n}}\n",
        good.port()
    );
    let one = service("mail", "127.78.63.80", 2525, "127.78.63.11", rubbish.port())
        .replace("check = connect", "expect = \"220\"");
    let text = alone(63, &format!("{}{servers}", one.trim_end().trim_end_matches('}')));
    let mut pulse = Daemon::pulse(&files.write("lvs.cf", &text));
    let line = pulse.expect("[inactive] shutting down 127.78.63.12");
    assert!(line.contains("timed out"), "{line}");
    for _ in 0..6 {
        until("only the good server answers", || {
            read_from("127.78.63.80:2525").is_ok_and(|word| word == "220 hello")
        });
    }
}
