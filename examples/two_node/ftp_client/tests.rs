use std::net::TcpListener;

use super::*;
use crate::ftp_server::{self, Settings};

/// Starts a server on a free port of `address`; its thread lives as long as the test process.
fn server(address: &str, bytes_per_second: Option<u64>) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let name = "ftp1".to_owned();
    thread::spawn(move || ftp_server::serve(&listener, Settings { name, bytes_per_second }));
    at
}

fn request(server: SocketAddr, mode: Mode, size: u64) -> Request {
    let patience = Duration::from_secs(5);
    Request { server, mode, size, patience }
}

fn fetch(request: Request) -> Report {
    Fetching::start(request).unwrap().finish().unwrap()
}

#[test]
fn every_mode_brings_the_whole_file() {
    use Mode::{Active, ExtendedActive, ExtendedPassive, Passive};
    let v4 = server("127.0.0.1", None);
    for mode in [Passive, ExtendedPassive, Active, ExtendedActive] {
        let report = fetch(request(v4, mode, 300_001));
        assert!(report.whole, "{report:?}");
        assert_eq!((report.bytes, report.resumes), (300_001, 0), "{report:?}");
    }
}

#[test]
fn the_extended_modes_work_over_ipv6() {
    let Ok(_) = TcpListener::bind("[::1]:0") else {
        return; // This machine has no IPv6.
    };
    let v6 = server("::1", None);
    for mode in [Mode::ExtendedPassive, Mode::ExtendedActive] {
        let report = fetch(request(v6, mode, 100_000));
        assert!(report.whole, "{report:?}");
    }
    let report = fetch(request(v6, Mode::Active, 1));
    assert!(report.failure.is_some_and(|why| why.contains("IPv4 only")));
}

#[test]
fn an_empty_file_is_whole() {
    assert!(fetch(request(server("127.0.0.1", None), Mode::Passive, 0)).whole);
}

#[test]
fn a_transfer_is_given_up_when_nobody_answers_for_too_long() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let patience = Duration::from_millis(50);
    let report = fetch(Request { patience, ..request(nobody, Mode::Passive, 10) });
    assert!(!report.whole);
    assert!(report.failure.is_some_and(|why| why.contains("no progress")));
}

#[test]
fn progress_can_be_watched() {
    let slow = server("127.0.0.1", Some(100_000));
    let fetching = Fetching::start(request(slow, Mode::Passive, 20_000)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while fetching.bytes() == 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    assert!((1..20_000).contains(&fetching.bytes()));
    assert!(fetching.finish().unwrap().whole);
}

mod broken {
    //! What the client makes of connections that break and of servers that lie, with a small
    //! relay in between that plays the director.

    use std::io::{BufRead, Read, Write};
    use std::net::{Shutdown, TcpStream};

    use super::*;
    use crate::ftp_wire;

    /// Relays control connections to `server`; cuts off the data connections of the first
    /// `breaks` of them after `budget` bytes.
    fn director(server: SocketAddr, breaks: usize, budget: u64) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        thread::spawn(move || {
            for (index, client) in listener.incoming().enumerate() {
                let budget = if index < breaks { budget } else { u64::MAX };
                let client = client.unwrap();
                thread::spawn(move || relay_control(&client, server, budget));
            }
        });
        at
    }

    fn relay_control(client: &TcpStream, server: SocketAddr, budget: u64) {
        let server = TcpStream::connect(server).unwrap();
        let commands = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || copy(commands.0, commands.1));
        for line in io::BufReader::new(server).lines() {
            let mut line = line.unwrap();
            if let Some(port) = ftp_wire::read_extended_passive_reply(&line) {
                line = format!("229 Entering (|||{}|)", relay_data(port, budget));
            }
            if (&*client).write_all(format!("{line}\r\n").as_bytes()).is_err() {
                return;
            }
        }
    }

    fn relay_data(port: u16, budget: u64) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            copy(server.take(budget), client);
        });
        at
    }

    fn copy(mut from: impl Read, to: TcpStream) {
        let _ = io::copy(&mut from, &mut &to);
        let _ = to.shutdown(Shutdown::Write);
    }

    #[test]
    fn a_broken_transfer_is_resumed_where_it_stopped() {
        let vip = director(server("127.0.0.1", None), 3, 50_000);
        let report = fetch(request(vip, Mode::ExtendedPassive, 1_000_000));
        assert!(report.whole, "{report:?}");
        assert_eq!((report.bytes, report.resumes), (1_000_000, 3), "{report:?}");
    }

    #[test]
    fn a_passive_reply_that_names_another_address_is_an_error() {
        // A director that forgets to rewrite: the server lives on another address than the VIP.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let vip = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            client
                .write_all(
                    b"220 hi\r\n331 ok\r\n230 ok\r\n200 ok\r\n213 10\r\n227 (127,0,0,9,8,1)\r\n",
                )
                .unwrap();
            let _ = client.read_to_end(&mut Vec::new());
        });
        let report = fetch(request(vip, Mode::Passive, 10));
        assert!(report.failure.is_some_and(|why| why.contains("not an address of 127.0.0.1")));
    }

    #[test]
    fn a_file_with_one_wrong_byte_is_not_whole() {
        let mut transfer =
            Transfer::new(request("127.0.0.1:9".parse().unwrap(), Mode::Passive, 16));
        let mut bytes = [0; 16];
        Content::of_size(16).fill(0, &mut bytes);
        bytes[9] ^= 0x80;
        let failure = transfer.receive(&mut &bytes[..]);
        assert!(matches!(failure, Err(Break::Fatal(why)) if why.contains("byte at 9")));
        assert!(!transfer.report(None).whole);
    }
}
