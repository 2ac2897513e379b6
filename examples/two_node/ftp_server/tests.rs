use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::*;
use crate::content::Content;
use crate::ftp_wire;

/// Starts a server on a free port; its thread lives as long as the test process.
fn start(bytes_per_second: Option<u64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let name = "ftp1".to_owned();
    thread::spawn(move || serve(&listener, Settings { name, bytes_per_second }));
    address
}

/// A client that types commands by hand.
struct Typist(TcpStream);

impl Typist {
    fn new(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut typist = Self(stream);
        assert!(typist.line().starts_with("220 "));
        typist
    }

    fn logged_in(server: SocketAddr) -> Self {
        let mut typist = Self::new(server);
        typist.says("USER anonymous", "331");
        typist.says("PASS me@", "230");
        typist
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") && self.0.read(&mut byte).unwrap_or(0) == 1 {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// Sends `command` and checks that the reply begins with `code`.
    fn says(&mut self, command: &str, code: &str) -> String {
        self.0.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        self.hears(command, code)
    }

    fn hears(&mut self, about: &str, code: &str) -> String {
        let reply = self.line();
        assert!(reply.starts_with(code), "{about}: {reply}");
        reply
    }

    fn data(&mut self) -> TcpStream {
        let reply = self.says("PASV", "227");
        TcpStream::connect(ftp_wire::read_passive_reply(&reply).unwrap()).unwrap()
    }
}

fn read_all(mut data: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn nothing_works_before_the_login() {
    let mut client = Typist::new(start(None));
    client.says("PASV", "530");
    client.says("PASS x", "503");
    client.says("USER root", "530");
    client.says("PASS x", "503");
    client.says("RETR file-1.bin", "530");
    client.says("NOOP", "200");
    client.says("QUIT", "221");
    assert_eq!(client.line(), "");
}

#[test]
fn a_retrieve_starts_at_the_offset_of_rest() {
    let mut client = Typist::logged_in(start(None));
    let data = client.data();
    client.says("REST 990", "350");
    client.says("RETR file-1000.bin", "150");
    let tail = read_all(data);
    assert_eq!(tail.len(), 10);
    assert_eq!(Content::of_size(1000).first_difference(990, &tail), None);
    client.hears("RETR", "226");
    client.says("REST 1001", "350");
    client.says("RETR file-1000.bin", "554");
}

#[test]
fn a_stored_file_comes_back_and_can_be_continued() {
    let mut client = Typist::logged_in(start(None));
    for (rest, bytes) in [("REST 0", "hello wor"), ("REST 8", "rld")] {
        let mut data = client.data();
        client.says(rest, "350");
        client.says("STOR greeting", "150");
        data.write_all(bytes.as_bytes()).unwrap();
        drop(data);
        client.hears("STOR", "226");
    }
    client.says("SIZE greeting", "213 11");
    let data = client.data();
    client.says("RETR greeting", "150");
    assert_eq!(read_all(data), b"hello world");
    client.hears("RETR", "226");
    client.says("STOR file-5.bin", "553");
    client.says("STOR ../x", "553");
}

#[test]
fn a_file_beyond_the_bound_is_refused_and_not_kept() {
    let mut client = Typist::logged_in(start(None));
    let mut data = client.data();
    client.says("STOR big", "150");
    let piece = vec![0; 1 << 20];
    // The server closes once the bound is passed, so a write fails at some point.
    while data.write_all(&piece).is_ok() {}
    client.hears("STOR", "426");
    client.says("SIZE big", "550");
}

#[test]
fn abort_ends_a_running_transfer_however_it_is_sent() {
    let ways: [fn(&TcpStream) -> io::Result<()>; 3] = [
        |mut control| control.write_all(b"ABOR\r\n"),
        // As RFC 959 has it: telnet's interrupt, then its data mark as urgent data.
        |mut control| {
            control.write_all(b"\xff\xf4\xff")?;
            SockRef::from(control).send_out_of_band(b"\xf2")?;
            control.write_all(b"ABOR\r\n")
        },
        // As Python's ftplib has it: all of it urgent, of which the last byte is.
        |control| SockRef::from(control).send_out_of_band(b"ABOR\r\n").map(drop),
    ];
    for abort in ways {
        let mut client = Typist::logged_in(start(Some(1_000)));
        let data = client.data();
        client.says("RETR file-1000000.bin", "150");
        abort(&client.0).unwrap();
        client.hears("ABOR", "426");
        client.hears("ABOR", "226");
        assert!(read_all(data).len() < 1_000_000);
        client.says("NOOP", "200");
    }
}

#[test]
fn a_throttled_transfer_takes_its_time() {
    let mut client = Typist::logged_in(start(Some(100_000)));
    let data = client.data();
    client.says("RETR file-20000.bin", "150");
    let started = Instant::now();
    assert_eq!(read_all(data).len(), 20_000);
    assert!(started.elapsed() > Duration::from_millis(100));
}

#[test]
fn an_active_connection_goes_nowhere_but_to_the_client() {
    let mut client = Typist::logged_in(start(None));
    client.says("PORT 127,0,0,9,200,1", "504");
    client.says("EPRT |1|127.0.0.1|80|", "504");
    client.says("PORT nonsense", "501");
    client.says("RETR file-1.bin", "150");
    client.hears("RETR", "425");
}

#[test]
fn after_epsv_all_the_other_forms_are_refused() {
    let mut client = Typist::logged_in(start(None));
    client.says("EPSV 2", "522");
    client.says("EPSV ALL", "200");
    client.says("PASV", "501");
    client.says("PORT 127,0,0,1,200,1", "501");
    client.says("EPSV", "229");
}

#[test]
fn what_is_not_ftp_is_turned_away() {
    let server = start(None);
    for rubbish in [&[b'x'; 2000][..], b"NO\0OP\r\n", b"\x80\r\n"] {
        let mut client = Typist::new(server);
        client.0.write_all(rubbish).unwrap();
        client.hears("rubbish", "500");
    }
}
